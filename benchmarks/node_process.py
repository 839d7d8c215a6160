"""Processes that `node`, `node_devices` and `relay` measure: a node with blocks made up, which may note how long its
relays take; one with the devices of its station; or a bare aiohttp server with as many commits.

python benchmarks/node_process.py node FOLDER NAME
python benchmarks/node_process.py noted FOLDER NAME
python benchmarks/node_process.py devices FOLDER NAME
python benchmarks/node_process.py bare FOLDER PORT
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import itertools
import json
import logging
import os
import queue
import signal
import sqlite3
import sys
import threading
import time
import uuid
from pathlib import Path
from typing import TYPE_CHECKING

from aiohttp import web

from tokaido.hal import KeyBlockInfo, KeyMaterial
from tokaido.node import NodeDaemon, NodeFile
from tokaido.node.core import Drawn
from tokaido.node.daemon import KeySources
from tokaido.node.messages import Relay, Relayed
from tokaido.node.peers import Neighbour
from tokaido.node.pki import files_of
from tokaido.node.store import StoreThread
from tokaido.node.tls import server_context

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tokaido.node.core import Clear, Commit, Event, Fetch, Raise
    from tokaido.node.messages import Envelope

BLOCK_BYTES = 1 << 20
BLOCKS = 8
RATE = 1e6
"""Bits a second."""


class MadeUp(KeySources):
    """Key sources of which each has eight blocks of 1 MiB at once, and then makes 1 Mbit/s, as a good link does."""

    def __init__(self, file: NodeFile) -> None:
        self._links = [link for entry in file.neighbours.values() for link in entry.links]
        self._feed: Callable[[Event], bool] = lambda _: False
        self._draws = itertools.count()
        self._numbers = dict.fromkeys(self._links, 0)
        self._drawn: dict[int, str] = {}

    def start(self, feed: Callable[[Event], bool], alarm: Callable[[Raise | Clear], None]) -> None:
        del alarm
        self._feed = feed
        for _ in range(BLOCKS):
            for link in self._links:
                self._next(link)

    async def close(self) -> None:
        pass

    def take_draw(self, draw: int, why_not: str | None) -> None:
        del why_not
        loop = asyncio.get_running_loop()
        loop.call_later(BLOCKS * BLOCK_BYTES * 8 / RATE, self._next, self._drawn.pop(draw))

    def _next(self, link: str) -> None:
        number, draw = self._numbers[link], next(self._draws)
        self._numbers[link] += 1
        self._drawn[draw] = link
        key = KeyMaterial(hashlib.shake_256(f"block {number} of {link}".encode()).digest(BLOCK_BYTES))
        facts = {"method": "made up", "bound": "none", "eps": 0.0, "insecure": False, "emulated": True}
        info = KeyBlockInfo(session="s", number=number, bits=key.bits, serial_number="x", **facts)  # type: ignore[arg-type]
        self._feed(Drawn(draw, link, info, key))

    def fetch(self, action: Fetch) -> None: ...


async def node(folder: Path, name: str, sources: Callable[[NodeFile], KeySources] | None) -> None:
    daemon = NodeDaemon(NodeFile.read(folder / f"{name}.toml"), emulation=True, sources=sources)
    await daemon.run(lambda: print("ready", flush=True))


@contextlib.contextmanager
def noted(path: Path) -> Iterator[None]:
    """Note time, keys and bytes of pad of each RELAY that was answered, and count commits; write it at the end."""
    asked, committed = Neighbour.ask, StoreThread.commit
    relays: list[tuple[float, int, int]] = []
    commits = [0]

    async def ask(self: Neighbour, envelope: Envelope, within_s: float) -> Envelope:
        begun = time.perf_counter()
        answer = await asked(self, envelope, within_s)
        if isinstance(envelope.body, Relay) and isinstance(answer.body, Relayed):
            relays.append((time.perf_counter() - begun, envelope.body.count, envelope.body.length))
        return answer

    def commit(self: StoreThread, commit: Commit) -> asyncio.Future[tuple[KeyMaterial, ...]]:
        commits[0] += bool(commit.writes)
        return committed(self, commit)

    Neighbour.ask, StoreThread.commit = ask, commit  # type: ignore[method-assign]
    try:
        yield
    finally:
        path.write_text(json.dumps({"relays": relays, "commits": commits[0]}))


class Grouped:
    """Commits in a thread; all that wait share one transaction."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._jobs: queue.SimpleQueue[tuple[asyncio.AbstractEventLoop, asyncio.Future[None]]] = queue.SimpleQueue()
        threading.Thread(target=self._run, daemon=True).start()

    async def commit(self) -> None:
        loop = asyncio.get_running_loop()
        future: asyncio.Future[None] = loop.create_future()
        self._jobs.put((loop, future))
        await future

    def _run(self) -> None:
        database = sqlite3.connect(self._path, isolation_level=None)
        for statement in (
            "PRAGMA journal_mode = WAL",
            "PRAGMA synchronous = FULL",
            "CREATE TABLE supply (id BLOB PRIMARY KEY, cells BLOB)",
        ):
            database.execute(statement)
        while True:
            jobs = [self._jobs.get()]
            while not self._jobs.empty():
                jobs.append(self._jobs.get())
            database.execute("BEGIN IMMEDIATE")
            for _ in jobs:
                database.execute("INSERT INTO supply VALUES (?, ?)", (os.urandom(16), os.urandom(32)))
            database.execute("COMMIT")
            for loop, future in jobs:
                loop.call_soon_threadsafe(future.set_result, None)


async def bare(folder: Path, port: int) -> None:
    stores = Grouped(folder / "bare-a"), Grouped(folder / "bare-b")

    async def enc_keys(request: web.Request) -> web.Response:
        asked = await request.json()
        for store in stores:  # as the owner's and then the peer's
            await store.commit()
        keys = [
            {"key_ID": str(uuid.uuid4()), "key": base64.b64encode(os.urandom(asked["size"] // 8)).decode()}
            for _ in range(asked["number"])
        ]
        return web.Response(body=json.dumps({"keys": keys}).encode(), content_type="application/json")

    application = web.Application()
    application.router.add_post("/api/v1/keys/{slave}/enc_keys", enc_keys)
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    context = server_context(files_of(folder / "pki", "node-otemachi"))
    await web.TCPSite(runner, "127.0.0.1", port, ssl_context=context).start()
    print("ready", flush=True)
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    await stop.wait()
    await runner.cleanup()


if __name__ == "__main__":
    kind, place, what = sys.argv[1:]
    logging.basicConfig(level=logging.ERROR)
    if kind == "bare":
        asyncio.run(bare(Path(place), int(what)))
    else:
        with noted(Path(place) / f"{what}.json") if kind == "noted" else contextlib.nullcontext():
            asyncio.run(node(Path(place), what, None if kind == "devices" else MadeUp))
