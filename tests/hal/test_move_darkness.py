"""No switch moves, on the way there or back, while a laser emits or a shutter stands open."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

import tokaido.hal as hal
from tokaido_testing.moves import check_whole, move
from tokaido_testing.toy_link import World

BRIGHT = {"alice": "still emits", "bob": "still has its shutter open"}
either_unit = pytest.mark.parametrize("name", BRIGHT)


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def book(tmp_path: Path, world: World) -> hal.LeaseBook:
    return hal.LeaseBook(tmp_path / "leases.sqlite", clock=world.clock)


def moved(world: World) -> list[str]:
    return [what for device, what in world.log if device in world.switches]


@either_unit
def test_a_unit_that_stays_bright_keeps_the_switches_where_they_are(
    name: str, world: World, book: hal.LeaseBook
) -> None:
    world.afterglow_s[name] = math.inf
    with pytest.raises(hal.MoveError, match=f"step prepare failed: {BRIGHT[name]} 2 s after .*device {name}") as caught:
        move(world, "B", book)
    assert caught.value.step == "prepare"
    assert moved(world) == []
    assert world.violations == []


@either_unit
def test_a_unit_that_lights_up_while_it_is_set_to_its_link_keeps_the_switches_where_they_are(
    name: str, world: World, book: hal.LeaseBook
) -> None:
    def light_up(step: str) -> None:
        if step == "fence":
            world.afterglow_s[name] = math.inf
            world.units[name].bright = True

    with pytest.raises(hal.MoveError, match=f"step fence failed: {BRIGHT[name]} 2 s after .*device {name}"):
        move(world, "B", book, on_step=light_up)
    assert moved(world) == []
    assert world.violations == []


@either_unit
def test_on_the_way_back_too_a_bright_unit_keeps_the_switches_where_they_are(
    name: str, world: World, book: hal.LeaseBook
) -> None:
    world.whole = {"A"}

    def stick(step: str) -> None:
        if step == "light":
            world.afterglow_s[name] = math.inf
            world.units[name].bright = True

    with pytest.raises(hal.MoveError, match="step light failed: no clock light") as caught:
        move(world, "B", book, on_step=stick)
    assert len(moved(world)) == 2  # there, and not back
    assert world.violations == []
    assert not caught.value.rolled_back
    assert BRIGHT[name] in caught.value.unrestored[name]
    for switch in world.switches:
        assert f"it was not moved, since {name} may not be dark" in caught.value.unrestored[switch]


@either_unit
def test_a_unit_that_grows_dark_within_two_seconds_is_waited_for(name: str, world: World, book: hal.LeaseBook) -> None:
    world.afterglow_s[name] = 1.0
    report = move(world, "B", book)
    check_whole(world, "B")
    seconds = {step.name: step.seconds for step in report.steps}
    assert 1 <= seconds["prepare"] <= 1.3


@pytest.mark.parametrize("name", ["alice", "bob"])
def test_a_unit_that_heeds_the_token_of_this_very_move_is_not_moved(
    name: str, world: World, book: hal.LeaseBook
) -> None:
    """Two lease books count alike: a token that a unit heeds already is that of another move."""
    world.units[name].fencing_token = 1
    with pytest.raises(hal.RefusedError, match=f"token 1, and this move has 1; nothing was touched .device {name}"):
        move(world, "B", book)
    assert world.log == []
    move(world, "B", book)  # whose token is 2
    check_whole(world, "B")
