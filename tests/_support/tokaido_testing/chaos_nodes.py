"""Nodes that die at named steps: a program that forks them, so that a start costs milliseconds.

Each node is the daemon itself, with its store on disk and its neighbour over TLS. Its key sources alone are made up:
both ends derive the same blocks from a number. What it relays is written down before it is sent, for an observer who
knows nothing of marks and grants.
"""

from __future__ import annotations

import asyncio
import ctypes
import hashlib
import itertools
import json
import logging
import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tokaido.hal import KeyBlockInfo, KeyMaterial, Station
from tokaido.node import NodeDaemon, NodeFile
from tokaido.node.core import Answer, Commit, Drawn, Send
from tokaido.node.daemon import KeySources
from tokaido.node.daemon._runner import CoreRunner
from tokaido.node.messages import Relay

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tokaido.node.core import Clear, Event, Fetch, Raise

BLOCK_BYTES: Final = 24_000
PR_SET_PDEATHSIG: Final = 1
"""A constant of sys/prctl.h."""


def block(number: int, link: str = "span") -> bytes:
    """Return the key of a block of a link, the same at both ends."""
    return hashlib.shake_256(f"block {number} of {link}".encode()).digest(BLOCK_BYTES)


class MadeUp(KeySources):
    """Key sources of one node: block after block, each offered until it is committed, some at one end alone.

    Args:
        folder: Of the test.
        node: Name of the node.
        links: Its links, each with the name of the neighbour.
        pace_s: Time between two blocks of a link.
    """

    def __init__(self, folder: Path, node: str, links: Mapping[str, str], pace_s: float) -> None:
        self._folder = folder / f"unit-{node}"
        self._folder.mkdir(exist_ok=True)
        self._node = node
        self._links = links
        self._pace_s = pace_s
        self._tasks: list[asyncio.Task[None]] = []
        self._offered: dict[int, Path] = {}
        self._draws = itertools.count(1)

    def start(self, feed: Callable[[Event], bool], alarm: Callable[[Raise | Clear], None]) -> None:
        loop = asyncio.get_running_loop()
        self._tasks = [loop.create_task(self._draw(link, other, feed)) for link, other in self._links.items()]

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()

    async def _draw(self, link: str, other: str, feed: Callable[[Event], bool]) -> None:
        number = 0
        while True:
            while (committed := self._folder / f"{link}-{number}").exists():
                number += 1
            if number % 9 == (3 if self._node < other else 6):  # this one is at the other end alone
                committed.touch()
                continue
            key = KeyMaterial(block(number, link))
            facts = {"method": "made up", "bound": "none", "eps": 0.0, "insecure": False, "emulated": True}
            info = KeyBlockInfo(session="s", number=number, bits=key.bits, serial_number=self._node, **facts)  # type: ignore[arg-type]
            draw = next(self._draws)
            self._offered[draw] = committed
            feed(Drawn(draw, link, info, key))
            await asyncio.sleep(self._pace_s)

    def take_draw(self, draw: int, why_not: str | None) -> None:
        if why_not is None:
            self._offered.pop(draw).touch()

    def fetch(self, action: Fetch) -> None:
        raise AssertionError(action)


def die_at(step: str | None, occurrence: int, seen: Path) -> None:
    """Have this process kill itself at the n-th occurrence of a step, and write down each step that it passes."""
    passed: dict[str, int] = {}

    def passing(name: str) -> None:
        if name not in passed:
            with seen.open("a") as file:
                file.write(f"{name}\n")
        passed[name] = passed.get(name, 0) + 1
        if name == step and passed[name] >= occurrence:
            os.kill(os.getpid(), signal.SIGKILL)

    carry_out, feed = CoreRunner._carry_out, CoreRunner.feed

    def carried_out(self: CoreRunner, action: Any) -> None:
        name = type(action).__name__
        if isinstance(action, (Send, Answer)):
            name += f" {type(action.envelope.body).__name__}"
        elif isinstance(action, Commit):
            name += " " + "+".join(sorted({type(write).__name__ for write in action.writes}))[:60]
        passing(f"before {name}")
        carry_out(self, action)
        passing(f"after {name}")

    def fed(self: CoreRunner, event: Any) -> None:
        passing(f"before {type(event).__name__}")
        feed(self, event)

    CoreRunner._carry_out = carried_out  # type: ignore[method-assign]
    CoreRunner.feed = fed  # type: ignore[method-assign]


def write_down_relays(file: Path, node: str) -> None:
    """Write down which range of its own halves a node uses as a pad, before it sends it."""
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    carry_out = CoreRunner._carry_out

    def carried_out(self: CoreRunner, action: Any) -> None:
        if isinstance(action, Send) and isinstance(action.envelope.body, Relay):
            body = action.envelope.body
            digest = hashlib.sha256(body.ciphertext).hexdigest()[:16]
            record = [body.link, body.session, body.number, node, body.offset, body.length, digest]
            os.write(descriptor, json.dumps(record).encode() + b"\n")
        carry_out(self, action)

    CoreRunner._carry_out = carried_out  # type: ignore[method-assign]


async def live(folder: Path, node: str, pace_s: float) -> None:
    """Live as a node until SIGTERM."""
    file = NodeFile.read(folder / f"{node}.toml")
    halves = Station.from_file(file.station).half_links
    links = {name: half.neighbour for name, half in halves.items()}
    daemon = NodeDaemon(file, sources=lambda _: MadeUp(folder, node, links, pace_s))
    await daemon.run((folder / f"ready-{node}").touch)


def child(order: dict[str, Any]) -> None:
    """Be one node, for as long as the program lives that forked it."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    folder, node = Path(order["folder"]), order["node"]
    with (folder / f"log-{node}").open("ab") as log:
        os.dup2(log.fileno(), 1)
        os.dup2(log.fileno(), 2)
    logging.basicConfig(level=logging.DEBUG)
    write_down_relays(folder / f"relays-{node}", node)
    die_at(order.get("step"), order.get("occurrence", 1), folder / f"steps-{node}")
    asyncio.run(live(folder, node, order.get("pace_s", 0.02)))


def warm_up(folder: Path, node: str) -> None:
    """Import once what every node imports when it starts."""
    from tokaido.node.applications import etsi014_application  # noqa: F401
    from tokaido.node.store import SqliteStore, StoreThread  # noqa: F401
    from tokaido.node.tls import server_context

    server_context(NodeFile.read(folder / f"{node}.toml").tls)


def main() -> None:
    """Take orders to start nodes, a line each, and say what became of them."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    warm = False
    for line in sys.stdin:
        order = json.loads(line)
        if "start" in order:
            if not warm:
                warm_up(Path(order["start"]["folder"]), order["start"]["node"])
                warm = True
            pid = os.fork()
            if pid == 0:
                code = 70
                try:
                    child(order["start"])
                    code = 0
                except BaseException:  # noqa: BLE001 - told in the log
                    import traceback

                    traceback.print_exc()
                finally:
                    sys.stdout.flush()
                    sys.stderr.flush()
                    os._exit(code)
            print(json.dumps({"pid": pid}), flush=True)
        else:
            _, status = os.waitpid(order["wait"], 0)
            print(json.dumps({"status": os.waitstatus_to_exitcode(status)}), flush=True)


if __name__ == "__main__":
    main()
