"""The control port of an NEC-style unit: a SCPI instrument that asks and orders its unit (docs/protocols/nec.md)."""

from __future__ import annotations

import re
from collections import deque
from typing import TYPE_CHECKING, ClassVar, Final, Protocol

from tokaido.emulators.nec._commands import (
    Choice,
    KeepRow,
    LeaseRow,
    LinkSelectionRow,
    Order,
    QueryRow,
    SettingRow,
    word_of,
)
from tokaido.emulators.nec._seal import MAX_REPLY, SealedMessages
from tokaido.emulators.nec._texts import NO_VALUE, number, quoted, reading_text, text_of
from tokaido.emulators.scpi import Dialect, Parameters, ScpiError, ScpiModel, command
from tokaido.emulators.units import MAX_FENCING_TOKEN, Latch, Refusal, State, parse_holder, parse_link

if TYPE_CHECKING:
    from collections.abc import Callable

    from tokaido.emulators.nec._commands import CommandTable, Found
    from tokaido.emulators.units import (
        AlarmBook,
        AlarmChange,
        KeyStore,
        Orders,
        UnitLink,
        UnitLinks,
        UnitReading,
        Watchdog,
    )

KEPT_CHANGES: Final = 64
"""Changes of alarms that the log keeps."""
MAX_INPUT: Final = 4096
_WHOLE: Final = SettingRow("", "", 0, MAX_FENCING_TOKEN, 0, integer=True)
"""Any number that a fencing token or a count of alarms may be."""
_NOBODY: Final = "-"
"""What a unit calls the peer and the path of the link with any unit; on this page they are empty."""
_REFUSED: Final = {
    "STATE": (130, "Not in this state"),
    "REFUSED": (132, "Refused"),
    "RANGE": (-222, None),
    "NO_DATA": (-230, None),
    "INTERNAL": (-240, None),
}
_QUESTIONABLE: Final = {
    "LASER_POWER": 3,
    "LOS": 3,
    "LASER_TEMP": 4,
    "DET_TEMP": 4,
    "CHASSIS_TEMP": 4,
    "SYNC_LOSS": 5,
}
_CRITICAL: Final = 9
_OTHER: Final = 10
_FOREIGN = re.compile(r"[^ -~]")


class PanelUnit(Protocol):
    """What the control port asks and orders of the unit behind it."""

    serial_number: str
    settings: dict[str, float]
    store: KeyStore
    alarms: AlarmBook
    links: UnitLinks
    orders: Orders

    @property
    def now_ns(self) -> int:
        """Time in ns."""
        ...

    @property
    def state(self) -> State:
        """State of the unit."""
        ...

    @property
    def step(self) -> str:
        """Step of the alignment, or an empty text."""
        ...

    @property
    def running(self) -> bool:
        """Whether the unit exchanges keys."""
        ...

    @property
    def session_id(self) -> str | None:
        """Session id, if there is a session."""
        ...

    watchdog: Watchdog

    @property
    def watchdog_left_s(self) -> float:
        """What is left of the watchdog in s; 0 when there is none."""
        ...

    def identity(self) -> dict[str, str]:
        """Vendor, model, serial number and firmware."""
        ...

    def value(self, name: str) -> UnitReading:
        """Return a setting or a reading by its neutral name; may raise `Refusal`."""
        ...

    def go_safe(self) -> None:
        """Go to the safe state."""
        ...

    def set_watchdog(self, seconds: float, holder: str) -> None:
        """Begin the watchdog for a holder, or end it; may raise `Refusal`."""
        ...

    def keep_watchdog(self, holder: str) -> None:
        """Begin the watchdog again for its holder; may raise `Refusal`."""
        ...


class Panel(ScpiModel):
    """Speaks NQC1 for a unit. It keeps the status registers and the alarm log, and owns nothing of the unit.

    Args:
        unit: The unit.
        table: Its commands.
    """

    dialect = Dialect(stop_after_command_error=True)
    max_input: ClassVar[int] = MAX_INPUT

    def __init__(self, unit: PanelUnit, table: CommandTable) -> None:
        self._unit: PanelUnit | None = None
        self._shown: tuple[object, ...] = ()
        super().__init__(unit.serial_number)
        self._unit = unit
        self._table = table
        self._log: deque[AlarmChange] = deque(maxlen=KEPT_CHANGES)
        self._seals = SealedMessages(self, unit.serial_number)
        self._answers: dict[str, Callable[[], str]] = {
            "UNIT:STATe": self._state,
            "UNIT:LEASe": self._watchdog,
            "LINK:LIST": self._links,
            "KEY:COUNt": self._count,
            "KEY:SESSion": self._session,
            "STATus:ALARm": self._alarms,
            "FETCh:ALL": self._everything,
        }

    @property
    def unit(self) -> PanelUnit:
        """The unit."""
        if self._unit is None:
            raise RuntimeError("the panel has no unit yet")
        return self._unit

    # --- ControlPort ------------------------------------------------------------------------------------------------

    def tell_alarm(self, change: AlarmChange) -> None:
        """Note a change of an alarm in the log, and in the status."""
        self._log.append(change)
        self.follow()

    def follow(self) -> None:
        """Bring the condition registers up to the unit's state; bits that rise are latched."""
        unit = self.unit
        kinds = [alarm.kind for alarm in unit.alarms.active()]
        shown = unit.state, unit.running, unit.session_id is not None, unit.store.waiting > 0, kinds
        if shown == self._shown:
            return
        self._shown = shown
        operation, questionable = self.status.operation, self.status.questionable
        operation.set(0, on=unit.state in (State.ALIGN, State.REALIGN))
        operation.set(1, on=unit.state is State.WARMUP)
        operation.set(4, on=unit.running)
        operation.set(8, on=unit.session_id is not None)
        operation.set(9, on=unit.store.waiting > 0)
        bits: set[int] = set()
        for kind in kinds:
            bits.add(_QUESTIONABLE.get(kind.code, _CRITICAL if kind.severity == "CRITICAL" else _OTHER))
            if kind.severity == "CRITICAL":
                bits.add(_CRITICAL)
        for bit in (3, 4, 5, _CRITICAL, _OTHER):
            questionable.set(bit, on=bit in bits)

    # --- ScpiModel --------------------------------------------------------------------------------------------------

    @property
    def now_ns(self) -> int:
        """Time of the unit in ns."""
        return self.unit.now_ns

    def reset(self) -> None:
        """Take the safe state and change nothing else; coming up changes nothing at all."""
        if self._unit is not None:
            self._unit.go_safe()

    def identity(self) -> str:
        """Return vendor, model, serial number, firmware."""
        return ",".join(self.unit.identity()[name] for name in ("vendor", "model", "serial_number", "firmware"))

    def self_test(self) -> int:
        """Return 1 while a fault is latched."""
        return int(bool(self.unit.alarms.latched(Latch.FAULT)))

    def status_byte(self, *, message_available: bool) -> int:
        """Return the status byte of this moment."""
        self.follow()
        return super().status_byte(message_available=message_available)

    def takes_whole(self, message: str) -> bool:
        """Take a sealed message, or one with a sign that does not belong here."""
        self.follow()
        if self._seals.take(message):
            return True
        if _FOREIGN.search(message):
            self.error(-101)
            return True
        return False

    def send_reply(self, reply: str) -> None:
        """Send a reply; one that is too long is an error -430 instead."""
        if len(reply) > MAX_REPLY:
            self.error(-430)
        else:
            super().send_reply(reply)

    def _note(self, error: ScpiError) -> None:
        self.status.add_error(error.code, error.message.replace('"', "'"))

    @command("SEAL?", 0, MAX_INPUT)
    def _misplaced(self, _: Parameters) -> str:
        raise ScpiError(-102, "SEAL? begins a message")

    # --- the unit's commands ----------------------------------------------------------------------------------------

    def _invoke(self, header: str, arguments: tuple[str, ...]) -> str | None:
        found = self._table.find(header)
        if found is None:
            if header.upper().endswith(":SEAL?"):  # by path memory
                return self._misplaced(Parameters(arguments))
            return super()._invoke(header, arguments)
        try:
            if found.asks:
                return self._ask(found, arguments)
            self._order(found, arguments)
        except Refusal as refusal:
            code, text = _REFUSED[refusal.name]
            raise ScpiError(code, refusal.text, text=text) from None
        finally:
            self.follow()
        return None

    def _ask(self, found: Found, arguments: tuple[str, ...]) -> str:
        row = found.rows[0]
        least, most = row.arguments if isinstance(row, QueryRow) else (0, int(isinstance(row, SettingRow)))
        if len(arguments) > most:
            raise ScpiError(-108, f"{found.called}?")
        if len(arguments) < least:
            raise ScpiError(-109, f"{found.called}?")
        if arguments and isinstance(row, SettingRow):
            limit = row.limit(arguments[0])
            if limit is None:
                raise ScpiError(-108, f"{found.called}?")
            return number(limit, row.digits)
        if row.header == "STATus:ALARm:LOG":
            return self._alarm_log(arguments[0])
        if row.header in self._answers:
            return self._answers[row.header]()
        if isinstance(row, LinkSelectionRow):
            return self._link()
        if isinstance(row, Order | KeepRow):
            raise ScpiError(-113, f"{found.called}?")
        return reading_text(self._value(row), row.digits)

    def _value(self, row: QueryRow | SettingRow | Choice) -> UnitReading:
        return self.unit.value(row.quantity)

    def _order(self, found: Found, arguments: tuple[str, ...]) -> None:
        row, called, orders = found.rows[0], found.called, self.unit.orders
        if isinstance(row, LinkSelectionRow):
            self._select_link(called, arguments)
            return
        if isinstance(row, LeaseRow | KeepRow):
            self._hold_watchdog(row, called, arguments)
            return
        takes = 0 if isinstance(row, Order) and not row.word and not row.takes_serial else 1
        if len(arguments) > takes:
            raise ScpiError(-108, called)
        if len(arguments) < takes:
            raise ScpiError(-109, called)
        if isinstance(row, SettingRow | Choice):
            orders.set(row.quantity, row.parse(arguments[0], called), called=called)
        elif isinstance(row, Order):
            serial = text_of(arguments[0], called) if row.takes_serial else ""
            if row.word:
                words = {choice.word: choice for choice in found.rows if isinstance(choice, Order)}
                row = words[word_of(arguments[0], tuple(words), called)]
                called = f"{called} {row.word}"
            orders.obey(row.order, called=called, serial_number=serial)

    def _hold_watchdog(self, row: LeaseRow | KeepRow, called: str, arguments: tuple[str, ...]) -> None:
        takes = 2 if isinstance(row, LeaseRow) else 1
        if len(arguments) > takes:
            raise ScpiError(-108, called)
        if len(arguments) < takes:
            raise ScpiError(-109, called)
        name = text_of(arguments[-1], called)
        seconds = row.parse(arguments[0], called) if isinstance(row, LeaseRow) else None
        holder = parse_holder(name, called)
        if seconds is None:
            self.unit.keep_watchdog(holder)
        else:
            self.unit.set_watchdog(seconds, holder)

    # --- links ------------------------------------------------------------------------------------------------------

    def _select_link(self, called: str, arguments: tuple[str, ...]) -> None:
        if len(arguments) > 3:
            raise ScpiError(-108, called)
        if len(arguments) < 2:
            raise ScpiError(-109, called)
        peer, path = (text_of(argument, called) for argument in arguments[:2])
        fencing_token = None
        if len(arguments) == 3:
            fencing_token = int(_WHOLE.parse(arguments[2], f"the fencing token of {called}"))
        if peer == path == "":
            peer = path = _NOBODY
        elif _NOBODY in (peer, path):
            raise ScpiError(-222, f"{called} takes a serial number and a path, or two empty texts")
        self.unit.orders.select_link(parse_link(peer, path), fencing_token, called=called)

    def _link(self) -> str:
        links = self.unit.links
        return f"{_named(links.in_force)},{links.fencing_token}"

    def _links(self) -> str:
        listed = [f"{_named(link)},{bits}" for link, bits in self.unit.links.remaining().items()]
        return ",".join(listed) or quoted("")

    # --- questions with several answers -----------------------------------------------------------------------------

    def _state(self) -> str:
        return f"{self.unit.state},{self.unit.step or 'NONE'}"

    def _watchdog(self) -> str:
        lease, left_s = self.unit.watchdog, self.unit.watchdog_left_s
        return f"{number(lease.seconds)},{number(round(left_s, 1))},{quoted(lease.holder)}"

    def _count(self) -> str:
        return f"{self.unit.store.waiting},{self.unit.store.committed}"

    def _session(self) -> str:
        return quoted(self.unit.session_id or "")

    def _alarms(self) -> str:
        fields = [str(self.unit.alarms.seq)]
        for alarm in self.unit.alarms.active():
            age_s = (self.unit.now_ns - alarm.since_ns) / 1e9
            fields += [alarm.kind.code, alarm.kind.severity, f"{age_s:.1f}", str(int(alarm.latched))]
        return ",".join(fields)

    def _alarm_log(self, argument: str) -> str:
        above = _WHOLE.parse(argument, "STAT:ALAR:LOG?")
        fields = [str(self.unit.alarms.seq)]
        for change in self._log:
            if change.seq > above:
                fields += [str(change.seq), change.change, change.kind.code, change.kind.severity]
                fields.append(quoted(change.kind.text))
        return ",".join(fields)

    def _everything(self) -> str:
        fields: list[str] = []
        for name, value, age in self.everything():
            fields += [name, NO_VALUE if value is None else value, NO_VALUE if age is None else age]
        return ",".join(fields)

    def everything(self) -> list[tuple[str, str | None, str | None]]:
        """Return name, value and age in s of all that `FETCh:ALL?` lists; None for what cannot be given."""
        listed: list[tuple[str, str | None, str | None]] = []
        value = self.unit.value
        for name, row in self._table.named():
            try:
                reading = value(row.quantity)
            except Refusal:
                listed.append((name, None, None))
                continue
            text, _, age = reading_text(reading, row.digits).partition(",")
            listed.append((name, text, age or "0"))
        return listed


def _named(link: UnitLink) -> str:
    return ",".join(quoted("" if name == _NOBODY else name) for name in link)
