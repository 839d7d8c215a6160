"""Readings: a value with its unit of measure, time, quality and limits."""

from __future__ import annotations

from collections.abc import ItemsView, Iterator, Mapping
from contextlib import suppress
from enum import Enum
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar, cast

from tokaido.hal._errors import NoDataError, ProtocolError, TokaidoError
from tokaido.hal._value_texts import encode
from tokaido.hal._values import Answer

if not TYPE_CHECKING:
    from tokaido.hal._records import dataclass

if TYPE_CHECKING:
    from dataclasses import dataclass

    from tokaido.hal._calibrations import Calibration
    from tokaido.hal._values import Measured

T = TypeVar("T")

LONGEST_AGE_S: Final = 1e9
"""Age of a value, in s, that is still believed: 30 years."""


class Quality(Enum):
    """How far a reading can be trusted."""

    GOOD = "good"
    """Measured just now."""
    UNCERTAIN = "uncertain"
    """Measured just now, and corrected by a calibration that has expired."""
    STALE = "stale"
    """Measured, but longer ago than the value's `stale_after_s`."""
    BAD = "bad"
    """There is no value; `Reading.error` says why."""


_GOOD, _STALE, _BAD = Quality.GOOD, Quality.STALE, Quality.BAD  # Python 3.11 takes longer to find them in their class


class LimitStatus(Enum):
    """Where a reading lies against its limits."""

    INSIDE = "inside"
    OUTSIDE_OPERATIONAL = "outside operational limits"
    OUTSIDE_ABSOLUTE = "outside absolute limits"
    UNKNOWN = "unknown"
    """No value, or no limits declared."""


@dataclass(frozen=True, slots=True)
class Reading(Generic[T]):
    """One value as a device gave it."""

    value: T | None
    """The value, or None where the quality is BAD. Corrected, where there is a calibration."""
    unit: str
    """Unit of measure; empty for a pure number, a word or a flag."""
    utc_ns: int
    """When it was measured: ns since 1970-01-01 UTC, by the host's clock."""
    age_s: float
    """How old it was, in s, when it arrived."""
    quality: Quality
    operational: tuple[float, float] | None = None
    """Warning limits, lowest and highest good value."""
    absolute: tuple[float, float] | None = None
    """Fault limits, lowest and highest bearable value."""
    error: str = ""
    """Why there is no value."""
    block: tuple[str, int] | None = None
    """Session and number of the key block that it is a figure of, for figures of blocks of units that tell."""

    @property
    def raw(self) -> T | None:
        """The value as the device told it, where it was corrected; None where nothing corrects it."""
        return None

    @property
    def calibration(self) -> Calibration | None:
        """The calibration that corrected it; None: there is none."""
        return None

    @property
    def limit_status(self) -> LimitStatus:
        """Where the value lies against its limits."""
        value = self.value
        if not isinstance(value, (int, float)) or (self.operational is None and self.absolute is None):
            return LimitStatus.UNKNOWN
        if self.absolute is not None and not self.absolute[0] <= value <= self.absolute[1]:
            return LimitStatus.OUTSIDE_ABSOLUTE
        if self.operational is not None and not self.operational[0] <= value <= self.operational[1]:
            return LimitStatus.OUTSIDE_OPERATIONAL
        return LimitStatus.INSIDE

    def record(self) -> dict[str, Any]:
        """Return the reading ready for JSON."""
        value = self.value
        return {
            "value": value if isinstance(value, (bool, int, float)) or value is None else encode(value),
            "unit": self.unit,
            "quality": self.quality.value,
            "age_s": self.age_s,
            "limits": self.limit_status.value,
            "operational": self.operational,
            "absolute": self.absolute,
            **({"error": self.error} if self.error else {}),
            **({"session": self.block[0], "block": self.block[1]} if self.block else {}),
            **({"raw": self.raw, "calibration": self.calibration.record()} if self.calibration else {}),
        }


@dataclass(frozen=True, slots=True)
class CorrectedReading(Reading[T]):
    """A reading of a value that has a calibration; others need not carry two more members."""

    told: T | None = None
    by: Calibration | None = None

    @property
    def raw(self) -> T | None:
        """The value as the device told it."""
        return self.told

    @property
    def calibration(self) -> Calibration | None:
        """The calibration that corrected it."""
        return self.by


class Telemetry(Mapping[str, "Reading[Any]"]):
    """The readings of one device: by path (`"detectors[0].bias"`), or typed by the value's declaration.

    `telemetry[hal.Transmitter.laser_power]` is a `Reading[float]`; `telemetry.part("detectors[0]")` holds a part's own.
    """

    def __init__(self, readings: Mapping[str, Reading[Any]]) -> None:
        self._readings = dict(readings)

    def __getitem__(self, key: str | Measured[T]) -> Reading[T]:
        path = key if isinstance(key, str) else key.name
        return cast("Reading[T]", self._readings[path])

    def __iter__(self) -> Iterator[str]:
        return iter(self._readings)

    def __len__(self) -> int:
        return len(self._readings)

    def items(self) -> ItemsView[str, Reading[Any]]:
        """Return paths and readings."""
        return self._readings.items()

    def part(self, path: str) -> Telemetry:
        """Return the readings of the part at `path`, for example `"detectors[0]"`.

        Raises:
            KeyError: There is no such part.
        """
        prefix = f"{path}."
        found = {name[len(prefix) :]: reading for name, reading in self._readings.items() if name.startswith(prefix)}
        if not found:
            raise KeyError(path)
        return Telemetry(found)

    def _repr_html_(self) -> str:
        """Return what a notebook shows."""
        from tokaido.hal._html import of_telemetry  # noqa: PLC0415 - for notebooks

        return of_telemetry(self)


def _believed(age_s: float) -> float:
    if not 0 <= age_s <= LONGEST_AGE_S:
        raise ProtocolError(f"the value is said to be {age_s} s old")
    return age_s


def older(answer: Answer | TokaidoError, by_s: float) -> Answer | TokaidoError:
    """Return an answer that was kept for `by_s` s before it came."""
    return answer if isinstance(answer, TokaidoError) else type(answer)(answer.text, answer.age_s + by_s)


def reading_of(value: Measured[Any], answer: Answer | TokaidoError | None, utc_ns: int) -> Reading[Any]:
    """Return what a device answered as a reading of that value; of quality BAD, with the reason, if it is none."""
    got: Any = None
    age_s = 0.0
    reason = ""
    if answer is None:
        reason = "not in the device's report"
    elif isinstance(answer, TokaidoError):
        reason = answer.what if isinstance(answer, NoDataError) else str(answer)
    else:
        try:
            if answer.age_s:
                age_s = _believed(answer.age_s)
            got = value.decode(answer.text)
        except TokaidoError as error:
            reason = str(error)
    quality = _BAD if reason else _STALE if age_s > value.stale_after_s else _GOOD
    at_ns = utc_ns - round(age_s * 1e9) if age_s else utc_ns
    return Reading(got, value.unit, at_ns, age_s, quality, value.operational, value.absolute, reason)


def corrected_reading_of(value: Measured[Any], answer: Answer | TokaidoError | None, utc_ns: int) -> Reading[Any]:
    """Return what `reading_of` does, with the value that the device told where it has a calibration."""
    reading, calibration = reading_of(value, answer, utc_ns), value.calibration
    if calibration is None:
        return reading
    raw = None
    if isinstance(answer, Answer):
        with suppress(TokaidoError):  # then the reading says so
            raw = value.raw(answer.text)
    uncertain = reading.quality is Quality.GOOD and calibration.expired(utc_ns)
    return CorrectedReading(
        reading.value,
        reading.unit,
        reading.utc_ns,
        reading.age_s,
        Quality.UNCERTAIN if uncertain else reading.quality,
        reading.operational,
        reading.absolute,
        reading.error,
        None,
        raw,
        calibration,
    )
