"""Importing hal is cheap: costly modules wait until they are needed."""

from __future__ import annotations

import json
import subprocess
import sys

HEAVY = (
    "numpy",
    "pyvisa",
    "zmq",
    "asyncio",
    "msgspec",
    "cryptography",
    "serial",
    "importlib.metadata",
    "typer",
    "rich",
)


def loaded_by(statement: str) -> set[str]:
    code = f"import sys, json; {statement}; print(json.dumps(sorted(sys.modules)))"
    run = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    return set(json.loads(run.stdout))


def test_importing_hal_loads_nothing_heavy() -> None:
    bare = loaded_by("pass")
    modules = loaded_by("import tokaido.hal") - bare
    assert not modules & set(HEAVY)
    assert len(modules) <= 120


def test_importing_a_driver_loads_nothing_heavy() -> None:
    modules = loaded_by("import tokaido.drivers.toshiba") - loaded_by("pass")
    assert not modules & set(HEAVY)


def test_the_list_would_notice_a_heavy_module() -> None:
    assert "asyncio" in loaded_by("import tokaido.hal.aio")
