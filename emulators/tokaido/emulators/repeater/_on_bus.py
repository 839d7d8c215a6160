"""An emulated repeater on the bus of a network: what it tells, and the commands it takes, as a daemon has them."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any, Final

from tokaido.hal import SYSTEM_CLOCK
from tokaido.node.events import Bus, Commands, Outgoing
from tokaido.node.store import SqliteStore, StoreThread, new_wrapping_key, wrapping_key_from_file

if TYPE_CHECKING:
    from pathlib import Path

    from tokaido.emulators.repeater._model import RepeaterModel
    from tokaido.hal import Clock
    from tokaido.node.core import Clear, Post, Raise
    from tokaido.node.events import EventsSettings
    from tokaido.node.operation import ControlRequest, Peer

LOOK_S: Final = 0.25
"""How often the model is let live on."""


class RepeaterOnBus:
    """Lets a model live in real time, with an outbox of its own on the disk.

    Args:
        model: The node. Its serial number is its name in the certificate.
        settings: Where the hub is, and who may command.
        folder: Of the outbox and its key.
        clock: Where time comes from.
    """

    def __init__(
        self, model: RepeaterModel, settings: EventsSettings, folder: Path, *, clock: Clock = SYSTEM_CLOCK
    ) -> None:
        self.model = model
        self._clock = clock
        self._path = folder / f"{model.serial_number}.sqlite"
        self._key = folder / f"{model.serial_number}.key"
        self._store: StoreThread | None = None
        self._relays: list[Post] = []
        node = model.node
        self.outgoing = Outgoing(settings, model.serial_number, node.events, clock=clock)
        """What it has to tell."""
        commands = Commands(
            settings,
            node.desk,
            self,
            self.outgoing,
            lambda: self._store,
            clock=clock,
        )
        self.bus = Bus(settings, self.outgoing, lambda: self._store, self._alarm, commands=commands, clock=clock)
        """Its way to the hub."""
        self.lost = ""
        """Why nobody hears it; empty: somebody does."""
        node.sites.committed = lambda writes: self._relays.extend(self.outgoing.relays(writes))

    async def run(self, ending: asyncio.Event) -> None:
        """Live until `ending` is set.

        Raises:
            StoreError: The outbox cannot be opened or written.
        """
        if not self._key.exists():
            new_wrapping_key(self._key)
        with wrapping_key_from_file(self._key) as key:
            store = StoreThread(lambda: SqliteStore.open(self._path, key, create=True, clock=self._clock))
            await store.start()
        self._store = store
        begun_ns = self._clock.monotonic_ns() - self.model.now_ns
        try:
            await self.bus.start()
            while not ending.is_set():
                self.model.advance(self._clock.monotonic_ns() - begun_ns)
                await self._post(store)
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(LOOK_S):
                        await ending.wait()
            await self._post(store)  # what the last orders did
        finally:
            await self.bus.close()
            self._store = None
            await store.close()

    async def operate(self, request: ControlRequest, peer: Peer) -> Any:
        """Carry out an order that came over the bus."""
        self.model.node.carry_out(request, peer)

    async def _post(self, store: StoreThread) -> None:
        relays, self._relays = self._relays, []
        posts = [*relays, *self.outgoing.take(self.model.status)]
        if not posts:
            return

        def write(store: SqliteStore) -> None:
            records = store.records

            def work() -> None:
                for post in posts:
                    records.post(post.subject, post.payload, post.state)

            records.together(work)

        await store.call(write)
        self.bus.posted(len(posts))

    def _alarm(self, action: Raise | Clear) -> None:
        self.lost = getattr(action, "text", "")
        self.model.node.alarm(action)
