"""A move of a link between two sites, in every order of what can happen: whole or rolled back, and never bright."""

from __future__ import annotations

import os
from collections import deque

import msgspec
import pytest

from tokaido.node.moving import Follower, Leader, MoveOrder, Order, Stage
from tokaido_testing.two_halves import FIRST, FROM, TO, End, Faults, UnderLightError, World

LONG = os.environ.get("TOKAIDO_CHAOS") == "long"


class BadEndError(AssertionError):
    """What went wrong, with the way that led there."""


def explore(start: World) -> int:
    """Try all that can happen, and see that calm leads from everywhere to a good end; return how many worlds."""
    parents: dict[object, tuple[object | None, str]] = {start.key(): (None, "")}
    good: set[object] = set()
    waiting = deque([start])

    def way(key: object | None) -> str:
        steps: list[str] = []
        while key is not None:
            key, step = parents[key]
            steps.append(step)
        return "\n  ".join(reversed(steps))

    while waiting:
        world = waiting.popleft()
        key = world.key()
        try:
            check_calm(world, good)
            for new in world.successors():
                if (new_key := new.key()) not in parents:
                    parents[new_key] = key, new.told
                    waiting.append(new)
        except (UnderLightError, BadEndError) as error:
            raise AssertionError(f"{error}\nafter{way(key)}") from error
    return len(parents)


def check_calm(world: World, good: set[object]) -> None:
    """See that it ends well if nothing more goes wrong."""
    steps: list[str] = []
    seen: list[object] = []
    now: World | None = world.copy("")
    assert now is not None
    now.faults = Faults()
    while True:
        key = now.key()
        if key in good:
            break
        seen.append(key)
        if len(seen) > 200:
            raise BadEndError(f"it does not end: {steps[-12:]}")
        following = now.calm()
        if following is None:
            check_end(now)
            break
        steps.append(following.told)
        now = following
    good.update(seen)


def check_end(world: World) -> None:
    """See that it is whole or rolled back, and that both units are given back."""
    assert world.leader is not None
    assert world.follower is not None
    finished = world.near_note.stage is Stage.FINISHED
    wanted = TO if finished else FROM
    said = f"leader {world.near_note.stage}, {world.near}; follower {world.far_note}, {world.far}"
    if (world.near.joins, world.far.joins) != (wanted, wanted):
        raise BadEndError(f"the halves join different paths: {said}")
    if not world.near_note.ended or world.leader.holds or world.follower.holds:
        raise BadEndError(f"a unit is held for ever: {said}")
    if (world.far_note is not None and world.far_note.stage is Stage.FINISHED) != finished:
        raise BadEndError(f"one end finished and the other did not: {said}")


@pytest.mark.parametrize(
    "faults",
    [
        Faults(),
        Faults(leader_dies=2),
        Faults(follower_dies=2),
        Faults(leader_dies=1, follower_dies=1),
        Faults(losses=2),
        Faults(leader_dies=1, losses=1),
        Faults(follower_dies=1, losses=1),
        Faults(failures=2),
        Faults(failures=1, losses=1),
        Faults(failures=1, leader_dies=1),
        Faults(failures=1, follower_dies=1),
        Faults(goes_back=1, leader_dies=1),
        Faults(goes_back=1, losses=1),
        Faults(goes_back=1, failures=1),
        Faults(goes_back=1, follower_dies=1),
    ],
    ids=lambda faults: " ".join(f"{name}-{n}" for name, n in vars(faults).items() if n) or "nothing",
)
def test_a_move_is_whole_or_rolled_back_and_dark_whatever_happens(faults: Faults) -> None:
    worlds = explore(World(faults=faults))
    assert worlds > 15
    print(f"{worlds} worlds")


@pytest.mark.parametrize("faults", [Faults(leader_dies=1, failures=1), Faults(follower_dies=1, losses=1)])
def test_so_it_is_where_an_earlier_move_was_left_in_the_middle(faults: Faults) -> None:
    explore(World(faults=faults, far=End(selected=TO)))


def test_an_order_of_a_move_that_is_long_over_begins_nothing() -> None:
    ended = msgspec.structs.replace(FIRST, move=b"the move before.", leads=False, stage=Stage.CANCELLED, token=5)
    first = msgspec.structs.replace(FIRST, token=6)
    long_over = MoveOrder(
        order=Order.PREPARE, link="field", path=TO, move=b"one before that.", token=4, unit="TX", selected=("RX", FROM)
    )
    explore(
        World(
            near_note=first,
            leader=Leader(first, fenced=True),
            far_note=ended,
            follower=Follower(ended),
            tokens=6,
            late=frozenset({long_over}),
            faults=Faults(losses=1, goes_back=1),
        )
    )


@pytest.mark.thorough
@pytest.mark.timeout(600)
def test_a_move_is_whole_or_rolled_back_when_all_of_it_happens_at_once() -> None:
    faults = Faults(1, 1, 2 if LONG else 1, 1, 1)
    print(f"{explore(World(faults=faults))} worlds")
