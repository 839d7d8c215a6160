"""Tables of TOML files, read so that every mistake is told: its line or key, what is wrong, and what to do."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tokaido.hal._errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

__all__ = ["Check", "Mistakes", "number", "of_kind", "parsed", "read", "whole"]


def read(path: Path, what: str) -> tuple[str, dict[str, Any]]:
    """Return the text of a TOML file and its tables.

    Args:
        path: The file.
        what: What errors call it: "the station file".

    Raises:
        ConfigurationError: It cannot be read, or it is not TOML.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")  # some editors put a mark before the text
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"{what} {path} is not UTF-8: {error}", remedy="Save it as UTF-8") from error
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"{what} {path} cannot be read: {error}") from error
    return text, parsed(text, f"{what} {path}")


def parsed(text: str, what: str) -> dict[str, Any]:
    """Return the tables in the text of a TOML file.

    Raises:
        ConfigurationError: It is not TOML.
    """
    import tomllib  # noqa: PLC0415 - 11 to 20 ms that only files need

    try:
        return tomllib.loads(text)
    except RecursionError as error:
        raise ConfigurationError(f"{what} nests its values too deeply") from error
    except ValueError as error:  # TOMLDecodeError, or an integer of thousands of digits
        raise ConfigurationError(f"{what} is not TOML: {error}") from error


@dataclass(frozen=True, slots=True)
class Check:
    """What a value must be."""

    accepts: Callable[[object], bool]
    """Whether a value will do."""
    must_be: str
    """What it must be, in words: "a number of dB, 0 to 100"."""


def number(low: float, high: float = math.inf) -> Callable[[object], bool]:
    """Return what tells whether a value is a finite number from `low` to `high`."""
    return lambda value: (
        isinstance(value, (int, float))
        and not isinstance(value, bool)
        and low <= value <= high
        and math.isfinite(value)
    )


def whole(low: float, high: float = math.inf) -> Callable[[object], bool]:
    """Return what tells whether a value is a whole number from `low` to `high`."""
    return lambda value: type(value) is int and low <= value <= high


def of_kind(kind: type) -> Callable[[object], bool]:
    """Return what tells whether a value is of exactly this type."""
    return lambda value: type(value) is kind


class Mistakes(list[str]):
    """The mistakes in a file, each with its place.

    Args:
        text: The text of the file, so that mistakes get their lines.
    """

    def __init__(self, text: str = "") -> None:
        super().__init__()
        self._lines = text.splitlines()
        self._places: dict[str, int] = {}

    def note(self, where: str | tuple[str, ...], what: str) -> None:
        """Note one: `where` is its key with the tables around it, such as ("links", "field", "paths")."""
        path = (where,) if isinstance(where, str) else where
        self.say(path, f"{'.'.join(path)}: {what}")

    def say(self, where: tuple[str, ...], sentence: str) -> None:
        """Note one in a sentence that names its key itself; its line comes before it."""
        line = self._line(where)
        self.append(f"{f'line {line}, ' if line else ''}{sentence}")

    def only(self, where: tuple[str, ...], table: Mapping[str, Any], known: Iterable[str]) -> None:
        """Note the keys of a table that nobody knows."""
        for key in table:
            if key not in known:
                self.note((*where, key), f"unknown key; known are {', '.join(known)}")

    def table(self, where: tuple[str, ...], tables: Mapping[str, Any], key: str) -> dict[str, Any]:
        """Return a table within a table; an empty one if it is not there or not a table."""
        value = tables.get(key, {})
        if isinstance(value, dict):
            return value
        self.note((*where, key), f"must be a table, not {value!r}")
        return {}

    def text(self, where: tuple[str, ...], table: Mapping[str, Any], key: str, default: str) -> str:
        """Return a text; `default` if it is not there or not text."""
        value = table.get(key, default)
        if isinstance(value, str):
            return value
        self.note((*where, key), f"must be text in quotes, not {value!r}")
        return default

    def checked(
        self, where: str, table: Mapping[str, Any], keys: Mapping[str, Check], known: Iterable[str] = ()
    ) -> dict[str, Any]:
        """Return what is right in a table, and note what is not; `known` names more keys than are looked at here."""
        found: dict[str, Any] = {}
        for key, value in table.items():
            if key not in keys:
                self.note(f"{where}.{key}", f"unknown key; known are {', '.join(known or keys)}")
            elif not keys[key].accepts(value):
                self.note(f"{where}.{key}", f"must be {keys[key].must_be}, not {value!r}")
            else:
                found[key] = value
        return found

    def _line(self, path: tuple[str, ...]) -> int:
        """Return the line that a key stands in, from 1; that of the table around it if it has none; 0 if neither."""
        if not self._places:
            self._places = _places(self._lines)
        name = ".".join(path)
        while name not in self._places and name:
            name = name.rpartition(".")[0]
        return self._places.get(name, 0)


_HEADER = re.compile(r"\s*\[(\[?)\s*([^\]]+?)\s*\]")
_KEY = re.compile(r"""\s*(?:"([^"]*)"|'([^']*)'|([\w.-]+))\s*=""")


def _places(lines: list[str]) -> dict[str, int]:
    """Return the line of each table and key, by its name; tables of a list are numbered from 0: `pairs[0]`."""
    places: dict[str, int] = {}
    counted: dict[str, int] = {}
    table = ""
    for number_, line in enumerate(lines, 1):
        if found := _HEADER.match(line):
            table = re.sub(r"\s*\.\s*", ".", re.sub("[\"']", "", found[2]))
            if found[1]:
                places.setdefault(table, number_)
                counted[table] = counted.get(table, -1) + 1
                table += f"[{counted[table]}]"
            places.setdefault(table, number_)
        elif found := _KEY.match(line):
            places.setdefault(f"{table}.{found[found.lastindex or 0]}".removeprefix("."), number_)
    return places
