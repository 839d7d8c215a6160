"""The server's socket: a ROUTER behind a door under CURVE, and what waits to be sent."""

from __future__ import annotations

import os
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING, Final

import zmq

from tokaido.hal.sharing import MAX_BODY
from tokaido.hal.transports import CurveClient, CurveDoor, CurveKeyPair

if TYPE_CHECKING:
    from collections.abc import Iterable

HIGH_WATER_MARK: Final = 1000
NOBLOCK: Final = int(zmq.NOBLOCK)
SNDMORE: Final = int(zmq.SNDMORE)
"""Plain numbers, which are quicker than flags."""
AT_ONCE: Final = 64
MOST_KNOWN: Final = 1000


class Counter:
    """Receives from clients and sends to them, in one thread; `send` and `wake` may be called from any.

    Args:
        endpoint: Where to bind; port 0 takes a free one.
        keys: The server's own.
        clients: Who may connect.

    Raises:
        ConfigurationError: Two clients have one key.
        NotConnectedError: It cannot be bound there.
    """

    def __init__(self, endpoint: str, keys: CurveKeyPair, clients: Iterable[CurveClient]) -> None:
        self._known: dict[bytes, CurveClient] = {}
        self._outbox: deque[tuple[bytes, bytes]] = deque()
        self._door = CurveDoor(keys, clients)
        try:
            self._router = router = self._door.socket(zmq.ROUTER)
            router.setsockopt(zmq.MAXMSGSIZE, MAX_BODY + 64)
            router.setsockopt(zmq.ROUTER_HANDOVER, 1)
            router.sndhwm = router.rcvhwm = HIGH_WATER_MARK
            self.endpoint = self._door.bind(router, endpoint)
            """Where it is bound."""
        except BaseException:
            self._door.close()
            raise
        self._waker = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._poller = zmq.Poller()
        for socket in (self._router, self._waker):
            self._poller.register(socket, zmq.POLLIN)

    def receive(self) -> list[tuple[CurveClient, bytes, list[bytes]]]:
        """Send what waits, and return what comes as soon as something does, or nothing: client, address, frames."""
        self._flush()
        ready = dict(self._poller.poll())
        if self._waker in ready:
            with suppress(BlockingIOError):
                os.eventfd_read(self._waker)
            self._flush()
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
        self._door.close()
        os.close(self._waker)

    def reply(self, address: bytes, frame: bytes) -> None:
        """Send to a client at once; in the thread that receives."""
        with suppress(zmq.ZMQError):  # its queue is full, or it is gone
            self._router.send(address, SNDMORE)
            self._router.send(frame, NOBLOCK)

    def _flush(self) -> None:
        while self._outbox:
            self.reply(*self._outbox.popleft())

    def _client_of(self, address: bytes, frame: zmq.Frame) -> CurveClient | None:
        """Return which client sent this. Only addresses that a client cannot choose stand for its connection."""
        client = self._known.get(address)
        if client is None:
            client = self._door.client_of(frame)
            if client is not None and address.startswith(b"\0"):
                if len(self._known) >= MOST_KNOWN:
                    self._known.clear()
                self._known[address] = client
        return client

    def _arrived(self) -> list[tuple[CurveClient, bytes, list[bytes]]]:
        found: list[tuple[CurveClient, bytes, list[bytes]]] = []
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
