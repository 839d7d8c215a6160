"""The orders of a move: each preceded by a look at the lease, and answered by the state where its reply was lost."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeVar

from tokaido.hal._clock import Clock, Deadline
from tokaido.hal._errors import (
    DeviceError,
    DeviceTimeoutError,
    OutcomeUnknownError,
    StateError,
    TransportError,
    WrongDeviceError,
)
from tokaido.hal._readings import Quality
from tokaido.hal.roles._unit_values import RUNNING, STUCK, LinkSelection, Shutter, UnitState
from tokaido.hal.roles._units import Receiver, Transmitter, Unit
from tokaido.hal.stations._links import PATIENCE

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tokaido.hal.stations._leases import HeldLease
    from tokaido.hal.stations._links import Link

T = TypeVar("T")

STOPPABLE: Final = RUNNING | {UnitState.REALIGN}
"""States that `stop` ends."""
POLL_S: Final = 0.1
"""Pause between two looks at a unit, in s."""
DARK_S: Final = 2.0
"""How long light and session may take to end after the order, in s."""

Maps = dict[str, dict[int, int]]
"""Output by input, by switch."""


class Orders:
    """The devices of one link, for as long as the lease is held."""

    def __init__(self, link: Link, lease: HeldLease, clock: Clock) -> None:
        self.link = link
        self.transmitter = link.transmitter
        self.receiver = link.receiver
        self.units: tuple[Unit, Unit] = (link.transmitter, link.receiver)
        self.lease = lease
        self.clock = clock

    # --- one call -----------------------------------------------------------------------------------------------------

    def ask(self, read: Callable[[], T]) -> T:
        """Ask a device something, once more if the reply was lost: a query may be repeated."""
        self.lease.keep()
        try:
            return read()
        except WrongDeviceError:
            raise
        except TransportError:
            self.lease.keep()
            return read()

    def order(self, act: Callable[[], object], done: Callable[[], bool] | None = None) -> None:
        """Give an idempotent order. If its reply was lost, see whether it is `done`; if not, give it once more."""
        self.lease.keep()
        try:
            act()
        except OutcomeUnknownError:
            if done is not None and self.ask(done):
                return
            self.lease.keep()
            act()

    # --- units --------------------------------------------------------------------------------------------------------

    def stop(self, unit: Unit) -> None:
        """End the key session of a unit that exchanges keys."""
        if self.ask(unit.state) not in STOPPABLE:
            return
        try:
            self.order(unit.stop, lambda: unit.state() not in STOPPABLE)
        except StateError:  # it may have stopped by itself in between
            if self.ask(unit.state) in STOPPABLE:
                raise

    def start(self, unit: Unit) -> None:
        """Let a unit exchange keys."""
        self.order(unit.start, lambda: unit.state() in STOPPABLE)

    def select(self, unit: Unit, peer: str, path: str) -> None:
        """Set a unit to a link, under the fencing token of the lease."""
        wanted = LinkSelection(peer, path, self.lease.fencing_token)

        def act() -> None:
            found = unit.select_link(peer, path, fencing_token=wanted.fencing_token)
            if found != wanted:
                raise DeviceError(f"was set to {wanted} and is set to {found}", device=unit.name, command="select_link")

        try:
            self.order(act, lambda: unit.link() == wanted)
        except StateError:  # a unit in AUTH may have gone on to ALIGN in between; the safe state leads to STANDBY
            self.order(unit.apply_safe_state)
            self.order(act, lambda: unit.link() == wanted)

    def check_dark(self, unit: Unit) -> None:
        """See that a transmitter does not emit, or a receiver is shuttered, and that it has no key session.

        Raises:
            DeviceError: It is not so within 2 s.
        """
        deadline = Deadline(self.clock, DARK_S)
        while (bright := self._bright(unit)) and not deadline.passed:
            self.clock.wait(POLL_S)
        if bright:
            raise DeviceError(f"{bright} {DARK_S:g} s after its safe state was ordered", device=unit.name)

    def _bright(self, unit: Unit) -> str:
        if isinstance(unit, Transmitter) and self.ask(unit.emitting):
            return "still emits"
        if isinstance(unit, Receiver) and self.ask(lambda: unit.shutter) is not Shutter.CLOSED:
            return "still has its shutter open"
        return "still has a key session" if self.ask(unit.session) != "-" else ""

    # --- switches -----------------------------------------------------------------------------------------------------

    def own(self, name: str) -> dict[int, int]:
        """Return which of the link's pairs a switch joins now."""
        present = self.ask(self.link.switches[name].connections)
        return {i: o for i, o in present.items() if (i, o) in self.link.pairs(name)}

    def reroute(self, wanted: Maps) -> dict[str, Exception]:
        """Let switches join these pairs of the link and no other of its own, all at the same time.

        Returns:
            What went wrong, by switch; the others are done and read back.
        """
        from concurrent.futures import ThreadPoolExecutor  # noqa: PLC0415 - only for who moves

        failed: dict[str, Exception] = {}
        if len(wanted) == 1:  # in the caller's thread: a clock may be for one
            (name, pairs), *_ = wanted.items()
            try:
                self._reroute(name, pairs)
            except Exception as why:  # noqa: BLE001 - handed to the caller, whatever it is
                failed[name] = why
            return failed
        if not wanted:
            return failed
        with ThreadPoolExecutor(len(wanted), thread_name_prefix="tokaido-move") as pool:
            runs = {name: pool.submit(self._reroute, name, pairs) for name, pairs in wanted.items()}
        for name, run in runs.items():
            error = run.exception()
            if isinstance(error, Exception):
                failed[name] = error
            elif error is not None:
                raise error
        return failed

    def _reroute(self, name: str, wanted: Mapping[int, int]) -> None:
        part = [i for i, o in self.own(name).items() if wanted.get(i) != o]
        self.order(lambda: self.link.switches[name].reroute(disconnect=part, connect=wanted))

    # --- waiting ------------------------------------------------------------------------------------------------------

    def wait_for_light(self, timeout: float) -> None:
        """Wait until the receiver measures clock light, newer than this call.

        Raises:
            StateError: A unit is stuck.
            DeviceTimeoutError: There was no light for `timeout` s.
        """
        if type(self.receiver).values()[Receiver.clock_power.name].unsupported:
            return  # nothing to see it by: the alignment decides
        deadline = Deadline(self.clock, timeout)
        self._wait(deadline, lambda: self._light_since(deadline), "no clock light", self.receiver)

    def _light_since(self, deadline: Deadline) -> bool:
        reading = self.receiver.telemetry()[Receiver.clock_power]
        return reading.quality in (Quality.GOOD, Quality.UNCERTAIN) and reading.age_s <= deadline.elapsed_s

    def wait_for_states(self, states: frozenset[UnitState], timeout: float) -> None:
        """Wait until both units are in one of `states`.

        Raises:
            StateError: A unit is stuck.
            DeviceTimeoutError: One of them was not within `timeout` s.
        """
        deadline = Deadline(self.clock, timeout)
        wanted = " or ".join(sorted(state.value for state in states))
        for unit in self.units:
            self._wait(deadline, lambda unit=unit: unit.state() in states, f"not in {wanted}", unit)  # type: ignore[misc]

    def _wait(self, deadline: Deadline, arrived: Callable[[], bool], unsupported: str, device: Unit) -> None:
        """Look again and again; a reply that is lost now and then ends no wait, and a stuck unit does."""
        silent = 0
        while True:
            try:
                self._check_not_stuck()
                self.lease.keep()
                if arrived():
                    return
                silent = 0
            except WrongDeviceError:
                raise
            except TransportError:
                silent += 1
                if silent >= PATIENCE:
                    raise
            if deadline.passed:
                raise DeviceTimeoutError(
                    unsupported,
                    device=device.name,
                    elapsed_s=deadline.elapsed_s,
                    remedy="Look at alarms() for what holds it",
                )
            self.clock.wait(min(POLL_S, deadline.remaining_s))

    def _check_not_stuck(self) -> None:
        for unit in self.units:
            self.lease.keep()
            state = unit.state()
            if state in STUCK:
                self.lease.keep()
                codes = ", ".join(alarm.code for alarm in unit.alarms()) or "no alarm"
                raise StateError(
                    f"went to {state.value} ({codes})",
                    device=unit.name,
                    remedy="Remove the cause, then clear_fault() or acknowledge_security()",
                )
