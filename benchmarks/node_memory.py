"""What the memory of nodes grows by over polls and draws: two daemons in one process, devices in another.

    python benchmarks/node_memory.py [--long]

First each daemon reads six emulated devices. Then each draws blocks, spends them with its neighbour on keys, and gives
those to applications at both ends. All goes as fast as it can. Blocks are made up; the rest is the daemon's own. Growth
is the slope of the second half; the short form takes a tenth of the readings and draws, and extrapolates. Resident
memory has steps of the allocator's in it, which a short form makes much of: its own figure says less.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import gc
import hashlib
import statistics
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING
from unittest.mock import patch

from idle import served
from measuring import Figure, show
from node import free_ports
from node_devices import write_files
from tokaido.hal import SYSTEM_CLOCK, KeyBlock, KeyBlockInfo, KeyMaterial, TokaidoError
from tokaido.node import NodeDaemon, NodeFile
from tokaido.node.client import AsyncKeyClient
from tokaido.node.operation import ControlClient
from tokaido.node.pki import files_of, issue
from tokaido.node.supervision import Source

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Sequence

    from tokaido.node.supervision import UnitRead

NODES = {"otemachi": "bank", "koganei": "hospital"}
DEVICES = "toshiba.transmitter", "toshiba.receiver", "nec.transmitter", *["polatis.matrix"] * 3
POLLS = 1_000_000
DRAWS = 100_000
SHORT = 0.1
SAMPLES = 60
SPEED = 5
BLOCK_BYTES = 260
KEPT_BITS = 8 * BLOCK_BYTES * 200
"""Link key in a store, above which no more is made."""


class Hasty:
    """The machine's clock, some times as fast: devices are not read more often than 20 times a second."""

    def monotonic_ns(self) -> int:
        return time.monotonic_ns() * SPEED

    def utc_ns(self) -> int:
        return time.time_ns()

    def wait(self, seconds: float, event: threading.Event | None = None) -> bool:
        return SYSTEM_CLOCK.wait(seconds / SPEED, event)


class Made:
    """Stands for what the devices give: counts readings, and makes blocks, the same at both ends."""

    def __init__(self) -> None:
        self.polls = 0
        self.draws = 0
        self.full = False
        self._read = Source.read
        self._next: dict[int, int] = {}
        self._lock = threading.Lock()

    def read(self, source: Source) -> UnitRead:
        with self._lock:
            self.polls += 1
        return self._read(source)

    def key_blocks(self, source: Source, most: int) -> Iterator[KeyBlock]:
        if source.name != "d0":
            return
        for _ in range(most):
            number = self._next.get(id(source), 0)
            if self.full:
                return
            key = KeyMaterial(hashlib.shake_256(b"block %d" % number).digest(BLOCK_BYTES))
            info = KeyBlockInfo("s", number, key.bits, "made up", "none", 0.0, False, True, serial_number="x")
            yield KeyBlock(info, key, lambda: None)
            with self._lock:
                self._next[id(source)] = number + 1
                self.draws += 1


def measure(*, long: bool = False) -> list[Figure]:
    """Return the rows of the table."""
    share = 1.0 if long else SHORT
    return [
        *_grown("polls", DEVICES, round(POLLS * share), POLLS),
        *_grown("draws", DEVICES[:1], round(DRAWS * share), DRAWS),
    ]


def _grown(what: str, devices: Sequence[str], count: int, wanted: int) -> list[Figure]:
    made = Made()
    made.full = what == "polls"
    with (
        tempfile.TemporaryDirectory(dir="/dev/shm") as folder,
        served([*devices, *devices]) as (_, resources),
        patch.object(Source, "read", lambda source: Made.read(made, source)),
        patch.object(Source, "key_blocks", lambda source, most: Made.key_blocks(made, source, most)),
    ):
        own = [{"driver": driver, **of} for driver, of in zip((*devices, *devices), resources, strict=True)]
        ports = _files(Path(folder), own)
        began = time.monotonic()
        samples = asyncio.run(_live(Path(folder), ports, made, what, count))
        took_s = time.monotonic() - began
    used = samples[SAMPLES // 2 :]
    in_use, objects, resident = (
        statistics.linear_regression([one[0] for one in used], [one[column] for one in used]).slope * wanted / 1e6
        for column in (1, 2, 3)
    )
    return [
        Figure(
            f"two nodes: C heap in use over {wanted:.0e} {what}, by the slope of {count:.0e}", in_use, "MB", "<= 1 MB"
        ),
        Figure(
            f"two nodes: small Python objects over {wanted:.0e} {what}", 1e3 * objects, "thousand", "<= 10 thousand"
        ),
        Figure(f"two nodes: resident memory over {wanted:.0e} {what}", resident, "MB"),
        Figure(f"two nodes: {what} a second", count / took_s, "/s"),
    ]


async def _live(
    folder: Path, ports: dict[str, int], made: Made, what: str, count: int
) -> list[tuple[int, int, int, int]]:
    samples: list[tuple[int, int, int, int]] = []
    async with contextlib.AsyncExitStack() as stack:
        for node in NODES:
            await stack.enter_async_context(_running(NodeFile.read(folder / f"{node}.toml")))
        clients = {
            sae: await stack.enter_async_context(
                AsyncKeyClient(f"https://127.0.0.1:{ports[node]}", files_of(folder / "pki", f"sae-{sae}"))
            )
            for node, sae in NODES.items()
        }
        names = tuple(NODES.values())
        spending = [asyncio.create_task(_spend(clients, *pair)) for pair in (names, names[::-1])]
        controls = [ControlClient(folder / f"{node}.sock") for node in NODES]
        while (done := getattr(made, what)) < count:
            await asyncio.sleep(0.05)
            if what == "draws":
                stocks = [(await asyncio.to_thread(one.status)).links[0].stock_bits for one in controls]
                made.full = max(stocks) > KEPT_BITS
            if done >= count * (len(samples) + 1) / SAMPLES:
                gc.collect()
                samples.append((done, _in_use(), sys.getallocatedblocks(), _resident()))
        for task in spending:
            task.cancel()
        await asyncio.gather(*spending, return_exceptions=True)
    return samples


@contextlib.asynccontextmanager
async def _running(file: NodeFile) -> AsyncIterator[None]:
    daemon, ready = NodeDaemon(file, emulation=True, clock=Hasty()), asyncio.Event()
    life = asyncio.create_task(daemon.run(ready.set))
    await asyncio.wait({life, asyncio.create_task(ready.wait())}, return_when=asyncio.FIRST_COMPLETED)
    try:
        yield
    finally:
        daemon.stop()
        await life


async def _spend(clients: dict[str, AsyncKeyClient], master: str, slave: str) -> None:
    while True:
        try:
            given = await clients[master].enc_keys(slave, number=128, size=256)
            taken = await clients[slave].dec_keys(master, [key.key_id for key in given])
            for key in (*given, *taken):
                key.key.wipe()
        except TokaidoError:  # no key is ready
            await asyncio.sleep(0.02)


class _Heap(ctypes.Structure):
    """What glibc's `mallinfo2` returns."""

    _fields_ = tuple(
        (name, ctypes.c_size_t)
        for name in (
            "arena",
            "ordblks",
            "smblks",
            "hblks",
            "hblkhd",
            "usmblks",
            "fsmblks",
            "uordblks",
            "fordblks",
            "top",
        )
    )


def _in_use() -> int:
    """Return how many bytes of the C heap are in use, by objects of more than 512 bytes and by libraries."""
    ask = ctypes.CDLL(None).mallinfo2  # of glibc 2.33
    ask.restype = _Heap
    heap = ask()
    return int(heap.uordblks + heap.hblkhd)


def _resident() -> int:
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * 4096


def _files(folder: Path, devices: list[dict[str, str]]) -> dict[str, int]:
    """Write the files of both nodes, and return where their applications ask."""
    issue(folder / "pki", nodes=dict.fromkeys(NODES, ()), saes=list(NODES.values()))
    ports = free_ports(4)
    for number, names in enumerate((tuple(NODES), tuple(NODES)[::-1])):
        half = len(devices) // 2
        write_files(
            folder,
            devices[half * number : half * (number + 1)],
            names=names,  # type: ignore[arg-type]
            listen=f'neighbours = "127.0.0.1:{ports[number]}"\napplications = "127.0.0.1:{ports[2 + number]}"',
            url=f"https://127.0.0.1:{ports[1 - number]}",
            more="stock = 1024\n[keys]\nanswer_s = 30\n[supervision]\nstart = false\npoll_s = 0.05\n[applications]\n"
            + "".join(f'{sae} = {{ node = "{node}" }}\n' for node, sae in NODES.items()),
        )
    return dict(zip(NODES, ports[2:], strict=True))


if __name__ == "__main__":
    show(measure(long="--long" in sys.argv))
