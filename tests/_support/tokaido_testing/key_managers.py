"""Two key managers on the loopback interface, behind real TLS, for clients in other threads and other processes."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tokaido.node import pki
from tokaido.node.applications import etsi014_application
from tokaido.node.listening import Limits, Listener
from tokaido.node.tls import TlsFiles, client_context, server_context
from tokaido_testing.key_services import HonestService, Network
from tokaido_testing.patience import patient

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator
    from pathlib import Path

    from aiohttp import web

APPLICATIONS = {"bank": "otemachi", "clinic": "otemachi", "shop": "koganei", "cafe": "koganei", "a/b c%2F": "koganei"}
STATUS, KEYS = "/api/v1/keys/shop/status", "/api/v1/keys/shop/enc_keys"


def make_pki(folder: Path) -> Path:
    """Make certificates of both nodes and their applications; of `stranger`, who is none; and of a node elsewhere."""
    pki.issue(
        folder,
        nodes={"otemachi": [], "koganei": [], "far": ["far.example"]},
        saes=["bank", "clinic", "shop", "cafe", "stranger"],
    )
    return folder


@dataclass
class Reply:
    """What a key manager answered."""

    status: int
    headers: http.client.HTTPMessage
    body: bytes


class Served:
    """Listeners in a thread of their own, with an event loop of their own."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, name="key managers")
        self._thread.start()
        self._open: list[Listener] = []

    def call(self, work: Coroutine[Any, Any, Any]) -> Any:
        """Return what a coroutine returns there."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(patient(10))

    def listen(self, application: web.Application, files: TlsFiles, limits: Limits | None = None) -> Listener:
        async def opened() -> Listener:
            listener = Listener(application, server_context(files), limits)
            await listener.open("127.0.0.1", 0)
            return listener

        listener: Listener = self.call(opened())
        self._open.append(listener)
        return listener

    def close(self) -> None:
        for listener in self._open:
            self.call(listener.close())
        self.call(asyncio.sleep(0.01))  # connections that were cut are closed now
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join()
        self.loop.close()


@dataclass
class KeyManagers:
    """Otemachi, where bank and clinic are, and Koganei, where shop and cafe are."""

    folder: Path
    served: Served
    network: Network
    here: HonestService
    there: HonestService
    listener: Listener
    other_listener: Listener

    @property
    def port(self) -> int:
        return self.listener.port

    @property
    def other_port(self) -> int:
        return self.other_listener.port

    def files(self, name: str) -> TlsFiles:
        return pki.files_of(self.folder, name if name.startswith("node-") else f"sae-{name}")

    def ask(
        self,
        who: str,
        method: str,
        path: str,
        body: bytes | None = None,
        *,
        port: int | None = None,
        headers: dict[str, str] | None = None,
    ) -> Reply:
        """Ask as an application does, on a connection of its own."""
        connection = http.client.HTTPSConnection(
            "127.0.0.1", port or self.port, timeout=patient(10), context=client_context(self.files(who))
        )
        with contextlib.closing(connection):
            told = {"Content-Type": "application/json"} if body else {}
            connection.request(method, path, body, {**told, **(headers or {})})
            answer = connection.getresponse()
            return Reply(answer.status, answer.headers, answer.read())


def etsi014(service: HonestService) -> web.Application:
    return etsi014_application(service, service.is_application)


@contextlib.contextmanager
def key_managers(
    folder: Path, make: Callable[[HonestService], web.Application] = etsi014, limits: Limits | None = None
) -> Iterator[KeyManagers]:
    """Run both."""
    network = Network(APPLICATIONS)
    here, there = HonestService(network, "otemachi"), HonestService(network, "koganei")
    served = Served()
    try:
        yield KeyManagers(
            folder,
            served,
            network,
            here,
            there,
            served.listen(make(here), pki.files_of(folder, "node-otemachi"), limits),
            served.listen(make(there), pki.files_of(folder, "node-koganei"), limits),
        )
    finally:
        served.close()


def until(condition: Callable[[], object], seconds: float = 5.0) -> None:
    """Wait until something holds that another thread brings about."""
    end_s = time.monotonic() + patient(seconds)
    while not condition():
        assert time.monotonic() < end_s, "it never came to hold"
        time.sleep(0.005)
