"""One end of a QKD link: a unit, and the switches of its own site. The other end is a neighbour's."""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from tokaido.hal._clock import SYSTEM_CLOCK, Clock, Deadline
from tokaido.hal._errors import ConfigurationError, DeviceTimeoutError, TransportError, WrongDeviceError
from tokaido.hal.roles._unit_values import STUCK
from tokaido.hal.roles._units import Transmitter

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tokaido.hal.roles._alarms import Alarm
    from tokaido.hal.roles._link_status import LinkStatus
    from tokaido.hal.roles._switch import OpticalSwitch
    from tokaido.hal.roles._unit_values import UnitState
    from tokaido.hal.roles._units import Unit
    from tokaido.hal.stations._entries import HalfLinkEntry, LinkEntry
    from tokaido.hal.stations._leases import HeldLease, Leases

LOSS_ALARMS: Final = ("LOS", "SYNC_LOSS")
"""By which a receiver tells that its light is lost."""
SILENCE_ALARMS: Final = ("PEER_UNREACHABLE",)
"""All that a transmitter learns of the other end: it measures no light that arrives."""
PATIENCE: Final = 3
"""So many lost replies in a row end a wait; one alone does not."""


@dataclass(frozen=True, slots=True)
class LinkLoss:
    """How the loss of a link's light was noticed; at a half-link with a transmitter, how that of its peer was."""

    reason: str
    """Code of the alarm (LOS or SYNC_LOSS; of a transmitter PEER_UNREACHABLE), or the state that the unit is stuck
    in."""
    state: UnitState
    """State of the unit that was watched."""
    alarms: tuple[Alarm, ...]
    """All alarms that are active at that unit."""
    waited_s: float
    """How long the call waited for it, in s."""


class HalfLink:
    """One end of a QKD link, as a node owns it. Usually made by `station.half_link(NAME)`.

    It knows and orders the devices of its own site alone. What the other end does, its node tells.
    """

    def __init__(
        self,
        entry: HalfLinkEntry,
        unit: Unit,
        switches: Mapping[str, OpticalSwitch],
        *,
        leases: Leases | None = None,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self._leases = leases
        self._clock = clock
        self.name = entry.name
        """Name of the link: the same at both ends."""
        self.unit = unit
        """The unit of this end."""
        self.neighbour = entry.neighbour
        """Name of the node that has the other end; empty for a half of a whole link."""
        self.peer = entry.peer
        """Serial number of the unit at the other end; empty if the file does not say."""
        self.switches = MappingProxyType(dict(switches))
        """The switches of this site that its paths lead over, by name."""
        self.paths = MappingProxyType(dict(entry.paths))
        """What each path needs of this site: pairs of input and output, by path and switch."""
        self.entry = entry

    def pairs(self, switch: str) -> frozenset[tuple[int, int]]:
        """Return the pairs of one switch that any path of this link needs."""
        return frozenset(pair for needs in self.paths.values() for pair in needs[switch])

    def path(self) -> str | None:
        """Ask the switches of this site which path they join; None if none, or not exactly one.

        Whether light takes it depends on the other end, too. A site without switches of its own, on a link with several
        paths, cannot tell: None.

        Raises:
            TransportError: A switch could not be asked.
        """
        found = self.joined_paths()
        return found[0] if len(found) == 1 else None

    def joined_paths(self) -> tuple[str, ...]:
        """Ask the switches of this site for all paths that they join: every one, if it has no switch on them.

        Raises:
            TransportError: A switch could not be asked.
        """
        joined = {
            name: frozenset(switch.connections().items()) & self.pairs(name) for name, switch in self.switches.items()
        }
        return tuple(
            path
            for path, needs in self.paths.items()
            if all(joined[name] == set(needs[name]) for name in self.switches)
        )

    def status(self, *, keys_left: bool) -> LinkStatus:
        """Ask the unit for its state, and return the status of the link as ETSI GS QKD 015 names it, seen from here.

        `LinkStatus.seen_from` says what one end can and cannot know.

        Args:
            keys_left: Whether keys of this link are left: who stores them knows that, and the unit does not.

        Raises:
            TransportError: The unit did not answer.
        """
        from tokaido.hal.roles._link_status import LinkStatus  # noqa: PLC0415 - when first needed

        return LinkStatus.seen_from(self.unit.state(), keys_left=keys_left)

    def wait_for_loss(self, timeout: float, poll: float = 0.1) -> LinkLoss:
        """Watch the unit until it tells that the link is lost, or is stuck.

        A receiver tells that its light is lost: alarm LOS or SYNC_LOSS. A transmitter measures no light that arrives,
        and goes on when a fibre is cut; it tells that its peer is silent: alarm PEER_UNREACHABLE. The node at the
        receiver's end sees the rest.

        Args:
            timeout: How long to watch at most, in s.
            poll: Pause between two looks, in s.

        Raises:
            DeviceTimeoutError: Nothing was lost for all of `timeout`.
            TransportError: The unit did not answer three times in a row, which says nothing about its link.
        """
        sends = isinstance(self.unit, Transmitter)
        deadline = Deadline(self._clock, timeout)
        silent = 0
        while True:
            try:
                alarms, state = self.unit.alarms(), self.unit.state()
            except WrongDeviceError:
                raise
            except TransportError:
                silent += 1
                if silent >= PATIENCE:
                    raise
            else:
                silent = 0
                codes = SILENCE_ALARMS if sends else LOSS_ALARMS
                reasons = [alarm.code for alarm in alarms if alarm.code in codes]
                reasons += [state.value] if state in STUCK else []
                if reasons:
                    return LinkLoss(reasons[0], state, alarms, deadline.elapsed_s)
            if deadline.passed:
                raise DeviceTimeoutError(
                    f"link {self.name} did not lose its {'peer' if sends else 'light'}",
                    device=self.unit.name,
                    elapsed_s=deadline.elapsed_s,
                    remedy="Watch on, if that is what you wait for",
                )
            self._clock.wait(min(poll, deadline.remaining_s))

    def lease(self, *, holder: str = "", seconds: float = 30.0, leases: Leases | None = None) -> HeldLease:
        """Lease this end, the link's name and its devices here, so that no other program of the site orders them.

        Its fencing token is this site's: the other end has a count of its own. Release it when it is not needed.

        Args:
            holder: Who holds it, for others to read; by default this machine and process.
            seconds: How long, unless it is renewed.
            leases: Where leases are kept; by default the `lease_file` of the station file, which is the server's for a
                half-link of a device server.

        Raises:
            ConfigurationError: There is no lease file.
            LeaseHeldError: Somebody holds the link, or one of the devices.
            LeaseError: The lease file cannot be read or written.
        """
        leases = leases or leases_of(self.entry, self._leases, self._clock, "leased")
        return leases.acquire(self.entry.lease_names, holder or this_program(), seconds)

    def __repr__(self) -> str:
        far = f" to {self.neighbour}" if self.neighbour else ""
        return f"<HalfLink {self.name!r}: {self.unit.name}{far}, paths {', '.join(self.paths) or 'none'}>"


def this_program() -> str:
    """Return what a lease calls its holder by default."""
    return f"{socket.gethostname()}:{os.getpid()}"


def leases_of(entry: LinkEntry | HalfLinkEntry, given: Leases | None, clock: Clock, what: str) -> Leases:
    """Return what gives the leases of a link: what is given, or the book in its lease file.

    Args:
        entry: Of the link.
        given: What a station of a device server has for it.
        clock: Where time comes from.
        what: What cannot be done to it without, for the error.

    Raises:
        ConfigurationError: There is neither.
    """
    from tokaido.hal.stations._leases import LeaseBook  # noqa: PLC0415 - SQLite, when first needed

    if given is not None:
        return given
    if entry.lease_file is None:
        raise ConfigurationError(
            f"link {entry.name} cannot be {what} without leases",
            remedy=f'Give [links.{entry.name}] a lease_file, such as "leases.sqlite", or pass leases=',
        )
    return LeaseBook(entry.lease_file, clock=clock)
