"""A move that fails is undone, or its error says device by device what is not as it was."""

from __future__ import annotations

from pathlib import Path
from typing import Any, get_args

import pytest

import tokaido.hal as hal
from tokaido.hal.driver import Answer
from tokaido_testing.moves import QuickBook, check_whole, move
from tokaido_testing.toy_link import Fault, Kind, World

KINDS: tuple[Kind, ...] = get_args(Kind)
CALLS = {"alice": 30, "bob": 28, "west": 10, "east": 10}
"""How often a good move asks each device."""
CALLS_BACK = {"alice": (14, 39), "bob": (14, 41), "west": (10, 17), "east": (10, 17)}
"""Which calls come between the step light and the end, if there is no light on the new path."""
STEPS = ["check", "prepare", "fence", "switch", "verify", "light", "align", "start"]


@pytest.fixture(params=[(), ("east",)], ids=["all switches the transmitter's", "one switch at each end"])
def world(request: pytest.FixtureRequest) -> World:
    return World(receiver_switches=request.param)


@pytest.fixture
def book(tmp_path: Path, world: World) -> hal.LeaseBook:
    return hal.LeaseBook(tmp_path / "leases.sqlite", clock=world.clock)


def test_no_light_on_the_new_path_brings_everything_back(world: World, book: hal.LeaseBook) -> None:
    world.whole = {"A"}
    before = world.shown()
    with pytest.raises(hal.MoveError, match=r"step light failed: no clock light.*everything is as it was") as caught:
        move(world, "B", book)
    error = caught.value
    assert (error.step, error.rolled_back, error.restarted, error.unrestored) == ("light", True, True, {})
    assert [step.name for step in error.steps] == STEPS[:6]
    assert world.shown() == before
    assert world.runs()
    assert {unit.fencing_token for unit in world.units.values()} == {1}
    assert world.violations == []
    assert book.inspect("link.field") is None


def test_no_light_on_either_path_leaves_units_that_align_when_it_comes(world: World, book: hal.LeaseBook) -> None:
    world.whole = set()
    with pytest.raises(hal.MoveError, match="align by themselves when light comes") as caught:
        move(world, "B", book)
    assert (caught.value.rolled_back, caught.value.restarted) == (True, False)
    world.whole = {"A"}
    for _ in range(3):
        world.clock.wait(1)
        world.receiver.state()
    assert world.receiver.state() is hal.UnitState.STANDBY


def test_light_of_before_the_move_does_not_count(
    world: World, book: hal.LeaseBook, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        type(world.receiver), "_ask_all", lambda self: {"CLK:POW": Answer("-20", age_s=30.0)}, raising=True
    )
    with pytest.raises(hal.MoveError, match="no clock light"):
        move(world, "B", book)


def test_a_unit_that_gets_stuck_ends_the_wait_at_once(world: World, book: hal.LeaseBook) -> None:
    world.blind = True

    def get_stuck(step: str) -> None:
        if step == "light":
            world.units["bob"].state = "FAULT"

    with pytest.raises(hal.MoveError, match="FAULT") as caught:
        move(world, "B", book, on_step=get_stuck)
    assert not caught.value.rolled_back
    assert "bob" in caught.value.unrestored
    assert world.violations == []


def test_a_unit_that_goes_on_to_align_in_between_is_brought_back(world: World, book: hal.LeaseBook) -> None:
    def go_on(step: str) -> None:
        if step == "fence":
            for unit in world.units.values():
                unit.state, unit.bright = "ALIGN", True

    move(world, "B", book, on_step=go_on)
    check_whole(world, "B")


def test_a_map_that_somebody_changes_meanwhile_is_found_out(world: World, book: hal.LeaseBook) -> None:
    def change(step: str) -> None:
        if step == "verify":
            world.maps["west"] = {1: 1, 5: 5}

    with pytest.raises(hal.MoveError, match=r"step verify failed: joined \{1: 2\} and joins \{1: 1\}"):
        move(world, "B", book, on_step=change)
    check_whole(world, "A")


def test_a_unit_that_somebody_else_sets_meanwhile_is_left_to_him(world: World, book: hal.LeaseBook) -> None:
    def change(step: str) -> None:
        if step == "verify":
            world.units["bob"].fencing_token = 8

    with pytest.raises(hal.MoveError, match=r"step verify failed: was set to .* and is set to") as caught:
        move(world, "B", book, on_step=change)
    assert set(caught.value.unrestored) == {"bob"}
    assert "fence 1 is below 8" in caught.value.unrestored["bob"]


@pytest.mark.parametrize(
    ("transmitter", "receiver", "waits"),
    [
        (("RX-1", "A"), ("TX-1", "A"), ("TX-1", "A")),
        (("RX-1", "B"), ("TX-1", "A"), ("TX-1", "A")),
        (("RX-1", "B"), ("TX-1", "B"), ("TX-1", "A")),
        (("RX-1", "A"), ("TX-1", "B"), ("", "")),  # over A it would meet the transmitter
        (("RX-1", "A"), ("TX-9", "A"), ("", "")),  # there it could meet another transmitter
        (("RX-9", "A"), ("TX-9", "A"), ("TX-1", "A")),
        (("", ""), ("", ""), ("TX-1", "A")),
    ],
)
@pytest.mark.parametrize("state", ["AUTH", "STANDBY"])
def test_the_receiver_waits_where_it_meets_no_transmitter(
    *,
    transmitter: tuple[str, str],
    receiver: tuple[str, str],
    waits: tuple[str, str],
    state: str,
    world: World,
    book: hal.LeaseBook,
) -> None:
    for unit, selected in zip(world.units.values(), (transmitter, receiver), strict=True):
        unit.peer, unit.path = selected
        unit.state, unit.bright, unit.aligned = state, False, False
    move(world, "B", book, start=True)
    check_whole(world, "B")
    told = [what for device, what in world.log if device == "bob" and what.startswith("select")]
    assert told == [f"select {waits[0]} {waits[1]} 1", "select TX-1 B 1"]


def test_an_error_of_the_caller_s_own_is_rolled_back_too(world: World, book: hal.LeaseBook) -> None:
    before = world.shown()
    for step in STEPS[1:]:

        def fail(name: str, step: str = step) -> None:
            if name == step:
                raise ZeroDivisionError(step)

        with pytest.raises(hal.MoveError) as caught:
            move(world, "B", book, on_step=fail)
        assert isinstance(caught.value.__cause__, ZeroDivisionError)
        assert caught.value.step == step
        assert caught.value.rolled_back
        assert world.shown() == before
        assert world.runs()
    assert world.violations == []


def test_an_interruption_is_rolled_back_and_goes_on_as_itself(world: World, book: hal.LeaseBook) -> None:
    def interrupt(name: str) -> None:
        if name == "verify":
            raise KeyboardInterrupt

    before = world.shown()
    with pytest.raises(KeyboardInterrupt) as caught:
        move(world, "B", book, on_step=interrupt)
    assert "everything is as it was" in caught.value.__notes__[0]
    assert world.shown() == before
    assert world.runs()


def test_a_failed_drain_touches_nothing(world: World, book: hal.LeaseBook) -> None:
    def drain(unit: hal.Unit) -> None:
        raise hal.DeviceTimeoutError("no key channel")

    with pytest.raises(hal.MoveError, match="step prepare failed: no key channel") as caught:
        move(world, "B", book, drain=drain)
    assert (caught.value.rolled_back, caught.value.restarted) == (True, True)
    assert world.log == []
    assert world.runs()


def test_a_good_move_makes_as_many_calls_as_are_made_to_fail_below(world: World) -> None:
    move(world, "B", QuickBook())
    assert dict(world.counts) == CALLS
    world, begun = World(), dict[str, dict[str, int]]()
    world.whole = {"A"}
    with pytest.raises(hal.MoveError):
        move(world, "B", QuickBook(), light_timeout=0.3, on_step=lambda step: begun.update({step: dict(world.counts)}))
    assert {name: (begun["light"][name], count) for name, count in world.counts.items()} == CALLS_BACK


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("device", "index"), [(device, i) for device, count in CALLS.items() for i in range(count)])
def test_whatever_call_fails_it_is_whole_or_as_before_or_told(device: str, index: int, kind: Kind) -> None:
    world, book = World(), QuickBook()
    before = world.shown()
    world.fault = Fault(device, index, kind)
    try:
        move(world, "B", book)
    except hal.MoveError as error:
        assert not kind.startswith("unknown")  # a lost reply alone is not a reason to give up
        check_told(world, before, error, device if kind.startswith("dead") else "")
    except hal.TokaidoError:
        assert world.log == []
        assert (world.shown(), world.runs()) == (before, True)
    else:
        check_whole(world, "B")
    world.fault = None  # whatever it was is mended: another move makes it whole
    move(world, "B", book, start=True)
    check_whole(world, "B")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("device", "index"), [(device, i) for device, (first, last) in CALLS_BACK.items() for i in range(first, last)]
)
def test_whatever_call_fails_on_the_way_back_it_is_told(device: str, index: int, kind: Kind) -> None:
    world, book = World(receiver_switches=("east",)), QuickBook()
    world.whole = {"A"}
    before = world.shown()
    world.fault = Fault(device, index, kind)
    with pytest.raises(hal.MoveError) as caught:
        move(world, "B", book, light_timeout=0.3)
    changed = {name for name, value in world.shown().items() if value != before[name]}
    assert changed <= set(caught.value.unrestored)
    assert caught.value.rolled_back == (not caught.value.unrestored)
    if kind.startswith("unknown"):
        assert caught.value.rolled_back
    assert not caught.value.restarted or world.runs()
    if kind.startswith("unknown"):
        assert caught.value.restarted
    assert world.violations == []
    world.fault = None
    move(world, "A", book, start=True)
    check_whole(world, "A")


def check_told(world: World, before: dict[str, Any], error: hal.MoveError, dead: str) -> None:
    """See that the error tells exactly what is not as it was."""
    after = world.shown()
    changed = {name for name in before if after[name] != before[name]}
    assert changed <= set(error.unrestored)
    assert set(error.unrestored) - changed <= {dead}
    assert error.rolled_back == (not error.unrestored)
    if not dead:
        assert error.rolled_back
        assert error.restarted
        assert world.runs()
    if error.restarted:
        assert world.runs()
    if error.unrestored:  # then no light goes where it should not
        assert not (world.units["alice"].bright and world.lit()) or dead in ("alice", "bob")
