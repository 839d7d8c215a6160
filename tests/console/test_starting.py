"""Commands load what they need and no more."""

from __future__ import annotations

import json
import subprocess
import sys

PROGRAM = """
import contextlib, io, json, sys
from tokaido.console import main
with contextlib.redirect_stdout(io.StringIO()) as said:
    code = main(sys.argv[1:])
loaded = [name for name in sys.modules if name.startswith(("tokaido.", "numpy"))]
print(json.dumps([code, said.getvalue(), loaded]))
"""


def ran(*arguments: str) -> tuple[int, str, set[str]]:
    """Return the exit code of a command, what it printed, and what was loaded of Tokaido and numpy."""
    done = subprocess.run([sys.executable, "-c", PROGRAM, *arguments], check=True, capture_output=True, text=True)
    code, said, modules = json.loads(done.stdout)
    return code, said, set(modules)


def test_drivers_are_listed_without_an_emulator() -> None:
    code, said, modules = ran("drivers")
    assert code == 0
    assert "toshiba.transmitter\tTransmitter\tserial, zmq\tyes\tTQC1, TQK1" in said.splitlines()
    assert "tokaido.drivers.toshiba" in modules
    assert not [name for name in modules if name.startswith(("tokaido.emulators", "numpy"))]


def test_the_list_for_programs_has_the_wire_ends_of_each_emulator() -> None:
    code, said, modules = ran("drivers", "--json")
    assert code == 0
    found = {driver["name"]: driver["wire_ends"] for driver in json.loads(said)}
    assert found["toshiba.transmitter"] == ["pty", "emu"]
    assert "hislip" in found["polatis.matrix"]
    assert "tokaido.emulators.polatis" in modules


def test_help_needs_no_hal() -> None:
    code, said, modules = ran("--help")
    assert code == 0
    assert "emulate" in said
    assert all(name.startswith("tokaido.console") for name in modules)
