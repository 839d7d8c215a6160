"""The console's line protocol, TQC1: docs/protocols/toshiba.md, sections 1 to 5."""

from __future__ import annotations

import itertools
import re
import zlib
from os import urandom
from typing import TYPE_CHECKING, Final

from tokaido.hal import (
    NS_PER_S,
    SYSTEM_CLOCK,
    AlarmEvent,
    DeviceError,
    NoDataError,
    ProtocolError,
    RefusedError,
    Severity,
    StateError,
)
from tokaido.hal.driver import NOT_MINE, AlarmLedger, NotMine, Request

if TYPE_CHECKING:
    from collections.abc import Callable

    from tokaido.hal import Alarm

PROTOCOL: Final = "TQC1"
CANCEL: Final = "\x18"
"""Throws away half a line that somebody left behind (section 1)."""
MAX_REQUEST: Final = 256
MAX_LINE: Final = 2048
SEQUENCES: Final = 1 << 24
"""Numbers of alarm lines: six hexadecimal digits."""

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
        now_ns: Monotonic time in ns.
    """

    correlated = True
    terminator = b"\n"
    max_frame = MAX_LINE + 2

    def __init__(
        self, nonces: Callable[[int], bytes] = urandom, now_ns: Callable[[], int] = SYSTEM_CLOCK.monotonic_ns
    ) -> None:
        self.serial_number = ""
        """The unit's; empty until it has said who it is."""
        self.alarms = AlarmLedger(wraps_at=SEQUENCES)
        """What the alarm lines told."""
        self._now_ns = now_ns
        self._heard_ns = now_ns()
        self._unheard_since_ns = self._heard_ns
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

    def interrupted(self) -> None:
        """Note that the connection was gone: alarm lines since the last line that was heard are lost."""
        if self.alarms.complete:  # else an earlier gap was not caught up with yet
            self._unheard_since_ns = self._heard_ns
        self.alarms.interrupted()

    def compare(self, last: str, alarms: tuple[Alarm, ...]) -> None:
        """Catch up with what `ALM?` says, where lines were lost."""
        number = int(last, 16)
        if not self.alarms.complete:
            self.alarms.compare(number, alarms, (self._now_ns() - self._unheard_since_ns) / NS_PER_S)

    def _accept(self, frame: bytes, identifier: str, seal: str, text: str) -> str | NotMine:
        line = _line(frame)
        if not line.startswith(f"={identifier} "):
            return NOT_MINE  # the transport hands it to `unsolicited`
        body = _open(seal, line)
        reply = _REPLY.fullmatch(body) if body is not None else None
        if reply is None:
            raise ProtocolError("the reply was garbled, cut, or sealed by another unit")
        self._heard_ns = self._now_ns()
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
        if self.alarms.complete:
            self._unheard_since_ns = self._heard_ns  # should this line show that others before it are missing
        self._heard_ns = self._now_ns()
        self.alarms.announced(
            AlarmEvent(
                sequence=int(found[1], 16),
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
