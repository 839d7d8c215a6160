"""What is logged of one device: all that it tells, or chosen values."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

import tokaido.hal as hal

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

MAP: Final = "connections"
"""Path of a switch's map, written as `1:3 2:4`."""
POWERS: Final = "port_powers"
"""Path of the powers at a switch's monitors."""


def chosen(station: hal.Station, values: Iterable[str]) -> dict[str, list[str]]:
    """Return what is logged, by device: paths, or none for all of them.

    Args:
        station: The station.
        values: `alice` for all values of a device, `alice.laser_power` for one. None at all: every device.

    Raises:
        ConfigurationError: The station has no such device.
    """
    if isinstance(values, str):
        raise hal.ConfigurationError(f"values are given in a list, not as {values!r}")
    found: dict[str, list[str]] = {}
    whole: set[str] = set()
    for text in values:
        fitting = [name for name in station.devices if text == name or text.startswith(f"{name}.")]
        name = max(fitting, key=len, default="")
        if not name:
            raise hal.ConfigurationError(
                f"{text!r} names no device of station {station.name}",
                remedy=f"It has {', '.join(station.devices) or 'none'}; write alice, or alice.laser_power",
            )
        if text == name:
            whole.add(name)
        found.setdefault(name, []).append(text.removeprefix(f"{name}."))
    if not found:
        found = {name: [] for name in station.devices}
    if not found:
        raise hal.ConfigurationError(f"station {station.name} has no device to log")
    return {name: [] if name in whole else paths for name, paths in found.items()}


class Source:
    """One device, once it is open, as something to poll."""

    def __init__(self, device: hal.Device, wanted: Sequence[str], clock: hal.Clock) -> None:
        self._device = device
        self._clock = clock
        self._queries = {path: query for path, query in device.queries().items() if path in wanted}
        self._switch = device if isinstance(device, hal.OpticalSwitch) else None
        self._monitors = self._switch is not None and hal.SwitchCapability.POWER_MONITORS in self._switch.capabilities
        extra = {MAP} if self._switch is not None else set()
        extra |= {POWERS} if self._monitors else set()
        self._extra = extra.intersection(wanted) if wanted else extra
        self._paths = [path for path in wanted if path not in self._queries and path not in extra]
        known = set(device.value_paths())
        for path in self._paths:
            if path not in known:
                raise device.no_such_value(path)
        self._all = not wanted
        self._told: dict[str, tuple[int, hal.Calibration]] = {}
        """By path, the file that the calibration of a value was last written to, and the calibration."""

    def poll(self, file: int = 0) -> Iterator[tuple[str, hal.Reading[Any]]]:
        """Ask the device, and yield a reading for each path.

        Behind a calibrated value comes what the device told, as `PATH.raw`. Before the first one in each file, and
        before one that has another calibration, that comes as `PATH.calibration`.

        Args:
            file: Number of the file that the readings go to.

        Raises:
            TokaidoError: It could not be asked.
        """
        if self._all or self._paths:
            telemetry = self._device.telemetry()
            for path in telemetry if self._all else self._paths:
                reading: hal.Reading[Any] = telemetry[path]
                if reading.calibration is None:
                    yield path, reading
                else:
                    yield from self._corrected(path, reading, reading.calibration, file)
        for path, query in self._queries.items():
            try:
                yield path, self._reading(self._device.ask(query))
            except hal.DeviceError as error:
                yield path, hal.Reading(None, "", self._clock.utc_ns(), 0.0, hal.Quality.BAD, error=str(error))
        if self._switch is not None and self._extra:
            if MAP in self._extra:
                pairs = sorted(self._switch.connections().items())
                yield MAP, self._reading(" ".join(f"{source}:{target}" for source, target in pairs) or "none")
            if POWERS in self._extra:
                for port, power in self._switch.port_powers().items():
                    yield f"{POWERS}[{port}]", power

    def _corrected(
        self, path: str, reading: hal.Reading[Any], calibration: hal.Calibration, file: int
    ) -> Iterator[tuple[str, hal.Reading[Any]]]:
        if self._told.get(path) != (file, calibration):
            self._told[path] = file, calibration
            yield f"{path}.calibration", self._reading(json.dumps(calibration.record(), ensure_ascii=False))
        yield path, reading
        if reading.raw is not None:
            quality = hal.Quality.STALE if reading.quality is hal.Quality.STALE else hal.Quality.GOOD
            yield f"{path}.raw", hal.Reading(reading.raw, reading.unit, reading.utc_ns, reading.age_s, quality)

    def _reading(self, value: object) -> hal.Reading[Any]:
        return hal.Reading(value, "", self._clock.utc_ns(), 0.0, hal.Quality.GOOD)
