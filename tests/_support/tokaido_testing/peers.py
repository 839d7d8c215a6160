"""Peers that misbehave on request: a serial box behind a pty, a CURVE box behind a ROUTER, and a TCP proxy.

Every box answers a question with the question and its own serial number, so that each wrong value is seen:
"V17?" -> "17 BOX1". A fault is asked for by name and applies to the next reply, once.
"""

from __future__ import annotations

import os
import pty
import select
import socket
import struct
import threading
import time
import tty
import zlib
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Self

import zmq
from zmq.utils import z85

from tokaido.hal import SYSTEM_CLOCK

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from types import TracebackType

    from tokaido.hal import Clock

ALARM = "!ALARM 7 detector hot"


def answer(question: str, serial_number: str) -> str:
    """Return what a box says to "IDN?" or to "V17?"."""
    if question == "IDN?":
        return serial_number
    if question.startswith("LONG"):
        return "x" * int(question[4:].rstrip("?"))
    return f"{question.strip('V?')} {serial_number}"


def sealed(text: str) -> str:
    """Return the line with its CRC-32, so that a garbled one is seen."""
    return f"{text}*{zlib.crc32(text.encode('ascii')):08X}"


class _Peer:
    """A thread that answers until it is closed."""

    def __init__(self, serial_number: str) -> None:
        self.serial_number = serial_number
        self.questions: list[str] = []
        """Everything that was asked or commanded, in order."""
        self.late_s = 0.3
        """How late the fault "late" makes a reply, in s."""
        self.clock: Clock = SYSTEM_CLOCK
        """By which it is late."""
        self._faults: deque[str] = deque()
        self._stop = threading.Event()
        self._go = threading.Event()
        self._go.set()
        self._healed = threading.Event()
        self._thread: threading.Thread | None = None

    def fault(self, name: str) -> None:
        """Let the next reply that is free of faults suffer this one."""
        self._healed.clear()
        if name == "hang":
            self._go.clear()
        else:
            self._faults.append(name)

    def heal(self) -> None:
        """End every fault, those that wait as well; what a hanging box was asked it answers now."""
        self._faults.clear()
        self._healed.set()
        self._go.set()

    def close(self) -> None:
        """End the thread."""
        self._stop.set()
        self._healed.set()
        self._go.set()
        if self._thread is not None:
            self._thread.join(5)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _start(self, run: Callable[[], None]) -> None:
        self._thread = threading.Thread(target=run, name=f"peer {self.serial_number}", daemon=True)
        self._thread.start()

    def _next_fault(self, question: str) -> str:
        if question == "IDN?" or not self._faults:
            return ""
        return self._faults.popleft()


class PtyPeer(_Peer):
    """A box on a serial line. `link` is the symbolic link that always names its present port."""

    def __init__(self, link: Path, serial_number: str = "BOX1", *, seal: bool = False) -> None:
        super().__init__(serial_number)
        self.link = link
        self.seal = seal
        self.echo = False
        """Whether the box echoes what it is sent, with a NUL before every reply."""
        self._master = self._slave = -1
        self.plug()

    def plug(self) -> None:
        """Make a new port and point the link at it."""
        self._stop.clear()
        self._master, self._slave = pty.openpty()
        tty.setraw(self._slave)
        os.set_blocking(self._master, False)
        fresh = self.link.with_name(self.link.name + ".new")
        fresh.symlink_to(os.ttyname(self._slave))
        fresh.replace(self.link)
        self._start(self._run)

    def unplug(self) -> None:
        """Take the port away. The link stays and leads nowhere."""
        super().close()
        os.close(self._master)
        os.close(self._slave)
        self._master = -1
        self.link.unlink()
        self.link.symlink_to("/dev/pts/unplugged")  # somebody else's terminal may have the old number at once

    def close(self) -> None:
        """End the thread and the port."""
        if self._master >= 0:
            self.unplug()

    def say(self, line: str) -> None:
        """Send a line unasked."""
        self._write((line + "\r\n").encode("ascii"))

    def noise(self, data: bytes) -> None:
        """Send bytes unasked."""
        self._write(data)

    def _run(self) -> None:
        pending = b""
        while not self._stop.is_set():
            if not select.select([self._master], [], [], 0.01)[0]:
                continue
            with suppress(BlockingIOError, OSError):
                pending += os.read(self._master, 4096)
            while b"\n" in pending and not self._stop.is_set():
                line, pending = pending.split(b"\n", 1)
                self._go.wait()
                self._answer(line.decode("ascii", "replace").strip("\r"))

    def _answer(self, line: str) -> None:
        question = line.rpartition("*")[0] if self.seal else line
        self.questions.append(question)
        said = answer(question.rpartition(" ")[2], self.serial_number)
        if self.seal:
            said = sealed(f"={question.partition(' ')[0]} {said}")
        if self.echo:
            said = f"{line}\r\n\0{said}"
        self._send(self._next_fault(question.rpartition(" ")[2]), (said + "\r\n").encode("ascii"))

    def _send(self, fault: str, reply: bytes) -> None:
        match fault:
            case "late":
                self.clock.wait(self.late_s, self._stop)
                self._write(reply)
            case "drop":
                pass
            case "duplicate":
                self._write(reply + reply)
            case "garble":
                at = len(reply) // 2
                self._write(reply[:at] + bytes([reply[at] ^ 0x81]) + reply[at + 1 :])
            case "cut":
                self._write(reply[: len(reply) // 2])
            case "split":
                for byte in reply:
                    self._write(bytes([byte]))
                    self._stop.wait(0.001)
            case "endless":
                while not self._healed.is_set():
                    self._write(b"y" * 1024)
            case "foreign":
                self._write(ALARM.encode() + b"\r\n" + reply)
            case "flood":
                while not self._healed.is_set():
                    self._write(ALARM.encode() + b"\r\n")
                    self._stop.wait(0.001)
            case "disconnect":
                self._stop.set()
            case _:
                self._write(reply)

    def _write(self, data: bytes) -> None:
        while data and not self._stop.is_set():
            try:
                data = data[os.write(self._master, data) :]
            except BlockingIOError:
                self._stop.wait(0.005)
            except OSError:
                return


class RouterPeer(_Peer):
    """A box on a ZeroMQ ROUTER under CURVE. It knows the clients whose keys it was given, and denies all others."""

    def __init__(self, secret: bytes, clients: set[bytes], serial_number: str = "BOX1", port: int = 0) -> None:
        super().__init__(serial_number)
        self._secret = secret
        self._clients = clients
        self._context: zmq.Context[Any] = zmq.Context()
        self.port = port
        self._zap = self._context.socket(zmq.REP)
        self._zap.bind("inproc://zeromq.zap.01")
        self.plug()

    def plug(self) -> None:
        """Listen, at the same port as before."""
        self._stop.clear()
        self._router = self._context.socket(zmq.ROUTER)
        self._router.setsockopt(zmq.LINGER, 0)
        self._router.setsockopt(zmq.CURVE_SERVER, 1)
        self._router.setsockopt(zmq.CURVE_SECRETKEY, self._secret)
        self._router.setsockopt(zmq.ZAP_DOMAIN, b"test")
        self._router.setsockopt(zmq.ZAP_ENFORCE_DOMAIN, 1)
        end = time.monotonic() + 3
        while True:
            try:
                self._router.bind(f"tcp://127.0.0.1:{self.port or '*'}")
                break
            except zmq.ZMQError:
                if time.monotonic() > end:
                    raise
                time.sleep(0.01)
        self.port = int(self._router.getsockopt(zmq.LAST_ENDPOINT).decode().rpartition(":")[2])
        self._start(self._run)

    def unplug(self) -> None:
        """Stop listening and drop every client."""
        super().close()
        self._router.close(linger=0)
        end = time.monotonic() + 0.05
        while time.monotonic() < end:
            self._zap.poll(5)  # its end of the sessions has to agree before the connections close

    def close(self) -> None:
        """End the thread, the sockets and their context."""
        self.unplug()
        self._zap.close(linger=0)
        self._context.term()

    def _run(self) -> None:
        poller = zmq.Poller()
        poller.register(self._router, zmq.POLLIN)
        poller.register(self._zap, zmq.POLLIN)
        while not self._stop.is_set():
            for ready, _ in poller.poll(10):
                if ready is self._zap:
                    self._admit(self._zap.recv_multipart())
                else:
                    client, *frames = self._router.recv_multipart()
                    self._go.wait()
                    if not self._stop.is_set():
                        self._answer(client, frames)

    def _admit(self, request: list[bytes]) -> None:
        version, sequence, *_, key = request
        known = z85.encode(key) in self._clients
        status = [b"200", b"OK"] if known else [b"400", b"unknown"]
        self._zap.send_multipart([version, sequence, *status, b"client", b""])

    def _answer(self, client: bytes, frames: list[bytes]) -> None:
        question = frames[0].decode()
        self.questions.append(question)
        name = question.rpartition(" ")[2]
        reply = [client, frames[0], answer(name, self.serial_number).encode()]
        match self._next_fault(name):
            case "late":
                self.clock.wait(self.late_s, self._stop)
                self._router.send_multipart(reply)
            case "drop":
                pass
            case "duplicate":
                self._router.send_multipart(reply)
                self._router.send_multipart(reply)
            case "garble":
                self._router.send_multipart([client, frames[0], b"\xff\xfe"])
            case "cut":
                self._router.send_multipart(reply[:2])
            case "oversized":
                self._router.send_multipart([client, frames[0], bytes(1 << 20)])
            case "endless":
                self._router.send_multipart([client, frames[0], *[b"x"] * 20_000])
            case "foreign":
                self._router.send_multipart([client, b"ALARM", b"detector hot"])
                self._router.send_multipart(reply)
            case "flood":
                while not self._healed.is_set():
                    self._router.send_multipart([client, b"ALARM", b"detector hot"])
                    self._stop.wait(0.001)
            case _:
                self._router.send_multipart(reply)


class TcpProxy:
    """A wire between a client and a TCP server that can be cut, garbled, doubled or stopped, from server to client."""

    def __init__(self, target: int) -> None:
        self.target = target
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self._fault = ""
        self._stop = threading.Event()
        self._pairs: dict[socket.socket, socket.socket] = {}
        self._thread = threading.Thread(target=self._run, name="proxy", daemon=True)
        self._thread.start()

    def fault(self, name: str) -> None:
        """Let the next bytes from the server suffer "garble", "duplicate", "drop", "cut" or "reset"."""
        self._fault = name

    def heal(self) -> None:
        """End a fault that still waits."""
        self._fault = ""

    def close(self) -> None:
        """Drop every connection and stop listening."""
        self._stop.set()
        self._thread.join(5)
        for end in self._pairs:
            end.close()
        self._listener.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _run(self) -> None:
        clients: set[socket.socket] = set()
        while not self._stop.is_set():
            for end in select.select([self._listener, *self._pairs], [], [], 0.01)[0]:
                if end is self._listener:
                    client = self._listener.accept()[0]
                    try:
                        server = socket.create_connection(("127.0.0.1", self.target), timeout=1)
                    except OSError:
                        client.close()
                        continue
                    self._pairs[client], self._pairs[server] = server, client
                    clients.add(client)
                elif end in self._pairs:
                    try:
                        data = end.recv(65536)
                        if not data:
                            raise ConnectionError
                        if end not in clients and self._fault:
                            data = self._spoil(self._pairs[end], data)
                        self._pairs[end].sendall(data)
                    except OSError:
                        self._drop(end)

    def _spoil(self, client: socket.socket, data: bytes) -> bytes:
        fault, self._fault = self._fault, ""
        match fault:
            case "garble":
                at = len(data) // 2
                return data[:at] + bytes([data[at] ^ 0x55]) + data[at + 1 :]
            case "duplicate":
                return data + data
            case "drop":
                return b""
            case "cut":
                client.sendall(data[: len(data) // 2])
                raise ConnectionError
            case _:
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                raise ConnectionResetError

    def _drop(self, end: socket.socket) -> None:
        other = self._pairs.pop(end)
        self._pairs.pop(other, None)
        end.close()
        other.close()
