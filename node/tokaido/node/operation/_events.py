"""What happened at a node of late, numbered, for who asks `since`: changes of alarms, and what people ordered."""

from __future__ import annotations

from collections import deque
from itertools import count
from typing import TYPE_CHECKING, Final

import msgspec

from tokaido.hal import NS_PER_S, SYSTEM_CLOCK
from tokaido.hal.structs import learn

if TYPE_CHECKING:
    from tokaido.hal import Clock
    from tokaido.node.operation._alarm_book import AlarmChange
    from tokaido.node.operation._control_server import Peer

KEPT: Final = 1000


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """One of them. docs/protocols/repeater.md, section 4, tells the fields."""

    sequence: int
    utc_s: float
    kind: str
    code: str = ""
    of: str = ""
    severity: str | None = None
    text: str = ""
    by: str = ""
    cause: str | msgspec.UnsetType = msgspec.UNSET
    """Of a consequence alone."""
    cause_of: str | msgspec.UnsetType = msgspec.UNSET


class Events:
    """The last events of one run of a node; older ones are forgotten.

    Args:
        run: Names the run.
        kept: How many are remembered.
        clock: Where the time of day comes from.
    """

    def __init__(self, run: str, *, kept: int = KEPT, clock: Clock = SYSTEM_CLOCK) -> None:
        self.run: Final = run
        self._clock = clock
        self._numbers = count(1)
        self._kept: deque[Event] = deque(maxlen=kept)

    @property
    def last(self) -> int:
        """Sequence number of the newest event; 0: there is none."""
        return self._kept[-1].sequence if self._kept else 0

    def changed(self, change: AlarmChange) -> None:
        """Note a change of an alarm."""
        alarm = change.alarm
        self._note(
            kind=change.change.value,
            code=alarm.code,
            of=alarm.of,
            severity=alarm.severity.value,
            text=alarm.text,
            by=alarm.acknowledged_by if change.change.value == "acknowledged" else "",
            cause=alarm.cause,
        )

    def acted(self, peer: Peer, what: str, why: str) -> None:
        """Note what somebody ordered."""
        self._note(kind="act", text=f"{what}: {why}" if why else what, by=peer.user)

    def since(self, sequence: int, most: int) -> tuple[tuple[Event, ...], int]:
        """Return the events above a number, oldest first, `most` at most, and how many above it are forgotten."""
        first = self._kept[0].sequence if self._kept else 1
        found = [event for event in self._kept if event.sequence > sequence]
        return tuple(found[:most]), max(first - sequence - 1, 0)

    def _note(
        self,
        *,
        kind: str,
        code: str = "",
        of: str = "",
        severity: str | None = None,
        text: str = "",
        by: str = "",
        cause: tuple[str, str] | None = None,
    ) -> None:
        self._kept.append(
            Event(
                sequence=next(self._numbers),
                utc_s=self._clock.utc_ns() / NS_PER_S,
                kind=kind,
                code=code,
                of=of,
                severity=severity,
                text=text,
                by=by,
                cause=msgspec.UNSET if cause is None else cause[0],
                cause_of=msgspec.UNSET if cause is None else cause[1],
            )
        )


learn(Event)
