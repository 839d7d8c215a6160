"""Sealed messages of the control port, NQC1: docs/protocols/nec.md, section 2."""

from __future__ import annotations

import itertools
import re
import zlib
from os import urandom
from typing import TYPE_CHECKING, Final

from tokaido.hal import DeviceError, ProtocolError, RefusedError, StateError
from tokaido.hal.driver import NOT_MINE, NotMine, Request, device_error

if TYPE_CHECKING:
    from collections.abc import Callable

MAX_MESSAGE: Final = 4096
MAX_REPLY: Final = 65_536
OVERHEAD: Final = len("SEAL? #H000000,#H00000000;")
WHO: Final = "*IDN?"
"""The one message that is sealed without a serial number, and so is its reply."""
MISMATCH, REUSED, STATE, REFUSED = 110, 115, 130, 132

_REPLY = re.compile(r'(-?[0-9]{1,5}),"((?:[^"]|"")*)"(?:;(.*))?')


class SealedMessages:
    """Builds sealed messages and recognises their replies.

    Every message is sealed with the serial number of the unit, so a reply of another box never checks. A frame with
    another id is not the reply; one with the right id and a wrong seal is a `ProtocolError`, never a value.

    Args:
        nonces: Source of n bytes for the id of the first message: no reply to an earlier program's may match.
    """

    correlated = True
    terminator = b"\n"
    max_frame = MAX_REPLY + 1  # a carriage return is none of the characters

    def __init__(self, nonces: Callable[[int], bytes] = urandom) -> None:
        self.serial_number = ""
        """The unit's; empty until it has said who it is."""
        self._ids = itertools.count(int.from_bytes(nonces(3), "big"))  # two threads never get the same one

    def request(self, text: str, *, repeatable: bool) -> Request[bytes, str]:
        """Return the request that says `text` ("CHAN1:POW?", "KEY:STAR"); its value is what the unit replied to it.

        Raises:
            ProtocolError: The text cannot be said in one message.
        """
        if not text or len(text) + OVERHEAD > MAX_MESSAGE or not text.isascii() or not text.isprintable():
            raise ProtocolError(
                f"{text[:80]!r} is not a message of this protocol",
                remedy=f"Printable ASCII, at most {MAX_MESSAGE - OVERHEAD} characters",
            )
        identifier = f"{next(self._ids) % (1 << 24):06X}"
        serial_number = "" if text == WHO else self.serial_number
        message = f"SEAL? #H{identifier},#H{seal(serial_number, identifier, text)};{text}\n"

        def accept(frame: bytes) -> str | NotMine:
            line = frame.decode("ascii", errors="replace").removesuffix("\r")
            if not line.startswith(f"#H{identifier},"):
                return NOT_MINE  # a late reply, another program's, or noise
            return _opened(line, serial_number, identifier, text, repeatable=repeatable)

        return Request(text=text, payload=message.encode("ascii"), accept=accept, repeatable=repeatable)

    def unsolicited(self, frame: bytes) -> None:
        """Drop the frame: the unit speaks when it is asked."""


def seal(serial_number: str, identifier: str, rest: str) -> str:
    """Return the CRC-32 that seals a message: eight hexadecimal digits."""
    return f"{zlib.crc32((serial_number + identifier + rest).encode('ascii')):08X}"


def _opened(line: str, serial_number: str, identifier: str, text: str, *, repeatable: bool) -> str:
    """Return the replies in a sealed reply, without its envelope.

    Raises:
        ProtocolError: The seal does not match, so that nothing is known; or the unit got a spoilt question.
        DeviceError: The unit's own error.
    """
    head, body = line[:20], line[20:]  # "#H00A1F0,#H6FB0B60E,"
    if not line.isascii() or head != f"#H{identifier},#H{seal(serial_number, identifier, body)},":
        raise ProtocolError("the reply was garbled, cut, or sealed by another unit")
    reply = _REPLY.fullmatch(body)
    if reply is None:
        raise ProtocolError(f"a sealed reply of another form: {body[:80]!r}")
    code, why, replies = int(reply[1]), reply[2].replace('""', '"'), reply[3]
    if code == 0:
        return replies or ""
    raise _error(code, why, text, repeatable=repeatable)


def _error(code: int, why: str, text: str, *, repeatable: bool) -> DeviceError | ProtocolError:
    what = f"the unit says {code}, {why!r}"
    if code == STATE:
        return StateError(what, code="STATE", command=text)
    if code in (MISMATCH, REUSED) and repeatable:
        return ProtocolError(f"the message was spoilt on its way: {what}", command=text, remedy="Call again")
    if code in (MISMATCH, REUSED, REFUSED):
        return RefusedError(what, code=str(code), command=text)
    return device_error(code, why, text)
