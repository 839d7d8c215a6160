"""Rows of what the operation of a node keeps beside its keys. Times are in s since 1970-01-01 UTC."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tokaido.hal import Severity


@dataclass(frozen=True, slots=True)
class AlarmRow:
    """One alarm, from when it was raised."""

    id: int
    code: str
    of: str
    severity: Severity
    text: str
    latched: bool
    """Whether it stays until a person has acknowledged it."""
    raised_s: float
    cleared_s: float | None = None
    """None: it lasts."""
    acknowledged_s: float | None = None
    acknowledged_by: str = ""
    note: str = ""


@dataclass(frozen=True, slots=True)
class OutboxRow:
    """One message for the bus."""

    id: int
    """Rises, and never comes again."""
    subject: str
    payload: bytes
    state: str


@dataclass(frozen=True, slots=True)
class CommandRow:
    """One command that came over the bus."""

    by: str
    answer: bytes | None
    """What it was answered; None: it was begun, and nobody knows what came of it."""


@dataclass(frozen=True, slots=True)
class DeviceRow:
    """One device that the node was shown."""

    name: str
    serial_number: str
    accepted: bool
    vendor: str = ""
    model: str = ""
    firmware: str = ""
    at_s: float = 0.0
    """When it was accepted, in s since 1970-01-01 UTC."""
    by: str = ""
    """Who accepted it."""


@dataclass(frozen=True, slots=True)
class MaintenanceRow:
    """One end of a link that a person took."""

    link: str
    by: str
    """Who, and why."""
    until_s: float
    """When it ends by itself; 0: it does not."""


@dataclass(frozen=True, slots=True)
class ServiceRow:
    """For how long one link gave keys, in s."""

    link: str
    up_s: float
    down_s: float
    maintenance_s: float
    at_s: float
    """Until when that was counted, in s since 1970-01-01 UTC."""


@dataclass(frozen=True, slots=True)
class PresharedKeyRow:
    """Since when a unit has the pre-shared key of a link."""

    device: str
    peer: str
    """Of the link, as the unit tells it; empty: any."""
    path: str
    since_s: float
    by: str
    """Who loaded it; empty: the node found it there, and it may be older."""
    check_value: str
    """Empty: not known."""
