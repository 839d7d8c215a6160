"""A test that leaves something behind is named, and one that cleans up late is given time."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

SUPPORT = Path(__file__).resolve().parents[1] / "_support"
TESTS = """
import logging, os, threading, time
import pytest
from tokaido_testing import isolation
from tokaido_testing.isolation import leaves_nothing_behind

isolation.GRACE_S = 0.3
forever = threading.Event()

def test_thread(): threading.Thread(target=forever.wait, name="straggler", daemon=True).start()
def test_timer(): threading.Timer(0.1, lambda: None).start()
def test_variable(): os.environ["LEFT"] = "1"
def test_folder(tmp_path): os.chdir(tmp_path)
def test_level(): logging.getLogger().setLevel(logging.DEBUG)
def test_handler(): logging.getLogger().addHandler(logging.NullHandler())
def test_disable(): logging.disable(logging.ERROR)
def test_patched(monkeypatch, tmp_path):
    monkeypatch.setenv("GOES", "1")
    monkeypatch.chdir(tmp_path)
def test_nothing(): pass
"""


def test_whatever_a_test_leaves_behind_is_named(tmp_path: Path) -> None:
    (tmp_path / "test_leaving.py").write_text(TESTS)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--tb=line", "-c", "/dev/null", str(tmp_path)],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(SUPPORT)},
        capture_output=True,
        text=True,
        check=False,
        timeout=50,
    )
    errors = {line.partition("::")[2].partition(" ")[0] for line in done.stdout.splitlines() if line[:5] == "ERROR"}
    left = {"test_thread", "test_variable", "test_folder", "test_level", "test_handler", "test_disable"}
    assert errors == left, done.stdout
    assert "9 passed, 6 errors" in done.stdout
    for what in ("threads running: straggler", "the environment", "the current folder", "level", "handlers", "at all"):
        assert what in done.stdout
