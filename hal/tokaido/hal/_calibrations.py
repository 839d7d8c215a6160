"""Calibrations: the true value of a quantity, where a device tells another number of it.

A value that is read is corrected, one that is set is turned back into the device's own scale before it is sent. Both
happen in the value's declaration, which a device that was opened with calibrations has in its own, calibrated form:
whatever reads, sets, checks, describes or exports a value goes by that, in every role and driver.
"""

from __future__ import annotations

import datetime
import math
from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias, cast

from tokaido.hal._errors import ConfigurationError, NoDataError, RangeError
from tokaido.hal._values import Measured, Setting

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tokaido.hal._device import Device
    from tokaido.hal._values import Valued

Outside: TypeAlias = Literal["refuse", "extend"]
"""What becomes of a value beyond the ends of a table."""

KEYS: Final = ("unit", "offset", "points", "outside", "date", "source", "valid_until")
MOST_POINTS: Final = 200
"""Of a table: those of a whole station must fit into one message of a device server."""
LONGEST_SOURCE: Final = 500
_NS_PER_DAY: Final = 86_400_000_000_000
_EPOCH: Final = datetime.date(1970, 1, 1).toordinal()


@dataclass(frozen=True, slots=True)
class Calibration:
    """The true value of a quantity, by the one that the device tells: an offset, or a table of points.

    Raises:
        ConfigurationError: With every mistake in it.
    """

    unit: str
    """Unit of measure of the quantity, as its declaration has it: a slip of units is found by it."""
    date: datetime.date
    """When it was taken."""
    source: str
    """Whose it is: a certificate, a person, a file."""
    offset: float | None = None
    """What is added to what the device tells; None where there is a table."""
    points: tuple[tuple[float, float], ...] = ()
    """The value that the device tells, and the true one; between two points along the line that joins them."""
    outside: Outside = "refuse"
    """Beyond the table: refuse, or extend the line of the last two points."""
    valid_until: datetime.date | None = None
    """The last day on which it holds, by UTC; None: it holds until there is another one."""

    def __post_init__(self) -> None:
        facts = {key: getattr(self, key) for key in KEYS}
        mistakes = tuple(f"{key}: {what}" if key else what for key, what in _mistakes(facts))
        if mistakes:
            raise ConfigurationError("the calibration is wrong", mistakes=mistakes)

    @property
    def span(self) -> tuple[float, float] | None:
        """Least and greatest value of the device that it covers; None: it covers every value."""
        return None if self.offset is not None or self.outside == "extend" else (self.points[0][0], self.points[-1][0])

    @property
    def rises(self) -> bool:
        """Whether more told by the device is always more really, so that it can be turned back."""
        return all(before[1] < after[1] for before, after in pairwise(self.points))

    def corrected(self, raw: float) -> float:
        """Return the true value when the device tells `raw`; the last line of a table goes on beyond its end."""
        return raw + self.offset if self.offset is not None else _along(self.points, raw, 0)

    def raw(self, value: float) -> float:
        """Return what the device tells when `value` is the true one, by a table that rises."""
        return value - self.offset if self.offset is not None else _along(self.points, value, 1)

    def covers(self, raw: float, slack: float = 0.0) -> bool:
        """Return whether it has a true value for a device that tells `raw`."""
        span = self.span
        return span is None or span[0] - slack <= raw <= span[1] + slack

    def expired(self, utc_ns: int) -> bool:
        """Return whether it does not hold any more, at a time in ns since 1970-01-01 UTC."""
        if self.valid_until is None:
            return False
        return utc_ns >= (self.valid_until.toordinal() + 1 - _EPOCH) * _NS_PER_DAY

    def record(self) -> dict[str, Any]:
        """Return it ready for JSON, with the keys of a station file; dates as ISO 8601 has them."""
        record: dict[str, Any] = {"unit": self.unit, "date": self.date.isoformat(), "source": self.source}
        if self.offset is not None:
            record["offset"] = self.offset
        else:
            record |= {"points": [list(point) for point in self.points], "outside": self.outside}
        if self.valid_until is not None:
            record["valid_until"] = self.valid_until.isoformat()
        return record

    def __str__(self) -> str:
        what = f"offset {self.offset:+.10g} {self.unit}".rstrip() if self.offset is not None else self._table()
        until = f", valid until {self.valid_until}" if self.valid_until else ""
        return f"{what}, {self.date}, {self.source}{until}"

    def _table(self) -> str:
        (low, _), (high, _) = self.points[0], self.points[-1]
        beyond = " and beyond" if self.outside == "extend" else ""
        return f"{len(self.points)} points, {low:.10g} to {high:.10g} {self.unit}".rstrip() + beyond


def calibration_of(table: Mapping[str, Any], note: Callable[[str, str], None]) -> Calibration | None:
    """Return the calibration that a table of a station file is, or a record of one; None if there is a mistake in it.

    Args:
        table: What it holds.
        note: Called with the key and the sentence of every mistake; the key is empty for the whole.
    """
    facts = dict(table)
    for key in ("date", "valid_until"):
        if isinstance(facts.get(key), str):
            try:
                facts[key] = datetime.date.fromisoformat(facts[key])
            except ValueError:
                note(key, f"must be a date such as 2026-03-01, not {facts.pop(key)!r}")
    mistakes = list(_mistakes(facts))
    for key, what in mistakes:
        if not (what.startswith("is missing") and key in table):
            note(key, what)
    if mistakes or len(facts) < len(table):
        return None
    if "points" in facts:
        facts["points"] = tuple((float(told), float(really)) for told, really in facts["points"])
    if facts.get("offset") is not None:
        facts["offset"] = float(facts["offset"])
    return Calibration(**facts)


def recorded(record: Mapping[str, Any]) -> Calibration:
    """Return the calibration that a record is of.

    Raises:
        ConfigurationError: With every mistake in it.
    """
    mistakes: list[str] = []
    calibration = calibration_of(record, lambda key, what: mistakes.append(f"{key}: {what}" if key else what))
    if calibration is None:
        raise ConfigurationError("a calibration is wrong", mistakes=tuple(mistakes))
    return calibration


def _mistakes(facts: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Give the key and the sentence of every mistake in what a calibration is to be made of."""
    for key in facts:
        if key not in KEYS:
            yield key, f"unknown key; known are {', '.join(KEYS)}"
    for key, example in (("unit", '"dB"'), ("date", "2026-03-01"), ("source", '"certificate 4711"')):
        if key not in facts:
            yield key, f"is missing; write {key} = {example}"
    if not isinstance(facts.get("unit", ""), str):
        yield "unit", f"must be text in quotes, not {facts['unit']!r}"
    source = facts.get("source", "?")
    if not isinstance(source, str) or not source.strip() or len(source) > LONGEST_SOURCE or not source.isprintable():
        yield "source", f"must be one line of text that says whose it is, not {source!r:.60}"
    date, until = facts.get("date"), facts.get("valid_until")
    if "date" in facts and not _is_date(date):
        yield "date", f"must be a date such as 2026-03-01, not {date!r}"
    if until is not None and not _is_date(until):
        yield "valid_until", f"must be a date such as 2027-03-01, not {until!r}"
    if isinstance(date, datetime.date) and isinstance(until, datetime.date) and _is_date(date) and until < date:
        yield "valid_until", f"{until} lies before the date of the calibration, {date}"
    outside = facts.get("outside", "refuse")
    if outside not in ("refuse", "extend"):
        yield "outside", f'must be "refuse" or "extend", not {outside!r}'
    offset, points = facts.get("offset"), facts.get("points", ())
    if (offset is None) == (points == ()):
        yield "", "must have an offset or points, one of them: offset = 20.0, or points = [[0, 0.1], [40, 41.3]]"
    if offset is not None and not _is_number(offset):
        yield "offset", f"must be a number, not {offset!r}"
    if points != ():
        yield from (("points", what) for what in _mistakes_of(points))


def _mistakes_of(points: object) -> Iterator[str]:
    if not isinstance(points, (list, tuple)) or not 2 <= len(points) <= MOST_POINTS:
        count = f"a list of {len(points)}" if isinstance(points, (list, tuple)) else repr(points)
        yield f"must be 2 to {MOST_POINTS} pairs of the value that the device tells and the true one, not {count}"
        return
    for number, point in enumerate(points, 1):
        if not isinstance(point, (list, tuple)) or len(point) != 2 or not all(map(_is_number, point)):
            yield f"point {number} must be two numbers, the one that is told and the true one, not {point!r:.60}"
            return
    for number, (before, after) in enumerate(pairwise(points), 2):
        if not before[0] < after[0]:
            fall = f"point {number} has {after[0]!r} after {before[0]!r}"
            yield f"the values that the device tells must rise from point to point; {fall}"
            return


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _is_date(value: object) -> bool:
    return type(value) is datetime.date


def _along(points: tuple[tuple[float, float], ...], at: float, known: int) -> float:
    """Return the other coordinate of the point whose coordinate `known` is `at`, on the lines that join the points."""
    index = bisect_right(points, at, key=lambda point: point[known])
    low, high = points[(start := min(max(index - 1, 0), len(points) - 2))], points[start + 1]
    share = (at - low[known]) / (high[known] - low[known])
    other = 1 - known
    return low[other] * (1.0 - share) + high[other] * share


# --- calibrated declarations ------------------------------------------------------------------------------------------


class CalibratedMeasured(Measured[float]):
    """The declaration of a measured value, calibrated: what it decodes is corrected, and so are its limits."""

    def __init__(self, declared: Measured[float], calibration: Calibration) -> None:
        vars(self).update(vars(declared))
        self.calibration = self._by = calibration
        self._declared = declared
        self.operational = self._corrected(declared.operational)
        self.absolute = self._corrected(declared.absolute)

    def uncalibrated(self) -> Measured[float]:
        """Its declaration in the device's own scale."""
        return self._declared

    def raw(self, text: str) -> float:
        """Return the value as the device tells it."""
        return self.uncalibrated().decode(text)

    def decode(self, text: str) -> float:
        """Return the true value when the device tells `text`.

        Raises:
            NoDataError: The table does not say.
            ProtocolError: It is not a number.
        """
        raw = self.uncalibrated().decode(text)
        if not self._by.covers(raw, self.resolution):
            told, covered = f"{raw:.10g} {self.unit}".rstrip(), _ends(self._by)
            raise NoDataError(
                f"{self.name}: the device tells {told}, and its calibration of {self._by.date} covers {covered}",
                code="NOT_CALIBRATED",
                remedy='Take a longer table, or say outside = "extend"',
            )
        return self._by.corrected(raw)

    def _corrected(self, pair: tuple[float, float] | None) -> tuple[float, float] | None:
        return None if pair is None else (self._by.corrected(pair[0]), self._by.corrected(pair[1]))


class CalibratedSetting(CalibratedMeasured, Setting[float]):
    """The declaration of a setting, calibrated: it is checked, sent and read back in the device's own scale."""

    def __init__(self, declared: Setting[float], calibration: Calibration) -> None:
        super().__init__(declared, calibration)
        low, high = declared.range or (-math.inf, math.inf)
        if calibration.span is not None:
            low, high = max(low, calibration.span[0]), min(high, calibration.span[1])
        self._ends = low, high
        self.range = None if math.isinf(high - low) else self._corrected(self._ends)

    def uncalibrated(self) -> Setting[float]:
        """Its declaration in the device's own scale."""
        return cast("Setting[float]", self._declared)

    def check(self, value: float) -> float:
        """Return `value` as a plain float.

        Raises:
            ValueTypeError: It is not a number.
            RangeError: The device does not go so far, or the table does not say how.
        """
        try:
            return super().check(value)
        except RangeError as error:
            low, high = self._ends
            ends = f"{low:.10g} to {high:.10g} {self.unit}".rstrip()
            error.remedy = f"Nothing was sent. By the calibration of {self._by.date} the device itself is set to {ends}"
            raise

    def encode(self, value: float) -> str:
        """Return the text by which `value` is sent, in the device's own scale."""
        return self.uncalibrated().encode(self._told(value))

    def confirms(self, asked: float, got: float) -> bool:
        """Whether the value read back is the one that was asked for, within the device's own resolution."""
        return self.uncalibrated().confirms(self._told(asked), self._by.raw(got))

    def _told(self, value: float) -> float:
        low, high = self._ends  # rounding must not lead beyond what the device takes
        return min(max(self._by.raw(value), low), high)


def calibrate(device: Device, calibrations: Mapping[str, Calibration]) -> None:
    """Let a device and its parts go by these calibrations from now on, and by no others.

    Raises:
        ConfigurationError: With every calibration that does not fit.
    """
    owners = {path.removesuffix("."): owner for owner, path, _ in device._owners()}
    found: dict[str, dict[str, Measured[Any]]] = {}
    mistakes: list[str] = []
    for path, calibration in calibrations.items():
        part, _, name = path.rpartition(".")
        owner = owners.get(part)
        value = owner._declared().get(name) if owner is not None else None
        if owner is None or value is None or value.unsupported:
            mistakes.append(f"{path}: {device.no_such_value(path)}")
        elif why := misfit(type(owner), value, calibration):
            mistakes.append(f"{path}: {why}")
        else:
            kind = CalibratedSetting if isinstance(value, Setting) else CalibratedMeasured
            found.setdefault(part, dict(owner._declared()))[name] = cast("Any", kind)(value, calibration)
    if mistakes:
        raise ConfigurationError(f"calibrations of {device.name} do not fit", mistakes=tuple(mistakes))
    device._calibrated_by_part = found
    device._last_known.clear()
    now_ns = device._clock.utc_ns()
    for path, calibration in calibrations.items():
        if calibration.expired(now_ns):
            import logging  # noqa: PLC0415 - for what expired

            logging.getLogger("tokaido.hal.calibration").warning(
                "%s: the calibration of %s expired after %s; its readings are uncertain. Calibrate it again",
                device.name, path, calibration.valid_until,
            )  # fmt: skip


def misfit(owner: type[Valued], value: Measured[Any], calibration: Calibration) -> str:
    """Return why a value cannot be calibrated so; empty if it can."""
    if value.kind is not float:
        return f"{value.name} is a {value.kind.__name__}, and only a float can be calibrated; remove the table"
    if value.name in owner.own_scale:
        return f"{value.name} cannot be calibrated, since a method sets it in the device's own scale"
    if calibration.unit != value.unit:
        return f"unit: {value.name} is in {value.unit or 'no unit: write an empty text'}, not {calibration.unit!r}"
    if not calibration.rises and (value.writable or value.operational or value.absolute):
        why = "is set, too" if value.writable else "has limits"
        return f"points: the true values must rise from point to point, since {value.name} {why}"
    if isinstance(value, Setting) and value.range is not None and calibration.span is not None:
        low, high = value.range
        if not (calibration.span[0] < high and low < calibration.span[1]):
            takes = f"{low:.10g} to {high:.10g} {value.unit}".rstrip()
            return f"points: the device takes {takes}, and the table covers {_ends(calibration)}"
    return ""


def _ends(calibration: Calibration) -> str:
    low, high = calibration.span or (-math.inf, math.inf)
    return f"{low:.10g} to {high:.10g} {calibration.unit}".rstrip()
