"""A page's source that listens on the bus of a network, and listens again after its hub was away."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Final, Self

from tokaido.console.page._bus import state_of_view
from tokaido.console.page._state import PageRelay
from tokaido.hal import NS_PER_S, SYSTEM_CLOCK, ConfigurationError, NotConnectedError, TransportError

if TYPE_CHECKING:
    from types import TracebackType

    from tokaido.console.page._bus import Route
    from tokaido.console.page._state import PageState
    from tokaido.hal import Clock
    from tokaido.node.events import EventsSettings, Message, NetworkView, RelayState
    from tokaido.node.topology import Topology

PAUSE_S: Final = 1.0
WAITING: Final = 64
"""Relays that may wait to be shown; of more, the page shows none."""
UNDER_WAY: Final = 4096
"""Batches that are remembered until it is told what became of them; the oldest are forgotten."""


class BusSource:
    """Where the page of a real network comes from. Use it with `async with`; it needs `pip install "tokaido[events]"`.

    Args:
        settings: Of the network file.
        topology: Says which nodes and links there are, and where; None: those that are heard, in a diagram.
        clock: Where time comes from.

    Raises:
        ConfigurationError: The topology is that of another network.
    """

    def __init__(
        self, settings: EventsSettings, topology: Topology | None = None, *, clock: Clock = SYSTEM_CLOCK
    ) -> None:
        if topology is not None and topology.network != settings.network:
            raise ConfigurationError(
                f"the topology is that of {topology.network}, and the bus that of {settings.network}",
                remedy="Give the files of one network",
            )
        self._settings, self._topology, self._clock = settings, topology, clock
        self._view: NetworkView | None = None
        self._routes: dict[frozenset[str], Route] = {}
        self._relays: asyncio.Queue[PageRelay] = asyncio.Queue(WAITING)
        self._under_way: dict[tuple[str, str], RelayState] = {}
        self._why = "the hub was not reached yet"
        self._first: asyncio.Future[None] | None = None
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        """Connect.

        Raises:
            NotConnectedError: No server of the hub lets us in.
            ConfigurationError: The certificate names no person, or cannot be used.
        """
        loop = asyncio.get_running_loop()
        self._first = loop.create_future()
        self._task = loop.create_task(self._listen(self._first))
        await asyncio.wait({self._first, self._task}, return_when=asyncio.FIRST_COMPLETED)
        if self._task.done():
            self._task.result()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def state(self) -> PageState:
        """Return what the nodes told.

        Raises:
            NotConnectedError: The hub is away.
        """
        if self._why or self._view is None:
            raise NotConnectedError(self._why, remedy="It is tried again each second")
        return state_of_view(self._view, self._topology, utc_s=self._utc_s, routes=self._routes)

    async def relay(self) -> PageRelay:
        """Return the next keys that went over a route."""
        return await self._relays.get()

    @property
    def _utc_s(self) -> float:
        return self._clock.utc_ns() / NS_PER_S

    async def _listen(self, first: asyncio.Future[None]) -> None:
        from tokaido.node.events import NetworkClient  # noqa: PLC0415 - an extra

        while True:
            try:
                async with NetworkClient(self._settings, clock=self._clock) as client:
                    self._view = await client.watch(self._told, self._view)
                    self._why = ""
                    if not first.done():
                        first.set_result(None)
                    await client.connection.ended.wait()
                    self._why = "the hub ended the connection"
            except TransportError as error:
                if not first.done():
                    raise
                self._why = f"the hub cannot be reached: {error.what}"
            await asyncio.to_thread(self._clock.wait, PAUSE_S)

    def _told(self, message: Message) -> None:
        from tokaido.node.events import RelayState  # noqa: PLC0415 - an extra

        if not isinstance(message, RelayState):
            return
        batch = message.node, message.relay
        if message.state == "put":  # it alone tells the route
            if message.started_here and len(message.route) > 1:
                self._under_way[batch] = message
                if len(self._under_way) > UNDER_WAY:
                    del self._under_way[next(iter(self._under_way))]
            return
        put = self._under_way.pop(batch, None)
        if put is None:  # told before we listened; or the keys were used up, long after they were ready
            return
        if message.state == "ready":
            self._routes[frozenset((put.route[0], put.route[-1]))] = put.route
        with contextlib.suppress(asyncio.QueueFull):
            self._relays.put_nowait(PageRelay(route=put.route, keys=put.keys, state=message.state, utc_s=message.utc_s))
