"""The commands of both units as tables: header, neutral name, limits, words, value at delivery.

One row a command, in the order of docs/protocols/nec.md section 4, under the header that stands there. The unit gives
the values and knows the states; this file knows how the page calls them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING, Final, Literal, TypeVar

from tokaido.emulators.scpi import ScpiError, compile_pattern, short

if TYPE_CHECKING:
    from tokaido.emulators.units import OrderName

_NUMBER = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]{1,3})?")
_INTEGER = re.compile(r"[+-]?[0-9]{1,20}")
_PLACE = re.compile("<[ci]>")

MAX_KEPT: Final = 4096
"""Most headers whose command is remembered."""
Detectors = Literal["nanowire", "avalanche"]
"""Superconducting nanowires in a cryostat, or cooled avalanche photodiodes."""


@dataclass(frozen=True, slots=True)
class QueryRow:
    """A question; allowed in any state, changes nothing.

    `header` has no question mark; in it `<c>` is the number of a sub-channel and `<i>` that of a detector, from 1.
    `quantity` is the neutral name of the answer, with `{}` for the index of the part, from 0.
    """

    header: str
    quantity: str
    digits: str = ".10g"
    listed: bool = True
    """Whether `FETCh:ALL?` lists it."""
    arguments: tuple[int, int] = (0, 0)
    """Least and greatest number of its parameters."""


@dataclass(frozen=True, slots=True)
class SettingRow:
    """A number that is ordered, and asked for by the same header with `?`."""

    header: str
    quantity: str
    low: float
    high: float
    delivery: float
    unit: str = ""
    integer: bool = False
    or_zero: bool = False
    decimals: int | None = None
    """To how many decimal places it is rounded."""
    listed: bool = True
    digits: str = ".10g"

    @property
    def takes(self) -> str:
        """Its limits, as the page has them."""
        first = "0, or " if self.or_zero else ""
        return f"{first}{self.low:.10g} to {self.high:.10g}{' ' + self.unit if self.unit else ''}"

    def limit(self, text: str) -> float | None:
        """Return what MINimum, MAXimum or DEFault stands for; None for anything else, and where there are no limits."""
        if not self.header:
            return None
        values = {"MINimum": self.low, "MAXimum": self.high, "DEFault": self.delivery}
        return next((value for word, value in values.items() if text.upper() in (word.upper(), short(word))), None)

    def parse(self, text: str, called: str) -> float:
        """Return the number that was ordered.

        Raises:
            ScpiError: -104 when it is none, -222 when it lies outside the limits.
        """
        limit = self.limit(text)
        if limit is not None:
            return limit
        if not (_INTEGER if self.integer else _NUMBER).fullmatch(text):
            raise ScpiError(-104, f"{called} takes a {'whole ' if self.integer else ''}number")
        value = float(text)
        if not (self.low <= value <= self.high or (self.or_zero and value == 0)):
            raise ScpiError(-222, f"{called} takes {self.takes}")
        return (value if self.decimals is None else round(value, self.decimals)) + 0.0  # no "-0"


@dataclass(frozen=True, slots=True)
class LeaseRow(SettingRow):
    """The watchdog, which is ordered with the name of its holder."""


@dataclass(frozen=True, slots=True)
class KeepRow:
    """The command by which its holder renews the watchdog."""

    header: str


@dataclass(frozen=True, slots=True)
class Choice:
    """A setting that is one of some words."""

    header: str
    quantity: str
    words: tuple[str, ...]
    listed: bool = True
    digits: str = ""

    @property
    def takes(self) -> str:
        """The words, as the page has them."""
        return " or ".join(self.words)

    def parse(self, text: str, called: str) -> str:
        """Return the word that was ordered.

        Raises:
            ScpiError: -104 when it is not a word, -224 when it is another.
        """
        return word_of(text, self.words, called)


@dataclass(frozen=True, slots=True)
class Order:
    """A command that makes the unit do something; several orders may share a header and differ by their word."""

    header: str
    order: OrderName
    word: str = ""
    takes_serial: bool = False


@dataclass(frozen=True, slots=True)
class LinkSelectionRow:
    """The command that selects a QKD link, and tells which one is selected."""

    header: str
    listed: bool = False


Command = QueryRow | SettingRow | Choice | Order | KeepRow | LinkSelectionRow
Row = TypeVar("Row", bound=Command)


def word_of(text: str, words: tuple[str, ...], called: str) -> str:
    """Return which of the words was sent, in upper or lower case; ON and OFF may be a number (SCPI-99 volume 1, 7.3).

    Raises:
        ScpiError: -104 when it is not character data (IEEE 488.2, 7.7.1), -224 when it is another word.
    """
    if set(words) == {"ON", "OFF"} and _NUMBER.fullmatch(text):
        return "ON" if abs(float(text)) >= 0.5 else "OFF"
    if not re.fullmatch("[A-Za-z][A-Za-z0-9_]*", text):
        raise ScpiError(-104, f"{called} takes {' or '.join(words)}")
    if text.upper() not in words:
        raise ScpiError(-224, f"{called} takes {' or '.join(words)}")
    return text.upper()


def short_header(header: str) -> str:
    """Return a header in its short form, places of numbers kept: `CHAN<c>:STAT`."""
    return ":".join(
        short(_PLACE.sub("", node)) + "".join(_PLACE.findall(node)) for node in header.removeprefix(":").split(":")
    )


COMMON: tuple[Command, ...] = (
    QueryRow("UNIT:STATe", "state"),
    Order("UNIT:POWer", "power_on", "ON"),
    Order("UNIT:POWer", "power_off", "OFF"),
    Order("UNIT:SAFE", "apply_safe_state"),
    QueryRow("UNIT:UPTime", "uptime", ".1f"),
    LeaseRow("UNIT:LEASe", "watchdog", 5, 3600, 0, "s", or_zero=True, listed=False),
    KeepRow("UNIT:LEASe:KEEP"),
    Order("KEY:STARt", "start"),
    Order("KEY:STOP", "stop"),
    Order("CALibration:STARt", "align"),
    Order("FAULt:CLEar", "clear_fault"),
    Order("SECurity:ACKNowledge", "acknowledge_security"),
    Order("SECurity:ZERoise", "zeroize", takes_serial=True),
    LinkSelectionRow("LINK:SELect"),
    QueryRow("LINK:LIST", "", listed=False),
    SettingRow("KEY:BLOCk", "block_bits", 100_000, 20_000_000, 1_000_000, "bit", integer=True),
    SettingRow("KEY:BASis", "key_basis_probability", 0.5, 0.99, 0.78),
    QueryRow("KEY:PSK", "preshared_key_loaded", ".0f"),
    QueryRow("KEY:COUNt", "", listed=False),
    QueryRow("KEY:SESSion", "", listed=False),
    QueryRow("KEY:AUTHentication", "authentication_key_remaining", ".0f"),
    QueryRow("STATus:ALARm", "", listed=False),
    QueryRow("STATus:ALARm:LOG", "", listed=False, arguments=(1, 1)),
    QueryRow("FETCh:BLOCk", "last_block"),
    QueryRow("FETCh:QBER", "qber", ".5f"),
    QueryRow("FETCh:QBER:CHECk", "qber_check", ".5f"),
    QueryRow("FETCh:RATE:SIFTed", "sifted_key_rate", ".0f"),
    QueryRow("FETCh:RATE:SECRet", "secret_key_rate", ".0f"),
    QueryRow("FETCh:EFFiciency", "reconciliation_efficiency", ".4f"),
    QueryRow("FETCh:TEMPerature:CHASsis", "chassis_temperature", ".2f"),
    QueryRow("FETCh:ALL", "", listed=False),
    Choice("CHANnel<c>:STATe", "sub_channels[{}].enabled", ("ON", "OFF")),
    QueryRow("CHANnel<c>:WAVelength", "sub_channels[{}].wavelength", ".2f"),
)

TRANSMITTER: tuple[Command, ...] = (
    QueryRow("SOURce:EMISsion", "emitting", ".0f"),
    QueryRow("FETCh:POWer", "laser_power", ".2f"),
    QueryRow("FETCh:POWer:ATTenuated", "output_power", ".2f"),
    QueryRow("FETCh:TEMPerature:LASer", "laser_temperature", ".3f"),
    QueryRow("SOURce:RATE", "clock_rate", ".0f"),
    QueryRow("SOURce:RANDom", "random_generator_healthy", ".0f"),
    SettingRow("SOURce:ATTenuation", "attenuation", 0, 60, 35, "dB"),
    SettingRow("SOURce:PHOTon:SIGNal", "signal_mean_photon_number", 0.05, 1, 0.5),
    SettingRow("SOURce:PHOTon:DECoy", "decoy_mean_photon_number", 0.01, 0.5, 0.2),
    SettingRow("SOURce:PHOTon:VACuum", "vacuum_mean_photon_number", 0, 0.01, 0.001),
    QueryRow("SOURce:PROBability:SIGNal", "signal_probability"),
    SettingRow("SOURce:PROBability:DECoy", "decoy_probability", 0.001, 0.6, 0.4),
    SettingRow("SOURce:PROBability:VACuum", "vacuum_probability", 0.001, 0.4, 0.1),
    QueryRow("CHANnel<c>:POWer", "sub_channels[{}].laser_power", ".2f"),
    QueryRow("CHANnel<c>:CURRent", "sub_channels[{}].laser_bias_current", ".2f"),
    QueryRow("CHANnel<c>:TEMPerature", "sub_channels[{}].laser_temperature", ".3f"),
)


@cache
def receiver_rows(kind: Detectors) -> tuple[Command, ...]:
    """Return the rows of a receiver with detectors of a kind; only avalanche photodiodes have gates to delay."""
    nanowire = kind == "nanowire"
    return (
        Choice("INPut:SHUTter", "shutter", ("OPEN", "CLOSED")),
        SettingRow("SENSe:INTerferometer:TEMPerature", "interferometer_set_point", 20, 40, 30, "degC", decimals=3),
        QueryRow("FETCh:TEMPerature:INTerferometer", "interferometer_temperature", ".3f"),
        QueryRow("FETCh:PHASe", "interferometer_phase", ".4f"),
        QueryRow("FETCh:VISibility", "visibility", ".4f"),
        QueryRow("FETCh:ONES", "ones_share", ".5f"),
        QueryRow("FETCh:CLOCk:POWer", "clock_power", ".2f"),
        QueryRow("FETCh:LOSS", "channel_loss", ".2f"),
        QueryRow("SENSe:CLOCk:LOCK", "clock_locked", ".0f"),
        QueryRow("CHANnel<c>:VISibility", "sub_channels[{}].visibility", ".4f"),
        QueryRow("CHANnel<c>:COUNt", "sub_channels[{}].count_rate", ".0f"),
        QueryRow("DETector<i>:TEMPerature", "detectors[{}].temperature", ".3f"),
        SettingRow("DETector<i>:BIAS", "detectors[{}].bias", 0, 40 if nanowire else 80, 0, "uA" if nanowire else "V"),
        *(() if nanowire else (SettingRow("DETector<i>:DELay", "detectors[{}].gate_delay", 0, 1000, 0, "ps"),)),
        SettingRow("DETector<i>:DEAD", "detectors[{}].dead_time", 0, 10_000, 40 if nanowire else 1000, "ns"),
        QueryRow("DETector<i>:EFFiciency", "detectors[{}].efficiency", ".4f"),
        QueryRow("DETector<i>:COUNt", "detectors[{}].count_rate", ".0f"),
        QueryRow("DETector<i>:DARK", "detectors[{}].dark_count_rate", ".0f"),
    )


class Found:
    """A command of one unit, its part included: the rows that share the header, and what it is called in a text."""

    __slots__ = ("asks", "called", "rows")

    def __init__(self, rows: tuple[Command, ...], called: str, *, asks: bool) -> None:
        self.rows = rows
        self.called = called
        """Short header with the part's number, without a question mark: `DET16:BIAS`."""
        self.asks = asks


class CommandTable:
    """The commands of one unit, found by what was sent.

    Args:
        rows: The commands.
        channels: How many sub-channels the unit has; each has two detectors.
    """

    def __init__(self, rows: tuple[Command, ...], channels: int) -> None:
        self.rows = rows
        self.parts = {"<c>": channels, "<i>": 2 * channels}
        """How many parts of each kind there are."""
        by_header: dict[tuple[str, bool], tuple[Command, ...]] = {}
        for row in rows:
            for asks in (False, True):
                if not isinstance(row, Order | KeepRow if asks else QueryRow):
                    key = row.header, asks
                    by_header[key] = (*by_header.get(key, ()), row)
        self._patterns = [
            (compile_pattern(_PLACE.sub("#", header) + "?" * asks), header, asks, found)
            for (header, asks), found in by_header.items()
        ]
        self._found: dict[str, Found] = {}
        self._named: list[tuple[str, QueryRow | SettingRow | Choice]] = []

    def find(self, header: str) -> Found | None:
        """Return the command of a whole header, or None.

        Raises:
            ScpiError: -114 there is no such part.
        """
        key = f":{header.upper().removeprefix(':')}"
        if key in self._found:
            return self._found[key]
        for pattern, declared, asks, rows in self._patterns:
            match = pattern.fullmatch(key)
            if match is None:
                continue
            called, place = short_header(declared), _PLACE.search(declared)
            if place is not None:
                number = int(match.group(1) or 1)
                if not 1 <= number <= self.parts[place.group()]:
                    raise ScpiError(
                        -114, f"{called.replace(place.group(), str(number))}: 1 to {self.parts[place.group()]}"
                    )
                called = called.replace(place.group(), str(number))
                rows = tuple(_of_part(row, number - 1) for row in rows)  # noqa: PLW2901 - those of the part
            found = Found(rows, called, asks=asks)
            if len(self._found) < MAX_KEPT:
                self._found[key] = found
            return found
        return None

    def named(self) -> list[tuple[str, QueryRow | SettingRow | Choice]]:
        """Return what `FETCh:ALL?` lists, parts included, each under its name: short header in upper case."""
        self._named = self._named or self._list()
        return self._named

    def _list(self) -> list[tuple[str, QueryRow | SettingRow | Choice]]:
        listed: list[tuple[str, QueryRow | SettingRow | Choice]] = []
        for row in self.rows:
            if isinstance(row, Order | KeepRow | LinkSelectionRow) or not row.listed:
                continue
            name, place = short_header(row.header), _PLACE.search(row.header)
            if place is None:
                listed.append((name, row))
                continue
            mark = place.group()
            listed += [(name.replace(mark, str(i + 1)), _of_part(row, i)) for i in range(self.parts[mark])]
        return listed

    def delivery(self) -> dict[str, float]:
        """Return the numbers at delivery, parts included, by their neutral name."""
        values: dict[str, float] = {}
        for row in self.rows:
            if isinstance(row, SettingRow) and not isinstance(row, LeaseRow):
                place = _PLACE.search(row.header)
                for i in range(self.parts[place.group()] if place else 1):
                    values[row.quantity.format(i)] = row.delivery
        return values


@cache
def command_table(rows: tuple[Command, ...], channels: int) -> CommandTable:
    """Return the commands of every unit that has these rows and so many sub-channels; they are compiled once."""
    return CommandTable(rows, channels)


def _of_part(row: Row, index: int) -> Row:
    if isinstance(row, Order | KeepRow | LinkSelectionRow):
        return row
    return replace(row, quantity=row.quantity.format(index))
