"""A node on the bus: its outbox goes out, commands come in, and nothing depends on it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from tokaido.hal import SYSTEM_CLOCK, Severity, TokaidoError, TransportError
from tokaido.node.core import Clear, Raise
from tokaido.node.events._connection import Connection
from tokaido.node.events._messages import id_of
from tokaido.node.events._outgoing import DROPPED_FIRST
from tokaido.node.events._subjects import node_user

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from tokaido.hal import Clock, KeyMaterial
    from tokaido.node.core._actions import Commit
    from tokaido.node.events._commands import Commands
    from tokaido.node.events._outgoing import Outgoing
    from tokaido.node.events._settings import EventsSettings
    from tokaido.node.store import OutboxRow, SqliteStore, StoreThread

LOG: Final = logging.getLogger("tokaido.node.events")
ALARM: Final = "BUS_LOST"
AT_ONCE: Final = 128
"""Messages that wait for their acknowledgements at once."""
RETRIES_S: Final = (0.2, 0.5, 1.0)
"""Pauses between attempts; the last one is repeated."""
IDLE_S: Final = 1.0
ENDING_S: Final = 1.0
"""How long what is in the outbox may still go out when the node ends."""


class Bus:
    """Lives in the node's loop. What it is given to say stands in the outbox already.

    Args:
        settings: What the node file says of the bus.
        outgoing: Counts what waits.
        store: Returns the thread of the store, if it is open.
        alarm: Takes the alarm that nobody hears the node.
        commands: Takes commands; None: none is taken.
        topology: Takes a signed topology; None: none is taken.
        clock: Where time comes from.
    """

    def __init__(
        self,
        settings: EventsSettings,
        outgoing: Outgoing,
        store: Callable[[], StoreThread | None],
        alarm: Callable[[Raise | Clear], None],
        *,
        commands: Commands | None = None,
        topology: Callable[[bytes], Awaitable[None]] | None = None,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self.settings = settings
        self.connected = False
        self._outgoing = outgoing
        self._store = store
        self._alarm = alarm
        self._commands = commands
        if commands is not None:
            commands.posted = self.posted
        self._topology = topology
        self._clock = clock
        self._posted = asyncio.Event()
        self._ending = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._hearing: set[asyncio.Task[None]] = set()
        self._lost = False
        self._connection: Connection | None = None
        self._renewing = False

    async def start(self) -> None:
        """Begin; it goes on whether there is a hub or not.

        Raises:
            StoreError: The outbox cannot be read.
        """
        if (store := self._store()) is not None:
            self._outgoing.waiting = await store.call(lambda store: store.records.outbox_count())
        self._task = asyncio.get_running_loop().create_task(self._live())

    async def close(self) -> None:
        """Let messages that wait go out for a second, and end. The rest waits in the outbox."""
        if self._task is None:
            return
        if self.connected:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(ENDING_S):
                    while self._outgoing.waiting and self.connected:
                        await self._pause(0.05)
        self._ending.set()
        self._posted.set()
        try:
            await asyncio.wait_for(self._task, ENDING_S)
        except TimeoutError:  # it waited for a server
            LOG.debug("the bus was cancelled")
        for task in self._hearing:
            task.cancel()

    def reload(self, settings: EventsSettings) -> None:
        """Take roles, files of certificates and times of a node file that was read again: the connection is made again.

        Args:
            settings: What the file says now.
        """
        self.settings = self._outgoing.settings = settings
        if self._commands is not None:
            self._commands.settings = settings
        if self._connection is not None:
            self._renewing = True
            self._connection.ended.set()

    def posted(self, number: int) -> None:
        """Say that so many messages were put into the outbox."""
        if number:
            self._outgoing.waiting += number
            self._posted.set()

    # --- its life -----------------------------------------------------------------------------------------------------

    async def _live(self) -> None:
        failures = 0
        while not self._ending.is_set():
            servers = self.settings.servers
            server = servers[failures % len(servers)]
            connection: Connection | None = None
            try:
                connection = Connection(self.settings, node_user(self._outgoing.node))
                await connection.open(server)
                self._connection = connection
                await self._hear(connection)
                LOG.info("the hub is there, by %s", server)
                self.connected = True
                await self._send(connection)
                failures = 0
            except TokaidoError as error:
                if not self._renewing:
                    self._tell(str(error))
            except Exception as error:
                LOG.exception("the bus failed")
                self._tell(f"{type(error).__name__} in the node; its log says more")
            finally:
                self.connected, self._connection = False, None
                if connection is not None:
                    await connection.close()
            renewing, self._renewing = self._renewing, False
            if not self._ending.is_set() and not renewing:
                await self._trim()
                await self._pause(RETRIES_S[min(failures, len(RETRIES_S) - 1)])
                failures += 1

    async def _hear(self, connection: Connection) -> None:
        subjects = self._outgoing.subjects
        if self._commands is not None:
            await connection.hear(subjects.command(self._outgoing.node, "*"), self._command)
        if self._topology is not None:
            await connection.hear(subjects.topology, self._new_topology)
            found = await connection.last(subjects.records_stream, subjects.topology)
            if found is not None:
                await self._new_topology(found.subject, found.payload)

    async def _command(self, subject: str, payload: bytes) -> None:
        """Take a command, beside those that are under way."""
        if self._commands is not None:
            task = asyncio.get_running_loop().create_task(self._commands.hear(subject, payload))
            self._hearing.add(task)
            task.add_done_callback(self._hearing.discard)

    async def _new_topology(self, subject: str, payload: bytes) -> None:
        if self._topology is not None:
            try:
                await self._topology(payload)
            except TokaidoError as error:
                LOG.warning("a topology at %s was not taken: %s", subject, error)

    async def _send(self, connection: Connection) -> None:
        """Send what is in the outbox, and what comes into it, until the connection ends.

        Raises:
            TransportError: The connection ended, or nothing was acknowledged.
        """
        failed = 0
        while not self._ending.is_set():
            if connection.ended.is_set():
                raise TransportError("the connection to the hub ended")
            self._posted.clear()
            store = self._store()
            rows = () if store is None else await store.call(_first)
            if store is not None and not rows:
                self._outgoing.waiting = 0
            if store is None or not rows:
                await self._wait(connection)
                continue
            done, why = await self._publish(connection, rows)
            if done:
                failed = 0
                self._tell("")
                await store.call(lambda store, done=tuple(done): store.records.take_from_outbox(done))  # type: ignore[misc]
                self._outgoing.waiting = max(self._outgoing.waiting - len(done), 0)
            if why:
                self._tell(why)
                await self._trim()
                await self._pause(RETRIES_S[min(failed, len(RETRIES_S) - 1)])
                failed += 1

    async def _publish(self, connection: Connection, rows: Sequence[OutboxRow]) -> tuple[list[int], str]:
        """Publish rows side by side; return the ids of those that were acknowledged, and why one was not."""
        subjects = self._outgoing.subjects
        outcomes = await asyncio.gather(
            *(
                connection.store(subjects.stream_of(row.subject), row.subject, row.payload, id_of(row.payload))
                for row in rows
            ),
            return_exceptions=True,
        )
        why = ""
        done: list[int] = []
        for row, outcome in zip(rows, outcomes, strict=True):
            if outcome is None:
                done.append(row.id)
            elif isinstance(outcome, TokaidoError):
                why = str(outcome)
            else:
                raise outcome
        return done, why

    async def _wait(self, connection: Connection) -> None:
        waits = [asyncio.ensure_future(event.wait()) for event in (self._posted, connection.ended, self._ending)]
        try:
            await asyncio.wait(waits, timeout=IDLE_S, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()

    async def _pause(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._ending.wait()

    async def _trim(self) -> None:
        """Drop what the outbox has no room for, the oldest telemetry first."""
        store, most = self._store(), self.settings.rows
        if store is None or self._outgoing.waiting <= most:
            return
        try:
            dropped = await store.call(lambda store: store.records.trim_outbox(most, DROPPED_FIRST))
        except TokaidoError as error:
            LOG.warning("the outbox cannot be trimmed: %s", error)
            return
        self._outgoing.waiting -= dropped
        self._outgoing.dropped += dropped

    def _tell(self, why: str) -> None:
        """Raise the alarm that nobody hears the node, or clear it if there is no reason."""
        if why:
            self._lost = True
            self._alarm(Raise(ALARM, Severity.MINOR, "", f"the bus does not take messages: {why}"[:250]))
        elif self._lost:
            self._lost = False
            self._alarm(Clear(ALARM, ""))


def _first(store: SqliteStore) -> tuple[OutboxRow, ...]:
    """Return what goes out next: what may not be dropped, then the oldest."""
    return store.records.outbox(most=AT_ONCE, state="waiting") or store.records.outbox(most=AT_ONCE)


class Tapped:
    """Commits of a core, and what they tell of relays in the same transactions.

    Args:
        store: Carries them out.
        outgoing: Makes messages of them.
        bus: Sends them.
    """

    def __init__(self, store: StoreThread, outgoing: Outgoing, bus: Bus) -> None:
        self._store = store
        self._outgoing = outgoing
        self._bus = bus

    def commit(self, commit: Commit) -> asyncio.Future[tuple[KeyMaterial, ...]]:
        """Hand a commit in, with messages."""
        posts = self._outgoing.relays(commit.writes)
        if not posts:
            return self._store.commit(commit)
        future = self._store.commit(replace(commit, writes=(*commit.writes, *posts)))

        def written(done: asyncio.Future[tuple[KeyMaterial, ...]]) -> None:
            if not done.cancelled() and done.exception() is None:
                self._bus.posted(len(posts))

        future.add_done_callback(written)
        return future
