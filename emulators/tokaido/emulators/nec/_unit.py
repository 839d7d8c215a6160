"""What both NEC-style units have in common: vendor, alignment, sub-channels, control panel and key channel."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Final

from tokaido.emulators.nec._commands import command_table
from tokaido.emulators.nec._envelope import SealEnvelope
from tokaido.emulators.nec._keyformat import NecKeyFormat
from tokaido.emulators.nec._panel import Panel
from tokaido.emulators.units import UnitModel, UnitReading
from tokaido.hal import ConfigurationError

if TYPE_CHECKING:
    from tokaido.emulators.nec._commands import Command
    from tokaido.emulators.units import AlarmChange, ControlPort

MAX_CHANNELS: Final = 8
ON_AT_DELIVERY: Final = 2
"""So many sub-channels, from the first, are switched on when a unit is delivered."""
FIRST_WAVELENGTH_NM: Final = 1546.92
WAVELENGTH_STEP_NM: Final = 0.80
MAX_CONNECTIONS: Final = 1024
"""Connections of the key channel whose last number is remembered; the oldest are forgotten."""


def of_channel(index: int, what: str) -> str:
    """Return the neutral name of a setting or reading of one sub-channel: `sub_channels[0].enabled`."""
    return f"sub_channels[{index}].{what}"


class NecUnit(UnitModel):
    """The rating plate that both units share, their sub-channels, and their two ports.

    Args:
        serial_number: 4 to 24 of `A-Z0-9-`.
        sub_channels: How many sub-channels the unit has, 1 to 8.
        options: See `UnitModel`.

    Raises:
        ConfigurationError: There is no such unit.
    """

    VENDOR = "NEC-STYLE"
    FIRMWARE = "1.0.0"
    PULSES = "time-bin"
    KEY_FORMAT = NecKeyFormat()
    envelope = SealEnvelope
    ALIGNMENT = {"BIAS": 4.0, "SYNC": 6.0, "DELAY": 8.0, "PHASE": 12.0}  # noqa: RUF012
    wire_ends = ("tcp", "hislip", "visa")
    plain_control = True  # as VISA's network protocols are; the page says what that asks of the network

    panel: Panel
    """What speaks at the control port."""

    def __init__(
        self, serial_number: str | None = None, *, sub_channels: int = MAX_CHANNELS, **options: object
    ) -> None:
        if type(sub_channels) is not int or not 1 <= sub_channels <= MAX_CHANNELS:
            raise ConfigurationError(f"there is no unit of {sub_channels!r} sub-channels", remedy="Give 1 to 8")
        self.channels = sub_channels
        self._switches = tuple(of_channel(c, "enabled") for c in range(sub_channels))
        self.table = command_table(self._rows(), sub_channels)
        """Its commands."""
        self._last_number: dict[bytes, int] = {}
        super().__init__(serial_number, **options)  # type: ignore[arg-type]

    @abstractmethod
    def _rows(self) -> tuple[Command, ...]:
        """Return the commands of this unit."""

    @abstractmethod
    def _model(self) -> str:
        """Return the name of the model, such as `TB-TX8`."""

    def identity(self) -> dict[str, str]:
        """Vendor, model, serial number and firmware."""
        return {**super().identity(), "model": self._model()}

    def _delivery(self) -> dict[str, float]:
        on = {switch: float(c < ON_AT_DELIVERY) for c, switch in enumerate(self._switches)}
        return {**self.table.delivery(), **on}

    def _build_control(self) -> ControlPort:
        self.panel = Panel(self, self.table)
        return _Control(self, self.panel)

    # --- sub-channels -----------------------------------------------------------------------------------------------

    @property
    def channels_on(self) -> tuple[int, ...]:
        """The sub-channels that are switched on, from 0."""
        return tuple(c for c, switch in enumerate(self._switches) if self.settings[switch])

    def put(self, name: str, value: float | str) -> None:
        """Put a setting into force; ON and OFF are those of a sub-channel."""
        super().put(name, {"ON": 1.0, "OFF": 0.0}.get(value, value) if isinstance(value, str) else value)

    def value(self, name: str) -> UnitReading:
        """Return a setting or a reading by its neutral name; see `UnitModel.value`."""
        if name.endswith("].enabled") and name in self.settings:
            return UnitReading("ON" if self.settings[name] else "OFF")
        return super().value(name)

    def reading(self, name: str) -> UnitReading:
        """Return a reading that both units have."""
        if name == "state":
            return UnitReading(str(self.state))
        if name.startswith("sub_channels["):
            number, _, what = name.removeprefix("sub_channels[").partition("].")
            return self._channel_reading(name, int(number), what)
        return super().reading(name)

    def _channel_reading(self, name: str, channel: int, what: str) -> UnitReading:
        if what == "wavelength":
            return UnitReading(FIRST_WAVELENGTH_NM + WAVELENGTH_STEP_NM * channel)
        raise KeyError(name)

    # --- the control port -------------------------------------------------------------------------------------------

    def status_byte(self, *, message_available: bool) -> int:
        """Return the status byte with the master summary status in bit 6."""
        return self.panel.status_byte(message_available=message_available)

    def clear_device(self) -> None:
        """Forget input and output of the control port."""
        self.panel.clear_device()

    def query_error(self, code: int) -> None:
        """Take note that a reply was not read, or that there was none to read."""
        self.panel.query_error(code)

    def _tick(self) -> None:
        super()._tick()
        self.panel.follow()

    # --- the key channel --------------------------------------------------------------------------------------------

    def telemetry(self) -> dict[str, float | str | None]:
        """Return what `FETCh:ALL?` lists: numbers, words, and None for what cannot be given."""
        values: dict[str, float | str | None] = {}
        for name, text, _ in self.panel.everything():
            values[name] = None if text is None else (float(text) if text[-1].isdigit() else text.strip('"'))
        return values

    def telemetry_ages(self) -> dict[str, float]:
        """Return how old the values of `FETCh:ALL?` are in s, but for those of this moment."""
        return {name: float(age) for name, _, age in self.panel.everything() if age and float(age)}

    def receive_message(self, peer: bytes, client_key: str, frames: list[bytes]) -> None:
        """Take one message at the key channel; one whose number does not rise on its connection is dropped."""
        found = self.KEY_FORMAT.request_id(frames)
        last = self._last_number.pop(peer, 0)
        self._last_number[peer] = max(last, int(found or b"0"))
        while len(self._last_number) > MAX_CONNECTIONS:
            del self._last_number[next(iter(self._last_number))]
        if self._last_number[peer] > last:
            super().receive_message(peer, client_key, frames)


class _Control:
    """The panel as a unit sees it: bytes in, bytes out, alarms told."""

    def __init__(self, unit: NecUnit, panel: Panel) -> None:
        self._unit = unit
        self._panel = panel

    def receive(self, data: bytes) -> None:
        """Take bytes that arrive."""
        self._panel.receive("control", data)
        self._unit.service_request_enable = self._panel.service_request_enable

    def take(self) -> bytes:
        """Return, once, what is to be sent."""
        return self._panel.take("control")

    @property
    def has_output(self) -> bool:
        """Whether there is something to send."""
        return self._panel.has_output("control")

    def tell_alarm(self, change: AlarmChange) -> None:
        """Take a change of an alarm."""
        self._panel.tell_alarm(change)
