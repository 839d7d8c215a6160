"""A unit at rest, or running calmly, skips its looks around, which alters nothing; and it says when it is to look."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest

from tokaido.emulators.nec import ReceiverModel as NecReceiver
from tokaido.emulators.nec import TransmitterModel as NecTransmitter
from tokaido.emulators.toshiba import ReceiverModel, TransmitterModel
from tokaido.emulators.units import TICK_NS
from tokaido.emulators.units._peer import MOST_WAITING
from tokaido.emulators.units._readings import Noise

SECOND_NS = 1_000_000_000
MODELS: list[Any] = [TransmitterModel, ReceiverModel, NecTransmitter, NecReceiver]


def everything(unit: Any) -> tuple[Any, ...]:
    """Return all that a host could see of a unit, and its temperatures to the last bit."""
    alarms = [(alarm.kind.code, alarm.since_ns) for alarm in unit.alarms.active()]
    bodies = [body.temperature for body in (*unit.bodies(), unit.chassis)]
    return unit.state, unit.now_ns, alarms, unit.alarms.seq, bodies, unit.telemetry(), unit.telemetry_ages()


def live(unit: Any, steps: list[int], *, wakeful: bool) -> list[tuple[Any, ...]]:
    """Let a unit meet some things, and return what was seen of it; a wakeful one never rests."""
    seen = []

    def wait(seconds: float) -> None:
        to_ns = unit.now_ns + round(seconds * SECOND_NS)
        turn = 0
        while unit.now_ns < to_ns:
            step_ns = TICK_NS if wakeful else steps[turn % len(steps)]
            unit.advance(min(unit.now_ns + step_ns, to_ns))
            if wakeful:
                unit.touch()
            turn += 1
        seen.append(everything(unit))

    wait(31.3)
    unit.set_watchdog(7.3, "0123ABCD")
    wait(12.0)
    unit.add_fault("chassis_hot")
    wait(25.0)
    unit.faults.remove("chassis_hot")
    wait(35.0)
    unit.orders.obey("power_off", called="power_off")
    wait(20.0)
    unit.orders.obey("power_on", called="power_on")
    wait(70.0)
    return seen


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("state", ["STANDBY", "AUTH", "OFF", "RUN"])
def test_rest_alters_nothing(model: Any, state: str) -> None:
    def unit() -> Any:
        made = model("TK-REST", seed=5)
        if state == "AUTH":
            made.warm()
        else:
            made.prepare(state)
        return made

    def story(steps: list[int], *, wakeful: bool) -> list[tuple[Any, ...]]:
        made = unit()
        if state == "OFF":
            made.orders.obey("power_on", called="power_on")
        return live(made, steps, wakeful=wakeful)

    awake = story([], wakeful=True)
    assert story([100 * SECOND_NS], wakeful=False) == awake
    assert story([7_000_000, 333_000_001, SECOND_NS], wakeful=False) == awake


def test_a_unit_at_rest_is_due_once_a_second_and_one_that_was_touched_at_its_next_tick() -> None:
    unit = NecReceiver("TK-REST")
    unit.prepare("STANDBY")
    assert unit.due_ns() == TICK_NS
    unit.advance(3 * TICK_NS + 1)
    assert unit.due_ns() == SECOND_NS
    unit.receive("control", b"KEY:COUN?\n")
    assert unit.due_ns() == 4 * TICK_NS
    unit.advance(4 * TICK_NS)
    assert unit.due_ns() == SECOND_NS
    unit.add_fault("chassis_hot")
    unit.advance(5 * SECOND_NS)
    assert unit.due_ns() == 5 * SECOND_NS + TICK_NS


def test_a_unit_that_runs_looks_around_each_second_while_nothing_comes_from_outside() -> None:
    unit, looks = NecReceiver("TK-REST"), 0
    unit.prepare("RUN")
    unit.advance(TICK_NS)
    say = unit.peer.tick

    def look() -> None:
        nonlocal looks
        looks += 1
        say()

    unit.peer.tick = look  # type: ignore[method-assign]
    unit.advance(11 * SECOND_NS)
    assert looks == 12
    unit.add_fault("chassis_hot")
    unit.advance(12 * SECOND_NS)
    assert looks == 12 + 20


def test_a_unit_is_due_at_the_end_of_its_watchdog() -> None:
    unit = TransmitterModel("TK-REST")
    unit.prepare("STANDBY")
    unit.advance(SECOND_NS)
    unit.set_watchdog(5.33, "0123ABCD")
    unit.touch()
    unit.advance(6 * SECOND_NS + TICK_NS)
    assert unit.due_ns() == 6 * SECOND_NS + 7 * TICK_NS
    unit.advance(unit.due_ns())
    assert "LEASE_EXPIRED" in unit.alarms
    assert unit.alarms.active()[0].since_ns == 6 * SECOND_NS + 7 * TICK_NS


def test_a_unit_that_stands_alone_keeps_few_messages_for_nobody() -> None:
    unit = ReceiverModel("TK-REST")
    unit.warm()
    unit.advance(3600 * SECOND_NS)
    assert len(unit.peer.take()) == MOST_WAITING


def test_noise_is_what_it_was() -> None:
    noise = Noise("7/TK-REST")
    for now_ns in range(0, 10 * SECOND_NS, 77_000_000):
        digest = hashlib.blake2b(f"7/TK-REST/x/{now_ns // 100_000_000}".encode(), digest_size=8).digest()
        uniform = sum(int.from_bytes(digest[i : i + 2], "big") for i in (0, 2, 4, 6)) / 65535 - 2
        assert noise.around("x", 3.5, 0.1, now_ns) == 3.5 + 0.1 * uniform * 3**0.5
