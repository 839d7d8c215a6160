"""What node files of tests begin with, and a node that runs in this process while a test asks it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from tokaido.node import NodeDaemon, NodeFile
from tokaido_testing.hasty_clock import HastyClock

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

HEAD = """
[node]
name = "{name}"
station = "station.toml"
[store]
path = "keys.sqlite"
key_file = "store.key"
[tls]
certificate = "{pki}/node-otemachi.pem"
key = "{pki}/node-otemachi.key"
authority = "{pki}/ca.pem"
[listen]
neighbours = "127.0.0.1:0"
"""
"""Tables of a node that listens for neighbours alone; what a test adds to `listen` follows at once."""


def living(folder: Path, work: Callable[[NodeDaemon], None]) -> None:
    """Run the node of `folder`/node.toml while `work` has it, in a thread of its own, and end it.

    Raises:
        TokaidoError: It did not start.
    """

    async def live() -> None:
        daemon = NodeDaemon(NodeFile.read(folder / "node.toml"), clock=HastyClock(20.0))
        ready = asyncio.Event()
        running = asyncio.create_task(daemon.run(ready.set))
        waiting = asyncio.create_task(ready.wait())
        await asyncio.wait({running, waiting}, return_when=asyncio.FIRST_COMPLETED)
        try:
            if not running.done():
                await asyncio.to_thread(work, daemon)
        finally:
            waiting.cancel()
            daemon.stop()
            await asyncio.wait_for(running, 30)

    asyncio.run(live())
