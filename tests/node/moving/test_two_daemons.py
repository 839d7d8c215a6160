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
from tokaido_testing.moving_nodes import JOINED, MovingNodes, drawn, draws_more
from tokaido_testing.patience import patient

if TYPE_CHECKING:
    from pathlib import Path


USER = pwd.getpwuid(os.getuid()).pw_name


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
@pytest.mark.thorough
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


@pytest.mark.thorough
@pytest.mark.timeout(120)
def test_a_follower_whose_leader_died_goes_back_stays_dark_and_calls_a_person(
    tmp_path: Path, certificates: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, seconds in (("PATIENCE_S", 2.0), ("KEEP_S", 0.5)):
        monkeypatch.setattr(f"tokaido.node.daemon._following.{name}", seconds)

    async def live() -> None:
        async with MovingNodes(tmp_path, certificates) as nodes:
            await nodes.stop("otemachi")
            process = await nodes.spawn("otemachi", "after say switch")
            await nodes.until(lambda line: line.running)
            with suppress(hal.NotConnectedError):
                await asyncio.to_thread(nodes.client("otemachi").move, "field", "B")
            assert await asyncio.wait_for(process.wait(), patient(30.0)) == -9
            assert nodes.joined() == {"otemachi": {1: 1}, "koganei": {2: 1}}
            line = await nodes.line("koganei")
            assert (line.phase, line.move) == ("moving", "moving to B: moved")
            await alarmed(nodes, True, "koganei")
            assert nodes.joined() == JOINED["A"]
            line = await nodes.line("koganei")
            assert (line.phase, line.state) == ("moving", "AUTH")
            assert "waits: otemachi says nothing; the half here is back, and its unit dark" in line.move
            await nodes.start("otemachi")
            await nodes.until(lambda line: line.move.startswith("not moved to B"), within_s=40.0)
            await alarmed(nodes, False, "koganei")
            assert nodes.joined() == JOINED["A"]
            await draws_more(nodes)

    asyncio.run(live())


async def alarmed(nodes: MovingNodes, there: bool, node: str = "otemachi") -> None:
    """Wait until the alarm of a move that waits stands, or stands no more."""
    end_s = asyncio.get_running_loop().time() + patient(20.0)
    while True:
        status = await asyncio.to_thread(nodes.client(node).status)
        if there is any(alarm.code == MOVE_STUCK and "--forget" in alarm.to_do for alarm in status.alarms):
            return
        assert asyncio.get_running_loop().time() < end_s, status.alarms
        await asyncio.sleep(0.1)
