"""One seed, one run: the bytes on every wire are the same, however busy the machine is.

The suite has it done twice. With `TOKAIDO_REPEATS=10` in the environment it is done ten times, with three busy
processes beside and with keys drawn.
"""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import sys
from collections import deque
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

import tokaido.hal as hal
from tokaido.emulators.ends import InProcessMessages
from tokaido.emulators.testing import LinkInTest, World
from tokaido_testing.user_tests import run

pytest_plugins = ["pytester"]

REPEATS = int(os.environ.get("TOKAIDO_REPEATS", "2"))
BUSY_PROCESSES = 3 if REPEATS > 2 else 0
BUSY = "import time; end = time.monotonic() + 300\nwhile time.monotonic() < end: pass"
SHOWN = re.compile(r"-+ Tokaido, call -+\n(.*?)\n(?:-+ Tokaido|=+ short)", re.DOTALL)


@pytest.fixture
def busy_machine() -> Any:
    """Processes beside, each of which would take a core."""
    with ExitStack() as stack:
        for _ in range(BUSY_PROCESSES):
            process = subprocess.Popen([sys.executable, "-c", BUSY])
            stack.callback(process.wait)
            stack.callback(process.kill)
        yield


@pytest.mark.timeout(60 if REPEATS <= 2 else 300)
@pytest.mark.usefixtures("busy_machine")
def test_the_transcript_of_a_failing_test_is_repeated_to_the_byte(pytester: pytest.Pytester) -> None:
    text = f"""
        @pytest.mark.tokaido_fault("receiver", "drop", probability=0.2)
        def test_it(running_qkd_link, optical_switch, faults):
            for unit in running_qkd_link.units:
                try:
                    unit.set_watchdog(30)
                except hal.OutcomeUnknownError:
                    pass
            {"running_qkd_link.draw()" if REPEATS > 2 else ""}
            optical_switch.disconnect(1)
            for _ in range(20):
                running_qkd_link.world.clock.wait(0.5)
                try:
                    running_qkd_link.receiver.telemetry()
                except hal.DeviceTimeoutError:
                    pass
            assert False
        """
    shown = set()
    for number in range(REPEATS):  # in several processes, since what hangs on their hashes would be the same in one
        result = run(pytester, text, "--tokaido-seed=4711", "-p", "no:xdist", apart=number != 1)
        result.assert_outcomes(failed=1)
        found = SHOWN.search(result.stdout.str())
        assert found is not None
        assert found[1].count("\n") == 200
        assert " bob < " in found[1]
        shown.add(found[1])
    assert len(shown) == 1


@pytest.mark.parametrize("vendor", ["toshiba", "nec"])
def test_every_byte_on_every_wire_is_repeated_keys_included(
    vendor: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing that a driver, a unit or the bench makes up is left to the system: no id, no name, no key."""
    carried: list[str] = []
    plain = InProcessMessages._meet

    def noted(wire: InProcessMessages, direction: Any, piece: list[bytes]) -> None:
        content = b"\0".join(wire._content(piece))  # without ZeroMQ's name for a connection
        digest = hashlib.sha256(content).hexdigest()
        carried.append(f"{wire._clock.monotonic_ns()} {wire._port} {direction} {len(content)} {digest}")
        plain(wire, direction, piece)

    monkeypatch.setattr(InProcessMessages, "_meet", noted)
    runs = []
    for directory, seed, use in (("one", 7, _use_all), ("two", 7, _use_all), ("other", 8, _use_little)):
        carried = []
        with World(seed=seed, directory=tmp_path / directory) as world:
            world.records = deque()
            use(world, vendor)
        runs.append([*carried, *world.records])
    for wire in ("keys to_unit", "keys from_unit", "alice >", "alice <", "bob >", "bob <", "switch >", "switch <"):
        assert sum(f" {wire} " in line for line in runs[0]) >= 5, wire
    assert runs[0] == runs[1]
    assert set(runs[2]).isdisjoint(runs[0])


def _use_little(world: World, vendor: str) -> None:
    world.emulate("bob", f"{vendor}.receiver")
    world.start()
    receiver = world.open(hal.Receiver, "bob", f"{vendor}.receiver")
    receiver.set_watchdog(300)
    assert list(receiver.key_blocks(0)) == []


def _use_all(world: World, vendor: str) -> None:
    link = LinkInTest(world, vendor, switched=True)
    link.wait_for(hal.UnitState.STANDBY)
    assert link.optical_switch is not None
    for unit in link.units:
        unit.set_watchdog(300)
        serial_number = next(other.identity().serial_number for other in link.units if other is not unit)
        unit.load_preshared_key(hal.KeyMaterial(bytes(range(256)) * 16), peer=serial_number, path="C")
    link.start()
    link.draw()
    for unit in link.units:
        unit.stop()
    for unit in link.units:
        unit.telemetry()
        stream = unit.telemetry_stream(1.0, 5.0)
        assert next(stream) is not None
        stream.close()  # type: ignore[attr-defined]
    again = world.open(hal.Receiver, "bob", f"{vendor}.receiver")  # a second program's ids are another's, and repeated
    again.telemetry()
