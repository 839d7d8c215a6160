"""Two daemons move a link on an emulated bench, whose light follows the switches of both sites."""

from __future__ import annotations

import asyncio
import json
import os
import pwd
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

import tokaido.hal as hal
from tokaido.node.moving import MOVE_STUCK
from tokaido_testing.console_runs import run_console
from tokaido_testing.moving_nodes import NODES, MovingNodes
from tokaido_testing.patience import patient

if TYPE_CHECKING:
    from pathlib import Path

    from tokaido.node.operation import LinkLine


USER = pwd.getpwuid(os.getuid()).pw_name
JOINED = {
    "A": {"otemachi": {1: 1}, "koganei": {1: 1}},
    "B": {"otemachi": {1: 2}, "koganei": {2: 1}},
}


def drawn(line: LinkLine) -> int:
    return line.counters.get("drawn", 0)


async def draws_more(nodes: MovingNodes) -> None:
    """See that both nodes draw further key blocks."""
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


def order_as_a_control_centre(nodes: MovingNodes) -> None:
    with nodes.manager("otemachi", "vic") as node:
        assert hal.RepeaterCapability.SWITCH_MOVE in node.capabilities
        with pytest.raises(hal.RefusedError, match="takes the role operator or maintenance, and vic has viewer"):
            node.move_half_link("field", "B")
    with nodes.manager("koganei", "ann") as node, pytest.raises(hal.UnsupportedError, match="switch move"):
        node.move_half_link("field", "B")
    with nodes.manager("otemachi", "ann") as node:
        assert node.links[0].last_move == ""
        with pytest.raises(hal.RefusedError, match="no path 'C'"):
            node.move_half_link("field", "C")
        node.move_half_link("field", "B")
        assert node.links[0].last_move.startswith(("moving to B", "moved to B"))


@pytest.mark.timeout(120)
def test_two_nodes_move_their_link_and_exchange_keys_over_the_other_path(tmp_path: Path, certificates: Path) -> None:
    async def live() -> None:
        async with MovingNodes(tmp_path, certificates) as nodes:
            await nodes.until(lambda line: drawn(line) > 0)
            with pytest.raises(hal.RefusedError, match="Order it at otemachi"):
                await asyncio.to_thread(nodes.client("koganei").move, "field", "B")
            await asyncio.to_thread(order_as_a_control_centre, nodes)
            await nodes.until(lambda line: line.move == "moved to B")
            assert nodes.joined() == JOINED["B"]
            nodes.both.emulation.order("cut", "A")
            await draws_more(nodes)
            nodes.both.emulation.order("mend", "A")
            file = str(tmp_path / "otemachi.toml")
            shown = await asyncio.to_thread(run_console, "node", "move", file, "field", "A")
            assert (shown.code, shown.out.splitlines()[-1]) == (0, "link field: moved to A")
            assert nodes.joined() == JOINED["A"]
            nodes.both.emulation.order("cut", "B")
            await draws_more(nodes)
            events = await asyncio.to_thread(told_of, nodes)
            assert [event for event in events if "move" in event[1]] == [
                ("ann", "move field to B"),
                ("ann", "link field: moved to B"),
                *((USER, text) for text in ("move field to A", "link field: moved to A")),
            ]

    asyncio.run(live())


def told_of(nodes: MovingNodes) -> list[tuple[str, str]]:
    with nodes.manager("otemachi", "vic") as node:
        return [(event.by, event.text) for event in node.events().events if event.kind == "act"]


@pytest.mark.thorough
@pytest.mark.timeout(120)
def test_a_neighbour_that_is_not_there_leaves_this_end_as_it_was_and_an_alarm(
    tmp_path: Path, certificates: Path
) -> None:
    async def live() -> None:
        async with MovingNodes(tmp_path, certificates) as nodes:
            await nodes.until(lambda line: line.running)
            await nodes.stop("koganei")
            client = nodes.client("otemachi")
            shown = await asyncio.to_thread(run_console, "node", "move", str(client.path), "field", "B")
            assert (shown.code, "not moved to B: koganei at https:" in shown.out) == (1, True)
            assert nodes.joined() == JOINED["A"]
            assert (await nodes.line("otemachi")).phase != "moving"
            await alarmed(nodes, True)
            with pytest.raises(hal.RefusedError, match="is being moved"):
                await asyncio.to_thread(client.move, "field", "B")
            shown = await asyncio.to_thread(run_console, "node", "move", str(client.path), "field", "--forget")
            assert shown.code == 0, shown.err
            assert (await nodes.line("otemachi")).move == f"not moved to B: {USER} had it forgotten"
            await alarmed(nodes, False)
            again = await asyncio.to_thread(run_console, "node", "move", str(client.path), "field", "--forget")
            assert (again.code, "is not being moved" in again.err) == (1, True)
            neither = await asyncio.to_thread(run_console, "node", "move", str(client.path), "field")
            assert (neither.code, "takes a path, or --forget" in neither.err) == (2, True)
            await nodes.start("koganei")
            shown = await asyncio.to_thread(run_console, "node", "move", str(client.path), "field", "B", "--json")
            assert json.loads(shown.out)["told"] == "moved to B"

    asyncio.run(live())


async def alarmed(nodes: MovingNodes, there: bool) -> None:
    """Wait until the alarm of a move that waits stands, or stands no more."""
    end_s = asyncio.get_running_loop().time() + patient(20.0)
    while True:
        status = await asyncio.to_thread(nodes.client("otemachi").status)
        if there is any(alarm.code == MOVE_STUCK and "--forget" in alarm.to_do for alarm in status.alarms):
            return
        assert asyncio.get_running_loop().time() < end_s, status.alarms
        await asyncio.sleep(0.1)


LEADER_STEPS = (
    *("before say prepare", "after say prepare", "after make dark", "after note switching"),
    *("after say switch", "before switch", "after switch", "after note finishing", "after say finish"),
)
FOLLOWER_STEPS = (
    *("after check", "after note begun", "after make dark", "after note switching"),
    *("before switch", "after switch", "after note moved", "after note finished"),
)
"""Nobody was told yet of the deed that the node dies after."""


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
