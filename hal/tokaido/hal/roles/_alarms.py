"""Alarms as a device tells them."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING

if not TYPE_CHECKING:
    from tokaido.hal._records import dataclass

if TYPE_CHECKING:
    from dataclasses import dataclass


class Severity(Enum):
    """How bad it is; ETSI GS QKD 015 knows only MAJOR (the first two) and MINOR (the rest)."""

    CRITICAL = "CRITICAL"
    MAJOR = "MAJOR"
    MINOR = "MINOR"
    WARNING = "WARNING"


@dataclass(frozen=True, slots=True)
class Alarm:
    """One alarm that is active."""

    code: str
    severity: Severity
    latched: bool
    """Whether it stays after its cause is gone, until somebody clears it."""
    age_s: float
    """How long it has been active, in s."""


@dataclass(frozen=True, slots=True)
class AlarmEvent:
    """One change of an alarm, as the device announced it."""

    sequence: int
    """Count of the device's announcements; a gap is what was lost. 0 for a change that it did not announce, or that was
    not heard, and that its active alarms show."""
    raised: bool
    code: str
    severity: Severity
    text: str
