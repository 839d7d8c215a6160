"""What a unit does when it is told to: the orders, settings and questions of docs/protocols/toshiba.md section 6."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from tokaido.emulators.toshiba._alarms import Latch
from tokaido.emulators.toshiba._commands import Choice, Query, Refusal
from tokaido.emulators.toshiba._instruments import Reading
from tokaido.emulators.toshiba._states import State, where

if TYPE_CHECKING:
    from tokaido.emulators.toshiba._commands import Order, Setting
    from tokaido.emulators.toshiba._unit import UnitModel

_AGED = re.compile(r"(-?[0-9][0-9.e+-]*)(?:@[0-9.]+)?")


class Orders:
    """The part of a unit that carries out commands. The unit owns the state; this owns what a command means."""

    def __init__(self, unit: UnitModel) -> None:
        self._unit = unit
        self._table = unit.table

    def carry_out(self, name: str, argument: str | None, *, person: bool) -> str:
        """Carry out one command and return its data.

        Checks go in the order of the page's error numbers: UNKNOWN, ARGUMENT, RANGE, STATE, REFUSED.

        Raises:
            Refusal: It was not carried out.
        """
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
            unit = getattr(self._table.settings[name], "unit", "")
            return f"{text} {unit}".strip() if person else text
        if name in self._table.orders:
            order, rest = self._table.order(name, argument)
            self._check_state(order)
            self._obey(order, rest)
            return ""
        raise Refusal("UNKNOWN", f"there is no command {name}")

    def telemetry(self) -> dict[str, float | str | None]:
        """Return what `TEL?` lists: numbers, texts, and None for what cannot be given."""
        values: dict[str, float | str | None] = {}
        for name, text in self._listed():
            number = _AGED.fullmatch(text)
            values[name] = None if text.startswith("!") else float(number[1]) if number and name != "SES" else text
        return values

    # --- asking -----------------------------------------------------------------------------------------------------

    def _ask(self, name: str) -> str:
        match name:
            case "IDN":
                return f"{self._unit.VENDOR},{self._unit.MODEL},{self._unit.serial_number},{self._unit.FIRMWARE},TQC1"
            case "STAT":
                return f"{self._unit.state},{self._unit.step}" if self._unit.step else str(self._unit.state)
            case "ALM":
                return self._unit.alarms.listing(self._unit.now_ns)
            case "TEL":
                return " ".join(f"{key}={text}" for key, text in self._listed())
            case "UPT":
                return f"{self._unit.now_ns / 1e9:.1f}"
            case "LSE":
                left_s = (
                    max(self._unit.lease_ends_ns - self._unit.now_ns, 0) / 1e9 if self._unit.settings["LSE"] else 0.0
                )
                return f"{self._unit.settings['LSE']:.10g},{round(left_s, 1):.10g}"
            case "KEYS":
                return f"{self._unit.store.waiting},{self._unit.store.committed}"
            case "SES":
                return self._unit.session_id or "-"
            case _:
                row = self._table.queries[name]
                digits = row.digits if isinstance(row, Query) else ".10g"
                return self._value(name).text(digits)

    def _value(self, name: str) -> Reading:
        if name in self._unit.settings:
            return Reading(self._unit.settings[name])
        return self._unit.reading(name)

    def _listed(self) -> list[tuple[str, str]]:
        listed: list[tuple[str, str]] = []
        for row in self._table.queries.values():
            if isinstance(row, Query) and not row.telemetry:
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
            return self._unit.alarms.listing(self._unit.now_ns).replace(";", "\n")
        return self._with_unit(name, self._ask(name))

    def _with_unit(self, name: str, text: str) -> str:
        value, _, age = text.partition("@")
        unit = "" if value.startswith("!") else getattr(self._table.queries[name], "unit", "")
        if name == "LSE":
            value = value.replace(",", " s, remaining ")
        return f"{value} {unit}".strip() + (f" ({age} s ago)" if age else "")

    # --- ordering ---------------------------------------------------------------------------------------------------

    def _check_state(self, order: Order) -> None:
        allowed = self._unit.state in order.states
        if order.text == "SEC ACK" and "QUARANTINE" in self._unit.alarms:
            allowed = True
        if not allowed:
            places = order.allowed or where(order.states)
            raise Refusal("STATE", f"{self._unit.state}: {order.text} is allowed in {places}")

    def _set(self, row: Setting | Choice, argument: str | None) -> str:
        if argument is None:
            raise Refusal("ARGUMENT", f"{row.name} takes {row.takes}")
        if isinstance(row, Choice):
            if argument not in row.words:
                raise Refusal("ARGUMENT", f"{row.name} takes {row.takes}")
            value: float | str = argument
        else:
            value = row.parse(argument)
        if self._unit.state not in row.states:
            raise Refusal("STATE", f"{self._unit.state}: {row.name} is allowed in {where(row.states)}")
        self._unit.put(row.name, value)
        return self._ask(row.name) if row.name != "LSE" else f"{value:.10g}"

    def _obey(self, order: Order, rest: str) -> None:
        match order.text:
            case "PWR ON":
                self._unit.enter(State.SELFTEST)
            case "PWR OFF":
                self._unit.enter(State.OFF)
            case "KEY START":
                if self._unit.aligned:
                    self._unit.enter(State.RUN)
                else:
                    self._unit.begin_alignment(State.REALIGN, State.RUN)
            case "KEY STOP":
                self._stop()
            case "ALN START":
                self._unit.begin_alignment(State.REALIGN, State.STANDBY)
            case "SAFE":
                self._unit.go_safe()
            case "FLT CLR":
                self._clear_faults()
            case "SEC ACK":
                self._acknowledge()
            case "SEC ZEROIZE":
                self._zeroize(rest)
            case _:
                raise Refusal("INTERNAL", f"{order.text} is not built in")

    def _stop(self) -> None:
        realigning = self._unit.state is State.REALIGN
        self._unit.enter(State.STANDBY)
        if realigning:
            self._unit.make_safe()

    def _clear_faults(self) -> None:
        codes = self._unit.alarms.latched(Latch.FAULT)
        self._refuse_while_causes_last(codes)
        for code in codes:
            self._unit.alarms.clear(code)
        self._unit.enter(State.SELFTEST)

    def _acknowledge(self) -> None:
        codes = self._unit.alarms.latched(Latch.SECURITY)
        self._refuse_while_causes_last(codes)
        for code in codes:
            self._unit.alarms.clear(code)
        self._unit.store.release_locked()
        if self._unit.state is State.SECURITY_HOLD:
            self._unit.enter_checked(State.AUTH if self._unit.warmed else State.WARMUP)

    def _refuse_while_causes_last(self, codes: list[str]) -> None:
        lasting = [code for code in codes if self._unit.cause_lasts(code)]
        if lasting:
            raise Refusal("REFUSED", f"the cause of {', '.join(lasting)} lasts")

    def _zeroize(self, serial_number: str) -> None:
        if serial_number != self._unit.serial_number:
            raise Refusal("REFUSED", "that is the serial number of another unit")
        self._unit.enter(State.ZEROIZE)
        self._unit.store.erase()
        self._unit.blocks.forget_psk()
