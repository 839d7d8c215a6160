"""An HTTPS server that says what a test tells it to, byte by byte, and notes what it heard."""

from __future__ import annotations

import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import tokaido.hal as hal
from tokaido.emulators.certificates import CertificateAuthority, CertificateFiles

Say = Callable[[ssl.SSLSocket, bytes], None]
"""Answers one request, given the connection and what was heard."""


def ok(body: bytes, *fields: str) -> Say:
    """Answer with this body, in good order."""
    head = "\r\n".join(["HTTP/1.1 200 OK", "Content-Type: application/json", f"Content-Length: {len(body)}", *fields])
    return raw(f"{head}\r\n\r\n".encode() + body)


def raw(data: bytes) -> Say:
    """Send these bytes."""
    return lambda connection, _: connection.sendall(data)


class HttpsPeer:
    """Serves connections one after the other; each answer is said once, the last one again and again."""

    def __init__(self, folder: Path, *, server: CertificateFiles | None = None) -> None:
        self.authority = CertificateAuthority(folder / "authority")
        self.client = self.authority.issue("client")
        self.context = (server or self.authority.issue("server")).server_context()
        self.says: list[Say] = [ok(b"{}")]
        self.heard: list[bytes] = []
        self.errors: list[str] = []
        self.plain: Callable[[socket.socket], None] | None = None
        """What it does with a connection instead of TLS."""
        self.accepted = 0
        self._over = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(0.02)
        self.port: int = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._live, daemon=True)
        self._thread.start()

    def resource(self, **options: str) -> hal.Resource:
        """What leads to it."""
        given = {
            "cert_file": str(self.client.certificate),
            "key_file": str(self.client.key),
            "ca_file": str(self.authority.certificate),
            **options,
        }
        return hal.Resource("https", f"//127.0.0.1:{self.port}", given)

    def wait(self, seconds: float) -> bool:
        """Wait, unless the test is over."""
        return self._over.wait(seconds)

    def close(self) -> None:
        """End it."""
        self._over.set()
        self._thread.join(5)
        self._listener.close()

    def _live(self) -> None:
        while not self._over.is_set():
            try:
                connection, _ = self._listener.accept()
            except TimeoutError:
                continue
            self.accepted += 1
            connection.settimeout(2)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            try:
                self._serve(connection)
            except (OSError, ssl.SSLError) as error:
                self.errors.append(str(error))
            finally:
                connection.close()

    def _serve(self, connection: socket.socket) -> None:
        if self.plain is not None:
            self.plain(connection)
            return
        with self.context.wrap_socket(connection, server_side=True) as secure:
            request = read_request(secure)
            if not request:
                return
            self.heard.append(request)
            say = self.says.pop(0) if len(self.says) > 1 else self.says[0]
            say(secure, request)
            with suppress(OSError):
                secure.unwrap()


def read_request(secure: ssl.SSLSocket) -> bytes:
    """Return one request, head and body."""
    data = b""
    while b"\r\n\r\n" not in data:
        more = secure.recv(65536)
        if not more:
            return b""
        data += more
    head, _, body = data.partition(b"\r\n\r\n")
    length = next((int(line[15:]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")), 0)
    while len(body) < length:
        more = secure.recv(65536)
        if not more:
            return b""
        data += more
        body += more
    return data


def reset(secure: ssl.SSLSocket, _: bytes) -> None:
    """Tear the connection off."""
    secure.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    raise ConnectionResetError


@contextmanager
def https_peer(folder: Path, **options: Any) -> Iterator[HttpsPeer]:
    """Give a server, and end it."""
    peer = HttpsPeer(folder, **options)
    try:
        yield peer
    finally:
        peer.close()
