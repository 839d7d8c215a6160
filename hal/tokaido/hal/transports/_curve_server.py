"""Serving under CURVE: who may connect, and who sent a message. One handler of ZAP (ZeroMQ RFC 27) a process."""

from __future__ import annotations

import itertools
import os
import threading
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Self

from tokaido.hal._errors import ClosedError, ConfigurationError, NotConnectedError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from types import TracebackType

    from tokaido.hal.transports._curve import CurveKeyPair

ZAP: Final = "inproc://zeromq.zap.01"
KEY_BYTES: Final = 32


@dataclass(frozen=True, slots=True)
class CurveClient:
    """Who may connect."""

    public: bytes
    """Its public key, 40 characters of Z85."""
    name: str = ""
    """What people call it."""
    roles: frozenset[str] = frozenset()
    """What it may do, in words that the server gives a meaning."""


class CurveDoor:
    """The sockets of one server, which only listed clients get into: the others fail in the handshake.

    All doors of a process share a ZeroMQ context and the thread that admits clients; both end with the last door. Give
    `client_of` a message's last frame to learn who sent it. The thread that uses a socket closes it; the door
    closes those that are left.

    Args:
        keys: The server's own long-term keys.
        clients: Who may connect.

    Raises:
        ConfigurationError: Two clients have one key.
    """

    def __init__(self, keys: CurveKeyPair, clients: Iterable[CurveClient] = ()) -> None:
        self._keys = keys
        self._clients: dict[bytes, CurveClient] = {}
        for client in clients:
            if client.public in self._clients:
                raise ConfigurationError(
                    f"{client.name or 'a client'} has the key of {self._clients[client.public].name or 'another'}",
                    remedy="Each client has a key of its own",
                )
            self._clients[client.public] = client
        self._sockets: list[Any] = []
        self._admission: _Admission | None = _admission_of(self)

    @property
    def clients(self) -> tuple[CurveClient, ...]:
        """Who may connect now."""
        return tuple(self._clients.values())

    def admit(self, client: CurveClient) -> None:
        """Let a client connect from now on; one of the same key is replaced."""
        self._clients = {**self._clients, client.public: client}

    def refuse(self, public: bytes) -> None:
        """Let a client connect no more. Its connections last until their socket is closed: bind another one."""
        self._clients = {key: client for key, client in self._clients.items() if key != public}

    def socket(self, kind: int) -> Any:
        """Return a new ZeroMQ socket of this kind that serves under CURVE, not bound yet.

        Raises:
            ClosedError: The door was closed.
        """
        import zmq  # noqa: PLC0415 - by those who serve

        if self._admission is None:
            raise ClosedError("the door was closed")
        socket = self._admission.context.socket(kind)
        socket.linger = 0
        socket.curve_server = True
        socket.curve_publickey, socket.curve_secretkey = self._keys.public, self._keys.secret
        socket.zap_domain = self._admission.domain_of(self)
        socket.setsockopt(zmq.ZAP_ENFORCE_DOMAIN, 1)
        self._sockets = [other for other in self._sockets if not other.closed]
        self._sockets.append(socket)
        return socket

    def bind(self, socket: Any, endpoint: str) -> str:
        """Bind a socket and return where it is; port 0 takes a free one.

        ZeroMQ closes a socket a moment after `close` returns: to bind another one at the same port may fail until then.

        Raises:
            NotConnectedError: The place is taken, or is none of this machine.
        """
        import zmq  # noqa: PLC0415 - by those who serve

        if "[" in endpoint:
            socket.setsockopt(zmq.IPV6, 1)
        try:
            socket.bind(endpoint)
        except zmq.ZMQError as error:
            socket.close()
            raise NotConnectedError(
                f"{endpoint} cannot be bound: {error}",
                remedy="Another program has it, or it is not an address of this machine",
            ) from error
        bound = socket.getsockopt(zmq.LAST_ENDPOINT)
        return bound.rstrip(b"\0").decode() if isinstance(bound, bytes) else str(bound)

    def client_of(self, frame: Any) -> CurveClient | None:
        """Return who sent a message, by a frame of it that was received with `copy=False`; None if nobody proved it."""
        import zmq  # noqa: PLC0415 - by those who serve

        try:
            return self._clients.get(str(frame.get("User-Id")).encode())
        except zmq.ZMQError:
            return None

    def close(self) -> None:
        """Close the sockets that are left, and forget the clients. May be called again."""
        admission, self._admission = self._admission, None
        for socket in self._sockets:
            socket.close()
        self._sockets.clear()
        self._clients = {}
        if admission is not None:
            _leave(admission, self)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _admits(self, public: bytes) -> bool:
        return public in self._clients


class _Admission:
    """The context of all doors of a process, and the thread that answers who may come in."""

    def __init__(self) -> None:
        import zmq  # noqa: PLC0415 - by those who serve

        self.process: Final = os.getpid()
        self.context: Any = zmq.Context()
        self._domains: dict[bytes, CurveDoor] = {}
        self._numbers = itertools.count(1)
        self._ends = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._zap = self.context.socket(zmq.REP)
        self._zap.linger = 0
        self._zap.bind(ZAP)
        self._thread = threading.Thread(target=self._live, name="tokaido-curve", daemon=True)
        self._thread.start()

    def add(self, door: CurveDoor) -> None:
        self._domains = {**self._domains, b"tokaido-%d" % next(self._numbers): door}

    def remove(self, door: CurveDoor) -> bool:
        """Forget a door, and return whether it was the last one."""
        self._domains = {domain: other for domain, other in self._domains.items() if other is not door}
        return not self._domains

    def domain_of(self, door: CurveDoor) -> bytes:
        return next(domain for domain, other in self._domains.items() if other is door)

    def end(self) -> None:
        os.eventfd_write(self._ends, 1)
        self._thread.join()
        os.close(self._ends)
        self.context.term()

    def _live(self) -> None:
        import zmq  # noqa: PLC0415 - by those who serve

        poller = zmq.Poller()
        poller.register(self._zap, zmq.POLLIN)
        poller.register(self._ends, zmq.POLLIN)
        try:
            while True:
                ready = dict(poller.poll())
                if self._zap in ready:
                    self._answer()
                elif self._ends in ready:
                    return
        finally:
            self._zap.close()

    def _answer(self) -> None:
        from zmq.utils import z85  # noqa: PLC0415 - by those who serve

        request = self._zap.recv_multipart()
        right, public = False, b""
        if len(request) == 7 and request[0] == b"1.0" and request[5] == b"CURVE" and len(request[6]) == KEY_BYTES:
            public = z85.encode(request[6])
            door = self._domains.get(request[2])
            right = door is not None and door._admits(public)
        told = (b"200", b"OK", public) if right else (b"400", b"this key is not on the list", b"")
        self._zap.send_multipart([b"1.0", request[1] if len(request) > 1 else b"", *told, b""])


_lock = threading.Lock()
_admission: _Admission | None = None


def _admission_of(door: CurveDoor) -> _Admission:
    global _admission  # noqa: PLW0603 - there is one in a process
    with _lock:
        if _admission is None:
            _admission = _Admission()
        _admission.add(door)
        return _admission


def _leave(admission: _Admission, door: CurveDoor) -> None:
    global _admission  # noqa: PLW0603 - as above
    if admission.process != os.getpid():
        return  # a fork leaves its parent's sockets alone
    with _lock:
        if not admission.remove(door):
            return
        if _admission is admission:
            _admission = None
        with suppress(OSError):
            admission.end()


def _be_another_process() -> None:
    global _lock, _admission
    _lock, _admission = threading.Lock(), None


os.register_at_fork(after_in_child=_be_another_process)
