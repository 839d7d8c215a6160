"""The server's socket: a ROUTER behind a door under CURVE, and what waits to be sent."""

from __future__ import annotations

import threading
from collections import deque
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import zmq

from tokaido.hal.sharing import MAX_BODY
from tokaido.hal.transports import CurveClient, CurveDoor, CurveKeyPair

if TYPE_CHECKING:
    from collections.abc import Iterable

HIGH_WATER_MARK: Final = 1000
NOBLOCK: Final = int(zmq.NOBLOCK)
SNDMORE: Final = int(zmq.SNDMORE)
"""Plain numbers, which are quicker than flags."""
MOST_KNOWN: Final = 1000


class Message(NamedTuple):
    """What a client sent."""

    client: CurveClient
    address: bytes
    frame: bytes


class Counter:
    """Receives from clients and sends to them, in one thread; `send` and `wake` may be called from any.

    That thread waits for the clients' messages and for those who wake it at one socket: to wait at two takes longer.

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
        self._waking = threading.Lock()
        self._waker: Any = None
        self._door = CurveDoor(keys, clients)
        try:
            self._router = router = self._door.socket(zmq.ROUTER)
            router.setsockopt(zmq.MAXMSGSIZE, MAX_BODY + 64)
            router.setsockopt(zmq.ROUTER_HANDOVER, 1)
            router.sndhwm = router.rcvhwm = HIGH_WATER_MARK
            inside = f"inproc://tokaido-counter-{id(self):x}"
            router.bind(inside)  # nobody outside this process can reach it, and nothing that comes there is a request
            self._waker = router.context.socket(zmq.DEALER)
            self._waker.linger = 0
            self._waker.connect(inside)
            self.wake()
            self._inside: bytes = router.recv_multipart()[0]
            self.endpoint = self._door.bind(router, endpoint)
            """Where it is bound."""
        except BaseException:
            self.close()
            raise

    def receive(self) -> Message | None:
        """Return what a client sends, as soon as it does; None for what is none, and when `wake` was called."""
        address: bytes = self._router.recv()
        frame = self._router.recv(copy=False)
        if address == self._inside:
            self._flush()
            return None
        if frame.more:
            while frame.more:
                frame = self._router.recv(copy=False)
            return None
        client = self._known.get(address) or self._client_of(address, frame)
        return None if client is None else Message(client, address, frame.bytes)

    def send(self, address: bytes, frame: bytes) -> None:
        """Send to a client; one that takes nothing loses it."""
        self._outbox.append((address, frame))
        self.wake()

    def wake(self) -> None:
        """Let `receive` return."""
        with self._waking:
            try:
                self._waker.send(b"", NOBLOCK)
            except zmq.ZMQError:  # it was woken and has not looked yet, or is closed
                return

    def close(self) -> None:
        """Close everything; call it in the thread that receives, or when none does."""
        with self._waking:
            if self._waker is not None:
                self._waker.close()
        self._door.close()

    def reply(self, address: bytes, frame: bytes) -> None:
        """Send to a client at once; in the thread that receives."""
        try:
            self._router.send(address, SNDMORE)
            self._router.send(frame, NOBLOCK)
        except zmq.ZMQError:  # its queue is full, or it is gone
            return

    def _flush(self) -> None:
        while self._outbox:
            self.reply(*self._outbox.popleft())

    def _client_of(self, address: bytes, frame: zmq.Frame) -> CurveClient | None:
        """Return which client sent this. Only addresses that a client cannot choose stand for its connection."""
        client = self._door.client_of(frame)
        if client is not None and address.startswith(b"\0"):
            if len(self._known) >= MOST_KNOWN:
                self._known.clear()
            self._known[address] = client
        return client
