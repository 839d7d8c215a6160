"""Numbers on the command line: in plain digits, and within their limits."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import typer

from tokaido.hal.driver import real_in, whole_in

if TYPE_CHECKING:
    from collections.abc import Callable


def number(low: float = -math.inf) -> Callable[[str | float], float]:
    """Return what reads a finite number of at least `low`."""

    def float_(text: str | float) -> float:
        try:
            value = real_in(str(text))
        except ValueError:
            raise typer.BadParameter(f"{text!r} is not a number.") from None
        if value < low:
            raise typer.BadParameter(f"{text} is not in the range x>={low:g}.")
        return value

    float_.__name__ = "float"  # what help calls it
    return float_


def whole_number(low: float = -math.inf) -> Callable[[str | int], int]:
    """Return what reads a whole number of at least `low`."""

    def int_(text: str | int) -> int:
        try:
            value = whole_in(str(text))
        except ValueError:
            raise typer.BadParameter(f"{text!r} is not a whole number.") from None
        if value < low:
            raise typer.BadParameter(f"{text} is not in the range x>={low:g}.")
        return value

    int_.__name__ = "int"
    return int_
