"""Tables for a notebook. Nothing is asked of a device; every text is escaped; they read on light and dark pages."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any, Final

from tokaido.hal._meanings import range_of, span
from tokaido.hal._readings import LimitStatus, Quality
from tokaido.hal._shown import shown

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from tokaido.hal._device import Device, Part
    from tokaido.hal._readings import Reading, Telemetry
    from tokaido.hal._values import Measured, Valued
    from tokaido.hal.stations._station import Station

GREEN, AMBER, RED, PLAIN = "rgba(46,160,67,.25)", "rgba(210,153,34,.35)", "rgba(248,81,73,.35)", ""
"""Backgrounds that let the page's own text colour show, whichever it is."""
QUALITIES: Final = {Quality.GOOD: GREEN, Quality.UNCERTAIN: AMBER, Quality.STALE: AMBER, Quality.BAD: RED}
LIMITS: Final = {LimitStatus.OUTSIDE_OPERATIONAL: AMBER, LimitStatus.OUTSIDE_ABSOLUTE: RED}
DECLARED: Final = ("value", "kind", "unit", "takes", "operational", "absolute", "meaning")

Cell = str | tuple[str, str]
"""A text, or a text and its background."""


def of_telemetry(telemetry: Telemetry) -> str:
    """Return readings with their units, limits and qualities."""
    heads = ["value", "reading", "unit", "operational", "absolute", "quality", "age in s"]
    if not any(reading.calibration for reading in telemetry.values()):
        return _table("", heads, (_reading(path, reading) for path, reading in telemetry.items()))
    rows = ((*_reading(path, reading), *_correction(reading)) for path, reading in telemetry.items())
    return _table("", [*heads, "raw", "calibration"], rows)


def of_device(device: Device) -> str:
    """Return who a device is and what it can tell or be told; `telemetry` reads it."""
    where = ", ".join(f"{name} {resource}" for name, resource in device._resources.items())
    title = f"{device.name}: {type(device).__name__}, driver {device.driver}" + (f", {where}" if where else "")
    return _table(title, DECLARED, (row for owner, path, _ in device._owners() for row in _declared(owner, path)))


def of_part(part: Part) -> str:
    """Return what a part can tell or be told."""
    return _table(f"{part._device.name}: {part.path}, {type(part).__name__}", DECLARED, _declared(part, ""))


def of_station(station: Station) -> str:
    """Return the devices of a station, and which of them are open."""
    rows: list[Sequence[Cell]] = [
        (
            entry.name,
            entry.driver,
            ", ".join(f"{name} {resource}" for name, resource in entry.resources.items()),
            ("open", GREEN) if entry.name in station._open else "not open",
        )
        for entry in station.devices.values()
    ]
    links = [*station.links, *(f"{end.name} to {end.neighbour}" for end in station.half_links.values())]
    title = f"station {station.name}; on exit: {station.on_exit}; links: {', '.join(links) or 'none'}"
    return _table(title, ("device", "driver", "resources", "now"), rows)


def _declared(owner: Valued, path: str) -> Iterable[Sequence[Cell]]:
    return (_declaration(path + name, value) for name, value in owner.own_values().items() if not value.unsupported)


def _declaration(path: str, value: Measured[Any]) -> Sequence[Cell]:
    return (
        path,
        "setting" if value.writable else "measured",
        value.unit,
        range_of(value) if value.writable else "",
        span(value.operational),
        span(value.absolute),
        value.meaning if value.calibration is None else f"{value.meaning} Calibrated: {value.calibration}.",
    )


def _reading(path: str, reading: Reading[Any]) -> Sequence[Cell]:
    bad = reading.quality is Quality.BAD
    return (
        path,
        (reading.error if bad else shown(reading.value), LIMITS.get(reading.limit_status, PLAIN)),
        reading.unit,
        span(reading.operational),
        span(reading.absolute),
        (reading.quality.value, QUALITIES[reading.quality]),
        "" if bad else f"{reading.age_s:.3g}",
    )


def _correction(reading: Reading[Any]) -> Sequence[Cell]:
    """Return what the device told, and what corrected it; two empty cells if nothing did."""
    if reading.calibration is None:
        return "", ""
    return "" if reading.raw is None else shown(reading.raw), str(reading.calibration)


def _table(title: str, heads: Sequence[str], rows: Iterable[Sequence[Cell]]) -> str:
    head = "".join(f'<th style="text-align:left">{escape(text)}</th>' for text in heads)
    body = "".join(f"<tr>{''.join(map(_cell, row))}</tr>" for row in rows)
    caption = f'<caption style="text-align:left;caption-side:top">{escape(title)}</caption>' if title else ""
    return f"<table>{caption}<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _cell(cell: Cell) -> str:
    text, colour = (cell, PLAIN) if isinstance(cell, str) else cell
    return f'<td style="text-align:left{f";background:{colour}" if colour else ""}">{escape(text)}</td>'
