"""One reading over each transport, beside the bare descriptor or socket on the same wire.

The box runs in a process of its own. All sides take turns in one run. Ours is the declared value of a driver, read as
its user reads it; a further row reads by the transport alone, without driver and value. A ratio of wall times divides
by system calls whose cost drifts between hours, and the box's own CPU, on the same core, hides ours. So beside each
stands what a reading costs this process more than the bare one, in CPU time. Run it by
`python benchmarks/transports.py`.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from box import Box, MessageBox, bare, connection, on_one_core, peer
from measuring import Figure, Side, in_turns, show, spread
from tokaido.hal import Resource, create_curve_keys
from tokaido.hal.driver import LineCodec, Request
from tokaido.hal.transports import SerialTransport, ZmqTransport, load_curve_public, load_curve_secret

if TYPE_CHECKING:
    from collections.abc import Callable

ROUNDS = 100


def measure() -> list[Figure]:
    """Return the figures."""
    with on_one_core():
        return [*_serial(), *_tcp(), *_zmq()]


def compared(wire: str, what: str, bare_side: Side, ours: Side, goal: str) -> list[Figure]:
    """Return the rows of one reading beside the bare one."""
    return [
        spread(ours.wall).figure(f"{wire}: one reading{what}", "us"),
        ours.over(bare_side).figure(f"{wire}: ratio{what}", "x", goal),
        ours.cpu_over(bare_side).figure(f"{wire}: added client CPU per reading{what}", "us"),
    ]


# --- streams ------------------------------------------------------------------------------------------------------


def _serial() -> list[Figure]:
    rows = []
    with peer("pty") as port, contextlib.ExitStack() as closing:
        fd = os.open(port, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
        closing.callback(os.close, fd)
        resource = Resource("serial", port, {})
        with Box({"control": resource}) as box:
            readings: dict[int, Callable[[], object]] = {14: lambda: box.value, 65: lambda: box.longer}
            readings[1000] = lambda: box.text
            sides = {length: in_turns([bare(fd, length), read], rounds=ROUNDS) for length, read in readings.items()}
        with SerialTransport(resource, LineCodec()) as transport:
            alone = in_turns([bare(fd), _exchange(transport)], rounds=ROUNDS)
    rows.append(spread(sides[14][0].wall).figure("serial: bare descriptor, 14 bytes", "us"))
    for length, (theirs, ours) in sides.items():
        rows += compared("serial", f", {length} bytes", theirs, ours, "<= 1.3")
    of_bare = sides[1000][0].over(sides[14][0]).median
    rows.append(sides[65][1].over(sides[14][1]).figure("serial: growth from 14 to 65 bytes", "x", "<= 1.2"))
    rows.append(
        sides[1000][1].over(sides[14][1]).figure("serial: growth from 14 to 1000 bytes", "x", f"bare: {of_bare:.2f}")
    )
    return rows + compared("serial", ", transport alone", alone[0], alone[1], "")


def _tcp() -> list[Figure]:
    with peer("tcp") as port, connection(int(port)) as bare_socket:
        resource = Resource("serial", f"socket://127.0.0.1:{port}", {})
        with Box({"control": resource}) as box, SerialTransport(resource, LineCodec()) as transport:
            calls = [bare(bare_socket.fileno()), lambda: box.value, _exchange(transport)]
            theirs, ours, alone = in_turns(calls, rounds=ROUNDS)
    return [
        spread(theirs.wall).figure("TCP: bare socket, 14 bytes", "us"),
        *compared("TCP", ", 14 bytes", theirs, ours, "<= 1.35"),
        *compared("TCP", ", transport alone", theirs, alone, ""),
    ]


def _exchange(transport: SerialTransport) -> Callable[[], object]:
    codec = transport.codec
    return lambda: float(transport.exchange(codec.request("14?", repeatable=True)))


# --- messages -------------------------------------------------------------------------------------------------------


def _zmq() -> list[Figure]:
    import zmq

    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as closing:
        server, client = (create_curve_keys(Path(folder), name) for name in ("server", "client"))
        port = closing.enter_context(peer("zmq", str(server.secret)))
        pair = load_curve_secret(client.secret)
        request: Any = zmq.Context.instance().socket(zmq.REQ)
        closing.callback(request.close, linger=0)
        request.curve_serverkey = load_curve_public(server.public)
        request.curve_publickey, request.curve_secretkey = pair.public, pair.secret
        request.connect(f"tcp://127.0.0.1:{port}")

        def bare_socket() -> float:
            request.send(b"14?")
            return float(request.recv())

        options = {"server_key_file": str(server.public), "client_key_file": str(client.secret)}
        resource = Resource("zmq", f"tcp://127.0.0.1:{port}", options)
        box = closing.enter_context(MessageBox({"control": resource}))
        transport = closing.enter_context(ZmqTransport(resource))

        def alone() -> float:
            return transport.exchange(Request("14?", [b"", b"14?"], lambda frames: float(frames[1])))

        sides = in_turns([bare_socket, lambda: box.value, alone], rounds=ROUNDS)
    return [
        spread(sides[0].wall).figure("ZeroMQ: bare REQ/REP with CURVE", "us"),
        *compared("ZeroMQ", "", sides[0], sides[1], "<= 1.4"),
        *compared("ZeroMQ", ", transport alone", sides[0], sides[2], ""),
    ]


if __name__ == "__main__":
    show(measure())
