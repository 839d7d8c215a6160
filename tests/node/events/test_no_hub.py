"""A node whose hub never comes: what it keeps, what it drops, and that it ends in time."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from tokaido.hal import KeyMaterial, Severity
from tokaido.node.core import Clear, Raise
from tokaido.node.events import Alarm, Bus, EventsSettings, Outgoing, Telemetry, decode
from tokaido.node.operation import AlarmBook, Events
from tokaido.node.pki import files_of, issue
from tokaido.node.store import SqliteStore, StoreThread
from tokaido_testing.hubs import needs_a_hub
from tokaido_testing.node_lines import FINE
from tokaido_testing.patience import patient
from tokaido_testing.ports import free_port
from tokaido_testing.toy_clock import ToyClock

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = needs_a_hub
ROWS = 100


def test_the_oldest_telemetry_goes_and_every_alarm_stays(tmp_path: Path) -> None:
    issue(tmp_path / "pki", nodes={"maibara": ()})
    files = files_of(tmp_path / "pki", "node-maibara")
    settings = EventsSettings("line", (f"tls://127.0.0.1:{free_port()}",), files, every_s=1.0, rows=ROWS)
    clock = ToyClock()
    alarms: list[Raise | Clear] = []

    async def live() -> list[Alarm | Telemetry]:
        events = Events("00", clock=clock)
        book = AlarmBook(events.changed, hold_off_s=0.0, clock=clock)
        outgoing = Outgoing(settings, "maibara", events, clock=clock)
        store = StoreThread(lambda: SqliteStore.open(tmp_path / "store", KeyMaterial(bytes(32)), create=True))
        await store.start()
        for number in range(150):
            if number % 3 == 0:
                book.raise_("LOS", Severity.MINOR, f"span-{number}", "dark")
            clock.wait(1.0)
            for post in outgoing.take(lambda: FINE):
                await store.call(lambda store, row=(post.subject, post.payload, post.state): store.records.post(*row))  # type: ignore[misc]
        bus = Bus(settings, outgoing, lambda: store, alarms.append)
        await bus.start()
        assert outgoing.waiting == 200
        async with asyncio.timeout(patient(20)):
            while outgoing.waiting > ROWS:
                await asyncio.sleep(0.02)
        assert outgoing.dropped == 100
        begun = time.monotonic()
        await bus.close()
        assert time.monotonic() - begun < patient(3.0)
        rows = await store.call(lambda store: store.records.outbox(most=500))
        await store.close()
        return [decode(row.payload) for row in rows]  # type: ignore[misc]

    left = asyncio.run(live())
    assert [one.of for one in left if isinstance(one, Alarm)] == [f"span-{number}" for number in range(0, 150, 3)]
    telemetry = [int(one.id.partition("-")[2]) for one in left if isinstance(one, Telemetry)]
    assert len(telemetry) == 50
    assert telemetry == sorted(telemetry)
    assert telemetry[-1] == 200  # the newest
    assert {one.code for one in alarms if isinstance(one, Raise)} == {"BUS_LOST"}
