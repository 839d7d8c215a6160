"""Peers behind VISA that misbehave on request: a SCPI box at a TCP socket, and one behind a small HiSLIP server.

The TCP box is a terminal server: the last client hears it, late replies to those before included. Both are one
thread, so that a box that hangs or delays a reply opens no session meanwhile. The HiSLIP server is raw on purpose: it
shares no line with any other.
"""

from __future__ import annotations

import select
import socket
import struct
import time
from abc import ABC, abstractmethod
from contextlib import suppress

from tokaido_testing.peers import ALARM, _Peer, answer, sealed

HEADER = struct.Struct("!2sBBIQ")


class _TcpBox(_Peer, ABC):
    """What both have: a listener that can be unplugged and plugged in again at the same port."""

    def __init__(self, serial_number: str = "BOX1") -> None:
        super().__init__(serial_number)
        self.port = 0
        self.accepted = 0
        """How many connections were made."""
        self._listener: socket.socket | None = None
        self._open: list[socket.socket] = []
        self.plug()

    def plug(self) -> None:
        """Listen, at the same port as before."""
        self._stop.clear()
        end = time.monotonic() + 3
        while True:
            try:
                self._listener = socket.create_server(("127.0.0.1", self.port))
                break
            except OSError:
                if time.monotonic() > end:
                    raise
                time.sleep(0.01)
        self.port = int(self._listener.getsockname()[1])
        self._start(self._run)

    def unplug(self) -> None:
        """Stop listening and drop every connection."""
        super().close()
        for connection in [*self._open, self._listener]:
            if connection is not None:
                connection.close()
        self._open.clear()
        self._listener = None

    def close(self) -> None:
        """End the thread and the sockets."""
        if self._listener is not None:
            self.unplug()

    def _run(self) -> None:
        while not self._stop.is_set() and self._listener is not None:
            for ready in select.select([self._listener, *self._open], [], [], 0.01)[0]:
                self._go.wait()
                if self._stop.is_set():
                    return
                if ready is self._listener:
                    connection = self._listener.accept()[0]
                    if connection.family != socket.AF_UNIX:
                        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                    self.accepted += 1
                    self._open.append(connection)
                elif ready in self._open:
                    try:
                        data = ready.recv(65536)
                    except OSError:
                        data = b""
                    if data:
                        self._hear(ready, data)
                    else:
                        self._drop(ready)

    @abstractmethod
    def _hear(self, connection: socket.socket, data: bytes) -> None:
        """Take what a connection brought."""

    def _drop(self, connection: socket.socket, *, reset: bool = False) -> None:
        if connection in self._open:
            self._open.remove(connection)
        if reset:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.close()

    def _put(self, connection: socket.socket, data: bytes) -> None:
        connection.settimeout(0.02)
        with suppress(OSError):
            while data and not self._stop.is_set():
                with suppress(TimeoutError):
                    data = data[connection.send(data) :]
                if self._healed.is_set() and len(data) > 65536:
                    return


class SocketPeer(_TcpBox):
    """A box that speaks lines at a TCP port."""

    def __init__(self, serial_number: str = "BOX1", *, seal: bool = False) -> None:
        self.seal = seal
        self._pending = b""
        super().__init__(serial_number)

    def _hear(self, connection: socket.socket, data: bytes) -> None:
        self._pending += data
        while b"\n" in self._pending and not self._stop.is_set():
            line, self._pending = self._pending.split(b"\n", 1)
            self._answer(line.decode("ascii", "replace").strip("\r"))

    def _drop(self, connection: socket.socket, *, reset: bool = False) -> None:
        super()._drop(connection, reset=reset)
        self._pending = b""

    def _answer(self, line: str) -> None:
        question = line.rpartition("*")[0] if self.seal else line
        self.questions.append(question)
        said = answer(question.rpartition(" ")[2], self.serial_number)
        if self.seal:
            said = sealed(f"={question.partition(' ')[0]} {said}")
        self._send(self._next_fault(question.rpartition(" ")[2]), (said + "\r\n").encode("ascii"))

    def _send(self, fault: str, reply: bytes) -> None:
        at = len(reply) // 2
        match fault:
            case "late":
                self.clock.wait(self.late_s, self._stop)
                self._admit()
                self._say(reply)
            case "drop":
                pass
            case "duplicate":
                self._say(reply + reply)
            case "garble":
                self._say(reply[:at] + bytes([reply[at] ^ 0x81]) + reply[at + 1 :])
            case "cut":
                self._say(reply[:at])
            case "split":
                for byte in reply:
                    self._say(bytes([byte]))
                    self._stop.wait(0.001)
            case "endless":
                while not self._healed.is_set():
                    self._say(b"y" * 1024)
            case "foreign":
                self._say(ALARM.encode() + b"\r\n" + reply)
            case "flood":
                while not self._healed.is_set():
                    self._say(ALARM.encode() + b"\r\n")
                    self._stop.wait(0.001)
            case "disconnect" | "reset":
                self._say(reply[:at] if fault == "disconnect" else b"")
                if self._open:
                    self._drop(self._open[-1], reset=fault == "reset")
            case _:
                self._say(reply)

    def _admit(self) -> None:
        """Take a connection that waits, so that a late reply reaches the newest one."""
        if self._listener is not None and select.select([self._listener], [], [], 0)[0]:
            self._open.append(self._listener.accept()[0])

    def _say(self, data: bytes) -> None:
        if self._open:
            self._put(self._open[-1], data)


class HislipPeer(_TcpBox):
    """A box behind a HiSLIP 1.0 server (IVI-6.1), synchronised mode, one client at a time."""

    def __init__(self, serial_number: str = "BOX1") -> None:
        self._pending: dict[socket.socket, bytes] = {}
        self._async: socket.socket | None = None
        self.status = 0x10
        self.clears = 0
        """How many device clears were begun."""
        super().__init__(serial_number)

    def _hear(self, connection: socket.socket, data: bytes) -> None:
        pending = self._pending.get(connection, b"") + data
        while len(pending) >= HEADER.size and not self._stop.is_set():
            _, kind, _, number, length = HEADER.unpack_from(pending)
            if len(pending) < HEADER.size + length:
                break
            payload, pending = pending[HEADER.size : HEADER.size + length], pending[HEADER.size + length :]
            self._serve(connection, kind, number, payload)
        self._pending[connection] = pending

    def _drop(self, connection: socket.socket, *, reset: bool = False) -> None:
        super()._drop(connection, reset=reset)
        self._pending.pop(connection, None)

    def _serve(self, connection: socket.socket, kind: int, number: int, payload: bytes) -> None:
        match kind:
            case 0:
                self._send(connection, 1, number=0x0100_0001)  # version 1.0, session 1
            case 17:
                self._async = connection
                self._send(connection, 18)
            case 15:
                self._send(connection, 16, payload=struct.pack("!Q", 1 << 20))
            case 19:
                self.clears += 1
                self._send(connection, 23)
            case 8:
                self._send(connection, 9)
            case 21:
                self._send(connection, 22, control=self.status)
            case 7:
                question = payload.decode("ascii", "replace").strip()
                self.questions.append(question)
                reply = f"{answer(question, self.serial_number)}\n".encode("ascii")
                self._reply(connection, self._next_fault(question), number, reply)

    def _reply(self, connection: socket.socket, fault: str, number: int, reply: bytes) -> None:
        whole = HEADER.pack(b"HS", 7, 0, number, len(reply)) + reply
        match fault:
            case "late":
                self.clock.wait(self.late_s, self._stop)
                self._put(connection, whole)
            case "drop":
                pass
            case "duplicate":
                self._put(connection, whole + whole)
            case "garble":
                self._put(connection, whole[:20] + bytes([whole[20] ^ 0x81]) + whole[21:])
            case "cut":
                self._put(connection, whole[:20])
            case "half header":
                self._put(connection, whole[:7])
            case "split":
                for byte in whole:
                    self._put(connection, bytes([byte]))
                    self._stop.wait(0.001)
            case "trickle":
                for byte in whole:
                    self._put(connection, bytes([byte]))
                    self._healed.wait(0.15)
            case "endless":
                while not self._healed.is_set():
                    self._send(connection, 6, number=number, payload=b"y" * 1024)
            case "foreign":
                self._send(connection, 7, number=number - 2, payload=b"9 BOX1\n")
                self._put(connection, whole)
            case "prologue":
                self._put(connection, b"XX" + whole[2:])
            case "no end":
                self._send(connection, 6, number=number, payload=reply)
            case "no line end":
                self._send(connection, 7, number=number, payload=reply.rstrip(b"\n"))
            case "interrupted":
                if self._async is not None:
                    self._send(self._async, 14, number=number)
                self._send(connection, 13, number=number)
                self._put(connection, whole)
            case "service request":
                if self._async is not None:
                    self._send(self._async, 20, control=0x50)
                self._put(connection, whole)
            case "skipped and gone":  # a message for somebody else that never ends
                self._put(connection, HEADER.pack(b"HS", 7, 0, number - 2, 1000) + b"9")
                self._drop(connection)
            case "disconnect":
                self._put(connection, whole[:20])
                self._drop(connection)
            case "reset":
                self._drop(connection, reset=True)
            case _:
                self._put(connection, whole)

    def _send(
        self, connection: socket.socket, kind: int, *, control: int = 0, number: int = 0, payload: bytes = b""
    ) -> None:
        self._put(connection, HEADER.pack(b"HS", kind, control, number & 0xFFFF_FFFF, len(payload)) + payload)
