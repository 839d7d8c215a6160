"""IEEE 488.2-1992: arbitrary blocks, and the bits of the two status registers."""

from __future__ import annotations

from enum import IntFlag

from tokaido.hal._errors import ProtocolError

LONGEST_BLOCK = 999_999_999
"""Longest definite-length block in bytes: its length has at most nine digits (7.7.6.2)."""


class StatusByte(IntFlag):
    """The status byte, `*STB?` (11.2). Bits 2, 3 and 7 as SCPI-99 assigns them (volume 1, 9.1)."""

    ERROR_QUEUE = 1 << 2
    QUESTIONABLE = 1 << 3
    MESSAGE_AVAILABLE = 1 << 4
    EVENT = 1 << 5
    REQUEST = 1 << 6
    OPERATION = 1 << 7


class EventStatus(IntFlag):
    """The standard event status register, `*ESR?` (11.5.1); reading it clears it."""

    OPERATION_COMPLETE = 1 << 0
    REQUEST_CONTROL = 1 << 1
    QUERY_ERROR = 1 << 2
    DEVICE_ERROR = 1 << 3
    EXECUTION_ERROR = 1 << 4
    COMMAND_ERROR = 1 << 5
    USER_REQUEST = 1 << 6
    POWER_ON = 1 << 7


def encode_block(data: bytes) -> bytes:
    """Return `data` as a definite-length arbitrary block: "#", one digit, the length in that many digits, the bytes.

    IEEE 488.2, 8.7.9.

    Raises:
        ValueError: It is longer than nine digits can say.
    """
    if len(data) > LONGEST_BLOCK:
        raise ValueError(f"a block holds at most {LONGEST_BLOCK} bytes, not {len(data)}")
    length = str(len(data))
    return f"#{len(length)}{length}".encode("ascii") + data


def block_length(head: bytes) -> int | None:
    """Return the length in bytes of the whole block that begins with `head`, or `None` if `head` is too short to say.

    Raises:
        ProtocolError: It is not a definite-length block.
    """
    if head[:1] not in (b"", b"#") or not (head[1:2] == b"" or head[1:2] in b"123456789"):
        raise ProtocolError(f"not a definite-length block: {head[:12]!r}")
    if len(head) < 2 or len(head) < 2 + int(head[1:2]):
        return None
    digits = head[2 : 2 + int(head[1:2])]
    if not digits.isdigit():
        raise ProtocolError(f"a block without a length: {head[:12]!r}")
    return 2 + len(digits) + int(digits)


def decode_block(frame: bytes) -> bytes:
    """Return the bytes of an arbitrary block: definite (8.7.9), or indefinite (8.7.10), which a newline ends.

    Raises:
        ProtocolError: It is not a block, or not as long as it says. Nothing but line ends may follow it.
    """
    if frame[:2] == b"#0":
        if not frame.endswith(b"\n"):
            raise ProtocolError("an indefinite-length block without its newline")
        return frame[2:-1]
    length = block_length(frame)
    if length is None or len(frame) < length:
        raise ProtocolError(f"a block that was cut: {len(frame)} bytes came")
    if frame[length:].strip(b"\r\n"):
        raise ProtocolError(f"{len(frame) - length} bytes follow a block of {length}")
    return frame[2 + int(frame[1:2]) : length]
