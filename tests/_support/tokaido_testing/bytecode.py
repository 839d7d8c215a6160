"""Compile a module once, not in every worker, child process and run, also where the environment forbids bytecode."""

from __future__ import annotations

import os
import sys
from pathlib import Path

FOLDER = Path(__file__).parents[3] / "build" / "bytecode"


def keep() -> None:
    """Let this process and its children keep bytecode in `build`, unless they may keep it where Python does.

    Of what a worker takes before its first test, two thirds is compiling; of what a command takes to start, a half.
    """
    if sys.dont_write_bytecode:
        sys.dont_write_bytecode = False
        sys.pycache_prefix = os.environ["PYTHONPYCACHEPREFIX"] = str(FOLDER)
        os.environ.pop("PYTHONDONTWRITEBYTECODE", None)


def environment() -> dict[str, str]:
    """Return the environment of a child that leaves no bytecode beside the programs that it runs."""
    apart = "PYTHONPYCACHEPREFIX" in os.environ
    return {**os.environ} if apart else {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
