"""TCP connections of a HiSLIP server: accepted, read, written without ever blocking, and dropped in pairs."""

from __future__ import annotations

import selectors
import socket
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Final

from tokaido.emulators.ends.hislip._messages import (
    ErrorCode,
    FatalCode,
    Message,
    MessageType,
    PoorlyFormedError,
    TooLarge,
)
from tokaido.emulators.ends.hislip._session import Channel, Session

if TYPE_CHECKING:
    from collections.abc import Callable

MAX_OUTGOING: Final = 64 * 1024 * 1024
"""Bytes that wait for a client that does not read; then its session is ended."""
_BACKLOG: Final = 16


def _order(ready: tuple[selectors.SelectorKey, int]) -> bool:
    channel: Channel | None = ready[0].data
    return channel is not None and not channel.synchronous


class Connections(ABC):
    """The channels of every client; what their messages mean is left to a subclass.

    Args:
        host: Address to listen at.
        port: Where to listen; 0 takes a free one.
        max_message: Longest payload in bytes that is kept.
    """

    def __init__(self, host: str, port: int, max_message: int) -> None:
        self.host = host
        self.port = port
        """Where it listens, once it was opened."""
        self.sessions: dict[int, Session] = {}
        """Clients by session id."""
        self._max_message = max_message
        self._selector = selectors.DefaultSelector()
        self._listener: socket.socket | None = None
        self._channels: set[Channel] = set()

    @abstractmethod
    def _dispatch(self, channel: Channel, message: Message | TooLarge) -> None:
        """Do what a message asks for."""

    @abstractmethod
    def _forget(self, session: Session) -> None:
        """Take note that a client is gone."""

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

    def _select(self, timeout_s: float) -> None:
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
        if self._listener is None:
            return
        try:
            connected, _ = self._listener.accept()
        except OSError:
            return
        connected.setblocking(False)
        connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        channel = Channel(connected, self._max_message)
        self._channels.add(channel)
        self._selector.register(connected, selectors.EVENT_READ, channel)

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
        if messages is None:
            self._drop(channel)
            return
        for message in messages:
            if channel in self._channels and not channel.closing:
                self._dispatch(channel, message)

    def _guard(self, channel: Channel, action: Callable[[], None]) -> None:
        """Do what sends on a channel; a connection that is gone ends its session."""
        try:
            action()
        except OSError:
            self._drop(channel)
            return
        if channel not in self._channels:
            return
        if len(channel.outgoing) > MAX_OUTGOING or (channel.closing and not channel.outgoing):
            self._drop(channel)
            return
        events = selectors.EVENT_READ | (selectors.EVENT_WRITE if channel.outgoing else 0)
        if self._selector.get_key(channel.socket).events != events:
            self._selector.modify(channel.socket, events, channel)

    def _tell(self, channel: Channel | None, message: Message) -> None:
        if channel is not None and channel in self._channels:
            self._guard(channel, lambda: channel.send(message))

    def _drop(self, channel: Channel) -> None:
        """Close a connection, and with it the other one of its session."""
        if channel not in self._channels:
            return
        self._channels.remove(channel)
        self._selector.unregister(channel.socket)
        channel.socket.close()
        session = channel.session
        if session is not None and self.sessions.pop(session.number, None) is not None:
            self._forget(session)
            for other in (session.synchronous, session.asynchronous):
                if other is not None and not other.closing:
                    self._drop(other)

    def _fatal(self, channel: Channel, code: FatalCode, text: str) -> None:
        """End a session, and say why."""
        channel.closing = True
        self._tell(channel, Message(MessageType.FATAL_ERROR, code, 0, text.encode()))

    def _error(self, channel: Channel, code: ErrorCode, text: str) -> None:
        self._tell(channel, Message(MessageType.ERROR, code, 0, text.encode()))
