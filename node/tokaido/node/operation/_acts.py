"""What people order of a node, whichever way they come: the control socket and the control endpoint share it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, TypeAlias

from tokaido.hal import NS_PER_S, SYSTEM_CLOCK, ConfigurationError, RangeError
from tokaido.node.operation._control_messages import Acknowledge, MaintainLink, ResumeLink, SetRelaying
from tokaido.node.store import MaintenanceRow
from tokaido.node.supervision import Maintenance, Resume

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping

    from tokaido.hal import Clock
    from tokaido.node.operation._alarm_book import AlarmBook
    from tokaido.node.operation._control_server import Peer
    from tokaido.node.supervision import LinkEnd

Act: TypeAlias = Acknowledge | ResumeLink | MaintainLink | SetRelaying


class Account(Protocol):
    """Takes note of what somebody ordered."""

    def __call__(self, peer: Peer, what: str, why: str) -> None:
        """Who, what, and why; the last may be empty."""
        ...


class Keeps(Protocol):
    """Makes it durable which ends of links people have taken."""

    def __call__(self, link: str, row: MaintenanceRow | None) -> None:
        """Who has it, and until when; None: nobody any more."""
        ...


class Acts:
    """Carries out what concerns alarms, ends of links, and relaying.

    Args:
        book: The node's alarms.
        ends: Returns what becomes of each device now.
        relay: Lets the node relay, or not.
        account: Takes note of each act that was carried out.
        itself: Who acts when maintenance ends by itself.
        keep: Makes maintenance durable; default: nothing does.
        clock: Where the time of day comes from.
    """

    def __init__(
        self,
        book: AlarmBook,
        ends: Callable[[], Iterable[LinkEnd]],
        relay: Callable[[bool], None],
        account: Account,
        *,
        itself: Peer | None = None,
        keep: Keeps = lambda link, row: None,  # noqa: ARG005 - as `Keeps` names them
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self._itself = itself
        self._keep = keep
        self._book = book
        self._ends = ends
        self._relay = relay
        self._account = account
        self._clock = clock
        self._until_s: dict[str, float] = {}
        self._maintained: set[str] = set()

    @property
    def maintained_until_s(self) -> Mapping[str, float]:
        """When maintenance ends by itself, by link, in s since 1970-01-01 UTC."""
        return self._until_s

    @property
    def maintained(self) -> Collection[str]:
        """The links that people have taken."""
        return self._maintained

    def restore(self, rows: Iterable[MaintenanceRow]) -> None:
        """Go on with maintenance of an earlier life of the node; before any device was heard."""
        ends = {end.name: end for end in self._ends()}
        for row in rows:
            if row.link in ends:  # the station may have lost one
                self._begin(ends[row.link], row.by, row.until_s)

    def carry_out(self, act: Act, peer: Peer) -> None:
        """Do it, and account for it.

        Raises:
            ConfigurationError: There is no such link or alarm.
            RangeError: The time at which maintenance is to end lies in the past.
        """
        match act:
            case Acknowledge(code=code, of=of, note=note):
                self._book.acknowledge(code, of, by=peer.user, note=note)
                self._account(peer, f"acknowledge {code} of {of or 'the node'}", note)
            case ResumeLink(link=link, use_reserve=use_reserve, note=note):
                self._end_of(link).feed(Resume(use_reserve))
                self._account(peer, f"resume {link}{', with the reserve' if use_reserve else ''}", note)
            case MaintainLink(link=link, on=on, note=note, until_s=until_s):
                if on and until_s and until_s <= self._utc_s():
                    raise RangeError(f"maintenance of {link} would end in the past", remedy="Give a time that comes")
                by = f"{peer.user} ({note})" if note else peer.user
                end = self._end_of(link)
                if on:
                    self._begin(end, by, until_s)
                    self._keep(link, MaintenanceRow(link, by, until_s))
                else:
                    self._end(end)
                self._account(peer, f"{'begin' if on else 'end'} maintenance of {link}", note)
            case SetRelaying(on=on):
                self._relay(on)
                self._account(peer, "relay" if on else "relay no more", "")

    def tick(self) -> None:
        """End maintenance whose time has come; call it now and then."""
        now_s = self._utc_s()
        for link in [link for link, until_s in self._until_s.items() if until_s <= now_s]:
            self._end(self._end_of(link))
            if self._itself is not None:
                self._account(self._itself, f"end maintenance of {link}", "its time was over")

    def _begin(self, end: LinkEnd, by: str, until_s: float) -> None:
        end.feed(Maintenance(True, by))
        self._maintained.add(end.name)
        self._until_s.pop(end.name, None)
        if until_s:
            self._until_s[end.name] = until_s

    def _end(self, end: LinkEnd) -> None:
        end.feed(Maintenance(False))
        self._maintained.discard(end.name)
        self._until_s.pop(end.name, None)
        self._keep(end.name, None)

    def _utc_s(self) -> float:
        return self._clock.utc_ns() / NS_PER_S

    def _end_of(self, link: str) -> LinkEnd:
        ends = tuple(self._ends())
        found = next((end for end in ends if end.name == link), None)
        if found is None:
            names = ", ".join(end.name for end in ends) or "none"
            raise ConfigurationError(f"this node has no link {link!r}", remedy=f"It has {names}")
        return found
