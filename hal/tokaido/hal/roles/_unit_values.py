"""What a QKD unit is described with: its states, what not every unit has, and what it tells of links and readings."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Any, Final

if not TYPE_CHECKING:
    from tokaido.hal._records import dataclass

if TYPE_CHECKING:
    from dataclasses import dataclass

    from tokaido.hal._readings import Telemetry
    from tokaido.hal.roles._alarms import AlarmEvent


class UnitState(Enum):
    """States of a unit. A vendor maps its own onto these."""

    OFF = "OFF"
    SELFTEST = "SELFTEST"
    WARMUP = "WARMUP"
    AUTH = "AUTH"
    ALIGN = "ALIGN"
    STANDBY = "STANDBY"
    RUN = "RUN"
    TRACK = "TRACK"
    DEGRADED = "DEGRADED"
    REALIGN = "REALIGN"
    FAULT = "FAULT"
    SECURITY_HOLD = "SECURITY_HOLD"
    ZEROIZE = "ZEROIZE"
    UPDATE = "UPDATE"


RUNNING = frozenset({UnitState.RUN, UnitState.TRACK, UnitState.DEGRADED})
"""States in which keys are exchanged."""
MAKING: Final = RUNNING | {UnitState.ALIGN, UnitState.REALIGN}
"""States in which blocks end, or that lead to them by themselves."""
SETUP = frozenset({UnitState.OFF, UnitState.WARMUP, UnitState.AUTH, UnitState.STANDBY})
"""States in which settings may be changed."""
STUCK = frozenset({UnitState.FAULT, UnitState.SECURITY_HOLD})
"""States that no unit leaves by itself."""
RESTING: Final = STUCK | {UnitState.OFF, UnitState.STANDBY}
"""States from which no receiver goes on to open its shutter by itself."""


class Shutter(Enum):
    """Position of the shutter at a receiver's quantum input."""

    OPEN = "OPEN"
    CLOSED = "CLOSED"


class Capability(Enum):
    """What a unit has that not every unit has."""

    INTERFEROMETER_STRETCHER = "interferometer stretcher"
    POLARISATION_CONTROLLER = "polarisation controller"
    GATED_DETECTORS = "gated detectors"
    WATCHDOG = "watchdog"
    TELEMETRY_STREAM = "telemetry stream"
    KEY_CHANNEL = "key channel"
    LASER_COOLER = "laser cooler"
    MODULATOR_BIAS = "modulator bias"
    PUSHED_KEYS = "pushed keys"
    """Key blocks come unasked and once: nothing is committed, and a block says how many were lost before it."""


@dataclass(frozen=True, slots=True)
class TelemetryEvent:
    """One event of a unit's telemetry stream."""

    sequence: int
    """Count of this subscription's events, from 1."""
    lost: int
    """How many events were lost just before this one."""
    uptime_s: float
    state: UnitState | None
    """State of the unit; None in an alarm event."""
    readings: Telemetry
    """What `telemetry` gives, but of the values that the unit sent. Empty in an alarm event."""
    alarm: AlarmEvent | None

    @property
    def values(self) -> dict[str, Any]:
        """The values of the readings, by path; None where the unit has no value."""
        return {path: reading.value for path, reading in self.readings.items()}


@dataclass(frozen=True, slots=True)
class LinkSelection:
    """The QKD link that a unit is set to: a link is two units and the path between them."""

    peer: str
    """Serial number of the unit at the other end; empty for any unit."""
    path: str
    """Name of the path; empty together with `peer`."""
    fencing_token: int = 0
    """Fencing token of the selection: the unit refuses a selection under a lower one, so that a coordinator whose
    lease was taken over can change nothing any more."""


@dataclass(frozen=True, slots=True)
class LinkKey:
    """What a unit holds of a link's pre-shared key."""

    peer: str
    """As in `LinkSelection`."""
    path: str
    """As in `LinkSelection`."""
    remaining_bits: int
    """Authentication key that is left for this link."""
