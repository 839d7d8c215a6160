"""Ids and seals of messages, taken off and put on again (docs/protocols/nec.md, section 2)."""

from __future__ import annotations

import re
from typing import Final

from tokaido.emulators.nec._seal import checksum

_REQUEST: Final = re.compile(rb"SEAL\? #H([0-9A-F]{6}),#H([0-9A-F]{8});([^\r\n]*)[\r\n]+")
_REPLY: Final = re.compile(rb"#H([0-9A-F]{6}),#H([0-9A-F]{8}),([^\r\n]*)([\r\n]+)")
_IDENTITY: Final = re.compile(r'0,"No error";NEC-STYLE,[^,]*,([^,]+),[^,]*')


class SealEnvelope:
    """A message's id, and the seal that the serial number goes into."""

    def __init__(self) -> None:
        self._serial_number = ""

    def hear(self, line: bytes) -> None:
        """Learn the serial number from the reply to `*IDN?`."""
        found = _REPLY.fullmatch(line)
        if found and (named := _IDENTITY.fullmatch(found[3].decode("latin-1"))):
            self._serial_number = named[1]

    def opened(self, sent: bytes) -> tuple[bytes, str]:
        """Return what is under the seal, and the id; a message whose seal is wrong says nothing but itself."""
        found = _REQUEST.fullmatch(sent)
        if found is None:
            return sent, ""
        mark, text = found[1].decode("ascii"), found[3].decode("latin-1")
        return (sent, "") if self._sealed(mark, text, found[2]) is None else (found[3], mark)

    def closed(self, reply: bytes, mark: str, now: str) -> bytes:
        """Return a reply under another id and its seal; one that was spoilt keeps what it says, and stays spoilt."""
        head = f"#H{mark},".encode("ascii")
        if not mark or not reply.startswith(head):
            return reply  # another message's, or one whose id was spoilt
        found = _REPLY.fullmatch(reply)
        body = found[3].decode("latin-1") if found else ""
        whole = self._sealed(mark, body, found[2]) if found else None
        if found is None or whole is None:
            return f"#H{now},".encode("ascii") + reply.removeprefix(head)
        return f"#H{now},#H{checksum(whole, now, body)},{body}".encode("latin-1") + found[4]

    def _sealed(self, mark: str, rest: str, given: bytes) -> str | None:
        """Return the serial number that a seal was made with, perhaps none of its characters; None if it is wrong."""
        numbers = ("", self._serial_number)
        return next((number for number in numbers if checksum(number, mark, rest).encode("ascii") == given), None)
