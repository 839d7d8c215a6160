"""What a driver knows of a unit's alarms, and how it catches up with what it did not hear."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final

from tokaido.hal.roles._alarms import Alarm, AlarmEvent, Severity

if TYPE_CHECKING:
    from collections.abc import Iterable

KEPT_EVENTS: Final = 1000
"""Events that wait to be taken; the oldest go first, and count as lost."""
MOST_STANDING: Final = 1000
"""Alarms that are remembered as active: no unit has as many codes."""
SLACK_S: Final = 0.5
"""By how much an alarm must be younger than a gap to have been raised within it: replies take their time."""
UNHEARD: Final = "found by comparing: its announcement was not heard"
ENDED_WITH_IT: Final = "the unit came up again"


class AlarmLedger:
    """The alarms that are active as far as was heard, the events that wait to be taken, and what was lost.

    A change that the unit did not announce to us, and that shows when its active alarms are compared with what was
    heard, becomes an event with the number 0. What was raised and cleared while nobody heard is counted in `lost`.

    Args:
        wraps_at: At which number the unit's count of changes begins again; default: never.
    """

    def __init__(self, wraps_at: int | None = None) -> None:
        self.lost = 0
        """Changes that the unit made and that were not heard, as far as its numbers tell: at least so many."""
        self.last: int | None = None
        """Number of the last change that is known of; None: none is yet."""
        self.complete = False
        """Whether what is remembered as active is what the unit has, as far as its numbers tell."""
        self._wraps_at = wraps_at
        self._standing: dict[str, Severity] = {}
        self._waiting: deque[AlarmEvent] = deque()
        self._heard_since = True  # whether a change was announced since the last interruption
        self._newest: AlarmEvent | None = None  # as announced
        self._met = False  # whether the unit was asked yet what is active

    def take(self) -> tuple[AlarmEvent, ...]:
        """Return the events that wait, oldest first, once."""
        taken: list[AlarmEvent] = []
        while self._waiting:  # another thread may add one meanwhile
            taken.append(self._waiting.popleft())
        return tuple(taken)

    def interrupted(self) -> None:
        """Note that the connection was gone: what the unit announced meanwhile was not heard."""
        self.complete = self._heard_since = False

    def announced(self, event: AlarmEvent) -> None:
        """Take a change as the unit announced it, in the order of its announcements; the same one again is dropped."""
        if event == self._newest and self._heard_since:
            return
        if self.last is not None:
            missed = self._ahead(event.sequence) - 1
            if missed < 0:
                self.came_up_again()
                missed = max(event.sequence - 1, 0)
            if missed:
                self.lost += missed
                self.complete = False
        self.last, self._heard_since, self._newest = event.sequence, True, event
        self._note(event)

    def compare(self, last: int, alarms: Iterable[Alarm], gap_s: float) -> None:
        """Catch up with what the unit says is active.

        At the first time, alarms that are older than the gap are taken as known and not told.

        Args:
            last: Number of its last change.
            alarms: Its active alarms.
            gap_s: For how long at most it may have announced what was not heard, in s. An alarm that was active before,
                and is younger, was cleared and raised again.
        """
        ahead = 0 if self.last is None else self._ahead(last)
        if ahead > 0:
            self.lost += ahead
            self.last = last
        elif ahead < 0 and not self._heard_since:
            self.came_up_again()
            self.lost += last
            self.last = last
        elif self.last is None:
            self.last = last
        standing = {alarm.code: alarm for alarm in alarms}
        for code, severity in tuple(self._standing.items()):
            now = standing.get(code)
            if now is None or now.age_s + SLACK_S < gap_s:
                self._note(AlarmEvent(0, False, code, severity, UNHEARD))
        for alarm in sorted(standing.values(), key=lambda alarm: -alarm.age_s):
            if alarm.code not in self._standing:
                if self._met or alarm.age_s < gap_s:
                    self._note(AlarmEvent(0, True, alarm.code, alarm.severity, UNHEARD))
                else:
                    self._standing[alarm.code] = alarm.severity
        self.complete = self._met = True

    def came_up_again(self) -> None:
        """Note that the unit came up again: its alarms ended with it, and it counts from 1."""
        for code, severity in tuple(self._standing.items()):
            self._note(AlarmEvent(0, False, code, severity, ENDED_WITH_IT))
        self.last = 0

    def _ahead(self, number: int) -> int:
        """Return how far a number is ahead of the last one; negative if the unit counts from 1 again."""
        ahead = number - (self.last or 0)
        if self._wraps_at is None:
            return ahead
        ahead %= self._wraps_at
        return ahead if ahead < self._wraps_at // 2 else ahead - self._wraps_at

    def _note(self, event: AlarmEvent) -> None:
        if event.raised:
            if len(self._standing) >= MOST_STANDING:
                self._standing.pop(next(iter(self._standing)), None)
            self._standing[event.code] = event.severity
        else:
            self._standing.pop(event.code, None)
        if len(self._waiting) >= KEPT_EVENTS:
            dropped = self._waiting.popleft()
            self.lost += bool(dropped.sequence)
        self._waiting.append(event)
