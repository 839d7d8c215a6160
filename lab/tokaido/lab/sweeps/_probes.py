"""What a sweep reads: values and states of devices, and whatever a callable returns."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import tokaido.hal as hal
from tokaido.hal.driver import Measured, Query, encode
from tokaido.lab.sweeps._axes import name_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


@dataclass(frozen=True, slots=True)
class Probe:
    """Anything that a callable reads: a number, a word or a flag, or a `Reading` with a quality of its own."""

    name: str
    """Of its variable in the data set."""
    read: Callable[[], Any]
    """Returns it; what it raises ends the sweep."""
    unit: str = ""
    """Unit of measure."""


Readable: TypeAlias = (
    hal.Device
    | tuple[str, hal.Device]
    | tuple[Measured[Any], hal.Device]
    | tuple[Query[Any], hal.Device]
    | Probe
    | Callable[[], Any]
)
"""What can be read: `("qber", rx)`, `(hal.Receiver.qber, rx)`, a state `("state", rx)`, a whole device for all of its
values, a `Probe`, or a function that returns a number and names it."""


@dataclass(frozen=True, slots=True)
class Sampled:
    """One value at one point, and why there is none or what is wrong with it."""

    value: float | str | None
    reason: str = ""


class Column:
    """One variable of the data set."""

    def __init__(self, name: str, unit: str, device: hal.Device | None, *, words: bool, calibration: str = "") -> None:
        self.name, self.unit, self.device = name, unit, device
        self.calibration = calibration
        """JSON text of what corrects it; empty: nothing does."""
        self.words = words
        """Whether it holds words; numbers and flags are numbers."""


class ValueColumn(Column):
    """A declared value, from the telemetry of its device."""

    def __init__(self, device: hal.Device, path: str) -> None:
        _, value = device.find(path)
        words = value.kind not in (float, int, bool)
        super().__init__(path, value.unit, device, words=words, calibration=calibration_text(value))

    def sample(self, telemetry: Mapping[hal.Device, hal.Telemetry]) -> Sampled:
        """Take it from what its device told."""
        assert self.device is not None
        return of_reading(telemetry[self.device][self.name])


class StateColumn(Column):
    """A state or flag that is asked by a call."""

    def __init__(self, device: hal.Device, query: Query[Any]) -> None:
        super().__init__(query.name, "", device, words=query.kind not in (float, int, bool))
        self._device, self._query = device, query

    def sample(self, telemetry: Mapping[hal.Device, hal.Telemetry]) -> Sampled:  # noqa: ARG002 - it asks by itself
        """Ask for it."""
        try:
            return Sampled(plain(self._device.ask(self._query)))
        except hal.DeviceError as error:
            return Sampled(None, str(error))


class ProbeColumn(Column):
    """What a callable returns. Whether it holds words is seen at the first point."""

    def __init__(self, probe: Probe) -> None:
        super().__init__(probe.name, probe.unit, None, words=False)
        self._probe = probe

    def sample(self, telemetry: Mapping[hal.Device, hal.Telemetry]) -> Sampled:  # noqa: ARG002 - it asks by itself
        """Call it."""
        found = self._probe.read()
        if isinstance(found, hal.Reading):
            self.unit = self.unit or found.unit
            return of_reading(found)
        value = plain(found)
        self.words = self.words or isinstance(value, str)
        return Sampled(value, "" if value is not None else "nothing was read")


AnyColumn: TypeAlias = ValueColumn | StateColumn | ProbeColumn


def columns_of(readable: object) -> list[AnyColumn]:
    """Return the variables that a caller wants to read.

    Raises:
        ConfigurationError: It is nothing that can be, or the device has no such value.
    """
    if isinstance(readable, hal.Device):
        return [ValueColumn(readable, path) for path in readable.value_paths()]
    if isinstance(readable, Probe):
        return [ProbeColumn(readable)]
    if isinstance(readable, tuple) and len(readable) == 2 and isinstance(readable[1], hal.Device):
        value, device = readable
        if isinstance(value, (str, Measured, Query)):
            path = value if isinstance(value, str) else value.name
            query = device.queries().get(path)
            return [ValueColumn(device, path) if query is None else StateColumn(device, query)]
    if callable(readable):
        return [ProbeColumn(Probe(name_of(readable, "Probe"), readable))]
    raise hal.ConfigurationError(
        f"{readable!r} cannot be read", remedy='Read ("qber", device), a device, a Probe or a function'
    )


def calibration_text(value: Measured[Any]) -> str:
    """Return what corrects a value as JSON text; empty if nothing does."""
    return "" if value.calibration is None else json.dumps(value.calibration.record(), ensure_ascii=False)


def telemetry_of(columns: Iterable[AnyColumn]) -> dict[hal.Device, hal.Telemetry]:
    """Ask each device that has a value among the columns once, for all of them.

    Raises:
        TransportError: A device could not be asked.
    """
    devices = dict.fromkeys(one.device for one in columns if isinstance(one, ValueColumn) and one.device is not None)
    return {device: device.telemetry() for device in devices}


def of_reading(reading: hal.Reading[Any]) -> Sampled:
    """Return the value of a reading, or none and the reason if it cannot be trusted."""
    if reading.quality is hal.Quality.BAD:
        return Sampled(None, f"bad: {reading.error}")
    if reading.quality is hal.Quality.STALE:
        return Sampled(None, f"stale: {reading.age_s:.6g} s old")
    uncertain = reading.quality is hal.Quality.UNCERTAIN
    return Sampled(plain(reading.value), "uncertain: its calibration has expired" if uncertain else "")


def plain(value: Any) -> float | str | None:
    """Return a value as a number or as text; None where there is none.

    Raises:
        ValueTypeError: It is neither.
    """
    if value is None or isinstance(value, str):
        return value
    try:
        number = float(value)
    except (TypeError, ValueError):
        return encode(value)
    return None if math.isnan(number) else number
