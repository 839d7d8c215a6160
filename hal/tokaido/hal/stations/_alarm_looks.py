"""What one device of a station has to tell of alarms, look after look, and whether it answers."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from tokaido.hal._clock import NS_PER_S
from tokaido.hal._errors import TokaidoError, UnsupportedError
from tokaido.hal.roles._alarms import Severity
from tokaido.hal.roles._amplifier import OpticalAmplifier
from tokaido.hal.roles._repeaters import RepeaterNode
from tokaido.hal.roles._units import Unit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tokaido.hal._clock import Clock
    from tokaido.hal._device import Device

NOT_ANSWERING: Final = "NOT_ANSWERING"
"""Code of the alarm that a device cannot be asked for its own."""
CALIBRATION_EXPIRED: Final = "CALIBRATION_EXPIRED"
"""Code of the alarm that a calibration has expired; the path of the value stands behind it, after a colon."""
CHANGES_LOST: Final = "CHANGES_LOST"
"""Code of the note that changes of alarms are missing. It is never cleared."""
LONGEST_TEXT: Final = 500
LONGEST_CODE: Final = 64
MOST_STANDING: Final = 1000
"""Alarms of one device that are remembered as active, whatever it sends."""
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f]+")


@dataclass(frozen=True, slots=True)
class StationAlarm:
    """An alarm of a device that was raised or cleared, or what the station itself found out."""

    station: str
    device: str
    """Name of the device in the station; empty for what concerns none."""
    code: str
    """As the device calls it. The station's own are NOT_ANSWERING, CHANGES_LOST and CALIBRATION_EXPIRED:PATH. A
    repeater's say behind it, after a colon, what they are of: NEIGHBOUR_SILENT:otsu."""
    severity: Severity
    """As the device says. Amplifiers say none: theirs are MAJOR, as NOT_ANSWERING is; the station's others are
    WARNINGs."""
    raised: bool
    """Whether it was raised; if not, it was cleared."""
    utc_ns: int
    """When it was raised, if the device tells its age, or else when it was heard; in ns since 1970-01-01 UTC."""
    text: str = ""
    """What the device says of it, or why it does not answer."""

    @property
    def utc(self) -> str:
        """The time as ISO 8601 has it, to the millisecond: `2026-11-27T22:55:23.120Z`."""
        moment = _EPOCH + timedelta(microseconds=self.utc_ns // 1000)
        return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")

    def record(self) -> dict[str, Any]:
        """Return the event ready for JSON."""
        return {
            "station": self.station,
            "device": self.device,
            "code": self.code,
            "severity": self.severity.value,
            "raised": self.raised,
            "utc": self.utc,
            "utc_ns": self.utc_ns,
            "text": self.text,
        }


class DeviceLooks:
    """Looks at one device of a station, and tells what changed since the look before.

    Announcements come first, where the device makes some; then its active alarms are compared with what was told, so
    that nothing goes untold that stands or ended, whatever happened in between. A change is told once: an alarm is
    raised, cleared, raised again in turn.

    Args:
        station: Name of the station.
        name: Of the device.
        reach: Returns the device, opened if it is not open yet.
        clock: Where the time of day comes from.
    """

    def __init__(self, station: str, name: str, reach: Callable[[], Device], clock: Clock) -> None:
        self._station = station
        self._name = name
        self._reach = reach
        self._clock = clock
        self._active: dict[str, Severity] = {}
        self._silent = False
        self._device: Device | None = None
        self._lost = 0

    def look(self) -> list[StationAlarm]:
        """Ask the device, and return what is new, oldest first. A device that cannot be asked is told once."""
        told: list[StationAlarm] = []
        try:
            device = self._reach()
            for one in self._news(device):
                told.append(one)  # noqa: PERF402 - what was told before an error is not lost
        except (TokaidoError, Exception) as error:  # noqa: BLE001 - a driver of somebody else's: its watch goes on
            if not self._silent:
                self._silent = True
                kind = "" if isinstance(error, TokaidoError) else f"{type(error).__name__}: "
                told.append(self._event(NOT_ANSWERING, Severity.MAJOR, raised=True, text=f"{kind}{error}"))
            return told
        if self._silent:
            self._silent = False
            told.insert(0, self._event(NOT_ANSWERING, Severity.MAJOR, raised=False))
        return told

    def _news(self, device: Device) -> Iterator[StationAlarm]:
        if isinstance(device, Unit):
            yield from self._of_unit(device)
        elif isinstance(device, OpticalAmplifier):
            found = {alarm.name: (Severity.MAJOR, alarm.value, 0.0) for alarm in device.alarms()}
            yield from self._compared(found | self._expired(device))
        elif isinstance(device, RepeaterNode):
            told = {
                f"{alarm.code}:{alarm.of}" if alarm.of else alarm.code: (alarm.severity, alarm.text, alarm.age_s)
                for alarm in device.alarms()
            }
            yield from self._compared(told | self._expired(device))
        else:  # its role tells of no alarms: it answers, or it does not
            device.identity()
            yield from self._compared(self._expired(device))

    def _expired(self, device: Device) -> dict[str, tuple[Severity, str, float]]:
        now_ns = self._clock.utc_ns()
        return {
            f"{CALIBRATION_EXPIRED}:{path}": (Severity.WARNING, f"{path} is corrected by {calibration}", 0.0)
            for path, calibration in device.calibrations.items()
            if calibration.expired(now_ns)
        }

    def _of_unit(self, unit: Unit) -> Iterator[StationAlarm]:
        if unit is not self._device:
            self._device, self._lost = unit, unit.alarm_events_lost
        try:
            events = unit.alarm_events()
        except UnsupportedError:
            events = ()
        for event in events:
            yield from self._changed(event.code, event.severity, raised=event.raised, text=event.text)
        lost = unit.alarm_events_lost - self._lost
        if lost > 0:
            self._lost += lost
            text = f"{lost} change{'s' if lost > 1 else ''} of alarms came and went unheard"
            yield self._event(CHANGES_LOST, Severity.WARNING, raised=True, text=text)
        active = {alarm.code: (alarm.severity, "", alarm.age_s) for alarm in unit.alarms()}
        yield from self._compared(active | self._expired(unit))

    def _compared(self, found: dict[str, tuple[Severity, str, float]]) -> Iterator[StationAlarm]:
        found = {_plain(code, LONGEST_CODE): of for code, of in found.items()}
        for code in [code for code in self._active if code not in found]:
            yield from self._changed(code, self._active[code], raised=False)
        for code, (severity, text, age_s) in sorted(found.items(), key=lambda one: -one[1][2]):
            yield from self._changed(code, severity, raised=True, text=text, age_s=age_s)

    def _changed(
        self, code: str, severity: Severity, *, raised: bool, text: str = "", age_s: float = 0.0
    ) -> Iterator[StationAlarm]:
        code = _plain(code, LONGEST_CODE)
        if raised == (code in self._active):
            return
        if not raised:
            del self._active[code]
        elif len(self._active) < MOST_STANDING:
            self._active[code] = severity
        yield self._event(code, severity, raised=raised, text=text, age_s=age_s)

    def _event(
        self, code: str, severity: Severity, *, raised: bool, text: str = "", age_s: float = 0.0
    ) -> StationAlarm:
        return StationAlarm(
            station=self._station,
            device=self._name,
            code=code,
            severity=severity,
            raised=raised,
            utc_ns=self._clock.utc_ns() - round(min(age_s, 1e9) * NS_PER_S),
            text=_plain(text, LONGEST_TEXT),
        )


def _plain(text: str, most: int) -> str:
    """Return a text of a device in one line, without what could write elsewhere on a terminal or into a mail's head."""
    return _CONTROL.sub(" ", text)[:most]
