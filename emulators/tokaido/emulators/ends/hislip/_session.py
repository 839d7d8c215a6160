"""One client of a HiSLIP server: two channels, message ids, and which of its messages may be answered."""

from __future__ import annotations

import socket
from collections import deque
from typing import Final, Literal, NamedTuple, Protocol

from tokaido.emulators.ends.hislip._messages import (
    BEFORE_FIRST_ID,
    FIRST_ID,
    HEADER,
    Decoder,
    Message,
    MessageType,
    RemoteLocal,
    TooLarge,
    encode,
)

Profile = Literal["strict", "lenient"]
CHUNK: Final = 1 << 18


class ProgramMessage(NamedTuple):
    """What a client sent up to an END."""

    session: int
    generation: int
    """How often the client had cleared the device."""
    message_id: int
    data: bytes
    """What it sent; nothing if it was a trigger."""


class Instrument(Protocol):
    """What a HiSLIP server needs of an instrument. No method may block."""

    def receive(self, message: ProgramMessage, /) -> None:
        """Take a message; a reply to it goes to `HislipServer.respond`, now or later."""
        ...

    def status_byte(self, session: int, /, *, message_available: bool) -> int:
        """Return the status byte for a serial poll."""
        ...

    def clear(self, session: int, /) -> None:
        """Forget input and output of this client (IEEE 488.2, 5.8)."""
        ...

    def trigger(self, message: ProgramMessage, /) -> None:
        """Do what a group execute trigger does; there may be a reply to it."""
        ...

    def interrupted(self, session: int, /) -> None:
        """Take note that a message came before the reply to the one before was read (IEEE 488.2, 6.3.2.3)."""
        ...

    def remote_local(self, session: int, request: RemoteLocal, /) -> None:
        """Change who is in command, the remote side or the front panel."""
        ...


class Channel:
    """One TCP connection and its half of a session, once that is known."""

    def __init__(self, connected: socket.socket, max_payload: int) -> None:
        self.socket = connected
        self.decoder = Decoder(max_payload)
        self.outgoing = bytearray()
        self.session: Session | None = None
        self.closing = False
        """Whether it is to be closed once everything was sent."""

    @property
    def synchronous(self) -> bool:
        """Whether it is its session's synchronous channel."""
        return self.session is not None and self.session.synchronous is self

    def send(self, message: Message) -> None:
        """Queue a message, and send what the network takes."""
        self.outgoing += encode(message)
        self.flush()

    def flush(self) -> None:
        """Send what the network takes now.

        Raises:
            OSError: The connection is gone.
        """
        try:
            while self.outgoing:
                del self.outgoing[: self.socket.send(memoryview(self.outgoing)[:CHUNK].tobytes())]
        except BlockingIOError:
            pass

    def receive(self) -> list[Message | TooLarge] | None:
        """Return the messages that came, None at the end of the connection.

        Raises:
            PoorlyFormedError: A header is none.
        """
        try:
            data = self.socket.recv(CHUNK)
        except BlockingIOError:
            return []
        except OSError:
            return None
        return self.decoder.feed(data) if data else None


class Session:
    """What a server knows of one client (IVI-6.1, 3.1 and 3.2)."""

    def __init__(self, number: int, synchronous: Channel, *, overlapped: bool) -> None:
        self.number = number
        self.synchronous = synchronous
        self.asynchronous: Channel | None = None
        self.overlapped = overlapped
        self.max_payload = (1 << 20) - HEADER.size
        """Longest payload in bytes that the client takes."""
        self.clearing = False
        """Whether everything on the synchronous channel is thrown away until DeviceClearComplete."""
        self.held: deque[Message] = deque()
        """What came while another client had the lock."""
        self.release_after: int | None = None
        """A lock is released when this message has come."""
        self.incoming = bytearray()
        self.generation = 0
        """How often the client has cleared the device; replies to an earlier generation are thrown away."""
        self.reset()

    def reset(self) -> None:
        """Begin again, as after initialization and device clear (IVI-6.1, 6.12)."""
        self.last_id = BEFORE_FIRST_ID
        self.refused: deque[int] = deque(maxlen=64)  # replies that were interrupted
        self.answered_id: int | None = None  # synchronized: the message whose reply the client has not read
        self.next_id = FIRST_ID  # overlapped: the server's own count
        self.delivered_id = BEFORE_FIRST_ID
        self.incoming.clear()
        self.held.clear()

    # --- synchronized mode ------------------------------------------------------------------------------------------

    def note_arrival(self, message: Message) -> bool:
        """Take note of Data, DataEND or Trigger; return whether it interrupts a reply (IVI-6.1, 3.1.1)."""
        interrupts = False
        if message.control & 1:
            self.answered_id = None
        elif self.answered_id is not None and not self.overlapped and not self.incoming:
            interrupts = True
            self.answered_id = None
        self.last_id = message.parameter
        return interrupts

    def message_available(self, query: Message) -> bool:
        """Return the MAV bit for a status query, which says what the client has read (IVI-6.1, 3.1.3 and 3.2.3)."""
        if self.overlapped:
            return self.delivered_id not in (query.parameter, BEFORE_FIRST_ID)
        if query.control & 1:
            self.answered_id = None
        return self.answered_id is not None

    # --- replies ----------------------------------------------------------------------------------------------------

    def respond(self, message_id: int, data: bytes, *, end: bool) -> None:
        """Send a reply in pieces of the size that was agreed (IVI-6.1, 3.1.2 and 3.2.2)."""
        offset = 0
        while True:
            piece = data[offset : offset + self.max_payload]
            offset += len(piece)
            last = offset >= len(data)
            number = message_id
            if self.overlapped:
                number, self.next_id = self.next_id, (self.next_id + 2) & 0xFFFF_FFFF
                self.delivered_id = number
            kind = MessageType.DATA_END if last and end else MessageType.DATA
            self.synchronous.send(Message(kind, 0, number, piece))
            if last:
                break
        if end and not self.overlapped:
            self.answered_id = message_id


def released(wanted: int, last: int) -> bool:
    """Return whether message `wanted` has come when `last` was the last one; ids wrap around at 32 bits."""
    return ((last - wanted) & 0xFFFF_FFFF) < 1 << 31
