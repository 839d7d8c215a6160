"""TCP connections of a HiSLIP server: accepted, read, written without ever blocking, and ended in pairs."""

from __future__ import annotations

import selectors
import socket
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Final

from tokaido.emulators.ends.hislip._channel import ENOUGH_OUTGOING, MAX_OUTGOING, Channel
from tokaido.emulators.ends.hislip._messages import (
    SHORT,
    ErrorCode,
    FatalCode,
    Message,
    MessageType,
    PoorlyFormedError,
    TooLarge,
)
from tokaido.emulators.ends.hislip._session import ENOUGH_WAITING, Session
from tokaido.hal import NS_PER_S, Clock

if TYPE_CHECKING:
    from collections.abc import Callable

MAX_UNFINISHED: Final = 16
"""Connections that belong to no complete session; of more, the oldest is ended."""
FAREWELL_S: Final = 1.0
"""How long a client may take to read why its session ended, and to close."""
_BACKLOG: Final = 64


def _order(ready: tuple[selectors.SelectorKey, int]) -> bool:
    channel: Channel | None = ready[0].data
    return channel is not None and not channel.synchronous


class Connections(ABC):
    """The channels of every client; what their messages mean is left to a subclass.

    Args:
        host: Address to listen at.
        port: Where to listen; 0 takes a free one.
        initialization_s: How long a client may take until both its channels are there, in s.
        clock: Times that.
    """

    def __init__(self, host: str, port: int, initialization_s: float, clock: Clock) -> None:
        self.host = host
        self.port = port
        """Where it listens, once it was opened."""
        self.sessions: dict[int, Session] = {}
        """Clients by session id."""
        self._initialization_ns = round(initialization_s * NS_PER_S)
        self._clock = clock
        self._selector = selectors.EpollSelector()
        self._listener: socket.socket | None = None
        self._channels: dict[Channel, None] = {}  # oldest first

    @abstractmethod
    def _arrive(self, channel: Channel, messages: list[Message | TooLarge]) -> None:
        """Do what messages ask for."""

    @abstractmethod
    def _forget(self, session: Session, *, left: bool) -> None:
        """Take note that a client is gone: it closed its connection in an orderly way, or was cut off."""

    @property
    def listening(self) -> bool:
        """Whether it is open."""
        return self._listener is not None

    def open(self) -> None:
        """Begin to listen.

        Raises:
            OSError: The port is taken.
        """
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind((self.host, self.port))
            listener.listen(_BACKLOG)
            listener.setblocking(False)
        except BaseException:
            listener.close()
            raise
        self.port = listener.getsockname()[1]
        self._listener = listener
        self._selector.register(listener, selectors.EVENT_READ)

    def close(self) -> None:
        """End every session and listen no more; `open` may follow."""
        for channel in list(self._channels):
            self._drop(channel)
        if self._listener is not None:
            self._selector.unregister(self._listener)
            self._listener.close()
            self._listener = None

    def dispose(self) -> None:
        """Close for good."""
        self.close()
        self._selector.close()

    # --- in -----------------------------------------------------------------------------------------------------------

    @property
    def descriptor(self) -> int:
        """Can be read once `service` has something to do for a client."""
        return self._selector.fileno()

    def _select(self, timeout_s: float | None) -> None:
        """Wait up to `timeout_s` s for clients, and do what they ask.

        Synchronous channels go first, so that a status query finds done what was sent before it.
        """
        for key, events in sorted(self._selector.select(timeout_s), key=_order):
            channel: Channel | None = key.data
            if channel is None:
                self._accept()
            elif channel in self._channels:
                self._serve(channel, events)

    def _accept(self) -> None:
        for _ in range(_BACKLOG):
            if self._listener is None:
                return
            try:
                connected, _ = self._listener.accept()
            except OSError:
                return
            self._begin(connected)

    def _begin(self, connected: socket.socket) -> None:
        connected.setblocking(False)
        connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        unfinished = [channel for channel in self._channels if channel.deadline_ns is not None]
        if len(unfinished) >= MAX_UNFINISHED:
            self._drop(unfinished[0])
        channel = Channel(connected, self._clock.monotonic_ns() + self._initialization_ns)
        self._channels[channel] = None
        self._watch(channel)

    def _serve(self, channel: Channel, events: int) -> None:
        if events & selectors.EVENT_WRITE:
            self._guard(channel, channel.flush)
        if not events & selectors.EVENT_READ or channel not in self._channels:
            return
        try:
            messages = channel.receive()
        except PoorlyFormedError:
            self._fatal(channel, FatalCode.POORLY_FORMED_HEADER, "poorly formed message header")
            return
        except OSError:
            self._drop(channel)
            return
        if messages is None:
            self._leave(channel)
            return
        self._arrive(channel, messages)
        if channel in self._channels:
            self._watch(channel)

    def _leave(self, channel: Channel) -> None:
        """End the session of a client that closed a channel, once all that it had sent was read."""
        session = channel.session
        if session is not None and not channel.synchronous and session.synchronous in self._channels:
            self._serve(session.synchronous, selectors.EVENT_READ)
        self._drop(channel, left=True)

    # --- out ----------------------------------------------------------------------------------------------------------

    def _watch(self, channel: Channel) -> None:
        """Wait for what a channel has to say next, unless enough of it waits already, and for room to write."""
        session = channel.session
        full = channel.waiting > ENOUGH_OUTGOING or (session is not None and session.waiting_bytes > ENOUGH_WAITING)
        reads = channel.closing or not channel.synchronous or not full
        events = (selectors.EVENT_READ if reads else 0) | (selectors.EVENT_WRITE if channel.waiting else 0)
        if events == channel.events:
            return
        if not channel.events:
            self._selector.register(channel.socket, events, channel)
        elif not events:
            self._selector.unregister(channel.socket)
        else:
            self._selector.modify(channel.socket, events, channel)
        channel.events = events

    def _guard(self, channel: Channel, action: Callable[[], None]) -> None:
        """Do what sends on a channel; a connection that is gone ends its session."""
        try:
            action()
        except OSError:
            self._drop(channel)
            return
        if channel.waiting > MAX_OUTGOING:
            self._drop(channel)
        elif channel in self._channels:
            self._watch(channel)

    def _tell(self, channel: Channel | None, message: Message) -> None:
        if channel is not None and channel in self._channels:
            self._guard(channel, lambda: channel.send(message))

    def _error(self, channel: Channel, code: ErrorCode, text: str) -> None:
        self._tell(channel, Message(MessageType.ERROR, code, 0, text.encode("ascii", "replace")[:SHORT]))

    # --- ends ---------------------------------------------------------------------------------------------------------

    def _drop(self, channel: Channel, *, left: bool = False) -> None:
        """Close a connection, and with it the other one of its session."""
        if channel not in self._channels:
            return
        del self._channels[channel]
        if channel.events:
            self._selector.unregister(channel.socket)
        channel.socket.close()
        session = channel.session
        if session is not None and self._end(session, left=left):
            for other in (session.synchronous, session.asynchronous):
                if other is not None:
                    self._drop(other)

    def _end(self, session: Session, *, left: bool = False) -> bool:
        """End a session; return whether it was there."""
        if self.sessions.get(session.number) is not session:
            return False
        del self.sessions[session.number]
        self._forget(session, left=left)
        return True

    def _fatal(self, channel: Channel, code: FatalCode, text: str) -> None:
        """End a session, and say why on both its channels (IVI-6.1, 6.2)."""
        session = channel.session
        channels = [channel]
        if session is not None and self._end(session):
            channels = [other for other in (session.synchronous, session.asynchronous) if other is not None]
        message = Message(MessageType.FATAL_ERROR, code, 0, text.encode("ascii", "replace")[:SHORT])
        for other in channels:
            other.closing = True
            other.deadline_ns = self._clock.monotonic_ns() + round(FAREWELL_S * NS_PER_S)
            other.abandon_responses()
            self._tell(other, message)

    def _next_deadline_ns(self) -> int | None:
        deadlines = [channel.deadline_ns for channel in self._channels]
        deadlines += [session.clear_deadline_ns for session in self.sessions.values()]
        return min((deadline for deadline in deadlines if deadline is not None), default=None)

    def _end_those_who_are_late(self) -> None:
        now_ns = self._clock.monotonic_ns()
        for channel in list(self._channels):
            if channel.deadline_ns is None or channel.deadline_ns > now_ns:
                continue
            if channel.closing:
                self._drop(channel)
            else:
                self._fatal(channel, FatalCode.INVALID_INITIALIZATION, "the initialization took too long")
        for session in list(self.sessions.values()):
            if session.clear_deadline_ns is not None and session.clear_deadline_ns <= now_ns:
                self._fatal(session.synchronous, FatalCode.UNIDENTIFIED, "the device clear was not completed in time")
