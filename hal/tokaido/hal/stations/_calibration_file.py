"""The tables `devices.NAME.calibrations.VALUE` of a station file, and every mistake in them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tokaido.hal._calibrations import Calibration, calibration_of, misfit

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tokaido.hal._device import Device
    from tokaido.hal.tables import Mistakes


def read_calibrations(
    where: tuple[str, ...], tables: Mapping[str, Any], kind: type[Device] | None, mistakes: Mistakes
) -> dict[str, Calibration]:
    """Read the calibrations of one device, noting every mistake in them.

    Values of parts are looked for when the device is opened, since only then is known which parts it has.

    Args:
        where: The keys of the tables around them.
        tables: By the path of a value, what is in its table.
        kind: The driver; None where the driver itself is a mistake.
        mistakes: Where mistakes go.
    """
    found: dict[str, Calibration] = {}
    for name in tables:
        path = (*where, name)

        def note(key: str, what: str, path: tuple[str, ...] = path) -> None:
            mistakes.note((*path, key) if key else path, what)

        calibration = calibration_of(mistakes.table(where, tables, name), note)
        value = None if kind is None else kind.values().get(name)
        if kind is not None and "." not in name and (value is None or value.unsupported):
            has = ", ".join(one.name for one in kind.values().values() if one.kind is float and not one.unsupported)
            note("", f"the device has no value {name}; it has {has or 'none that can be calibrated'}")
        elif kind and value and calibration and (why := misfit(kind, value, calibration)):
            note("", why)
        if calibration is not None:
            found[name] = calibration
    return found
