"""How a supervisor tells of one end of a link: its alarms, those of its unit, and what it does at present."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from tokaido.hal import Severity
from tokaido.node.core import Clear, Raise

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from tokaido.hal import Alarm, UnitState
    from tokaido.node.supervision._alarm_codes import SupervisionAlarm


class Phase(Enum):
    """What a supervisor does."""

    STARTING = "starting"
    """Nothing was heard yet."""
    RUNNING = "running"
    SETTING_UP = "setting up"
    ORDERING = "ordering"
    """An order is on its way, or was taken and shows no effect yet."""
    WAITING = "waiting"
    """For the next attempt: `Supervision.until_s`."""
    WATCHING = "watching"
    """The file says that the node starts nothing."""
    MAINTENANCE = "maintenance"
    MOVING = "moving"
    """A move of the link has the unit."""
    NEEDS_A_PERSON = "needs a person"
    SILENT = "silent"
    """The device does not answer."""


@dataclass(frozen=True, slots=True)
class Supervision:
    """How things stand with one end of a link."""

    phase: Phase
    state: UnitState | None
    """None: not known, or a device that has none."""
    why: str
    """What it waits for, in words; may be empty."""
    until_s: float | None
    """When the next attempt may be, in s of the node's age; None: none is due."""
    attempts_within_an_hour: int
    failures: int
    """In a row."""
    drawing: bool


class Teller:
    """Raises and clears alarms, each once.

    Args:
        link: What the supervisor's own alarms are about.
        unit: What the unit's alarms are about.
        tell: Takes the actions.
    """

    def __init__(self, link: str, unit: str, tell: Callable[[Raise | Clear], object]) -> None:
        self._link, self._unit, self._tell = link, unit, tell
        self._own: dict[SupervisionAlarm, str] = {}
        self._units: dict[str, Severity] = {}

    def set(self, alarm: SupervisionAlarm, text: str) -> None:
        """Raise an alarm if the text is a new one; clear it if it is empty."""
        if text and self._own.get(alarm) != text:
            self._own[alarm] = text
            self._tell(Raise(alarm.code, alarm.severity, self._link, text, alarm.latched))
        elif not text and self._own.pop(alarm, None) is not None:
            self._tell(Clear(alarm.code, self._link))

    def pass_on(self, alarms: Iterable[Alarm], texts: Mapping[str, str]) -> None:
        """Raise the unit's own alarms, and clear those that it has no more."""
        now = {alarm.code: alarm for alarm in alarms}
        for code in [code for code in self._units if code not in now]:
            del self._units[code]
            self._tell(Clear(code, self._unit))
        for code, alarm in now.items():
            if self._units.get(code) is not alarm.severity:
                self._units[code] = alarm.severity
                latched = alarm.latched and alarm.severity is Severity.CRITICAL
                self._tell(Raise(code, alarm.severity, self._unit, texts.get(code, "told by the unit"), latched))


def codes_of(alarms: Iterable[Alarm]) -> str:
    """Return the codes of a unit's alarms, in a line."""
    return ", ".join(alarm.code for alarm in alarms) or "it raises no alarm"
