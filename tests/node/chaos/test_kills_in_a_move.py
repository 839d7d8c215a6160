"""Either node of a move between two sites is killed at every named step of it: the move is whole or rolled back."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path

import pytest

from tokaido_testing.chaos_line import LONG, seed
from tokaido_testing.moving_nodes import MovingNodes, die_and_finish

ROUNDS = 3
"""How often a node dies at each step, in the long form; the short form has some steps once."""
SOME = 3
LEADER_STEPS = (
    *("before say prepare", "after say prepare", "after make dark", "after note switching"),
    *("after say switch", "before switch", "after switch", "after note finishing", "after say finish"),
)
LEADER_STEPS_BACK = (
    *("after note returning", "before switch back", "after switch back", "after say back", "after note cancelling"),
    *("after take the path before", "after say cancel", "after note cancelled"),
)
"""Where its own switches cannot move."""
FOLLOWER_STEPS = (
    *("after check", "after note begun", "after make dark", "after note switching"),
    *("before switch", "after switch", "after note moved", "after note finished"),
)
FOLLOWER_STEPS_BACK = (
    *("before note returning", "after note returning", "before switch back", "after switch back", "after note back"),
    *("before note cancelled", "after note cancelled"),
)
"""Nobody was told yet of the deed that the node dies after."""


ALWAYS = {LEADER_STEPS: [("after note cancelled", "switch")], FOLLOWER_STEPS: [("after note finished", "")]}
"""The move is over, and nobody was told."""


def drawn_steps(forward: tuple[str, ...], back: tuple[str, ...]) -> list[tuple[str, str]]:
    """Return where nodes die in this run, each with the deed that fails before."""
    steps = [(step, "") for step in forward] + [(step, "switch") for step in back]
    return steps * ROUNDS if LONG else ALWAYS[forward] + random.Random(seed()).sample(steps, SOME)


@pytest.mark.thorough
@pytest.mark.timeout(1800)
def test_what_a_killed_leader_left_the_next_one_finishes(tmp_path: Path, certificates: Path) -> None:
    steps = drawn_steps(LEADER_STEPS, LEADER_STEPS_BACK)

    async def live() -> None:
        async with MovingNodes(tmp_path, certificates) as nodes:
            for step, failing in steps:
                assert await die_and_finish(nodes, "otemachi", step, failing) == (not failing), step

    asyncio.run(live())


@pytest.mark.thorough
@pytest.mark.timeout(1800)
def test_a_killed_follower_leaves_no_half_move(tmp_path: Path, certificates: Path) -> None:
    steps = drawn_steps(FOLLOWER_STEPS, FOLLOWER_STEPS_BACK)

    async def live() -> None:
        moved: set[bool] = set()
        async with MovingNodes(tmp_path, certificates) as nodes:
            for step, failing in steps:
                moved.add(found := await die_and_finish(nodes, "koganei", step, failing))
                assert not (failing and found), step
        assert not LONG or moved == {True, False}

    asyncio.run(live())
