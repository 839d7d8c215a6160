"""A box that answers at once, in a process of its own, and how it is read: bare, and by a declared value of a driver.

`transports.py`, `visa.py` and `peers.py` share it. The box is asked `14?` and answers with a number of 14 bytes; it
also tells `*IDN?`. Ours is what a user of `tokaido.hal.driver` would write, and its reading checks everything that a
reading of any driver checks.
"""

from __future__ import annotations

import contextlib
import os
import pty
import select
import socket
import subprocess
import sys
import threading
import tty
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import tokaido.hal as hal
from tokaido.hal import driver

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping

LENGTHS = (14, 65, 1000)
IDENTITY = b"ACME,BOX,BOX0001,1.0"
ENDING_S = 5.0
"""How long the peer's process may take to end, in s."""


class Box(driver.LineDevice):
    """A box on a serial line, a TCP socket or a VISA session."""

    resource_kinds: ClassVar = {"control": frozenset({"serial", "visa"})}

    value = driver.measured(float, "14", unit="V")
    """Measure the voltage."""
    longer = driver.measured(float, "65", unit="V")
    """Measure the voltage to many digits."""
    text = driver.measured(str, "1000")
    """Measure the voltage to more digits than a number may have."""

    def _codec(self) -> driver.Codec:
        return driver.LineCodec()

    def identity(self) -> hal.Identity:
        """Ask the box who it is."""
        return self._read("*IDN?", self._named)

    def apply_safe_state(self) -> None:
        """It is always safe."""


class MessageBox(hal.Device):
    """A box behind a ZeroMQ socket."""

    resource_kinds: ClassVar = {"control": frozenset({"zmq"})}

    value = driver.measured(float, "14", unit="V")
    """Measure the voltage."""

    def __init__(self, resources: Mapping[str, hal.Resource]) -> None:
        from tokaido.hal.transports import ZmqTransport

        super().__init__(resources, name="box")
        self._control = ZmqTransport(resources["control"])
        self._requests: dict[str, driver.Request[list[bytes], str]] = {}

    def _connect(self, timeout: float | None = None) -> None:
        self._control.open(timeout)

    def close(self) -> None:
        """Disconnect."""
        self._control.close()

    def identity(self) -> hal.Identity:
        """Ask the box who it is."""
        return hal.Identity(*self._ask("*IDN").text.split(","))

    def apply_safe_state(self) -> None:
        """It is always safe."""

    @property
    def transport(self) -> Any:
        """The control transport."""
        return self._control

    def _ask(self, command: str) -> driver.Answer:
        request = self._requests.get(command)
        if request is None:
            text = f"{command}?"
            request = driver.Request(text, [b"", text.encode("ascii")], lambda frames: frames[1].decode("ascii"))
            self._requests[command] = request
        return driver.Answer(self._control.exchange(request))

    def _order(self, command: str, text: str) -> driver.Answer:  # noqa: ARG002 - the signature of every device
        raise hal.UnsupportedError("the box takes no orders")

    def _ask_all(self) -> Mapping[str, driver.Answer | hal.TokaidoError]:
        return {"14": self._ask("14")}


def bare(fd: int, length: int = 14) -> Callable[[], object]:
    """Return how to read a non-blocking descriptor as fast as Python can."""
    question = f"{length}?\n".encode("ascii")
    poller = select.poll()
    poller.register(fd, select.POLLIN)
    decode: Callable[[bytes], object] = bytes.decode if length > 400 else float

    def read() -> object:
        os.write(fd, question)
        reply = b""
        while not reply.endswith(b"\n"):
            poller.poll(1000)
            reply += os.read(fd, 4096)
        return decode(reply)

    return read


def connection(port: int) -> socket.socket:
    """Return a non-blocking connection to the box."""
    made = socket.create_connection(("127.0.0.1", port))
    made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    made.setblocking(False)
    return made


@contextlib.contextmanager
def on_one_core() -> Generator[None]:
    """Keep everything on one core: the kernel's choice moves either side by a factor of three."""
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(cores)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, cores)


@contextlib.contextmanager
def peer(kind: str, *arguments: str, script: str = __file__) -> Generator[str]:
    """Run the box in a process of its own and yield where it is; whatever happens, the process ends soon after."""
    command = [sys.executable, script, kind, *arguments]
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        place = process.stdout.readline().strip()
        if not place:
            raise RuntimeError(f"the peer ended at once: {kind}")
        yield place
    finally:
        process.terminate()
        try:
            process.wait(ENDING_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(ENDING_S)
        if process.stdout is not None:
            process.stdout.close()


# --- the peer's process ---------------------------------------------------------------------------------------------


def _reply(question: bytes) -> bytes:
    return IDENTITY if question.startswith(b"*IDN") else b"1." + b"0" * (int(question.strip(b"?\n")) - 3)


def _serve_stream(fd: int) -> None:
    questions = [b"*IDN?\n", *(b"%d?\n" % length for length in LENGTHS)]
    replies = {question: _reply(question) + b"\n" for question in questions}
    while question := os.read(fd, 100):
        os.write(fd, replies[question])


def _serve_tcp() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        print(listener.getsockname()[1], flush=True)
        while True:
            accepted, _ = listener.accept()
            accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=_serve_stream, args=(accepted.detach(),), daemon=True).start()


def _serve_zmq(secret: str) -> None:
    import zmq

    from tokaido.hal.transports import load_curve_secret

    server: Any = zmq.Context.instance().socket(zmq.REP)
    server.curve_server = True
    server.curve_secretkey = load_curve_secret(Path(secret)).secret
    print(server.bind_to_random_port("tcp://127.0.0.1"), flush=True)
    while True:
        server.send(_reply(server.recv()))


def _serve(kind: str, *arguments: str) -> None:
    if kind == "pty":
        master, slave = pty.openpty()
        tty.setraw(slave)
        print(os.ttyname(slave), flush=True)
        _serve_stream(master)
    elif kind == "tcp":
        _serve_tcp()
    else:
        _serve_zmq(*arguments)


if __name__ == "__main__":
    _serve(*sys.argv[1:])
