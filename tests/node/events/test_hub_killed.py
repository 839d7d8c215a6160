"""A hub that is killed, whole or the leader of a stream alone: nothing is lost, and nothing read twice.

The short form has one server; those with three belong to `make thorough`.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tokaido.hal import KeyMaterial, Severity
from tokaido.node.core import Clear, Raise
from tokaido.node.events import Bus, NetworkClient, Outgoing
from tokaido.node.operation import AlarmBook, Events
from tokaido.node.store import SqliteStore, StoreThread
from tokaido_testing.hubs import Hub, needs_a_hub
from tokaido_testing.node_lines import FINE
from tokaido_testing.patience import patient

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tokaido.node.events import EventsSettings

pytestmark = needs_a_hub
NODE = "maibara"


@contextmanager
def hub_of(servers: int, folder: Path) -> Iterator[Hub]:
    """Give a hub whose streams are made."""

    async def make() -> None:
        async with NetworkClient(found.settings("operator-ann")) as client:
            await client.make_streams(servers, within_s=patient(30))

    with Hub(folder, (NODE,), servers=servers) as found:
        asyncio.run(make())
        yield found


class Teller:
    """A node that does nothing but raise alarms, each a message that may not be lost."""

    def __init__(self, settings: EventsSettings, path: Path, name: str = NODE) -> None:
        self.events = Events(os.urandom(8).hex())
        self.book = AlarmBook(self.events.changed, hold_off_s=0.0)
        self.told = 0
        self.alarms: list[Raise | Clear] = []
        self.outgoing = Outgoing(settings, name, self.events)
        self.store = StoreThread(lambda: SqliteStore.open(path, KeyMaterial(bytes(32)), create=True))
        self.bus = Bus(settings, self.outgoing, lambda: self.store, self.alarms.append)

    async def tell(self, ending: asyncio.Event, pace_s: float = 0.02) -> None:
        """Raise alarm after alarm until `ending`, whether there is a hub or not."""
        await self.store.start()
        await self.bus.start()
        try:
            while not ending.is_set():
                self.book.raise_("LOS", Severity.MINOR, f"span-{self.told}", "dark")
                self.told += 1
                await self._write()
                await asyncio.sleep(pace_s)
            await until(lambda: not self.outgoing.waiting, 60)
        finally:
            await self.bus.close()
            await self.store.close()

    async def _write(self) -> None:
        posts = self.outgoing.take(lambda: FINE)

        def write(store: SqliteStore) -> None:
            for post in posts:
                store.records.post(post.subject, post.payload, post.state)

        await self.store.call(lambda store: store.records.together(lambda: write(store)))
        self.bus.posted(len(posts))


async def until(condition: Any, seconds: float) -> float:
    """Return how long it took."""
    begun = time.monotonic()
    while not condition():
        assert time.monotonic() - begun < patient(seconds)
        await asyncio.sleep(0.02)
    return time.monotonic() - begun


async def alarms_of(hub: Hub, teller: Teller) -> tuple[list[str], int]:
    """Return what the alarms that were stored are about, each once, and how many were stored again."""
    async with NetworkClient(hub.settings("operator-ann")) as client:
        reader = client.reader()
        run = teller.outgoing.run
        found: list[str] = []
        end_s = time.monotonic() + patient(20)
        while len(found) < teller.told and time.monotonic() < end_s:
            found += [getattr(one, "of", "") for one in await reader.more() if one.id.startswith(run)]
            await asyncio.sleep(0.02)
        return found, reader.again


def played(hub: Hub, path: Path, breaks: Any) -> tuple[Teller, float]:
    """Let a node tell while `breaks` breaks the hub; return how long after that its outbox was empty."""

    async def live() -> tuple[Teller, float]:
        teller, ending = Teller(hub.settings(f"node-{NODE}", every_s=0.2), path), asyncio.Event()
        telling = asyncio.create_task(teller.tell(ending))
        await until(lambda: teller.bus.connected and teller.told > 20 and teller.outgoing.waiting < 5, 30)
        await breaks(teller)
        took_s = await until(lambda: teller.bus.connected and teller.outgoing.waiting < 5, 60)
        ending.set()
        await telling
        return teller, took_s

    teller, took_s = asyncio.run(live())
    found, _ = asyncio.run(alarms_of(hub, teller))
    assert sorted(found) == sorted(f"span-{number}" for number in range(teller.told))
    return teller, took_s


@pytest.mark.timeout(180)
@pytest.mark.parametrize(
    ("servers", "down_s"), [(1, 0.5), pytest.param(3, 15.0, marks=pytest.mark.thorough)], ids=["one", "three"]
)
def test_all_is_caught_up_after_the_whole_hub_was_down(tmp_path: Path, servers: int, down_s: float) -> None:
    async def breaks(teller: Teller) -> None:
        hub.freeze()  # so that some messages are on their way when it dies
        await asyncio.sleep(0.3)
        hub.kill()
        await until(lambda: not teller.bus.connected, 10)
        await asyncio.sleep(down_s)
        assert teller.outgoing.waiting > 10
        await asyncio.to_thread(hub.start)

    with hub_of(servers, tmp_path / "hub") as hub:
        teller, took_s = played(hub, tmp_path / "store", breaks)
    print(f"{servers} servers down for {down_s} s: {teller.told} alarms, caught up {took_s:.1f} s after their return")
    assert took_s < patient(10)
    assert any(isinstance(one, Raise) and one.code == "BUS_LOST" for one in teller.alarms)
    assert isinstance(teller.alarms[-1], Clear)


@pytest.mark.thorough
@pytest.mark.timeout(180)
def test_nothing_is_lost_when_the_leader_of_the_stream_is_killed(tmp_path: Path) -> None:
    async def breaks(teller: Teller) -> None:
        leader = await leader_of_records(hub)
        hub.kill(leader)
        before, begun = teller.told, time.monotonic()
        await until(lambda: teller.told > before + 50 and teller.outgoing.waiting < 5, 30)  # the others go on
        print(f"the leader was killed: the others had taken all {time.monotonic() - begun:.1f} s later")
        await asyncio.to_thread(hub.start, leader)

    with hub_of(3, tmp_path / "hub") as hub:
        played(hub, tmp_path / "store", breaks)


async def leader_of_records(hub: Hub) -> str:
    async with NetworkClient(hub.settings("operator-ann")) as client:
        info = await client.connection.streams.stream_info(client.subjects.records_stream)
        return str(info.cluster.leader)


@pytest.mark.thorough
@pytest.mark.timeout(120)
def test_a_person_goes_on_watching_when_the_hub_comes_back(tmp_path: Path) -> None:
    def heard_s(line: str) -> float:
        [node] = json.loads(line)["nodes"]
        return float(node["heard_s"])

    async def breaks(teller: Teller) -> None:
        command = [
            "network",
            "watch",
            "--network",
            str(hub.network_file("operator-ann")),
            "--interval",
            "0.2",
            "--json",
        ]
        program = [sys.executable, "-c", "import sys, tokaido.console as c; sys.exit(c.main())", *command]
        with subprocess.Popen(program, stdout=subprocess.PIPE, text=True) as watching:
            assert watching.stdout is not None
            lines = watching.stdout
            try:
                assert heard_s(await asyncio.to_thread(lines.readline)) < patient(5.0)
                hub.kill()
                while heard_s(await asyncio.to_thread(lines.readline)) < 2.0:
                    pass  # it shows how old what it knows is
                await asyncio.to_thread(hub.start)
                while heard_s(await asyncio.to_thread(lines.readline)) > 1.0:
                    pass
            finally:
                watching.terminate()

    with hub_of(1, tmp_path / "hub") as hub:
        played(hub, tmp_path / "store", breaks)
