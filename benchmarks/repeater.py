"""One declared value of a repeater, beside a bare REQ/REP with CURVE, each peer in a process of its own.

Three peers answer the driver: a bare ROUTER that says the same to every question, which leaves the client's part; the
control endpoint of the daemon, in a loop of asyncio, with a node behind it; and the emulated repeater on its wire end.
All sides take turns in one run. Besides, what many emulated repeaters in one process cost. Run it by
`python benchmarks/repeater.py`.
"""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

import tokaido.hal as hal
from box import on_one_core, peer
from measuring import Figure, in_turns, show, spread
from tokaido.hal.transports import load_curve_public, load_curve_secret

ROUNDS = 40
MANY = 100
SECONDS = 20.0
WATCHED = ("bare peer", "daemon's endpoint", "emulated repeater")


def measure() -> list[Figure]:
    """Return the figures."""
    import zmq

    with tempfile.TemporaryDirectory() as name, contextlib.ExitStack() as closing:
        folder = Path(name)
        for who in ("server", "client"):
            hal.create_curve_keys(folder, who)
        port = closing.enter_context(peer("zmq", str(folder / "server.key_secret")))
        pair = load_curve_secret(folder / "client.key_secret")
        request: Any = zmq.Context.instance().socket(zmq.REQ)
        closing.callback(request.close, linger=0)
        request.curve_serverkey = load_curve_public(folder / "server.key")
        request.curve_publickey, request.curve_secretkey = pair.public, pair.secret
        request.connect(f"tcp://127.0.0.1:{port}")

        def bare_socket() -> float:
            request.send(b"14?")
            return float(request.recv())

        keys = f"server_key_file={folder}/server.key&client_key_file={folder}/client.key_secret"
        links = []
        for kind in ("same", "endpoint", "emulator"):
            place = closing.enter_context(peer(kind, name, script=__file__))
            control = place if place.startswith("zmq:") else f"zmq:{place}?{keys}"
            node = closing.enter_context(hal.RepeaterNode.open("repeater.node", timeout=5, control=control))
            links.append(node.links[0])
        with on_one_core():
            readings = [lambda link=link: link.qber for link in links]
            sides = in_turns([bare_socket, *readings], rounds=ROUNDS)
        many = closing.enter_context(peer("many", str(MANY), script=__file__)).split()
    bare, *ours = sides
    rows = [spread(bare.wall).figure("bare REQ/REP with CURVE, beside repeaters", "us")]
    for what, side in zip(WATCHED, ours, strict=True):
        rows.append(side.over(bare).figure(f"a repeater's value / bare REQ/REP: {what}", "x", "<= 1.4"))
        rows.append(side.cpu_over(bare).figure(f"the same, added client CPU: {what}", "us"))
    megabytes, threads, share = map(float, many)
    return [
        *rows,
        Figure(f"{MANY} emulated repeaters in one process: memory each", megabytes / MANY, "MB"),
        Figure(f"{MANY} emulated repeaters in one process: threads they add", threads, "", "0"),
        Figure(f"{MANY} emulated repeaters in one process: CPU of a core", 100 * share, "%"),
    ]


# --- the peers' processes -------------------------------------------------------------------------------------------


def _door(folder: Path) -> tuple[Any, Any]:
    from tokaido.hal.transports import CurveClient

    keys = load_curve_secret(folder / "server.key_secret")
    return keys, CurveClient(load_curve_public(folder / "client.key"), "client", frozenset({"viewer"}))


def _same(folder: Path) -> None:
    """Greet as a node does, and say the same to every other question."""
    import zlib

    import msgspec
    import zmq

    from tokaido.emulators.repeater import RepeaterModel
    from tokaido.hal.transports import CurveDoor

    keys, client = _door(folder)
    node = RepeaterModel().node
    with CurveDoor(keys, [client]) as door:
        router = door.socket(zmq.ROUTER)
        print(door.bind(router, "tcp://127.0.0.1:0"), flush=True)
        content = msgspec.msgpack.encode({"ok": True, "value": 0.0342, "age_s": 0.0})
        first = zlib.crc32(b"<")
        address, frame = router.recv_multipart()
        router.send_multipart([address, node.hear(client, address, frame)])
        while True:
            address, frame = router.recv_multipart()
            identifier = frame[:8]
            check = zlib.crc32(identifier + content, first).to_bytes(4, "big")
            router.send_multipart([address, identifier + check + content])


def _endpoint(folder: Path) -> None:
    """Serve a node by the daemon's endpoint."""
    import asyncio

    from tokaido.emulators.repeater import RepeaterModel
    from tokaido.node.endpoint import ControlEndpoint

    keys, client = _door(folder)
    node = RepeaterModel().node
    node.advance(60 * hal.NS_PER_S)

    async def live() -> None:
        endpoint = ControlEndpoint("tcp://127.0.0.1:0", keys, [client], node.desk, operations=None)  # type: ignore[arg-type]
        await endpoint.open()
        print(endpoint.endpoint, flush=True)
        while True:
            await asyncio.to_thread(hal.SYSTEM_CLOCK.wait, 1.0)
            node.advance(node.now_ns + hal.NS_PER_S)

    asyncio.run(live())


def _emulator() -> None:
    from tokaido.emulators import launch

    with launch("repeater.node") as emulator:
        print(emulator.resources["control"], flush=True)
        while True:
            hal.SYSTEM_CLOCK.wait(1.0)


def _many(count: int) -> None:
    """Tell what so many emulated repeaters cost: MB, threads, share of a core."""
    import time

    from tokaido.emulators import launch

    def held() -> tuple[float, int]:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 1e6, len(list(Path("/proc/self/task").iterdir()))

    with contextlib.ExitStack() as stack:
        first = stack.enter_context(launch("repeater.node", serial_number="first"))
        hal.RepeaterNode.open("repeater.node", timeout=20, **first.resources).close()
        memory, threads = held()
        for number in range(count):
            emulator = stack.enter_context(launch("repeater.node", serial_number=f"node-{number}"))
            with hal.RepeaterNode.open("repeater.node", timeout=20, **emulator.resources) as node:
                node.telemetry()
        hal.SYSTEM_CLOCK.wait(5.0)
        cpu_ns = time.process_time_ns()
        hal.SYSTEM_CLOCK.wait(SECONDS)
        share = (time.process_time_ns() - cpu_ns) / 1e9 / SECONDS
        after, threads_after = held()
        print(after - memory, threads_after - threads, share, flush=True)


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["same", name]:
            _same(Path(name))
        case ["endpoint", name]:
            _endpoint(Path(name))
        case ["emulator", _]:
            _emulator()
        case ["many", count]:
            _many(int(count))
        case _:
            show(measure())
