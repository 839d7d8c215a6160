"""The transmitter TB-TX8: one laser a sub-channel, on a common plate (docs/protocols/nec.md section 4.2)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from tokaido.emulators.nec._commands import COMMON, TRANSMITTER
from tokaido.emulators.nec._unit import NecUnit, of_channel
from tokaido.emulators.units import Body, TransmitterUnit, UnitReading, no_data

if TYPE_CHECKING:
    from tokaido.emulators.nec._commands import Command

LASER_LIMITS_DBM: Final = (-6.0, 3.0)
"""What the monitor of one laser may show while it emits."""


class TransmitterModel(NecUnit, TransmitterUnit):
    """An NEC-style transmitter.

    Args:
        serial_number: 4 to 24 of `A-Z0-9-`.
        sub_channels: How many sub-channels it has, 1 to 8.
        options: `seed` and `secrets`; see `UnitModel`.
    """

    SERIAL_NUMBER = "TKNT0001"
    MODEL = "TB-TX8"
    WARMUP_LIMIT_S = 300.0
    TEMPERATURE_LIMIT = 1.0
    RUNAWAY = 3.0
    CLOCK_RATE_HZ = 1.25e9
    LASER_POWER_DBM = -0.5
    LASER_POWER_LIMITS_DBM = (-6.0, 13.0)
    LASER_POWER_LOSS_DB = 11.5
    LASER_BIAS_MA = 52.0
    MAXIMUM_ATTENUATION_DB = 60.0

    def _rows(self) -> tuple[Command, ...]:
        return COMMON + TRANSMITTER

    def _model(self) -> str:
        return f"TB-TX{self.channels}"

    def _build_laser(self) -> Body:
        return Body(25.0, 8.3, settled_within=0.1)  # the plate: 30 s from a room of 23 degC

    def _emits(self, channel: int) -> bool:
        return self.emitting and channel in self.channels_on

    def _power_of(self, channel: int) -> float:
        """Return the power of one laser in dBm."""
        power = self.LASER_POWER_DBM + self._laser_excess_db(channel)
        return self.noise.around(of_channel(channel, "laser_power"), power, 0.01, self.now_ns)

    def _laser_power(self) -> float:
        """Return the sum of all lasers that are on, in dBm."""
        milliwatts = math.fsum(10 ** (self._power_of(c) / 10) for c in self.channels_on)
        return 10 * math.log10(milliwatts)

    def _watch_light(self) -> None:
        low, high = LASER_LIMITS_DBM
        if self.emitting and any(not low <= self._power_of(c) <= high for c in self.channels_on):
            self.raise_alarm("LASER_POWER")
        if self.channels_on:
            super()._watch_light()

    def reading(self, name: str) -> UnitReading:
        """Return a reading of this unit; NO_DATA for what only an emitting laser shows."""
        if name in self.SHOWN_BY_EMISSION and not self.channels_on:
            raise no_data("no sub-channel is on")
        return super().reading(name)

    def _channel_reading(self, name: str, channel: int, what: str) -> UnitReading:
        match what:
            case "laser_power":
                if not self._emits(channel):
                    raise no_data("the laser does not emit")
                return UnitReading(self._power_of(channel))
            case "laser_bias_current":
                emits = self._emits(channel)
                return UnitReading(self.noise.around(name, self.LASER_BIAS_MA, 0.05, self.now_ns) if emits else 0.0)
            case "laser_temperature":
                return UnitReading(self.noise.around(name, self.laser.temperature, 0.002, self.now_ns))
            case _:
                return super()._channel_reading(name, channel, what)
