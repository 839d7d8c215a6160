"""The page on how to write a driver, taken at its word: its files are written out, registered and run."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tokaido_testing.packages import write_metadata

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "write-a-driver.md"
BLOCK = re.compile(r'^```\w+ title="([^"]+)"\n(.*?)^```$', re.MULTILINE | re.DOTALL)

PYTEST = "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:asyncio"


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files of the page in a folder, with the metadata that installing them would leave."""
    folder = tmp_path_factory.mktemp("acme")
    for name, text in BLOCK.findall(PAGE.read_text(encoding="utf-8")):
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    write_metadata((folder / "pyproject.toml").read_text(encoding="utf-8"), folder)
    (folder / "pyproject.toml").unlink()  # pytest would take it for its own settings
    return folder


def run(project: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run Python in the project's folder, as a user who installed it would."""
    return subprocess.run(
        [sys.executable, "-W", "error", *arguments],
        cwd=project,
        env={**os.environ, "PYTHONPATH": str(project), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )


def test_the_driver_runs_on_its_emulator(project: Path) -> None:
    done = run(project, "try_acme.py")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        "Identity(vendor='ACME', model='OS-4', serial_number='A0001', firmware='1.0')",
        "{1: 3} 24.5",
    ]


def test_the_conformance_suite_passes_and_tells_what_it_compared(project: Path) -> None:
    done = run(project, *PYTEST, "-s", "-p", "no:xdist", "test_acme.py")
    assert done.returncode == 0, done.stdout[-4000:]
    told = re.search(r"acme\.switch: (\d+) outcomes compared: 0 wrong, 0 foreign exceptions", done.stdout)
    assert told is not None, done.stdout[-4000:]
    assert int(told[1]) > 200


def test_a_driver_that_does_not_read_what_it_set_is_found_out(project: Path) -> None:
    """The suite sees what it is there to see: here a driver that believes its own memory."""
    path = project / "acme" / "driver.py"
    right = path.read_text(encoding="utf-8")
    asked = 'output = self._read("CH?", int)'
    told = 'self._command(f"CH {pairs.get(1, 0)}")'
    assert asked in right
    assert told in right
    believing = right.replace(asked, "output = self._last").replace(
        told, f"{told}\n        self._last = pairs.get(1, 0)"
    )
    path.write_text(believing.replace('protocol = "acme"', "_last = 0"), encoding="utf-8")
    try:
        done = run(project, *PYTEST, "-k", "emu and (alarm or set)", "test_acme.py")
    finally:
        path.write_text(right, encoding="utf-8")
    assert done.returncode == 1, done.stdout[-4000:]
    assert "in truth" in done.stdout
