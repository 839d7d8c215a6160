"""A codec whose frames tell their own length: pieces, several at once, and beginnings that are none."""

from __future__ import annotations

import os
import threading
import tty
from typing import TYPE_CHECKING

import pytest

import tokaido.hal as hal
from tokaido.hal.driver import Request
from tokaido.hal.transports import NOT_MINE, NotMine, Resource, SerialTransport
from tokaido_testing.patience import patient

if TYPE_CHECKING:
    from collections.abc import Iterator


class Counted:
    """Frames of a length byte and so many bytes more; the first byte of those names the question."""

    correlated = False
    terminator = b""
    max_frame = 100
    marker = "m"

    def __init__(self) -> None:
        self.unasked: list[bytes] = []

    def frame_length(self, buffer: bytearray) -> int | None:
        if buffer[0] == 0xFF:
            raise ValueError("no frame begins so")
        if buffer[0] > 99:
            raise hal.ProtocolError(f"a frame of {buffer[0]} bytes")
        return buffer[0] + 1

    def request(self, text: str, *, repeatable: bool) -> Request[bytes, str]:
        def accept(frame: bytes) -> str | NotMine:
            return frame[2:].decode("ascii") if frame[1:2] == text.encode() else NOT_MINE

        return Request(text, text.encode(), accept, repeatable=repeatable)

    def unsolicited(self, frame: bytes) -> None:
        self.unasked.append(frame)


class Box:
    """Answers each byte that it hears with pieces that a test lays out."""

    def __init__(self) -> None:
        self.master, self.slave = os.openpty()
        tty.setraw(self.slave)
        self.pieces: dict[bytes, list[bytes]] = {b"m": [b"\x03mme"]}
        self.thread = threading.Thread(target=self._serve, daemon=True)
        self.thread.start()

    def _serve(self) -> None:
        while (heard := os.read(self.master, 1)) != b"!":
            for piece in self.pieces.get(heard, []):
                os.write(self.master, piece)
                hal.SYSTEM_CLOCK.wait(0.01)

    def close(self) -> None:
        os.write(self.slave, b"!")
        self.thread.join()
        os.close(self.master)
        os.close(self.slave)


@pytest.fixture
def box() -> Iterator[Box]:
    box = Box()
    yield box
    box.close()


@pytest.fixture
def line(box: Box) -> Iterator[SerialTransport]:
    resource = Resource.parse(f"serial:{os.ttyname(box.slave)}")
    transport = SerialTransport(resource, Counted(), timeout_s=patient(0.5))
    transport.open()
    yield transport
    transport.close()


def test_a_frame_is_whole_when_its_length_has_come_in_however_many_pieces(box: Box, line: SerialTransport) -> None:
    box.pieces[b"a"] = [b"\x06a", b"he", b"llo"]
    assert line.query("a") == "hello"
    assert line.query("a") == "hello"


def test_frames_that_come_in_one_piece_are_taken_apart(box: Box, line: SerialTransport) -> None:
    box.pieces[b"a"] = [b"\x02zz\x03aok\x01y"]
    assert line.query("a") == "ok"
    assert line.query("a") == "ok"
    assert isinstance(line.codec, Counted)
    assert line.codec.unasked == [b"\x02zz", b"\x01y", b"\x02zz"]


@pytest.mark.parametrize("noise", [b"\xff" * 40, b"\xc8abc"])
def test_a_beginning_that_is_none_is_a_protocol_error_and_the_line_recovers(
    noise: bytes, box: Box, line: SerialTransport
) -> None:
    box.pieces[b"a"] = [noise]
    with pytest.raises(hal.ProtocolError):
        line.query("a")
    box.pieces[b"a"] = [b"\x03aok"]
    assert line.query("a") == "ok"


def test_a_frame_whose_end_never_comes_is_no_reply_and_begins_no_other(box: Box, line: SerialTransport) -> None:
    assert line.query("m") == "me"
    box.pieces[b"a"] = [b"\x09abc"]
    with pytest.raises(hal.DeviceTimeoutError, match="4 bytes of one came"):
        line.query("a")
    box.pieces[b"a"] = [b"\x03aok"]
    assert line.query("a") == "ok"
