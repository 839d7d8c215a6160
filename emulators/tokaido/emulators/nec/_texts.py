"""How values look on the wire: numbers, words, quoted texts, readings with their age."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from tokaido.emulators.scpi import ScpiError

if TYPE_CHECKING:
    from tokaido.emulators.units import UnitReading

_WORD: Final = re.compile("[A-Z][A-Z0-9_]*")
NO_VALUE: Final = "9.91E37"
"""What stands for a value that cannot be given (SCPI-99 volume 1, 7.2.1.5: not a number)."""


def number(value: float, digits: str = ".10g") -> str:
    """Return a number, never "-0"."""
    shown = format(value, digits)
    return shown.removeprefix("-") if float(shown) == 0 else shown


def quoted(text: str) -> str:
    """Return a text in quotation marks, those inside doubled (IEEE 488.2, 8.7.8)."""
    return '"' + text.replace('"', '""') + '"'


def reading_text(reading: UnitReading, digits: str) -> str:
    """Return a reading: `0.0312`, `0.0312,12.5` if it is 12.5 s old, `OPEN`; other text is quoted."""
    if isinstance(reading.value, str):
        shown = reading.value if _WORD.fullmatch(reading.value) else quoted(reading.value)
    else:
        shown = number(reading.value, digits)
    return shown if reading.age_s is None else f"{shown},{reading.age_s:.1f}"


def text_of(argument: str, called: str) -> str:
    """Return what stands between the quotation marks of a parameter.

    Raises:
        ScpiError: -104 it is not a text.
    """
    mark = argument[:1]
    if mark not in ('"', "'") or len(argument) < 2 or argument[-1] != mark:
        raise ScpiError(-104, f"{called} takes a text in quotation marks")
    return argument[1:-1].replace(mark * 2, mark)
