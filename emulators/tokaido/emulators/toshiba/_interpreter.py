"""What a command of the console means: the orders, settings and questions of docs/protocols/toshiba.md section 6."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from tokaido.emulators.toshiba._commands import KEEP, Choice, LeaseRow, LinkChoice, QueryRow
from tokaido.emulators.units import Refusal, UnitReading

if TYPE_CHECKING:
    from tokaido.emulators.toshiba._commands import CommandTable, SettingRow
    from tokaido.emulators.units import UnitModel

_AGED = re.compile(r"(-?[0-9][0-9.e+-]*)(?:@[0-9.]+)?")


class Interpreter:
    """Carries out the commands of a table at a unit.

    Args:
        unit: The unit, which owns state, settings and readings.
        table: Its commands.
    """

    def __init__(self, unit: UnitModel, table: CommandTable) -> None:
        self._unit = unit
        self._table = table

    def carry_out(self, name: str, argument: str | None, *, person: bool) -> str:
        """Carry out one command and return its data.

        Checks go in the order of the page's error numbers: UNKNOWN, ARGUMENT, RANGE, STATE, REFUSED.

        Raises:
            Refusal: It was not carried out.
        """
        if person and argument is not None and name != "LNK":  # whose paths have capitals and small letters
            argument = argument.upper()
        if name == "HELP" and person:
            return "\n".join(self._table.help(argument or "")) or f"no command begins with {argument}"
        if name.endswith("?"):
            key = name[:-1]
            if key not in self._table.queries:
                raise Refusal("UNKNOWN", f"there is no command {name}")
            if argument is not None:
                raise Refusal("ARGUMENT", f"{name} takes nothing")
            return self._ask_for_person(key) if person else self._ask(key)
        if name in self._table.settings:
            text = self._set(self._table.settings[name], argument)
            return self._with_unit(name, text) if person else text
        if name == KEEP.name:
            self._unit.keep_watchdog(KEEP.parse(argument))
            return ""
        if name in self._table.orders:
            order, rest = self._table.order(name, argument)
            self._unit.orders.obey(order.order, called=order.text, serial_number=rest)
            return ""
        raise Refusal("UNKNOWN", f"there is no command {name}")

    def telemetry(self) -> dict[str, float | str | None]:
        """Return what `TEL?` lists: numbers, texts, and None for what cannot be given."""
        values: dict[str, float | str | None] = {}
        for name, text in self._listed():
            number = _AGED.fullmatch(text)
            values[name] = (
                None
                if text.startswith("!")
                else float(number[1])
                if number and name != "SES"
                else text.partition("@")[0]
            )
        return values

    def telemetry_ages(self) -> dict[str, float]:
        """Return how old the values of `TEL?` are in s, where it says so."""
        split = ((name, text.partition("@")[2]) for name, text in self._listed())
        return {name: float(age) for name, age in split if age}

    # --- asking -----------------------------------------------------------------------------------------------------

    def _ask(self, name: str) -> str:
        unit = self._unit
        match name:
            case "IDN":
                return f"{unit.VENDOR},{unit.MODEL},{unit.serial_number},{unit.FIRMWARE},TQC1"
            case "STAT":
                return f"{unit.state},{unit.step}" if unit.step else str(unit.state)
            case "ALM":
                return self._alarms()
            case "TEL":
                return " ".join(f"{key}={text}" for key, text in self._listed())
            case "LSE":
                lease = unit.watchdog
                return f"{lease.seconds:.10g},{round(unit.watchdog_left_s, 1):.10g},{lease.holder or '-'}"
            case "LNK":
                return f"{unit.links.in_force.peer},{unit.links.in_force.path},{unit.links.fencing_token}"
            case "LNK:LIST":
                return ";".join(f"{link.peer},{link.path},{bits}" for link, bits in unit.links.remaining().items())
            case "KEYS":
                return f"{unit.store.waiting},{unit.store.committed}"
            case _:
                row = self._table.queries[name]
                return _text(unit.value(row.quantity), row.digits if isinstance(row, QueryRow) else ".10g")

    def _alarms(self) -> str:
        """Return the number of the last alarm line, then code, severity, age in s and latch of every active alarm."""
        rows = [f"{self._unit.alarms.seq & 0xFFFFFF:06X}"]
        for alarm in self._unit.alarms.active():
            age_s = (self._unit.now_ns - alarm.since_ns) / 1e9
            rows.append(f"{alarm.kind.code},{alarm.kind.severity},{age_s:.1f},{int(alarm.latched)}")
        return ";".join(rows)

    def _listed(self) -> list[tuple[str, str]]:
        listed: list[tuple[str, str]] = []
        for row in self._table.queries.values():
            if isinstance(row, LinkChoice) or (isinstance(row, QueryRow) and not row.telemetry):
                continue
            try:
                listed.append((row.name, self._ask(row.name)))
            except Refusal as refusal:
                listed.append((row.name, f"!{refusal.name}"))
        return listed

    def _ask_for_person(self, name: str) -> str:
        if name == "TEL":
            return "\n".join(f"{key:<12} {self._with_unit(key, text)}" for key, text in self._listed())
        if name == "ALM":
            return self._alarms().replace(";", "\n")
        return self._with_unit(name, self._ask(name))

    def _with_unit(self, name: str, text: str) -> str:
        value, _, age = text.partition("@")
        unit = "" if value.startswith("!") else getattr(self._table.queries[name], "unit", "")
        if name == "LSE":
            return "{} s, remaining {} s, holder {}".format(*value.split(","))
        return f"{value} {unit}".strip() + (f" ({age} s ago)" if age else "")

    # --- ordering ---------------------------------------------------------------------------------------------------

    def _set(self, row: SettingRow | Choice | LinkChoice, argument: str | None) -> str:
        if argument is None:
            raise Refusal("ARGUMENT", f"{row.name} takes {row.takes}")
        if isinstance(row, LinkChoice):
            link, fencing_token = row.parse(argument)
            self._unit.orders.select_link(link, fencing_token, called=row.name)
            return self._ask(row.name)
        if isinstance(row, LeaseRow):
            self._unit.set_watchdog(*row.lease(argument))
            return self._ask(row.name)
        value: float | str = argument
        if not isinstance(row, Choice):
            value = row.parse(argument)
        elif argument not in row.words:
            raise Refusal("ARGUMENT", f"{row.name} takes {row.takes}")
        self._unit.orders.set(row.quantity, value, called=row.name)
        return self._ask(row.name)


def _text(reading: UnitReading, digits: str) -> str:
    """Return a reading in the form of the page: `0.0312`, `0.0312@12.5`, `OPEN`."""
    shown = reading.value if isinstance(reading.value, str) else format(reading.value, digits)
    if isinstance(reading.value, float) and float(shown) == 0:  # no "-0.0"
        shown = shown.removeprefix("-")
    return shown if reading.age_s is None else f"{shown}@{reading.age_s:.1f}"
