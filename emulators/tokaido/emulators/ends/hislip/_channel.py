"""One TCP connection of a HiSLIP client: messages in, and messages out that wait for the network."""

from __future__ import annotations

import socket
from collections import deque
from typing import TYPE_CHECKING, Final

from tokaido.emulators.ends.hislip._messages import SHORT, Decoder, Message, MessageType, TooLarge, encode

if TYPE_CHECKING:
    from tokaido.emulators.ends.hislip._session import Session

CHUNK: Final = 1 << 18
MAX_OUTGOING: Final = 16 * 1024 * 1024
"""Bytes that wait for a client that does not read; then its session is ended."""
ENOUGH_OUTGOING: Final = 1 << 20
"""Bytes that wait for a client before no more of its questions are read."""


class Channel:
    """A connection, and its half of a session once that is known.

    Args:
        connected: The socket, which never blocks.
        deadline_ns: By when the session must have both channels.
    """

    def __init__(self, connected: socket.socket, deadline_ns: int) -> None:
        self.socket = connected
        self.decoder = Decoder(SHORT)
        self.session: Session | None = None
        self.deadline_ns: int | None = deadline_ns
        """When it is given up; None once its session has both channels."""
        self.closing = False
        """Whether its last message is sent: the client is to close it."""
        self.events = 0
        """What the selector waits for."""
        self.waiting = 0
        """Bytes that the network has not taken."""
        self._outgoing: deque[tuple[bool, bytes]] = deque()  # whether it is a piece of a response, and its bytes
        self._sent = 0  # of the first of them

    @property
    def synchronous(self) -> bool:
        """Whether it is its session's synchronous channel."""
        return self.session is not None and self.session.synchronous is self

    def send(self, message: Message) -> None:
        """Queue a message, and send what the network takes.

        Raises:
            OSError: The connection is gone.
        """
        data = encode(message)
        self._outgoing.append((message.type in (MessageType.DATA, MessageType.DATA_END), data))
        self.waiting += len(data)
        self.flush()

    def flush(self) -> None:
        """Send what the network takes now.

        Raises:
            OSError: The connection is gone.
        """
        try:
            while self._outgoing:
                data = self._outgoing[0][1]
                taken = self.socket.send(memoryview(data)[self._sent : self._sent + CHUNK])
                self._sent += taken
                self.waiting -= taken
                if self._sent == len(data):
                    self._outgoing.popleft()
                    self._sent = 0
        except BlockingIOError:
            return
        if self.closing:
            self.socket.shutdown(socket.SHUT_WR)

    def abandon_responses(self) -> None:
        """Forget responses that wait, except for a message that was sent in part."""
        begun = [self._outgoing.popleft()] if self._sent else []
        self._outgoing = deque([*begun, *(entry for entry in self._outgoing if not entry[0])])
        self.waiting = sum(len(data) for _, data in self._outgoing) - self._sent

    def receive(self) -> list[Message | TooLarge] | None:
        """Return the messages that came, None at the end of the stream.

        Raises:
            PoorlyFormedError: A header is none.
            OSError: The connection is gone.
        """
        try:
            data = self.socket.recv(CHUNK)
        except BlockingIOError:
            return []
        if not data:
            return None
        return [] if self.closing else self.decoder.feed(data)
