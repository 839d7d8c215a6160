"""Numbers where they enter: a user may give any kind of one, numpy's included, and a text has one way to write it."""

from __future__ import annotations

import math
import re
from numbers import Integral, Real
from typing import Final

from tokaido.hal._errors import RangeError, ValueTypeError

LARGEST: Final = 2**64 - 1
"""No device takes a larger whole number."""
LARGEST_EXACT: Final = 2**53
"""Up to here every whole number is a float."""
NO_VALUE: Final = (9.899e37, 9.911e37)
"""Where SCPI has the numbers that stand for none."""
SHORT: Final = 38
"""A number of fewer characters and without an exponent is smaller than those."""

_WHOLE: Final = re.compile(r"[+-]?[0-9]{1,400}")
REAL: Final = re.compile(r"[+-]?(?:[0-9]{1,400}(?:\.[0-9]{0,400})?|\.[0-9]{1,400})(?:[eE][+-]?[0-9]{1,4})?")


def real(value: object, what: str, *, finite: bool = True) -> float:
    """Return a number as a plain float: an int, a fraction, or a scalar of numpy will do.

    A scalar narrower than a float stands for its shortest decimal: `numpy.float32(0.6)` is 0.6.

    Args:
        value: What a user gave.
        what: What errors call it.
        finite: Whether it must be; a caller that compares it with limits need not ask for it.

    Raises:
        ValueTypeError: It is not a number; a flag and a text are none.
        RangeError: It is not finite.
    """
    if type(value) is float:
        number = value
    elif isinstance(value, bool) or not isinstance(value, Real):
        raise ValueTypeError(f"{what} takes a number, not {_shown(value)}", remedy="Nothing was sent")
    else:
        try:
            narrow = hasattr(value, "dtype") and not isinstance(value, float)  # numpy's, without importing it
            number = float(str(value)) if narrow else float(value)
        except OverflowError:
            number = math.inf
    if finite and not math.isfinite(number):
        raise RangeError(f"{what} takes a finite number, not {_short(value)}", remedy="Nothing was sent")
    return number


def whole(value: object, what: str) -> int:
    """Return a whole number as a plain int: an int, a float that is whole, or a scalar of numpy will do.

    Raises:
        ValueTypeError: It is not a whole number; a flag and a text are none.
        RangeError: It is not finite, or has more than 64 bit.
    """
    if isinstance(value, bool) or not isinstance(value, Real):
        number = None
    elif isinstance(value, Integral):
        number = int(value)
    else:
        number = int(value) if real(value, what).is_integer() else None  # type: ignore[call-overload]
    if number is None:
        raise ValueTypeError(f"{what} takes a whole number, not {_shown(value)}", remedy="Nothing was sent")
    if abs(number) > LARGEST:
        raise RangeError(f"{what} takes a whole number of at most 19 digits", remedy="Nothing was sent")
    return number


def flag(value: object, what: str) -> bool:
    """Return a flag as a plain bool; one of numpy will do.

    Raises:
        ValueTypeError: It is not a flag; 0 and 1 are none.
    """
    if isinstance(value, bool):
        return value
    if type(value).__module__ == "numpy" and type(value).__name__ in ("bool", "bool_"):
        return bool(value)
    raise ValueTypeError(f"{what} takes a flag, not {_shown(value)}", remedy="Nothing was sent")


def is_no_value(text: str) -> bool:
    """Return whether a text is what SCPI-99 (volume 1, 7.2.1.4 and 7.2.1.5) has an instrument say without a number.

    9.91E37 is not a number, 9.9E37 and -9.9E37 are the infinities; each also comes as a word, or rounded to 32 bit.
    """
    if text[-1:].isdigit() and len(text) < SHORT and "E" not in text and "e" not in text:
        return False  # a number that is smaller, as nearly all are: one look at the text is enough
    word = text.strip(" \t")
    if REAL.fullmatch(word):
        return NO_VALUE[0] <= abs(float(word)) <= NO_VALUE[1]
    return word.upper().lstrip("+-") in ("NAN", "INF", "NINF", "INFINITY")


def real_in(text: str) -> float:
    """Return the number that a text writes in ASCII digits, with a point or an exponent; blanks around it may be.

    Raises:
        ValueError: It is not one: underscores, other digits, words and infinities are none.
    """
    number = float(text) if REAL.fullmatch(text.strip(" \t")) else math.nan
    if not math.isfinite(number):
        raise ValueError(f"{text[:80]!r} is not a number")
    return number


def whole_in(text: str) -> int:
    """Return the whole number that a text writes: `12`, or, as some devices do, `12.0` or `1.2E1`.

    Raises:
        ValueError: It is not one.
    """
    if _WHOLE.fullmatch(text.strip(" \t")):
        return int(text)
    number = real_in(text)
    if not number.is_integer() or abs(number) > LARGEST_EXACT:
        raise ValueError(f"{text[:80]!r} is not a whole number")
    return int(number)


def _shown(value: object) -> str:
    return f"{type(value).__name__} {_short(value)}"


def _short(value: object) -> str:
    try:
        return repr(value)[:60]
    except Exception:  # noqa: BLE001 - a value that cannot even be shown, such as an int of 5000 digits
        return "a value that cannot be shown"
