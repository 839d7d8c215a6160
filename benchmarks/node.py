"""What a node takes to give an application a key, beside bare aiohttp with mutual TLS and as many commits.

Ours: two nodes, each a process of its own; `enc_keys` at one of them, which takes a commit there, a question to the
other node, and a commit there. The bare side answers the same request by two commits, one after the other, each shared
by all who wait, and random bytes. One kept-alive connection a client; stock is made meanwhile, as it is in a node.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import socket
import ssl
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import aiohttp

from measuring import Figure, in_turns, spread

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

NODES = ("otemachi", "koganei")
SAES = ("bank", "hospital")
PLACES = (("on a disk", "/var/tmp"), ("in memory", "/dev/shm"))
STOCK = 1 << 16


def measure() -> list[Figure]:
    rows: list[Figure] = []
    for where, place in PLACES:
        if Path(place).is_dir():
            with tempfile.TemporaryDirectory(dir=place) as folder:
                rows += _measured(Path(folder), where)
    return rows


def _measured(folder: Path, where: str) -> list[Figure]:
    from tokaido.node.pki import files_of
    from tokaido.node.tls import client_context

    ports = _files(folder)
    loop = asyncio.new_event_loop()
    with contextlib.ExitStack() as stack:
        for name in NODES:
            stack.enter_context(process("node", folder, name))
        stack.enter_context(process("bare", folder, str(ports["bare"])))
        context = client_context(files_of(folder / "pki", "sae-bank"))
        ours, bare = (loop.run_until_complete(_session(ports[name], context)) for name in ("otemachi", "bare"))
        keys_per_s = loop.run_until_complete(_filled(ours))
        rows = [Figure(f"keys put in stock a second, two nodes over TLS, {where}", keys_per_s, "/s", ">= 20000 /s")]

        def one(client: aiohttp.ClientSession) -> Callable[[], object]:
            return lambda: loop.run_until_complete(_enc_keys(client))

        def fifty(client: aiohttp.ClientSession) -> Callable[[], object]:
            async def all_at_once() -> None:
                await asyncio.gather(*(_enc_keys(client) for _ in range(50)))

            return lambda: loop.run_until_complete(all_at_once())

        for what, sides, goal, repeats in (
            ("one client", (one(bare), one(ours)), "<= 3 x", 20),
            ("50 clients at once", (fifty(bare), fifty(ours)), "<= 3 x", 1),
        ):
            theirs, our = in_turns(sides, rounds=15, repeats=repeats)
            rows += [
                spread(taken / 1000 for taken in our.wall).figure(f"enc_keys, {what}, {where}", "ms"),
                our.over(theirs).figure(f"enc_keys over bare aiohttp and as many commits, {what}, {where}", "x", goal),
            ]
        for client in (ours, bare):
            loop.run_until_complete(client.close())
    loop.close()
    return rows


async def _session(port: int, context: ssl.SSLContext) -> aiohttp.ClientSession:
    """Return a client that keeps its connections, as one that asks often does."""
    connector = aiohttp.TCPConnector(ssl=context, limit=50, keepalive_timeout=60)
    return aiohttp.ClientSession(f"https://127.0.0.1:{port}", connector=connector)


async def _enc_keys(client: aiohttp.ClientSession) -> None:
    asked = {"number": 1, "size": 256}
    async with client.post("/api/v1/keys/hospital/enc_keys", json=asked) as answer:
        answer.raise_for_status()
        (key,) = (await answer.json())["keys"]
        assert len(base64.b64decode(key["key"])) == 32


async def _stored(client: aiohttp.ClientSession) -> int:
    async with client.get("/api/v1/keys/hospital/status") as answer:
        return int((await answer.json())["stored_key_count"])


async def _filled(client: aiohttp.ClientSession) -> float:
    """Wait until the stock is there, and return how many keys a second both nodes put into theirs meanwhile."""
    seen: list[tuple[float, int]] = []
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        count = await _stored(client)
        seen.append((time.monotonic(), count))
        if count >= STOCK:
            break
        await asyncio.sleep(0.02)
    growing = [(at, count) for at, count in seen if 0 < count < STOCK]
    (begin, first), (end, last) = growing[0], growing[-1]
    return 2 * (last - first) / (end - begin)  # the other node fills its own at the same pace


@contextlib.contextmanager
def process(*words: object) -> Iterator[int]:
    """Run a process of `node_process` until it is left, and yield its id as soon as it is ready."""
    program = Path(__file__).with_name("node_process.py")
    with subprocess.Popen([sys.executable, str(program), *map(str, words)], stdout=subprocess.PIPE) as started:
        assert started.stdout is not None
        try:
            if started.stdout.readline() != b"ready\n":
                raise RuntimeError(f"{words} did not start")
            yield started.pid
        finally:
            started.terminate()
            started.wait(20)


def _files(folder: Path) -> dict[str, int]:
    from tokaido.node.pki import issue
    from tokaido.node.store import new_wrapping_key

    issue(folder / "pki", nodes=dict.fromkeys(NODES, ()), saes=SAES)
    ports = free_ports(5)
    apps, peers = dict(zip(NODES, ports, strict=False)), dict(zip(NODES, ports[2:], strict=False))
    for node, other in (NODES, NODES[::-1]):
        new_wrapping_key(folder / f"{node}.key")
        role = "transmitter" if node == NODES[0] else "receiver"
        (folder / f"{node}-station.toml").write_text(
            f'[station]\nname = "{node}"\n[devices.unit]\ndriver = "toshiba.{role}"\ncontrol = "serial:/nowhere"\n'
            f'[links.span]\nunit = "unit"\nneighbour = "{other}"\n'
        )
        (folder / f"{node}.toml").write_text(
            f'[node]\nname = "{node}"\nstation = "{node}-station.toml"\n'
            f'[store]\npath = "{node}.sqlite"\nkey_file = "{node}.key"\n'
            f'[tls]\ncertificate = "pki/node-{node}.pem"\nkey = "pki/node-{node}.key"\nauthority = "pki/ca.pem"\n'
            f'[listen]\nneighbours = "127.0.0.1:{peers[node]}"\napplications = "127.0.0.1:{apps[node]}"\n'
            f'[neighbours.{other}]\nurl = "https://127.0.0.1:{peers[other]}"\nstock = {STOCK}\n'
            "[keys]\nanswer_s = 20\n[applications]\n"
            + "".join(f'{sae} = {{ node = "{at}" }}\n' for at, sae in zip(NODES, SAES, strict=True))
        )
    return {**apps, "bare": ports[4]}


def free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        taken = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)]
        return [int(one.getsockname()[1]) for one in taken]
