"""A HiSLIP client of plain sockets, which sends what it is told and not what is right."""

from __future__ import annotations

import socket
import struct
from contextlib import ExitStack
from typing import NamedTuple

HEADER = struct.Struct("!2sBBIQ")
FIRST = 0xFFFFFF00


class Reply(NamedTuple):
    type: int
    control: int
    parameter: int
    payload: bytes


class Channel:
    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=2)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def send(self, kind: int, control: int = 0, parameter: int = 0, payload: bytes = b"") -> None:
        self.socket.sendall(HEADER.pack(b"HS", kind, control, parameter, len(payload)) + payload)

    def exactly(self, count: int) -> bytes:
        data = b""
        while len(data) < count:
            piece = self.socket.recv(count - len(data))
            if not piece:
                raise EOFError
            data += piece
        return data

    def receive(self) -> Reply:
        prologue, kind, control, parameter, length = HEADER.unpack(self.exactly(16))
        assert prologue == b"HS"
        return Reply(kind, control, parameter, self.exactly(length))

    def silent(self, seconds: float = 0.05) -> bool:
        """Whether nothing comes."""
        self.socket.settimeout(seconds)
        try:
            return self.socket.recv(1, socket.MSG_PEEK) is None
        except TimeoutError:
            return True
        finally:
            self.socket.settimeout(2)

    def ended(self) -> bool:
        """Whether the server closed the connection."""
        try:
            return self.socket.recv(1) == b""
        except ConnectionResetError:
            return True

    def close(self) -> None:
        self.socket.close()


class Client:
    """Both channels of one session."""

    def __init__(self, port: int, *, version: int = 0x0100, sub_address: bytes = b"hislip0") -> None:
        with ExitStack() as opened:
            self.sync = Channel(port)
            opened.callback(self.sync.close)
            self.sync.send(0, 0, version << 16 | 0x7878, sub_address)
            self.greeting = self.sync.receive()
            self.session = self.greeting.parameter & 0xFFFF
            self.asynchronous = Channel(port)
            opened.callback(self.asynchronous.close)
            self.asynchronous.send(17, 0, self.session)
            self.async_greeting = self.asynchronous.receive()
            opened.pop_all()  # both channels are there: the owner closes them
        self.next_id = FIRST
        self.read = False
        """Whether the last reply was read to its end: the RMT flag of the next message."""

    def write(self, data: bytes, *, end: bool = True, kind: int | None = None) -> int:
        number, self.next_id = self.next_id, (self.next_id + 2) & 0xFFFFFFFF
        self.sync.send((7 if end else 6) if kind is None else kind, int(self.read), number, data)
        self.read = False
        return number

    def query(self, data: bytes) -> bytes:
        number = self.write(data)
        payload = b""
        while True:
            reply = self.sync.receive()
            assert reply.type in (6, 7), reply
            assert (reply.control, reply.parameter) == (0, number)
            payload += reply.payload
            if reply.type == 7:
                self.read = True
                return payload

    def status(self) -> int:
        self.asynchronous.send(21, int(self.read), (self.next_id - 2) & 0xFFFFFFFF)
        self.read = False
        reply = self.asynchronous.receive()
        assert reply.type == 22
        return reply.control

    def close(self) -> None:
        self.sync.close()
        self.asynchronous.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
