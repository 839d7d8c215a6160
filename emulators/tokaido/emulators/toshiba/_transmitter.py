"""The transmitter T12-TX: its rating plate, its cooler and its intensity modulator (docs/protocols/toshiba.md 6.2)."""

from __future__ import annotations

from tokaido.emulators.toshiba._commands import COMMON, TRANSMITTER
from tokaido.emulators.toshiba._unit import ToshibaUnit
from tokaido.emulators.units import POWERED, Body, TransmitterUnit, UnitReading

COOLER_AMPERES_PER_DEGREE = 0.18


class TransmitterModel(ToshibaUnit, TransmitterUnit):
    """A Toshiba-style transmitter."""

    MODEL = "T12-TX"
    SERIAL_NUMBER = "TKTX0001"
    ROWS = COMMON + TRANSMITTER
    WARMUP_LIMIT_S = 300.0
    TEMPERATURE_LIMIT = 1.0
    RUNAWAY = 3.0
    CLOCK_RATE_HZ = 1e9
    LASER_POWER_DBM = -0.5
    LASER_POWER_LIMITS_DBM = (-6.0, 3.0)
    LASER_POWER_LOSS_DB = 11.5
    LASER_BIAS_MA = 48.0
    MAXIMUM_ATTENUATION_DB = 60.0
    SHOWN_BY_EMISSION = TransmitterUnit.SHOWN_BY_EMISSION | {"modulator_extinction"}

    def _build_laser(self) -> Body:
        return Body(25.0, 11.7, settled_within=0.1)

    def reading(self, name: str) -> UnitReading:
        """Return a reading of this unit; NO_DATA for what only an emitting laser shows."""
        match name:
            case "laser_cooler_current":
                if self.state not in POWERED or self.laser.stuck:
                    return UnitReading(0.0)
                drive = 0.12 - COOLER_AMPERES_PER_DEGREE * self.laser.deviation
                return UnitReading(self.noise.around(name, max(-1.0, min(1.0, drive)), 0.002, self.now_ns))
            case "modulator_extinction" if self.emitting:
                off_centre = self.settings["modulator_bias"] - 3.2
                return UnitReading(self.noise.around(name, max(31.0 - 4.0 * off_centre**2, 3.0), 0.1, self.now_ns))
            case _:
                return super().reading(name)
