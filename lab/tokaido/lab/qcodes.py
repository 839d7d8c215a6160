"""QCoDeS instruments over Tokaido's devices: the extra `qcodes`. docs/how-to/qcodes.md."""

from __future__ import annotations

import re
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any, Final

try:
    from qcodes import validators  # pyright: ignore[reportMissingImports]
    from qcodes.instrument import (  # pyright: ignore[reportMissingImports]
        ChannelTuple,
        Instrument,
        InstrumentChannel,
    )
except ImportError as error:
    raise ImportError("tokaido.lab.qcodes needs QCoDeS: pip install 'tokaido[qcodes]'") from error

from tokaido.hal import Device, Quality, TokaidoError
from tokaido.hal.driver import Setting
from tokaido.lab._words import declared, key_of, label_of, plain, words_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from qcodes.instrument import InstrumentBase  # pyright: ignore[reportMissingImports]
    from qcodes.parameters import Parameter  # pyright: ignore[reportMissingImports]

    from tokaido.hal import Part, Reading, Telemetry
    from tokaido.hal.driver import Measured, Query, Valued

__all__ = ["DeviceInstrument", "OpenedInstrument"]

INDEXED: Final = re.compile(r"(\w+)\[(\d+)\]")


class DeviceInstrument(Instrument):
    """A QCoDeS instrument over a device that somebody opened, and who closes it too.

    Every declared value is a parameter with its label, its unit of measure and, if it can be set, its limits. States
    and flags that are asked by a call are parameters, too. Words (states, shutters) are text: `"OPEN"`. Parts are
    channels by their own path: `bob.detectors[0].bias`. Errors are those of `tokaido.hal`.

    A snapshot that updates asks the device once, as `Device.telemetry` does, and never value by value: a device that
    is gone costs one timeout. Values that could not be had keep what was known; `readings` says how good each is.

    Args:
        name: What QCoDeS calls it.
        device: The device, opened.
        options: As `qcodes.instrument.Instrument` takes them: `label`, `metadata`.
    """

    def __init__(self, name: str, device: Device, **options: Any) -> None:
        super().__init__(name, **options)
        self.device = device
        """The device: for what is not a value, such as `start` or `zero`."""
        self._by_path: dict[str, Parameter] = dict(_value_parameters(self, device, ""))
        self._by_query: dict[str, Parameter] = {
            told.name: _query_parameter(self, device, told) for told in device.queries().values() if told.command
        }
        self._add_parts(device.parts)
        self._readings: dict[str, dict[str, Any]] = {}
        self._error = ""

    def _add_parts(self, parts: Sequence[Part]) -> None:
        lists: dict[str, list[InstrumentChannel]] = {}
        for part in parts:
            indexed = INDEXED.fullmatch(part.path)
            channel = InstrumentChannel(self, key_of(part.path))
            self._by_path |= dict(_value_parameters(channel, part, f"{part.path}."))
            if indexed is None:
                self.add_submodule(channel.short_name, channel)
            else:
                lists.setdefault(indexed[1], []).append(channel)
        for name, channels in lists.items():
            self.add_submodule(name, ChannelTuple(self, name, InstrumentChannel, channels))

    def get_idn(self) -> dict[str, str | None]:
        """Ask the device who it is.

        Raises:
            TokaidoError: It cannot be asked.
        """
        found = self.device.identity()
        return {
            "vendor": found.vendor,
            "model": found.model,
            "serial": found.serial_number,
            "firmware": found.firmware,
        }

    def update(self) -> Telemetry:
        """Read every value, bulk first, and put each into its parameter's cache with the time it was measured.

        A value that the device cannot give makes its parameter's cache invalid.

        Raises:
            TransportError: The device could not be asked at all.
        """
        readings = self.device.telemetry()
        for path, reading in readings.items():
            self._keep(self._by_path[path], reading)
        self._readings = {path: _record(reading) for path, reading in readings.items()}
        return readings

    @staticmethod
    def _keep(parameter: Parameter, reading: Reading[Any]) -> None:
        if reading.quality is Quality.BAD:
            parameter.cache.invalidate()
            return
        value = plain(reading.value)
        measured = datetime.fromtimestamp(reading.utc_ns / 1e9)  # local and naive, as QCoDeS keeps it
        parameter.cache._update_with(value=value, raw_value=value, timestamp=measured)

    def snapshot_base(
        self, update: bool | None = False, params_to_skip_update: Sequence[str] | None = None
    ) -> dict[Any, Any]:
        """Return what is known, ready for JSON, with a record `readings` of how good it is.

        Args:
            update: Whether to ask the device first; None: if a value is not known yet.
            params_to_skip_update: As QCoDeS has it; all values come in one go, so that nothing is skipped.
        """
        if update or (update is None and not all(one.cache.valid for one in self._by_path.values())):
            self._error = self._updated()
        record: dict[Any, Any] = super().snapshot_base(update=False, params_to_skip_update=params_to_skip_update)
        record["readings"] = dict(self._readings)
        record["error"] = self._error
        return record

    def _updated(self) -> str:
        """Ask for everything, and return why something could not be had."""
        try:
            self.update()
            self.parameters["IDN"].get()
        except TokaidoError as error:
            return str(error)
        told: list[str] = []
        for name, parameter in self._by_query.items():
            try:
                parameter.get()
            except TokaidoError as error:
                told.append(f"{name}: {error}")
        return "; ".join(told)


class OpenedInstrument(DeviceInstrument):
    """A QCoDeS instrument that opens its device and closes it: what a station file of QCoDeS can name.

    Args:
        name: What QCoDeS calls it, and errors too.
        driver: Name in the registry, for example "keysight.attenuator".
        serial_number: If given, any other box is refused.
        timeout: Deadline of one exchange, and of connecting, in s.
        resources: By name, for example control="visa:TCPIP::192.0.2.7::hislip0::INSTR".

    Raises:
        ConfigurationError: No such driver, or resources that it does not take.
        TransportError: It could not be reached.
    """

    def __init__(
        self, name: str, driver: str, *, serial_number: str = "", timeout: float = 1.0, **resources: str
    ) -> None:
        opened: Callable[..., Device] = Device.open
        device = opened(driver, name=name, serial_number=serial_number, timeout=timeout, **resources)
        try:
            super().__init__(name, device)
        except BaseException:
            device.close()
            raise

    def close(self) -> None:
        """Disconnect; changes nothing in the device."""
        device: Device | None = getattr(self, "device", None)
        if device is not None:
            device.close()
        super().close()


# --- parameters -------------------------------------------------------------------------------------------------------


def _value_parameters(parent: InstrumentBase, owner: Valued, path: str) -> Iterator[tuple[str, Parameter]]:
    """Add a parameter for every value that the device or part has; give each with its path."""
    for name, value in owner.own_values().items():
        if value.unsupported:
            continue
        yield (
            path + name,
            parent.add_parameter(
                name,
                label=label_of(path + name),
                unit=value.unit,
                get_cmd=partial(_get, owner, value),
                set_cmd=partial(_set, owner, value) if isinstance(value, Setting) else False,
                vals=_validator(value),
                snapshot_get=False,
                **({} if value.calibration is None else {"metadata": {"calibration": value.calibration.record()}}),
            ),
        )


def _query_parameter(parent: InstrumentBase, device: Device, query: Query[Any]) -> Parameter:
    return parent.add_parameter(
        query.name,
        label=label_of(query.name),
        get_cmd=lambda: plain(device.ask(query)),
        set_cmd=False,
        snapshot_get=False,
    )


def _get(owner: Valued, value: Measured[Any]) -> Any:
    return plain(owner.read(value))


def _set(owner: Valued, value: Setting[Any], to: Any) -> None:
    owner.write(value, declared(value, to))


def _record(reading: Reading[Any]) -> dict[str, Any]:
    return {**reading.record(), "utc_ns": reading.utc_ns}


# --- limits -----------------------------------------------------------------------------------------------------------


class _Numbers(validators.Numbers):
    """The limits of a setting. The setting itself refuses a number outside them, in its words."""

    def __init__(self, setting: Setting[Any]) -> None:
        super().__init__(*(setting.range or ()))
        self._setting = setting

    def validate(self, value: Any, context: str = "") -> None:  # noqa: ARG002 - QCoDeS names the parameter by itself
        """Check a number.

        Raises:
            RangeError: It lies outside.
            ValueTypeError: It is of another type.
        """
        self._setting.check(value)


class _Ints(validators.Ints):
    """The same for whole numbers."""

    def __init__(self, setting: Setting[Any]) -> None:
        low_high = setting.range
        super().__init__(*(int(limit) for limit in low_high or ()))
        self._setting = setting

    def validate(self, value: Any, context: str = "") -> None:  # noqa: ARG002
        """Check a whole number, as `_Numbers` does."""
        self._setting.check(value)


def _validator(value: Measured[Any]) -> validators.Validator[Any] | None:
    """Return what QCoDeS is to check before it sets, or None for what cannot be set."""
    if not isinstance(value, Setting):
        return None
    if words := words_of(value.kind):
        return validators.Enum(*words)
    if value.kind is bool:
        return validators.Bool()
    return _Ints(value) if value.kind is int else _Numbers(value)
