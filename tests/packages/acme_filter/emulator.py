"""The Acme TF-1 as its manual describes it, with the light that goes through it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tokaido.emulators import Parameters, ScpiError, ScpiModel, command

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tokaido.emulators.bench import Band

SETTLING_NS = 5_000_000
DARK_DBM = -80.0
LIGHT_NM = 1550.0
"""Wavelength of the light on this bench, of either band."""


class FilterModel(ScpiModel):
    """A filter of 1530 to 1565 nm that costs 3 dB at 1 nm from its centre; its motor takes 5 ms.

    Args:
        serial_number: The third field of `*IDN?`.
        blocked: Whether the shutter is closed when the box comes up.
        options: `seed` and `secrets`, which every model takes.
    """

    SERIAL_NUMBER = "F0001"
    FAULTS = ("stuck",)
    wire_ends = ("tcp", "visa", "emu")
    optical_ports = ("in", "out")
    insertion_loss_db = 0.8
    lit_dbm: float | None = None
    """Power of the light at the input; None in the dark."""

    def __init__(self, serial_number: str | None = None, *, blocked: bool = False, **options: Any) -> None:
        self._blocked_first = blocked
        super().__init__(serial_number, **options)

    def reset(self) -> None:
        """Let the light of this bench through; the shutter stands as when the box came up."""
        self.centre_nm = LIGHT_NM
        self.blocked = self._blocked_first

    def identity(self) -> str:
        """Return who it is."""
        return f"ACME,TF-1,{self.serial_number},1.0"

    # --- light --------------------------------------------------------------------------------------------------------

    def through(self, port: str, band: Band) -> tuple[str, float] | None:
        """Return the other port, and what the way costs; both bands are treated alike."""
        del band
        if self.blocked:
            return None
        detuned_db = 3.0 * (self.centre_nm - LIGHT_NM) ** 2
        return "out" if port == "in" else "in", self.insertion_loss_db + detuned_db

    def note_light(self, powers_dbm: Mapping[str, float]) -> None:
        """Remember the power at the input, for the monitor at the output."""
        self.lit_dbm = powers_dbm.get("in")

    # --- commands -----------------------------------------------------------------------------------------------------

    @command("INPut:WAVelength", 1)
    def _set_centre(self, p: Parameters) -> None:
        centre_nm = round(p.number(0, 1530.0, 1565.0), 2)
        if "stuck" in self.provoked:
            raise ScpiError(-240, "motor")
        self.centre_nm = centre_nm
        self.begin_operation(SETTLING_NS)

    @command("INPut:WAVelength?")
    def _ask_centre(self, _: Parameters) -> str:
        return f"{self.centre_nm:.2f}"

    @command("OUTPut[:STATe]", 1)
    def _set_output(self, p: Parameters) -> None:
        self.blocked = p.choice(0, "0", "1") == "0"

    @command("OUTPut[:STATe]?")
    def _ask_output(self, _: Parameters) -> str:
        return "0" if self.blocked else "1"

    @command("READ:POWer?")
    def _ask_power(self, _: Parameters) -> str:
        way = self.through("in", "clock")
        power_dbm = DARK_DBM if way is None or self.lit_dbm is None else self.lit_dbm - way[1]
        return f"{max(power_dbm, DARK_DBM):.2f}"
