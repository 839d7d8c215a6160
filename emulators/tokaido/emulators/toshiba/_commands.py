"""The commands of both units as tables: what each takes, where it is allowed, and what HELP says about it.

One row a command, in the order of docs/protocols/toshiba.md section 6. The state machine gives the values; this file
knows only names, units of measure, limits and states.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tokaido.emulators.toshiba._states import ANY, RUNNING, SETUP, State, where

if TYPE_CHECKING:
    from tokaido.emulators.toshiba._states import States

_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?")
_INTEGER = re.compile(r"[+-]?\d+")


class Refusal(Exception):  # noqa: N818 - the page's word; it is an answer
    """The unit says no; nothing was carried out."""

    NUMBERS = {  # noqa: RUF012 - a table of the page
        "CHECKSUM": 10,
        "SYNTAX": 11,
        "TOO_LONG": 12,
        "ID_REUSED": 13,
        "UNKNOWN": 20,
        "ARGUMENT": 21,
        "RANGE": 22,
        "STATE": 30,
        "NO_DATA": 31,
        "REFUSED": 32,
        "INTERNAL": 40,
    }

    def __init__(self, name: str, text: str) -> None:
        super().__init__(text)
        self.name = name
        self.text = text

    @property
    def number(self) -> int:
        """Number of the error in the page's table (section 3)."""
        return self.NUMBERS[self.name]


@dataclass(frozen=True, slots=True)
class Query:
    """A command that asks; allowed in any state, changes nothing."""

    name: str
    meaning: str
    unit: str = ""
    digits: str = ".10g"
    telemetry: bool = True
    """Whether `TEL?` lists it."""

    @property
    def states(self) -> States:
        """Every state."""
        return ANY

    @property
    def takes(self) -> str:
        """Nothing."""
        return ""

    @property
    def help(self) -> str:
        """Its line in HELP."""
        return f"{self.name + '?':<12} {'[' + self.unit + ']' if self.unit else '':<14} in any state: {self.meaning}"


@dataclass(frozen=True, slots=True)
class Setting:
    """A value that is ordered and asked for under one name."""

    name: str
    meaning: str
    low: float
    high: float
    delivery: float
    unit: str = ""
    integer: bool = False
    or_zero: bool = False
    states: States = SETUP

    @property
    def takes(self) -> str:
        """Its limits, as the text of a RANGE error says them."""
        first = "0, or " if self.or_zero else ""
        return f"{first}{self.low:.10g} to {self.high:.10g}{' ' + self.unit if self.unit else ''}"

    @property
    def help(self) -> str:
        """Its line in HELP."""
        return f"{self.name:<12} {self.takes:<22} in {where(self.states)}: {self.meaning}"

    def parse(self, argument: str) -> float:
        """Return the number that was ordered.

        Raises:
            Refusal: ARGUMENT when it is no number, RANGE when it lies outside the limits.
        """
        if not (_INTEGER if self.integer else _NUMBER).fullmatch(argument):
            raise Refusal("ARGUMENT", f"{self.name} takes {'an integer' if self.integer else 'a number'}")
        value = float(argument)
        if not (self.low <= value <= self.high or (self.or_zero and value == 0)):
            raise Refusal("RANGE", f"{self.name} takes {self.takes}")
        return value + 0.0  # no "-0"


@dataclass(frozen=True, slots=True)
class Choice:
    """A setting that is one of some words."""

    name: str
    meaning: str
    words: tuple[str, ...]
    states: States = SETUP

    @property
    def takes(self) -> str:
        """The words."""
        return " or ".join(self.words)

    @property
    def help(self) -> str:
        """Its line in HELP."""
        return f"{self.name:<12} {self.takes:<22} in {where(self.states)}: {self.meaning}"


@dataclass(frozen=True, slots=True)
class Order:
    """A command that makes the unit do something."""

    name: str
    word: str
    meaning: str
    states: States
    allowed: str = ""
    """How a STATE error names the states, where a list of them does not say it."""

    @property
    def text(self) -> str:
        """The command as it is typed."""
        return f"{self.name} {self.word}".strip()

    @property
    def takes(self) -> str:
        """Its word."""
        return self.word

    @property
    def help(self) -> str:
        """Its line in HELP."""
        return f"{self.text:<35} in {self.allowed or where(self.states)}: {self.meaning}"


Command = Query | Setting | Choice | Order


_NOT_ZEROIZE = tuple(state for state in State if state is not State.ZEROIZE)

COMMON: tuple[Command, ...] = (
    Query("IDN", "vendor, model, serial number, firmware, protocol", telemetry=False),
    Query("STAT", "state, and the step of an alignment", telemetry=False),
    Query("ALM", "last alarm line; code, severity, age and latch of active alarms", telemetry=False),
    Query("TEL", "all readings and settings", telemetry=False),
    Query("UPT", "time since the console came up", "s", ".1f"),
    Order("PWR", "ON", "begin the self-test", (State.OFF,)),
    Order("PWR", "OFF", "stop, safe state, off", _NOT_ZEROIZE, "any state but ZEROIZE"),
    Order("KEY", "START", "begin to exchange keys", (State.STANDBY,)),
    Order("KEY", "STOP", "end the key session", (*RUNNING, State.REALIGN)),
    Order("ALN", "START", "realign", (State.STANDBY,)),
    Order("SAFE", "", "safe state", ANY),
    Order("FLT", "CLR", "clear latched faults", (State.FAULT,)),
    Order(
        "SEC", "ACK", "clear latched security alarms", (State.SECURITY_HOLD,), "SECURITY_HOLD, or latched QUARANTINE"
    ),
    Order("SEC", "ZEROIZE", "erase every key; needs ,<serial number>", ANY),
    Setting("LSE", "dead-man lease", 5, 3600, 0, "s", or_zero=True, states=ANY),
    Setting("BLK", "key-basis bits that are distilled together", 100_000, 20_000_000, 10_000_000, "bit", integer=True),
    Setting("BAS", "probability of the key basis at this unit", 0.5, 0.99, 0.82),
    Query("QBER", "error rate in the key basis, last block", "", ".5f"),
    Query("QBER:CHK", "error rate in the check basis, last block", "", ".5f"),
    Query("RATE:SIFT", "sifted key-basis rate, last second", "bit/s", ".0f"),
    Query("RATE:SEC", "secret rate, last block", "bit/s", ".0f"),
    Query("EC:EFF", "reconciliation efficiency, last block", "", ".4f"),
    Query("AUTH:LEFT", "authentication key that is left", "bit", ".0f"),
    Query("PSK", "whether a pre-shared key is loaded", "", ".0f"),
    Query("KEYS", "key blocks that wait; committed since power-on"),
    Query("SES", "session id"),
    Query("CHS:TEMP", "chassis temperature", "degC", ".2f"),
)

TRANSMITTER: tuple[Command, ...] = (
    Query("EMI", "whether the laser emits", "", ".0f"),
    Query("LAS:POW", "power at the laser monitor", "dBm", ".2f"),
    Query("LAS:BIAS", "laser bias current", "mA", ".2f"),
    Query("LAS:TEMP", "laser temperature", "degC", ".3f"),
    Query("LAS:TEC", "current of the thermoelectric cooler", "A", ".3f"),
    Query("IM:EXT", "extinction of the intensity modulator", "dB", ".2f"),
    Query("MON:POW", "mean power behind the attenuator", "dBm", ".2f"),
    Query("CLK:RATE", "pulse rate", "Hz", ".0f"),
    Query("RNG", "health of the random generator", "", ".0f"),
    Setting("VOA:ATT", "attenuator behind the laser", 0, 60, 35, "dB"),
    Setting("IM:BIAS", "bias of the intensity modulator", -10, 10, 3.2, "V"),
    Setting("MU:SIG", "mean photon number of the signal state", 0.05, 1, 0.5, "photon/pulse"),
    Setting("MU:DEC", "mean photon number of the decoy state", 0.01, 0.5, 0.13, "photon/pulse"),
    Setting("MU:VAC", "mean photon number of the vacuum state", 0, 0.01, 0.001, "photon/pulse"),
    Query("PRB:SIG", "probability of the signal state", "", ".10g"),
    Setting("PRB:DEC", "probability of the decoy state", 0.001, 0.6, 0.27),
    Setting("PRB:VAC", "probability of the vacuum state", 0.001, 0.4, 0.13),
)


def _detector(i: int) -> tuple[Command, ...]:
    return (
        Query(f"DET{i}:TEMP", f"temperature of detector {i}", "degC", ".3f"),
        Setting(f"DET{i}:BIAS", f"bias of detector {i}", 0, 70, 0, "V"),
        Setting(f"DET{i}:DLY", f"gate delay of detector {i}", 0, 1000, 0, "ps"),
        Setting(f"DET{i}:DEAD", f"dead time of detector {i}", 0, 1000, 10, "ns"),
        Query(f"DET{i}:EFF", f"efficiency of detector {i} at the present bias", "", ".4f"),
        Query(f"DET{i}:CNT", f"count rate of detector {i}, last second", "1/s", ".0f"),
        Query(f"DET{i}:DARK", f"dark count rate of detector {i} at the last alignment", "1/s", ".0f"),
    )


RECEIVER: tuple[Command, ...] = (
    Choice("SHT", "shutter at the quantum input", ("OPEN", "CLOSED")),
    *_detector(0),
    *_detector(1),
    Query("IFM:TEMP", "interferometer temperature", "degC", ".3f"),
    Query("IFM:PHS", "phase error that the servo sees", "rad", ".4f"),
    Query("VIS", "interference visibility", "", ".4f"),
    Query("CLK:POW", "clock light received", "dBm", ".2f"),
    Query("LOSS", "loss of the channel, from the clock light", "dB", ".2f"),
    Query("CLK:LOCK", "whether the clock is locked", "", ".0f"),
)


class CommandTable:
    """The commands of one unit, found by what was written."""

    def __init__(self, rows: tuple[Command, ...]) -> None:
        self.rows = rows
        self.queries = {row.name: row for row in rows if not isinstance(row, Order)}
        """Everything that can be asked, by its name without `?`."""
        self.settings = {row.name: row for row in rows if isinstance(row, Setting | Choice)}
        self.orders: dict[str, dict[str, Order]] = {}
        for row in rows:
            if isinstance(row, Order):
                self.orders.setdefault(row.name, {})[row.word] = row

    def order(self, name: str, argument: str | None) -> tuple[Order, str]:
        """Return the order that was given, and what followed a comma.

        Raises:
            Refusal: ARGUMENT when it takes another word.
        """
        words = self.orders[name]
        word, comma, rest = (argument or "").partition(",")
        found = words.get(word)
        if found is None or bool(comma) != (word == "ZEROIZE"):
            takes = " or ".join(f"{w},<serial>" if w == "ZEROIZE" else w for w in words)
            raise Refusal("ARGUMENT", f"{name} takes {takes or 'nothing'}")
        return found, rest

    def help(self, prefix: str) -> list[str]:
        """Return the lines of HELP for the commands that begin with `prefix`."""
        lines: list[str] = []
        for row in self.rows:
            if row.name.startswith(prefix):
                if isinstance(row, Setting | Choice):
                    unit = getattr(row, "unit", "")
                    lines.append(Query(row.name, row.meaning, unit).help)
                lines.append(row.help)
        return lines
