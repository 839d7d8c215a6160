"""A power meter of the PM100 family with a photodiode sensor: docs/protocols/thorlabs-pm100.md."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, ClassVar, Final

from tokaido.emulators.scpi import Dialect, Parameters, ScpiError, ScpiModel, command
from tokaido.hal import ConfigurationError
from tokaido.hal.units_of_measure import to_dbm, to_watts

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tokaido.emulators._light import Band
    from tokaido.emulators._secrets import Secrets

WAVELENGTHS_NM: Final = (800.0, 1700.0)
MOST_SAMPLES: Final = 3000
RANGES_W: Final = (5.5e-9, 5.5e-8, 5.5e-7, 5.5e-6, 5.5e-5, 5.5e-4, 5.5e-3)
"""Upper ends of the ranges."""
ZERO_NS: Final = 400_000_000
"""How long a zero adjustment takes, in ns."""
BEYOND: Final = "9.900000E+37"
MODELS: Final = re.compile(r"PM[0-9]{3}[A-Z0-9-]*")
_NANOMETRES: Final = re.compile(r"\s*NM$", re.IGNORECASE)


class PowerMeterModel(ScpiModel):
    """A PM100D-style meter with an InGaAs sensor of 800 to 1700 nm. Light ends in it, at port `in`.

    It reads all light that enters, of either band, plus what its sensor tells in the dark. Responsivity does not
    depend on the wavelength that is set: the bench has no wavelengths.

    Args:
        serial_number: The third field of `*IDN?`.
        seed: It has nothing that is random.
        secrets: It has none.
        model: The second field of `*IDN?`.
        dark_w: What the sensor tells in the dark, in W; an adjustment of zero takes it away.
        power_unit: What it tells powers in when it comes up, W or DBM.

    Raises:
        ConfigurationError: There is no such model or unit.
    """

    SERIAL_NUMBER: ClassVar[str] = "P0000001"
    FAULTS = ("no_sensor",)  # the sensor is unplugged: no power, and no setting of the sensor
    dialect = Dialect(error_format='{code},"{text}"')
    wire_ends = ("visa", "tcp", "pty", "emu")
    optical_ports = ("in",)

    def __init__(
        self,
        serial_number: str | None = None,
        *,
        seed: int = 0,
        secrets: Secrets = "os",
        model: str = "PM100D",
        dark_w: float = -2.0e-11,
        power_unit: str = "W",
    ) -> None:
        if not MODELS.fullmatch(model) or power_unit not in ("W", "DBM"):
            raise ConfigurationError(
                f"there is no {model!r} that tells powers in {power_unit!r}",
                remedy="Choose a model such as PM100D; W or DBM",
            )
        self.model = model
        self.dark_w = dark_w
        self.lit_w = 0.0
        """Power of the light that enters, in W."""
        self._unit_first = power_unit
        self._zero_w = 0.0
        self._zeroing = False
        super().__init__(serial_number, seed=seed, secrets=secrets)

    def reset(self) -> None:
        """Choose the range by itself, one sample a reading, for 1550 nm."""
        self.wavelength_nm = 1550.0
        self.samples = 1
        self.auto_range = True
        self.unit = self._unit_first
        self._range_w = RANGES_W[-1]

    def identity(self) -> str:
        """Return vendor, model, serial number, firmware."""
        return f"Thorlabs,{self.model},{self.serial_number},2.7.0"

    # --- light ------------------------------------------------------------------------------------------------------

    def through(self, port: str, band: Band) -> tuple[str, float] | None:
        """Return None: light ends in the sensor."""
        del port, band
        return None

    def note_light(self, powers_dbm: Mapping[str, float]) -> None:
        """Remember the power that enters."""
        self.lit_w = to_watts(powers_dbm["in"]) if "in" in powers_dbm else 0.0

    @property
    def reading_w(self) -> float:
        """What it reads now, in W."""
        return self.lit_w + self.dark_w - self._zero_w

    @property
    def range_w(self) -> float:
        """Upper end of the range in force, in W."""
        return (
            next((end for end in RANGES_W if end >= self.reading_w), RANGES_W[-1]) if self.auto_range else self._range_w
        )

    def operation_complete(self) -> None:
        """Take what the sensor told meanwhile for zero."""
        if self._zeroing:
            self._zeroing = False
            self._zero_w = self.lit_w + self.dark_w

    # --- commands ---------------------------------------------------------------------------------------------------

    @command("MEASure[:SCALar][:POWer]?")
    def _ask_power(self, _: Parameters) -> str:
        self._ensure_sensor()
        power_w = self.reading_w
        if power_w > self.range_w:
            return BEYOND
        if self.unit == "W":
            return f"{power_w:.6E}"
        return f"{to_dbm(power_w):.6E}" if power_w > 0 else "-9.900000E+37"

    @command("SENSe:POWer[:DC]:UNIT", 1)
    def _set_unit(self, p: Parameters) -> None:
        self.unit = p.choice(0, "W", "DBM")

    @command("SENSe:POWer[:DC]:UNIT?")
    def _ask_unit(self, _: Parameters) -> str:
        return self.unit

    @command("SENSe:CORRection:WAVelength", 1)
    def _set_wavelength(self, p: Parameters) -> None:
        self._ensure_sensor()
        number = Parameters((_NANOMETRES.sub("", p.texts[0]),))
        self.wavelength_nm = number.number(0, *WAVELENGTHS_NM)

    @command("SENSe:CORRection:WAVelength?")
    def _ask_wavelength(self, _: Parameters) -> str:
        return f"{self.wavelength_nm:.6E}"

    @command("SENSe:AVERage[:COUNt]", 1)
    def _set_samples(self, p: Parameters) -> None:
        self.samples = p.whole(0, 1, MOST_SAMPLES)

    @command("SENSe:AVERage[:COUNt]?")
    def _ask_samples(self, _: Parameters) -> str:
        return str(self.samples)

    @command("SENSe:POWer[:DC]:RANGe:AUTO", 1)
    def _set_auto(self, p: Parameters) -> None:
        held_w = self.range_w
        self.auto_range = p.on(0)
        self._range_w = held_w

    @command("SENSe:POWer[:DC]:RANGe:AUTO?")
    def _ask_auto(self, _: Parameters) -> str:
        return str(int(self.auto_range))

    @command("SENSe:POWer[:DC]:RANGe[:UPPer]", 1)
    def _set_range(self, p: Parameters) -> None:
        self._ensure_sensor()
        wanted_w = p.number(0, 0.0, RANGES_W[-1])
        self.auto_range = False
        self._range_w = next(end for end in RANGES_W if end >= wanted_w)

    @command("SENSe:POWer[:DC]:RANGe[:UPPer]?")
    def _ask_range(self, _: Parameters) -> str:
        return f"{self.range_w:.6E}"

    @command("SENSe:CORRection:COLLect:ZERO[:INITiate]")
    def _begin_zero(self, _: Parameters) -> None:
        self._ensure_sensor()
        self._zeroing = True
        self.begin_operation(ZERO_NS)

    @command("SENSe:CORRection:COLLect:ZERO:STATe?")
    def _ask_zero_state(self, _: Parameters) -> str:
        return str(int(self._zeroing))

    @command("SENSe:CORRection:COLLect:ZERO:ABORt")
    def _abort_zero(self, _: Parameters) -> None:
        self._zeroing = False

    @command("SENSe:CORRection:COLLect:ZERO:MAGNitude?")
    def _ask_zero(self, _: Parameters) -> str:
        return f"{self._zero_w:.6E}"

    @command("SYSTem:SENSor:IDN?")
    def _ask_sensor(self, _: Parameters) -> str:
        gone = "no_sensor" in self.provoked
        return '"no sensor","","",0,0,0' if gone else '"S154C","110000001","01-Jan-2024",1,2,33'

    def _ensure_sensor(self) -> None:
        if "no_sensor" in self.provoked:
            raise ScpiError(-240, "no sensor")
