"""Alarms of a unit: what is active, what is latched, and who is told of a change."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

AlarmSeverity = Literal["CRITICAL", "MAJOR", "MINOR", "WARNING"]


class Latch(Enum):
    """What ends an alarm."""

    NONE = "when its cause is gone"
    FAULT = "faults are cleared"
    SECURITY = "security alarms are acknowledged"


@dataclass(frozen=True, slots=True)
class AlarmKind:
    """One row of the alarm table."""

    code: str
    severity: AlarmSeverity
    text: str
    latch: Latch = Latch.NONE


@dataclass(frozen=True, slots=True)
class AlarmChange:
    """An alarm that was raised or cleared."""

    seq: int
    """Number of the change, counted from 1 since the unit came up."""
    change: Literal["RAISED", "CLEARED"]
    kind: AlarmKind


@dataclass(frozen=True, slots=True)
class ActiveAlarm:
    """An alarm that is active."""

    kind: AlarmKind
    since_ns: int

    @property
    def latched(self) -> bool:
        """Whether it stays after its cause is gone."""
        return self.kind.latch is not Latch.NONE


ALARMS = {
    kind.code: kind
    for kind in (
        AlarmKind("LASER_TEMP", "MAJOR", "the laser is off its temperature", Latch.FAULT),
        AlarmKind("LASER_POWER", "MAJOR", "the laser monitor is out of limits", Latch.FAULT),
        AlarmKind("PHOTON_NUMBER", "CRITICAL", "the light is not that of the set photon numbers", Latch.FAULT),
        AlarmKind("RNG_FAIL", "CRITICAL", "the random generator failed its health test", Latch.FAULT),
        AlarmKind("DET_TEMP", "MAJOR", "a detector is off its temperature", Latch.FAULT),
        AlarmKind("DETECTOR_BLINDING", "CRITICAL", "bright light on a detector", Latch.SECURITY),
        AlarmKind("TROJAN_LIGHT", "CRITICAL", "light from outside at the input monitor", Latch.SECURITY),
        AlarmKind("TAMPER", "CRITICAL", "the cover was opened", Latch.SECURITY),
        AlarmKind("AUTH_MISMATCH", "CRITICAL", "the peer did not prove that it has the same key", Latch.SECURITY),
        AlarmKind("QBER_ABORT", "CRITICAL", "the error rate of a block leaves no key", Latch.SECURITY),
        AlarmKind("PHASE_ERROR_ABORT", "CRITICAL", "the phase error bound of a block leaves no key", Latch.SECURITY),
        AlarmKind("DETECTOR_MISMATCH", "CRITICAL", "the share of ones in a block is far from a half", Latch.SECURITY),
        AlarmKind(
            "QUARANTINE", "CRITICAL", "a block is locked away: no final accept of the peer, or altered", Latch.SECURITY
        ),
        AlarmKind("AUTH_KEY_LOW", "MAJOR", "authentication key for less than 16 blocks"),
        AlarmKind("QBER_HIGH", "MINOR", "the error rate of the last block is high"),
        AlarmKind("RATE_LOW", "MINOR", "the sifted rate is below a tenth of its reference"),
        AlarmKind("EC_FAIL", "MINOR", "a block was given up after its verification failed"),
        AlarmKind("NO_KEY", "WARNING", "a block had too few statistics for a key"),
        AlarmKind("LOS", "MAJOR", "no clock light"),
        AlarmKind("SYNC_LOSS", "MAJOR", "the clock is not locked"),
        AlarmKind("PEER_UNREACHABLE", "MAJOR", "the peer does not answer on the classical channel"),
        AlarmKind("SETTINGS_MISMATCH", "MINOR", "the peer distils blocks of another length"),
        AlarmKind("KEYSTORE_FULL", "MAJOR", "64 key blocks wait to be drawn"),
        AlarmKind("LEASE_EXPIRED", "MINOR", "no request within the lease: safe state"),
        AlarmKind("CHASSIS_TEMP", "WARNING", "the chassis is too warm"),
    )
}
"""The alarms that every unit has, by code, transmitters and receivers together."""


class AlarmBook:
    """The active alarms; every change is told to the listeners at once.

    Args:
        kinds: The unit's alarms by code.
        listeners: Are told of every change.
    """

    def __init__(self, kinds: Mapping[str, AlarmKind], *listeners: Callable[[AlarmChange], None]) -> None:
        self.kinds = kinds
        self.seq = 0
        """Number of the last change."""
        self._active: dict[str, int] = {}
        self._listeners = listeners

    def __contains__(self, code: str) -> bool:
        return code in self._active

    def raise_(self, code: str, now_ns: int, detail: str = "") -> None:
        """Raise an alarm, with a detail behind its text; one that is active already says nothing again."""
        if code not in self._active:
            self._active[code] = now_ns
            self._note("RAISED", code, detail)

    def clear(self, code: str) -> None:
        """Clear an alarm, latched or not; one that is not active says nothing."""
        if self._active.pop(code, None) is not None:
            self._note("CLEARED", code)

    def follow(self, code: str, cause: bool, now_ns: int, detail: str = "") -> None:
        """Raise while there is a cause, and clear without one unless the alarm is latched."""
        if cause:
            self.raise_(code, now_ns, detail)
        elif code in self._active and self.kinds[code].latch is Latch.NONE:
            self.clear(code)

    def latched(self, latch: Latch) -> list[str]:
        """Active alarms that end in this way, oldest first."""
        return [code for code in self._active if self.kinds[code].latch is latch]

    def active(self) -> list[ActiveAlarm]:
        """Return the active alarms, oldest first."""
        return [ActiveAlarm(self.kinds[code], since_ns) for code, since_ns in self._active.items()]

    def _note(self, change: Literal["RAISED", "CLEARED"], code: str, detail: str = "") -> None:
        self.seq += 1
        kind = self.kinds[code]
        told = AlarmChange(self.seq, change, replace(kind, text=f"{kind.text}: {detail}") if detail else kind)
        for listener in self._listeners:
            listener(told)
