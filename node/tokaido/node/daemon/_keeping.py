"""The core and its store, kept alive: when the store fails, both are started again."""

from __future__ import annotations

import asyncio
import logging
import os
from typing import TYPE_CHECKING, Final

from tokaido.hal import SYSTEM_CLOCK, TokaidoError
from tokaido.node.core import Drain, NodeCore, Reason, Reconfigured, RelayingSet
from tokaido.node.daemon._runner import CoreRunner
from tokaido.node.messages import ANY_HOPS
from tokaido.node.peers import BusyError
from tokaido.node.service import KeyRefusedError
from tokaido.node.store import (
    SqliteStore,
    StoreError,
    StoreThread,
    wrapping_key_from_credential,
    wrapping_key_from_file,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from tokaido.hal import Clock, KeyMaterial
    from tokaido.node.core import Clear, CoreSettings, Event, Fetch, Raise, SuppliedKey
    from tokaido.node.core._status import NodeStatus
    from tokaido.node.daemon._runner import Asks, Commits
    from tokaido.node.daemon._sources import KeySources
    from tokaido.node.messages import Envelope
    from tokaido.node.service import PairStatus

LOG: Final = logging.getLogger("tokaido.node")
RETRIES_S: Final = (0.1, 0.5, 1.0, 2.0, 5.0)
"""Pauses between attempts to open a store that failed; the last one is repeated."""


class Keeping:
    """Custody of keys, restarted from its store whenever that failed. It fills `KeyService` and `Hears`.

    Args:
        path: Of the store; a new one is made where there is none.
        wrapping_key: File of mode 0600, or name of a systemd credential.
        settings: What the core is told.
        neighbours: Asks neighbours.
        sources: What gives the blocks of all links.
        alarm: Takes the core's alarms.
    """

    def __init__(
        self,
        path: Path,
        wrapping_key: Path | str,
        settings: CoreSettings,
        *,
        neighbours: Asks,
        sources: KeySources,
        alarm: Callable[[Raise | Clear], None],
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self._path = path
        self._wrapping_key = wrapping_key
        self._settings = settings
        self._neighbours = neighbours
        self._sources = sources
        self._alarm = alarm
        self._clock = clock
        self._store: StoreThread | None = None
        self._runner: CoreRunner | None = None
        self._restarting: asyncio.Task[None] | None = None
        self._ending = False
        self.why_not = "the node is starting"
        """Why no core runs; empty if one does."""
        self.restarts = 0
        self._relaying = True
        self.tap: Callable[[StoreThread], Commits] = lambda store: store
        """Stands between core and store, and may add to commits; set it before `start`."""

    async def start(self) -> None:
        """Open the store and let a core run.

        Raises:
            StoreError: The store cannot be opened.
            ConfigurationError: Its wrapping key cannot be read.
        """
        key = self._read_key()
        try:
            store = StoreThread(lambda: SqliteStore.open(self._path, key, create=True, clock=self._clock))
            snapshot = await store.start()
        finally:
            key.wipe()
        core = NodeCore(self._settings, snapshot, os.urandom(16))
        runner = CoreRunner(core, self.tap(store), self._neighbours, self, clock=self._clock, age_s=snapshot.age_s)
        self._store, self._runner, self.why_not = store, runner, ""
        runner.start()
        if not self._relaying:
            runner.feed(RelayingSet(False))

    def set_relaying(self, on: bool) -> None:
        """Relay from now on, or no more; another core after a failure of the store is told so, too."""
        self._relaying = on
        self.feed(RelayingSet(on))

    async def drain(self, within_s: float) -> bool:
        """Relay and supply no more, and return whether all that was under way ended in time."""
        runner = self._runner
        if runner is None:
            return True
        runner.feed(Drain())
        waited_s = 0.0
        while not runner.core.drained and waited_s < within_s:
            await asyncio.to_thread(self._clock.wait, 0.02)
            waited_s += 0.02
        return runner.core.drained

    async def end(self) -> None:
        """End core and store."""
        self._ending = True
        self.why_not = "the node is ending"
        if self._restarting is not None:
            self._restarting.cancel()
        await self._end_core()

    def reconfigure(self, settings: CoreSettings) -> None:
        """Have the core take a node file that was read again."""
        self._settings = settings
        self.feed(Reconfigured(settings))

    def feed(self, event: Event) -> bool:
        """Hand an event in, and return whether a core took it."""
        if self._runner is None:
            return False
        self._runner.feed(event)
        return True

    def status(self) -> NodeStatus | None:
        """Return what may be known of the keys; None while no core runs."""
        return None if self._runner is None else self._runner.core.status()

    @property
    def store(self) -> StoreThread | None:
        """The thread that owns the store, while it is open."""
        return self._store

    # --- attempts to start devices ------------------------------------------------------------------------------------

    async def attempts(self) -> Mapping[str, Sequence[float]]:
        """Return how many s of the node's age ago each device was ordered what may cost it authentication key.

        Raises:
            StoreError: The store is not open, or failed.
        """
        return await self._open_store().call(lambda store: store.records.attempts())

    async def note_attempts(self, device: str, ago_s: Sequence[float]) -> None:
        """Make it durable when a device was ordered that, in place of what was noted before.

        Raises:
            StoreError: The store is not open, or failed.
        """
        await self._open_store().call(lambda store: store.records.set_attempts(device, ago_s))

    def _open_store(self) -> StoreThread:
        if self._store is None:
            raise StoreError(self.why_not or "the store is not open", remedy="The node tries to open it again")
        return self._store

    # --- as a service -------------------------------------------------------------------------------------------------

    async def __call__(self, neighbour: str, envelope: Envelope) -> Envelope:
        """Return the answer to what a neighbour asks."""
        if self._runner is None:
            raise BusyError(self.why_not)
        return await self._runner.hear(neighbour, envelope)

    async def enc_keys(
        self,
        master: str,
        slaves: Sequence[str],
        number: int,
        size: int,
        *,
        max_age_s: float | None = None,
        hops: tuple[int, int] = ANY_HOPS,
        routes: int = 1,
    ) -> tuple[SuppliedKey, ...]:
        """Return keys that `master` will share with `slaves`, as `KeyService.enc_keys` does."""
        ready = self._ready()
        return await ready.enc_keys(master, slaves, number, size, max_age_s=max_age_s, hops=hops, routes=routes)

    async def dec_keys(self, slave: str, master: str, key_ids: Sequence[bytes]) -> tuple[SuppliedKey, ...]:
        """Return the keys of those ids, as `KeyService.dec_keys` does."""
        return await self._ready().dec_keys(slave, master, key_ids)

    def pair_status(self, application: str, other: str) -> PairStatus:
        """Return what `application` may know of the keys that it shares with `other`."""
        return self._ready().pair_status(application, other)

    def undelivered(self, keys: Sequence[SuppliedKey]) -> None:
        """Say that an answer with these keys did not reach its application."""
        for key in keys:
            key.key.wipe()
        if self._runner is not None:
            self._runner.undelivered(keys)

    def _ready(self) -> CoreRunner:
        if self._runner is None:
            raise KeyRefusedError(self.why_not, Reason.STARTING, 1.0)
        return self._runner

    # --- what the core acts upon --------------------------------------------------------------------------------------

    def take_draw(self, draw: int, why_not: str | None) -> None:
        """Commit a drawn block to its source (None), or leave it there."""
        self._sources.take_draw(draw, why_not)

    def fetch(self, action: Fetch) -> None:
        """Have the link's source fetch a block."""
        self._sources.fetch(action)

    def alarm(self, action: Raise | Clear) -> None:
        """Take note of an alarm."""
        self._alarm(action)

    # --- after a failure ----------------------------------------------------------------------------------------------

    def failed(self, why: str) -> None:
        """Start another core, as soon as the store can be opened."""
        self.why_not = f"the store failed: {why}"
        if self._restarting is None or self._restarting.done():
            self._restarting = asyncio.get_running_loop().create_task(self._restart())

    async def _restart(self) -> None:
        await self._end_core()
        for attempt in range(1_000_000):
            await asyncio.to_thread(self._clock.wait, RETRIES_S[min(attempt, len(RETRIES_S) - 1)])
            if self._ending:
                return
            try:
                await self.start()
            except TokaidoError as error:
                self.why_not = f"the store cannot be opened: {error}"
                LOG.warning("%s", self.why_not)
                await self._end_core()
            else:
                self.restarts += 1
                LOG.warning("the store was opened again")
                return

    async def _end_core(self) -> None:
        runner, store = self._runner, self._store
        self._runner = self._store = None
        if runner is not None:
            runner.end()
            runner.core.close()
        if store is not None:
            try:
                await store.close(5.0)
            except TokaidoError as error:
                LOG.warning("%s", error)

    def _read_key(self) -> KeyMaterial:
        if isinstance(self._wrapping_key, str):
            return wrapping_key_from_credential(self._wrapping_key)
        return wrapping_key_from_file(self._wrapping_key)
