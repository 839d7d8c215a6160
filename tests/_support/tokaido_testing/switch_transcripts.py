"""Golden transcripts of switches: how their arguments and values are written."""

from __future__ import annotations

from typing import Any

import tokaido.hal as hal


def port(text: str) -> hal.SwitchPort:
    """Return the port that "in 2" or "out 18" names."""
    side, number = text.split()
    return hal.SwitchPort(hal.Side(side), int(number))


def argument(given: object, verb: str) -> Any:
    """Return what a step of a transcript hands to a driver's method."""
    if isinstance(given, str):
        return hal.BootMode(given) if verb == "set_boot_mode" else port(given)
    if isinstance(given, list):
        return dict(given)
    return given


def plain(value: Any) -> Any:
    """Return what a driver gave as a transcript would write it."""
    if isinstance(value, hal.Identity):
        return [value.vendor, value.model, value.serial_number, value.firmware]
    if isinstance(value, dict):
        return [[plain(key), plain(item)] for key, item in sorted(value.items(), key=lambda item: order(item[0]))]
    if isinstance(value, hal.SwitchPort):
        return str(value)
    if isinstance(value, hal.Reading):
        return value.value
    return value.value if isinstance(value, (hal.BootMode, hal.PortState)) else value


def order(key: Any) -> tuple[str, int]:
    """Order ports by side and number, and inputs by number."""
    return (key.side.value, key.number) if isinstance(key, hal.SwitchPort) else ("", key)
