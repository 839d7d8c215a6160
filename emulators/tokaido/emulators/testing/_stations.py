"""What passes on the wires of a station within a test, under the names of its devices."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    import tokaido.hal as hal


def noted(station: hal.Station, note: Callable[[str, hal.TraceRecord], None]) -> Callable[[hal.TraceRecord], None]:
    """Return what notes the records of a station's devices under their names."""
    names = {
        f"{resource.kind}:{resource.address}": entry.name
        for entry in station.devices.values()
        for resource in entry.resources.values()
    }
    return lambda record: note(names.get(record.transport, record.transport), record)
