"""Sealed messages: what shows a lost digit, another box at the end of the cable, or a request that came twice.

docs/protocols/nec.md section 2. A seal is not cryptography: it is made of what everybody may know.
"""

from __future__ import annotations

import re
import zlib
from collections import deque
from typing import TYPE_CHECKING, Final, NamedTuple

from tokaido.emulators.scpi import ScpiError, event_bit

if TYPE_CHECKING:
    from tokaido.emulators.scpi import ScpiCore

REMEMBERED: Final = 16
MEMORY_NS: Final = 30_000_000_000
MAX_REPLY: Final = 65_536
"""Longest reply in characters."""
HEAD_ROOM: Final = 512
"""Characters of a reply that are kept for id, seal, code and text."""
IDENTIFY: Final = "*IDN?"
_FIRST_HEADER = re.compile(r"[ \t]*:?SEAL\?(?![A-Z0-9_:])", re.IGNORECASE)
_SEALED = re.compile(r"[ \t]*:?SEAL\?[ \t]+#H([0-9A-F]{6})[ \t]*,[ \t]*#H([0-9A-F]{8})[ \t]*;(.*)", re.DOTALL)
_UPPER = re.compile(r"[ \t]*:?SEAL\?", re.IGNORECASE)
_FOREIGN = re.compile(r"[^ -~]")


class _Remembered(NamedTuple):
    at_ns: int
    id: str
    rest: str
    reply: str


class SealedMessages:
    """Takes the messages that begin with `SEAL?`.

    Args:
        panel: The instrument that carries out what is under the seal, and sends the reply.
        serial_number: Part of every seal.
    """

    def __init__(self, panel: ScpiCore, serial_number: str) -> None:
        self._panel = panel
        self._serial_number = serial_number
        self._memory: deque[_Remembered] = deque(maxlen=REMEMBERED)

    def take(self, message: str) -> bool:
        """Take a message if its first header is `SEAL?`, and return whether it was; one of another form is -104."""
        if not _FIRST_HEADER.match(message):
            return False
        found = _SEALED.fullmatch(_UPPER.sub("SEAL?", message, count=1))
        if found is None:
            self._panel.error(-104, "SEAL? takes #H and six digits, #H and eight digits, and a message")
            return True
        self._panel.send_reply(self._answer(*found.groups()))
        return True

    def _answer(self, request: str, seal: str, rest: str) -> str:
        serial_number = "" if rest == IDENTIFY else self._serial_number
        if seal != checksum(serial_number, request, rest):
            return self._refuse(self._serial_number, request, 110, "Seal does not match")
        now_ns = self._panel.now_ns
        for remembered in self._memory:
            if remembered.id == request and now_ns - remembered.at_ns <= MEMORY_NS:
                if remembered.rest == rest:
                    return remembered.reply
                return self._refuse(serial_number, request, 115, "Id reused")
        error = ScpiError(-101) if _FOREIGN.search(rest) else None
        replies: list[str] = []
        if error is not None:
            self._panel.status.event |= event_bit(error.code)
        else:
            replies, error = self._panel.carry_out(rest, MAX_REPLY - HEAD_ROOM)
        reply = sealed_reply(serial_number, request, error, replies)
        self._memory.append(_Remembered(now_ns, request, rest, reply))
        return reply

    def _refuse(self, serial_number: str, request: str, code: int, text: str) -> str:
        self._panel.status.event |= event_bit(code)
        return sealed_reply(serial_number, request, ScpiError(code, text=text), [])


def checksum(serial_number: str, request: str, rest: str) -> str:
    """Return the seal of what stands behind the first separator that follows it: a CRC-32 (ISO-HDLC)."""
    return f"{zlib.crc32((serial_number + request + rest).encode('latin-1')):08X}"


def sealed_reply(serial_number: str, request: str, error: ScpiError | None, replies: list[str]) -> str:
    """Return a reply under its seal; its text has 255 characters at most, as that of an error query."""
    code, text = (0, "No error") if error is None else (error.code, _FOREIGN.sub("?", error.message)[:255])
    rest = ";".join([f"{code}," + '"' + text.replace('"', '""') + '"', *replies])
    return f"#H{request},#H{checksum(serial_number, request, rest)},{rest}"
