"""Readings as rows of text: CSV, or one JSON object a line."""

from __future__ import annotations

import json
import re
from abc import ABC, abstractmethod
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import tokaido.hal as hal
from tokaido.hal.driver import encode

if TYPE_CHECKING:
    from collections.abc import Iterable

COLUMNS: Final = ("utc", "device", "value", "reading", "unit", "quality", "age_s")
"""The columns of a log, in their order."""
GONE: Final = "gone"
"""Quality of the row that says that a device does not answer; `reading` says why."""
BACK: Final = "back"
"""Quality of the row that says that it answers again; `reading` is how long it did not, in s."""
EXACT: Final = 1 << 53
"""Whole numbers up to this are floats without loss."""
_GOOD: Final = hal.Quality.GOOD
_BAD: Final = hal.Quality.BAD
_SPECIAL: Final = re.compile(r'[,"\n\r]')


class Rows(ABC):
    """Writes readings of one device as rows; parts that repeat are made once and kept."""

    header: str = ""
    """What a file begins with."""

    def __init__(self, device: str) -> None:
        self._device = device
        self._fixed: dict[str, tuple[str, str, str]] = {}
        self._utc_ns = -1
        self._utc = ""

    def of(self, readings: Iterable[tuple[str, hal.Reading[Any]]]) -> str:
        """Return the rows of what one poll brought."""
        rows: list[str] = []
        fixed, begin, text = self._fixed, self._begin, self._text
        good, bad = self._end("good", "0"), self._end("bad", "0")
        for path, reading in readings:
            if reading.utc_ns != self._utc_ns:
                self._utc_ns, self._utc = reading.utc_ns, begin(_iso(reading.utc_ns))
            around = fixed.get(path)
            if around is None:
                around = fixed[path] = self._around(path, reading.unit)
            value = reading.value
            shown = f"{value!r}{around[1]}" if type(value) is float else f"{text(value)}{around[2]}"
            quality = reading.quality
            if not reading.age_s and (quality is _GOOD or quality is _BAD):
                end = good if quality is _GOOD else bad
            else:
                end = self._end(quality.value, f"{reading.age_s:.6g}")
            rows.append(f"{self._utc}{around[0]}{shown}{end}")
        return "".join(rows)

    def gone(self, utc_ns: int, why: str) -> str:
        """Return the row that says that the device does not answer."""
        return self._row(utc_ns, " ".join(why.split()), "", GONE)

    def back(self, utc_ns: int, after_s: float) -> str:
        """Return the row that says that it answers again."""
        return self._row(utc_ns, round(after_s, 3), "s", BACK)

    def _row(self, utc_ns: int, reading: object, unit: str, quality: str) -> str:
        before, _, behind = self._around("", unit)
        return f"{self._begin(_iso(utc_ns))}{before}{self._text(reading)}{behind}{self._end(quality, '0')}"

    @abstractmethod
    def _begin(self, utc: str) -> str:
        """Return how a row begins."""

    @abstractmethod
    def _around(self, path: str, unit: str) -> tuple[str, str, str]:
        """Return what stands before every reading of a value, behind one that is a float, and behind others."""

    @abstractmethod
    def _text(self, value: object) -> str:
        """Return a reading as it is written."""

    @abstractmethod
    def _end(self, quality: str, age: str) -> str:
        """Return how a row ends."""


class CsvRows(Rows):
    """RFC 4180, but for the ends of lines: LF alone."""

    header = ",".join(COLUMNS) + "\n"

    def _begin(self, utc: str) -> str:
        return utc

    def _around(self, path: str, unit: str) -> tuple[str, str, str]:
        behind = f",{_field(unit)},"
        return f",{_field(self._device)},{_field(path)},", behind, behind

    def _text(self, value: object) -> str:
        return "" if value is None else _field(encode(value))

    def _end(self, quality: str, age: str) -> str:
        return f"{quality},{age}\n"


class JsonRows(Rows):
    """One object a line, with the columns as members."""

    def _begin(self, utc: str) -> str:
        return f'{{"utc":"{utc}"'

    def _around(self, path: str, unit: str) -> tuple[str, str, str]:
        behind = f',"unit":{_json(unit)},"quality":"'
        return f',"device":{_json(self._device)},"value":{_json(path)},"reading":', behind, behind

    def _text(self, value: object) -> str:
        return _json(value if value is None or isinstance(value, (bool, int, float)) else encode(value))

    def _end(self, quality: str, age: str) -> str:
        return f'{quality}","age_s":{age}}}\n'


class JournalRows(CsvRows):
    """Rows of a journal: CSV with a column `text` behind `reading`, and no end of a line within a field."""

    header = ""

    def _around(self, path: str, unit: str) -> tuple[str, str, str]:
        before, behind, _ = super()._around(_on_one_line(path), _on_one_line(unit))
        return _on_one_line(before), f",{behind}", behind

    def _text(self, value: object) -> str:
        if isinstance(value, (int, float)) and (isinstance(value, float) or abs(value) <= EXACT):
            return f"{super()._text(value)},"
        return f",{_on_one_line(super()._text(value))}"


def _on_one_line(text: str) -> str:
    return " ".join(text.splitlines()) if "\n" in text or "\r" in text else text


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False)


def _field(text: str) -> str:
    """Return a field, in quotes where it needs them."""
    if _SPECIAL.search(text):
        return '"' + text.replace('"', '""') + '"'
    return text


def _iso(utc_ns: int) -> str:
    at = datetime.fromtimestamp(utc_ns // 1_000_000 / 1000, UTC)
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
