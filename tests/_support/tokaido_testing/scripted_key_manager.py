"""A scripted ETSI GS QKD 014 key manager, for its driver without any emulator; and its golden transcripts."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import tokaido.hal as hal
from tokaido_testing.https_peer import HttpsPeer, Say, https_peer, raw

TRANSCRIPTS = Path(__file__).parents[2] / "transcripts" / "etsi014"
IDS = tuple(f"{number:08x}-0000-4000-8000-000000000000" for number in range(1, 20))
KEYS = tuple(bytes([number]) * 32 for number in range(1, 20))


def transcripts(room: str) -> list[str]:
    """Return the names of the transcripts for "driver" or "emulator"."""
    return [path.stem for path in sorted(TRANSCRIPTS.glob("*.toml")) if load(path.stem).get("only", room) == room]


def load(name: str) -> dict[str, Any]:
    """Return a transcript."""
    return tomllib.loads((TRANSCRIPTS / f"{name}.toml").read_text(encoding="utf-8"))


def answer(status: int, body: object = None, kind: str = "application/json") -> Say:
    """Return what says this status and body, an object as JSON."""
    data = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
    typed = f"Content-Type: {kind}\r\n" if data and kind else ""
    return raw(f"HTTP/1.1 {status} Said\r\n{typed}Content-Length: {len(data)}\r\n\r\n".encode() + data)


def status(**other: object) -> dict[str, object]:
    """Return a status that is right, but for `other`."""
    return {
        "source_KME_ID": "KME-A",
        "target_KME_ID": "KME-B",
        "master_SAE_ID": "sae-a",
        "slave_SAE_ID": "sae-b",
        "key_size": 256,
        "stored_key_count": 2,
        "max_key_count": 1000,
        "max_key_per_request": 64,
        "max_key_size": 1024,
        "min_key_size": 64,
        "max_SAE_ID_count": 0,
    } | other


class Exchange:
    """What one request said."""

    def __init__(self, heard: bytes) -> None:
        head, _, body = heard.partition(b"\r\n\r\n")
        self.start = b" ".join(head.split(b"\r\n")[0].split(b" ")[:2]).decode("ascii")
        self.body = json.loads(body) if body else None


class KmePeer:
    """A key manager that says what a test tells it to."""

    def __init__(self, peer: HttpsPeer) -> None:
        self.peer = peer
        peer.says = [answer(200, status())]

    def says(self, *answers: Say) -> None:
        """Say this next, and the last again and again."""
        self.peer.says = list(answers)

    @property
    def heard(self) -> list[Exchange]:
        """All requests."""
        return [Exchange(one) for one in self.peer.heard]

    def resource(self, **options: str) -> str:
        """What leads a driver to it."""
        own = {"peer": "sae-b", **options}
        place = self.peer.resource()
        query = "&".join(f"{name}={quote(value, safe='')}" for name, value in own.items())
        return str(hal.Resource("https", f"{place.address}?{query}", place.options))

    def open(self, *, timeout: float = 2.0, serial_number: str = "", **options: str) -> hal.KeySource:
        """Open the driver on it."""
        resource = self.resource(**options)
        return hal.KeySource.open("etsi014.source", control=resource, timeout=timeout, serial_number=serial_number)


@contextmanager
def kme_peer(folder: Path) -> Iterator[KmePeer]:
    """Give a key manager, and end it."""
    with https_peer(folder) as peer:
        yield KmePeer(peer)
