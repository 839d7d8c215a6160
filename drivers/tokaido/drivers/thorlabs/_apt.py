"""Messages of Thorlabs APT controllers on a stream: docs/protocols/thorlabs-mpc.md, sections 1 and 2."""

from __future__ import annotations

import struct
from typing import Final, NamedTuple

from tokaido.hal.driver import NOT_MINE, NotMine, ProtocolError, Request

HOST: Final = 0x01
CONTROLLER: Final = 0x50
LONG: Final = 0x80
"""Set in the destination of a message with data behind its header."""
HEADER: Final = struct.Struct("<HHBB")
MOST_DATA: Final = 255


class Answer(NamedTuple):
    """A message that answers a question: its id and what its data are."""

    message: int
    data: struct.Struct


class Question(NamedTuple):
    """A short message that asks: its id, how many parameters it has, and what answers it."""

    message: int
    parameters: int
    answer: Answer


class Order(NamedTuple):
    """A message that orders: its id, how many parameters it has, and what its data are; None for a short one."""

    message: int
    parameters: int
    data: struct.Struct | None = None


STATUS: Final = Answer(0x0491, struct.Struct("<HiHhI"))
ASKS_STATUS: Final = 0x0490
QUESTIONS: Final = {
    "HW_REQ_INFO": Question(0x0005, 0, Answer(0x0006, struct.Struct("<I8sH4B60xHHH"))),
    "MOT_REQ_USTATUSUPDATE": Question(ASKS_STATUS, 1, STATUS),
    "POL_REQ_PARAMS": Question(0x0531, 0, Answer(0x0532, struct.Struct("<HHHHHH"))),
}
ORDERS: Final = {
    "MOD_SET_CHANENABLESTATE": Order(0x0210, 2),
    "MOT_MOVE_ABSOLUTE": Order(0x0453, 2, struct.Struct("<Hi")),
    "MOT_MOVE_HOME": Order(0x0443, 1),
    "MOT_MOVE_STOP": Order(0x0465, 2),
    "POL_SET_PARAMS": Order(0x0530, 6, struct.Struct("<HHHHHH")),
}
LENGTHS: Final[dict[int, set[int | None]]] = {
    0x0006: {84},
    0x0212: {None},
    0x0444: {None},
    0x0464: {None, 14},
    0x0466: {None, 14},
    0x0491: {14},
    0x0532: {12},
}
"""Length of the data of the messages that a controller sends; None for a short message."""


class AptCodec:
    """APT messages by their names: `MOT_REQ_USTATUSUPDATE 1` is a question, `MOT_MOVE_ABSOLUTE 1 512` an order.

    The value of a question is its answer's fields, joined by commas. An order is followed by a question for the status
    of the first channel that it names, in one write, and its value is that status.
    """

    correlated = False
    terminator = b""
    max_frame = HEADER.size + MOST_DATA
    marker = "HW_REQ_INFO"

    def frame_length(self, buffer: bytearray) -> int | None:
        """Return the length of the message at the beginning of what came, or None while that cannot be told.

        Raises:
            ProtocolError: It is not the beginning of a message to the host.
        """
        if len(buffer) < HEADER.size:
            return None
        message, length, destination, source = HEADER.unpack_from(buffer)
        data = length if destination & LONG else None
        known = LENGTHS.get(message)
        if (
            destination & ~LONG != HOST
            or source != CONTROLLER
            or (data or 0) > MOST_DATA
            or (known and data not in known)
        ):
            raise ProtocolError(f"not a message of a controller: {bytes(buffer[:12])!r}")
        return HEADER.size + (data or 0)

    def request(self, text: str, *, repeatable: bool) -> Request[bytes, str]:
        """Return the request for a question or an order.

        Raises:
            ValueError: There is no such message, or its parameters do not fit.
        """
        name, *words = text.split(" ")
        try:
            numbers = [int(word) for word in words]
            asked = QUESTIONS.get(name)
            if asked is not None and len(numbers) == asked.parameters:
                return Request(text, _short(asked.message, *numbers), _accepts(asked.answer, numbers), repeatable=True)
            ordered = ORDERS[name]
            if len(numbers) == ordered.parameters and not repeatable:
                packed = (
                    _long(ordered.message, ordered.data, numbers) if ordered.data else _short(ordered.message, *numbers)
                )
                channel = [numbers[0] & -numbers[0] or 1]
                payload = packed + _short(ASKS_STATUS, *channel)
                return Request(text, payload, _accepts(STATUS, channel), repeatable=False)
        except (KeyError, ValueError, struct.error) as error:
            raise ValueError(f"not an APT message with its parameters: {text!r}") from error
        raise ValueError(f"not an APT message with its parameters: {text!r}")

    def unsolicited(self, frame: bytes) -> None:
        """Drop the frame: the end of a move, which is asked for anyway, or a late reply."""


def _short(message: int, *parameters: int) -> bytes:
    first, second = (*parameters, 0, 0)[:2]
    return struct.pack("<HBBBB", message, first, second, CONTROLLER, HOST)


def _long(message: int, data: struct.Struct, numbers: list[int]) -> bytes:
    return HEADER.pack(message, data.size, CONTROLLER | LONG, HOST) + data.pack(*numbers)


class _accepts:  # noqa: N801 - it is called as a function
    """Takes the answer to a question, for its channel if it has one."""

    def __init__(self, answer: Answer, channel: list[int]) -> None:
        self._answer = answer
        self._channel = channel

    def __call__(self, frame: bytes) -> str | NotMine:
        if int.from_bytes(frame[:2], "little") != self._answer.message:
            return NOT_MINE
        fields = self._answer.data.unpack(frame[HEADER.size :])
        if self._channel and fields[0] != self._channel[0]:
            return NOT_MINE
        return ",".join(_written(field) for field in fields)


def _written(field: int | bytes) -> str:
    if isinstance(field, int):
        return str(field)
    text = field.split(b"\0")[0].decode("ascii")
    if not text.isprintable() or "," in text:
        raise ProtocolError(f"a text that is none: {field!r}")
    return text.strip()
