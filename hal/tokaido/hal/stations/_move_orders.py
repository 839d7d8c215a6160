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
from tokaido.hal.roles._units import Receiver, Transmitter
from tokaido.hal.stations._half_links import PATIENCE

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from tokaido.hal.stations._half_links import HalfLink
    from tokaido.hal.stations._leases import HeldLease

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
    """The devices of one end of a link, for as long as the lease is held."""

    def __init__(self, half: HalfLink, lease: HeldLease, clock: Clock) -> None:
        self.half = half
        self.unit = half.unit
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

    # --- the unit -----------------------------------------------------------------------------------------------------

    def stop(self) -> None:
        """End the key session of the unit, if it exchanges keys."""
        if self.ask(self.unit.state) not in STOPPABLE:
            return
        try:
            self.order(self.unit.stop, lambda: self.unit.state() not in STOPPABLE)
        except StateError:  # it may have stopped by itself in between
            if self.ask(self.unit.state) in STOPPABLE:
                raise

    def start(self) -> None:
        """Let the unit exchange keys."""
        self.order(self.unit.start, lambda: self.unit.state() in STOPPABLE)

    def make_safe(self) -> None:
        """Order the safe state of the unit."""
        self.order(self.unit.apply_safe_state)

    def select(self, peer: str, path: str) -> None:
        """Set the unit to a link, under the fencing token of the lease."""
        wanted = LinkSelection(peer, path, self.lease.fencing_token)

        def act() -> None:
            found = self.unit.select_link(peer, path, fencing_token=wanted.fencing_token)
            if found != wanted:
                raise DeviceError(
                    f"was set to {wanted} and is set to {found}", device=self.unit.name, command="select_link"
                )

        try:
            self.order(act, lambda: self.unit.link() == wanted)
        except StateError:  # a unit in AUTH may have gone on to ALIGN in between; the safe state leads to STANDBY
            self.make_safe()
            self.order(act, lambda: self.unit.link() == wanted)

    def check_dark(self) -> None:
        """See that a transmitter does not emit, or a receiver is shuttered, and that it has no key session.

        Raises:
            DeviceError: It is not so within 2 s.
        """
        deadline = Deadline(self.clock, DARK_S)
        while (bright := self._bright()) and not deadline.passed:
            self.clock.wait(POLL_S)
        if bright:
            raise DeviceError(f"{bright} {DARK_S:g} s after its safe state was ordered", device=self.unit.name)

    def _bright(self) -> str:
        unit = self.unit
        if isinstance(unit, Transmitter) and self.ask(unit.emitting):
            return "still emits"
        if isinstance(unit, Receiver) and self.ask(lambda: unit.shutter) is not Shutter.CLOSED:
            return "still has its shutter open"
        return "still has a key session" if self.ask(unit.session) != "-" else ""

    # --- the switches -------------------------------------------------------------------------------------------------

    def own(self, name: str) -> dict[int, int]:
        """Return which of the link's pairs a switch joins now."""
        present = self.ask(self.half.switches[name].connections)
        return {i: o for i, o in present.items() if (i, o) in self.half.pairs(name)}

    def reroutes(self, wanted: Maps) -> dict[str, Callable[[], None]]:
        """Return, by switch, what lets it join these pairs of the link and no other of the link's: for `at_once`."""
        return {name: lambda name=name, pairs=pairs: self._reroute(name, pairs) for name, pairs in wanted.items()}  # type: ignore[misc]

    def _reroute(self, name: str, wanted: Mapping[int, int]) -> None:
        part = [i for i, o in self.own(name).items() if wanted.get(i) != o]
        self.order(lambda: self.half.switches[name].reroute(disconnect=part, connect=wanted))

    # --- waiting ------------------------------------------------------------------------------------------------------

    def sees_light(self, deadline: Deadline) -> bool:
        """Return whether the receiver measured clock light since `deadline` began."""
        reading = self.unit.telemetry()[Receiver.clock_power]
        return reading.quality in (Quality.GOOD, Quality.UNCERTAIN) and reading.age_s <= deadline.elapsed_s

    def check_not_stuck(self) -> None:
        """See that the unit is in no state that it never leaves by itself.

        Raises:
            StateError: It is.
        """
        self.lease.keep()
        state = self.unit.state()
        if state in STUCK:
            self.lease.keep()
            codes = ", ".join(alarm.code for alarm in self.unit.alarms()) or "no alarm"
            raise StateError(
                f"went to {state.value} ({codes})",
                device=self.unit.name,
                remedy="Remove the cause, then clear_fault() or acknowledge_security()",
            )


def at_once(acts: Mapping[str, Callable[[], None]]) -> dict[str, Exception]:
    """Let switches be moved, all at the same time.

    Args:
        acts: What moves each, by switch: those of one end, or of both.

    Returns:
        What went wrong, by switch; the others are done and read back.
    """
    from concurrent.futures import ThreadPoolExecutor  # noqa: PLC0415 - only for who moves

    failed: dict[str, Exception] = {}
    if len(acts) == 1:  # in the caller's thread: a clock may be for one
        (name, act), *_ = acts.items()
        try:
            act()
        except Exception as why:  # noqa: BLE001 - handed to the caller, whatever it is
            failed[name] = why
        return failed
    if not acts:
        return failed
    with ThreadPoolExecutor(len(acts), thread_name_prefix="tokaido-move") as pool:
        runs = {name: pool.submit(act) for name, act in acts.items()}
    for name, run in runs.items():
        error = run.exception()
        if isinstance(error, Exception):
            failed[name] = error
        elif error is not None:
            raise error
    return failed


def wait_for_light(receiver: Orders, ends: Sequence[Orders], timeout: float) -> None:
    """Wait until the receiver measures clock light, newer than this call.

    Args:
        receiver: The end with the receiver.
        ends: The ends that must not be stuck meanwhile: both, or those that this program orders.
        timeout: How long at most, in s.

    Raises:
        StateError: A unit is stuck.
        DeviceTimeoutError: There was no light for `timeout` s.
    """
    if type(receiver.unit).values()[Receiver.clock_power.name].unsupported:
        return  # nothing to see it by: the alignment decides
    deadline = Deadline(receiver.clock, timeout)
    _wait(receiver, ends, deadline, lambda: receiver.sees_light(deadline), "no clock light")


def wait_for_states(ends: Sequence[Orders], states: frozenset[UnitState], timeout: float) -> None:
    """Wait until the units of all `ends` are in one of `states`.

    Raises:
        StateError: A unit is stuck.
        DeviceTimeoutError: One of them was not within `timeout` s.
    """
    deadline = Deadline(ends[0].clock, timeout)
    wanted = " or ".join(sorted(state.value for state in states))
    for end in ends:
        _wait(end, ends, deadline, lambda end=end: end.unit.state() in states, f"not in {wanted}")  # type: ignore[misc]


def _wait(
    awaited: Orders, ends: Sequence[Orders], deadline: Deadline, arrived: Callable[[], bool], not_so: str
) -> None:
    """Look again and again; a reply that is lost now and then ends no wait, and a stuck unit does."""
    silent = 0
    while True:
        try:
            for end in ends:
                end.check_not_stuck()
            awaited.lease.keep()
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
                not_so,
                device=awaited.unit.name,
                elapsed_s=deadline.elapsed_s,
                remedy="Look at alarms() for what holds it",
            )
        awaited.clock.wait(min(POLL_S, deadline.remaining_s))
