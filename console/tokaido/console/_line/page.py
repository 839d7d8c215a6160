"""The web page of a line that runs: what it is served from, its drills as buttons, and the two applications."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

import msgspec

import tokaido.hal as hal
from tokaido.console._line.drills import DRILLS, run_drill
from tokaido.console.page import (
    PageApplication,
    PageDrill,
    PageServer,
    PictureExchange,
    SpanFacts,
    relays_between,
    state_of,
)
from tokaido.node.topology import read_topology

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tokaido.console._line.drills import Drill
    from tokaido.console._line.shown import Shown
    from tokaido.console._line.watch import Seen
    from tokaido.console.page import PageRelay, PageState
    from tokaido.node.operation import NodeStatus

_MOST_RELAYS: Final = 64
"""Relays that wait to be shown; older ones are forgotten."""


class LinePage:
    """What the page of a line is served from, and who begins its drills; it belongs to one event loop.

    Args:
        shown: A line that runs.
    """

    def __init__(self, shown: Shown) -> None:
        self._shown = shown
        self._topology = read_topology(shown.run.plant.folder / "line.toml")
        self._loop = asyncio.get_running_loop()
        self._relays: asyncio.Queue[PageRelay] = asyncio.Queue(_MOST_RELAYS)
        self._before: dict[str, NodeStatus] = {}
        self._drills = {drill.name: _described(drill) for drill in DRILLS if drill.needs <= shown.described.names}
        self._running: asyncio.Task[None] | None = None
        shown.run.watch.listen(self._look)

    async def state(self) -> PageState:
        """Return how the line stands."""
        described, seen = self._shown.described, self._shown.run.seen
        moves = {
            link.name: link.move
            for status in seen.nodes.values()
            if status is not None
            for link in status.links
            if link.move.startswith("moved")
        }
        facts = {
            span.name: SpanFacts(
                vendor=described.styles[span.name],
                path=moves.get(span.name, "").rpartition(" ")[2].rpartition("-")[2] if span.paths else "",
                speed=seen.speeds.get(span.name),
            )
            for span in described.spans
        }
        found = state_of(
            self._topology,
            _answered(seen),
            utc_s=hal.SYSTEM_CLOCK.utc_ns() / hal.NS_PER_S,
            title=described.title,
            title_ja=described.titles_ja.get("", ""),
            titles_ja=described.titles_ja,
            spans=facts,
        )
        sender, receiver = described.ends
        applications = (
            PageApplication(name=sender.application, site=sender.name, role="sender", **_titles(sender.application)),
            PageApplication(
                name=receiver.application, site=receiver.name, role="receiver", **_titles(receiver.application)
            ),
        )
        return msgspec.structs.replace(
            found, emulation=True, drills=tuple(self._drills.values()), applications=applications
        )

    async def relay(self) -> PageRelay:
        """Return the next keys that went over a route."""
        return await self._relays.get()

    async def start(self, name: str) -> None:
        """Begin a drill.

        Raises:
            ConfigurationError: There is none of that name.
            RefusedError: Another one is not over yet.
        """
        drill = next((drill for drill in DRILLS if drill.name == name and name in self._drills), None)
        if drill is None:
            raise hal.ConfigurationError(
                f"no drill here is called {name!r}", remedy=f"One of {', '.join(self._drills)}"
            )
        if self._running is not None and not self._running.done():
            raise hal.RefusedError("another drill runs", remedy="Wait until it is over")
        self._drills[drill.name] = msgspec.structs.replace(self._drills[drill.name], state="running", seen="")
        self._running = asyncio.create_task(self._run(drill))

    async def end(self) -> None:
        """Wait until the drill that runs is over: it leaves the line as it was."""
        if self._running is not None:
            await self._running

    async def _run(self, drill: Drill) -> None:
        done = await asyncio.to_thread(run_drill, self._shown, drill)
        self._drills[drill.name] = msgspec.structs.replace(
            self._drills[drill.name], state="passed" if done.held else "failed", seen=done.seen
        )

    def _look(self, seen: Seen) -> None:
        """Take note of keys that went over routes; called in the thread of the watch."""
        now = _answered(seen)
        relays = relays_between(self._before, now, utc_s=hal.SYSTEM_CLOCK.utc_ns() / hal.NS_PER_S)
        self._before = now
        if relays and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._put, relays)

    def _put(self, relays: tuple[PageRelay, ...]) -> None:
        for relay in relays:
            if self._relays.full():
                self._relays.get_nowait()
            self._relays.put_nowait(relay)


@asynccontextmanager
async def page_of(shown: Shown, port: int = 0) -> AsyncIterator[PageServer]:
    """Serve the page of a line that runs, in the event loop of the caller."""
    source = LinePage(shown)
    first, last = (shown.applications[name] for name in shown.run_ends)
    exchange = PictureExchange(
        first.client,
        last.client,
        sender_sae=first.sae,
        receiver_sae=last.sae,
        route=lambda: shown.route(shown.run.seen, first.node, last.node),
    )
    async with PageServer(source, drills=source, exchange=exchange, port=port) as server:
        yield server
    await source.end()


def _answered(seen: Seen) -> dict[str, NodeStatus]:
    return {name: status for name, status in seen.nodes.items() if status is not None}


_KNOWN: Final = {"bank": ("Bank", "銀行"), "hospital": ("Hospital", "病院")}
"""What people call an application, by the beginning of its SAE id."""


def _titles(application: str) -> dict[str, str]:
    title, title_ja = _KNOWN.get(application.partition("-")[0], (application, ""))
    return {"title": title, "title_ja": title_ja}


def _described(drill: Drill) -> PageDrill:
    return PageDrill(
        name=drill.name,
        title=drill.title,
        title_ja=drill.title_ja,
        expected=drill.expected,
        expected_ja=drill.expected_ja,
    )
