"""Messages: ZeroMQ DEALER sockets under CURVE."""

from __future__ import annotations

import math
import os
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Final, Literal

from tokaido.hal._clock import SYSTEM_CLOCK, Clock, Deadline
from tokaido.hal._errors import (
    AuthenticationError,
    ClosedError,
    ConfigurationError,
    DeviceTimeoutError,
    NotConnectedError,
    ProtocolError,
    TokaidoError,
)
from tokaido.hal.transports._codec import NOT_MINE, LateRequest, Request, T
from tokaido.hal.transports._curve import load_curve_public, load_curve_secret
from tokaido.hal.transports._kinds import Option, TransportKind, is_port
from tokaido.hal.transports._ports import abandon
from tokaido.hal.transports._transport import SLICE_S, Transport
from tokaido.hal.transports._zmq_sockets import WatchedSocket

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tokaido.hal.transports._resources import Resource

MAX_FRAME_BYTES = 64 << 20
"""Largest frame that is taken, in bytes; ZeroMQ closes the connection on a larger one."""
MAX_PARTS = 64
"""Most frames that a message may have."""
QUEUED_MESSAGES = 64
"""Most messages that wait in each direction."""
TURN_S = 0.02
"""Longest single wait for a peer within the process by a clock that is not the machine's."""
SNDMORE = 2
"""A constant of zmq.h: pyzmq's own flag is slow, and importing this file does not import pyzmq."""
FIRST_WAIT_S = 0.01
"""How long an exchange waits at its socket alone, which takes less than to watch the connection as well."""
_REMEDY = "Check that the device is on, its address, and the network in between"


class ZmqTransport(Transport[list[bytes]]):
    """A ZeroMQ DEALER to one peer, always under CURVE, with a new socket after every failure.

    A socket connects once and never again by itself, and sends only to a peer that proved who it is, so nothing that
    was queued is delivered late. Messages that no request accepts go to `unsolicited`.
    """

    queued: ClassVar[int] = QUEUED_MESSAGES
    """Most messages that wait here to be taken."""

    def __init__(self, resource: Resource, *, clock: Clock = SYSTEM_CLOCK, timeout_s: float = 1.0) -> None:
        super().__init__(resource, clock=clock, timeout_s=timeout_s)
        self._in_process = resource.address.startswith("inproc://")
        self._by_turns = self._in_process and clock is not SYSTEM_CLOCK
        missing = [key for key in ("server_key_file", "client_key_file") if key not in resource.options]
        if missing and not self._in_process:
            raise ConfigurationError(
                f"{self.name} would go unencrypted",
                mistakes=tuple(f"{key}: is missing" for key in missing),
                remedy="Name the server's public and one's own secret key file",
            )
        self._watched: Any = None
        self._socket: Any = None
        self._monitor: Any = None
        self._poller: Any = None
        self._again: type[Exception] = BlockingIOError
        self.correlated = False
        """Whether a reply says what it answers; a driver says so whose protocol has ids and checks."""
        self.plain = False
        """Whether traces show what messages say; a driver says so whose protocol carries no secret at all."""
        self.unsolicited: Callable[[list[bytes]], None] = _drop
        """Takes a message that answers nobody: an event, a late reply. Called with the lock held; must not exchange."""

    def translate(self, error: Exception) -> TokaidoError:
        """Return our error for an exception of ZeroMQ."""
        if isinstance(error, self._again):
            return NotConnectedError("the peer takes no message", remedy=_REMEDY)
        return NotConnectedError(f"ZeroMQ failed: {error}", remedy=_REMEDY)

    # --- opening and closing ------------------------------------------------------------------------------------------

    def _connect(self, deadline: Deadline) -> None:
        import zmq  # noqa: PLC0415 - loaded by those who use it

        self.foreign = (*Transport.foreign, zmq.ZMQError)
        self._again = zmq.Again
        self._watched = watched = WatchedSocket(zmq.Context.instance(), self._make_socket())
        self._socket = socket = watched.bare
        socket.setsockopt(zmq.LINGER, 0)
        socket.setsockopt(zmq.IMMEDIATE, 1)
        socket.setsockopt(zmq.SNDTIMEO, _ms(SLICE_S))
        socket.setsockopt(zmq.RCVTIMEO, _ms(FIRST_WAIT_S))
        socket.setsockopt(zmq.SNDHWM, QUEUED_MESSAGES)
        socket.setsockopt(zmq.RCVHWM, self.queued)
        socket.setsockopt(zmq.MAXMSGSIZE, MAX_FRAME_BYTES)
        socket.setsockopt(zmq.RECONNECT_IVL, -1)  # what a peer that went away was sent is lost, and stays lost
        if "[" in self.resource.address:
            socket.setsockopt(zmq.IPV6, 1)
        self._poller = zmq.Poller()
        self._poller.register(socket, zmq.POLLIN)
        if self._in_process:
            socket.connect(self.resource.address)
            return
        pair = load_curve_secret(Path(self.resource.options["client_key_file"]))
        socket.setsockopt(zmq.CURVE_SERVERKEY, load_curve_public(Path(self.resource.options["server_key_file"])))
        socket.setsockopt(zmq.CURVE_PUBLICKEY, pair.public)
        socket.setsockopt(zmq.CURVE_SECRETKEY, pair.secret)
        watched.watch()
        self._monitor = watched.monitor
        self._poller.register(self._monitor, zmq.POLLIN)
        socket.connect(self.resource.address)
        self._await_handshake(deadline)

    def _make_socket(self) -> Any:
        """Return a socket of the right type; options that all types have are set later."""
        import zmq  # noqa: PLC0415 - loaded by those who use it

        return zmq.Context.instance().socket(zmq.DEALER)

    def _await_handshake(self, deadline: Deadline) -> None:
        from zmq import Event  # noqa: PLC0415 - loaded by those who use it

        reached = False
        while True:
            event, value = self._next_event(deadline, reached=reached)
            if event == Event.HANDSHAKE_SUCCEEDED:
                return
            if event == Event.CONNECTED:
                reached = True
                with suppress(OSError):  # it may be gone again
                    abandon(value)  # whenever ZeroMQ closes this connection, nothing more is delivered
            elif event == Event.HANDSHAKE_FAILED_AUTH:
                raise AuthenticationError(
                    f"the peer refuses our key (status {value})", remedy="Give it the public key of client_key_file"
                )
            elif event == Event.HANDSHAKE_FAILED_PROTOCOL:
                raise AuthenticationError(
                    f"the peer does not speak CURVE as we do (error {value:#x})", remedy="Check its configuration"
                )
            elif event == Event.HANDSHAKE_FAILED_NO_DETAIL:
                cause = os.strerror(value)
                if value not in (0, 32):  # EPIPE: it hung up in good order, as a server does that cannot read us
                    raise NotConnectedError(f"the connection broke during the handshake: {cause}", remedy=_REMEDY)
                raise AuthenticationError(
                    "the peer hung up during the handshake, as it does when server_key_file is not its key",
                    remedy="Fetch its public key again; if that is right, something in between hangs up",
                )
            elif event in (Event.CLOSED, Event.DISCONNECTED):
                what = "the peer that answers there does not speak ZeroMQ" if reached else "nobody listens there"
                raise NotConnectedError(what, remedy=_REMEDY)

    def _next_event(self, deadline: Deadline, *, reached: bool) -> tuple[int, int]:
        while not self._monitor.poll(_ms(min(deadline.remaining_s, SLICE_S))):
            if deadline.passed:
                what = "the peer did not finish the handshake" if reached else "nobody answered"
                raise NotConnectedError(f"{what} within the deadline", remedy=_REMEDY)
            if self._closed:
                raise ClosedError("the transport was closed")
        event: tuple[int, int] = self._watched.next_event()
        return event

    def _disconnect(self) -> None:
        self._socket = self._monitor = self._poller = None
        if self._watched is not None:
            self._watched.close()
            self._watched = None

    def _abandon(self) -> None:
        self._disconnect()

    def _salvage(self) -> None:
        """Nothing is handed on: no request accepts what waits."""

    def _settle(self, deadline: Deadline) -> None:
        """Nothing is left over: the old socket took it along."""

    # --- an exchange --------------------------------------------------------------------------------------------------

    def _record(self, direction: Literal[">", "<"], content: bytes | list[bytes], *, confidential: bool) -> None:
        if self.plain:
            content, confidential = b"".join(content) if isinstance(content, list) else content, False
        super()._record(direction, content, confidential=confidential)

    def _make_ready(self, deadline: Deadline) -> None:
        """See that the transport is open and trusted, and that nothing waits in it: one look, as a rule."""
        if self._trusted and self._shaking is None:
            try:
                if not self._poller.poll(0):
                    return
            except self.foreign:
                pass  # the careful way meets it again
        super()._make_ready(deadline)

    def _prepare(self, deadline: Deadline) -> None:  # noqa: ARG002 - it never waits
        self._hand_on_waiting(0.0)

    def _hear(self, deadline: Deadline) -> None:
        while not self._hand_on_waiting(min(deadline.remaining_s, SLICE_S)) and not deadline.passed:
            if self._closed:
                raise ClosedError("the transport was closed")

    def _transact(self, request: Request[list[bytes], T], deadline: Deadline) -> T:
        payload = request.write() if isinstance(request, LateRequest) else request.payload
        if self._sinks:
            self._record(">", payload, confidential=request.confidential)
        self._sent = True
        *parts, last = payload
        send, soon = self._socket.send, deadline.remaining_s > FIRST_WAIT_S and not self._by_turns
        try:
            for part in parts:
                send(part, SNDMORE)
            send(last)
        except self._again:
            self._sent = False  # there was no peer to send it to
            raise
        while True:
            frames = None
            if soon:
                soon = False
                try:  # noqa: SIM105 - `suppress` takes longer, at each exchange
                    frames = self._receive()
                except self._again:
                    pass
            if frames is None:
                frames = self._receive_within(deadline)
            value = self._judge(request, frames)
            if value is not NOT_MINE:
                return value
            self.unsolicited(frames)
            if deadline.passed:
                raise DeviceTimeoutError("only foreign messages and no reply", remedy="Check who else answers")

    def _receive_within(self, deadline: Deadline) -> list[bytes]:
        """Return the next message, watching the connection meanwhile."""
        while True:
            ready = self._ready(min(deadline.remaining_s, SLICE_S))
            if not ready:
                if deadline.passed:
                    raise DeviceTimeoutError("no reply", remedy="Check that the device is on and not busy")
                if self._closed:
                    raise ClosedError("the transport was closed")
            elif any(socket is self._socket for socket, _ in ready):
                return self._receive()
            else:
                self._check_monitor()

    def _ready(self, seconds: float) -> Any:
        """Return the sockets that can be read and their events, as soon as there is one or after `seconds`.

        A peer within the process may live by the same clock, which then is what has to wait.
        """
        if not self._by_turns:
            return self._poller.poll(_ms(seconds))
        ready = self._poller.poll(0)
        if ready or seconds <= 0:
            return ready
        self.clock.wait(min(seconds, TURN_S))
        return self._poller.poll(0)

    def _receive(self) -> list[bytes]:
        """Return the frames of the message that waits."""
        frames: list[bytes] = []
        while True:
            frame = self._socket.recv(copy=False)
            if len(frames) == MAX_PARTS:
                frames.clear()  # the error must not hold what may be keys
                raise ProtocolError(f"a message of more than {MAX_PARTS} parts")
            frames.append(self._taken(frame))
            if not frame.more:
                break
        if self._sinks:
            self._record("<", frames, confidential=True)
        return frames

    def _taken(self, frame: Any) -> bytes:
        """Return the content of a frame. A transport of secrets keeps it where it can be wiped."""
        content: bytes = frame.bytes
        return content

    def _hand_on_waiting(self, seconds: float) -> bool:
        """Hand on the messages that wait, or come within `seconds`; return whether there were any."""
        some = False
        for _ in range(QUEUED_MESSAGES * 16):
            ready = self._ready(0 if some else seconds)
            if not ready:
                return some
            if any(socket is self._socket for socket, _ in ready):
                self.unsolicited(self._receive())
                some = True
            else:
                self._check_monitor()
        raise ProtocolError("the peer sends without end, unasked")

    def _check_monitor(self) -> None:
        from zmq import Event  # noqa: PLC0415 - loaded by those who use it

        if self._watched.next_event()[0] in (Event.DISCONNECTED, Event.CLOSED):
            raise NotConnectedError("the peer disconnected", remedy=_REMEDY)


def _drop(frames: list[bytes]) -> None:
    """Take a message that nobody wants."""


def _ms(seconds: float) -> int:
    return math.ceil(seconds * 1000)


# --- its resources --------------------------------------------------------------------------------------------------


def _check_zmq(address: str, options: Mapping[str, str]) -> list[str]:
    mistakes: list[str] = []
    scheme, _, rest = address.partition("://")
    if scheme not in ("tcp", "ipc", "inproc") or not rest:
        mistakes.append("endpoint: should be tcp://HOST:PORT, ipc://PATH or inproc://NAME")
    elif scheme == "tcp":
        host, _, port = rest.rpartition(":")
        if not host or "*" in host or not is_port(port):
            mistakes.append("endpoint: has no host and port to connect to; for example tcp://192.0.2.7:5560")
    if scheme != "inproc":  # which never leaves the process, and for which ZeroMQ has no CURVE
        mistakes += [
            f"{key}: is missing, and nothing goes unencrypted; add {key}={_OPTIONS[key].example}"
            for key in ("server_key_file", "client_key_file")
            if key not in options
        ]
    return mistakes


_OPTIONS: Final = {
    "server_key_file": Option.file("alice.key"),
    "client_key_file": Option.file("node.key_secret"),
}
KIND: Final = TransportKind(name="zmq", messages=ZmqTransport, options=_OPTIONS, check=_check_zmq)
