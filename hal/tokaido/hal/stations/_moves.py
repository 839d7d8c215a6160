"""The move of a link to another path, step by step."""

from __future__ import annotations

import os
import socket
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from tokaido.hal._clock import NS_PER_S, Clock
from tokaido.hal._errors import DeviceError, LeaseError, RefusedError, StateError, TokaidoError, TransportError
from tokaido.hal.roles._unit_values import RUNNING, LinkSelection, UnitState
from tokaido.hal.roles._units import Unit
from tokaido.hal.stations._move_back import Rollback
from tokaido.hal.stations._move_orders import STOPPABLE, Maps, Orders
from tokaido.hal.stations._move_report import MoveError, MoveReport, MoveStep

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tokaido.hal.stations._leases import Leases
    from tokaido.hal.stations._links import Link

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


class Move:
    """One move. `Link.move` makes it and describes its parameters."""

    def __init__(
        self,
        link: Link,
        to: str,
        *,
        clock: Clock,
        start: bool | None,
        drain: Callable[[Unit], None] | None,
        on_step: Callable[[str], None] | None,
        light_timeout: float,
        align_timeout: float,
        start_timeout: float,
    ) -> None:
        self.link = link
        self.to = to
        self.clock = clock
        self.drain = drain
        self.on_step = on_step
        self.light_timeout = light_timeout
        self.align_timeout = align_timeout
        self.start_timeout = start_timeout
        self.start_wanted = start
        self.units: tuple[Unit, Unit] = (link.transmitter, link.receiver)
        self.steps: list[MoveStep] = []
        self.from_path: str | None = None
        self.target: Maps = {name: dict(pairs) for name, pairs in link.paths[to].items()}
        # Found before anything was touched:
        self.serials = ("", "")
        self.selected: tuple[LinkSelection, LinkSelection] = (LinkSelection("", ""), LinkSelection("", ""))
        self.joined: Maps = {}
        self.ran = False
        self.receiver_links: frozenset[tuple[str, str]] = frozenset()
        # How far it got:
        self.touched = False
        self.selecting = False
        self.switching = False
        self.lighting = False

    def run(self, leases: Leases, holder: str, seconds: float) -> MoveReport:
        """Carry it out, or bring everything back."""
        link = self.link
        with self._step("check"):
            lease = leases.acquire(link.entry.lease_names, holder or f"{socket.gethostname()}:{os.getpid()}", seconds)
            orders = Orders(link, lease, self.clock)
            try:
                self._check(orders)
            except BaseException:
                _release(orders)
                raise
        try:
            self._carry_out(orders)
        except Exception as error:
            raise self._undo(orders, error) from error
        except BaseException as error:
            error.add_note(str(self._undo(orders, error)))
            raise
        finally:
            _release(orders)
        return MoveReport(link.name, self.from_path, self.to, lease.fencing_token, tuple(self.steps))

    def _carry_out(self, orders: Orders) -> None:
        for name, act in (
            ("prepare", self._prepare),
            ("fence", self._fence),
            ("switch", self._switch),
            ("verify", self._verify),
            ("light", self._light),
            ("align", self._align),
            *([("start", self._start)] if self.start_wanted or (self.start_wanted is None and self.ran) else []),
        ):
            with self._step(name):
                act(orders)

    @contextmanager
    def _step(self, name: str) -> Iterator[None]:
        start_ns = self.clock.monotonic_ns()
        try:
            if self.on_step is not None:
                self.on_step(name)
            yield
        finally:
            self.steps.append(MoveStep(name, (self.clock.monotonic_ns() - start_ns) / NS_PER_S))

    # --- check: nothing is touched ------------------------------------------------------------------------------------

    def _check(self, orders: Orders) -> None:
        transmitter, receiver = self.units
        serials = [orders.ask(unit.identity).serial_number for unit in self.units]
        self.serials = serials[0], serials[1]
        states = [orders.ask(unit.state) for unit in self.units]
        for unit, state in zip(self.units, states, strict=True):
            if state in IMMOVABLE:
                raise StateError(
                    f"link {self.link.name} cannot be moved while a unit is in {state.value}; nothing was touched",
                    device=unit.name,
                    remedy="Bring the unit to STANDBY first",
                )
        self.ran = any(state in STOPPABLE for state in states)
        for unit, peer in ((transmitter, self.serials[1]), (receiver, self.serials[0])):
            links = frozenset((key.peer, key.path) for key in orders.ask(unit.link_keys))
            if (peer, self.to) not in links:
                raise RefusedError(
                    f"no pre-shared key is loaded for the link with {peer} over {self.to}; nothing was touched",
                    device=unit.name,
                    remedy=f"load_preshared_key(key, peer={peer!r}, path={self.to!r}) at both units",
                )
            if unit is receiver:
                self.receiver_links = links
        found = [orders.ask(unit.link) for unit in self.units]
        self.selected = found[0], found[1]
        for unit, selection in zip(self.units, found, strict=True):
            if selection.fencing_token >= orders.lease.fencing_token:
                raise RefusedError(
                    f"the unit heeds fencing token {selection.fencing_token}, "
                    f"and this move has {orders.lease.fencing_token}; nothing was touched",
                    device=unit.name,
                    remedy="Is this the only lease book? If it was lost, LeaseBook.skip_to() that number",
                )
        orders.ask(self.link.transmitter.emitting)  # a unit that cannot tell could not be made dark with certainty
        orders.ask(lambda: self.link.receiver.shutter)
        self.link.receiver.check_interlocks("move")
        for name in self.link.switches:
            self._check_switch(orders, name)
        shown = [
            path for path, needs in self.link.paths.items() if all(self.joined[n] == dict(p) for n, p in needs.items())
        ]
        self.from_path = shown[0] if len(shown) == 1 else None

    def _check_switch(self, orders: Orders, name: str) -> None:
        """See that the ports of the path are free or the link's own, and remember what the link joins."""
        switch, wanted = self.link.switches[name], self.target[name]
        size = orders.ask(switch.size)
        present = orders.ask(switch.connections)
        pairs = self.link.pairs(name)
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

    # --- the steps ----------------------------------------------------------------------------------------------------

    def _prepare(self, orders: Orders) -> None:
        if self.drain is not None:
            for unit in self.units:
                orders.lease.renew()
                self.drain(unit)
        orders.lease.keep()
        self.touched = True
        for unit in self.units:
            orders.stop(unit)
        for unit in self.units:
            orders.order(unit.apply_safe_state)
        for unit in self.units:
            orders.check_dark(unit)

    def _fence(self, orders: Orders) -> None:
        """Set the units to two different links, so that neither can leave AUTH, and see that both are dark.

        The one that could meet the other on its way is parted first.
        """
        self.selecting = True
        waits_already = (self.selected[1].peer, self.selected[1].path) == self.parking
        if not waits_already:
            self.park(orders)
        self.take_target(orders, 0)
        if waits_already:
            self.park(orders)
        for unit in self.units:
            orders.check_dark(unit)

    @property
    def parking(self) -> tuple[str, str]:
        """The link that the receiver waits on: with the same transmitter, over a path that this one is not set to.

        It is the one that the receiver is set to already; or, if that is the target (a move was left in the middle) or
        belongs to another transmitter, whom it could meet there, one that the transmitter is not set to now; or none.
        """
        peer = self.serials[0]
        now, transmitter = self.selected[1], self.selected[0]
        if now.peer == peer and now.path != self.to:
            return now.peer, now.path
        met = {self.to, transmitter.path if transmitter.peer == self.serials[1] else self.to}
        away = [path for path in self.link.paths if (peer, path) in self.receiver_links and path not in met]
        return (peer, away[0]) if away else ("", "")

    def take_target(self, orders: Orders, side: int) -> None:
        """Set the transmitter (0) or the receiver (1) to the link over the new path."""
        orders.select(self.units[side], self.serials[1 - side], self.to)

    def park(self, orders: Orders) -> None:
        """Set the receiver to where it waits."""
        orders.select(self.units[1], *self.parking)

    def _switch(self, orders: Orders) -> None:
        self.switching = True
        failed = orders.reroute(self.target)
        if failed:
            first = next(iter(failed.values()))
            if len(failed) == 1:
                raise first
            raise TokaidoError("; ".join(f"{name}: {error}" for name, error in failed.items())) from first

    def _verify(self, orders: Orders) -> None:
        for name, wanted in self.target.items():
            found = orders.own(name)
            if found != wanted:
                raise DeviceError(f"joined {wanted} and joins {found} of the link's pairs now", device=name)
        fencing_token = orders.lease.fencing_token
        for unit, wanted_link in zip(self.units, ((self.serials[1], self.to), self.parking), strict=True):
            selection = orders.ask(unit.link)
            if selection != LinkSelection(*wanted_link, fencing_token):
                raise DeviceError(
                    f"was set to {(*wanted_link, fencing_token)} and is set to {selection}", device=unit.name
                )

    def _light(self, orders: Orders) -> None:
        self.lighting = True
        self.take_target(orders, 1)
        orders.wait_for_light(self.light_timeout)

    def _align(self, orders: Orders) -> None:
        orders.wait_for_states(frozenset({UnitState.STANDBY}), self.align_timeout)

    def _start(self, orders: Orders) -> None:
        for unit in self.units:
            orders.start(unit)
        orders.wait_for_states(RUNNING, self.start_timeout)

    # --- when it fails ------------------------------------------------------------------------------------------------

    def _undo(self, orders: Orders, error: BaseException) -> MoveError:
        back = Rollback(self, orders)
        back.run()
        step = self.steps[-1].name
        outcome = "everything is as it was before"
        if back.unrestored:
            outcome = "NOT as before: " + "; ".join(f"{name}: {what}" for name, what in back.unrestored.items())
        if back.restarted is False:
            outcome += f"; keys are not exchanged again ({back.why_not_restarted})"
        return MoveError(
            f"link {self.link.name} could not be moved to {self.to}: step {step} failed: {error}; {outcome}",
            step=step,
            steps=tuple(self.steps),
            fencing_token=orders.lease.fencing_token,
            rolled_back=not back.unrestored,
            unrestored=back.unrestored,
            restarted=back.restarted,
            remedy="Read unrestored, then move it again when the cause is gone" if back.unrestored else "",
        )


def _release(orders: Orders) -> None:
    """Give the lease back; one that cannot be ends by itself, and the move is what it is."""
    try:
        orders.lease.release()
    except (LeaseError, TransportError) as error:
        import logging  # noqa: PLC0415

        logging.getLogger("tokaido.hal.link").warning("the lease %s was not released: %s", orders.lease.names[0], error)
