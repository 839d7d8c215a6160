"""What node files of tests begin with, and a node that runs in this process while a test asks it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from tokaido.hal import SYSTEM_CLOCK, Deadline
from tokaido.node import NodeDaemon, NodeFile
from tokaido.node.store import new_wrapping_key
from tokaido_testing.hasty_clock import HastyClock

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tokaido.node.operation import ControlClient, NodeStatus

STATION = """
[station]
name = "{name}"
[devices.alice]
driver = "toshiba.transmitter"
control = "{control}"
[links.field]
unit = "alice"
neighbour = "koganei"
"""
"""A site with one unit and its end of one link."""
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
ALONE = '[neighbours.koganei]\nurl = "https://127.0.0.1:1"\n[alarms]\nhold_off_s = 0\n'
"""Of a node whose neighbour never answers, and whose alarms are told at once."""


def make_site(folder: Path, *, name: str = "otemachi", control: str = "serial:/nowhere/at/all") -> None:
    """Write the station file and the wrapping key of a node, whose unit is at `control`."""
    (folder / "station.toml").write_text(STATION.format(name=name, control=control), encoding="utf-8")
    new_wrapping_key(folder / "store.key")


def make_node(folder: Path, pki: Path, more: str, *, name: str = "otemachi") -> Path:
    """Write the files of a node, with `more` behind `HEAD` in its own; return the folder."""
    make_site(folder, name=name)
    (folder / "node.toml").write_text(HEAD.format(name=name, pki=pki) + more, encoding="utf-8")
    return folder


def until(client: ControlClient, condition: Callable[[NodeStatus], bool]) -> NodeStatus:
    """Return the status of a node as soon as something is so, within 30 s."""
    deadline = Deadline(SYSTEM_CLOCK, 30)
    while not condition(status := client.status()):
        assert not deadline.passed, status
        SYSTEM_CLOCK.wait(0.02)
    return status


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
