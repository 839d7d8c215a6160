"""One reading over each transport, as a ratio to the bare descriptor or socket on the same wire.

The peer runs in a process of its own. Bare and ours take turns in one run; every figure is a median. Everything is
kept on one core: across cores the kernel's choice of core moves either side by a factor of three, and hides what is
measured. Run it by `python benchmarks/transports.py`.
"""

from __future__ import annotations

import contextlib
import os
import pty
import select
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import tty
from pathlib import Path
from typing import TYPE_CHECKING, Any

import zmq

from tokaido.hal import Resource, create_curve_keys
from tokaido.hal.transports import (
    LineCodec,
    Request,
    SerialTransport,
    ZmqTransport,
    load_curve_public,
    load_curve_secret,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

Figure = tuple[str, float, str, str]
LENGTHS = (14, 65, 1000)
ROUNDS = 30
CALLS = 100


def measure() -> list[Figure]:
    """Return name, value, unit of measure and goal of every figure."""
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(cores)})
    try:
        return [*_serial(), *_tcp(), *_zmq()]
    finally:
        os.sched_setaffinity(0, cores)


# --- streams ------------------------------------------------------------------------------------------------------


def _serial() -> list[Figure]:
    with _peer("pty") as port:
        fd = os.open(port, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
        with SerialTransport(Resource("serial", port, {}), LineCodec()) as transport:
            times = _stream(fd, transport)
        os.close(fd)
    bare, ours = times[14]
    return [
        ("serial: bare descriptor, 14 bytes", bare, "us", ""),
        ("serial: one reading, 14 bytes", ours, "us", ""),
        ("serial: ratio, 14 bytes", ours / bare, "x", "<= 1.7"),
        ("serial: ratio, 65 bytes", times[65][1] / times[65][0], "x", "<= 1.7"),
        ("serial: ratio, 1000 bytes", times[1000][1] / times[1000][0], "x", "<= 1.7"),
        ("serial: growth from 14 to 65 bytes", times[65][1] / ours, "x", "<= 1.2"),
        ("serial: growth from 14 to 1000 bytes", times[1000][1] / ours, "x", f"bare: {times[1000][0] / bare:.2f}"),
    ]


def _tcp() -> list[Figure]:
    with _peer("tcp") as port, socket.create_connection(("127.0.0.1", int(port))) as bare_socket:
        bare_socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        bare_socket.setblocking(False)
        with SerialTransport(Resource("serial", f"socket://127.0.0.1:{port}", {}), LineCodec()) as transport:
            bare, ours = _stream(bare_socket.fileno(), transport, (14,))[14]
    return [
        ("TCP: bare socket, 14 bytes", bare, "us", ""),
        ("TCP: one reading, 14 bytes", ours, "us", ""),
        ("TCP: ratio, 14 bytes", ours / bare, "x", "<= 1.5"),
    ]


def _stream(fd: int, transport: SerialTransport, lengths: tuple[int, ...] = LENGTHS) -> dict[int, tuple[float, float]]:
    """Return for each length of the reply the time of a bare and of our reading, in us."""
    codec = transport.codec
    poller = select.poll()
    poller.register(fd, select.POLLIN)

    def bare(length: int) -> Callable[[], float]:
        question = f"{length}?\n".encode("ascii")

        def read() -> float:
            os.write(fd, question)
            reply = b""
            while not reply.endswith(b"\n"):
                poller.poll(1000)
                reply += os.read(fd, 4096)
            return float(reply)

        return read

    def ours(length: int) -> Callable[[], float]:
        return lambda: float(transport.exchange(codec.request(f"{length}?", repeatable=True)))

    return {length: _interleaved(bare(length), ours(length)) for length in lengths}


# --- messages -------------------------------------------------------------------------------------------------------


def _zmq() -> list[Figure]:
    with tempfile.TemporaryDirectory() as folder:
        server, client = (create_curve_keys(Path(folder), name) for name in ("server", "client"))
        with _peer("zmq", str(server.secret)) as port:
            pair = load_curve_secret(client.secret)
            request: Any = zmq.Context.instance().socket(zmq.REQ)
            request.curve_serverkey = load_curve_public(server.public)
            request.curve_publickey, request.curve_secretkey = pair.public, pair.secret
            request.connect(f"tcp://127.0.0.1:{port}")

            def bare() -> float:
                request.send(b"14?")
                return float(request.recv())

            options = {"server_key_file": str(server.public), "client_key_file": str(client.secret)}
            with ZmqTransport(Resource("zmq", f"tcp://127.0.0.1:{port}", options)) as transport:

                def ours() -> float:
                    return transport.exchange(Request("14?", [b"", b"14?"], lambda frames: float(frames[1])))

                reference, time_us = _interleaved(bare, ours)
            request.close(linger=0)
    return [
        ("ZeroMQ: bare REQ/REP with CURVE", reference, "us", ""),
        ("ZeroMQ: one reading", time_us, "us", ""),
        ("ZeroMQ: ratio", time_us / reference, "x", "<= 1.4"),
    ]


# --- taking turns ---------------------------------------------------------------------------------------------------


def _interleaved(first: Callable[[], float], second: Callable[[], float]) -> tuple[float, float]:
    """Return the median times of both in us, measured in turns."""
    times: tuple[list[float], list[float]] = ([], [])
    for _ in range(ROUNDS):
        for call, kept in zip((first, second), times, strict=True):
            call()
            for _ in range(CALLS):
                start = time.perf_counter_ns()
                call()
                kept.append((time.perf_counter_ns() - start) / 1000)
    return statistics.median(times[0]), statistics.median(times[1])


@contextlib.contextmanager
def _peer(kind: str, *arguments: str) -> Generator[str]:
    command = [sys.executable, __file__, kind, *arguments]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield process.stdout.readline().strip()
        process.terminate()


# --- the peer's process ---------------------------------------------------------------------------------------------


def _reply(question: bytes) -> bytes:
    return b"1." + b"0" * (int(question.strip(b"?\n")) - 3)


def _serve_stream(fd: int) -> None:
    replies = {b"%d?\n" % length: _reply(b"%d?" % length) + b"\n" for length in LENGTHS}
    while question := os.read(fd, 100):
        os.write(fd, replies[question])


def _serve_tcp() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        print(listener.getsockname()[1], flush=True)
        while True:
            connection, _ = listener.accept()
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=_serve_stream, args=(connection.detach(),), daemon=True).start()


def _serve_zmq(secret: str) -> None:
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
    if len(sys.argv) > 1:
        _serve(*sys.argv[1:])
    else:
        for name, value, unit, goal in measure():
            print(f"{name:42} {value:9.2f} {unit:3} {goal}")
