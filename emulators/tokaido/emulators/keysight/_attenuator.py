"""One attenuator of the N77xx series: a filter that moves, a shutter, and a monitor of the power behind them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, ClassVar, Final

from tokaido.emulators.scpi import Dialect, Parameters, ScpiError, ScpiModel, command
from tokaido.hal import ConfigurationError
from tokaido.hal.units_of_measure import to_watts

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tokaido.emulators._light import Band
    from tokaido.emulators._secrets import Secrets

MOST_DB: Final = 40.0
MOST_OFFSET_DB: Final = 200.0
WAVELENGTHS_M: Final = (1260e-9, 1640e-9)
DEFAULT_WAVELENGTH_M: Final = 1550e-9
SPEEDS: Final = (0.1, 1000.0)
INSERTION_LOSS_DB: Final = 1.2
METRES: Final = {"PM": 1e-12, "NM": 1e-9, "UM": 1e-6, "MM": 1e-3, "M": 1.0, "": 1.0}
DECIBELS: Final = {"MDB": 1e-3, "DB": 1.0, "": 1.0}
_VALUE: Final = re.compile(r"([+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:E[+-]?[0-9]{1,3})?)\s*([A-Z]*)", re.IGNORECASE)
MODELS: Final = re.compile(r"N77\d\d[A-Z]")


class AttenuatorModel(ScpiModel):
    """An N7761A-style attenuator: 0 to 40 dB on top of its insertion loss, in a filter that moves at 1000 dB/s at most.

    On a bench light enters by `in` and leaves by `out`, or the other way; both bands lose alike. The monitor stands at
    `out` and sees the light that enters by `in`.

    Args:
        serial_number: The third field of `*IDN?`.
        seed: It has nothing that is random.
        secrets: It has none.
        vendor: The first field of `*IDN?`.
        model: The second field of `*IDN?`.
        blocked: Whether the shutter is closed when the box comes up.
        power_unit: What it tells powers in when it comes up, DBM or WATT.
        dark_power_dbm: What the monitor says in the dark, in dBm.

    Raises:
        ConfigurationError: There is no such model or unit.
    """

    SERIAL_NUMBER: ClassVar[str] = "MY00000001"
    FAULTS = ("stuck",)  # the filter and the shutter do not move, and the box says so
    dialect = Dialect(error_format='{code:+d},"{text}"', queue_size=30)
    wire_ends = ("tcp", "hislip", "visa")
    optical_ports = ("in", "out")
    insertion_loss_db = INSERTION_LOSS_DB

    def __init__(
        self,
        serial_number: str | None = None,
        *,
        seed: int = 0,
        secrets: Secrets = "os",
        vendor: str = "Keysight Technologies",
        model: str = "N7761A",
        blocked: bool = False,
        power_unit: str = "DBM",
        dark_power_dbm: float = -80.0,
    ) -> None:
        if not MODELS.fullmatch(model) or power_unit not in ("DBM", "WATT"):
            raise ConfigurationError(
                f"there is no {model!r} that tells powers in {power_unit!r}",
                remedy="Choose a model such as N7761A; DBM or WATT",
            )
        self.vendor = vendor
        self.model = model
        self.dark_power_dbm = dark_power_dbm
        self.lit_dbm: float | None = None
        """Power of the light at `in`, in dBm; None in the dark."""
        self._blocked_first = blocked
        self._in_watts_first = power_unit == "WATT"
        super().__init__(serial_number, seed=seed, secrets=secrets)

    def reset(self) -> None:
        """Take nothing away, without an offset; the shutter stands as when the box came up."""
        self.offset_db = 0.0
        self.wavelength_m = DEFAULT_WAVELENGTH_M
        self.speed_db_s = SPEEDS[1]
        self.blocked = self._blocked_first
        self._in_watts = self._in_watts_first
        self._from_db = self._to_db = 0.0
        self._left_ns = self.now_ns

    def identity(self) -> str:
        """Return vendor, model, serial number, firmware."""
        return f"{self.vendor},{self.model},{self.serial_number},1.070"

    # --- light --------------------------------------------------------------------------------------------------------

    @property
    def filter_db(self) -> float:
        """What the filter takes away now, in dB."""
        gone_db = (self.now_ns - self._left_ns) * 1e-9 * self.speed_db_s
        way_db = self._to_db - self._from_db
        return self._to_db if gone_db >= abs(way_db) else self._from_db + (gone_db if way_db > 0 else -gone_db)

    def through(self, port: str, band: Band) -> tuple[str, float] | None:
        """Return the other port and what the way costs; None while the shutter is closed."""
        del band
        if self.blocked:
            return None
        return "out" if port == "in" else "in", self.insertion_loss_db + self.filter_db

    def note_light(self, powers_dbm: Mapping[str, float]) -> None:
        """Remember the power at the input."""
        self.lit_dbm = powers_dbm.get("in")

    @property
    def output_dbm(self) -> float | None:
        """Power at the output in dBm; None in the dark."""
        way = self.through("in", "clock")
        return None if way is None or self.lit_dbm is None else self.lit_dbm - way[1]

    # --- commands -----------------------------------------------------------------------------------------------------

    @command("INPut#:ATTenuation", 1)
    def _set_attenuation(self, p: Parameters) -> None:
        wanted_db = self._value(p, DECIBELS, 0.0, MOST_DB, self.offset_db)
        self._ensure_loose()
        self._from_db, self._to_db, self._left_ns = self.filter_db, round(wanted_db - self.offset_db, 3), self.now_ns
        self.begin_operation(round(abs(self._to_db - self._from_db) / self.speed_db_s * 1e9))

    @command("INPut#:ATTenuation?")
    def _ask_attenuation(self, p: Parameters) -> str:
        p.suffix(0, 1, 2)
        return _written(self._to_db + self.offset_db)

    @command("INPut#:OFFSet", 1)
    def _set_offset(self, p: Parameters) -> None:
        self.offset_db = self._value(p, DECIBELS, -MOST_OFFSET_DB, MOST_OFFSET_DB)

    @command("INPut#:OFFSet?")
    def _ask_offset(self, p: Parameters) -> str:
        p.suffix(0, 1, 2)
        return _written(self.offset_db)

    @command("INPut#:WAVelength", 1)
    def _set_wavelength(self, p: Parameters) -> None:
        self.wavelength_m = self._value(p, METRES, *WAVELENGTHS_M)

    @command("INPut#:WAVelength?")
    def _ask_wavelength(self, p: Parameters) -> str:
        p.suffix(0, 1, 2)
        mantissa, exponent = f"{self.wavelength_m:+.8E}".split("E")
        return f"{mantissa}E{int(exponent):+04d}"

    @command("INPut#:ATTenuation:SPEed", 1)
    def _set_speed(self, p: Parameters) -> None:
        speed_db_s = self._value(p, {"": 1.0}, *SPEEDS)
        self._from_db, self._left_ns = self.filter_db, self.now_ns
        self.speed_db_s = speed_db_s

    @command("INPut#:ATTenuation:SPEed?")
    def _ask_speed(self, p: Parameters) -> str:
        p.suffix(0, 1, 2)
        return _written(self.speed_db_s)

    @command("OUTPut#[:STATe]", 1)
    def _set_shutter(self, p: Parameters) -> None:
        p.suffix(0, 1, 2)
        opened = p.on(0)
        self._ensure_loose()
        self.blocked = not opened

    @command("OUTPut#[:STATe]?")
    def _ask_shutter(self, p: Parameters) -> str:
        p.suffix(0, 1, 2)
        return "0" if self.blocked else "1"

    @command("OUTPut#:POWer:UNit", 1)
    def _set_unit(self, p: Parameters) -> None:
        p.suffix(0, 1, 2)
        self._in_watts = p.choice(0, "0", "1", "DBM", "WATT") in ("1", "WATT")

    @command("OUTPut#:POWer:UNit?")
    def _ask_unit(self, p: Parameters) -> str:
        p.suffix(0, 1, 2)
        return f"{int(self._in_watts):+d}"

    @command("READ#[:SCALar]:POWer[:DC]?")
    def _ask_power(self, p: Parameters) -> str:
        p.suffix(0, 1, 2)
        power_dbm = self.output_dbm
        if self._in_watts:
            return f"{0.0 if power_dbm is None else to_watts(power_dbm):+.8E}"
        return f"{self.dark_power_dbm if power_dbm is None else max(power_dbm, self.dark_power_dbm):+.8E}"

    def _value(self, p: Parameters, units: Mapping[str, float], low: float, high: float, shift: float = 0.0) -> float:
        """Return a number with or without a unit behind it, within the range, which is shifted by `shift`."""
        p.suffix(0, 1, 2)
        found = _VALUE.fullmatch(p.texts[0])
        if found is None or found[2].upper() not in units:
            raise ScpiError(-104, p.texts[0][:40])
        value = float(found[1]) * units[found[2].upper()]
        if not low - 1e-12 <= value - shift <= high + 1e-12:
            raise ScpiError(-222, p.texts[0][:40])
        return value

    def _ensure_loose(self) -> None:
        if "stuck" in self.provoked:
            raise ScpiError(-240, "filter motor")


def _written(value: float) -> str:
    return f"{value:.8g}"
