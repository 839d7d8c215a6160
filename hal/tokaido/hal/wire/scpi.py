"""SCPI-99: channel lists, the error queue's replies, and how a reply to several queries falls apart."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from tokaido.hal._errors import ProtocolError

if TYPE_CHECKING:
    from collections.abc import Iterable

LONGEST_LIST = 65_536
"""More channels than this in one list are an error: a range is written with few bytes."""
LARGEST_CHANNEL = 999_999_999
_RANGE = re.compile(r"\s*([0-9]{1,9})\s*(?::\s*([0-9]{1,9})\s*)?")
_ERROR = re.compile(r"\s*([+-]?[0-9]{1,9})\s*,\s*(?:\"((?:[^\"]|\"\")*)\"|([^\",]*))\s*(?:,|$)")


def encode_channels(channels: Iterable[int]) -> str:
    """Return a channel list such as "(@1,2,17)". Ranges are never written, since some instruments read none.

    Raises:
        ValueError: A channel is negative, or has more than nine digits.
    """
    listed = list(channels)
    if any(not 0 <= channel <= LARGEST_CHANNEL for channel in listed):
        raise ValueError(f"channels lie in 0 to {LARGEST_CHANNEL}")
    return f"(@{','.join(map(str, listed))})"


def decode_channels(text: str) -> tuple[int, ...]:
    """Return the channels of a list such as "(@1,2,5:7)", in its order; "(@)" is empty, "7:5" counts down.

    SCPI-99 volume 1, 8.3.2.

    Raises:
        ProtocolError: It is not a channel list, or one of a matrix or of modules, or too long.
    """
    stripped = text.strip()
    if not (stripped.startswith("(@") and stripped.endswith(")")):
        raise ProtocolError(f"not a channel list: {text[:60]!r}")
    body = stripped[2:-1].strip()
    channels: list[int] = []
    for item in body.split(",") if body else ():
        found = _RANGE.fullmatch(item)
        if found is None:
            raise ProtocolError(f"not a channel or a range of them: {item[:60]!r}")
        first = int(found[1])
        last = first if found[2] is None else int(found[2])
        if len(channels) + abs(last - first) >= LONGEST_LIST:
            raise ProtocolError(f"a channel list of more than {LONGEST_LIST} channels")
        channels += range(first, last + 1) if last >= first else range(first, last - 1, -1)
    return tuple(channels)


def decode_errors(text: str) -> tuple[tuple[int, str], ...]:
    """Return the entries, code and text, of a reply to `:SYST:ERR?` or `:SYST:ERR:ALL?`; none if it says 0 alone.

    Every form seen in the field is read: `0, "No error"`, `+0,"No error"`, `+0, No Error`, a doubled quotation mark
    in a text, several entries in a row.

    Raises:
        ProtocolError: It is not such a reply.
    """
    entries: list[tuple[int, str]] = []
    position = 0
    while position < len(text):
        found = _ERROR.match(text, position)
        if found is None:
            raise ProtocolError(f"not an entry of an error queue: {text[position : position + 60]!r}")
        said = found[3] if found[2] is None else found[2].replace('""', '"')
        entries.append((int(found[1]), said.strip()))
        position = found.end()
    if not entries:
        raise ProtocolError("an empty reply of the error queue")
    return tuple(entry for entry in entries if entry[0] != 0)


def is_error(text: str) -> bool:
    """Return whether a reply is one entry of an error queue whose text is in quotes: `-113,"Undefined header"`."""
    found = _ERROR.fullmatch(text.strip())
    return found is not None and found[2] is not None


def split_replies(line: str) -> list[str]:
    """Return the replies to the queries of one message, which semicolons part (IEEE 488.2, 8.4.1), quoted ones kept.

    Raises:
        ProtocolError: A quotation mark is missing, so that the line was cut.
    """
    if '"' not in line:
        return line.split(";")
    if line.count('"') % 2:
        raise ProtocolError(f"a text that does not end: {line[-60:]!r}")
    replies = [""]
    for index, part in enumerate(line.split('"')):
        if index % 2:  # within quotation marks
            replies[-1] += f'"{part}"'
        else:
            first, *others = part.split(";")
            replies[-1] += first
            replies += others
    return replies
