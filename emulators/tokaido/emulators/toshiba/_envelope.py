"""Ids and seals of the console's lines, taken off and put on again (docs/protocols/toshiba.md, section 3)."""

from __future__ import annotations

import re
from typing import Final

from tokaido.emulators.toshiba._console import seal

_REQUEST: Final = re.compile(rb"\x18*#([0-9A-F]{6}) ([^*]*)\*([0-9A-F]{8})[\r\n]+")
_REPLY: Final = re.compile(rb"=([0-9A-F]{6})( [^*]*)\*([0-9A-F]{8})([\r\n]+)")
_IDENTITY: Final = re.compile(rb"=[0-9A-F]{6} OK [^,*]*,[^,*]*,([^,*]+),[^,*]*,TQC1\*")


class ConsoleEnvelope:
    """A request's id, and the seal that the serial number goes into."""

    def __init__(self) -> None:
        self._serial_number = ""

    def hear(self, line: bytes) -> None:
        """Learn the serial number from the reply to `IDN?`."""
        if found := _IDENTITY.match(line):
            self._serial_number = found[1].decode("ascii")

    def opened(self, sent: bytes) -> tuple[bytes, str]:
        """Return command and argument, and the id; a line whose seal is wrong says nothing but itself."""
        found = _REQUEST.fullmatch(sent)
        if found is None or self._sealed(_body(found), found[3]) is None:
            return sent, ""
        return found[2], found[1].decode("ascii")

    def closed(self, reply: bytes, mark: str, now: str) -> bytes:
        """Return a reply under another id and its seal; one that was spoilt keeps what it says, and stays spoilt."""
        head = f"={mark} ".encode("ascii")
        if not mark or not reply.startswith(head):
            return reply  # another line's, or one whose id was spoilt
        found = _REPLY.fullmatch(reply)
        rest = found[2].decode("latin-1") if found else ""
        whole = self._sealed(f"={mark}{rest}", found[3]) if found else None
        if found is None or whole is None:
            return f"={now} ".encode("ascii") + reply.removeprefix(head)
        return f"={now}{rest}*{seal(whole, f'={now}{rest}')}".encode("latin-1") + found[4]

    def _sealed(self, body: str, given: bytes) -> str | None:
        """Return the serial number that a seal was made with, perhaps none of its characters; None if it is wrong."""
        numbers = ("", self._serial_number)
        return next((number for number in numbers if seal(number, body).encode("ascii") == given), None)


def _body(request: re.Match[bytes]) -> str:
    return f"#{request[1].decode('ascii')} {request[2].decode('latin-1')}"
