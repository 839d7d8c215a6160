"""The connection to a device server: docs/protocols/device-server.md."""

from __future__ import annotations

import itertools
import os
import socket
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tokaido.hal._clock import SYSTEM_CLOCK, Clock, Deadline
from tokaido.hal._errors import DeviceTimeoutError, ProtocolError
from tokaido.hal._line_device import weakly
from tokaido.hal.transports._codec import NOT_MINE, NotMine, Request
from tokaido.hal.transports._resources import Resource
from tokaido.hal.transports._turns import step_failed
from tokaido.hal.transports._zmq import FIRST_WAIT_S, ZmqTransport

if TYPE_CHECKING:
    from tokaido.hal.sharing._messages import Answered, AnyAsk, Reply

KEY_FILES: Final = ("server_key_file", "client_key_file")
ID_BYTES: Final = 8
NOBLOCK: Final = 1
"""A constant of zmq.h: pyzmq's own flag is slow, and importing this file does not import pyzmq."""


class ServerConnection:
    """A connection to a device server, for one thread at a time.

    Args:
        resource: Its address and the key files.
        clock: Where time comes from.
        timeout_s: Deadline of a request that names none, in s.
    """

    def __init__(self, resource: Resource, *, clock: Clock = SYSTEM_CLOCK, timeout_s: float = 1.0) -> None:
        keys: dict[str, str] = {name: resource.options[name] for name in KEY_FILES if name in resource.options}
        self._wire = _ServerWire(Resource("zmq", resource.address, keys), clock=clock, timeout_s=timeout_s)
        self._wire.on_open(weakly(self._greet, "the connection of this transport"))
        self._clock = clock
        self._prefix = os.urandom(4)
        self._numbers = itertools.count(int.from_bytes(os.urandom(2), "big"))
        self._encode: Any = None
        self._decode: Any = None
        self._decode_answered: Any = None
        self._max_body = 0

    def open(self, deadline: Deadline) -> None:
        """Connect, and make sure that a device server answers, which is told who we are; so with every reconnection.

        Raises:
            TransportError: There is none, or it does not take our key.
        """
        self._wire.open(deadline.remaining_s)

    def _greet(self) -> None:
        from tokaido.hal.sharing._messages import PROTOCOL, Hello  # noqa: PLC0415 - by those who use it

        reply = self.ask(Hello(who_we_are()), "hello", Deadline(self._clock, self._wire.timeout_s))
        if not reply.ok:
            raise reply.raised()
        if reply.protocol != PROTOCOL:
            raise ProtocolError(f"the peer speaks {reply.protocol[:40]!r} and we speak {PROTOCOL}")

    @property
    def sent(self) -> bool:
        """Whether a byte of the last request may have left."""
        return self._wire.sent

    def ask(self, message: AnyAsk, what: str, deadline: Deadline) -> Reply:
        """Send a request and return its reply, a refusal included.

        Args:
            message: The request.
            what: What errors call it.
            deadline: When to give up.

        Raises:
            TransportError: No reply came.
        """
        identifier, body = self._said(message)
        decode = self._decode

        def accept(frames: list[bytes]) -> Reply | NotMine:
            if len(frames) != 1 or not frames[0].startswith(identifier):
                return NOT_MINE
            reply: Reply = decode(memoryview(frames[0])[ID_BYTES:])
            return reply

        return self._wire.exchange(Request(what, [identifier + body], accept), deadline.remaining_s)

    def ask_at_once(self, message: AnyAsk, what: str, deadline: Deadline) -> Answered | Reply:
        """Do the same for a transport that has its turn already, and labels errors: with less to do for each request.

        Raises:
            TransportError: No reply came.
        """
        wire = self._wire
        if not wire.is_quick or deadline.remaining_s <= FIRST_WAIT_S:
            return self.ask(message, what, deadline)
        identifier, body = self._said(message)
        frame = wire.ask(identifier, identifier + body, deadline)
        if frame is None:
            return self.ask(message, what, deadline)
        content = memoryview(frame)[ID_BYTES:]
        try:
            answered: Answered = self._decode_answered(content)
            return answered if answered.ok else self._decode(content)
        except ValueError as error:
            wire.distrust()
            raise ProtocolError(f"the reply could not be decoded: {error}") from error

    def _said(self, message: AnyAsk) -> tuple[bytes, bytes]:
        """Return a new id, and the body of a message."""
        if not self._max_body:
            self._learn_messages()
        body = self._encode(message)
        if len(body) > self._max_body:
            raise ProtocolError(
                f"a text of {len(body)} bytes; {self._max_body} are the most", remedy="Nothing was sent"
            )
        return self._prefix + (next(self._numbers) & 0xFFFFFFFF).to_bytes(4, "big"), body

    def _learn_messages(self) -> None:
        import msgspec  # noqa: PLC0415 - by those who use it

        from tokaido.hal.sharing._messages import MAX_BODY, Answered, Reply  # noqa: PLC0415 - as above

        self._decode, self._encode = msgspec.msgpack.Decoder(Reply).decode, msgspec.msgpack.Encoder().encode
        self._decode_answered = msgspec.msgpack.Decoder(Answered).decode
        self._max_body = MAX_BODY

    def close(self) -> None:
        """Disconnect for good."""
        self._wire.close()


class _ServerWire(ZmqTransport):
    """The messages of one connection; `ask` is an exchange without what its caller has seen to already."""

    @property
    def is_quick(self) -> bool:
        """Whether the connection is in order, nobody traces it, and its clock is the machine's."""
        return self._trusted and not self._sinks and not self._by_turns

    @property
    def sent(self) -> bool:
        """Whether a byte of the last request may have left."""
        return self._sent

    def distrust(self) -> None:
        """Open it again before the next request."""
        self._trusted = False

    def ask(self, identifier: bytes, message: bytes, deadline: Deadline) -> bytes | None:
        """Send a message, once, and return the reply that bears its id; None if nobody is there, and nothing was sent.

        For one thread, while `is_quick`, with more than `FIRST_WAIT_S` left.
        """
        self._trusted = False
        socket, again = self._socket, self._again
        try:
            try:
                self._sent = True
                socket.send(message, NOBLOCK)
            except again:
                self._sent = False
                return None
            try:
                frame: bytes = socket.recv()
            except again:
                frame = b""
            while not frame.startswith(identifier):
                if deadline.passed:
                    raise DeviceTimeoutError("no reply, or only foreign ones", remedy="Check that the server runs")
                frame = b"".join(self._receive_within(deadline))
        except BaseException as error:
            step_failed(self, error)
            raise
        self._trusted = True
        return frame


def who_we_are() -> str:
    """Return user, host, program and process, as other people read it."""
    program = Path(sys.argv[0]).name if sys.argv and sys.argv[0] else "python"
    return f"{_user()}@{socket.gethostname()} {program} ({os.getpid()})"[:1000]


def _user() -> str:
    import getpass  # noqa: PLC0415 - for those who share

    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):  # a process of a user that has no name
        return str(os.getuid())
