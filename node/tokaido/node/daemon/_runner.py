"""Runs a node's core: hands in what happens, and carries out what it wants done."""

from __future__ import annotations

import asyncio
import logging
from functools import partial
from itertools import count
from math import inf
from typing import TYPE_CHECKING, Final, Protocol

from tokaido.node.core._actions import (
    Answer,
    Clear,
    Commit,
    CommitDraw,
    Fetch,
    Keys,
    LeaveDraw,
    Raise,
    Reason,
    Refusal,
    Send,
)
from tokaido.node.core._events import (
    Abandoned,
    Answered,
    CommitFailed,
    Committed,
    DecKeys,
    EncKeys,
    Received,
    Started,
    Tick,
    Unanswered,
    Undelivered,
)
from tokaido.node.messages import ANY_HOPS, CELL
from tokaido.node.peers import BusyError, UnansweredError
from tokaido.node.service import KeyRefusedError, PairStatus

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tokaido.hal import Clock, KeyMaterial
    from tokaido.node.core import NodeCore
    from tokaido.node.core._actions import Action, SuppliedKey
    from tokaido.node.core._events import Event
    from tokaido.node.messages import Envelope

HEARD_WITHIN_S: Final = 10.0
"""After so long a neighbour is told that the node is busy: it has given up long since."""


class Commits(Protocol):
    """Makes commits durable, in the order in which they are handed in."""

    def commit(self, commit: Commit) -> asyncio.Future[tuple[KeyMaterial, ...]]:
        """Return what tells that it is durable, with what it loaded."""
        ...


class Asks(Protocol):
    """Asks neighbours."""

    async def ask(self, neighbour: str, envelope: Envelope, within_s: float) -> Envelope:
        """Return the answer.

        Raises:
            UnansweredError: There is none.
        """
        ...


class Surroundings(Protocol):
    """What a runner's core acts upon beside store, neighbours and applications."""

    def take_draw(self, draw: int, why_not: str | None) -> None:
        """Commit a drawn block to its source (None), or leave it there."""
        ...

    def fetch(self, action: Fetch) -> None:
        """Have the link's source fetch a block."""
        ...

    def alarm(self, action: Raise | Clear) -> None:
        """Take note of an alarm."""
        ...

    def failed(self, why: str) -> None:
        """Start another core: the store cannot be written."""
        ...


class CoreRunner:
    """Runs one core for as long as its store can be written; all but `feed_soon` is for the loop's thread alone.

    Fills `KeyService` for the interfaces of applications, and `Hears` for the listener for neighbours.

    Args:
        core: What it runs.
        store: Takes commits.
        neighbours: Asks neighbours.
        surroundings: Everything else.
        clock: What the node's age is counted on.
        age_s: The node's age now, in s.
    """

    def __init__(
        self,
        core: NodeCore,
        store: Commits,
        neighbours: Asks,
        surroundings: Surroundings,
        *,
        clock: Clock,
        age_s: float,
    ) -> None:
        self.core = core
        self._store = store
        self._neighbours = neighbours
        self._surroundings = surroundings
        self._clock = clock
        self._born_s = age_s - clock.monotonic_ns() / 1e9
        self._loop = asyncio.get_running_loop()
        self._numbers = count(1)
        self._exchanges: dict[int, asyncio.Future[Envelope]] = {}
        self._requests: dict[int, asyncio.Future[tuple[SuppliedKey, ...]]] = {}
        self._asking: set[asyncio.Task[None]] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._ended = False

    @property
    def age_s(self) -> float:
        """The node's age in s."""
        return self._born_s + self._clock.monotonic_ns() / 1e9

    def start(self) -> None:
        """Let the core begin."""
        self.feed(Started())

    def end(self) -> None:
        """Run it no more: a caller that waits is told that the node is busy."""
        self._ended = True
        if self._timer is not None:
            self._timer.cancel()
        for task in self._asking:
            task.cancel()
        for heard in self._exchanges.values():
            if not heard.done():
                heard.set_exception(BusyError("the node is ending"))
        for asked in self._requests.values():
            if not asked.done():
                asked.set_exception(KeyRefusedError("the node is ending", Reason.DRAINING, 5.0))

    def feed(self, event: Event) -> None:
        """Hand in what happened, in the loop's thread."""
        if self._ended:
            return
        for action in self.core.handle(event, self.age_s):
            self._carry_out(action)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        wake_s = self.core.wake_s
        if wake_s < inf and not self._ended:
            self._timer = self._loop.call_later(max(0.001, wake_s - self.age_s), self.feed, Tick())

    def feed_soon(self, event: Event) -> None:
        """Hand in what happened, from another thread."""
        self._loop.call_soon_threadsafe(self.feed, event)

    # --- what the core wants done -------------------------------------------------------------------------------------

    def _carry_out(self, action: Action) -> None:
        match action:
            case Commit(token=token):
                self._store.commit(action).add_done_callback(partial(self._committed, token))
            case Send():
                task = self._loop.create_task(self._ask(action))
                self._asking.add(task)
                task.add_done_callback(self._asking.discard)
            case Answer(exchange=exchange, envelope=envelope):
                if (heard := self._exchanges.pop(exchange, None)) is not None and not heard.done():
                    heard.set_result(envelope)
            case Keys(request=request, keys=keys):
                self._deliver(request, keys)
            case Refusal(request=request):
                if (asked := self._requests.pop(request, None)) is not None and not asked.done():
                    asked.set_exception(
                        KeyRefusedError(action.what, action.reason, action.retry_after_s, action.cut_nodes)
                    )
            case CommitDraw(draw=draw):
                self._surroundings.take_draw(draw, None)
            case LeaveDraw(draw=draw, why=why):
                self._surroundings.take_draw(draw, why)
            case Fetch():
                self._surroundings.fetch(action)
            case Raise() | Clear():
                self._surroundings.alarm(action)

    def _deliver(self, request: int, keys: tuple[SuppliedKey, ...]) -> None:
        asked = self._requests.pop(request, None)
        if asked is not None and not asked.done():
            asked.set_result(keys)
            return
        for key in keys:  # the application left meanwhile
            key.key.wipe()
        self._loop.call_soon(self.feed, Undelivered(request, tuple(key.key_id for key in keys)))

    def _committed(self, token: int, future: asyncio.Future[tuple[KeyMaterial, ...]]) -> None:
        if future.cancelled():
            return
        if (error := future.exception()) is not None:
            self._fail(token, str(error))
        elif self._ended:
            for key in future.result():
                key.wipe()
        else:
            self.feed(Committed(token, future.result()))

    def _fail(self, token: int, why: str) -> None:
        if self._ended:
            return
        logging.getLogger("tokaido.node").error("the store cannot be written: %s", why)
        self.feed(CommitFailed(token, why))
        self.end()
        self._surroundings.failed(why)

    async def _ask(self, action: Send) -> None:
        try:
            answer = await self._neighbours.ask(action.neighbour, action.envelope, action.within_s)
        except UnansweredError as error:
            self.feed(Unanswered(action.token, str(error)))
        else:
            self.feed(Answered(action.token, answer))

    # --- what others ask of it ----------------------------------------------------------------------------------------

    async def hear(self, neighbour: str, envelope: Envelope) -> Envelope:
        """Return the answer to what a neighbour asks.

        Raises:
            BusyError: The node is starting, ending, or too slow.
        """
        if self._ended:
            raise BusyError("the node is starting")
        exchange = next(self._numbers)
        heard: asyncio.Future[Envelope] = self._loop.create_future()
        self._exchanges[exchange] = heard
        self.feed(Received(exchange, neighbour, envelope))
        try:
            async with asyncio.timeout(HEARD_WITHIN_S):
                return await heard
        except TimeoutError:
            raise BusyError("the node is too busy to answer") from None
        finally:
            self._exchanges.pop(exchange, None)

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
        return await self._requested(lambda n: EncKeys(n, master, tuple(slaves), number, size, max_age_s, hops, routes))

    async def dec_keys(self, slave: str, master: str, key_ids: Sequence[bytes]) -> tuple[SuppliedKey, ...]:
        """Return the keys of those ids, as `KeyService.dec_keys` does."""
        return await self._requested(lambda n: DecKeys(n, slave, master, tuple(key_ids)))

    async def _requested(self, event: Callable[[int], Event]) -> tuple[SuppliedKey, ...]:
        if self._ended:
            raise KeyRefusedError("the node is starting", Reason.STARTING, 1.0)
        request = next(self._numbers)
        asked: asyncio.Future[tuple[SuppliedKey, ...]] = self._loop.create_future()
        self._requests[request] = asked
        self.feed(event(request))
        try:
            return await asked
        except asyncio.CancelledError:
            if asked.done() and not asked.cancelled() and asked.exception() is None:
                self.undelivered(asked.result())
            elif self._requests.get(request) is asked:
                self.feed(Abandoned(request))
            raise

    def pair_status(self, application: str, other: str) -> PairStatus:
        """Return what `application` may know of the keys that it shares with `other`."""
        settings = self.core.settings
        found = settings.applications.get(other)
        if found is None or application not in settings.applications:
            raise KeyRefusedError("no application of that name is known here", Reason.UNKNOWN_APPLICATION)
        pair = self.core.pair(found.node)
        cells = -(-settings.key_size // (8 * CELL))
        return PairStatus(
            source_node=settings.node,
            target_node=found.node,
            stored_keys=0 if pair is None else pair.supplied_ready // cells,
            max_stored_keys=0 if pair is None else pair.target // cells,
            key_size=settings.key_size,
            min_key_size=settings.min_key_size,
            max_key_size=settings.max_key_size,
            max_keys=settings.max_keys,
            max_slaves=settings.max_slaves,
            integrity="relays trusted" if pair is None else pair.integrity,
            hops=0 if pair is None else pair.hops,
        )

    def undelivered(self, keys: Sequence[SuppliedKey]) -> None:
        """Say that an answer with these keys did not reach its application."""
        for key in keys:
            key.key.wipe()
        self.feed(Undelivered(0, tuple(key.key_id for key in keys)))
