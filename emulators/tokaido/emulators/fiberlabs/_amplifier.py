"""An optical fibre amplifier with one pump: docs/protocols/fiberlabs.md."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, ClassVar, Final, Literal

from tokaido.emulators._line_model import LineModel
from tokaido.hal import ConfigurationError
from tokaido.hal.units_of_measure import to_dbm, to_watts

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tokaido.emulators._light import Band
    from tokaido.emulators._secrets import Secrets

MOST_MA: Final = 1000.0
POWERS_DBM: Final = (-10.0, 20.0)
DB_PER_MA: Final = 0.035
"""Small-signal gain that a mA of pump current gives, in dB."""
W_PER_MA: Final = 1.2e-4
"""Most light that a mA of pump current gives, in W."""
NOISE_DBM: Final = -30.0
"""Amplified spontaneous emission at 0 dB of gain, in dBm."""
DARK_DBM: Final = -60.0
LOST_DBM: Final = -30.0
"""Below it the input counts as lost."""
NUMBER: Final = re.compile(r"[+-]?[0-9]{1,6}(\.[0-9]{1,6})?")
OUTPUT, PUMP, INPUT = 1, 2, 4


class AmplifierModel(LineModel):
    """A desktop amplifier. On a bench classical light goes from `in` to `out`, stronger; pulses end in it.

    Args:
        serial_number: The third field of `*IDN?`.
        seed: It has nothing that is random.
        secrets: It has none.
        model: The second field of `*IDN?`.
        line_end: What ends lines on both ways, cr or lf.
        blanks: Whether a blank follows each comma of an answer.

    Raises:
        ConfigurationError: There is no such line end.
    """

    SERIAL_NUMBER: ClassVar[str] = "000001"
    FAULTS = ("pump_failed",)  # no current flows, whatever is set
    BAUD_RATE = 9600
    COMMAND_END = b"\r"
    REPLY_END = b"\r"
    optical_ports = ("in", "out")

    def __init__(
        self,
        serial_number: str | None = None,
        *,
        seed: int = 0,  # noqa: ARG002 - every model takes it
        secrets: Secrets = "os",  # noqa: ARG002 - every model takes it
        model: str = "AMP-FL8013",
        line_end: Literal["cr", "lf"] = "cr",
        blanks: bool = False,
    ) -> None:
        if line_end not in ("cr", "lf"):
            raise ConfigurationError(f"no amplifier ends its lines with {line_end!r}", remedy="Choose cr or lf")
        super().__init__(serial_number)
        if line_end == "lf":
            self.COMMAND_END = self.REPLY_END = b"\n"  # type: ignore[misc]
        self.model = model
        self.blanks = blanks
        self.active = False
        self.holds_power = True
        self.target_dbm = 10.0
        self.target_ma = 100.0
        self.lit_dbm: float | None = None
        """Power of the light that enters, in dBm; None in the dark."""

    # --- light ------------------------------------------------------------------------------------------------------

    def through(self, port: str, band: Band) -> tuple[str, float] | None:
        """Return the output and the loss, which is below 0; None for pulses, for light from behind, and while off."""
        if port != "in" or band != "clock" or self.lit_dbm is None or self.current_ma <= 0:
            return None
        return "out", self.lit_dbm - self._amplified_dbm(self.current_ma)

    def note_light(self, powers_dbm: Mapping[str, float]) -> None:
        """Remember the power that enters."""
        self.lit_dbm = powers_dbm.get("in")

    @property
    def current_ma(self) -> float:
        """Current of the pump now, in mA."""
        if not self.active or "pump_failed" in self.provoked:
            return 0.0
        if not self.holds_power:
            return self.target_ma
        if self.lit_dbm is None:
            return MOST_MA
        gain_ma = (self.target_dbm - self.lit_dbm) / DB_PER_MA
        return min(max(gain_ma, to_watts(self.target_dbm) / W_PER_MA, 1.0), MOST_MA)

    def _amplified_dbm(self, current_ma: float) -> float:
        """Return the power of the light at the output."""
        lit_dbm = DARK_DBM if self.lit_dbm is None else self.lit_dbm
        if self.holds_power and current_ma < MOST_MA:
            return self.target_dbm
        return min(lit_dbm + DB_PER_MA * current_ma, to_dbm(W_PER_MA * current_ma))

    @property
    def output_dbm(self) -> float:
        """What the monitor at the output sees, noise included, in dBm."""
        current_ma = self.current_ma
        if current_ma <= 0:
            return DARK_DBM
        if self.lit_dbm is None:
            return min(NOISE_DBM + DB_PER_MA * current_ma, to_dbm(W_PER_MA * current_ma))
        return self._amplified_dbm(current_ma)

    @property
    def alarms(self) -> int:
        """The alarms that stand, as a sum."""
        found = INPUT if self.lit_dbm is None or self.lit_dbm < LOST_DBM else 0
        if self.active:
            found |= OUTPUT if self.holds_power and self.output_dbm < self.target_dbm - 1 else 0
            found |= PUMP if self.current_ma >= MOST_MA else 0
        return found

    # --- commands ---------------------------------------------------------------------------------------------------

    def _answer(self, line: str) -> str:
        word, *arguments = (part.strip() for part in line.upper().split(","))
        reply = self._carry_out(word, arguments)
        return reply.replace(",", ", ") if self.blanks and word != "*IDN?" else reply

    def _carry_out(self, word: str, arguments: list[str]) -> str:
        match word, arguments:
            case "*IDN?", []:
                return f"FiberLabs,{self.model},{self.serial_number},4.0"
            case "ACTIVE", []:
                return f"ACTIVE,{int(self.active)}"
            case "ACTIVE", [("0" | "1") as on]:
                self.active = on == "1"
                return f"ACTIVE,{on}"
            case "MONOUT", []:
                return f"{self.output_dbm:.2f},N/A,N/A,N/A"
            case "MONIN", []:
                return f"{DARK_DBM if self.lit_dbm is None else self.lit_dbm:.2f},N/A,N/A,N/A"
            case "MONLDC", ["1"]:
                return f"{self.current_ma:.1f}"
            case "ALMSTAT", []:
                return f"ALMSTAT,{self.alarms:02X}"
            case (("SETMOD" | "SETALC" | "SETACC"), ["1", *value]) if len(value) < 2:
                return self._set(word, *value)
            case (("SETMOD" | "SETALC" | "SETACC" | "MONLDC"), [("2" | "3" | "4"), *_]):
                return "??NODTCT"
            case (("ACTIVE" | "MONOUT" | "MONIN" | "MONLDC" | "ALMSTAT" | "SETMOD" | "SETALC" | "SETACC"), _):
                return "??ARG"
        return "??CMD"

    def _set(self, word: str, value: str = "") -> str:
        """Set a value if there is one, and return what is in force."""
        number = float(value) if NUMBER.fullmatch(value) else math.nan
        if value and not self._put(word, number):
            return "??ARG"
        told = {
            "SETMOD": f"{int(not self.holds_power)}",
            "SETALC": f"{self.target_dbm:.1f}",
            "SETACC": f"{self.target_ma:.0f}",
        }
        return f"{word},1,{told[word]}"

    def _put(self, word: str, number: float) -> bool:
        """Put a value into force and return whether there is such a value."""
        match word:
            case "SETMOD" if number in (0, 1):
                holds_power = number == 0
                self.active = self.active and holds_power is self.holds_power
                self.holds_power = holds_power
            case "SETALC" if POWERS_DBM[0] <= number <= POWERS_DBM[1]:
                self.target_dbm = round(number, 1)
            case "SETACC" if 0 <= number <= MOST_MA:
                self.target_ma = float(round(number))
            case _:
                return False
        return True
