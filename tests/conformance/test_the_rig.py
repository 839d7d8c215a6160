"""A rig that cannot be entered leaves nothing behind, and gives a slow machine as much more time."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import tokaido.hal as hal
from tokaido.emulators import Emulator
from tokaido.emulators.conformance import suite
from tokaido.emulators.conformance._key_rig import KeyRig
from tokaido.emulators.conformance._plan import Plan
from tokaido.emulators.conformance._rig import OVERRUN_S, Rig

UNIT = "toshiba.transmitter"
kinds = pytest.mark.parametrize("kind", [Rig, KeyRig])


def plan(**options: Any) -> Plan:
    made: Plan = suite(UNIT, wire_ends=["emu"], **options).plan
    return made


def held() -> tuple[set[threading.Thread], set[str]]:
    """Return the threads of this process and the descriptors that it has open."""
    return set(threading.enumerate()), {file.name for file in Path("/proc/self/fd").iterdir()}


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[Emulator]:
    """The emulators that were started."""
    found: list[Emulator] = []
    launch = Rig.launch

    def noted(self: Rig, serial_number: str | None = None) -> Emulator:
        found.append(launch(self, serial_number))
        return found[-1]

    monkeypatch.setattr(Rig, "launch", noted)
    return found


@kinds
def test_making_a_rig_starts_nothing(kind: type[Rig], started: list[Emulator]) -> None:
    before = held()
    rig = kind(plan(), "emu")
    rig.close()
    assert started == []
    assert held() == before


@kinds
@pytest.mark.parametrize("failing", ["open", "identity"])
def test_a_rig_whose_driver_fails_leaves_no_emulator_behind(
    kind: type[Rig], failing: str, started: list[Emulator], monkeypatch: pytest.MonkeyPatch
) -> None:
    with kind(plan(), "emu"):
        pass  # what is made once for all, such as ZeroMQ's own threads, is there
    started.clear()
    before = held()

    def fail(*_: object, **__: object) -> None:
        raise hal.NotConnectedError("it is not to be")

    if failing == "open":
        monkeypatch.setattr(hal.Device, "open", fail)
    else:
        from tokaido.drivers.toshiba import Transmitter

        monkeypatch.setattr(Transmitter, "identity", fail)
    with pytest.raises(hal.NotConnectedError, match="not to be"), kind(plan(), "emu"):
        pytest.fail("it was entered")
    assert len(started) == 1
    assert not Path(started[0].client_keys.secret).exists()
    assert held() == before


@kinds
def test_on_a_slow_machine_every_deadline_of_a_rig_is_longer(kind: type[Rig]) -> None:
    with kind(plan(slowness=lambda: 1.0), "emu") as usual, kind(plan(slowness=lambda: 3.0), "emu") as slow:
        assert slow.deadline_s == slow.device.transport.timeout_s == slow.plan.timeout
        assert slow.deadline_s == pytest.approx(3 * usual.deadline_s)
        assert usual.overrun_s == OVERRUN_S
        assert slow.overrun_s == pytest.approx(3 * OVERRUN_S)
        assert slow.plan.lasts_s["hang"] == pytest.approx(3 * usual.plan.lasts_s["hang"])
        slow.unhurry()
        assert slow.deadline_s == pytest.approx(6 * usual.plan.timeout)


def test_a_call_that_takes_too_long_is_found_out_unless_the_machine_grew_slow() -> None:
    with Rig(plan(), "emu") as rig:
        too_long_s = rig.deadline_s + OVERRUN_S + 0.1
        with pytest.raises(AssertionError, match="were the most"):
            rig.call(lambda: rig.clock.wait(too_long_s))
        rig.plan = replace(rig.plan, slowness=lambda: 2.0)
        rig.call(lambda: rig.clock.wait(too_long_s))
        with pytest.raises(AssertionError, match="were the most"):
            rig.call(lambda: rig.clock.wait(too_long_s + OVERRUN_S))
