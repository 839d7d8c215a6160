"""A node that runs reads certificates and revocation lists again at SIGHUP, for listeners and its own questions."""

from __future__ import annotations

import asyncio
import os
import signal
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from tokaido.node import NodeDaemon, NodeFile, pki
from tokaido.node.listening import Limits, Listener
from tokaido.node.messages import MAX_BODY, Envelope, Ok
from tokaido.node.peers import peer_application
from tokaido.node.tls import client_context, server_context
from tokaido_testing.node_files import make_site
from tokaido_testing.patience import patient
from tokaido_testing.ports import free_port

NODE = """
[node]
name = "otemachi"
station = "station.toml"
[store]
path = "keys.sqlite"
key_file = "store.key"
[tls]
certificate = "pki/node-otemachi.pem"
key = "pki/node-otemachi.key"
authority = "pki/ca.pem"
revoked = "pki/crl.pem"
[listen]
neighbours = "127.0.0.1:0"
applications = "127.0.0.1:0"
skip = "127.0.0.1:0"
metrics = "127.0.0.1:0"
metrics_readers = ["prometheus", "grafana"]
state = "127.0.0.1:0"
state_readers = ["prometheus", "grafana"]
[neighbours.koganei]
url = "https://127.0.0.1:{port}"
[applications]
bank = {{}}
clinic = {{}}
"""
REVOKED = {
    "neighbours": "node-koganei",
    "applications": "sae-bank",
    "skip": "sae-bank",
    "metrics": "sae-prometheus",
    "state": "sae-prometheus",
}
GOOD = {"applications": "sae-clinic", "skip": "sae-clinic", "metrics": "sae-grafana", "state": "sae-grafana"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    saes = ["bank", "clinic", "prometheus", "grafana"]
    pki.issue(tmp_path / "pki", nodes=dict.fromkeys(("otemachi", "koganei"), ()), saes=saes)
    make_site(tmp_path)
    return tmp_path


class Asker:
    """A connection of somebody, kept open."""

    def __init__(self, folder: Path, port: int, who: str) -> None:
        self._port = port
        self._context = client_context(pki.files_of(folder / "pki", who))
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def answered(self) -> bool:
        """Return whether a request is answered, be it by an error of HTTP."""
        try:
            async with asyncio.timeout(patient(10)):
                if self._streams is None:
                    self._streams = await asyncio.open_connection("127.0.0.1", self._port, ssl=self._context)
                reader, writer = self._streams
                writer.write(b"GET /metrics HTTP/1.1\r\nHost: node\r\n\r\n")
                head = await reader.readuntil(b"\r\n\r\n")
                length = next(line for line in head.lower().splitlines() if line.startswith(b"content-length"))
                await reader.readexactly(int(length.split()[1]))
        except (OSError, asyncio.IncompleteReadError):
            return False
        return True

    def close(self) -> None:
        if self._streams is not None:
            self._streams[1].transport.abort()


async def until(listener: Listener, connections: int) -> None:
    async with asyncio.timeout(patient(20)):
        while listener.connections != connections:
            await asyncio.sleep(0.02)


@pytest.mark.timeout(120)
def test_a_revoked_certificate_is_refused_at_every_listener_and_its_neighbour_is_left(folder: Path) -> None:
    async def hears(neighbour: str, envelope: Envelope) -> Envelope:
        assert neighbour == "otemachi"
        return Envelope(run=bytes(16), to=envelope.run, n=envelope.n, body=Ok())

    async def live(ending: AsyncExitStack) -> None:
        served = peer_application(hears, lambda name: name == "otemachi")
        koganei = Listener(served, server_context(pki.files_of(folder / "pki", "node-koganei")), Limits(body=MAX_BODY))
        await koganei.open("127.0.0.1", port := free_port())
        ending.push_async_callback(koganei.close)
        (folder / "node.toml").write_text(NODE.format(port=port), encoding="utf-8")
        daemon, ready = NodeDaemon(NodeFile.read(folder / "node.toml")), asyncio.Event()
        life = asyncio.create_task(daemon.run(ready.set))

        async def end() -> None:
            daemon.stop()
            await life

        ending.push_async_callback(end)
        async with asyncio.timeout(patient(20)):
            await ready.wait()

        def asker(listener: str, who: str) -> Asker:
            made = Asker(folder, daemon.ports[listener], who)
            ending.callback(made.close)
            return made

        before = {name: asker(name, who) for name, who in REVOKED.items()}
        assert [name for name, one in before.items() if not await one.answered()] == []
        await until(koganei, 1)
        pki.revoke(folder / "pki", sorted(set(REVOKED.values())))
        os.kill(os.getpid(), signal.SIGHUP)
        await until(koganei, 0)
        assert [name for name, one in before.items() if await one.answered()] == []
        assert [name for name, who in REVOKED.items() if await asker(name, who).answered()] == []
        assert [name for name, who in GOOD.items() if not await asker(name, who).answered()] == []

    async def whole() -> None:
        async with AsyncExitStack() as ending:
            await live(ending)

    asyncio.run(whole())
