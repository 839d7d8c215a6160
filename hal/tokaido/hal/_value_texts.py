"""Values as text, as devices write and take them, and what users give as plain values."""

from __future__ import annotations

from enum import Enum
from typing import Final, TypeVar, cast

from tokaido.hal._errors import NoDataError, ProtocolError, ValueTypeError
from tokaido.hal._numbers import NO_VALUE, REAL, flag, is_no_value, real, real_in, whole, whole_in

T = TypeVar("T")
N = TypeVar("N", int, float)

NO_YES: Final = ("0", "1")
ORDINARY: Final = NO_VALUE[0]
"""A number nearer to 0 than this is itself, whatever its device."""
LARGEST_WHOLE: Final = (1 << 63) - 1
"""A whole number beyond it is none: it fits no database, and no float stands for it."""


def decode(kind: type[T], text: str, name: str, words: tuple[str, str] = NO_YES) -> T:
    """Return the value of `kind` that a device's text stands for.

    Raises:
        NoDataError: It is what SCPI has for a number that there is not: 9.91E37, 9.9E37, -9.9E37 or NAN.
        ProtocolError: The text is not of this kind, or not a finite number.
    """
    if kind is float and REAL.fullmatch(text) and -ORDINARY < (plain := float(text)) < ORDINARY:
        return plain  # type: ignore[return-value]  # pyright: ignore[reportReturnType]  # `cast` is a call
    if kind in (int, float) and is_no_value(text):
        raise NoDataError(f"{name}: the device has no value, it said {text[:80]!r}", code=text[:80].strip())
    try:
        if kind is bool:
            return cast("T", {words[0]: False, words[1]: True}[text])
        if kind is int:
            number = whole_in(text)
            if abs(number) > LARGEST_WHOLE:
                raise ValueError(text)
            return cast("T", number)
        if kind is float:
            return cast("T", real_in(text))
        return kind(text)  # type: ignore[call-arg]  # str, or an Enum by value
    except (ValueError, KeyError) as error:
        raise ProtocolError(f"{name}: the device said {text[:80]!r}, which is not {kind_name(kind)}") from error


def not_negative(kind: type[N], text: str, name: str) -> N:
    """Return the number of `kind` that a device's text stands for and that cannot lie below 0: an age, a count.

    Raises:
        ProtocolError: The text is not a finite number of this kind, or it lies below 0.
    """
    try:
        number = decode(kind, text, name)
    except NoDataError as error:  # there is always an age, and always a count
        raise ProtocolError(error.what) from error
    if number < 0:
        raise ProtocolError(f"{name}: the device said {text[:80]!r}, which lies below 0")
    return number


def encode(value: object) -> str:
    """Return the text by which a value is sent: `1`, `12.5`, `OPEN`. Floats keep every digit that matters."""
    if isinstance(value, bool):
        return "1" if value else "0"
    if isinstance(value, Enum):
        return str(value.value)
    if isinstance(value, float):
        return repr(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)
    return str(value)


def normalised(kind: type[T], value: object, name: str, *, finite: bool) -> T:
    """Return what a user gave as a plain value of `kind`."""
    if kind is float:
        return cast("T", real(value, name, finite=finite))
    if kind is int:
        return cast("T", whole(value, name))
    if kind is bool:
        return cast("T", flag(value, name))
    if not isinstance(value, kind):
        raise ValueTypeError(f"{name} takes {kind_name(kind)}, not {type(value).__name__} {value!r}")
    return cast("T", str.__str__(value)) if kind is str and isinstance(value, str) else value


def kind_name(kind: type[object]) -> str:
    """Return what errors call a kind of value: `a number`, `one of OPEN, CLOSED`."""
    if issubclass(kind, Enum):
        return "one of " + ", ".join(str(member.value) for member in kind)
    return {bool: "a flag", int: "a whole number", float: "a number", str: "text"}.get(kind, kind.__name__)
