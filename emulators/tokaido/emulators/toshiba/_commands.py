"""The commands of both units as tables: what each takes, what it stands for, and what HELP says about it.

One row a command, in the order of docs/protocols/toshiba.md section 6. The state machine gives the values and says
where an order is allowed; this file knows only names, units of measure and limits, and which neutral name each has.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tokaido.emulators.units import (
    MAX_FENCING_TOKEN,
    ORDERS,
    Refusal,
    of_detector,
    parse_holder,
    parse_link,
    setting_allowed,
)

if TYPE_CHECKING:
    from tokaido.emulators.units import OrderName, UnitLink

_NUMBER = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?")
_INTEGER = re.compile(r"[+-]?[0-9]+")


@dataclass(frozen=True, slots=True)
class QueryRow:
    """A command that asks; allowed in any state, changes nothing."""

    name: str
    quantity: str
    """Neutral name of what it asks for; empty for an answer that is put together."""
    meaning: str
    unit: str = ""
    digits: str = ".10g"
    telemetry: bool = True
    """Whether `TEL?` lists it."""

    @property
    def help(self) -> str:
        """Its line in HELP."""
        return f"{self.name + '?':<12} {'[' + self.unit + ']' if self.unit else '':<14} in any state: {self.meaning}"


@dataclass(frozen=True, slots=True)
class SettingRow:
    """A value that is ordered and asked for under one name."""

    name: str
    quantity: str
    """Its neutral name."""
    meaning: str
    low: float
    high: float
    delivery: float
    unit: str = ""
    integer: bool = False
    or_zero: bool = False

    @property
    def takes(self) -> str:
        """Its limits, as the text of a RANGE error says them."""
        first = "0, or " if self.or_zero else ""
        return f"{first}{self.low:.10g} to {self.high:.10g}{' ' + self.unit if self.unit else ''}"

    @property
    def help(self) -> str:
        """Its line in HELP."""
        return f"{self.name:<12} {self.takes:<22} in {setting_allowed(self.quantity)}: {self.meaning}"

    def parse(self, argument: str) -> float:
        """Return the number that was ordered.

        Raises:
            Refusal: ARGUMENT when it is not a number, RANGE when it lies outside the limits.
        """
        if not (_INTEGER if self.integer else _NUMBER).fullmatch(argument):
            raise Refusal("ARGUMENT", f"{self.name} takes {'an integer' if self.integer else 'a number'}")
        value = float(argument)
        if not (self.low <= value <= self.high or (self.or_zero and value == 0)):
            raise Refusal("RANGE", f"{self.name} takes {self.takes}")
        return value + 0.0  # no "-0"


@dataclass(frozen=True, slots=True)
class LeaseRow(SettingRow):
    """The watchdog: its time, and the name of its holder (section 7)."""

    def lease(self, argument: str) -> tuple[float, str]:
        """Return time and holder.

        Raises:
            Refusal: ARGUMENT when these are not two fields with a number first, RANGE when they are of another form.
        """
        seconds, comma, holder = argument.partition(",")
        if not comma or "," in holder:
            raise Refusal("ARGUMENT", f"{self.name} takes seconds,holder")
        return self.parse(seconds), parse_holder(holder, self.name)


@dataclass(frozen=True, slots=True)
class KeepRow:
    """The command that renews the watchdog (section 7)."""

    name: str
    meaning: str

    @property
    def help(self) -> str:
        """Its line in HELP."""
        return f"{self.name:<12} {'holder':<22} in any state: {self.meaning}"

    def parse(self, argument: str | None) -> str:
        """Return the holder.

        Raises:
            Refusal: ARGUMENT when there is none, RANGE when it has another form.
        """
        if argument is None or "," in argument:
            raise Refusal("ARGUMENT", f"{self.name} takes holder")
        return parse_holder(argument, self.name)


KEEP = KeepRow("LSE:KEEP", "renew the watchdog")


@dataclass(frozen=True, slots=True)
class Choice:
    """A setting that is one of some words."""

    name: str
    quantity: str
    """Its neutral name."""
    meaning: str
    words: tuple[str, ...]

    @property
    def takes(self) -> str:
        """The words."""
        return " or ".join(self.words)

    @property
    def help(self) -> str:
        """Its line in HELP."""
        return f"{self.name:<12} {self.takes:<22} in {setting_allowed(self.quantity)}: {self.meaning}"


@dataclass(frozen=True, slots=True)
class LinkChoice:
    """The setting that says which QKD link is in force (section 12)."""

    name: str
    meaning: str
    quantity = "link"
    takes = "peer,path[,token]"

    @property
    def help(self) -> str:
        """Its line in HELP."""
        return f"{self.name:<12} {self.takes:<22} in {setting_allowed(self.quantity)}: {self.meaning}"

    def parse(self, argument: str) -> tuple[UnitLink, int | None]:
        """Return the link and the fencing token, if there is one.

        Raises:
            Refusal: ARGUMENT when there are more or fewer fields or the number is none, RANGE for names of another
                form or a number outside its limits.
        """
        fields = argument.split(",")
        if not 2 <= len(fields) <= 3:
            raise Refusal("ARGUMENT", f"{self.name} takes {self.takes}")
        if len(fields) == 2:
            return parse_link(*fields), None
        if not _INTEGER.fullmatch(fields[2]):
            raise Refusal("ARGUMENT", f"{self.name} takes an integer as fencing token")
        link = parse_link(*fields[:2])
        if len(fields[2]) > 20 or not 0 <= int(fields[2]) <= MAX_FENCING_TOKEN:
            raise Refusal("RANGE", f"{self.name} takes a fencing token of 0 to {MAX_FENCING_TOKEN}")
        return link, int(fields[2])


@dataclass(frozen=True, slots=True)
class Order:
    """A command that makes the unit do something."""

    name: str
    word: str
    order: OrderName
    """Its neutral name."""
    meaning: str

    @property
    def text(self) -> str:
        """The command as it is typed."""
        return f"{self.name} {self.word}".strip()

    @property
    def help(self) -> str:
        """Its line in HELP."""
        return f"{self.text:<35} in {ORDERS[self.order]}: {self.meaning}"


Command = QueryRow | SettingRow | Choice | LinkChoice | KeepRow | Order


COMMON: tuple[Command, ...] = (
    QueryRow("IDN", "", "vendor, model, serial number, firmware, protocol", telemetry=False),
    QueryRow("STAT", "", "state, and the step of an alignment", telemetry=False),
    QueryRow("ALM", "", "last alarm line; code, severity, age and latch of active alarms", telemetry=False),
    QueryRow("TEL", "", "all readings and settings", telemetry=False),
    QueryRow("UPT", "uptime", "time since the console came up", "s", ".1f"),
    Order("PWR", "ON", "power_on", "begin the self-test"),
    Order("PWR", "OFF", "power_off", "stop, safe state, off"),
    Order("KEY", "START", "start", "begin to exchange keys"),
    Order("KEY", "STOP", "stop", "end the key session"),
    Order("ALN", "START", "align", "realign"),
    Order("SAFE", "", "apply_safe_state", "safe state"),
    Order("FLT", "CLR", "clear_fault", "clear latched faults"),
    Order("SEC", "ACK", "acknowledge_security", "clear latched security alarms"),
    Order("SEC", "ZEROIZE", "zeroize", "erase every key; needs ,<serial number>"),
    LeaseRow("LSE", "watchdog", "watchdog; with its holder: seconds,holder", 5, 3600, 0, "s", or_zero=True),
    KEEP,
    SettingRow(
        "BLK",
        "block_bits",
        "key-basis bits that are distilled together",
        100_000,
        20_000_000,
        10_000_000,
        "bit",
        integer=True,
    ),
    SettingRow("BAS", "key_basis_probability", "probability of the key basis at this unit", 0.5, 0.99, 0.82),
    QueryRow("BLK:LAST", "last_block", "session/number/outcome/bits of the block that ended last"),
    QueryRow("QBER", "qber", "error rate in the key basis, last block", "", ".5f"),
    QueryRow("QBER:CHK", "qber_check", "error rate in the check basis, last block", "", ".5f"),
    QueryRow("RATE:SIFT", "sifted_key_rate", "sifted key-basis rate, last second", "bit/s", ".0f"),
    QueryRow("RATE:SEC", "secret_key_rate", "secret rate, last blocks", "bit/s", ".0f"),
    QueryRow("EC:EFF", "reconciliation_efficiency", "reconciliation efficiency, last block", "", ".4f"),
    QueryRow("AUTH:LEFT", "authentication_key_remaining", "authentication key that is left", "bit", ".0f"),
    QueryRow("PSK", "preshared_key_loaded", "whether a pre-shared key is loaded", "", ".0f"),
    LinkChoice("LNK", "select a QKD link; asked: peer, path, token"),
    QueryRow(
        "LNK:LIST", "", "links that have a pre-shared key: peer, path, bit of authentication key", telemetry=False
    ),
    QueryRow("KEYS", "", "key blocks that wait; committed since power-on"),
    QueryRow("SES", "session", "session id"),
    QueryRow("CHS:TEMP", "chassis_temperature", "chassis temperature", "degC", ".2f"),
)

TRANSMITTER: tuple[Command, ...] = (
    QueryRow("EMI", "emitting", "whether the laser emits", "", ".0f"),
    QueryRow("LAS:POW", "laser_power", "power at the laser monitor", "dBm", ".2f"),
    QueryRow("LAS:BIAS", "laser_bias_current", "laser bias current", "mA", ".2f"),
    QueryRow("LAS:TEMP", "laser_temperature", "laser temperature", "degC", ".3f"),
    QueryRow("LAS:TEC", "laser_cooler_current", "current of the thermoelectric cooler", "A", ".3f"),
    QueryRow("IM:EXT", "modulator_extinction", "extinction of the intensity modulator", "dB", ".2f"),
    QueryRow("MON:POW", "output_power", "mean power behind the attenuator", "dBm", ".2f"),
    QueryRow("CLK:RATE", "clock_rate", "pulse rate", "Hz", ".0f"),
    QueryRow("RNG", "random_generator_healthy", "health of the random generator", "", ".0f"),
    SettingRow("VOA:ATT", "attenuation", "attenuator behind the laser", 0, 60, 35, "dB"),
    SettingRow("IM:BIAS", "modulator_bias", "bias of the intensity modulator", -10, 10, 3.2, "V"),
    SettingRow(
        "MU:SIG", "signal_mean_photon_number", "mean photon number of the signal state", 0.05, 1, 0.5, "photon/pulse"
    ),
    SettingRow(
        "MU:DEC", "decoy_mean_photon_number", "mean photon number of the decoy state", 0.01, 0.5, 0.13, "photon/pulse"
    ),
    SettingRow(
        "MU:VAC", "vacuum_mean_photon_number", "mean photon number of the vacuum state", 0, 0.01, 0.001, "photon/pulse"
    ),
    QueryRow("PRB:SIG", "signal_probability", "probability of the signal state", "", ".10g"),
    SettingRow("PRB:DEC", "decoy_probability", "probability of the decoy state", 0.001, 0.6, 0.27),
    SettingRow("PRB:VAC", "vacuum_probability", "probability of the vacuum state", 0.001, 0.4, 0.13),
)


def _detector(i: int) -> tuple[Command, ...]:
    return (
        QueryRow(f"DET{i}:TEMP", of_detector(i, "temperature"), f"temperature of detector {i}", "degC", ".3f"),
        SettingRow(f"DET{i}:BIAS", of_detector(i, "bias"), f"bias of detector {i}", 0, 70, 0, "V"),
        SettingRow(f"DET{i}:DLY", of_detector(i, "gate_delay"), f"gate delay of detector {i}", 0, 1000, 0, "ps"),
        SettingRow(f"DET{i}:DEAD", of_detector(i, "dead_time"), f"dead time of detector {i}", 0, 1000, 10, "ns"),
        QueryRow(
            f"DET{i}:EFF", of_detector(i, "efficiency"), f"efficiency of detector {i} at the present bias", "", ".4f"
        ),
        QueryRow(f"DET{i}:CNT", of_detector(i, "count_rate"), f"count rate of detector {i}, last second", "1/s", ".0f"),
        QueryRow(
            f"DET{i}:DARK",
            of_detector(i, "dark_count_rate"),
            f"dark count rate of detector {i} at the last alignment",
            "1/s",
            ".0f",
        ),
    )


RECEIVER: tuple[Command, ...] = (
    Choice("SHT", "shutter", "shutter at the quantum input", ("OPEN", "CLOSED")),
    *_detector(0),
    *_detector(1),
    QueryRow("IFM:TEMP", "interferometer_temperature", "interferometer temperature", "degC", ".3f"),
    QueryRow("IFM:PHS", "interferometer_phase", "phase error that the servo sees", "rad", ".4f"),
    QueryRow("ONES", "ones_share", "share of ones among the key-basis bits, last block", "", ".5f"),
    QueryRow("VIS", "visibility", "interference visibility", "", ".4f"),
    QueryRow("CLK:POW", "clock_power", "clock light received", "dBm", ".2f"),
    QueryRow("LOSS", "channel_loss", "loss of the channel, from the clock light", "dB", ".2f"),
    QueryRow("CLK:LOCK", "clock_locked", "whether the clock is locked", "", ".0f"),
)


class CommandTable:
    """The commands of one unit, found by what was written."""

    def __init__(self, rows: tuple[Command, ...]) -> None:
        self.rows = rows
        self.queries = {row.name: row for row in rows if not isinstance(row, Order | KeepRow)}
        """Everything that can be asked, by its name without `?`."""
        self.settings = {row.name: row for row in rows if isinstance(row, SettingRow | Choice | LinkChoice)}
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
                if isinstance(row, SettingRow | Choice | LinkChoice):
                    unit = getattr(row, "unit", "")
                    lines.append(QueryRow(row.name, row.quantity, row.meaning, unit).help)
                lines.append(row.help)
        return lines
