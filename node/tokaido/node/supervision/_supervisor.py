"""Brings one end of a link to exchange keys, and keeps it there: without any I/O, events in, actions out."""

from __future__ import annotations

from math import inf
from random import Random
from typing import TYPE_CHECKING, Final

from tokaido.hal import RUNNING, SETUP, UnitState
from tokaido.node.core import Tick
from tokaido.node.supervision._alarm_codes import SupervisionAlarm
from tokaido.node.supervision._attempts import Attempts
from tokaido.node.supervision._orders import (
    Align,
    BlockDrawn,
    ClearFault,
    Done,
    Draw,
    Drawing,
    Draws,
    Failed,
    Hold,
    Maintenance,
    Outcome,
    PowerOn,
    Reopen,
    Resume,
    SelectLink,
    Start,
    Stop,
    SupervisorAction,
    SupervisorEvent,
    UnitOrder,
    UnitRead,
    Unreachable,
    name_of,
)
from tokaido.node.supervision._telling import Phase, Supervision, Teller, codes_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from tokaido.node.supervision._settings import SupervisionSettings

SETTLING: Final = frozenset({UnitState.SELFTEST, UnitState.WARMUP, UnitState.AUTH, UnitState.ALIGN, UnitState.REALIGN})
"""States that lead on by themselves."""
CLOSED_TO_DRAWS: Final = frozenset({UnitState.SECURITY_HOLD, UnitState.ZEROIZE, UnitState.UPDATE})
"""States in which no block is drawn: blocks wait at the unit until a person has judged."""
BY_A_PERSON: Final = frozenset({UnitState.ZEROIZE, UnitState.UPDATE})
"""States that a person orders, and that end by themselves."""
ATTEMPT_BITS: Final = 1024
"""What a restart costs of authentication key at worst: docs/explanation/authentication-budget.md."""
SILENCE_S: Final = 5.0
"""After so long without an answer `NOT_ANSWERING` is raised: a single lost reply is nothing."""
TAKEN_S: Final = 30.0
"""How long an order waits after somebody else was found to hold the lease."""
EFFECT_S: Final = 10.0
"""How long an order that was taken may show no effect."""
ANSWER_S: Final = 120.0
"""After so long an order counts as lost."""


class Supervisor:
    """Supervises one end of a link.

    It orders only what it saw to be due in a fresh reading, one order at a time. It never acknowledges a security
    alarm, and never spends the reserve of authentication key unless a person says so.

    Args:
        link: Name of the link, or of the device, for alarms.
        unit: Name of the device, for its own alarms.
        settings: How patient it is.
        random: Returns a number from 0 to 1, for jitter.
        attempts: When attempts were made in an earlier life of the node, in s of its age.
    """

    def __init__(
        self,
        link: str,
        unit: str,
        settings: SupervisionSettings,
        *,
        random: Callable[[], float] | None = None,
        attempts: Iterable[float] = (),
    ) -> None:
        self.link = link
        self.unit = unit
        self.settings = settings
        self.attempts = Attempts(settings, random or Random().random, attempts)
        self.wake_s = inf
        """When it wants a `Tick`, in s of the node's age."""
        self._actions: list[SupervisorAction] = []
        self._teller = Teller(link, unit, self._tell)
        self._read: UnitRead | None = None
        self._pending: UnitOrder | None = None
        self._given: tuple[UnitOrder, UnitState | None, float] | None = None  # the last order, from which state, when
        self._phase, self._why, self._until_s = Phase.STARTING, "", inf
        self._silent_since_s: float | None = None
        self._reopen_s, self._reopens = inf, 0
        self._settling_since_s: float | None = None
        self._keyless_since_s: float | None = None
        self._align_next = False
        self._stopping = False  # Stop is the last order, and the unit was not seen at rest since
        self._hands_off_until_s = -inf
        self._maintained_by = self._held_by = ""
        self._taken_until_s, self._taken_by = -inf, ""
        self._may_use_reserve = False
        self._drawing_allowed = True
        self._drawing = False
        self._draws_fail = False

    def status(self, now_s: float) -> Supervision:
        """Return how things stand."""
        return Supervision(
            phase=self._phase,
            state=None if self._read is None or self._silent_since_s is not None else self._read.state,
            why=self._why,
            until_s=self._until_s if self._until_s < inf else None,
            attempts_within_an_hour=self.attempts.within_an_hour(now_s),
            failures=self.attempts.failures,
            drawing=self._drawing,
        )

    def reconfigure(self, settings: SupervisionSettings) -> None:
        """Be as patient as these settings say from now on."""
        self.settings = self.attempts.settings = settings

    @property
    def reading(self) -> UnitRead | None:
        """What was read last; None: nothing yet."""
        return self._read

    def handle(self, event: SupervisorEvent, now_s: float) -> list[SupervisorAction]:
        """Take in what happened, and return what is to be done, in order.

        Args:
            event: What happened.
            now_s: The node's age in s.
        """
        self._actions = []
        match event:
            case UnitRead():
                self._heard(event, now_s)
            case Unreachable(why=why):
                self._silence(why, now_s)
            case Done(order=order):
                if order == self._pending:
                    self._pending, self._may_use_reserve = None, False
                    self._align_next = self._align_next and not isinstance(order, Align)
            case Failed():
                if event.order == self._pending:
                    self._failed(event, now_s)
            case BlockDrawn():
                self._block_came(now_s)
            case Draws(why_not=why_not):
                self._teller.set(SupervisionAlarm.NOT_DRAWN, why_not)
                self._draws_fail = bool(why_not)
            case Maintenance(on=on, by=by):
                self._maintained_by = (by or "somebody") if on else ""
                self._hands_off_until_s = -inf
            case Hold(by=by):
                self._hold(by)
            case Resume(use_reserve=use_reserve):
                self.attempts.succeeded()
                self._teller.set(SupervisionAlarm.GIVEN_UP, "")
                self._hands_off_until_s = self._taken_until_s = -inf
                self._may_use_reserve = use_reserve
            case Drawing(allowed=allowed):
                self._drawing_allowed = allowed
            case Tick():
                pass
        if now_s >= self._reopen_s:
            self._reopen_s = inf
            self._actions.append(Reopen())
        self._tell_of_people(now_s)
        self._draw()
        self.wake_s = self._reopen_s
        return self._actions

    # --- what was heard -----------------------------------------------------------------------------------------------

    def _silence(self, why: str, now_s: float) -> None:
        if self._silent_since_s is None:
            self._silent_since_s = now_s
        pause_s = min(self.settings.poll_s * 2.0 ** min(self._reopens, 60), self.settings.longest_reopen_s)
        self._reopens += 1
        self._reopen_s = now_s + pause_s
        self._settling_since_s = self._keyless_since_s = None
        self._wait(Phase.SILENT, why)
        if now_s - self._silent_since_s >= SILENCE_S:
            self._teller.set(SupervisionAlarm.NOT_ANSWERING, why)

    def _heard(self, read: UnitRead, now_s: float) -> None:
        before, self._read = self._read, read
        self._silent_since_s, self._reopen_s, self._reopens = None, inf, 0
        self._teller.set(SupervisionAlarm.NOT_ANSWERING, "")
        self._teller.pass_on(read.alarms, read.texts)
        self._watch_authentication_key(read)
        if self._awaits_answer_or_effect(read, now_s):
            return
        if before is not None and not self._maintained_by and not self._held_by:
            self._notice_a_fall(before, read, now_s)
        self._given = None
        self._time_states(read, now_s)
        self._decide(read, now_s)

    def _awaits_answer_or_effect(self, read: UnitRead, now_s: float) -> bool:
        """Return whether the last order is still on its way, or shows no effect yet."""
        if self._given is None:
            return False
        order, state, at_s = self._given
        if self._pending is not None:
            if now_s - at_s < ANSWER_S:
                return True
            self._failed(Failed(order, Outcome.UNKNOWN, f"nobody told its outcome for {ANSWER_S:g} s"), now_s)
            return False
        if isinstance(order, (Align, Stop)) or read.state is not state or read.took(order):
            return False
        if now_s - at_s < EFFECT_S:
            return True
        self._given = None
        self._count_failure(f"{name_of(order)} had no effect", now_s)
        return False

    def _failed(self, failed: Failed, now_s: float) -> None:
        self._pending = self._given = None
        if failed.outcome in {Outcome.TAKEN, Outcome.NOT_SENT} and not isinstance(failed.order, Stop):
            self.attempts.unmade()
        if failed.outcome is Outcome.TAKEN:
            self._taken_until_s, self._taken_by = now_s + TAKEN_S, failed.why
            return
        self._align_next = self._align_next and not isinstance(failed.order, Align)
        self._count_failure(f"{name_of(failed.order)}: {failed.why}", now_s)

    def _hold(self, by: str) -> None:
        if not by:  # the move did that to the unit: it did not fail, and no person did it
            self._pending = self._given = None
            self._hands_off_until_s = self._taken_until_s = -inf
            self.attempts.succeeded()
        self._held_by = by
        self._wait(Phase.MOVING if by else Phase.WAITING, by)

    def _block_came(self, now_s: float) -> None:
        self.attempts.succeeded()
        self._align_next = self._may_use_reserve = False
        self._keyless_since_s = now_s
        for alarm in (SupervisionAlarm.GIVEN_UP, SupervisionAlarm.NO_BLOCKS):
            self._teller.set(alarm, "")

    def _notice_a_fall(self, before: UnitRead, read: UnitRead, now_s: float) -> None:
        """Tell a unit that failed from one that somebody stopped."""
        if before.state is UnitState.SECURITY_HOLD and read.state is not UnitState.SECURITY_HOLD:
            self.attempts.succeeded()  # a person came and judged
            return
        if self._stopping and read.state not in {UnitState.REALIGN, *RUNNING}:
            self._stopping = False
            return
        came_up_again = (
            before.uptime_s is not None and read.uptime_s is not None and read.uptime_s < before.uptime_s - 1.0
        )
        was_on = before.state not in {UnitState.OFF, None, *BY_A_PERSON}
        fell = (was_on and read.state is UnitState.OFF) or (before.state in RUNNING and read.state is UnitState.STANDBY)
        if read.state is UnitState.FAULT and before.state is not UnitState.FAULT:
            self._count_failure(f"it went to FAULT ({codes_of(read.alarms)})", now_s)
        elif fell and came_up_again:
            self._count_failure("it came up again", now_s)
        elif fell and read.alarms:
            self._count_failure(f"it stopped ({codes_of(read.alarms)})", now_s)
        elif fell:
            self._hands_off_until_s = now_s + self.settings.hands_off_s

    def _time_states(self, read: UnitRead, now_s: float) -> None:
        if read.state in RUNNING:
            self._hands_off_until_s = -inf
        if read.state not in SETTLING:
            self._settling_since_s = None
            self._teller.set(SupervisionAlarm.SETUP_SLOW, "")
        elif self._settling_since_s is None:
            self._settling_since_s = now_s
        if read.state not in RUNNING or not self._drawing or self._draws_fail:
            self._keyless_since_s = None
        elif self._keyless_since_s is None:
            self._keyless_since_s = now_s

    # --- what is due --------------------------------------------------------------------------------------------------

    def _decide(self, read: UnitRead, now_s: float) -> None:
        hold = read.state is UnitState.SECURITY_HOLD
        self._teller.set(SupervisionAlarm.SECURITY_HOLD, f"the unit holds: {codes_of(read.alarms)}" if hold else "")
        if self._held_by:
            self._wait(Phase.MOVING, self._held_by)
        elif hold:
            self._wait(Phase.NEEDS_A_PERSON, SupervisionAlarm.SECURITY_HOLD.to_do)
        elif read.state is None:
            self._wait(Phase.RUNNING, "")
        elif read.state in BY_A_PERSON:
            self._wait(Phase.NEEDS_A_PERSON, f"the unit is in {read.state.value}")
        elif read.state in RUNNING:
            self._run(read, now_s)
        elif read.state in SETTLING:
            self._set_up(read, read.state, now_s)
        elif (order := self._due(read)) is not None:
            self._attempt(order, read, now_s)
        else:
            self._wait(Phase.NEEDS_A_PERSON, SupervisionAlarm.PRESHARED_KEY_MISSING.to_do)

    def _due(self, read: UnitRead) -> UnitOrder | None:
        """Return the order that leads on from a state of rest; None if only a person can."""
        if read.state is UnitState.FAULT:
            return ClearFault()
        if not read.preshared_key:
            return None
        if read.wanted is not None and not read.fits:
            return SelectLink(*read.wanted)
        if read.state is UnitState.OFF:
            return PowerOn()
        return Align() if self._align_next else Start()

    def _run(self, read: UnitRead, now_s: float) -> None:
        if not self._drawing:
            self._teller.set(SupervisionAlarm.GIVEN_UP, "")
        if not read.fits:
            self._attempt(Stop(), read, now_s)  # the switches lead elsewhere: in STANDBY the link can be selected
            return
        self._wait(Phase.RUNNING, "")
        full = any(alarm.code == "KEYSTORE_FULL" for alarm in read.alarms)
        if self._keyless_since_s is None or now_s - self._keyless_since_s < self.settings.no_key_s or full:
            return
        self._teller.set(SupervisionAlarm.NO_BLOCKS, f"no block came for {self.settings.no_key_s:g} s, and it runs")
        if self._attempt(Stop(), read, now_s):
            self._align_next = True
            self._count_failure("it ran and gave no block", now_s)

    def _set_up(self, read: UnitRead, state: UnitState, now_s: float) -> None:
        if state in SETUP and read.wanted is not None and not read.fits and read.preshared_key:
            self._attempt(SelectLink(*read.wanted), read, now_s)
            return
        missing = state is UnitState.AUTH and not read.preshared_key
        self._wait(Phase.NEEDS_A_PERSON if missing else Phase.SETTING_UP, state.value)
        since_s = now_s if self._settling_since_s is None else self._settling_since_s
        slow = now_s - since_s >= self.settings.set_up_s
        if slow:
            text = f"{state.value} for {self.settings.set_up_s:g} s and more ({codes_of(read.alarms)})"
            self._teller.set(SupervisionAlarm.SETUP_SLOW, text)
        if state is not UnitState.REALIGN:
            return
        if not read.fits:
            self._attempt(Stop(), read, now_s)
        elif slow and not read.of_the_peer and self._attempt(Stop(), read, now_s):
            self._settling_since_s = None
            self._count_failure("its alignment did not end", now_s)

    def _attempt(self, order: UnitOrder, read: UnitRead, now_s: float) -> bool:
        """Give an order if it may be given now; return whether it was."""
        if self._maintained_by:
            self._wait(Phase.MAINTENANCE, f"{self._maintained_by} took the unit")
            return False
        if not self.settings.start:
            self._wait(Phase.WATCHING, f"{name_of(order)} is due, and the node's file leaves it to people")
            return False
        if now_s < self._taken_until_s:
            self._wait(Phase.MAINTENANCE, self._taken_by, self._taken_until_s)
            return False
        if now_s < self._hands_off_until_s:
            self._wait(Phase.MAINTENANCE, "somebody stopped the unit by hand", self._hands_off_until_s)
            return False
        costs = not isinstance(order, Stop)
        if costs and self._only_reserve(read) and not self._may_use_reserve:
            self._wait(Phase.NEEDS_A_PERSON, SupervisionAlarm.AUTH_KEY_RESERVE.to_do)
            return False
        peer = read.of_the_peer if isinstance(order, (Start, Align, Stop)) and read.fits else frozenset()
        next_s = self.attempts.next_s(now_s, waits_for_peer=bool(peer))
        if now_s < next_s:
            why = f"{', '.join(sorted(peer))} at the unit" if peer else f"{self.attempts.failures} failures in a row"
            self._wait(Phase.NEEDS_A_PERSON if self.attempts.given_up else Phase.WAITING, why, next_s)
            return False
        if costs:
            self.attempts.made(now_s)
        self._pending, self._given = order, (order, read.state, now_s)
        self._stopping = not costs
        self._wait(Phase.ORDERING, name_of(order))
        self._actions.append(order)
        return True

    # --- what is told -------------------------------------------------------------------------------------------------

    def _only_reserve(self, read: UnitRead) -> bool:
        bits = read.authentication_bits
        return read.preshared_key and bits is not None and bits - ATTEMPT_BITS < self.settings.reserve_bits

    def _watch_authentication_key(self, read: UnitRead) -> None:
        missing, bits = not read.preshared_key, read.authentication_bits
        low = not missing and bits is not None and bits < self.settings.low_bits
        left = f"less than {self.settings.low_bits} bits of authentication key are left"
        only = "only the reserve of authentication key is left"
        for alarm, text, on in (
            (SupervisionAlarm.PRESHARED_KEY_MISSING, "the unit has no pre-shared key for the link", missing),
            (SupervisionAlarm.AUTH_KEY_LOW, left, low),
            (SupervisionAlarm.AUTH_KEY_RESERVE, only, self._only_reserve(read)),
        ):
            self._teller.set(alarm, text if on else "")

    def _tell_of_people(self, now_s: float) -> None:
        taken = self._taken_by if now_s < self._taken_until_s else ""
        person = f"{self._maintained_by} took the unit" if self._maintained_by else taken
        self._teller.set(SupervisionAlarm.MAINTENANCE, person)
        by_hand = now_s < self._hands_off_until_s
        self._teller.set(
            SupervisionAlarm.STOPPED_BY_HAND, "somebody stopped the unit, and not the node" if by_hand else ""
        )

    def _count_failure(self, what: str, now_s: float) -> None:
        self.attempts.failed(now_s)
        if self.attempts.given_up:
            text = f"{self.attempts.failures} failures in a row, at last: {what}"
            self._teller.set(SupervisionAlarm.GIVEN_UP, text)

    def _tell(self, action: SupervisorAction) -> None:
        self._actions.append(action)

    def _wait(self, phase: Phase, why: str, until_s: float = inf) -> None:
        self._phase, self._why, self._until_s = phase, why, until_s

    def _draw(self) -> None:
        read = self._read
        reachable = read is not None and self._silent_since_s is None and read.state not in CLOSED_TO_DRAWS
        on = self._drawing_allowed and reachable
        if on != self._drawing:
            self._drawing = on
            self._actions.append(Draw(on))
