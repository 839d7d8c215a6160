"""Messages of HiSLIP: their header, types and codes (IVI-6.1, tables 2 to 4, 14, 16 and 25)."""

from __future__ import annotations

import struct
from enum import IntEnum
from typing import Final, NamedTuple

HEADER: Final = struct.Struct("!2sBBIQ")
PROLOGUE: Final = b"HS"
VERSION: Final = 0x0200
"""Highest protocol version that is spoken, 2.0: major and minor number in a byte each."""
FIRST_ID: Final = 0xFFFF_FF00
"""Id of the first message of a client, and of a server in overlapped mode (IVI-6.1, 3.1.2 and 3.2.1)."""
BEFORE_FIRST_ID: Final = FIRST_ID - 2
UNKNOWN_ID: Final = 0xFFFF_FFFF
"""Id of Data that answer to a message which ended within one of HiSLIP (IVI-6.1, 3.1.1)."""
SHORT: Final = 256
"""Longest sub-address, lock string and text of an error in bytes (IVI-6.1, 2.7 and 6.1)."""


class MessageType(IntEnum):
    """What a message is (IVI-6.1, table 4); those of the secure connection are left out."""

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
    GET_DESCRIPTORS = 26
    GET_DESCRIPTORS_RESPONSE = 27


PROGRAM: Final = (MessageType.DATA, MessageType.DATA_END, MessageType.TRIGGER)
"""What carries a message id and the delivery flag on the synchronous channel."""


FIRST_VENDOR_TYPE: Final = 128


class FatalCode(IntEnum):
    """Why a server ends a session (IVI-6.1, table 14)."""

    UNIDENTIFIED = 0
    POORLY_FORMED_HEADER = 1
    CHANNELS_NOT_ESTABLISHED = 2
    INVALID_INITIALIZATION = 3
    TOO_MANY_CLIENTS = 4


class ErrorCode(IntEnum):
    """Why a server ignores a message (IVI-6.1, table 16)."""

    UNIDENTIFIED = 0
    UNRECOGNIZED_TYPE = 1
    UNRECOGNIZED_CONTROL_CODE = 2
    UNRECOGNIZED_VENDOR_MESSAGE = 3
    MESSAGE_TOO_LARGE = 4


class RemoteLocal(IntEnum):
    """What a client wants of the front panel (IVI-6.1, table 25; the values of viGpibControlREN)."""

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
    """A message whose payload is thrown away as it comes, for its header says that it is longer than agreed."""

    message: Message
    length: int


def reached(wanted: int, last: int) -> bool:
    """Return whether message `wanted` has come when `last` was the last one; ids wrap around at 32 bits."""
    return ((last - wanted) & 0xFFFF_FFFF) < 1 << 31


def encode(message: Message) -> bytes:
    """Return the bytes of a message (IVI-6.1, table 2)."""
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
        self._skip = 0  # what is left of a payload that is thrown away

    def feed(self, data: bytes) -> list[Message | TooLarge]:
        """Return the messages that are complete now, and those that are too large as soon as their header is there.

        Raises:
            PoorlyFormedError: A header does not begin with the prologue.
        """
        self._buffer += data
        messages: list[Message | TooLarge] = []
        while True:
            dropped = min(self._skip, len(self._buffer))
            self._skip -= dropped
            del self._buffer[:dropped]
            if bytes(self._buffer[:2]) != PROLOGUE[: len(self._buffer)]:
                raise PoorlyFormedError("no HiSLIP message begins like this")
            if len(self._buffer) < HEADER.size:
                return messages
            _, kind, control, parameter, length = HEADER.unpack_from(self._buffer)
            if length > self.max_payload:
                messages.append(TooLarge(Message(kind, control, parameter), length))
                self._skip = length
                del self._buffer[: HEADER.size]
                continue
            end = HEADER.size + length
            if len(self._buffer) < end:
                return messages
            messages.append(Message(kind, control, parameter, bytes(self._buffer[HEADER.size : end])))
            del self._buffer[:end]
