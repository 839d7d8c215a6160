"""The control endpoint's socket in the node's loop: a ROUTER behind a door under CURVE."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any, Final

from tokaido.hal import TokaidoError
from tokaido.hal.transports import CurveDoor
from tokaido.node.endpoint._carrying_out import failure_of
from tokaido.node.endpoint._desk import Order
from tokaido.node.endpoint._messages import HEAD_BYTES, MAX_BODY

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tokaido.hal.transports import CurveClient, CurveKeyPair
    from tokaido.node.endpoint._desk import Desk
    from tokaido.node.operation import Operations

LOG: Final = logging.getLogger("tokaido.node.endpoint")
HIGH_WATER_MARK: Final = 200
AT_ONCE: Final = 32
"""Messages that are taken before the loop has its turn."""
ENDING_S: Final = 1.0
LINGER_MS: Final = 500
"""How long what was answered last may take to leave, once nobody is heard any more."""
MOST_ORDERS: Final = 64
"""Commands that are under way at once."""
MOST_KNOWN: Final = 1000
"""Connections whose client is remembered."""
NOBLOCK: Final = 1
SNDMORE: Final = 2
EVENTS: Final = 15
POLLIN: Final = 1
"""Constants of zmq.h: pyzmq's own flags are slow."""


class ControlEndpoint:
    """Answers clients on the list, in the loop in which it was opened.

    Args:
        endpoint: Where to listen: `tcp://HOST:PORT`; port 0 takes a free one.
        keys: The node's own long-term CURVE keys.
        clients: Who may connect, each with a name and roles.
        desk: Answers.
        operations: Carries commands out.
    """

    def __init__(
        self,
        endpoint: str,
        keys: CurveKeyPair,
        clients: Iterable[CurveClient],
        desk: Desk,
        operations: Operations,
    ) -> None:
        self.endpoint = endpoint
        """Where it listens, once it is open."""
        self._keys = keys
        self._clients = tuple(clients)
        self._desk = desk
        self._operations = operations
        self._door: CurveDoor | None = None
        self._router: Any = None
        self._descriptor = -1
        self._orders: set[asyncio.Task[None]] = set()
        self._known: dict[bytes, CurveClient] = {}

    async def open(self) -> None:
        """Listen.

        Raises:
            ConfigurationError: Two clients have one key.
            NotConnectedError: It cannot be bound there.
        """
        import zmq  # noqa: PLC0415 - by those who serve

        self._zmq = zmq
        door = CurveDoor(self._keys, self._clients)
        try:
            router = door.socket(zmq.ROUTER)
            router.setsockopt(zmq.MAXMSGSIZE, MAX_BODY + HEAD_BYTES)
            router.sndhwm = router.rcvhwm = HIGH_WATER_MARK
            self.endpoint = door.bind(router, self.endpoint)
        except BaseException:
            door.close()
            raise
        self._door, self._router = door, router
        self._descriptor = int(router.getsockopt(zmq.FD))
        asyncio.get_running_loop().add_reader(self._descriptor, self._ready)
        self._ready()

    async def close(self) -> None:
        """Listen no more, and let commands that are under way be answered within 1 s. May be called again."""
        door, self._door = self._door, None
        if door is None:
            return
        asyncio.get_running_loop().remove_reader(self._descriptor)
        if self._orders:
            await asyncio.wait(tuple(self._orders), timeout=ENDING_S)
            for task in tuple(self._orders):
                task.cancel()
        router, self._router = self._router, None
        router.linger = LINGER_MS
        door.close()

    def _ready(self) -> None:
        """Take what waits. The descriptor tells of each change once, and sending uses that up: so try again."""
        router = self._router
        for _ in range(AT_ONCE):
            if self._door is None:
                return
            try:
                address: bytes = router.recv(NOBLOCK)
                frame = router.recv(NOBLOCK, copy=False)
            except self._zmq.Again:
                return
            except self._zmq.ZMQError as error:
                LOG.warning("a message was left: %s", error)
                return
            if frame.more:
                while frame.more:
                    frame = router.recv(NOBLOCK, copy=False)
            else:
                self._take(address, frame)
            if self._router is None or not router.getsockopt(EVENTS) & POLLIN:  # which costs less than one try too many
                return
        asyncio.get_running_loop().call_soon(self._ready)

    def _take(self, address: bytes, frame: Any) -> None:
        client = self._known.get(address) or self._client_of(address, frame)
        if client is None:
            return
        answer = self._desk.hear(client, address, frame.bytes)
        if isinstance(answer, Order):
            if len(self._orders) >= MOST_ORDERS:
                error = TokaidoError("too many commands are under way", remedy="Try again")
                self._send(address, self._desk.settled(answer, error))
                return
            task = asyncio.get_running_loop().create_task(self._carry_out(address, answer))
            self._orders.add(task)
            task.add_done_callback(self._orders.discard)
        elif answer is not None:
            self._send(address, answer)

    def _client_of(self, address: bytes, frame: Any) -> CurveClient | None:
        """Return which client sent this. Only addresses that a client cannot choose stand for its connection."""
        assert self._door is not None
        client = self._door.client_of(frame)
        if client is not None and address.startswith(b"\0"):
            if len(self._known) >= MOST_KNOWN:
                self._known.clear()
            self._known[address] = client
        return client

    async def _carry_out(self, address: bytes, order: Order) -> None:
        failure = await failure_of(self._operations, order.request, order.peer)
        self._send(address, self._desk.settled(order, failure))
        self._ready()

    def _send(self, address: bytes, message: bytes) -> None:
        if self._router is None:
            return
        try:
            self._router.send(address, SNDMORE)
            self._router.send(message, NOBLOCK)
        except self._zmq.ZMQError:  # its queue is full, or it is gone
            return
