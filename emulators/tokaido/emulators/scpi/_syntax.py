"""Syntax of program messages: units, headers with short and long mnemonics, parameters, channel lists.

IEEE 488.2-1992 chapter 7; SCPI-99 volume 1 chapter 6 (headers and path memory) and 8.3.2 (channel lists).
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeVar

from tokaido.emulators.scpi._status import ScpiError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_HEADER = re.compile(r"\*[A-Za-z][A-Za-z0-9_]*\??|:?[A-Za-z][A-Za-z0-9_]*(:[A-Za-z][A-Za-z0-9_]*)*\??")
_NODE = re.compile(r"(\[?)(:?)([A-Z]+(?:_[A-Z]+)*)([a-z]*)(#?)(\]?)")
_NUMBER = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]{1,5})?")
_CHANNELS = re.compile(r"\(\s*@(.*)\)")
MAX_CHANNELS: Final = 100_000
"""Most channels that one list may name; a range is not a way to fill the memory."""
MOST_REMEMBERED: Final = 100
"""Longest unit of a message, in characters, that is remembered with its parts."""


class MessageUnit(NamedTuple):
    """One program message unit: its header as it was sent, and its parameters."""

    header: str
    arguments: tuple[str, ...]


def split(text: str, separator: str) -> list[str]:
    """Split at a separator that stands in no string and in no parenthesis (IEEE 488.2, 7.7.5 and 7.7.7)."""
    if separator not in text:
        return [text]
    parts: list[str] = []
    start = depth = 0
    quote = ""
    for i, sign in enumerate(text):
        if quote:
            quote = "" if sign == quote else quote
        elif sign in "\"'":
            quote = sign
        elif sign == "(":
            depth += 1
        elif sign == ")":
            depth -= 1
        elif sign == separator and depth <= 0:
            parts.append(text[start:i])
            start = i + 1
    return [*parts, text[start:]]


def parse_unit(text: str) -> MessageUnit:
    """Return one unit of a message, which is not empty. Short ones are remembered: most are sent again and again.

    Raises:
        ScpiError: -102 the header is none, -103 no blank after it, -109 an empty parameter.
    """
    return _parse_again(text) if len(text) <= MOST_REMEMBERED else _parse(text)


def _parse(text: str) -> MessageUnit:
    text = text.strip()
    match = _HEADER.match(text)
    if match is None:
        raise ScpiError(-102, text[:40])
    header, rest = match.group(), text[match.end() :]
    if not rest:
        return MessageUnit(header, ())
    if not rest[0].isspace():
        raise ScpiError(-103 if rest[0] in "(,\"'" else -102, text[:40])
    arguments = tuple(argument.strip() for argument in split(rest, ","))
    if "" in arguments:
        raise ScpiError(-109, header)
    return MessageUnit(header, arguments)


_parse_again = lru_cache(maxsize=1024)(_parse)


def parse_channels(text: str, low: int, high: int) -> tuple[int, ...]:
    """Return the channels of a list such as `(@1,2,5:7)`, in its order; `(@)` has none.

    Raises:
        ScpiError: -171 it is not a channel list, -222 a channel does not lie in `low` to `high`.
    """
    match = _CHANNELS.fullmatch(text.strip())
    if match is None:
        raise ScpiError(-171 if text.startswith("(") else -104, text[:40])
    channels: list[int] = []
    for part in match.group(1).split(",") if match.group(1).strip() else ():
        ends = [end.strip() for end in part.split(":")]
        if len(ends) > 2 or not all(end.isascii() and end.isdigit() and len(end) < 10 for end in ends):
            raise ScpiError(-171, text[:40])
        first, last = int(ends[0]), int(ends[-1])
        if not (low <= first <= high and low <= last <= high):
            raise ScpiError(-222, f"channel {part.strip()}")
        channels.extend(range(first, last + 1) if first <= last else range(first, last - 1, -1))
        if len(channels) > MAX_CHANNELS:
            raise ScpiError(-222, "too many channels")
    return tuple(channels)


class Parameters:
    """What a command was called with: its parameters, and the numbers in its header.

    Every method raises `ScpiError` with the number that SCPI gives to the mistake, so a handler need not check.
    """

    __slots__ = ("suffixes", "texts")

    def __init__(self, texts: tuple[str, ...], suffixes: tuple[int, ...] = ()) -> None:
        self.texts = texts
        """The parameters as they were sent, without blanks around them."""
        self.suffixes = suffixes
        """The numbers of the header, one for each `#` of the pattern; 1 where none was sent."""

    def __len__(self) -> int:
        return len(self.texts)

    def text(self, index: int) -> str:
        """Return a string without its quotes, or character data as it was sent (IEEE 488.2, 7.7.5 and 7.7.1)."""
        text = self.texts[index]
        if text[:1] in ('"', "'"):
            if len(text) < 2 or text[-1] != text[0]:
                raise ScpiError(-104, text[:40])
            return text[1:-1].replace(text[0] * 2, text[0])
        return text

    def number(self, index: int, low: float, high: float) -> float:
        """Return a decimal number between `low` and `high` (IEEE 488.2, 7.7.2)."""
        if not _NUMBER.fullmatch(self.texts[index]):
            raise ScpiError(-104, self.texts[index][:40])
        value = float(self.texts[index])
        if not low <= value <= high:
            raise ScpiError(-222, self.texts[index][:40])
        return value

    def whole(self, index: int, low: int, high: int) -> int:
        """Return a number rounded to a whole one, between `low` and `high` (IEEE 488.2, 7.7.2.4)."""
        return round(self.number(index, low, high))

    def on(self, index: int) -> bool:
        """Return a boolean: ON, OFF or a number (SCPI-99 volume 1, 7.3)."""
        word = self.texts[index].upper()
        return word == "ON" or (word != "OFF" and self.whole(index, -(1 << 31), 1 << 31) != 0)

    def choice(self, index: int, *words: str) -> str:
        """Return which of the words was sent, short or long, as it is declared: `RESTore`."""
        sent = self.texts[index].upper()
        for word in words:
            if sent in (word.upper(), short(word)):
                return word
        raise ScpiError(-224, self.texts[index][:40])

    def channels(self, index: int, low: int, high: int) -> tuple[int, ...]:
        """Return the channels of a list, each between `low` and `high`."""
        return parse_channels(self.texts[index], low, high)

    def suffix(self, index: int, low: int, high: int) -> int:
        """Return a number of the header, between `low` and `high`."""
        if not low <= self.suffixes[index] <= high:
            raise ScpiError(-114)
        return self.suffixes[index]


def short(word: str) -> str:
    """Return the short form of a mnemonic that is declared as `SWITch`."""
    return "".join(sign for sign in word if not sign.islower()).upper()


class Command(NamedTuple):
    """A header pattern, how many parameters it takes, and the method that does it."""

    pattern: str
    least: int
    most: int
    method: str


Handler = TypeVar("Handler", bound="Callable[[Any, Parameters], str | None]")


def command(pattern: str, *arguments: int) -> Callable[[Handler], Handler]:
    """Declare the method below as the handler of a header pattern; a method may have several.

    Args:
        pattern: Such as `:OXC:SWITch:SIZE?`, `SYSTem:ERRor[:NEXT]?`, `ROUTe#:SCAN`: upper case is the short form, a
            part in brackets may be left out, `#` is a number that may be (see `Parameters.suffixes`).
        arguments: How many parameters it takes: one number, or the least and the most; default: none.
    """

    def mark(method: Handler) -> Handler:
        least, most = (arguments[0], arguments[-1]) if arguments else (0, 0)
        declared: list[Command] = getattr(method, "scpi_commands", [])
        vars(method)["scpi_commands"] = [*declared, Command(pattern, least, most, method.__name__)]
        return method

    return mark


class CommandTree:
    """Finds the command of a header: short or long form, any case, path memory (SCPI-99 volume 1, 6.2)."""

    def __init__(self, model_class: type) -> None:
        declared = dict(_declared(model_class))
        self._patterns = [(compile_pattern(pattern), entry) for pattern, entry in declared.items()]
        self._found: dict[str, tuple[Command, tuple[int, ...]]] = {}

    def find(self, header: str) -> tuple[Command, tuple[int, ...]]:
        """Return the command of a whole header, and the numbers in it.

        Raises:
            ScpiError: -113 there is none.
        """
        key = header.upper() if header[0] in "*:" else f":{header.upper()}"
        if key in self._found:
            return self._found[key]
        for pattern, entry in self._patterns:
            match = pattern.fullmatch(key)
            if match is not None:
                found = entry, tuple(int(number or 1) for number in match.groups())
                if len(self._found) < 4096:
                    self._found[key] = found
                return found
        raise ScpiError(-113, header[:40])


def _declared(model_class: type) -> Iterator[tuple[str, Command]]:
    for base in reversed(model_class.__mro__):
        for member in vars(base).values():
            for entry in getattr(member, "scpi_commands", ()):
                yield _rooted(entry.pattern), entry


def _rooted(pattern: str) -> str:
    return pattern if pattern[0] in "*:[" else f":{pattern}"


@lru_cache(1024)
def compile_pattern(pattern: str) -> re.Pattern[str]:
    """Return the expression that matches a header in upper case, with its leading colon."""
    pattern = _rooted(pattern)
    if pattern.startswith("*"):
        return re.compile(re.escape(pattern.upper()))
    parts: list[str] = []
    for optional, colon, head, tail, number, _ in _NODE.findall(pattern.removesuffix("?")):
        node = f"{colon}{head}" + (f"(?:{tail.upper()})?" if tail else "") + (r"([0-9]{1,6})?" if number else "")
        parts.append(f"(?:{node})?" if optional else node)
    return re.compile("".join(parts) + (r"\?" if pattern.endswith("?") else ""))
