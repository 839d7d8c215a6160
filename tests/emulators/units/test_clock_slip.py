"""Clock slip: a receiver that counts slots by the light of one way loses its count when the way changes."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tokaido.emulators.toshiba import ReceiverModel
from tokaido.emulators.units import Light
from tokaido_testing.console import Program
from tokaido_testing.links import ALIGNING_NS, Rig

NORTH = Light(-15.5, 14.5, count_rates=(640_000.0, 640_000.0), source="TKTX0001", path="north")
OTHER_WAYS = {"path": replace(NORTH, path="south"), "source": replace(NORTH, source="TKTX0002")}


@pytest.fixture
def rx() -> ReceiverModel:
    return receiver("RUN")


def receiver(state: str) -> ReceiverModel:
    """Return a receiver in a state, locked on the light of one way."""
    model = ReceiverModel()
    model.imagine_light = lambda: setattr(model, "incoming", NORTH)  # type: ignore[method-assign]
    model.prepare(state)
    return model


def state(model: ReceiverModel) -> str:
    return f"{model.state} {model.step}".strip()


def footing(model: ReceiverModel) -> list[bool]:
    """Return whether there is a session, the clock is locked, the unit is aligned, and clicks have a slot."""
    return [model.session_id is not None, model.locked, model.aligned, model.sees_slots]


def pass_time(model: ReceiverModel, seconds: float) -> None:
    model.advance(model.now_ns + round(seconds * 1e9))


@pytest.mark.parametrize("name", ["RUN", "TRACK", "DEGRADED"])
@pytest.mark.parametrize("other", OTHER_WAYS)
def test_light_of_another_way_ends_the_session_at_once_and_realigns(name: str, other: str) -> None:
    model = receiver(name)
    before = footing(model)
    model.incoming = OTHER_WAYS[other]
    assert state(model) == "REALIGN BIAS"
    assert (before, footing(model)) == ([True] * 4, [False] * 4)
    pass_time(model, 41)
    assert state(model) == "RUN"
    assert model.sees_slots


def test_light_of_the_same_way_changes_nothing(rx: ReceiverModel) -> None:
    session = rx.session_id
    rx.incoming = replace(NORTH, clock_power_dbm=-17.0, loss_db=16.0)
    pass_time(rx, 1)
    assert (state(rx), rx.session_id) == ("RUN", session)
    assert rx.sees_slots


def test_light_of_the_same_way_after_a_short_darkness_changes_nothing(rx: ReceiverModel) -> None:
    session = rx.session_id
    rx.incoming = None
    pass_time(rx, 1)
    assert not rx.sees_slots
    rx.incoming = NORTH
    pass_time(rx, 1)
    assert (state(rx), rx.session_id) == ("RUN", session)
    assert rx.sees_slots


def test_light_of_another_way_after_darkness_is_a_slip(rx: ReceiverModel) -> None:
    rx.incoming = None
    pass_time(rx, 1)
    assert state(rx) == "DEGRADED"
    rx.incoming = OTHER_WAYS["path"]
    assert state(rx) == "REALIGN BIAS"


def test_a_way_that_changed_and_changed_back_is_a_slip_too(rx: ReceiverModel) -> None:
    rx.way_changed()
    assert (state(rx), footing(rx)) == ("REALIGN BIAS", [False] * 4)
    pass_time(rx, 41)
    assert state(rx) == "RUN"


def test_in_standby_the_unit_stays_there_not_aligned_and_safe() -> None:
    model = receiver("STANDBY")
    before = model.aligned
    model.incoming = OTHER_WAYS["path"]
    pass_time(model, 1)
    assert before
    assert (state(model), footing(model)) == ("STANDBY", [False] * 4)
    program = Program(model)
    assert program.data("SHT?") == "CLOSED"  # which is open in STANDBY only if the unit is aligned
    assert program.data("CLK:LOCK?") == "0"
    assert program.active() == set()
    program.data("KEY START")
    assert program.data("STAT?") == "REALIGN,BIAS"


@pytest.mark.parametrize("name", ["ALIGN", "REALIGN"])
def test_an_alignment_that_has_locked_the_clock_begins_again_with_its_goal(name: str) -> None:
    model = receiver(name)
    pass_time(model, 4 + 8 + 3)
    assert model.step == "SYNC"
    model.incoming = OTHER_WAYS["path"]
    model.way_changed()
    assert state(model) == f"{name} SYNC"  # the clock was not locked yet
    pass_time(model, 4)
    assert model.step == "DELAY"
    model.incoming = NORTH
    assert state(model) == f"{name} BIAS"
    pass_time(model, 41)
    assert state(model) == ("STANDBY" if name == "ALIGN" else "RUN")


@pytest.mark.parametrize("name", ["OFF", "WARMUP", "AUTH", "FAULT", "SECURITY_HOLD"])
def test_a_unit_without_a_locked_clock_takes_no_notice(name: str) -> None:
    model = receiver(name)
    model.incoming = OTHER_WAYS["source"]
    model.way_changed()
    assert state(model) == name


def test_light_that_a_fault_hides_makes_the_clock_slip_when_it_is_seen(rx: ReceiverModel) -> None:
    rx.add_fault("light_lost")
    rx.incoming = OTHER_WAYS["path"]
    pass_time(rx, 1)
    assert state(rx) == "DEGRADED"
    rx.faults.remove("light_lost")
    assert not rx.sees_slots
    pass_time(rx, 0.1)
    assert state(rx) == "REALIGN BIAS"


# --- on a link ------------------------------------------------------------------------------------------------------


def reroute(rig: Rig, fibre: str) -> None:
    """Patch the link over to another fibre."""
    bench = rig.link.bench
    bench.fibre(fibre, length_km=20, loss_db=6.0)
    for end in "ab":
        bench.join(bench.unjoin(f"fibre.{end}"), f"{fibre}.{end}", 0.0)


def test_no_block_has_bits_of_two_ways() -> None:
    rig = Rig().run()
    rig.until(lambda: min(rig.waiting) >= 1, 5)
    rig.pass_time(0.1)
    before, session, others = rig.waiting, rig.rx.session_id, rig.digests(rig.rx)
    reroute(rig, "detour")
    rig.link.step(1)
    assert rig.states[1] == "REALIGN"
    rig.pass_time(1)
    assert [program.data("SES?") for program in rig.programs] == ["-", "-"]
    assert rig.waiting == before
    rig.until(lambda: rig.states == ("RUN", "RUN"), 60, ALIGNING_NS)
    rig.until(lambda: min(rig.waiting) > max(before), 10)
    assert rig.rx.session_id not in (None, session)
    assert rig.digests(rig.tx) == rig.digests(rig.rx)
    new = [name for name in rig.digests(rig.rx) if name not in others]
    assert {name[0] for name in new} == {rig.rx.session_id}
    assert [program.active() for program in rig.programs] == [set(), set()]


def test_the_light_of_a_link_says_where_it_comes_from_and_which_way() -> None:
    rig = Rig()
    reroute(rig, "north")
    rig.until(lambda: rig.rx.incoming is not None, 10)
    light = rig.rx.incoming
    assert light is not None
    assert light.way == ("TKTX0001", "north")
