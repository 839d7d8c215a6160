"""The alarms of a node: raised, held off, cleared, acknowledged; security alarms stay until a person has seen them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from enum import Enum
from math import inf
from typing import TYPE_CHECKING, Final, TypeAlias

from tokaido.hal import NS_PER_S, SYSTEM_CLOCK, ConfigurationError, RefusedError, Severity
from tokaido.node.core import Clear, Raise
from tokaido.node.operation._causes import RELATED

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tokaido.hal import Clock
    from tokaido.node.operation._causes import Name, Relate
    from tokaido.node.store import AlarmRow, Records

MOST_ALARMS: Final = 10_000
"""Alarms that are remembered at once; further ones are dropped, which is an alarm itself."""
OVERFLOW: Final = "ALARMS_DROPPED"
RANKS: Final = {severity: rank for rank, severity in enumerate(Severity)}
"""The most severe first."""


@dataclass(frozen=True, slots=True)
class NodeAlarm:
    """One alarm. Times are in s since 1970-01-01 UTC, as the clock of that moment had it, but for `began_s`."""

    code: str
    of: str
    """What it is about: a link, a device, a neighbour; empty: the node."""
    severity: Severity
    text: str
    latched: bool
    """Whether it stays until a person has acknowledged it."""
    raised_s: float
    cleared_s: float | None = None
    """None: its cause lasts."""
    acknowledged_s: float | None = None
    acknowledged_by: str = ""
    note: str = ""
    began_s: float = 0.0
    """When it was raised, in s of the monotonic clock: a clock that is set changes no alarm's age."""
    cause: Name | None = None
    """The alarm that it follows from; None: it is a cause itself."""
    times: int = 1
    """How often it was raised since then: more than once if it came and went within the hold-off."""

    @property
    def stands(self) -> bool:
        """Whether it is to be seen."""
        return self.cleared_s is None or (self.latched and self.acknowledged_s is None)

    @property
    def name(self) -> tuple[str, str]:
        """Code, and what it is about: no two alarms that stand have the same."""
        return self.code, self.of


class Change(Enum):
    """What became of an alarm."""

    RAISED = "raised"
    ALTERED = "altered"
    """Its text, its severity, its latch or its cause."""
    CLEARED = "cleared"
    ACKNOWLEDGED = "acknowledged"


@dataclass(frozen=True, slots=True)
class AlarmChange:
    """One change, for the store, the hooks and the log."""

    change: Change
    alarm: NodeAlarm


Tell: TypeAlias = Callable[[AlarmChange], object]


class AlarmBook:
    """The alarms that stand.

    An alarm is told once its cause has lasted for the hold-off, and cleared once the cause has been gone for as long,
    so that one that flutters is one. Critical and latched alarms are told at once.

    Args:
        tell: Takes every change.
        hold_off_s: How long, in s.
        clock: Where time comes from.
        relate: Returns which alarm each consequence follows from; default: none does.
    """

    def __init__(
        self,
        tell: Tell,
        *,
        hold_off_s: float = 2.0,
        clock: Clock = SYSTEM_CLOCK,
        relate: Relate = lambda _: {},
    ) -> None:
        self._tell = tell
        self._relate = relate
        self.hold_off_s = hold_off_s
        self._clock = clock
        self._standing: dict[tuple[str, str], NodeAlarm] = {}
        self._coming: dict[tuple[str, str], tuple[float, NodeAlarm]] = {}
        self._going: dict[tuple[str, str], float] = {}
        self._came_apart = False

    def restore(self, rows: Iterable[AlarmRow]) -> None:
        """Take up alarms of an earlier life of the node: the latched ones stay, all others are cleared.

        Whatever lasts is raised again by who sees it.
        """
        for row in rows:
            if (row.code, row.of) in self._standing:  # raised again already
                continue
            alarm = NodeAlarm(
                row.code,
                row.of,
                row.severity,
                row.text,
                row.latched,
                row.raised_s,
                row.cleared_s,
                row.acknowledged_s,
                row.acknowledged_by,
                row.note,
                self._now_s() - max(self._utc_s() - row.raised_s, 0.0),
            )
            if alarm.cleared_s is None:
                alarm = replace(alarm, cleared_s=self._utc_s())
                self._tell(AlarmChange(Change.CLEARED, alarm))
            if alarm.stands:
                self._standing[alarm.name] = alarm

    def take(self, action: Raise | Clear) -> None:
        """Take what the core or a supervisor says."""
        if isinstance(action, Raise):
            self.raise_(action.code, action.severity, action.of, action.text, latched=action.latched)
        else:
            self.clear(action.code, action.of)

    def raise_(self, code: str, severity: Severity, of: str, text: str, *, latched: bool = False) -> None:
        """Raise an alarm. Raised again while it stands, it is the same one, with the new text."""
        name = code, of
        fresh = NodeAlarm(code, of, severity, text, latched, self._utc_s(), began_s=self._now_s())
        if (stands := self._standing.get(name)) is not None and stands.cleared_s is None:
            again = self._going.pop(name, None) is not None
            latest = replace(
                stands,
                severity=severity,
                text=text,
                latched=latched or stands.latched,
                times=stands.times + again,
            )
            self._standing[name] = latest
            if (latest.severity, latest.text, latest.latched) != (stands.severity, stands.text, stands.latched):
                self._tell(AlarmChange(Change.ALTERED, latest))
                self._tell_causes(self._causes(code))
        elif stands is None and len(self._standing) + len(self._coming) >= MOST_ALARMS and code != OVERFLOW:
            self.raise_(OVERFLOW, Severity.MAJOR, "", f"more than {MOST_ALARMS} alarms stand; others are not kept")
        elif latched or severity is Severity.CRITICAL or self.hold_off_s <= 0:
            self._coming.pop(name, None)
            self._stand(fresh)
        elif name in self._coming:
            begin_s, first = self._coming[name]
            self._coming[name] = begin_s, replace(fresh, raised_s=first.raised_s, began_s=first.began_s)
        else:
            self._coming[name] = self._now_s(), fresh

    def clear(self, code: str, of: str) -> None:
        """Say that the cause of an alarm is gone."""
        name = code, of
        self._coming.pop(name, None)
        stands = self._standing.get(name)
        if stands is None or stands.cleared_s is not None or name in self._going:
            return
        if stands.latched or self.hold_off_s <= 0:
            self._end(stands)
        else:
            self._going[name] = self._now_s()

    def acknowledge(self, code: str, of: str, *, by: str, note: str = "") -> NodeAlarm:
        """Note that a person has seen an alarm, and what they say of it; the first one stays.

        A latched alarm whose cause is gone ends by it. No cause ends by it, and no hold of a unit.

        Raises:
            ConfigurationError: No alarm of that name stands.
            RefusedError: Nobody is named.
        """
        stands = self._standing.get((code, of))
        if stands is None:
            names = ", ".join(f"{one} of {what or 'the node'}" for one, what in sorted(self._standing)) or "none"
            raise ConfigurationError(
                f"no alarm {code} of {of or 'the node'} stands", remedy=f"There are: {names}"[:500]
            )
        if not by:
            raise RefusedError("an alarm is acknowledged by somebody", remedy="Say who you are")
        if stands.acknowledged_s is None:
            stands = replace(stands, acknowledged_s=self._utc_s(), acknowledged_by=by, note=note)
            if stands.stands:
                self._standing[stands.name] = stands
            else:
                del self._standing[stands.name]
            self._tell(AlarmChange(Change.ACKNOWLEDGED, stands))
        return stands

    def tick(self) -> None:
        """Tell what has lasted for the hold-off, and which consequences have lost their cause; due at `wake_s`."""
        now_s = self._now_s()
        for name, (begin_s, alarm) in tuple(self._coming.items()):
            if now_s >= begin_s + self.hold_off_s:
                del self._coming[name]
                self._stand(alarm)
        for name, begin_s in tuple(self._going.items()):
            if now_s >= begin_s + self.hold_off_s:
                del self._going[name]
                self._end(self._standing[name])
        if self._came_apart:  # looked at here, since a cause and what followed from it end together
            self._came_apart = False
            self._tell_causes(self._relate(self._standing.values()))
        if len(self._standing) < MOST_ALARMS:
            self.clear(OVERFLOW, "")

    @property
    def wake_s(self) -> float:
        """When `tick` is due, on the monotonic clock in s."""
        if self._came_apart:
            return self._now_s()
        begins = (*(begin_s for begin_s, _ in self._coming.values()), *self._going.values())
        return min(begins, default=inf) + self.hold_off_s

    def standing(self) -> tuple[NodeAlarm, ...]:
        """Return the alarms that stand, each cause with its consequences behind it.

        The most severe come first, a cause counting as its worst consequence; of these those that nobody acknowledged,
        then the oldest.
        """
        worst: dict[Name, int] = {}
        for one in self._standing.values():
            root = one.cause or one.name
            worst[root] = min(worst.get(root, len(RANKS)), RANKS[one.severity])

        def place(one: NodeAlarm) -> tuple[object, ...]:
            cause = one if one.cause is None else self._standing.get(one.cause, one)
            of_cause = (
                worst.get(cause.name, RANKS[one.severity]),
                cause.acknowledged_s is not None,
                cause.began_s,
                cause.name,
            )
            return (
                *of_cause,
                one is not cause,
                RANKS[one.severity],
                one.acknowledged_s is not None,
                one.began_s,
                one.name,
            )

        return tuple(sorted(self._standing.values(), key=place))

    def _stand(self, alarm: NodeAlarm) -> None:
        self._standing[alarm.name] = alarm
        causes = self._causes(alarm.code)
        if causes is not None:
            alarm = self._standing[alarm.name] = replace(alarm, cause=causes.get(alarm.name))
        self._tell(AlarmChange(Change.RAISED, alarm))
        self._tell_causes(causes)

    def _causes(self, code: str) -> Mapping[Name, Name] | None:
        """Return which alarm follows from which, now that one of that code came or went; None: nothing changed."""
        return self._relate(self._standing.values()) if code in RELATED else None

    def _tell_causes(self, causes: Mapping[Name, Name] | None) -> None:
        if causes is None:
            return
        for name, alarm in tuple(self._standing.items()):
            if alarm.cause != causes.get(name):
                self._standing[name] = latest = replace(alarm, cause=causes.get(name))
                self._tell(AlarmChange(Change.ALTERED, latest))

    def _end(self, alarm: NodeAlarm) -> None:
        ended = replace(alarm, cleared_s=self._utc_s())
        if ended.stands:
            self._standing[alarm.name] = ended
        else:
            del self._standing[alarm.name]
        self._tell(AlarmChange(Change.CLEARED, ended))
        self._came_apart = self._came_apart or alarm.code in RELATED

    def _now_s(self) -> float:
        return self._clock.monotonic_ns() / NS_PER_S

    def _utc_s(self) -> float:
        return self._clock.utc_ns() / NS_PER_S


def keep(change: AlarmChange, records: Records) -> None:
    """Make a change durable; in the thread of the store.

    Raises:
        StoreError: It cannot be written.
    """
    alarm = change.alarm
    match change.change:
        case Change.RAISED | Change.ALTERED:
            records.raise_alarm(
                alarm.code, alarm.of, alarm.severity, alarm.text, raised_s=alarm.raised_s, latched=alarm.latched
            )
        case Change.CLEARED:
            records.clear_alarm(alarm.code, alarm.of, cleared_s=alarm.cleared_s or 0.0)
        case Change.ACKNOWLEDGED:
            for row in records.alarms():
                if (row.code, row.of) == alarm.name:
                    records.acknowledge_alarm(
                        row.id, by=alarm.acknowledged_by, note=alarm.note, at_s=alarm.acknowledged_s or 0.0
                    )
