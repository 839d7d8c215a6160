"""What nodes tell of their relays: the same of daemons and of emulated repeaters, and just what their cores count."""

from __future__ import annotations

import asyncio
import time
from collections import Counter, defaultdict
from typing import TYPE_CHECKING

import pytest

from tokaido.console.page import BusSource
from tokaido.hal import NotConnectedError
from tokaido.node.events import NetworkClient, RelayState, Seen
from tokaido_testing.hubs import Hub, needs_a_hub
from tokaido_testing.patience import patient
from tokaido_testing.relay_tellers import TELLERS

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tokaido.console.page import PageRelay, PageState
    from tokaido_testing.relay_tellers import RelayTellers

pytestmark = [needs_a_hub, pytest.mark.parametrize("kind", TELLERS), pytest.mark.timeout(180)]
STATES = ("put", "ready", "dropped")
"""Of a batch, in the order in which they come."""


def until(condition: Callable[[], bool], seconds: float = 30.0) -> None:
    end_s = time.monotonic() + patient(seconds)
    while not condition():
        assert time.monotonic() < end_s
        time.sleep(0.1)


async def make_streams(hub: Hub) -> None:
    async with NetworkClient(hub.settings("operator-ann")) as client:
        await client.make_streams(1)


async def relay_no_more(client: NetworkClient, node: str) -> None:
    """Order it, once the node is on the bus."""
    end_s = time.monotonic() + patient(20.0)
    while True:
        try:
            answer = await client.command(node, {"do": "relay", "on": False}, within_s=patient(10.0))
        except NotConnectedError:
            assert time.monotonic() < end_s
            await asyncio.sleep(0.1)
        else:
            assert answer.ok
            return


async def told_of_relays(hub: Hub) -> tuple[list[RelayState], Seen]:
    """Return all that nodes told of relays, each message once, and which numbers of theirs came."""
    seen, found = Seen(), []
    async with NetworkClient(hub.settings("operator-ann")) as client:
        for telemetry in (False, True):
            reader = client.reader(telemetry=telemetry, seen=seen)
            while more := await reader.more():
                found += [one for one in more if isinstance(one, RelayState)]
            assert reader.refused == 0
    return found, seen


def dropped(hub: Hub) -> list[RelayState]:
    """Return what was told of batches of which nothing is left."""
    return [one for one in asyncio.run(told_of_relays(hub))[0] if one.state == "dropped"]


def keys_put(told: list[RelayState], node: str) -> dict[tuple[str, bool], int]:
    """Return how many keys a node told to have relayed, by the node at the other end and whether it started them."""
    found: Counter[tuple[str, bool]] = Counter()
    for one in told:
        if one.node == node and one.route:
            found[one.neighbour, one.started_here] += one.keys
    return found


def number_of(message: RelayState) -> int:
    return int(message.id.partition("-")[2])


@pytest.mark.thorough
def test_all_that_was_relayed_is_told_once_though_the_hub_was_away(kind: str, tmp_path: Path) -> None:
    teller = TELLERS[kind]
    with Hub(tmp_path / "hub", teller.nodes) as hub, teller(hub, tmp_path / "nodes") as nodes:
        asyncio.run(make_streams(hub))
        until(lambda: {one.node for one in dropped(hub)} == set(nodes.nodes))
        hub.freeze()  # so that some messages are on their way when it dies
        time.sleep(0.5)
        hub.kill()
        before = {node: sum(nodes.relayed(node).values()) for node in nodes.nodes}
        until(lambda: all(sum(nodes.relayed(node).values()) > before[node] + 64 for node in nodes.nodes))
        hub.start()
        asyncio.run(settle(hub, nodes))
        relayed = {node: nodes.relayed(node) for node in nodes.nodes}
        nodes.end()
        told, seen = asyncio.run(told_of_relays(hub))
    check_lives(told)
    for node in nodes.nodes:
        assert keys_put(told, node) == {of: keys for of, keys in relayed[node].items() if keys}
        (run,) = {one.id.partition("-")[0] for one in told if one.node == node}
        assert seen.missing(run) == 0


async def settle(hub: Hub, nodes: RelayTellers) -> None:
    """Have the nodes relay no more, and wait until nothing is under way, in cores and in outboxes."""
    end_s = time.monotonic() + patient(30.0)
    async with NetworkClient(hub.settings("operator-ann")) as client:
        for node in nodes.nodes:
            await relay_no_more(client, node)
        view = await client.watch()
        since_s = time.time()
        while True:
            told = [one.telemetry for one in view.nodes.values()]
            late = [one for one in told if one is None or one.utc_s < since_s or one.waiting > 3]
            busy = [pair for one in told if one is not None for pair in one.pairs if pair.in_flight]
            if len(told) == len(nodes.nodes) and not late and not busy:
                return
            assert time.monotonic() < end_s, (late, busy)
            await asyncio.sleep(0.1)


def check_lives(told: list[RelayState]) -> None:
    """Check what is told of each batch at each end of its route, and that the middle of one tells nothing."""
    lives: dict[tuple[str, str], list[RelayState]] = defaultdict(list)
    for one in sorted(told, key=number_of):
        lives[one.node, one.relay].append(one)
    ends: dict[str, set[bool]] = defaultdict(set)
    for (node, relay), life in lives.items():
        states = [one.state for one in life]
        assert states == sorted(set(states), key=STATES.index)
        put, *later = life
        assert put.state == "put" or (put.state == "ready" and not put.started_here)  # of a pair that does not confirm
        assert 1 <= put.keys <= 64
        assert {put.route[0], put.route[-1]} == {node, put.neighbour}
        assert put.started_here == (put.route[0] == node)
        assert all((one.neighbour, one.route, one.keys) == ("", (), 0) for one in later)
        ends[relay].add(put.started_here)
    assert {state for (_, _), life in lives.items() for state in (one.state for one in life)} == set(STATES)
    assert {here for both in ends.values() for here in both} == {True, False}


def test_the_page_shows_keys_on_their_routes(kind: str, tmp_path: Path) -> None:
    teller = TELLERS[kind]

    async def watched(hub: Hub) -> tuple[list[PageRelay], PageState]:
        async with BusSource(hub.settings("operator-ann")) as source, asyncio.timeout(patient(40)):
            shown: list[PageRelay] = []
            while {end for one in shown for end in (one.route[0], one.route[-1])} < set(teller.nodes):
                shown.append(await source.relay())
            while len({site.name for site in (await source.state()).sites} & set(teller.nodes)) < len(teller.nodes):
                await asyncio.sleep(0.1)
            return shown, await source.state()

    with Hub(tmp_path / "hub", teller.nodes) as hub, teller(hub, tmp_path / "nodes"):
        asyncio.run(make_streams(hub))
        shown, state = asyncio.run(watched(hub))
    assert all(one.state == "ready" and 1 <= one.keys <= 64 and len(one.route) == 2 for one in shown)
    routes = {frozenset(pair.route) for pair in state.pairs if pair.route}
    assert routes >= {frozenset(one.route) for one in shown[-1:]}
