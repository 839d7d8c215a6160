"""One command of the console, run as a process of its own."""

from __future__ import annotations

import subprocess
import sys
from typing import NamedTuple


class Ran(NamedTuple):
    """What became of a command."""

    code: int
    out: str
    err: str


def run_console(*arguments: str) -> Ran:
    """Run `tokaido ARGUMENTS` as a process of its own."""
    command = [sys.executable, "-c", "import sys, tokaido.console as c; sys.exit(c.main())", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=50, check=False)
    return Ran(done.returncode, done.stdout, done.stderr)
