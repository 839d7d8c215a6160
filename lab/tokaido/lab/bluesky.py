"""Devices as Bluesky's plans take them: readable, movable, triggerable. docs/how-to/bluesky.md.

Bluesky's protocols are met, not imported: what runs a plan brings Bluesky, by the extra `bluesky`.
"""

from __future__ import annotations

import math
import threading
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, Final, Self

from tokaido.hal import SYSTEM_CLOCK, Clock, ConfigurationError, Device, Quality, Reading, TokaidoError
from tokaido.hal.driver import Measured, Setting
from tokaido.lab._words import declared, key_of, plain, words_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from bluesky.protocols import Hints, Location
    from bluesky.protocols import Reading as Given
    from event_model.documents.event_descriptor import DataKey, Dtype, Limits, LimitsRange

    from tokaido.hal.driver import Query

__all__ = ["DeviceReader", "DeviceStatus", "MovableValue"]

DTYPES: Final[Mapping[type, Dtype]] = {float: "number", int: "integer", bool: "boolean"}
EARLIER: Final = "earlier"
"""Of a reading: right, and measured before it was asked for."""
QUALITIES: Final = (Quality.GOOD.value, EARLIER, Quality.UNCERTAIN.value, Quality.STALE.value, Quality.BAD.value)
SEVERITIES: Final[Mapping[str, int]] = dict(zip(QUALITIES, (0, 0, 1, 1, -1), strict=True))
"""As Bluesky counts them: below 0 where there is no value."""


class DeviceStatus:
    """What became of something that takes time: a `bluesky.protocols.Status`.

    It fails with the error of `tokaido.hal`, which the plan sees as the cause of Bluesky's `FailedStatus`.
    """

    def __init__(self, work: Callable[[], object], name: str) -> None:
        self._future: Future[None] = Future()
        self._work = work
        self._name = name

    @classmethod
    def begin(cls, work: Callable[[], object], name: str) -> Self:
        """Do some work in a thread of its own, and return what becomes of it."""
        status = cls(work, name)
        threading.Thread(target=status._run, name=name, daemon=True).start()
        return status

    def _run(self) -> None:
        try:
            self._work()
        except BaseException as error:  # noqa: BLE001 - all of them are for the waiting plan
            self._future.set_exception(error)
        else:
            self._future.set_result(None)

    def add_callback(self, callback: Callable[[Any], None]) -> None:
        """Have a function called with this status when it is done; at once if it is."""
        self._future.add_done_callback(lambda _: callback(self))

    def exception(self, timeout: float | None = 0.0) -> BaseException | None:
        """Return why it failed, or None if it did not.

        Raises:
            TimeoutError: It is not done within `timeout` s; None waits as long as it takes.
        """
        return self._future.exception(timeout)

    @property
    def done(self) -> bool:
        """Whether it has ended, well or not."""
        return self._future.done()

    @property
    def success(self) -> bool:
        """Whether it has ended well."""
        return self._future.done() and self._future.exception() is None

    def __repr__(self) -> str:
        return f"<{self._name}: {'done' if self.success else 'failed' if self.done else 'not done'}>"


class DeviceReader:
    """What a device measures, read at every event: readable, triggerable and configurable.

    Every value has two columns: `NAME_VALUE`, with the time at which it was measured, and `NAME_VALUE_quality`:

    - "good": measured for this event;
    - "earlier": right, and measured before: a figure of the last block, a dark count of the last alignment, a reading
      that a device server shared;
    - "uncertain": corrected by a calibration that has expired;
    - "stale": older than the value's declaration allows;
    - "bad": there is no value. A number is NaN then, anything else None.

    The settings are the configuration, which Bluesky asks for once a run.

    Args:
        device: The device, opened.
        values: Paths of the values to read, such as "power", "detectors[0].count_rate" or "state"; default: all that
            are measured.
        name: What columns begin with; default: the device's own name.
        clock: Where time comes from.

    Raises:
        ConfigurationError: The device has no such value.
    """

    parent = None

    def __init__(
        self, device: Device, values: Iterable[str] = (), *, name: str = "", clock: Clock = SYSTEM_CLOCK
    ) -> None:
        self.device = device
        self.name = name or key_of(device.name)
        """What columns begin with."""
        asked = device.queries()
        every = {path: device.find(path)[1] for path in device.value_paths()}
        self._read: dict[str, Measured[Any] | Query[Any]] = {
            path: asked[path] if path in asked else device.find(path)[1] for path in values
        } or {path: value for path, value in every.items() if not isinstance(value, Setting)}
        self._settings = {
            path: value for path, value in every.items() if path not in self._read and isinstance(value, Setting)
        }
        self._clock = clock
        self._taken: tuple[dict[str, Reading[Any]], float] | None = None

    def trigger(self) -> DeviceStatus:
        """Have the device read, bulk first; `read` gives what came. The status fails if it could not be asked."""
        self._taken = None
        return DeviceStatus.begin(self._take, f"trigger {self.name}")

    def _take(self) -> None:
        self._taken = self._asked()

    def _asked(self) -> tuple[dict[str, Reading[Any]], float]:
        """Return all readings, and how long they took, in s."""
        start_ns = self._clock.monotonic_ns()
        readings: dict[str, Reading[Any]] = dict(self.device.telemetry())
        took_s = (self._clock.monotonic_ns() - start_ns) / 1e9
        for name, value in self._read.items():
            if not isinstance(value, Measured):
                told = self.device.ask(value)
                readings[name] = Reading(told, "", self._clock.utc_ns(), 0.0, Quality.GOOD)
        return readings, took_s

    def read(self) -> dict[str, Given[Any]]:
        """Return what the last trigger brought, each time once; without one, ask now.

        Raises:
            TransportError: The device could not be asked.
        """
        taken, self._taken = self._taken, None
        readings, took_s = taken or self._asked()
        found: dict[str, Given[Any]] = {}
        for path, value in self._read.items():
            key, reading = self._key(path), readings[path]
            quality = _quality(reading, took_s)
            found[key] = _given(value, reading, quality)
            found[f"{key}_quality"] = {"value": quality, "timestamp": reading.utc_ns / 1e9}
        return found

    def describe(self) -> dict[str, DataKey]:
        """Return kind, unit of measure, limits and source of every column."""
        found: dict[str, DataKey] = {}
        for path, value in self._read.items():
            key = self._key(path)
            found[key] = _data_key(self.device, path, value)
            found[f"{key}_quality"] = {
                "source": found[key]["source"],
                "dtype": "string",
                "shape": [],
                "choices": list(QUALITIES),
            }
        return found

    def read_configuration(self) -> dict[str, Given[Any]]:
        """Ask for the settings, once a run.

        Raises:
            TransportError: The device could not be asked.
        """
        readings, took_s = self._asked()
        return {
            self._key(path): _given(value, readings[path], _quality(readings[path], took_s))
            for path, value in self._settings.items()
        }

    def describe_configuration(self) -> dict[str, DataKey]:
        """Return kind, unit of measure, limits and source of the settings."""
        return {self._key(path): _data_key(self.device, path, value) for path, value in self._settings.items()}

    @property
    def hints(self) -> Hints:
        """Which columns a person wants to see: the numbers."""
        return {"fields": [self._key(path) for path, value in self._read.items() if value.kind in (int, float)]}

    def _key(self, path: str) -> str:
        return f"{self.name}_{key_of(path)}"

    def __repr__(self) -> str:
        return f"<DeviceReader {self.name} of {self.device!r}>"


class MovableValue:
    """One setting as something that moves: movable, locatable, readable and checkable.

    Args:
        device: The device, opened.
        path: Which setting, such as "attenuation" or "detectors[0].bias".
        name: What its column is called; default: device and path.
        settle_s: How long what follows it takes after it was set, in s: light that falls, a meter that averages.
        clock: Where time comes from.

    Raises:
        ConfigurationError: The device has no such value, or it cannot be set.
    """

    parent = None

    def __init__(
        self, device: Device, path: str, *, name: str = "", settle_s: float = 0.0, clock: Clock = SYSTEM_CLOCK
    ) -> None:
        self.device = device
        self.path = path
        self.name = name or f"{key_of(device.name)}_{key_of(path)}"
        """What its column is called."""
        self._owner, value = device.find(path)
        if not isinstance(value, Setting):
            raise ConfigurationError(f"{path} of {device.name} cannot be set", remedy="Read it, by a DeviceReader")
        self._setting: Setting[Any] = value
        self._settle_s = settle_s
        self._clock = clock
        self._asked_for: Any = None

    def set(self, value: Any) -> DeviceStatus:
        """Set it, read it back and let it settle. The status fails with the error of `tokaido.hal`."""
        self._asked_for = plain(value)
        return DeviceStatus.begin(lambda: self._move(value), f"set {self.name}")

    def _move(self, value: Any) -> None:
        self._owner.write(self._setting, declared(self._setting, value))
        if self._settle_s > 0:
            self._clock.wait(self._settle_s)

    def check_value(self, value: Any) -> None:
        """Make sure that a plan moves it within its limits, before anything runs.

        Raises:
            RangeError: It lies outside.
            ValueTypeError: It is of another type.
        """
        self._setting.check(declared(self._setting, value))

    def read(self) -> dict[str, Given[Any]]:
        """Ask for it.

        Raises:
            TokaidoError: There is no value, or the device could not be asked.
        """
        return {self.name: _given(self._setting, self._reading(), Quality.GOOD.value)}

    def _reading(self) -> Reading[Any]:
        reading: Reading[Any] = self.device.telemetry()[self.path]
        if reading.quality is Quality.BAD:
            self._owner.read(self._setting)  # in the words of the error itself
            raise TokaidoError(f"{self.path}: {reading.error}", device=self.device.name)
        return reading

    def describe(self) -> dict[str, DataKey]:
        """Return its kind, unit of measure, limits and source."""
        return {self.name: _data_key(self.device, self.path, self._setting)}

    def locate(self) -> Location[Any]:
        """Return where it was told to be, and where it is.

        Raises:
            TokaidoError: The device could not be asked.
        """
        found = plain(self._reading().value)
        return {"setpoint": found if self._asked_for is None else self._asked_for, "readback": found}

    @property
    def hints(self) -> Hints:
        """Which columns a person wants to see: this one."""
        return {"fields": [self.name]}

    def __repr__(self) -> str:
        return f"<MovableValue {self.name} of {self.device!r}>"


# --- what documents hold ----------------------------------------------------------------------------------------------


def _quality(reading: Reading[Any], took_s: float) -> str:
    earlier = reading.quality is Quality.GOOD and reading.age_s > took_s
    return EARLIER if earlier else reading.quality.value


def _given(value: Measured[Any] | Query[Any], reading: Reading[Any], quality: str) -> Given[Any]:
    nothing = math.nan if value.kind in (int, float) else None
    given: Given[Any] = {
        "value": nothing if reading.value is None else plain(reading.value),
        "timestamp": reading.utc_ns / 1e9,
        "alarm_severity": SEVERITIES[quality],
    }
    if reading.error:
        given["message"] = reading.error
    return given


def _data_key(device: Device, path: str, value: Measured[Any] | Query[Any]) -> DataKey:
    key: DataKey = {"source": f"tokaido:{device.name}#{path}", "dtype": DTYPES.get(value.kind, "string"), "shape": []}
    if words := words_of(value.kind):
        key["choices"] = words
    if isinstance(value, Measured):
        key["units"] = value.unit
        if limits := _limits(value):
            key["limits"] = limits
        if value.calibration is not None:
            key["source"] += f" (calibrated: {value.calibration})"
    return key


def _limits(value: Measured[Any]) -> Limits:
    limits: Limits = {}
    if value.range is not None:
        limits["control"] = _range(value.range)
    if value.operational is not None:
        limits["warning"] = _range(value.operational)
    if value.absolute is not None:
        limits["alarm"] = _range(value.absolute)
    return limits


def _range(pair: tuple[float, float]) -> LimitsRange:
    return {"low": pair[0], "high": pair[1]}
