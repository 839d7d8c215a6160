"""Bytecode is kept even where the environment forbids it: in a place of its own, and by children too."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tokaido_testing import bytecode

ASK = [sys.executable, "-c", "import sys; print(sys.dont_write_bytecode, sys.pycache_prefix)"]


def test_where_it_is_forbidden_it_is_kept_in_build(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    monkeypatch.setattr(sys, "pycache_prefix", None)
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    monkeypatch.setenv("PYTHONPYCACHEPREFIX", "")
    bytecode.keep()
    assert (sys.dont_write_bytecode, sys.pycache_prefix) == (False, str(bytecode.FOLDER))
    assert subprocess.check_output(ASK, text=True) == f"False {bytecode.FOLDER}\n"


def test_where_it_is_allowed_nothing_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    before = sys.pycache_prefix, dict(os.environ)
    bytecode.keep()
    assert (sys.pycache_prefix, dict(os.environ)) == before
