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
import random
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast

from tokaido.hal import KeyBlockInfo, KeyMaterial, Station
from tokaido.node import NodeDaemon, NodeFile
from tokaido.node.core import Drawn, Send
from tokaido.node.daemon import KeySources
from tokaido.node.daemon._runner import CoreRunner
from tokaido.node.messages import Relay
from tokaido.node.store import SqliteStore, StoreError
from tokaido_testing.chaos_steps import Names

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from tokaido.node.core import Action, Clear, Commit, Event, Fetch, NodeCore, Raise
    from tokaido.node.service import KeyService

BLOCK_BYTES: Final = 24_000
PR_SET_PDEATHSIG: Final = 1
"""A constant of sys/prctl.h."""
OVERTAKEN: Final = 0.2
"""Share of relays that others overtake."""
LATE_S: Final = 0.05
FAILS_ONCE: Final = "fails-"
"""How the file begins whose presence makes a node's store fail once."""
ODD: Final = "odd-blocks"
"""The file that says of how many blocks one is of each odd kind."""
RARELY_ODD: Final = 40
"""Of so many if there is no such file."""
PLENTY: Final = 60
"""With more blocks of a link the next one comes later: stores that hold thousands take long to open."""
SLOWER: Final = 10


def block(number: int, link: str = "span", *, size: int = BLOCK_BYTES) -> bytes:
    """Return the key of a block of a link, the same at both ends."""
    return hashlib.shake_256(f"block {number} of {link}".encode()).digest(size)


def odd_block(number: int, link: str, size: int, every: int, *, first: bool) -> tuple[bytes, bool]:
    """Return what one end of a link is given, and whether it is insecure: some blocks are not as they should be.

    Args:
        number: Of the block.
        link: Its link.
        size: Of a block, in bytes.
        every: One of so many is of each odd kind; 5 at least.
        first: Whether this is the end whose name sorts first.
    """
    match number % every - every + 4:
        case 0:  # another key at one end
            return block(number, f"{link}, at one end" if first else link, size=size), False
        case 1:  # longer at one end
            return block(number, link, size=size + first), False
        case 2:  # too short to be of use
            return block(number, link, size=100), False
        case 3:
            return block(number, link, size=size), True
        case _:
            return block(number, link, size=size), False


class MadeUp(KeySources):
    """Key sources of one node: block after block, each offered until it is committed, some at one end alone.

    Args:
        folder: Of the test.
        node: Name of the node.
        links: Its links, each with the name of the neighbour.
        pace_s: Time between two blocks of a link.
        size: Of a block, in bytes.
        odd: Whether some blocks are not as they should be.
    """

    def __init__(
        self, folder: Path, node: str, links: Mapping[str, str], *, pace_s: float, size: int, odd: bool
    ) -> None:
        self._folder = folder / f"unit-{node}"
        self._folder.mkdir(exist_ok=True)
        self._node = node
        self._links = links
        self._pace_s = pace_s
        self._size = size
        self._odd = odd
        self._tasks: list[asyncio.Task[None]] = []
        self._offered: dict[int, tuple[Path, bool]] = {}
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
            every = self._odd_of()
            if every == RARELY_ODD and has_plenty(link):
                await asyncio.sleep(SLOWER * self._pace_s)
            while (committed := self._folder / f"{link}-{number}").exists():
                number += 1
            if number % 9 == (3 if self._node < other else 6):  # this one is at the other end alone
                committed.touch()
                continue
            data, insecure = block(number, link, size=self._size), False
            if self._odd:
                data, insecure = odd_block(number, link, self._size, every, first=self._node < other)
            key = KeyMaterial(data, insecure=insecure)
            facts = {"method": "made up", "bound": "none", "eps": 0.0, "insecure": insecure, "emulated": True}
            info = KeyBlockInfo(session="s", number=number, bits=key.bits, serial_number=self._node, **facts)  # type: ignore[arg-type]
            draw = next(self._draws)
            self._offered[draw] = committed, insecure
            feed(Drawn(draw, link, info, key))
            await asyncio.sleep(self._pace_s)

    def _odd_of(self) -> int:
        """Return of how many blocks one is of each odd kind."""
        try:
            return int((self._folder.parent / ODD).read_text())
        except FileNotFoundError:
            return RARELY_ODD

    def take_draw(self, draw: int, why_not: str | None) -> None:
        committed, insecure = self._offered.pop(draw)
        if why_not is None or insecure:  # nobody will ever take an insecure one
            committed.touch()

    def fetch(self, action: Fetch) -> None:
        raise AssertionError(action)


RUNNING: Final[dict[str, NodeCore]] = {}
"""The core of this process, once it runs."""


def has_plenty(link: str) -> bool:
    """Whether this node holds many blocks of a link."""
    return bool(RUNNING) and RUNNING["core"].status().links[link].blocks > PLENTY


def pass_steps(folder: Path, node: str, doom: dict[str, Any] | None) -> None:
    """Write down each named step that this process passes, and kill it at one, which is written down, too.

    Args:
        folder: Of the test.
        node: Name of the node.
        doom: It dies at one of the `steps`, with this `chance` whenever one comes; `draws` is the seed. None: it lives.
    """
    passed: set[str] = set()
    names = Names()
    mortal: set[str] = set() if doom is None else set(doom["steps"])
    draws = random.Random(0 if doom is None else doom["draws"])

    def passing(name: str) -> None:
        if name not in passed:
            passed.add(name)
            write_down(folder / f"steps-{node}", name)
        if doom is not None and name in mortal and draws.random() < doom["chance"]:
            write_down(folder / f"died-{node}", name)
            os.kill(os.getpid(), signal.SIGKILL)

    carry_out, feed = CoreRunner._carry_out, CoreRunner.feed

    def carried_out(self: CoreRunner, action: Action) -> None:
        name = names.of_action(id(self), action)
        passing(f"before {name}")
        carry_out(self, action)
        passing(f"after {name}")

    def fed(self: CoreRunner, event: Event) -> None:
        RUNNING["core"] = self.core
        passing(f"before {names.of_event(id(self), event)}")
        feed(self, event)

    CoreRunner._carry_out = carried_out  # type: ignore[method-assign]
    CoreRunner.feed = fed  # type: ignore[method-assign]


def write_down(file: Path, line: str) -> None:
    """Append a line, at once."""
    with file.open("ab", buffering=0) as written:
        written.write(f"{line}\n".encode())


def let_some_overtake() -> None:
    """Send some relays late, so that later ones overtake them."""
    ask, draws = CoreRunner._ask, random.Random()

    async def asked(self: CoreRunner, action: Send) -> None:
        if isinstance(action.envelope.body, Relay) and draws.random() < OVERTAKEN:
            await asyncio.sleep(LATE_S)
        await ask(self, action)

    CoreRunner._ask = asked  # type: ignore[method-assign]


def let_store_fail(order: Path) -> None:
    """Have the store fail once whenever that file is there."""
    commit = SqliteStore.commit

    def committed(self: SqliteStore, commits: Sequence[Commit]) -> list[tuple[KeyMaterial, ...]]:
        if order.exists():
            order.unlink()
            raise StoreError("the disk fails, as the test wants it", remedy="Nothing: it fails once")
        return commit(self, commits)

    SqliteStore.commit = committed  # type: ignore[method-assign]


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


async def live(folder: Path, node: str, *, pace_s: float, size: int, odd: bool) -> None:
    """Live as a node until SIGTERM."""
    file = NodeFile.read(folder / f"{node}.toml")
    halves = Station.from_file(file.station).half_links
    links = {name: half.neighbour for name, half in halves.items()}
    daemon = NodeDaemon(file, sources=lambda _: MadeUp(folder, node, links, pace_s=pace_s, size=size, odd=odd))
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
    pass_steps(folder, node, order["doom"])
    let_some_overtake()
    let_store_fail(folder / f"{FAILS_ONCE}{node}")
    asyncio.run(live(folder, node, pace_s=order["pace_s"], size=order["block_bytes"], odd=order["odd"]))


def warm_up(folder: Path, node: str) -> None:
    """Import once what every node imports when it starts, and when it relays."""
    import concurrent.futures.thread  # noqa: F401
    import encodings.idna  # noqa: F401

    import cryptography.hazmat.primitives.poly1305  # noqa: F401

    from tokaido.node.applications import etsi014_application
    from tokaido.node.store import StoreThread  # noqa: F401
    from tokaido.node.tls import server_context

    etsi014_application(cast("KeyService", None), lambda _: False)
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
