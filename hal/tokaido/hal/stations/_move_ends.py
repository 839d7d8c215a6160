"""What a move of a link does at one of its ends: the unit there, and the switches of that site."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tokaido.hal._errors import DeviceError, RefusedError, StateError, TokaidoError
from tokaido.hal.roles._unit_values import LinkSelection, UnitState
from tokaido.hal.roles._units import Receiver, Transmitter
from tokaido.hal.stations._move_orders import STOPPABLE, Maps, Orders, at_once

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tokaido.hal._clock import Clock
    from tokaido.hal.roles._units import Unit
    from tokaido.hal.stations._half_links import HalfLink
    from tokaido.hal.stations._leases import HeldLease

IMMOVABLE: Final = frozenset(
    {
        UnitState.FAULT,
        UnitState.SECURITY_HOLD,
        UnitState.ZEROIZE,
        UnitState.UPDATE,
        UnitState.OFF,
        UnitState.SELFTEST,
    }
)
"""States in which a unit is not moved."""


class MovedEnd:
    """One end of a link in a move to another path, for as long as a lease is held.

    Who leads the move calls the checks and then the steps of both ends, in an order of its own; what an end must know
    of the other one, its serial number and the link that it is set to, is handed in.
    """

    def __init__(self, half: HalfLink, to: str, lease: HeldLease, clock: Clock) -> None:
        self.half = half
        self.unit: Unit = half.unit
        self.to = to
        self.orders = Orders(half, lease, clock)
        self.target: Maps = {name: dict(pairs) for name, pairs in half.paths[to].items()}
        """What the switches of this site join on the new path."""
        # Found before anything was touched:
        self.serial_number = ""
        self.selected = LinkSelection("", "")
        """The link that the unit was set to."""
        self.loaded: frozenset[tuple[str, str]] = frozenset()
        """Peer and path of each link that the unit has a pre-shared key for."""
        self.joined: Maps = {}
        """Which of the link's pairs each switch joined."""
        self.ran = False
        """Whether the unit exchanged keys, REALIGN included."""
        self.wanted = ("", "")
        """Peer and path that the unit was set to last by this move."""

    # --- checks: nothing is touched -----------------------------------------------------------------------------------

    def identify(self) -> None:
        """Ask for the serial number of the unit."""
        self.serial_number = self.orders.ask(self.unit.identity).serial_number

    def check_state(self) -> None:
        """See that the unit is in a state in which it may be moved.

        Raises:
            StateError: It is not.
        """
        state = self.orders.ask(self.unit.state)
        if state in IMMOVABLE:
            raise StateError(
                f"link {self.half.name} cannot be moved while a unit is in {state.value}; nothing was touched",
                device=self.unit.name,
                remedy="Bring the unit to STANDBY first",
            )
        self.ran = state in STOPPABLE

    def check_key(self, peer: str) -> None:
        """See that a pre-shared key is loaded for the link with `peer` over the new path.

        Raises:
            RefusedError: None is.
        """
        self.loaded = frozenset((key.peer, key.path) for key in self.orders.ask(self.unit.link_keys))
        if (peer, self.to) not in self.loaded:
            raise RefusedError(
                f"no pre-shared key is loaded for the link with {peer} over {self.to}; nothing was touched",
                device=self.unit.name,
                remedy=f"load_preshared_key(key, peer={peer!r}, path={self.to!r}) at both units",
            )

    def check_selection(self) -> None:
        """Remember the link that the unit is set to, and see that it will heed this move's fencing token.

        Raises:
            RefusedError: It heeds a higher one.
        """
        self.selected = self.orders.ask(self.unit.link)
        if self.selected.fencing_token >= self.orders.lease.fencing_token:
            raise RefusedError(
                f"the unit heeds fencing token {self.selected.fencing_token}, "
                f"and this move has {self.orders.lease.fencing_token}; nothing was touched",
                device=self.unit.name,
                remedy="Is this the only lease book? If it was lost, LeaseBook.skip_to() that number",
            )

    def check_darkness(self) -> None:
        """See that the unit can tell whether it is dark, and that no interlock will keep a receiver shut.

        Raises:
            UnsupportedError: It cannot tell, so that it could not be made dark with certainty.
            InterlockError: Classical light is joined to the receiver.
        """
        unit = self.unit
        if isinstance(unit, Transmitter):
            self.orders.ask(unit.emitting)
        if isinstance(unit, Receiver):
            self.orders.ask(lambda: unit.shutter)
            unit.check_interlocks("move")

    def check_switches(self) -> None:
        """See that the ports of the path are free or the link's own, and remember what the link joins.

        Raises:
            RefusedError: A switch has no such port, or somebody else's connection is in the way.
        """
        for name in self.half.switches:
            self._check_switch(name)

    def _check_switch(self, name: str) -> None:
        switch, wanted = self.half.switches[name], self.target[name]
        size = self.orders.ask(switch.size)
        present = self.orders.ask(switch.connections)
        pairs = self.half.pairs(name)
        self.joined[name] = {i: o for i, o in present.items() if (i, o) in pairs}
        for source, target in wanted.items():
            if source > size.inputs or target > size.outputs:
                raise RefusedError(
                    f"path {self.to} needs input {source} and output {target} of a switch with {size.inputs} inputs "
                    f"and {size.outputs} outputs; nothing was touched",
                    device=name,
                    remedy="Correct the station file",
                )
        for source, target in present.items():
            if (source, target) not in pairs and (source in wanted or target in wanted.values()):
                raise RefusedError(
                    f"path {self.to} is in the way of somebody else's connection, input {source} to output {target}; "
                    "nothing was touched",
                    device=name,
                    remedy="Part it if nobody needs it",
                )

    def paths_before(self) -> set[str]:
        """Return the paths that the switches of this site joined before: every one, if it has no switch on them."""
        return {
            path
            for path, needs in self.half.paths.items()
            if all(self.joined[name] == dict(pairs) for name, pairs in needs.items())
        }

    # --- steps --------------------------------------------------------------------------------------------------------

    def drain(self, draw: Callable[[Unit], None]) -> None:
        """Let what waits in the unit be drawn, under a lease that was just renewed."""
        self.orders.lease.renew()
        draw(self.unit)

    def make_dark(self) -> None:
        """Stop the unit, order its safe state, and see that it is dark.

        Raises:
            DeviceError: It is not within 2 s.
        """
        self.orders.stop()
        self.orders.make_safe()
        self.orders.check_dark()

    def join(self, wanted: Maps) -> None:
        """Let the switches of this site join these pairs of the link and no other of the link's, read back.

        Raises:
            TokaidoError: One of them does not.
        """
        raise_failed(at_once(self.orders.reroutes(wanted)))
        for name, pairs in wanted.items():
            found = self.orders.own(name)
            if found != pairs:
                raise DeviceError(f"was to join {pairs} and joins {found} of the link's pairs now", device=name)

    def take_target(self, peer: str) -> None:
        """Set the unit to the link with `peer` over the new path."""
        self._select(peer, self.to)

    def park(self, peer: str, elsewhere: LinkSelection) -> None:
        """Set the unit to where it waits, apart from the other end: see `parking`."""
        self._select(*self.parking(peer, elsewhere))

    def parking(self, peer: str, elsewhere: LinkSelection) -> tuple[str, str]:
        """Return the link that this unit waits on: with the same peer, over a path that the peer is not set to.

        It is the one that the unit is set to already; or, if that is the target (a move was left in the middle) or
        belongs to another peer, whom it could meet there, one that the peer is not set to now; or none.

        Args:
            peer: Serial number of the unit at the other end.
            elsewhere: The link that the unit at the other end was set to before.
        """
        now = self.selected
        if now.peer == peer and now.path != self.to:
            return now.peer, now.path
        met = {self.to, elsewhere.path if elsewhere.peer == self.serial_number else self.to}
        away = [path for path in self.half.paths if (peer, path) in self.loaded and path not in met]
        return (peer, away[0]) if away else ("", "")

    def restore_selection(self) -> None:
        """Set the unit to the link that it was set to before."""
        self._select(self.selected.peer, self.selected.path)

    def _select(self, peer: str, path: str) -> None:
        self.wanted = (peer, path)
        self.orders.select(peer, path)

    def verify_switches(self) -> None:
        """Read again that every switch of this site joins the new path.

        Raises:
            DeviceError: One does not.
        """
        for name, wanted in self.target.items():
            found = self.orders.own(name)
            if found != wanted:
                raise DeviceError(f"joined {wanted} and joins {found} of the link's pairs now", device=name)

    def verify_selection(self) -> None:
        """Read again that the unit is set to what it was set to last, under this move's fencing token.

        Raises:
            DeviceError: It is not.
        """
        selection = self.orders.ask(self.unit.link)
        wanted = LinkSelection(*self.wanted, self.orders.lease.fencing_token)
        if selection != wanted:
            raise DeviceError(
                f"was set to {(wanted.peer, wanted.path, wanted.fencing_token)} and is set to {selection}",
                device=self.unit.name,
            )

    # --- the way back -------------------------------------------------------------------------------------------------

    def unlike_before(self, why: str) -> dict[str, str]:
        """Return, by switch of this site, what it joins that it did not join before; or why it did not tell.

        Args:
            why: Why it is not moved back, for the text.
        """
        unlike: dict[str, str] = {}
        for name, before in self.joined.items():
            try:
                found = self.orders.own(name)
            except Exception as error:  # noqa: BLE001 - one device's failure must not hide the others
                unlike[name] = str(error)
            else:
                if found != before:
                    unlike[name] = f"joins {found} of the link's pairs and joined {before}; {why}"
        return unlike


def raise_failed(failed: Mapping[str, Exception]) -> None:
    """Raise what went wrong with switches, by switch: the error itself if it is one."""
    if not failed:
        return
    first = next(iter(failed.values()))
    if len(failed) == 1:
        raise first
    raise TokaidoError("; ".join(f"{name}: {error}" for name, error in failed.items())) from first
