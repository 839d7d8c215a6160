"""Moves of links between two sites: all links of a node, what its neighbours order, and what people do."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final, Protocol

import msgspec

from tokaido.hal import ConfigurationError, Device, RefusedError, Transmitter, load_driver
from tokaido.node.core import Clear, Raise
from tokaido.node.daemon._following import Following
from tokaido.node.daemon._leading import Leading
from tokaido.node.moving import (
    MOVE_STUCK,
    MOVE_STUCK_SEVERITY,
    Half,
    MoveAnswer,
    Site,
    encoded,
    order_of,
    packed,
    unpacked,
)
from tokaido.node.peers import BusyError
from tokaido.node.store import StoreError
from tokaido.node.supervision import Hold

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tokaido.hal import Station
    from tokaido.node.daemon._link_moves import LinkMoves
    from tokaido.node.moving import MoveRecord
    from tokaido.node.store import Records, StoreThread
    from tokaido.node.supervision import LinkEnd

LOG: Final = logging.getLogger("tokaido.node.moves")


class MoveAsks(Protocol):
    """Orders the other halves of moves."""

    async def ask_move(self, neighbour: str, order: bytes, within_s: float) -> bytes:
        """Return a neighbour's answer.

        Raises:
            UnansweredError: There is none.
        """
        ...


class Moving:
    """The moves of all links of a node. It fills `HearsMoves`.

    Args:
        node: Name of the node, which holds leases.
        station: The station of the node; None: its sources are not devices of one, and nothing can be moved.
        ends: What becomes of each device, by its name; it may fill later.
        neighbours: Orders the other halves.
        store: Returns the thread that owns the store, while it is open.
        alarm: Takes the alarm of moves that wait.
        account: Takes note of what became of a move: who ordered it, what, and what is to be written with it.
    """

    def __init__(
        self,
        node: str,
        station: Station | None,
        ends: Mapping[str, LinkEnd],
        *,
        neighbours: MoveAsks,
        store: Callable[[], StoreThread | None],
        alarm: Callable[[Raise | Clear], None],
        account: Callable[[str, str, Callable[[Records], object]], None],
    ) -> None:
        self._node = node
        self._station = station
        self._ends = ends
        self._neighbours = neighbours
        self._store = store
        self._alarm = alarm
        self._account = account
        self._links: dict[str, LinkMoves] = {}
        self._stuck: dict[str, str] = {}
        self._going = False

    async def remember(self) -> None:
        """Read what an earlier life noted.

        Raises:
            TokaidoError: It cannot be read.
        """
        if self._station is None:
            return
        noted = await self._open_store().call(lambda store: store.records.moves())
        for link, entry in self._station.half_links.items():
            if len(entry.paths) > 1:
                record = unpacked(noted[link]) if link in noted else None
                site = Site(self._station, link, holder=f"node {self._node}")
                unit = load_driver(self._station.entry(entry.unit).driver, Device)
                kind = Leading if issubclass(unit, Transmitter) else Following
                self._links[link] = kind(site, self, record)

    @property
    def can_lead(self) -> bool:
        """Whether this node leads the moves of any link."""
        return any(isinstance(one, Leading) for one in self._links.values())

    def resume(self) -> None:
        """Go on with what an earlier life left: as soon as devices have ends, and before these hear anything."""
        self._going = True
        for one in self._links.values():
            one.resume()

    async def close(self) -> None:
        """Begin nothing more. A move that is not over goes on when the node is started again."""
        self._going = False
        for one in self._links.values():
            await one.close()

    async def move(self, link: str, path: str, *, by: str) -> None:
        """Begin to move a link, and return when that is noted.

        Raises:
            TokaidoError: It cannot be moved; nothing was touched.
        """
        await self._found(link).begin(path, by=by)

    async def forget(self, link: str, *, by: str) -> None:
        """Have a move that waits forgotten.

        Raises:
            TokaidoError: It was not.
        """
        await self._found(link).forget(by=by)

    async def __call__(self, neighbour: str, order: bytes) -> bytes:
        """Return the answer to an order of a neighbour.

        Raises:
            ProtocolError: It is none.
            BusyError: The node is starting or draining.
        """
        heard = order_of(order)
        if not self._going:
            raise BusyError("the node is starting, or ending")
        found = self._links.get(heard.link)
        if found is None or found.neighbour != neighbour:
            why = f"{self._node} has no link {heard.link} of several paths to {neighbour}"
            return encoded(MoveAnswer(half=Half.FREE, why=why))
        answer = await found.hear(heard)
        LOG.info("%s: %s of %s: %s %s", neighbour, heard.order.value, heard.link, answer.half.value, answer.why)
        return encoded(answer)

    def _found(self, link: str) -> LinkMoves:
        if not self._going:
            raise RefusedError("the node is starting, or ending", remedy="Try again in a moment")
        if link not in self._links:
            known = ", ".join(self._links) or "none"
            raise ConfigurationError(f"this node has no link {link!r} of several paths", remedy=f"It has {known}")
        return self._links[link]

    def _open_store(self) -> StoreThread:
        if (store := self._store()) is None:
            raise StoreError("the store is not open", remedy="The node tries to open it again")
        return store

    # --- what the moves of a link need --------------------------------------------------------------------------------

    async def note(self, record: MoveRecord) -> None:
        """Make a record durable.

        Raises:
            StoreError: It is not, or nobody knows.
        """
        data = packed(record)
        await self._open_store().call(lambda store: store.records.set_move(record.link, data))

    async def ask_move(self, neighbour: str, order: bytes, within_s: float) -> bytes:
        """Return a neighbour's answer.

        Raises:
            UnansweredError: There is none.
        """
        return await self._neighbours.ask_move(neighbour, order, within_s)

    def hold(self, link: str, by: str) -> None:
        """Keep supervision from giving orders to the unit of a link; empty: give it back."""
        if (end := self._end_of(link)) is not None:
            end.feed(Hold(by))

    def show(self, link: str, text: str, stuck: str) -> None:
        """Say what the last move of a link comes to, and what it waits for."""
        if (end := self._end_of(link)) is not None:
            end.move = text
        if stuck and self._stuck.get(link) != stuck:
            self._stuck[link] = stuck
            self._alarm(Raise(MOVE_STUCK, MOVE_STUCK_SEVERITY, link, stuck))
        elif not stuck and self._stuck.pop(link, None) is not None:
            self._alarm(Clear(MOVE_STUCK, link))

    def over(self, record: MoveRecord, text: str) -> None:
        """Account for a move that is over at this end, and note that it is, unless another one has begun meanwhile."""
        noted, accounted = packed(record), packed(msgspec.structs.replace(record, accounted=True))

        def mark(records: Records) -> None:
            if records.moves().get(record.link) == noted:
                records.set_move(record.link, accounted)

        self._account(record.by, f"link {record.link}: {text}", mark)

    def _end_of(self, link: str) -> LinkEnd | None:
        assert self._station is not None
        return self._ends.get(self._station.half_links[link].unit)
