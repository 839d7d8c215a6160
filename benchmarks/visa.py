"""One reading over VISA, as a ratio to a raw socket and to pyvisa-py's own `query`, all three in turn in one run.

The peer runs in a process of its own (that of `transports.py`); everything is kept on one core, every figure is a
median. Run it by `python benchmarks/visa.py`.
"""

from __future__ import annotations

import os
import select
import socket
import statistics
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyvisa

from tokaido.hal import Resource
from tokaido.hal.transports import LineCodec, VisaTransport

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

Figure = tuple[str, float, str, str]
QUESTION = "14?"
ROUNDS = 30
CALLS = 100


def measure() -> list[Figure]:
    """Return name, value, unit of measure and goal of every figure."""
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(cores)})
    try:
        with peer() as port:
            stacks = raw(port), pyvisa_py(port), tokaido(port)
            times = interleaved([read for read, _ in stacks])
            for _, close in stacks:
                close()
    finally:
        os.sched_setaffinity(0, cores)
    bare, theirs, ours = times
    return [
        ("VISA socket: raw socket, 14 bytes", bare, "us", ""),
        ("VISA socket: pyvisa-py's query, 14 bytes", theirs, "us", ""),
        ("VISA socket: one reading, 14 bytes", ours, "us", ""),
        ("VISA socket: ratio to the raw socket", ours / bare, "x", "<= 1.5"),
        ("VISA socket: ratio to pyvisa-py", ours / theirs, "x", "<= 1.25"),
    ]


def raw(port: int) -> tuple[Callable[[], float], Callable[[], object]]:
    """Return how to read over a bare socket, and how to close it."""
    connection = socket.create_connection(("127.0.0.1", port))
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    connection.setblocking(False)
    fd = connection.fileno()
    poller = select.poll()
    poller.register(fd, select.POLLIN)
    question = f"{QUESTION}\n".encode("ascii")

    def read() -> float:
        os.write(fd, question)
        reply = b""
        while not reply.endswith(b"\n"):
            poller.poll(1000)
            reply += os.read(fd, 4096)
        return float(reply)

    return read, connection.close


def pyvisa_py(port: int) -> tuple[Callable[[], float], Callable[[], object]]:
    """Return how to read by pyvisa-py alone, and how to close it."""
    instrument: Any = pyvisa.ResourceManager("@py").open_resource(
        f"TCPIP::127.0.0.1::{port}::SOCKET", read_termination="\n", write_termination="\n"
    )
    return lambda: float(instrument.query(QUESTION)), instrument.close


def tokaido(port: int) -> tuple[Callable[[], float], Callable[[], object]]:
    """Return how to read over our transport, and how to close it."""
    codec = LineCodec()
    transport = VisaTransport(Resource.parse(f"visa:TCPIP::127.0.0.1::{port}::SOCKET"), codec)
    return lambda: float(transport.exchange(codec.request(QUESTION, repeatable=True))), transport.close


def interleaved(readers: list[Callable[[], float]]) -> list[float]:
    """Return the median times in us, measured in turns."""
    times: list[list[float]] = [[] for _ in readers]
    for _ in range(ROUNDS):
        for read, kept in zip(readers, times, strict=True):
            read()
            for _ in range(CALLS):
                start = time.perf_counter_ns()
                read()
                kept.append((time.perf_counter_ns() - start) / 1000)
    return [statistics.median(kept) for kept in times]


@contextmanager
def peer() -> Generator[int]:
    """Run the peer in a process of its own and yield its port."""
    command = [sys.executable, str(Path(__file__).with_name("transports.py")), "tcp"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield int(process.stdout.readline())
        finally:
            process.terminate()


if __name__ == "__main__":
    for name, value, unit, goal in measure():
        print(f"{name:42} {value:9.2f} {unit:3} {goal}")
