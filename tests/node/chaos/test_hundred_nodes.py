"""A hundred emulated repeaters against a hub of three servers, on one machine: what it costs, and what survives.

The long form belongs to `make chaos`: TOKAIDO_CHAOS=long. The short one, with ten nodes, to `make thorough`.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tokaido.node.events import NetworkClient, Reader, RelayState, Seen, Telemetry
from tokaido_testing.hubs import Hub, needs_a_hub
from tokaido_testing.patience import patient

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tokaido.node.events import Message, NetworkView

LONG = os.environ.get("TOKAIDO_CHAOS") == "long"
NODES, A_PROCESS, DOWN_S, CALM_S = (100, 10, 15.0, 30.0) if LONG else (10, 5, 5.0, 8.0)
TICKS = os.sysconf("SC_CLK_TCK")
pytestmark = [needs_a_hub, pytest.mark.thorough]


class Processes:
    """The nodes, some in each process."""

    def __init__(self, hub: Hub, names: list[str]) -> None:
        self.running: list[subprocess.Popen[bytes]] = []
        (hub.folder / "nodes").mkdir()
        groups = [names[first : first + A_PROCESS] for first in range(0, len(names), A_PROCESS)]
        for group in groups:
            with (hub.folder / f"nodes-{group[0]}.log").open("wb") as log:
                command = [
                    sys.executable,
                    "-m",
                    "tokaido_testing.bus_nodes",
                    str(hub.folder),
                    "1.0",
                    ",".join(hub.urls),
                ]
                self.running.append(
                    subprocess.Popen(
                        [*command, *group],
                        stdout=log,
                        stderr=log,
                        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2] / "_support")},
                    )
                )

    def end(self) -> None:
        for process in self.running:
            process.terminate()
        for process in self.running:
            process.wait(60)


def cost(processes: list[subprocess.Popen[bytes]]) -> tuple[float, float]:
    """Return the processor time in s and the resident memory in MB of processes."""
    seconds, megabytes = 0.0, 0.0
    for process in processes:
        fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
        seconds += (int(fields[11]) + int(fields[12])) / TICKS
        megabytes += int(fields[21]) * os.sysconf("SC_PAGE_SIZE") / 1e6
    return seconds, megabytes


async def until(condition: Any, seconds: float) -> float:
    """Return how long it took."""
    begun = time.monotonic()
    while not condition():
        assert time.monotonic() - begun < patient(seconds)
        await asyncio.sleep(0.05)
    return time.monotonic() - begun


async def drained(reader: Reader, counts: Counter[tuple[str, str]]) -> None:
    """Count all messages that the stream has now, by node and kind."""
    while more := await reader.more():
        counts.update((one.node, type(one).__name__) for one in more)


async def play(hub: Hub, processes: Processes, names: list[str]) -> dict[str, float]:
    """Watch, break and count; return what was measured."""
    found: dict[str, float] = {}
    heard: list[Message] = []

    async with NetworkClient(hub.settings("operator-ann")) as client:
        view: NetworkView = await client.watch(heard.append)
        found["all nodes heard after s"] = await until(lambda: len(view.nodes) == len(names), 240)
        await until(lambda: all(told.waiting < 5 for told in last_of(view)), 60)
        heard.clear()
        nodes, servers = cost(processes.running), cost(list(hub.running.values()))
        begun, oldest = time.monotonic(), 0.0
        while time.monotonic() < begun + CALM_S:
            await asyncio.sleep(0.1)
            oldest = max(oldest, *(view.age_s(name) for name in names))
        took = time.monotonic() - begun
        nodes_after, servers_after = cost(processes.running), cost(list(hub.running.values()))
        found["oldest status s"] = oldest
        found["telemetry a second"] = sum(isinstance(one, Telemetry) for one in heard) / took
        found["messages of relays a second"] = sum(isinstance(one, RelayState) for one in heard) / took
        found["core of the nodes"] = (nodes_after[0] - nodes[0]) / took
        found["core of the servers"] = (servers_after[0] - servers[0]) / took
        found["MB a node"] = nodes_after[1] / len(names)
        found["MB of the servers"] = servers_after[1]
        answers = []
        for name in names[:10]:
            begun = time.monotonic()
            assert (await client.command(name, {"do": "relay", "on": False})).ok
            answers.append(time.monotonic() - begun)
        found["median command s"] = sorted(answers)[len(answers) // 2]
        for name in names[:10]:
            assert (await client.command(name, {"do": "relay", "on": True})).ok

    hub.kill()
    await asyncio.sleep(DOWN_S)
    await asyncio.to_thread(hub.start)
    begun = time.monotonic()
    async with NetworkClient(hub.settings("operator-ann")) as client:
        view = await client.watch()
        stale = time.time()
        await until(lambda: len(fresh(view, stale)) == len(names), 60)
        found["caught up after s"] = time.monotonic() - begun
        found["most that waited"] = max(told.waiting for told in last_of(view))
    return found


def last_of(view: NetworkView) -> list[Telemetry]:
    return [one.telemetry for one in view.nodes.values() if one.telemetry is not None]


def fresh(view: NetworkView, since_s: float) -> list[str]:
    """Return the nodes whose telemetry is of now, with nothing that waits before it."""
    return [told.node for told in last_of(view) if told.utc_s > since_s and told.waiting < 5]


async def count(hub: Hub, names: list[str]) -> tuple[dict[str, int], int]:
    """Return how many numbers each node's messages lack, once it ended, and how many were stored twice.

    Each has told of its relays, too.
    """
    seen = Seen()
    async with NetworkClient(hub.settings("operator-ann")) as client:
        runs: dict[str, set[str]] = {name: set() for name in names}
        relayed: set[str] = set()
        again = refused = 0
        for telemetry in (False, True):
            reader = client.reader(telemetry=telemetry, seen=seen)
            while more := await reader.more():
                for one in more:
                    runs[one.node].add(one.id.partition("-")[0])
                    if isinstance(one, RelayState):
                        relayed.add(one.node)
            again, refused = again + reader.again, refused + reader.refused
        assert refused == 0
        assert relayed == set(names)
        assert {len(known) for known in runs.values()} == {1}
        return {name: seen.missing(next(iter(known))) for name, known in runs.items()}, again


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Hub]:
    names = [f"node-{number:03}" for number in range(NODES)]
    with Hub(tmp_path, names, servers=3) as found:
        yield found


@pytest.mark.timeout(900 if LONG else 180)
def test_a_network_on_one_machine(hub: Hub) -> None:
    names = [f"node-{number:03}" for number in range(NODES)]

    async def make() -> None:
        async with NetworkClient(hub.settings("operator-ann")) as client:
            await client.make_streams(3, within_s=patient(30))

    asyncio.run(make())
    processes = Processes(hub, names)
    try:
        found = asyncio.run(play(hub, processes, names))
    finally:
        processes.end()
    missing, again = asyncio.run(count(hub, names))
    print(f"{NODES} nodes, hub of three down for {DOWN_S:g} s: " + ", ".join(f"{k} {v:.3g}" for k, v in found.items()))
    print(f"lost {sum(missing.values())}, stored twice and read once {again}")
    assert missing == dict.fromkeys(names, 0)
    assert found["oldest status s"] <= patient(2.0)
    assert found["caught up after s"] <= patient(10.0)
