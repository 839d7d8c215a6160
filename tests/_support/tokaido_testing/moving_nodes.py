"""Two daemons whose units and switches stand on one emulated bench, in this process and in real time."""

from __future__ import annotations

import asyncio
import os
import sys
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

import tokaido.hal as hal
from tokaido.emulators import EmulatedStations
from tokaido.node import NodeDaemon, NodeFile
from tokaido.node.operation import ControlClient
from tokaido.node.store import new_wrapping_key
from tokaido_testing.bench import BLOCK_BITS, PARAMETERS
from tokaido_testing.patience import patient
from tokaido_testing.ports import free_port

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from tokaido.node.operation import LinkLine

EXAMPLES: Final = Path(__file__).parents[3] / "examples"
NODES: Final = ("otemachi", "koganei")
SPEED: Final = 40.0
"""Emulated seconds a second."""


class MovingNodes:
    """The stations of examples/otemachi.toml and examples/koganei.toml, a node at each.

    Args:
        folder: For their files.
        certificates: Of both nodes.
    """

    def __init__(self, folder: Path, certificates: Path) -> None:
        self.folder = folder
        ports = {node: free_port() for node in NODES}
        for node, other in (NODES, NODES[::-1]):
            (folder / f"{node}.toml").write_text(
                f"""
[node]
name = "{node}"
station = "{node}-station.toml"
[store]
path = "{node}-keys.sqlite"
key_file = "{node}.key"
[tls]
certificate = "{certificates}/node-{node}.pem"
key = "{certificates}/node-{node}.key"
authority = "{certificates}/ca.pem"
[listen]
neighbours = "127.0.0.1:{ports[node]}"
[neighbours.{other}]
url = "https://127.0.0.1:{ports[other]}"
[supervision]
poll_s = 0.2
hands_off_s = 0.1
attempts_per_hour = 1000
[endpoint]
listen = "127.0.0.1:0"
key_file = "node.key_secret"
[endpoint.clients.vic]
key_file = "vic.key"
roles = ["viewer"]
[endpoint.clients.ann]
key_file = "ann.key"
roles = ["operator"]
""",
                encoding="utf-8",
            )
            new_wrapping_key(folder / f"{node}.key")
        for name in ("node", "vic", "ann"):
            hal.create_curve_keys(folder, name, durable=False)
        self.both = EmulatedStations.from_files(
            *(EXAMPLES / f"{node}.toml" for node in NODES), clock=hal.SYSTEM_CLOCK, seed=1, speed=SPEED
        )
        self.stations: dict[str, hal.Station] = dict(zip(NODES, self.both, strict=True))
        for node, station in self.stations.items():
            self._write_station(node, station)
        self.daemons: dict[str, NodeDaemon] = {}
        self._lives: dict[str, asyncio.Task[None]] = {}

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            stack.callback(self.both.close)
            self.both.emulation.set_up("alice", "bob", PARAMETERS, block_bits=BLOCK_BITS)
            for node in NODES:
                self.switch(node).connect(*self.stations[node].half_links["field"].paths["A"]["switch"][0])
            for node in NODES:
                await self.start(node)
                stack.push_async_callback(self.stop, node)
            self._ending = stack.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._ending.aclose()

    async def start(self, node: str) -> None:
        """Start a node on its devices, which stand on the bench whether it lives or not."""
        daemon = self.daemons[node] = NodeDaemon(NodeFile.read(self.folder / f"{node}.toml"))
        ready = asyncio.Event()
        self._lives[node] = asyncio.create_task(daemon.run(ready.set))
        waiting = asyncio.create_task(ready.wait())
        await asyncio.wait({self._lives[node], waiting}, return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        if self._lives[node].done():
            await self._lives[node]

    async def spawn(self, node: str, step: str, failing: str = "") -> asyncio.subprocess.Process:
        """Start a node in a process of its own, which kills itself at that step of a move; `failing` is never done."""
        ready = self.folder / f"ready-{node}"
        ready.unlink(missing_ok=True)
        with (self.folder / f"log-{node}").open("ab") as log:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "tokaido_testing.mortal_node", str(self.folder), node, step, failing),
                stdout=log,
                stderr=log,
                env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])},
            )
        end_s = asyncio.get_running_loop().time() + patient(30.0)
        while not ready.exists():
            assert process.returncode is None, (self.folder / f"log-{node}").read_text(encoding="utf-8")
            assert asyncio.get_running_loop().time() < end_s, step
            await asyncio.sleep(0.02)
        return process

    async def stop(self, node: str) -> None:
        """End a node in order."""
        if node in self._lives:
            self.daemons.pop(node).stop()
            await self._lives.pop(node)

    def _write_station(self, node: str, station: hal.Station) -> None:
        """Write the example's station file, with the places of the emulated devices and without what emulates them."""
        text = (EXAMPLES / f"{node}.toml").read_text(encoding="utf-8").partition("\n# --- what is emulated")[0]
        lines = [line for line in text.splitlines() if not line.startswith("emulator")]
        for entry in station.devices.values():
            begin = lines.index(f"[devices.{entry.name}]")
            for number in range(begin, len(lines)):
                key = lines[number].partition(" ")[0]
                if key in entry.resources:
                    lines[number] = f'{key} = "{entry.resources[key]}"'
                if not lines[number]:
                    break
        (self.folder / f"{node}-station.toml").write_text("\n".join(lines).replace("keys/", ""), encoding="utf-8")

    def switch(self, node: str) -> hal.OpticalSwitch:
        """Return the switch of a site, beside its node."""
        return self.stations[node].device("switch", hal.OpticalSwitch)

    def client(self, node: str) -> ControlClient:
        """Return a client of the control socket of a node."""
        return ControlClient(self.folder / f"{node}.sock", timeout=patient(15.0))

    def manager(self, node: str, who: str) -> hal.RepeaterNode:
        """Return a node as a control centre has it."""
        keys = f"server_key_file={self.folder}/node.key&client_key_file={self.folder}/{who}.key_secret"
        place = f"zmq:tcp://127.0.0.1:{self.daemons[node].ports['endpoint']}?{keys}"
        return hal.RepeaterNode.open("repeater.node", timeout=patient(10.0), control=place)

    async def line(self, node: str) -> LinkLine:
        """Return what a node says of the link."""
        status = await asyncio.to_thread(self.client(node).status)
        [line] = status.links
        return line

    async def until(self, what: Callable[[LinkLine], bool], *nodes: str, within_s: float = 30.0) -> None:
        """Wait until something is so at both nodes, or at those that are named."""
        loop = asyncio.get_running_loop()
        end_s = loop.time() + patient(within_s)
        while not all([what(await self.line(node)) for node in nodes or NODES]):
            assert loop.time() < end_s, [await self.line(node) for node in self.daemons]
            await asyncio.sleep(0.05)

    def joined(self) -> dict[str, dict[int, int]]:
        """Return what the switches of both sites join."""
        return {node: dict(self.switch(node).connections()) for node in NODES}


JOINED = {
    "A": {"otemachi": {1: 1}, "koganei": {1: 1}},
    "B": {"otemachi": {1: 2}, "koganei": {2: 1}},
}


def drawn(line: LinkLine) -> int:
    return line.counters.get("drawn", 0)


async def draws_more(nodes: MovingNodes) -> None:
    """See that both nodes draw further key blocks."""
    for node in NODES:
        before = drawn(await nodes.line(node))
        await nodes.until(lambda line, before=before: drawn(line) > before, node)  # type: ignore[misc]


def over(line: LinkLine) -> bool:
    """Whether the last move is over at both ends, so that another one can be ordered."""
    return line.move.startswith(("moved", "not moved")) and "is not told yet" not in line.move


async def endings(nodes: MovingNodes, node: str) -> int:
    """Return how many moves the audit log of a node says to be over."""
    lines = await asyncio.to_thread(nodes.client(node).audit_log)
    return sum(line.what.startswith(("link field: moved to", "link field: not moved to")) for line in lines)


async def die_and_finish(nodes: MovingNodes, mortal: str, step: str, failing: str = "") -> bool:
    """Have a node die at a step of a move and come back; see that the link is whole, and return whether it moved.

    Args:
        nodes: Both.
        mortal: Which one dies.
        step: Where.
        failing: What it cannot do before it dies, so that the move is rolled back; empty: it can do all.
    """
    here = nodes.joined()
    to = "B" if here == JOINED["A"] else "A"
    told = {node: await endings(nodes, node) for node in NODES}
    await nodes.stop(mortal)
    process = await nodes.spawn(mortal, step, failing)
    try:
        await nodes.until(lambda line: line.running)
        with suppress(hal.NotConnectedError):  # it died before it replied
            await asyncio.to_thread(nodes.client("otemachi").move, "field", to)
        assert await asyncio.wait_for(process.wait(), patient(30.0)) == -9, step
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    await nodes.start(mortal)
    await nodes.until(over, "otemachi", within_s=40.0)
    moved = (await nodes.line("otemachi")).move == f"moved to {to}"
    await nodes.until(lambda line: line.phase != "moving")
    assert nodes.joined() == (JOINED[to] if moved else here), step
    await draws_more(nodes)
    assert await endings(nodes, "otemachi") == told["otemachi"] + 1, step
    assert await endings(nodes, "koganei") - told["koganei"] in ({1} if moved else {0, 1}), step
    return moved
