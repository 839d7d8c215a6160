"""One reading over VISA, as a ratio to a raw socket and to pyvisa-py's own `query`, all three in turn in one run.

Ours is the declared value of a driver (`box.py`); pyvisa-py has none, so theirs is a query and `float`. Everything is
kept on one core. Run it by `python benchmarks/visa.py`.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import pyvisa

from box import Box, bare, connection, on_one_core, peer
from measuring import Figure, in_turns, show, spread
from tokaido.hal import Resource

if TYPE_CHECKING:
    from collections.abc import Callable

QUESTION = "14?"
ROUNDS = 100


def measure() -> list[Figure]:
    """Return the figures."""
    with on_one_core(), peer("tcp") as place, contextlib.ExitStack() as closing:
        calls = []
        for make in (raw, pyvisa_py, tokaido):
            call, close = make(int(place))
            closing.callback(close)
            calls.append(call)
        bare_side, theirs, ours = in_turns(calls, rounds=ROUNDS)
    return [
        spread(bare_side.wall).figure("VISA socket: raw socket, 14 bytes", "us"),
        spread(theirs.wall).figure("VISA socket: pyvisa-py's query, 14 bytes", "us"),
        spread(ours.wall).figure("VISA socket: one reading, 14 bytes", "us"),
        ours.over(bare_side).figure("VISA socket: ratio to the raw socket", "x", "<= 1.4"),
        ours.over(theirs).figure("VISA socket: ratio to pyvisa-py", "x", "<= 1"),
        ours.cpu_over(bare_side).figure("VISA socket: added client CPU per reading", "us"),
        theirs.cpu_over(bare_side).figure("VISA socket: added client CPU per query of pyvisa-py", "us"),
    ]


def raw(port: int) -> tuple[Callable[[], object], Callable[[], object]]:
    """Return how to read over a bare socket, and how to close it."""
    made = connection(port)
    return bare(made.fileno()), made.close


def pyvisa_py(port: int) -> tuple[Callable[[], object], Callable[[], object]]:
    """Return how to read by pyvisa-py alone, and how to close it."""
    instrument: Any = pyvisa.ResourceManager("@py").open_resource(
        f"TCPIP::127.0.0.1::{port}::SOCKET", read_termination="\n", write_termination="\n"
    )
    return lambda: float(instrument.query(QUESTION)), instrument.close


def tokaido(port: int) -> tuple[Callable[[], object], Callable[[], object]]:
    """Return how to read a declared value of our driver, and how to close it."""
    box = Box({"control": Resource.parse(f"visa:TCPIP::127.0.0.1::{port}::SOCKET")})
    return lambda: box.value, box.close


if __name__ == "__main__":
    show(measure())
