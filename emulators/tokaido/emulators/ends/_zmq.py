"""A message port as a ZeroMQ ROUTER or PUB under CURVE, with its own ZAP handler (ZeroMQ RFC 27)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

import zmq
from zmq.utils import z85

from tokaido.emulators.ends._end import End, SharedModel
from tokaido.emulators.ends._shared import POLL_S
from tokaido.hal import NS_PER_S

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tokaido.emulators._faults import Faults
    from tokaido.emulators._model import DeviceModel
    from tokaido.hal import Clock
    from tokaido.hal.transports import CurveKeyPair

MAX_FRAME: Final = 64 * 1024 * 1024
HIGH_WATER_MARK: Final = 200
"""Messages that wait at a connection; later ones are lost."""
DOMAIN: Final = b"tokaido"
_ZAP = "inproc://zeromq.zap.01"


class ZmqEnd(End):
    """Carries the message port `keys` on a ROUTER socket that only listed clients may talk to.

    The ZAP domain is set and enforced, so nobody comes in without the handler. A client that gives its socket a
    routing id keeps it over a reconnection. A model that only pushes has a PUB socket, for the same clients.

    Args:
        shared: The model.
        keys: The unit's long-term CURVE keys.
        clients: Public keys (z85) of the hosts that may connect.
        endpoint: Where to bind; port 0 takes a free one.
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
        faults: Faults,
        clock: Clock,
        impostor: DeviceModel,
    ) -> None:
        super().__init__(shared, "keys", faults, clock, impostor)
        self._keys = keys
        self._clients = frozenset(clients)
        self.endpoint = endpoint
        """Where it is bound, once it was started."""
        self._context: zmq.Context[zmq.Socket[bytes]] | None = None
        self._zap: zmq.Socket[bytes] | None = None
        self._router: zmq.Socket[bytes] | None = None
        self._poller = zmq.Poller()

    def add_client(self, public: bytes) -> None:
        """Put a host's public key (z85) on the list: an operator's act at the unit."""
        self._clients |= {public}

    def revoke_client(self, public: bytes) -> None:
        """Take a host's public key off the list. Its connections end at once.

        A ROUTER ends one connection only with all the others; their hosts connect again.
        """

        def revoke() -> None:
            self._clients -= {public}
            if self._router is not None:
                self._unplug_now()
                self._replug_now()

        self._order(revoke)

    def _watch(self, waker: int) -> None:
        self._poller.register(waker, zmq.POLLIN)

    def _open(self) -> None:
        self._context = zmq.Context()
        self._zap = self._context.socket(zmq.REP)
        self._zap.linger = 0
        self._zap.bind(_ZAP)
        self._poller.register(self._zap, zmq.POLLIN)
        self._bind()

    def _bind(self) -> None:
        if self._context is None:
            return
        pushes = self._shared.model.PUSHES
        router = self._context.socket(zmq.PUB if pushes else zmq.ROUTER)
        router.linger = 0
        router.curve_server = True
        router.curve_publickey = self._keys.public
        router.curve_secretkey = self._keys.secret
        router.zap_domain = DOMAIN
        router.setsockopt(zmq.ZAP_ENFORCE_DOMAIN, 1)
        router.setsockopt(zmq.MAXMSGSIZE, MAX_FRAME)
        if not pushes:
            router.setsockopt(zmq.ROUTER_HANDOVER, 1)
        router.sndhwm = router.rcvhwm = HIGH_WATER_MARK
        try:
            router.bind(self.endpoint)
        except zmq.ZMQError:
            router.close()
            raise
        bound = router.getsockopt(zmq.LAST_ENDPOINT)
        self.endpoint = bound.rstrip(b"\0").decode() if isinstance(bound, bytes) else str(bound)
        self._poller.register(router, zmq.POLLIN)
        self._router = router

    def _shut(self) -> None:
        self._unplug_now()
        if self._zap is not None:
            self._zap.close()
        if self._context is not None:
            self._context.term()
        self._zap = self._context = None

    def _unplug_now(self) -> None:
        self._replug_ns = None
        if self._router is not None:
            self._poller.unregister(self._router)
            self._router.close()
            self._router = None
        self._lose_what_is_on_its_way()

    def _replug_now(self) -> None:
        self._replug_ns = None
        if self._router is None:
            try:
                self._bind()
            except zmq.ZMQError:  # the old socket still holds the port
                self._replug_ns = self._clock.monotonic_ns() + POLL_S * NS_PER_S

    def _wait(self, timeout_s: float | None) -> list[list[bytes]]:
        ready = dict(self._poller.poll(None if timeout_s is None else math.ceil(timeout_s * 1000)))
        if self._zap is not None and self._zap in ready:
            self._answer_zap(self._zap)
        if self._router is None or self._router not in ready:
            return []
        pieces: list[list[bytes]] = []
        while len(pieces) < 16:
            try:
                frames = self._router.recv_multipart(zmq.NOBLOCK, copy=False)
            except zmq.ZMQError:
                break
            try:
                client = frames[-1].get("User-Id")
            except zmq.ZMQError:  # no proven identity: ignore it
                continue
            pieces.append([frames[0].bytes, str(client).encode(), *(frame.bytes for frame in frames[1:])])
        return pieces

    def _answer_zap(self, zap: zmq.Socket[bytes]) -> None:
        request = zap.recv_multipart()
        version, sequence = request[0], request[1]
        client = z85.encode(request[6]) if len(request) == 7 and len(request[6]) == 32 else b""
        right = version == b"1.0" and request[2] == DOMAIN and request[5] == b"CURVE" and client in self._clients
        status, text, user = (b"200", b"OK", client) if right else (b"400", b"this key is not on the list", b"")
        zap.send_multipart([version, sequence, status, text, user, b""])

    def _next_due_s(self) -> float:
        due_ns = self._shared.model.host_due_ns()
        due_s = math.inf if due_ns is None else max(due_ns - self._clock.monotonic_ns(), 0) / NS_PER_S
        return min(super()._next_due_s(), max(due_s, self._shared.model.MAY_WAIT_S))

    # --- pieces: [routing id, client key, frame...] inwards, [routing id, b"", frame...] outwards --------------------

    def _content(self, piece: list[bytes]) -> list[bytes]:
        return piece[2:]

    def _rebuilt(self, piece: list[bytes], content: list[bytes]) -> list[bytes]:
        return [*piece[:2], *content]

    def _give(self, model: DeviceModel, piece: list[bytes]) -> None:
        model.note_host_time(self._clock.monotonic_ns())
        model.receive_message(piece[0], piece[1].decode(), piece[2:])

    def _take(self, model: DeviceModel) -> list[list[bytes]]:
        model.note_host_time(self._clock.monotonic_ns())
        return [[peer, b"", *frames] for peer, frames in model.take_messages()]

    def _emit(self, piece: list[bytes]) -> None:
        if self._router is None or len(piece) < 3:
            return
        try:
            address = [] if self._shared.model.PUSHES else piece[:1]
            self._router.send_multipart([*address, *piece[2:]], zmq.NOBLOCK)
        except zmq.ZMQError:  # the connection's queue is full: the newest message is lost
            return
