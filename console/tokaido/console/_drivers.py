"""The command `drivers`: what is installed and how it is reached."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import tokaido.hal as hal
from tokaido.console._output import print_json, print_table

if TYPE_CHECKING:
    from tokaido.hal import DriverEntry


def list_drivers(*, as_json: bool) -> None:
    """Print the drivers that are installed."""
    emulators = {entry.name: entry for entry in hal.emulators()}
    found = [describe(entry, emulators.get(entry.name)) for entry in hal.drivers()]
    if as_json:
        print_json([{**driver, "wire_ends": _wire_ends(emulators.get(driver["name"]))} for driver in found])
        return
    rows = [
        (
            driver["name"],
            driver["role"],
            ", ".join(driver["transports"]) or "-",
            "yes" if driver["emulator"] else "no",
            driver["protocol"] or "-",
        )
        for driver in found
    ]
    print_table(("driver", "role", "transports", "emulator", "protocol"), rows)


def describe(entry: DriverEntry, emulator: DriverEntry | None) -> dict[str, Any]:
    """Return what one driver is, ready for JSON but for its wire ends, which its emulator has to be imported for.

    A driver that cannot be imported says why in `role`.
    """
    facts: dict[str, Any] = {
        "name": entry.name,
        "role": "unknown",
        "transports": [],
        "wire_ends": [],
        "emulator": emulator is not None,
        "protocol": "",
    }
    try:
        kind: Any = entry.load()
        facts["role"] = hal.role_name(kind)
        facts["transports"] = sorted({way for ways in kind.resource_kinds.values() for way in ways})
        facts["protocol"] = getattr(kind, "protocol", "")
    except (ImportError, AttributeError, TypeError) as error:
        facts["role"] = f"cannot be imported: {error}"
    return facts


def _wire_ends(emulator: DriverEntry | None) -> list[str]:
    """Return what can carry the emulated device's control port, as `launch` takes it; the default comes first."""
    if emulator is None:
        return []
    try:
        model: Any = emulator.load()
    except (ImportError, AttributeError):
        return []
    return list(getattr(model, "wire_ends", ()))
