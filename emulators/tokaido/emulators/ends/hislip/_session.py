"""One client of a HiSLIP server: two channels, message ids, and what it sent that was not carried out yet."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final, NamedTuple

from tokaido.emulators.ends.hislip._messages import (
    BEFORE_FIRST_ID,
    FIRST_ID,
    HEADER,
    PROGRAM,
    UNKNOWN_ID,
    Message,
    MessageType,
    RemoteLocal,
    TooLarge,
)

if TYPE_CHECKING:
    from tokaido.emulators.ends.hislip._channel import Channel

MAX_PROGRAM: Final = 4 * 1024 * 1024
"""Longest program message in bytes, in whatever pieces it comes."""
ENOUGH_WAITING: Final = 1 << 20
"""Bytes that wait to be carried out before no more are read (IVI-6.1, 2.6.1)."""
_OVERHEAD: Final = 256  # what a message takes in memory besides its payload, or more


class Line(NamedTuple):
    """A part of a program message, at most up to its end."""

    message_id: int
    data: bytes
    ended: bool
    """Whether END or a newline ends the program message (IVI-6.1, 1.3)."""
    at_end: bool
    """Whether nothing follows in the same message of HiSLIP."""


class Session:
    """What a server knows of one client."""

    def __init__(self, number: int, synchronous: Channel, version: int, *, overlapped: bool) -> None:
        self.number = number
        self.synchronous = synchronous
        self.asynchronous: Channel | None = None
        self.version = version
        """Protocol version that was agreed."""
        self.overlapped = overlapped
        self.max_payload = (1 << 20) - HEADER.size
        """Longest payload in bytes that the client takes."""
        self.generation = 0
        """How often the client has cleared the device; replies to an earlier generation are thrown away."""
        self.clear_deadline_ns: int | None = None
        """When a device clear must be complete; None while there is none."""
        self.release_after: int | None = None
        """A lock is released when this message was carried out."""
        self.panel_after: tuple[RemoteLocal, int] | None = None
        """A request to the front panel, and the message that must be carried out before."""
        self.panel_requests: deque[RemoteLocal] = deque(maxlen=16)
        """Requests to the front panel that wait while another client has the lock."""
        self.service_requested = False
        """Whether service was requested since the last status query."""
        self.reset()
        self.rmt_expected: bool | None = False

    @property
    def clearing(self) -> bool:
        """Whether everything on the synchronous channel is thrown away until DeviceClearComplete."""
        return self.clear_deadline_ns is not None

    def reset(self) -> None:
        """Begin again, as after initialization and device clear (IVI-6.1, 6.12)."""
        self.inbox: deque[Message | TooLarge] = deque()
        self.waiting_bytes = 0
        """About how much memory the inbox takes."""
        self.incoming = bytearray()
        """The beginning of a program message."""
        self.spoiled = False
        """Whether the program message that is coming in has lost a piece."""
        self.current: int | None = None
        """The message that is being carried out."""
        self.last_id = BEFORE_FIRST_ID
        """The last message that came."""
        self.done_id = BEFORE_FIRST_ID
        """The last message that was carried out."""
        self.available = False
        """Synchronized mode: whether there is a response that the client did not read to its end."""
        self.rmt_expected = None
        """Whether a response was sent whose delivery the client did not report; None: either would do."""
        self.next_id = FIRST_ID
        """Overlapped mode: the server's own count."""
        self.delivered_id = BEFORE_FIRST_ID
        """Overlapped mode: what the client read last, as far as it said so."""
        self._taken = 0  # bytes of the first message in the inbox

    # --- the inbox --------------------------------------------------------------------------------------------------

    def arrive(self, message: Message | TooLarge) -> bool:
        """Put a message into the inbox; return whether it shows an interrupted error (IVI-6.1, 3.1.1, rule 2)."""
        self.inbox.append(message)
        header, size = (message.message, 0) if isinstance(message, TooLarge) else (message, len(message.payload))
        self.waiting_bytes += size + _OVERHEAD
        if header.type not in PROGRAM:
            return False
        self.last_id = header.parameter
        delivered = bool(header.control & 1)
        expected, self.rmt_expected = self.rmt_expected, False
        interrupted = not self.overlapped and expected is not None and expected != delivered
        if delivered or interrupted:
            self.available = False
        return interrupted

    def discard(self) -> Message | TooLarge:
        """Take the first message out of the inbox, whole."""
        message = self.inbox.popleft()
        self.waiting_bytes -= _OVERHEAD + (0 if isinstance(message, TooLarge) else len(message.payload))
        self._taken = 0
        return message

    def take_line(self) -> Line:
        """Take Data or DataEND out of the inbox, up to a newline."""
        message = self.inbox[0]
        if isinstance(message, TooLarge):
            raise TypeError("it has no payload")
        end = message.payload.find(b"\n", self._taken) + 1
        newline = end > 0
        data = message.payload[self._taken : end if newline else None]
        self._taken += len(data)
        at_end = self._taken == len(message.payload)
        if at_end:
            self.discard()
        return Line(message.parameter, data, newline or message.type == MessageType.DATA_END, at_end)

    def interrupter(self) -> int | None:
        """Return the id of the first message that came and is not carried out, None if there is none."""
        taken = self._taken
        for message in self.inbox:
            header = message.message if isinstance(message, TooLarge) else message
            if header.type == MessageType.TRIGGER or isinstance(message, TooLarge):
                return header.parameter
            if header.type in PROGRAM and message.payload[taken:].strip():
                return header.parameter
            taken = 0
        return None

    # --- responses --------------------------------------------------------------------------------------------------

    def respond(self, message_id: int, data: bytes, *, end: bool, at_end: bool) -> None:
        """Send a response in pieces of the size that was agreed (IVI-6.1, 3.1.1, 3.2.1 and 6.10)."""
        offset = 0
        while True:
            piece = data[offset : offset + self.max_payload]
            offset += len(piece)
            last = offset >= len(data)
            kind = MessageType.DATA_END if last and end else MessageType.DATA
            number = message_id if at_end or kind == MessageType.DATA_END else UNKNOWN_ID
            if self.overlapped:
                number, self.next_id = self.next_id, (self.next_id + 2) & 0xFFFF_FFFF
            self.available = True
            self.rmt_expected = self.rmt_expected or kind == MessageType.DATA_END
            self.synchronous.send(Message(kind, 0, number, piece))
            if last:
                return

    def message_available(self) -> bool:
        """Return whether something was sent that the client did not read, as far as it said so."""
        if self.overlapped:
            return self.delivered_id != (self.next_id - 2) & 0xFFFF_FFFF
        return self.available

    def available_for(self, query: Message, *, lenient: bool) -> bool:
        """Return the MAV bit for a status query (IVI-6.1, 6.14.1 to 6.14.3)."""
        if self.overlapped:
            self.delivered_id = query.parameter
            return self.message_available()
        if query.control & 1:
            self.available = self.rmt_expected = False
        ahead = (query.parameter - self.last_id) & 0xFFFF_FFFF
        return self.available and (ahead == 0 or (lenient and ahead == 2))
