"""The outbox of an emulated repeater that no hub hears: each of its relays is in it, and each message once."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import TYPE_CHECKING

from tokaido.emulators.repeater import RepeaterModel, RepeaterOnBus
from tokaido.hal import NS_PER_S
from tokaido.node.core import SetBatch
from tokaido.node.events import EventsSettings, RelayState, Seen, decode
from tokaido.node.pki import files_of, issue
from tokaido.node.store import SqliteStore, wrapping_key_from_file
from tokaido_testing.hubs import needs_a_hub
from tokaido_testing.ports import free_port

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = needs_a_hub
LAST = bytes(range(16))


def test_every_relay_waits_in_it_once_to_the_last_moment(tmp_path: Path) -> None:
    issue(tmp_path / "pki", nodes={"maibara": ()})
    files = files_of(tmp_path / "pki", "node-maibara")
    settings = EventsSettings("line", (f"tls://127.0.0.1:{free_port()}",), files, every_s=0.2)
    model = RepeaterModel("maibara", secrets="seeded", seed=3, demand=20.0)
    node = RepeaterOnBus(model, settings, tmp_path)

    async def live() -> None:
        ending = asyncio.Event()
        life = asyncio.create_task(node.run(ending))
        await asyncio.sleep(1.0)  # so that it looked some times, and waits
        model.node.sites.committed((SetBatch(LAST, ready=True),))
        ending.set()
        await life

    model.advance(30 * NS_PER_S)
    asyncio.run(live())
    with wrapping_key_from_file(tmp_path / "maibara.key") as key:
        store = SqliteStore.open(tmp_path / "maibara.sqlite", key)
    told = [decode(row.payload) for row in store.records.outbox(most=10_000)]
    store.close()
    seen = Seen()
    assert all(seen.take(one.id) for one in told)
    assert seen.missing(node.outgoing.run) == 0
    relays = [one for one in told if isinstance(one, RelayState)]
    put: Counter[tuple[str, str]] = Counter()
    for one in relays:
        put[one.neighbour, "born" if one.started_here else "held"] += one.keys
    counted = {(pair.neighbour, of): pair.counters[of] for pair in model.status().pairs for of in ("born", "held")}
    assert {of: keys for of, keys in put.items() if keys} == counted
    assert min(counted.values()) > 64
    assert LAST.hex() in {one.relay for one in relays}
