"""The move of a whole link to another path, step by step: what each of its two ends does, in the order that is safe."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from tokaido.hal._clock import NS_PER_S, Clock
from tokaido.hal._errors import LeaseError, TransportError
from tokaido.hal.roles._unit_values import RUNNING, UnitState
from tokaido.hal.stations._half_links import this_program
from tokaido.hal.stations._move_back import Rollback
from tokaido.hal.stations._move_ends import MovedEnd, raise_failed
from tokaido.hal.stations._move_orders import at_once, wait_for_light, wait_for_states
from tokaido.hal.stations._move_report import MoveError, MoveReport, MoveStep

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tokaido.hal.roles._units import Unit
    from tokaido.hal.stations._leases import HeldLease, Leases
    from tokaido.hal.stations._links import Link


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
        self.steps: list[MoveStep] = []
        self.from_path: str | None = None
        # How far it got:
        self.touched = False
        self.switching = False
        self.lighting = False

    def run(self, leases: Leases, holder: str, seconds: float) -> MoveReport:
        """Carry it out, or bring everything back."""
        link = self.link
        with self._step("check"):
            lease = leases.acquire(link.entry.lease_names, holder or this_program(), seconds)
            try:
                ends = Ends(link, self.to, lease, self.clock)
                self._check(ends)
            except BaseException:
                _release(lease)
                raise
        try:
            self._carry_out(ends)
        except Exception as error:
            raise self._undo(ends, error) from error
        except BaseException as error:
            error.add_note(str(self._undo(ends, error)))
            raise
        finally:
            _release(lease)
        return MoveReport(link.name, self.from_path, self.to, lease.fencing_token, tuple(self.steps))

    def _carry_out(self, ends: Ends) -> None:
        for name, act in (
            ("prepare", self._prepare),
            ("fence", self._fence),
            ("switch", self._switch),
            ("verify", self._verify),
            ("light", self._light),
            ("align", self._align),
            *([("start", self._start)] if self.start_wanted or (self.start_wanted is None and ends.ran) else []),
        ):
            with self._step(name):
                act(ends)

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

    def _check(self, ends: Ends) -> None:
        for end in ends:
            end.identify()
        for end in ends:
            end.check_state()
        for end in ends:
            end.check_key(ends.peer_of(end))
        for check in (MovedEnd.check_selection, MovedEnd.check_darkness, MovedEnd.check_switches):
            for end in ends:
                check(end)
        shown = ends.transmitter.paths_before() & ends.receiver.paths_before()
        self.from_path = shown.pop() if len(shown) == 1 else None

    # --- the steps ----------------------------------------------------------------------------------------------------

    def _prepare(self, ends: Ends) -> None:
        if self.drain is not None:
            for end in ends:
                end.drain(self.drain)
        ends.lease.keep()
        self.touched = True
        for end in ends:
            end.orders.stop()
        for end in ends:
            end.orders.make_safe()
        for end in ends:
            end.orders.check_dark()

    def _fence(self, ends: Ends) -> None:
        """Set the units to two different links, so that neither can leave AUTH, and see that both are dark.

        The one that could meet the other on its way is parted first.
        """
        selected = ends.receiver.selected
        waits_already = (selected.peer, selected.path) == ends.parking
        if not waits_already:
            ends.park()
        ends.take_target(ends.transmitter)
        if waits_already:
            ends.park()
        for end in ends:
            end.orders.check_dark()

    def _switch(self, ends: Ends) -> None:
        self.switching = True
        raise_failed(ends.reroute(ends.transmitter.target, ends.receiver.target))

    def _verify(self, ends: Ends) -> None:
        for end in ends:
            end.verify_switches()
        for end in ends:
            end.verify_selection()

    def _light(self, ends: Ends) -> None:
        self.lighting = True
        ends.take_target(ends.receiver)
        ends.wait_for_light(self.light_timeout)

    def _align(self, ends: Ends) -> None:
        ends.wait_for_states(frozenset({UnitState.STANDBY}), self.align_timeout)

    def _start(self, ends: Ends) -> None:
        for end in ends:
            end.orders.start()
        ends.wait_for_states(RUNNING, self.start_timeout)

    # --- when it fails ------------------------------------------------------------------------------------------------

    def _undo(self, ends: Ends, error: BaseException) -> MoveError:
        back = Rollback(self, ends)
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
            fencing_token=ends.lease.fencing_token,
            rolled_back=not back.unrestored,
            unrestored=back.unrestored,
            restarted=back.restarted,
            remedy="Read unrestored, then move it again when the cause is gone" if back.unrestored else "",
        )


class Ends:
    """Both ends of a link in a move, the transmitter's first, under one lease."""

    def __init__(self, link: Link, to: str, lease: HeldLease, clock: Clock) -> None:
        self.lease = lease
        first, second = link.halves
        self.transmitter = MovedEnd(first, to, lease, clock)
        self.receiver = MovedEnd(second, to, lease, clock)

    def __iter__(self) -> Iterator[MovedEnd]:
        return iter((self.transmitter, self.receiver))

    @property
    def ran(self) -> bool:
        """Whether one of the units exchanged keys before."""
        return self.transmitter.ran or self.receiver.ran

    def peer_of(self, end: MovedEnd) -> str:
        """Return the serial number of the unit at the other end."""
        return (self.receiver if end is self.transmitter else self.transmitter).serial_number

    def take_target(self, end: MovedEnd) -> None:
        """Set the unit of one end to the link over the new path."""
        end.take_target(self.peer_of(end))

    @property
    def parking(self) -> tuple[str, str]:
        """The link that the receiver waits on, apart from the transmitter."""
        return self.receiver.parking(self.transmitter.serial_number, self.transmitter.selected)

    def park(self) -> None:
        """Set the receiver to where it waits."""
        self.receiver.park(self.transmitter.serial_number, self.transmitter.selected)

    def reroute(self, *wanted: dict[str, dict[int, int]]) -> dict[str, Exception]:
        """Let the switches of both ends join these pairs, all at the same time; return what went wrong, by switch."""
        acts = [end.orders.reroutes(maps) for end, maps in zip(self, wanted, strict=True)]
        return at_once(acts[0] | acts[1])

    def wait_for_light(self, timeout: float) -> None:
        """Wait until the receiver measures clock light, and neither unit is stuck."""
        wait_for_light(self.receiver.orders, [end.orders for end in self], timeout)

    def wait_for_states(self, states: frozenset[UnitState], timeout: float) -> None:
        """Wait until both units are in one of `states`, and neither is stuck."""
        wait_for_states([end.orders for end in self], states, timeout)


def _release(lease: HeldLease) -> None:
    """Give the lease back; one that cannot be ends by itself, and the move is what it is."""
    try:
        lease.release()
    except (LeaseError, TransportError) as error:
        import logging  # noqa: PLC0415

        logging.getLogger("tokaido.hal.link").warning("the lease %s was not released: %s", lease.names[0], error)
