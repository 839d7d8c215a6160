"""Importing hal is cheap: costly modules wait until they are needed."""

from __future__ import annotations

import json
import subprocess
import sys

from tokaido.emulators import launch

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
LATE = ("dataclasses", "inspect", "ipaddress", "logging", "pathlib", "traceback", "urllib.parse")
"""Modules of the standard library that some calls need, and neither the import nor a reading."""
FIRST_READING = """
import tokaido.hal as hal
with hal.Transmitter.open("toshiba.transmitter", control={control!r}) as tx:
    assert isinstance(tx.laser_temperature, float)
"""


def loaded_by(statement: str) -> set[str]:
    code = f"{statement}\nimport sys, json; print(json.dumps(sorted(sys.modules)))"
    run = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    return set(json.loads(run.stdout))


def test_importing_hal_loads_nothing_heavy() -> None:
    bare = loaded_by("pass")
    modules = loaded_by("import tokaido.hal") - bare
    assert not modules & {*HEAVY, *LATE}
    assert len(modules) <= 60


def test_importing_a_driver_loads_nothing_heavy() -> None:
    modules = loaded_by("import tokaido.drivers.toshiba") - loaded_by("pass")
    assert not modules & set(HEAVY)


def test_a_first_reading_loads_pyserial_and_nothing_heavy_beside() -> None:
    with launch("toshiba.transmitter", serial_number="TKTX0001", warm=True) as unit:
        modules = loaded_by(FIRST_READING.format(control=unit.resources["control"])) - loaded_by("pass")
    assert modules & {*HEAVY, *LATE} == {"serial"}


def test_the_list_would_notice_a_heavy_module() -> None:
    assert "asyncio" in loaded_by("import tokaido.hal.aio")
