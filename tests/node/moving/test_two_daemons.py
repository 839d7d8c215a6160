"""Two daemons move a link on an emulated bench, whose light follows the switches of both sites."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

import tokaido.hal as hal
from tokaido_testing.moving_nodes import NODES, MovingNodes
from tokaido_testing.patience import patient

if TYPE_CHECKING:
    from pathlib import Path

    from tokaido.node.operation import LinkLine


JOINED = {
    "A": {"otemachi": {1: 1}, "koganei": {1: 1}},
    "B": {"otemachi": {1: 2}, "koganei": {2: 1}},
}


def drawn(line: LinkLine) -> int:
    return line.counters.get("drawn", 0)


async def draws_more(nodes: MovingNodes) -> None:
    """See that both nodes draw key blocks anew."""
    for node in NODES:
        before = drawn(await nodes.line(node))
        await nodes.until(lambda line, before=before: drawn(line) > before, node)  # type: ignore[misc]


def over(line: LinkLine) -> bool:
    return line.move.startswith(("moved", "not moved"))


async def die_and_finish(nodes: MovingNodes, mortal: str, step: str) -> bool:
    """Have a node die at a step of a move and come back; see that the link is whole, and return whether it moved."""
    here = nodes.joined()
    to = "B" if here == JOINED["A"] else "A"
    await nodes.stop(mortal)
    process = await nodes.spawn(mortal, step)
    await nodes.until(lambda line: line.state in {"RUN", "TRACK"})
    with suppress(hal.NotConnectedError):  # it died before it replied
        await asyncio.to_thread(nodes.client("otemachi").move, "field", to)
    assert await asyncio.wait_for(process.wait(), patient(30.0)) == -9, step
    await nodes.start(mortal)
    await nodes.until(over, "otemachi", within_s=40.0)
    moved = (await nodes.line("otemachi")).move == f"moved to {to}"
    await nodes.until(lambda line: line.phase != "moving")
    assert nodes.joined() == (JOINED[to] if moved else here), step
    await draws_more(nodes)
    return moved


@pytest.mark.timeout(120)
def test_two_nodes_move_their_link_and_exchange_keys_over_the_other_path(tmp_path: Path, certificates: Path) -> None:
    async def live() -> None:
        async with MovingNodes(tmp_path, certificates) as nodes:
            await nodes.until(lambda line: drawn(line) > 0)
            with pytest.raises(hal.RefusedError, match="Order it at otemachi"):
                await asyncio.to_thread(nodes.client("koganei").move, "field", "B")
            with pytest.raises(hal.RefusedError, match="no path 'C'"):
                await asyncio.to_thread(nodes.client("otemachi").move, "field", "C")
            await asyncio.to_thread(nodes.client("otemachi").move, "field", "B")
            await nodes.until(lambda line: line.move == "moved to B")
            assert nodes.joined() == JOINED["B"]
            nodes.both.emulation.order("cut", "A")
            await draws_more(nodes)

    asyncio.run(live())


LEADER_STEPS = (
    *("before say prepare", "after say prepare", "after make dark", "after note switching"),
    *("after say switch", "before switch", "after switch", "after note finishing", "after say finish"),
)
FOLLOWER_STEPS = (
    *("after check", "after note begun", "after make dark", "after note switching"),
    *("before switch", "after switch", "after note moved", "after note finished"),
)
"""What is done is done before the node dies after it; nobody was told."""


@pytest.mark.thorough
@pytest.mark.timeout(600)
def test_what_a_killed_leader_left_the_next_one_finishes(tmp_path: Path, certificates: Path) -> None:
    async def live() -> None:
        async with MovingNodes(tmp_path, certificates) as nodes:
            for step in LEADER_STEPS:
                assert await die_and_finish(nodes, "otemachi", step), step

    asyncio.run(live())


@pytest.mark.thorough
@pytest.mark.timeout(600)
def test_a_killed_follower_leaves_no_half_move(tmp_path: Path, certificates: Path) -> None:
    async def live() -> None:
        moved: set[bool] = set()
        async with MovingNodes(tmp_path, certificates) as nodes:
            for step in FOLLOWER_STEPS:
                moved.add(await die_and_finish(nodes, "koganei", step))
        assert moved == {True, False}

    asyncio.run(live())
