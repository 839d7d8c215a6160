"""The server's socket: a ROUTER under CURVE that talks with listed clients alone."""

from __future__ import annotations

import os
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING, Final

import zmq
from zmq.utils import z85

from tokaido.hal import NotConnectedError
from tokaido.hal.sharing import MAX_BODY

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tokaido.hal.transports import CurveKeyPair

DOMAIN: Final = b"tokaido"
HIGH_WATER_MARK: Final = 1000
NOBLOCK: Final = int(zmq.NOBLOCK)
SNDMORE: Final = int(zmq.SNDMORE)
"""Plain numbers, which are quicker than flags."""
AT_ONCE: Final = 64
MOST_KNOWN: Final = 1000
_ZAP: Final = "inproc://zeromq.zap.01"


class Door:
    """Receives from clients and sends to them, in one thread; `send` and `wake` may be called from any.

    Args:
        endpoint: Where to bind; port 0 takes a free one.
        keys: The server's own.
        clients: Name of each client by its public key (z85).

    Raises:
        NotConnectedError: It cannot be bound there.
    """

    def __init__(self, endpoint: str, keys: CurveKeyPair, clients: Mapping[bytes, str]) -> None:
        self._clients = dict(clients)
        self._known: dict[bytes, str] = {}
        self._outbox: deque[tuple[bytes, bytes]] = deque()
        self._waker = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._zap = self._context.socket(zmq.REP)
        self._zap.linger = 0
        self._router = self._context.socket(zmq.ROUTER)
        try:
            self._zap.bind(_ZAP)
            router = self._router
            router.linger = 0
            router.curve_server = True
            router.curve_publickey, router.curve_secretkey = keys.public, keys.secret
            router.zap_domain = DOMAIN
            router.setsockopt(zmq.ZAP_ENFORCE_DOMAIN, 1)
            router.setsockopt(zmq.MAXMSGSIZE, MAX_BODY + 64)
            router.setsockopt(zmq.ROUTER_HANDOVER, 1)
            if "[" in endpoint:
                router.setsockopt(zmq.IPV6, 1)
            router.sndhwm = router.rcvhwm = HIGH_WATER_MARK
            router.bind(endpoint)
        except zmq.ZMQError as error:
            self.close()
            raise NotConnectedError(
                f"{endpoint} cannot be bound: {error}", remedy="Another program has the port, or it is no address here"
            ) from error
        bound = router.getsockopt(zmq.LAST_ENDPOINT)
        self.endpoint = bound.rstrip(b"\0").decode() if isinstance(bound, bytes) else str(bound)
        """Where it is bound."""
        self._poller = zmq.Poller()
        for socket in (self._zap, self._router, self._waker):
            self._poller.register(socket, zmq.POLLIN)

    def receive(self) -> list[tuple[str, bytes, list[bytes]]]:
        """Send what waits, and return what comes as soon as something does, or nothing: client, address, frames."""
        self._flush()
        ready = dict(self._poller.poll())
        if self._waker in ready:
            with suppress(BlockingIOError):
                os.eventfd_read(self._waker)
            self._flush()
        if self._zap in ready:
            self._admit()
        return self._arrived() if self._router in ready else []

    def send(self, address: bytes, frame: bytes) -> None:
        """Send to a client; one that takes nothing loses it."""
        self._outbox.append((address, frame))
        self.wake()

    def wake(self) -> None:
        """Let `receive` return."""
        os.eventfd_write(self._waker, 1)

    def close(self) -> None:
        """Close everything; call it in the thread that receives, or when none does."""
        self._zap.close()
        self._router.close()
        self._context.term()
        os.close(self._waker)

    def reply(self, address: bytes, frame: bytes) -> None:
        """Send to a client at once; in the thread that receives."""
        with suppress(zmq.ZMQError):  # its queue is full, or it is gone
            self._router.send(address, SNDMORE)
            self._router.send(frame, NOBLOCK)

    def _flush(self) -> None:
        while self._outbox:
            self.reply(*self._outbox.popleft())

    def _client_of(self, address: bytes, frame: zmq.Frame) -> str | None:
        """Return which client sent this. Only addresses that a client cannot choose stand for its connection."""
        client = self._known.get(address)
        if client is None:
            try:
                client = self._clients[str(frame.get("User-Id")).encode()]
            except (zmq.ZMQError, KeyError):  # no proven identity
                return None
            if address.startswith(b"\0"):
                if len(self._known) >= MOST_KNOWN:
                    self._known.clear()
                self._known[address] = client
        return client

    def _arrived(self) -> list[tuple[str, bytes, list[bytes]]]:
        found: list[tuple[str, bytes, list[bytes]]] = []
        while len(found) < AT_ONCE:
            try:
                frames = self._router.recv_multipart(zmq.NOBLOCK, copy=False)
            except zmq.ZMQError:
                break
            address = frames[0].bytes
            client = self._client_of(address, frames[-1])
            if client is not None:
                found.append((client, address, [frame.bytes for frame in frames[1:]]))
            if not int(self._router.getsockopt(zmq.EVENTS)) & int(zmq.POLLIN):
                break
        return found

    def _admit(self) -> None:
        request = self._zap.recv_multipart()
        client = z85.encode(request[6]) if len(request) == 7 and len(request[6]) == 32 else b""
        right = request[0] == b"1.0" and request[2] == DOMAIN and request[5] == b"CURVE" and client in self._clients
        told = (b"200", b"OK", client) if right else (b"400", b"this key is not on the list", b"")
        self._zap.send_multipart([b"1.0", request[1], *told, b""])
