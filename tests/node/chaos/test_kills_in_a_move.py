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
FOLLOWER_STEPS = (
    *("after check", "after note begun", "after make dark", "after note switching"),
    *("before switch", "after switch", "after note moved", "after note finished"),
)
"""Nobody was told yet of the deed that the node dies after."""


def drawn_steps(steps: tuple[str, ...]) -> tuple[str, ...]:
    """Return where nodes die in this run."""
    return steps * ROUNDS if LONG else tuple(random.Random(seed()).sample(steps, SOME))


@pytest.mark.thorough
@pytest.mark.timeout(1800)
def test_what_a_killed_leader_left_the_next_one_finishes(tmp_path: Path, certificates: Path) -> None:
    steps = drawn_steps(LEADER_STEPS)

    async def live() -> None:
        async with MovingNodes(tmp_path, certificates) as nodes:
            for step in steps:
                assert await die_and_finish(nodes, "otemachi", step), step

    asyncio.run(live())


@pytest.mark.thorough
@pytest.mark.timeout(1800)
def test_a_killed_follower_leaves_no_half_move(tmp_path: Path, certificates: Path) -> None:
    steps = drawn_steps(FOLLOWER_STEPS)

    async def live() -> None:
        moved: set[bool] = set()
        async with MovingNodes(tmp_path, certificates) as nodes:
            for step in steps:
                moved.add(await die_and_finish(nodes, "koganei", step))
        assert not LONG or moved == {True, False}

    asyncio.run(live())
