"""Readings in the words and colours that a person sees."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import tokaido.hal as hal
from tokaido.console._output import number

if TYPE_CHECKING:
    from tokaido.hal import Reading


def quantity(reading: Reading[Any]) -> str:
    """Return a reading with its unit of measure, or a dash."""
    if reading.value is None:
        return "-"
    return f"{number(reading.value)} {reading.unit}".rstrip()


def limits(reading: Reading[Any]) -> str:
    """Return the operational limits of a reading; empty where it has none."""
    pair = reading.operational or reading.absolute
    return f"{pair[0]:g} to {pair[1]:g}" if pair else ""


def judgement(reading: Reading[Any]) -> str:
    """Return quality and place against the limits in few words: "good", "stale, 75 s", "good, outside limits"."""
    quality = reading.quality
    if quality is hal.Quality.BAD:
        return f"bad: {reading.error}"
    words = f"stale, {reading.age_s:.0f} s" if quality is hal.Quality.STALE else quality.value
    if reading.calibration is not None:
        words += f", {correction(reading)}"
    where = {
        hal.LimitStatus.OUTSIDE_ABSOLUTE: ", beyond absolute limits",
        hal.LimitStatus.OUTSIDE_OPERATIONAL: ", outside limits",
    }
    return words + where.get(reading.limit_status, "")


def correction(reading: Reading[Any]) -> str:
    """Return what corrected a reading, in few words: "calibrated 2026-03-01 (raw -30 dBm)"."""
    calibration = reading.calibration
    if calibration is None:
        return ""
    raw = f" (raw {number(reading.raw)} {reading.unit}".rstrip() + ")"
    if calibration.expired(reading.utc_ns):
        return f"calibration expired {calibration.valid_until}{raw}"
    return f"calibrated {calibration.date}{raw}"


def brief(reading: Reading[Any]) -> str:
    """Return the judgement in the few words that a table has room for: "bad, NO_DATA", "outside limits"."""
    if reading.quality is hal.Quality.BAD:
        return f"bad, {reading.error.rpartition(': ')[2]}"
    return judgement(reading).removeprefix("good, ")


def style(reading: Reading[Any]) -> str:
    """Return the colour that a reading is shown in."""
    if reading.quality is hal.Quality.BAD:
        return "dim"
    return {
        hal.LimitStatus.OUTSIDE_ABSOLUTE: "bold red",
        hal.LimitStatus.OUTSIDE_OPERATIONAL: "yellow",
    }.get(reading.limit_status, "yellow" if reading.quality in (hal.Quality.STALE, hal.Quality.UNCERTAIN) else "")
