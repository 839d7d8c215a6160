"""What both Toshiba-style units have in common: vendor, alignment, console and key channel."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from tokaido.emulators.toshiba._commands import Command, CommandTable, LeaseRow, SettingRow
from tokaido.emulators.toshiba._console import Console
from tokaido.emulators.toshiba._envelope import ConsoleEnvelope
from tokaido.emulators.toshiba._interpreter import Interpreter
from tokaido.emulators.toshiba._keyformat import ToshibaKeyFormat
from tokaido.emulators.units import UnitModel

if TYPE_CHECKING:
    from collections.abc import Mapping


class ToshibaUnit(UnitModel):
    """The rating plate that both units share, and their two ports."""

    VENDOR = "TOSHIBA-STYLE"
    FIRMWARE = "1.0.0"
    PULSES = "t12"
    KEY_FORMAT = ToshibaKeyFormat()
    envelope = ConsoleEnvelope
    ALIGNMENT: ClassVar[Mapping[str, float]] = {
        "BIAS": 4.0,
        "POL": 8.0,
        "SYNC": 6.0,
        "DELAY": 8.0,
        "PHASE": 8.0,
        "GATES": 6.0,
    }
    ROWS: ClassVar[tuple[Command, ...]]
    """The commands of this unit."""

    interpreter: Interpreter

    def _delivery(self) -> dict[str, float]:
        settings = [row for row in self.ROWS if isinstance(row, SettingRow) and not isinstance(row, LeaseRow)]
        return {row.quantity: row.delivery for row in settings}

    def _build_control(self) -> Console:
        self.interpreter = Interpreter(self, CommandTable(self.ROWS))
        return Console(self)

    def carry_out(self, name: str, argument: str | None, *, person: bool) -> str:
        """Carry out one command of the console and return its data; raises `Refusal`."""
        return self.interpreter.carry_out(name, argument, person=person)

    def telemetry(self) -> dict[str, float | str | None]:
        """Return what `TEL?` lists: numbers, texts, and None for what cannot be given."""
        return self.interpreter.telemetry()

    def telemetry_ages(self) -> dict[str, float]:
        """Return how old the values of `TEL?` are in s, where it says so."""
        return self.interpreter.telemetry_ages()
