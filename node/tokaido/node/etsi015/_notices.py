"""What goes out to who reads the notifications: alarms, and links and units that go down. Each reader is bounded."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from typing import TYPE_CHECKING, Any, Final

import msgspec

from tokaido.node.etsi015._tree import OURS, STANDARD, Data, identity, interface_status, link_status, severity

if TYPE_CHECKING:
    from collections.abc import Callable

    from tokaido.node.etsi015._site import Site
    from tokaido.node.operation import AlarmChange, LinkLine, NodeStatus

LOG: Final = logging.getLogger("tokaido.node.etsi015")
MOST_READERS: Final = 16
MOST_WAITING: Final = 256
"""Notifications that wait for one reader."""
MOST_UNTOLD: Final = 10_000
"""Changes that wait for the next look."""


class Notices:
    """The notifications of one node. It lives in the node's loop.

    Args:
        site: The node's names and devices.
        most_readers: How many may read at once.
        most_waiting: How many notifications may wait for one of them, before it is dropped.
    """

    def __init__(self, site: Site, *, most_readers: int = MOST_READERS, most_waiting: int = MOST_WAITING) -> None:
        self.site = site
        self.dropped = 0
        """How many readers were too slow."""
        self._most_readers = most_readers
        self._most_waiting = most_waiting
        self._readers: set[Reader] = set()
        self._changes: deque[AlarmChange] = deque(maxlen=MOST_UNTOLD)
        self._links: dict[str, str] = {}
        self._units: dict[str, str] = {}

    @property
    def readers(self) -> int:
        """How many read."""
        return len(self._readers)

    def changed(self, change: AlarmChange) -> None:
        """Take a change of an alarm; it goes out at the next `look`."""
        self._changes.append(change)

    def look(self, status: NodeStatus) -> None:
        """Tell what has happened since the last look."""
        told = [*_fallen(self._links, self._units, status, self.site)]
        while self._changes:
            told.append(notification(self._changes.popleft(), status, self.site))
        self._links = {link.name: link_status(link) for link in status.links}
        self._units = {link.device: interface_status(link) for link in status.links}
        for content in told:
            self._tell({"ietf-restconf:notification": {"eventTime": status.utc, **content}})

    def open(self) -> Reader | None:
        """Return what one more reader reads; None: there are too many."""
        if len(self._readers) >= self._most_readers:
            return None
        reader = Reader(self._most_waiting)
        self._readers.add(reader)
        return reader

    def close(self, reader: Reader, *, slow: bool = False) -> None:
        """End one reader.

        Args:
            reader: Of `open`.
            slow: Whether it is dropped, since it did not read.
        """
        if reader not in self._readers:
            return
        self._readers.discard(reader)
        reader.end()
        if slow:
            self.dropped += 1
            LOG.warning("a reader of notifications was dropped: it read too slowly")
            reader.drop()

    def end(self) -> None:
        """End all readers."""
        for reader in tuple(self._readers):
            self.close(reader)

    def _tell(self, notice: Data) -> None:
        data = b"data: " + msgspec.json.encode(notice) + b"\n\n"
        for reader in tuple(self._readers):
            if not reader.put(data):
                self.close(reader, slow=True)


class Reader:
    """What waits for one reader."""

    def __init__(self, most: int) -> None:
        self.drop: Callable[[], object] = lambda: None
        """Ends its connection at once."""
        self._most = most
        self._waiting: list[bytes] = []
        self._ended = False
        self._news = asyncio.Event()

    def put(self, data: bytes) -> bool:
        """Have it read an event; return False if too many wait."""
        if len(self._waiting) >= self._most:
            return False
        self._waiting.append(data)
        self._news.set()
        return True

    def end(self) -> None:
        """Give it no more."""
        self._ended = True
        self._waiting.clear()
        self._news.set()

    async def next(self, within_s: float) -> bytes | None:
        """Return all events that wait, empty after `within_s` without one; None: the end."""
        if not self._waiting and not self._ended:
            try:
                async with asyncio.timeout(within_s):
                    await self._news.wait()
            except TimeoutError:
                return b""
        self._news.clear()
        data = b"".join(self._waiting)
        self._waiting.clear()
        return None if self._ended else data


def notification(change: AlarmChange, status: NodeStatus, site: Site) -> Data:
    """Return the notification of a change of an alarm, by its name: `alarm` while it lasts, `event` when it ends."""
    alarm, told = change.alarm, change.change.value
    details = {"code": alarm.code, "of": alarm.of, "change": told, "exact-severity": alarm.severity.value}
    if alarm.cause is not None:
        details |= {"cause": alarm.cause[0], "cause-of": alarm.cause[1]}
    common: Data = {"message": alarm.text, "severity": severity(alarm.severity.value)}
    common |= {f"{OURS}:{name}": value for name, value in details.items()}
    kind = f"{STANDARD}:{'alarm' if told in {'raised', 'altered'} else 'event'}"
    link = next((one for one in status.links if one.name == alarm.of), None)
    if link is not None:
        found = {"qkdl_id": _id(link, site), "qkdl_status": identity(link_status(link))}
        return {kind: {"link": found | common}}
    link = next((one for one in status.links if one.device == alarm.of), None)
    if link is not None:
        unit: Data = {"qkdi_id": site.interface_id(link.device)}
        if state := interface_status(link):
            unit["qkdi_status"] = identity(state)
        return {kind: {"interface": unit | common}}
    return {f"{OURS}:node-alarm": details | {"message": alarm.text}}


def _fallen(links: dict[str, str], units: dict[str, str], status: NodeStatus, site: Site) -> list[dict[str, Any]]:
    """Return the notifications of links and units that went down since what they were."""
    told: list[dict[str, Any]] = []
    for link in status.links:
        why = {"reason": link.why} if link.why else {}
        lost = links.get(link.name) == "ACTIVE" != link_status(link)
        if lost and link.phase not in {"maintenance", "moving"}:  # those are meant
            told.append({f"{STANDARD}:sdqkdn_link_down": {"qkd_link": {"qkdl_id": _id(link, site)} | why}})
        if units.get(link.device, "FAILED") != "FAILED" == interface_status(link):
            unit = {"qkdi_id": site.interface_id(link.device)}
            told.append({f"{STANDARD}:sdqkdn_interface_down": {"qkd_interface": unit | why}})
    return told


def _id(link: LinkLine, site: Site) -> str:
    return site.link_id(link.name, site.neighbours.get(link.name, link.neighbour))
