"""Messages of HiSLIP: their header, types and codes (IVI-6.1, tables 3 to 7 and 18)."""

from __future__ import annotations

import struct
from enum import IntEnum
from typing import Final, NamedTuple

HEADER: Final = struct.Struct("!2sBBIQ")
PROLOGUE: Final = b"HS"
VERSION: Final = 0x0100
"""Protocol version 1.0: major and minor number in a byte each."""
FIRST_ID: Final = 0xFFFF_FF00
"""Id of the first message of a client, and of a server in overlapped mode (IVI-6.1, 3.1.2)."""
BEFORE_FIRST_ID: Final = FIRST_ID - 2


class MessageType(IntEnum):
    """What a message is (IVI-6.1, table 4)."""

    INITIALIZE = 0
    INITIALIZE_RESPONSE = 1
    FATAL_ERROR = 2
    ERROR = 3
    ASYNC_LOCK = 4
    ASYNC_LOCK_RESPONSE = 5
    DATA = 6
    DATA_END = 7
    DEVICE_CLEAR_COMPLETE = 8
    DEVICE_CLEAR_ACKNOWLEDGE = 9
    ASYNC_REMOTE_LOCAL_CONTROL = 10
    ASYNC_REMOTE_LOCAL_RESPONSE = 11
    TRIGGER = 12
    INTERRUPTED = 13
    ASYNC_INTERRUPTED = 14
    ASYNC_MAXIMUM_MESSAGE_SIZE = 15
    ASYNC_MAXIMUM_MESSAGE_SIZE_RESPONSE = 16
    ASYNC_INITIALIZE = 17
    ASYNC_INITIALIZE_RESPONSE = 18
    ASYNC_DEVICE_CLEAR = 19
    ASYNC_SERVICE_REQUEST = 20
    ASYNC_STATUS_QUERY = 21
    ASYNC_STATUS_RESPONSE = 22
    ASYNC_DEVICE_CLEAR_ACKNOWLEDGE = 23
    ASYNC_LOCK_INFO = 24
    ASYNC_LOCK_INFO_RESPONSE = 25


FIRST_VENDOR_TYPE: Final = 128


class FatalCode(IntEnum):
    """Why a server ends a session (IVI-6.1, table 6)."""

    UNIDENTIFIED = 0
    POORLY_FORMED_HEADER = 1
    CHANNELS_NOT_ESTABLISHED = 2
    INVALID_INITIALIZATION = 3
    TOO_MANY_CLIENTS = 4


class ErrorCode(IntEnum):
    """Why a server ignores a message (IVI-6.1, table 7)."""

    UNIDENTIFIED = 0
    UNRECOGNIZED_TYPE = 1
    UNRECOGNIZED_CONTROL_CODE = 2
    UNRECOGNIZED_VENDOR_MESSAGE = 3
    MESSAGE_TOO_LARGE = 4


class RemoteLocal(IntEnum):
    """What a client wants of the front panel (IVI-6.1, 6.7; the values of viGpibControlREN)."""

    DISABLE_REMOTE = 0
    ENABLE_REMOTE = 1
    DISABLE_REMOTE_AND_GO_TO_LOCAL = 2
    ENABLE_REMOTE_AND_GO_TO_REMOTE = 3
    ENABLE_REMOTE_AND_LOCK_OUT_LOCAL = 4
    ENABLE_REMOTE_GO_TO_REMOTE_AND_LOCK_OUT_LOCAL = 5
    GO_TO_LOCAL = 6


class Message(NamedTuple):
    """One message; its type may be unknown, so it is a number."""

    type: int
    control: int = 0
    parameter: int = 0
    payload: bytes = b""


class TooLarge(NamedTuple):
    """A message whose payload was thrown away, as it was longer than agreed."""

    message: Message
    length: int


def encode(message: Message) -> bytes:
    """Return the bytes of a message (IVI-6.1, table 3)."""
    header = HEADER.pack(PROLOGUE, message.type, message.control, message.parameter, len(message.payload))
    return header + message.payload


class PoorlyFormedError(ValueError):
    """The bytes that came do not begin as a message does."""


class Decoder:
    """Cuts messages out of a stream of bytes.

    Args:
        max_payload: Longest payload in bytes that is kept.
    """

    def __init__(self, max_payload: int) -> None:
        self.max_payload = max_payload
        self._buffer = bytearray()
        self._skip: tuple[Message, int, int] | None = None  # a header, its length, and what is left of that

    def feed(self, data: bytes) -> list[Message | TooLarge]:
        """Return the messages that are complete now.

        Raises:
            PoorlyFormedError: A header does not begin with the prologue.
        """
        self._buffer += data
        messages: list[Message | TooLarge] = []
        while True:
            if self._skip is not None:
                header, length, left = self._skip
                dropped = min(left, len(self._buffer))
                del self._buffer[:dropped]
                if dropped < left:
                    self._skip = header, length, left - dropped
                    return messages
                self._skip = None
                messages.append(TooLarge(header, length))
            if bytes(self._buffer[:2]) != PROLOGUE[: len(self._buffer)]:
                raise PoorlyFormedError("no HiSLIP message begins like this")
            if len(self._buffer) < HEADER.size:
                return messages
            _, kind, control, parameter, length = HEADER.unpack_from(self._buffer)
            if length > self.max_payload:
                self._skip = Message(kind, control, parameter), length, length
                del self._buffer[: HEADER.size]
                continue
            end = HEADER.size + length
            if len(self._buffer) < end:
                return messages
            messages.append(Message(kind, control, parameter, bytes(self._buffer[HEADER.size : end])))
            del self._buffer[:end]
