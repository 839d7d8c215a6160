"""The console's line protocol, TQC1: docs/protocols/toshiba.md, sections 1 to 5."""

from __future__ import annotations

import itertools
import re
import zlib
from collections import deque
from os import urandom
from typing import TYPE_CHECKING, Final

from tokaido.hal import AlarmEvent, DeviceError, NoDataError, ProtocolError, RefusedError, Severity, StateError
from tokaido.hal.driver import NOT_MINE, NotMine, Request

if TYPE_CHECKING:
    from collections.abc import Callable

PROTOCOL: Final = "TQC1"
CANCEL: Final = "\x18"
"""Throws away half a line that somebody left behind (section 1)."""
MAX_REQUEST: Final = 256
MAX_LINE: Final = 2048
KEPT_EVENTS: Final = 1000

_REPLY = re.compile(r"=([0-9A-F]{6}) (?:OK(?: (.*))?|ERR ([0-9]+) ([A-Z_]+) ?(.*))")
_ALARM = re.compile(r"!([0-9A-F]{6}) (RAISED|CLEARED) ([A-Z0-9_]+) ([A-Z]+) ?(.*)")

_ERRORS: Final[dict[str, type[DeviceError]]] = {
    "RANGE": RefusedError,
    "STATE": StateError,
    "NO_DATA": NoDataError,
    "REFUSED": RefusedError,
}


class Console:
    """Builds requests, recognises their replies and keeps the alarm lines that come between.

    Every line is sealed with the serial number of the unit, so a reply of another box never checks (section 3).

    Args:
        nonces: Source of n bytes for the id of the first request: no reply to an earlier program's may match.
    """

    correlated = True
    terminator = b"\n"
    max_frame = MAX_LINE + 2

    def __init__(self, nonces: Callable[[int], bytes] = urandom) -> None:
        self.serial_number = ""
        """The unit's; empty until it has said who it is."""
        self.events: deque[AlarmEvent] = deque(maxlen=KEPT_EVENTS)
        self.events_lost = 0
        """Alarm lines that were sent and never arrived whole, by their sequence numbers."""
        self._last_sequence: int | None = None
        self._ids = itertools.count(int.from_bytes(nonces(3), "big"))  # two threads never get the same one

    def request(self, text: str, *, repeatable: bool) -> Request[bytes, str]:
        """Return the request that says `text` ("LAS:POW?", "KEY START").

        Raises:
            ProtocolError: The text cannot be said in one line of this protocol.
        """
        if not text or len(text) + 17 > MAX_REQUEST or not text.isascii() or not text.isprintable() or "*" in text:
            raise ProtocolError(
                f"{text[:80]!r} is not a command of this protocol",
                remedy=f"Printable ASCII without '*', at most {MAX_REQUEST - 17} characters",
            )
        identifier = f"{next(self._ids) % (1 << 24):06X}"
        seal = "" if text == "IDN?" else self.serial_number
        line = f"#{identifier} {text}"

        def accept(frame: bytes) -> str | NotMine:
            return self._accept(frame, identifier, seal, text)

        return Request(
            text=text,
            payload=f"{CANCEL}{line}*{_seal(seal, line)}\r".encode("ascii"),
            accept=accept,
            repeatable=repeatable,
        )

    def unsolicited(self, frame: bytes) -> None:
        """Keep an alarm line; drop anything else that arrives unasked."""
        line = _line(frame)
        if line.startswith("!"):
            self._alarm(line)

    def forget_sequence(self) -> None:
        """Begin to count alarm lines again: the unit may have been switched off meanwhile."""
        self._last_sequence = None

    def _accept(self, frame: bytes, identifier: str, seal: str, text: str) -> str | NotMine:
        line = _line(frame)
        if not line.startswith(f"={identifier} "):
            return NOT_MINE  # the transport hands it to `unsolicited`
        body = _open(seal, line)
        reply = _REPLY.fullmatch(body) if body is not None else None
        if reply is None:
            raise ProtocolError("the reply was garbled, cut, or sealed by another unit")
        data, number, name, why = reply[2], reply[3], reply[4], reply[5]
        if name is None:
            return data or ""
        kind = _ERRORS.get(name, DeviceError)
        raise kind(
            f"the unit refused: {name}, {why}" if why else f"the unit refused: {name}",
            code=f"{number} {name}",
            command=text,
        )

    def _alarm(self, line: str) -> None:
        body = _open(self.serial_number, line)
        found = _ALARM.fullmatch(body) if body is not None else None
        if found is None or found[4] not in Severity.__members__:
            return
        sequence = int(found[1], 16)
        if self._last_sequence is not None:
            self.events_lost += (sequence - self._last_sequence - 1) % (1 << 24)
        self._last_sequence = sequence
        self.events.append(
            AlarmEvent(
                sequence=sequence,
                raised=found[2] == "RAISED",
                code=found[3],
                severity=Severity(found[4]),
                text=found[5],
            )
        )


def _line(frame: bytes) -> str:
    return frame.decode("ascii", errors="replace").strip("\r\n\0")


def _seal(serial_number: str, line: str) -> str:
    return f"{zlib.crc32((serial_number + line).encode('ascii')):08X}"


def _open(serial_number: str, line: str) -> str | None:
    """Return the line without its seal, or None if the seal does not match."""
    body, star, seal = line.rpartition("*")
    if not star or not body.isascii() or _seal(serial_number, body) != seal:
        return None
    return body
