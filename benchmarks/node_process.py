"""Processes that `node` and `node_devices` measure: a node with blocks made up, one with the devices of its station, or
a bare aiohttp server with as many commits.

python benchmarks/node_process.py node FOLDER NAME
python benchmarks/node_process.py devices FOLDER NAME
python benchmarks/node_process.py bare FOLDER PORT
"""

from __future__ import annotations

import asyncio
import base64
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
import uuid
from pathlib import Path
from typing import TYPE_CHECKING

from aiohttp import web

from tokaido.hal import KeyBlockInfo, KeyMaterial
from tokaido.node import NodeDaemon, NodeFile
from tokaido.node.core import Drawn
from tokaido.node.daemon import KeySources
from tokaido.node.pki import files_of
from tokaido.node.tls import server_context

if TYPE_CHECKING:
    from collections.abc import Callable

    from tokaido.node.core import Clear, Event, Fetch, Raise

BLOCK_BYTES = 1 << 20
BLOCKS = 8
RATE = 1e6
"""Bits a second."""


class MadeUp(KeySources):
    """Key sources that have eight blocks of 1 MiB at once, and then make 1 Mbit/s, as a good link does."""

    def __init__(self) -> None:
        self._feed: Callable[[Event], bool] = lambda _: False
        self._numbers = itertools.count()

    def start(self, feed: Callable[[Event], bool], alarm: Callable[[Raise | Clear], None]) -> None:
        del alarm
        self._feed = feed
        for _ in range(BLOCKS):
            self._next()

    async def close(self) -> None:
        pass

    def take_draw(self, draw: int, why_not: str | None) -> None:
        del draw, why_not
        asyncio.get_running_loop().call_later(BLOCKS * BLOCK_BYTES * 8 / RATE, self._next)

    def _next(self) -> None:
        number = next(self._numbers)
        key = KeyMaterial(hashlib.shake_256(b"block %d" % number).digest(BLOCK_BYTES))
        facts = {"method": "made up", "bound": "none", "eps": 0.0, "insecure": False, "emulated": True}
        info = KeyBlockInfo(session="s", number=number, bits=key.bits, serial_number="x", **facts)  # type: ignore[arg-type]
        self._feed(Drawn(number, "span", info, key))

    def fetch(self, action: Fetch) -> None: ...


async def node(folder: Path, name: str, sources: Callable[[NodeFile], KeySources] | None) -> None:
    daemon = NodeDaemon(NodeFile.read(folder / f"{name}.toml"), emulation=True, sources=sources)
    await daemon.run(lambda: print("ready", flush=True))


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
        asyncio.run(node(Path(place), what, None if kind == "devices" else lambda _: MadeUp()))
