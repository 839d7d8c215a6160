"""The key sources of a node: a thread each, which keeps its device at work and draws its blocks."""

from __future__ import annotations

import asyncio
import logging
import threading
from itertools import count
from typing import TYPE_CHECKING, Final

from tokaido.hal import SYSTEM_CLOCK, KeySource, TokaidoError, Unit, UnitState
from tokaido.node.core import Drawn, NotFetched

if TYPE_CHECKING:
    from collections.abc import Callable

    from tokaido.hal import Clock, KeyBlock, Station
    from tokaido.node.core import Clear, Event, Fetch, Raise
    from tokaido.node.node_file import NodeFile

LOG: Final = logging.getLogger("tokaido.node.sources")
DRAW_S: Final = 0.5
TAKEN_S: Final = 10.0


class Sources:
    """The sources of all links."""

    def __init__(self, file: NodeFile, station: Station, *, clock: Clock = SYSTEM_CLOCK) -> None:
        self._station = station
        self._clock = clock
        self._links = {name: half.unit for name, half in station.half_links.items()} | dict(file.sources)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._feed: Callable[[Event], bool] = lambda _: False
        self._numbers = count(1)
        self._draws: dict[int, _Draw] = {}
        self._ending = threading.Event()
        self._threads: list[threading.Thread] = []

    def start(self, feed: Callable[[Event], bool]) -> None:
        """Let the threads run; what they draw is fed in the loop's thread."""
        self._loop = asyncio.get_running_loop()
        self._feed = feed
        for link, device in self._links.items():
            thread = threading.Thread(target=self._run, args=(link, device), name=f"source-{link}", daemon=True)
            self._threads.append(thread)
            thread.start()

    async def close(self) -> None:
        """End the threads and close the station."""
        self._ending.set()
        for draw in self._draws.values():
            draw.done.set()
        for thread in self._threads:
            await asyncio.to_thread(thread.join, 3.0)
        await asyncio.to_thread(self._station.close)

    def take_draw(self, draw: int, why_not: str | None) -> None:
        """Commit a drawn block to its source (None), or leave it there."""
        found = self._draws.pop(draw, None)
        if found is not None:
            found.why_not = why_not
            found.done.set()

    def fetch(self, action: Fetch) -> None:
        """Have the link's source fetch a block."""
        self._feed(NotFetched(action.link, action.session, action.number, "this source fetches none"))

    def alarm(self, action: Raise | Clear) -> None:
        """Take note of an alarm."""
        LOG.warning("%s", action)

    def failed(self, why: str) -> None:
        """Do nothing: the core is started again elsewhere."""

    def _run(self, link: str, device: str) -> None:
        while not self._ending.is_set():
            try:
                source = self._station.device(device, KeySource)
                if isinstance(source, Unit):
                    state = source.state()
                    if state is UnitState.OFF:
                        source.power_on()
                    elif state is UnitState.STANDBY:
                        source.start()
                for block in source.key_blocks(DRAW_S, limit=4):
                    self._hand_in(link, block)
            except TokaidoError as error:
                LOG.warning("link %s: %s", link, error)
                self._ending.wait(1.0)

    def _hand_in(self, link: str, block: KeyBlock) -> None:
        draw, number, loop = _Draw(), next(self._numbers), self._loop
        assert loop is not None
        self._draws[number] = draw
        loop.call_soon_threadsafe(self._feed, Drawn(number, link, block.info, block.key))
        if draw.done.wait(TAKEN_S) and draw.why_not is None and not self._ending.is_set():
            block.commit()


class _Draw:
    def __init__(self) -> None:
        self.done = threading.Event()
        self.why_not: str | None = "not taken"
