"""A message port as a ZeroMQ ROUTER or PUB under CURVE."""

from __future__ import annotations

import math
import select
from typing import TYPE_CHECKING, Any, Final

import zmq

from tokaido.emulators.ends._end import End, SharedModel
from tokaido.emulators.ends._messages import MessageWire
from tokaido.emulators.ends._shared import POLL_S
from tokaido.hal import NS_PER_S, NotConnectedError
from tokaido.hal.transports import CurveClient, CurveDoor

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tokaido.emulators._fault_kinds import FaultPort
    from tokaido.emulators._faults import Faults
    from tokaido.emulators._model import DeviceModel
    from tokaido.hal import Clock
    from tokaido.hal.transports import CurveKeyPair

MAX_FRAME: Final = 64 * 1024 * 1024
HIGH_WATER_MARK: Final = 200
"""Messages that wait at a connection; later ones are lost."""
AT_ONCE: Final = 16
"""Messages that are carried in one turn."""
NOBLOCK: Final = 1
SNDMORE: Final = 2
FD: Final = 14
EVENTS: Final = 15
POLLIN: Final = 1
"""Constants of zmq.h: pyzmq's own flags are slow."""


class ZmqEnd(End, MessageWire):
    """Carries a message port on a ROUTER socket that only listed clients may talk to.

    A client that gives its socket a
    routing id keeps it over a reconnection. A model that only pushes has a PUB socket, for the same clients.

    Args:
        shared: The model.
        keys: The unit's long-term CURVE keys.
        clients: Public keys (z85) of the hosts that may connect.
        endpoint: Where to bind; port 0 takes a free one.
        port: Which of the model's ports.
        faults: Faults on this wire.
        clock: Times the delays of the faults.
        impostor: The other box that answers under the fault `wrong_id`.
    """

    def __init__(
        self,
        shared: SharedModel,
        keys: CurveKeyPair,
        clients: Iterable[bytes],
        *,
        endpoint: str = "tcp://127.0.0.1:0",
        port: FaultPort = "keys",
        faults: Faults,
        clock: Clock,
        impostor: DeviceModel,
    ) -> None:
        super().__init__(shared, port, faults, clock, impostor)
        self._keys = keys
        self._clients = tuple(clients)
        self.endpoint = endpoint
        """Where it is bound, once it was started."""
        self._door: CurveDoor | None = None
        self._router: Any = None

    def add_client(self, public: bytes) -> None:
        """Put a host's public key (z85) on the list: an operator's act at the unit."""
        if self._door is not None:
            self._door.admit(CurveClient(public))

    def revoke_client(self, public: bytes) -> None:
        """Take a host's public key off the list. Its connections end at once.

        A ROUTER ends one connection only with all the others; their hosts connect again.
        """

        def revoke() -> None:
            if self._door is not None:
                self._door.refuse(public)
            if self._router is not None:
                self._unplug_now()
                self._replug_now()

        self._order(revoke)

    def _descriptors(self) -> dict[int, int]:
        return {} if self._router is None else {self._router.getsockopt(FD): select.EPOLLIN}

    def _open(self) -> None:
        self._door = CurveDoor(self._keys, map(CurveClient, self._clients))
        self._bind()

    def _bind(self) -> None:
        if self._door is None:
            return
        pushes = self._shared.model.PUSHES
        router = self._door.socket(zmq.PUB if pushes else zmq.ROUTER)
        router.setsockopt(zmq.MAXMSGSIZE, MAX_FRAME)
        if not pushes:
            router.setsockopt(zmq.ROUTER_HANDOVER, 1)
        router.sndhwm = router.rcvhwm = HIGH_WATER_MARK
        self.endpoint = self._door.bind(router, self.endpoint)
        self._router = router
        self.rewired = True

    def _shut(self) -> None:
        self._unplug_now()
        if self._door is not None:
            self._door.close()
            self._door = None

    def _unplug_now(self) -> None:
        self._replug_ns = None
        if self._router is not None:
            self._router.close()
            self._router = None
            self.rewired = True
        self._lose_what_is_on_its_way()

    def _replug_now(self) -> None:
        self._replug_ns = None
        if self._router is None:
            try:
                self._bind()
            except NotConnectedError:  # the old socket still holds the port
                self._replug_ns = self._clock.monotonic_ns() + POLL_S * NS_PER_S

    def _arrived(self) -> list[list[bytes]]:
        pieces: list[list[bytes]] = []
        door = self._door
        while self._router is not None and door is not None and len(pieces) < AT_ONCE and self._waits():
            try:
                frames = self._router.recv_multipart(NOBLOCK, copy=False)
            except zmq.ZMQError:
                break
            client = door.client_of(frames[-1])
            if client is not None:  # with a proven identity
                pieces.append([frames[0].bytes, client.public, *(frame.bytes for frame in frames[1:])])
        return pieces

    def _waits(self) -> bool:
        """Whether a message waits. The descriptor tells of each change once, and sending uses that up."""
        return self._router is not None and bool(self._router.getsockopt(EVENTS) & POLLIN)

    def _pause_s(self) -> float:
        pause_s = super()._pause_s()
        return 0.0 if self._waits() else pause_s

    def _next_due_s(self) -> float:
        due_ns = self._shared.model.host_due_ns()
        due_s = math.inf if due_ns is None else max(due_ns - self._clock.monotonic_ns(), 0) / NS_PER_S
        return min(super()._next_due_s(), max(due_s, self._shared.model.MAY_WAIT_S))

    def _emit(self, piece: list[bytes]) -> None:
        if self._router is None or len(piece) < 3:
            return
        try:
            address = [] if self._shared.model.PUSHES else piece[:1]
            *first, last = *address, *piece[2:]
            for frame in first:
                self._router.send(frame, NOBLOCK | SNDMORE)
            self._router.send(last, NOBLOCK)
        except zmq.ZMQError:  # the connection's queue is full: the newest message is lost
            return
