"""QKD links of a station: two units, and the paths that optical switches can give them."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from tokaido.hal._clock import SYSTEM_CLOCK, Clock
from tokaido.hal._errors import ConfigurationError
from tokaido.hal.stations._half_links import HalfLink, leases_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tokaido.hal.roles._link_status import LinkStatus
    from tokaido.hal.roles._switch import OpticalSwitch
    from tokaido.hal.roles._units import Receiver, Transmitter, Unit
    from tokaido.hal.stations._entries import HalfLinkEntry, LinkEntry
    from tokaido.hal.stations._half_links import LinkLoss
    from tokaido.hal.stations._leases import Leases
    from tokaido.hal.stations._move_report import MoveReport


class Link:
    """A QKD link that can be moved between paths. Usually made by `station.link(NAME)`.

    Nothing moves by itself, neither away from a path that was lost nor back to one that is whole again: `move` is the
    order.
    """

    def __init__(
        self,
        entry: LinkEntry,
        transmitter: Transmitter,
        receiver: Receiver,
        switches: Mapping[str, OpticalSwitch],
        *,
        leases: Leases | None = None,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self._leases = leases
        self.name = entry.name
        self.transmitter = transmitter
        self.receiver = receiver
        self.switches = MappingProxyType(dict(switches))
        """The switches that its paths lead over, by name."""
        self.paths = MappingProxyType(dict(entry.paths))
        """What each path needs: pairs of input and output, by path and switch."""
        self.entry = entry
        self._clock = clock

        def half(end: HalfLinkEntry, unit: Unit) -> HalfLink:
            own = {name: self.switches[name] for name in end.switches}
            return HalfLink(end, unit, own, leases=leases, clock=clock)

        ends = entry.halves
        self.halves = half(ends[0], transmitter), half(ends[1], receiver)
        """Both ends, the transmitter's first. It has all switches but those that the file calls the receiver's."""

    def pairs(self, switch: str) -> frozenset[tuple[int, int]]:
        """Return the pairs of one switch that any path of this link needs."""
        return frozenset(pair for needs in self.paths.values() for pair in needs[switch])

    def path(self) -> str | None:
        """Ask the switches which path they join; None if none, or not exactly one: half a path, or two at once.

        Raises:
            TransportError: A switch could not be asked.
        """
        first, second = (half.joined_paths() for half in self.halves)
        found = [path for path in first if path in second]
        return found[0] if len(found) == 1 else None

    def status(self, *, keys_left: bool) -> LinkStatus:
        """Ask both units for their state, and return the status of the link as ETSI GS QKD 015 names it.

        Args:
            keys_left: Whether keys of this link are left: who stores them knows that, and the units do not.

        Raises:
            TransportError: A unit did not answer.
        """
        from tokaido.hal.roles._link_status import LinkStatus  # noqa: PLC0415 - when first needed

        return LinkStatus.of(self.transmitter.state(), self.receiver.state(), keys_left=keys_left)

    def wait_for_loss(self, timeout: float, poll: float = 0.1) -> LinkLoss:
        """Watch the receiver until its light is lost: alarm LOS or SYNC_LOSS, or a state that it is stuck in.

        Args:
            timeout: How long to watch at most, in s.
            poll: Pause between two looks, in s.

        Raises:
            DeviceTimeoutError: The light was there for all of `timeout`.
            TransportError: The receiver did not answer three times in a row, which says nothing about its light.
        """
        return self.halves[1].wait_for_loss(timeout, poll)

    def move(
        self,
        to: str,
        *,
        start: bool | None = None,
        drain: Callable[[Unit], None] | None = None,
        on_step: Callable[[str], None] | None = None,
        leases: Leases | None = None,
        holder: str = "",
        lease_seconds: float = 30.0,
        light_timeout: float = 15.0,
        align_timeout: float = 180.0,
        start_timeout: float = 60.0,
    ) -> MoveReport:
        """Move the link to another path, whole or not at all: the units are dark and parted while switches move.

        Moving to the path that it is on already makes the link again, which also finishes what a program left that died
        in the middle.

        Args:
            to: Name of the path.
            start: Whether to exchange keys afterwards; None: if one of the units did so before, REALIGN included.
            drain: Called with each unit before it is stopped, to draw the key blocks that wait. It must return within
                `lease_seconds`.
            on_step: Called with the name of each step as it begins.
            leases: Where leases are kept; by default the `lease_file` of the station file, which is the server's for
                a link of a device server.
            holder: Who moves it, for others to read; by default this machine and process.
            lease_seconds: How long others wait if this program dies, in s; renewed as long as it lives.
            light_timeout: How long the receiver may take to see light on the new path, in s.
            align_timeout: How long the units may take from then on to STANDBY, in s.
            start_timeout: How long they may take from there to exchange keys, in s.

        Raises:
            ConfigurationError: There is no such path, or no lease file; nothing was touched.
            LeaseHeldError: Somebody else orders one of the devices; nothing was touched.
            RefusedError: A key for the path is missing, somebody else's connection is in the way, or a unit heeds a
                higher fencing token; nothing was touched.
            StateError: A unit is in a state that does not allow it; nothing was touched.
            InterlockError: Classical light is joined to the receiver; nothing was touched.
            TokaidoError: Anything else that was in the way before a device was touched.
            MoveError: It failed later, and was rolled back as far as the error says.
        """
        from tokaido.hal.stations._moves import Move  # noqa: PLC0415 - only for who moves

        if to not in self.paths:
            raise ConfigurationError(
                f"link {self.name} has no path {to!r}", remedy=f"It has {', '.join(self.paths) or 'none'}"
            )
        leases = leases or leases_of(self.entry, self._leases, self._clock, "moved")
        return Move(
            self,
            to,
            clock=self._clock,
            start=start,
            drain=drain,
            on_step=on_step,
            light_timeout=light_timeout,
            align_timeout=align_timeout,
            start_timeout=start_timeout,
        ).run(leases, holder, lease_seconds)

    def __repr__(self) -> str:
        return f"<Link {self.name!r}: {self.transmitter.name} to {self.receiver.name}, paths {', '.join(self.paths)}>"
