"""Numbers on the command line: in plain digits, and within their limits."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, TypeVar

import typer

if TYPE_CHECKING:
    from collections.abc import Callable

N = TypeVar("N", int, float)
SECONDS = {"min": 60, "h": 3600, "d": 86_400}
"""What words of time stand for, in s."""


def number(low: float = -math.inf) -> Callable[[str | float], float]:
    """Return what reads a finite number of at least `low`."""

    def parse(text: str) -> float:
        from tokaido.hal.driver import real_in  # noqa: PLC0415 - help needs no hal

        return real_in(text)

    return _reader(parse, "float", "number", low)


def whole_number(low: float = -math.inf) -> Callable[[str | int], int]:
    """Return what reads a whole number of at least `low`."""

    def parse(text: str) -> int:
        from tokaido.hal.driver import whole_in  # noqa: PLC0415 - as above

        return whole_in(text)

    return _reader(parse, "int", "whole number", low)


def period() -> Callable[[str | float], float]:
    """Return what reads a time that divides a day, such as `15min`, `1h` or `1d`, in s."""

    def parse(text: str) -> float:
        from tokaido.hal.driver import whole_in  # noqa: PLC0415 - as above

        word = next((word for word in SECONDS if text.endswith(word)), "")
        seconds = whole_in(text.removesuffix(word)) * SECONDS[word] if word else 0
        if seconds <= 0 or SECONDS["d"] % seconds:
            raise ValueError
        return float(seconds)

    return _reader(parse, "period", "time that divides a day: 15min, 1h, 1d", 0)


def _reader(parse: Callable[[str], N], name: str, what: str, low: float) -> Callable[[str | N], N]:
    def read(text: str | N) -> N:
        try:
            value = parse(str(text))
        except ValueError:
            raise typer.BadParameter(f"{text!r} is not a {what}.") from None
        if value < low:
            raise typer.BadParameter(f"{text} is not in the range x>={low:g}.")
        return value

    read.__name__ = name  # what help calls it
    return read
