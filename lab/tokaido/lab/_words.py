"""Values as libraries take them that know numbers, flags and text: a word is its text."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Any

from tokaido.hal import RangeError

if TYPE_CHECKING:
    from tokaido.hal.driver import Measured


def plain(value: object) -> Any:
    """Return a value with a word as its text."""
    return str(value.value) if isinstance(value, Enum) else value


def words_of(kind: type[Any]) -> list[str]:
    """Return the words that a value of this kind can be; none if it is not a word."""
    return [str(member.value) for member in kind] if issubclass(kind, Enum) else []


def declared(value: Measured[Any], given: object) -> Any:
    """Return what is given for a value as its own kind: the word of a text; the rest as it is.

    Raises:
        RangeError: There is no such word; nothing was sent.
    """
    if not issubclass(value.kind, Enum) or isinstance(given, value.kind):
        return given
    for member in value.kind:
        if str(member.value) == given:
            return member
    raise RangeError(f"{value.name} takes {', '.join(words_of(value.kind))}, not {given!r}", remedy="Nothing was sent")


def label_of(path: str) -> str:
    """Return what a person calls a value: `detectors[0].dead_time` is "Detectors[0] dead time"."""
    words = path.replace("_", " ").replace(".", " ")
    return words[:1].upper() + words[1:]


def key_of(path: str) -> str:
    """Return a path as a name of letters, digits and underscores: `detectors_0_dead_time`."""
    return path.replace("[", "_").replace("]", "").replace(".", "_")
