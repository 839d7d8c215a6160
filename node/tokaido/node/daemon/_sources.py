"""The devices of a node, each with a thread and a supervisor, and the key blocks that come from them."""

from __future__ import annotations

import asyncio
import logging
from abc import ABC, abstractmethod
from itertools import count
from math import inf
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, Protocol

from tokaido.hal import SYSTEM_CLOCK, TokaidoError
from tokaido.node.core import Drawn, NotFetched
from tokaido.node.supervision import DeviceThread, Failed, Inventory, LinkEnd, Outcome, Source, Supervisor

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from tokaido.hal import AlarmHook, Clock, KeyBlock, Station
    from tokaido.node.core import Clear, Event, Fetch, Raise
    from tokaido.node.node_file import NodeFile
    from tokaido.node.supervision import DeviceEvent, UnitOrder

LOG: Final = logging.getLogger("tokaido.node.devices")


class AttemptBook(Protocol):
    """Remembers, beyond the life of a node, when devices were ordered what may cost them authentication key."""

    async def attempts(self) -> Mapping[str, Sequence[float]]:
        """Return how many s ago each device was.

        Raises:
            TokaidoError: It cannot be read.
        """
        ...

    async def note_attempts(self, device: str, ago_s: Sequence[float]) -> None:
        """Make it durable how many s ago a device was, in place of what was noted of it before.

        Raises:
            TokaidoError: It cannot be written.
        """
        ...


class KeySources(ABC):
    """What gives the blocks of all links of a node. It is used in the loop's thread."""

    alarm_hooks: Sequence[AlarmHook] = ()
    """Who else is told of the node's alarms."""
    inventory: Inventory | None = None
    """Which box stands under the name of each device; None: there are no devices."""
    link_devices: Collection[str] = ()
    """The devices that give the blocks of links."""
    ends: Mapping[str, LinkEnd] = MappingProxyType({})
    """What becomes of each device, by its name."""
    station: Station | None = None
    """The station that they are devices of, whose links can be moved."""

    @abstractmethod
    def start(self, feed: Callable[[Event], bool], alarm: Callable[[Raise | Clear], None]) -> None:
        """Begin to draw.

        Args:
            feed: Hands an event to the core; whether one took it is returned.
            alarm: Takes the alarms of devices and their supervisors.
        """

    async def remember(self, book: AttemptBook) -> None:  # noqa: B027 - nothing, unless there are devices
        """Take up what is known of an earlier life of the node; before `start`. Default: nothing is.

        Raises:
            TokaidoError: It cannot be read.
        """

    @abstractmethod
    async def close(self) -> None:
        """Draw no more."""

    @abstractmethod
    def take_draw(self, draw: int, why_not: str | None) -> None:
        """Commit a drawn block to its source (None), or leave it there."""

    @abstractmethod
    def fetch(self, action: Fetch) -> None:
        """Have the link's source fetch a block."""

    def reconfigure(self, file: NodeFile) -> None:
        """Take a node file that was read again. Default: nothing of it matters here."""
        del file


class Sources(KeySources):
    """All devices of the station.

    Args:
        file: The node file.
        station: The station of the node. It is closed with the devices.
        clock: What the node's age is counted on.
    """

    def __init__(self, file: NodeFile, station: Station, *, clock: Clock = SYSTEM_CLOCK) -> None:
        self._file = file
        self.station = self._station = station
        self._clock = clock
        self._feed: Callable[[Event], bool] = lambda _: False
        self._numbers = count(1)
        self._draws: dict[int, tuple[LinkEnd, int]] = {}
        self._ends: dict[str, LinkEnd] = {}
        self.ends = MappingProxyType(self._ends)
        self._threads: list[DeviceThread] = []
        self._book: AttemptBook | None = None
        self._attempts: Mapping[str, Sequence[float]] = {}
        self._attempting: set[asyncio.Task[None]] = set()
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self.alarm_hooks = station.alarm_hooks
        self.inventory = Inventory()
        self._links = {half.unit: half.name for half in station.half_links.values()}
        self._links |= {device: link for link, device in file.sources.items()}
        self.link_devices = tuple(self._links)
        station.on_exit = file.on_exit
        self._alarm: Callable[[Raise | Clear], None] = lambda _: None

    def reconfigure(self, file: NodeFile) -> None:
        """Take a node file that was read again."""
        self._file = file
        self._station.on_exit = file.on_exit
        for end in self.ends.values():
            end.supervisor.reconfigure(file.supervision)

    @property
    def age_s(self) -> float:
        """What supervisors count time by, in s."""
        return self._clock.monotonic_ns() / 1e9

    async def remember(self, book: AttemptBook) -> None:
        """Count the attempts of an earlier life, too.

        Raises:
            TokaidoError: They cannot be read.
        """
        self._book, self._attempts = book, await book.attempts()

    def start(self, feed: Callable[[Event], bool], alarm: Callable[[Raise | Clear], None]) -> None:
        """Let the threads run."""
        loop = asyncio.get_running_loop()
        self._feed, self._alarm = feed, alarm
        settings = self._file.supervision
        for device in self._station.devices:
            half = next((half for half in self._station.half_links.values() if half.unit == device), None)
            attempts = [self.age_s - ago_s for ago_s in self._attempts.get(device, ())]
            one = Supervisor(self._links.get(device, device), device, settings, attempts=attempts)
            end = LinkEnd(one, self, lambda: self.age_s)

            def tell(event: DeviceEvent, end: LinkEnd = end) -> None:
                loop.call_soon_threadsafe(self._hear, end, event)

            holder = f"node {self._file.name}"
            source = Source(self._station, device, half, holder=holder, inventory=self.inventory)
            end.device = thread = DeviceThread(source, tell, poll_s=settings.poll_s, clock=self._clock)
            self._ends[device] = end
            self._threads.append(thread)
            thread.start()

    async def close(self) -> None:
        """End the threads and close the station. A device that hangs is left behind after 2 s."""
        for timer in self._timers.values():
            timer.cancel()
        for task in self._attempting:
            task.cancel()
        for thread in self._threads:
            thread.end()
        ended = await asyncio.gather(*(asyncio.to_thread(thread.join) for thread in self._threads))
        hanging = [thread.name for thread, done in zip(self._threads, ended, strict=True) if not done]
        if hanging:
            LOG.warning("left behind, since they hang: %s", ", ".join(hanging))
            return
        await asyncio.to_thread(self._station.close)

    # --- what the core wants ------------------------------------------------------------------------------------------

    def take_draw(self, draw: int, why_not: str | None) -> None:
        """Commit a drawn block to its source (None), or leave it there."""
        if (found := self._draws.pop(draw, None)) is not None:
            end, number = found
            end.settle(number, why_not)

    def fetch(self, action: Fetch) -> None:
        """Have the link's source fetch a block."""
        device = next((device for device, link in self._links.items() if link == action.link), "")
        if device in self.ends:
            self._ends[device].fetch(action)
        else:
            self._feed(NotFetched(action.link, action.session, action.number, "the link has no source here"))

    def alarm(self, action: Raise | Clear) -> None:
        """Take note of an alarm of a device or its supervisor."""
        self._alarm(action)

    # --- what link ends want ------------------------------------------------------------------------------------------

    def block_offered(self, end: LinkEnd, draw: int, block: KeyBlock) -> None:
        """A block came: the core says whether it is taken."""
        number = next(self._numbers)
        self._draws[number] = end, draw
        if not self._feed(Drawn(number, end.name, block.info, block.key)):
            self.take_draw(number, "the store is not open")

    def not_fetched(self, end: LinkEnd, action: Fetch, why: str) -> None:
        """A block that was to be fetched did not come."""
        self._feed(NotFetched(end.name, action.session, action.number, why))

    def attempt(self, end: LinkEnd, order: UnitOrder) -> None:
        """Give an order as soon as it is durable that it was given: a node that dies now remembers it."""
        task = asyncio.get_running_loop().create_task(self._attempt(end, order))
        self._attempting.add(task)
        task.add_done_callback(self._attempting.discard)

    async def _attempt(self, end: LinkEnd, order: UnitOrder) -> None:
        now_s = self.age_s
        try:
            if self._book is not None:
                ago_s = [now_s - at_s for at_s in end.supervisor.attempts.times]
                await self._book.note_attempts(end.supervisor.unit, ago_s)
        except TokaidoError as error:
            self._hear(end, Failed(order, Outcome.NOT_SENT, f"it cannot be written down: {error.what}"))
        else:
            end.give(order)

    def _hear(self, end: LinkEnd, event: DeviceEvent) -> None:
        end.hear(event)
        self._wake(end)

    def _tick(self, end: LinkEnd) -> None:
        end.tick()
        self._wake(end)

    def _wake(self, end: LinkEnd) -> None:
        name = end.supervisor.unit
        if (timer := self._timers.pop(name, None)) is not None:
            timer.cancel()
        if end.wake_s < inf:
            loop = asyncio.get_running_loop()
            self._timers[name] = loop.call_later(max(0.001, end.wake_s - self.age_s), self._tick, end)
