"""Alarms of a unit: what is active, what is latched, and the lines that tell it (docs/protocols/toshiba.md 5)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Callable

Severity = Literal["CRITICAL", "MAJOR", "MINOR", "WARNING"]


class Latch(Enum):
    """What ends an alarm."""

    NONE = "when its cause is gone"
    FAULT = "FLT CLR"
    SECURITY = "SEC ACK"


@dataclass(frozen=True, slots=True)
class AlarmKind:
    """One row of the alarm table."""

    code: str
    severity: Severity
    text: str
    latch: Latch = Latch.NONE


@dataclass(frozen=True, slots=True)
class AlarmLine:
    """One change, before it is sealed."""

    seq: int
    change: Literal["RAISED", "CLEARED"]
    kind: AlarmKind

    @property
    def body(self) -> str:
        """The line up to its seal."""
        return f"!{self.seq:06X} {self.change} {self.kind.code} {self.kind.severity} {self.kind.text}"


ALARMS = {
    kind.code: kind
    for kind in (
        AlarmKind("LASER_TEMP", "MAJOR", "the laser is off its temperature", Latch.FAULT),
        AlarmKind("LASER_POWER", "MAJOR", "the laser monitor is out of limits", Latch.FAULT),
        AlarmKind("RNG_FAIL", "CRITICAL", "the random generator failed its health test", Latch.FAULT),
        AlarmKind("DET_TEMP", "MAJOR", "a detector is off its temperature", Latch.FAULT),
        AlarmKind("DETECTOR_BLINDING", "CRITICAL", "bright light on a detector", Latch.SECURITY),
        AlarmKind("TAMPER", "CRITICAL", "the cover was opened", Latch.SECURITY),
        AlarmKind("AUTH_MISMATCH", "CRITICAL", "the peer did not prove that it has the same key", Latch.SECURITY),
        AlarmKind("QBER_ABORT", "CRITICAL", "the error rate of a block leaves no key", Latch.SECURITY),
        AlarmKind("PHASE_ERROR_ABORT", "CRITICAL", "the phase error bound of a block leaves no key", Latch.SECURITY),
        AlarmKind("QUARANTINE", "CRITICAL", "a block lacks the final accept of the peer", Latch.SECURITY),
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
"""All alarms of both units, by code."""


class AlarmBook:
    """The active alarms; every change is told to the listeners at once."""

    def __init__(self, *listeners: Callable[[AlarmLine], None]) -> None:
        self.seq = 0
        """Number of the last line, counted since the unit was switched on."""
        self._active: dict[str, int] = {}
        self._listeners = listeners

    def __contains__(self, code: str) -> bool:
        return code in self._active

    def raise_(self, code: str, now_ns: int) -> None:
        """Raise an alarm; one that is active already says nothing again."""
        if code not in self._active:
            self._active[code] = now_ns
            self._note("RAISED", code)

    def clear(self, code: str) -> None:
        """Clear an alarm, latched or not; one that is not active says nothing."""
        if self._active.pop(code, None) is not None:
            self._note("CLEARED", code)

    def follow(self, code: str, cause: bool, now_ns: int) -> None:
        """Raise while there is a cause, and clear without one unless the alarm is latched."""
        if cause:
            self.raise_(code, now_ns)
        elif ALARMS[code].latch is Latch.NONE:
            self.clear(code)

    def latched(self, latch: Latch) -> list[str]:
        """Active alarms that end in this way, oldest first."""
        return [code for code in self._active if ALARMS[code].latch is latch]

    def listing(self, now_ns: int) -> str:
        """Answer of `ALM?`: the last number, then code, severity, age in s and latch of every active alarm."""
        rows = [f"{self.seq & 0xFFFFFF:06X}"]
        for code, since_ns in self._active.items():
            kind = ALARMS[code]
            latched = int(kind.latch is not Latch.NONE)
            rows.append(f"{code},{kind.severity},{(now_ns - since_ns) / 1e9:.1f},{latched}")
        return ";".join(rows)

    def _note(self, change: Literal["RAISED", "CLEARED"], code: str) -> None:
        self.seq = (self.seq + 1) & 0xFFFFFF
        line = AlarmLine(self.seq, change, ALARMS[code])
        for listener in self._listeners:
            listener(line)
