"""One value as a PV: its normative type, its alarm, and what a put to it means."""

from __future__ import annotations

import math
from enum import Enum
from typing import TYPE_CHECKING, Any, Final

try:
    from p4p.nt import NTEnum, NTScalar  # pyright: ignore[reportMissingImports]
    from p4p.server.thread import SharedPV  # pyright: ignore[reportMissingImports]
except ImportError as error:
    raise ImportError("tokaido.lab.epics needs p4p: pip install 'tokaido[epics]'") from error

from tokaido.hal import LimitStatus, Quality, Reading, ValueTypeError
from tokaido.hal.driver import Measured, Setting
from tokaido.lab._words import label_of, words_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from tokaido.hal.driver import Query

NO_YES: Final = ["no", "yes"]
CODES: Final = {float: "d", int: "l", str: "s"}
"""Kinds of number and text as pvData writes them."""
NO_ALARM, MINOR, MAJOR, INVALID = range(4)
DEVICE, DRIVER, RECORD = 1, 2, 3
"""Where an alarm comes from, as pvData counts it: the device, the way to it, or the limits here."""


class Pv:
    """One value as a PV. It holds what was posted last; nothing is asked by reading it.

    A number is an NTScalar, a word or a flag an NTEnum. A value that there is not is INVALID with the reason; a number
    with a fraction is NaN then, anything else what it was before.

    Args:
        path: Which value of its device.
        value: Its declaration.
        put: Called with the value that a client puts; it raises what the client is to be told.
        queue: Where puts are carried out.
    """

    def __init__(
        self, path: str, value: Measured[Any] | Query[Any], put: Callable[[Any], None] | None, queue: Any
    ) -> None:
        self.path = path
        self._kind: type[Any] = value.kind
        self._put = put
        self._members: list[Any] = (
            [*self._kind] if issubclass(self._kind, Enum) else [False, True] if self._kind is bool else []
        )
        self._last: Any = 0 if self._members else {float: math.nan, int: 0}.get(self._kind, "")
        initial: dict[str, Any]
        if self._members:
            self._type = NTEnum(display=False)
            initial = {"value": {"index": 0, "choices": words_of(self._kind) or NO_YES}}
        else:
            number = self._kind in (float, int)
            writable = number and isinstance(value, Setting)
            self._type = NTScalar(CODES[self._kind], display=True, control=writable, valueAlarm=number)
            initial = {"value": self._last, **_metadata(path, value, number=number, writable=writable)}
        initial["alarm"] = {"severity": INVALID, "status": DRIVER, "message": "not read yet"}
        self.shared: Any = SharedPV(
            queue=queue, handler=_Handler(self), nt=self._type, initial=self._type.Value(self._type.type, initial)
        )

    def post(self, reading: Reading[Any]) -> None:
        """Publish a reading, with the time at which it was measured."""
        severity, status, message = _alarm(reading)
        if reading.value is not None:
            self._last = self._members.index(reading.value) if self._members else reading.value
        elif self._kind is float:
            self._last = math.nan
        self._publish(severity, status, message, reading.utc_ns)

    def say(self, value: object, severity: int, message: str, utc_ns: int) -> None:
        """Publish a value that is known here."""
        self._last = self._members.index(value) if self._members else value
        self._publish(severity, DRIVER if severity else 0, message, utc_ns)

    def post_lost(self, why: str, utc_ns: int) -> None:
        """Publish that the device could not be asked."""
        if self._kind is float:
            self._last = math.nan
        self._publish(INVALID, DRIVER, why, utc_ns)

    def _publish(self, severity: int, status: int, message: str, utc_ns: int) -> None:
        seconds, nanoseconds = divmod(utc_ns, 1_000_000_000)
        fields = {
            "value": {"index": self._last} if self._members else self._last,
            "alarm": {"severity": severity, "status": status, "message": message},
            "timeStamp": {"secondsPastEpoch": seconds, "nanoseconds": nanoseconds},
        }
        self.shared.post(self._type.Value(self._type.type, fields))

    def take(self, operation: Any) -> str:
        """Carry out a put and return what the client is told; empty if all is well.

        Raises:
            TokaidoError: It was refused, or its outcome is not known.
        """
        if self._put is None:
            return f"{self.path} is read-only here: the server's option --writable says what can be set"
        given = operation.value().raw
        field = "value.index" if self._members else "value"
        if not given.changed(field):
            return f"nothing was put to {self.path}"
        self._put(self._taken(given[field]))
        return ""

    def _taken(self, given: Any) -> Any:
        if not self._members:
            return given
        if not 0 <= given < len(self._members):
            raise ValueTypeError(f"{self.path} has choices 0 to {len(self._members) - 1}, not {given}")
        return self._members[given]


class _Handler:
    """What p4p calls."""

    def __init__(self, pv: Pv) -> None:
        self._pv = pv

    def put(self, _: Any, operation: Any) -> None:
        try:
            told = self._pv.take(operation)
        except Exception as error:  # noqa: BLE001 - the client is told, whatever it is
            told = str(error)
        operation.done(error=told or None)


def _alarm(reading: Reading[Any]) -> tuple[int, int, str]:
    """Return severity, status and message of a reading."""
    if reading.quality is Quality.BAD:
        return INVALID, DEVICE, reading.error
    if reading.limit_status is LimitStatus.OUTSIDE_ABSOLUTE:
        return MAJOR, RECORD, reading.limit_status.value
    if reading.limit_status is LimitStatus.OUTSIDE_OPERATIONAL:
        return MINOR, RECORD, reading.limit_status.value
    if reading.quality is Quality.STALE:
        return MINOR, RECORD, f"stale: {reading.age_s:.0f} s old"
    if reading.quality is Quality.UNCERTAIN:
        return MINOR, RECORD, "uncertain: its calibration has expired"
    return NO_ALARM, 0, ""


def _metadata(path: str, value: Measured[Any] | Query[Any], *, number: bool, writable: bool) -> dict[str, Any]:
    """Return description, unit of measure and limits."""
    found: dict[str, Any] = {"display": {"description": label_of(path)}}
    if not isinstance(value, Measured):
        return found
    found["display"]["units"] = value.unit
    if not number:
        return found
    if shown := value.range or value.absolute or value.operational:
        found["display"] |= _limits(value.kind, shown)
    if writable and value.range:
        found["control"] = _limits(value.kind, value.range)
    alarm: dict[str, Any] = {}
    for kind, severity, pair in (("Warning", MINOR, value.operational), ("Alarm", MAJOR, value.absolute)):
        if pair:
            low, high = (value.kind(limit) for limit in pair)
            alarm |= {f"low{kind}Limit": low, f"high{kind}Limit": high}
            alarm |= {f"low{kind}Severity": severity, f"high{kind}Severity": severity}
    if alarm:
        found["valueAlarm"] = {"active": True, **alarm}
    return found


def _limits(kind: type[Any], pair: tuple[float, float]) -> dict[str, Any]:
    return {"limitLow": kind(pair[0]), "limitHigh": kind(pair[1])}
