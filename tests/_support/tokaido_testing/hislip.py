"""A HiSLIP client of plain sockets, which sends what it is told and not what is right."""

from __future__ import annotations

import queue
import socket
import struct
import threading
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, NamedTuple

from tokaido.emulators.ends.hislip import HislipServer, ProgramMessage
from tokaido_testing.patience import in_time

if TYPE_CHECKING:
    from collections.abc import Callable

HEADER = struct.Struct("!2sBBIQ")
FIRST = 0xFFFFFF00


class Reply(NamedTuple):
    type: int
    control: int
    parameter: int
    payload: bytes


def packed(kind: int, control: int = 0, parameter: int = 0, payload: bytes = b"") -> bytes:
    return HEADER.pack(b"HS", kind, control, parameter, len(payload)) + payload


class Channel:
    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=2)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def send(self, kind: int, control: int = 0, parameter: int = 0, payload: bytes = b"") -> None:
        self.socket.sendall(packed(kind, control, parameter, payload))

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


# --- a server with an instrument that does what a test says ----------------------------------------------------------


class ScriptedInstrument:
    """Answers each question with its own words in capitals; while it is held, later, when it is let go on."""

    def __init__(self) -> None:
        self.server: HislipServer
        self.received: list[ProgramMessage] = []
        self.waiting: list[ProgramMessage] = []
        self.held = False
        self.cleared: list[int] = []
        self.faults: list[str] = []
        self.panel_requests: list[int] = []
        self.status = 0

    def receive(self, message: ProgramMessage) -> None:
        self.received.append(message)
        if self.held:
            self.waiting.append(message)
        else:
            self.answer(message)

    def answer(self, message: ProgramMessage) -> None:
        if message.data.strip().endswith(b"?"):
            self.server.respond(message, message.data.strip().upper() + b"\n")

    def trigger(self, message: ProgramMessage) -> None:
        self.received.append(message)
        self.server.respond(message, b"triggered\n")

    def busy(self, session: int) -> bool:
        return any(message.session == session for message in self.waiting)

    def go_on(self) -> None:
        """Answer what was held."""
        self.held = False
        waiting, self.waiting = self.waiting, []
        for message in waiting:
            self.answer(message)

    def opened(self, session: int) -> None: ...

    def closed(self, session: int) -> None: ...

    def status_byte(self, _session: int, *, message_available: bool) -> int:
        return self.status | (0x10 if message_available else 0)

    def clear(self, session: int) -> None:
        self.cleared.append(session)
        self.waiting = [message for message in self.waiting if message.session != session]

    def interrupted(self, _session: int) -> None:
        self.faults.append("interrupted")

    def misplaced_trigger(self, _session: int) -> None:
        self.faults.append("misplaced trigger")

    def remote_local(self, _session: int, request: int) -> None:
        self.panel_requests.append(int(request))


class Rig:
    """A HiSLIP server in a thread, and the scripted instrument behind it."""

    def __init__(self, **options: Any) -> None:
        self.instrument = ScriptedInstrument()
        self.server = HislipServer(self.instrument, **options)
        self.instrument.server = self.server
        self.server.open()
        self._orders: queue.SimpleQueue[tuple[Callable[[], object], queue.SimpleQueue[object]]] = queue.SimpleQueue()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._live, daemon=True)
        self._thread.start()

    def _live(self) -> None:
        while not self._closing.is_set():
            while not self._orders.empty():
                action, done = self._orders.get()
                done.put(action())
            self.server.service(0.005)
        self.server.dispose()

    def do(self, action: Callable[[], object]) -> object:
        """Do it in the server's thread, which alone may touch the server."""
        done: queue.SimpleQueue[object] = queue.SimpleQueue()
        self._orders.put((action, done))
        return done.get(timeout=10)

    def until(self, condition: Callable[[], object]) -> None:
        """Wait until it holds."""
        began = time.monotonic()
        while not self.do(condition):
            assert in_time(began, 2)
            time.sleep(0.002)

    def client(self, **options: Any) -> Client:
        return Client(self.server.port, **options)

    def __enter__(self) -> Rig:
        return self

    def __exit__(self, *_: object) -> None:
        self._closing.set()
        self._thread.join()
