"""What a move does to the devices of this site. It speaks to hal and waits: not for the node's loop."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tokaido.hal import (
    ConfigurationError,
    Deadline,
    HalfLink,
    LeaseError,
    LeaseHeldError,
    LinkSelection,
    MovedEnd,
    RefusedError,
    TokaidoError,
)
from tokaido.node.moving._actions import Deed
from tokaido.node.moving._messages import MoveOrder
from tokaido.node.moving._records import Before, MoveRecord

if TYPE_CHECKING:
    from tokaido.hal import Clock, HeldLease, Station

LEASE_S: Final = 20.0
"""How long a node that died keeps the next one from going on. Renewed as long as it lives."""
HELD_S: Final = 3.0
"""How long an order of the node's own supervision may hold the lease yet."""


class Site:
    """This site's end of one link.

    Args:
        station: The station of the node.
        link: Name of the half-link.
        holder: Who holds its lease, for people to read: the node.
    """

    def __init__(self, station: Station, link: str, *, holder: str) -> None:
        self.entry = station.half_links[link]
        self._station = station
        self._holder = holder
        self._lease: HeldLease | None = None

    @property
    def _clock(self) -> Clock:
        return self._station.clock

    @property
    def _half(self) -> HalfLink:
        return self._station.half_link(self.entry.name)

    def check_entry(self, path: str) -> None:
        """See that the station file says what a move to `path` needs. No device is asked.

        Raises:
            ConfigurationError: It does not.
        """
        entry = self.entry
        if path not in entry.paths:
            raise ConfigurationError(
                f"link {entry.name} has no path {path!r} here", remedy=f"It has {', '.join(entry.paths) or 'none'}"
            )
        for key, there in (("peer", entry.peer), ("lease_file", entry.lease_file)):
            if not there:
                raise ConfigurationError(
                    f"link {entry.name} cannot be moved: its half-link has no {key}",
                    remedy=f"Give [links.{entry.name}] a {key} in the station file",
                )

    # --- the lease ----------------------------------------------------------------------------------------------------

    def lease(self) -> int:
        """Hold the lease of this end, and return its fencing token: a new one if an earlier one was lost.

        Raises:
            LeaseHeldError: Somebody else orders one of the devices.
            LeaseError: The lease file cannot be read or written.
        """
        if self._lease is not None:
            try:
                self._lease.renew()
            except LeaseError:
                self._lease = None
            else:
                return self._lease.fencing_token
        deadline = Deadline(self._clock, HELD_S)
        while True:
            try:
                self._lease = self._half.lease(holder=self._holder, seconds=LEASE_S)
            except LeaseHeldError:
                if deadline.passed:
                    raise
                self._clock.wait(min(0.1, deadline.remaining_s))
            else:
                return self._lease.fencing_token

    def keep(self) -> None:
        """Renew the lease, if it is held; one that was lost is taken again when it is needed."""
        if self._lease is not None:
            try:
                self._lease.keep()
            except LeaseError:
                self._lease = None

    def release(self) -> None:
        """Give the lease back; one that cannot be ends by itself."""
        lease, self._lease = self._lease, None
        if lease is not None:
            try:
                lease.release()
            except TokaidoError:
                return

    # --- deeds --------------------------------------------------------------------------------------------------------

    def look(self, path: str) -> Before:
        """See that this end can be moved to `path`, and return how it is. Nothing is touched.

        Raises:
            TokaidoError: It cannot.
        """
        self.check_entry(path)
        self.lease()
        end = self._end(path)
        end.identify()
        end.check_state()
        end.check_key(self.entry.peer)
        end.check_selection()
        end.check_darkness()
        end.check_switches()
        return _before(end)

    def look_for(self, order: MoveOrder) -> Before:
        """See that this end can follow a move, and return how it is. Nothing is touched.

        Raises:
            TokaidoError: It cannot.
        """
        self.check_entry(order.path)
        if order.unit != self.entry.peer:
            raise RefusedError(
                f"link {order.link} leads to {self.entry.peer}, and not to {order.unit}",
                remedy="Correct peer in the station files of both sites",
            )
        before = self.look(order.path)
        end = self._end_of(before, order.path)
        end.loaded = frozenset((key.peer, key.path) for key in end.unit.link_keys())
        peer, path = order.selected
        return Before(
            unit=before.unit,
            selected=before.selected,
            joined=before.joined,
            ran=before.ran,
            parking=end.parking(order.unit, LinkSelection(peer, path)),
        )

    def do(self, deed: Deed, record: MoveRecord) -> int | None:
        """Do something to this end; for the lease its fencing token is returned.

        Raises:
            TokaidoError: It was not done, or nobody knows.
        """
        token = self.lease()
        if deed is Deed.LEASE:
            return token
        before = record.before
        if before is None:
            raise TokaidoError(f"how link {record.link} was before is not known")
        end = self._end_of(before, record.path)
        match deed:
            case Deed.DARKEN:
                self._darken(end, record, before)
            case Deed.SWITCH:
                end.check_switches()
                if not record.leads:
                    end.make_dark()
                    _select(end, before.parking)
                end.orders.check_dark()
                end.join(end.target)
            case Deed.BACK:
                self._back(end, before)
            case Deed.FINISH:
                end.take_target(record.peer)
            case _:
                if (now := end.unit.link()).peer != before.selected[0] or now.path != before.selected[1]:
                    end.restore_selection()
        return None

    def _darken(self, end: MovedEnd, record: MoveRecord, before: Before) -> None:
        """Make the unit dark and set it apart from the other one: the one that could meet the other first."""
        end.make_dark()
        if record.leads:
            _select(end, (record.peer, record.path))
        elif before.parking != before.selected:
            _select(end, before.parking)
        end.orders.check_dark()

    def _back(self, end: MovedEnd, before: Before) -> None:
        joined = {name: dict(pairs) for name, pairs in before.joined}
        if any(end.orders.own(name) != pairs for name, pairs in joined.items()):
            end.make_dark()
            end.join(joined)

    def _end(self, path: str) -> MovedEnd:
        assert self._lease is not None
        return MovedEnd(self._half, path, self._lease, self._clock)

    def _end_of(self, before: Before, path: str) -> MovedEnd:
        end = self._end(path)
        end.serial_number = before.unit
        end.selected = LinkSelection(*before.selected)
        end.joined = {name: dict(pairs) for name, pairs in before.joined}
        end.ran = before.ran
        return end


def _before(end: MovedEnd) -> Before:
    return Before(
        unit=end.serial_number,
        selected=(end.selected.peer, end.selected.path),
        joined=tuple((name, tuple(sorted(pairs.items()))) for name, pairs in sorted(end.joined.items())),
        ran=end.ran,
    )


def _select(end: MovedEnd, link: tuple[str, str]) -> None:
    """Set the unit to a link, unless it is set to it under this lease."""
    now = end.unit.link()
    if ((now.peer, now.path), now.fencing_token) != (link, end.orders.lease.fencing_token):
        end.orders.select(*link)
