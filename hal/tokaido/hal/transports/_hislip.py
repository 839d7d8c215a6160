"""A HiSLIP client (IVI-6.1, protocol version 1.0, synchronised mode), which believes nothing that a device says.

pyvisa-py has one, which allocates whatever length a header names (16 bytes from a device: 6 GB), starts its timeout
again with every piece, and never ends where a device takes messages of 16 bytes or sends foreign ones without end.
Here every step keeps the deadline of the call, only what has arrived takes memory, and closing ends every wait.
"""

from __future__ import annotations

import math
import re
import select
import socket
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from tokaido.hal._errors import ClosedError, DeviceTimeoutError, ProtocolError, UnsupportedError
from tokaido.hal.transports._kinds import is_port
from tokaido.hal.transports._ports import CHUNK, abandon, gone
from tokaido.hal.transports._transport import SLICE_S
from tokaido.hal.transports._visa_errors import carried, moved

if TYPE_CHECKING:
    from collections.abc import Callable

    from tokaido.hal._clock import Clock, Deadline

PORT: Final = 4880
HEADER: Final = struct.Struct("!2sBBIQ")
"""Prologue, type, control code, parameter, and the length of the payload (IVI-6.1, table 3)."""
INITIALIZE, INITIALIZE_RESPONSE, FATAL_ERROR, ERROR = 0, 1, 2, 3
DATA, DATA_END, CLEAR_COMPLETE, CLEAR_ACKNOWLEDGE, INTERRUPTED = 6, 7, 8, 9, 13
MAX_SIZE, MAX_SIZE_RESPONSE, ASYNC_INITIALIZE, ASYNC_INITIALIZE_RESPONSE = 15, 16, 17, 18
ASYNC_CLEAR, STATUS_QUERY, STATUS_RESPONSE, ASYNC_CLEAR_ACKNOWLEDGE = 19, 21, 22, 23
VERSION: Final = 0x0100
VENDOR: Final = b"xx"  # of a client whose maker is not registered
FIRST_MESSAGE: Final = 0xFFFF_FF00
OF_NO_MESSAGE: Final = 0xFFFF_FFFF
"""Number of a part of a response that answers what the server does not know yet (IVI-6.1, 3.1.2)."""
LARGEST_MESSAGE: Final = 1 << 20
"""Largest message that is sent, and that the device is asked to send, in bytes."""
_RESOURCE: Final = re.compile(
    r"TCPIP\d*::(?P<host>[^:]+)::(?P<name>hislip[^:,]*)(,(?P<port>[^:]*))?(::INSTR)?", re.IGNORECASE
)
LONGEST_TEXT: Final = 200
"""How much of an error's text is shown, in bytes."""


@dataclass(frozen=True, slots=True)
class HislipAddress:
    """Where a HiSLIP device is."""

    host: str
    port: int
    sub_address: str

    @classmethod
    def of(cls, resource: str) -> HislipAddress | None:
        """Return what "TCPIP0::HOST::hislip0,4880::INSTR" says, or None for a resource of another kind."""
        match = _RESOURCE.fullmatch(resource)
        if match is None or (match["port"] is not None and not is_port(match["port"])):
            return None
        return cls(match["host"], int(match["port"] or PORT), match["name"])


class Limit:
    """Until when the present exchange may last, for what blocks in the library below."""

    def __init__(self, clock: Clock, deadline: Callable[[], Deadline], is_closed: Callable[[], bool]) -> None:
        self.clock = clock
        self._deadline = deadline
        self._is_closed = is_closed

    @property
    def remaining_s(self) -> float:
        """Seconds left of the present exchange, never negative."""
        return self._deadline().remaining_s

    def fixed(self) -> Limit:
        """Return the limit of the exchange that runs now, which stays what it is when the next one begins."""
        deadline = self._deadline()
        return Limit(self.clock, lambda: deadline, self._is_closed)

    def check(self, what: str) -> None:
        """Raise `DeviceTimeoutError` saying `what` after the deadline, `ClosedError` after closing."""
        if self._deadline().passed:
            raise DeviceTimeoutError(what, remedy="Check that the device is on and not busy")
        if self._is_closed():
            raise ClosedError("the transport was closed")


class Channel:
    """One of the two connections of a session: messages within the deadline."""

    def __init__(self, address: HislipAddress, limit: Limit) -> None:
        self.limit = limit
        self._socket = _connected(address, limit)
        self._reader, self._writer = select.poll(), select.poll()
        self._reader.register(self._socket, select.POLLIN)
        self._writer.register(self._socket, select.POLLOUT)

    def ready(self, seconds: float) -> bool:
        """Wait up to `seconds` and return whether something can be read (the end of the stream included)."""
        return bool(self._reader.poll(math.ceil(seconds * 1000)))

    def send(self, kind: int, control: int = 0, parameter: int = 0, payload: bytes | memoryview = b"") -> None:
        """Send one message."""
        left = memoryview(HEADER.pack(b"HS", kind, control, parameter, len(payload)) + bytes(payload))
        while left:
            self.limit.check("the device takes no bytes")
            try:
                left = left[self._socket.send(left) :]
            except BlockingIOError:
                self._writer.poll(math.ceil(min(self.limit.remaining_s, SLICE_S) * 1000))

    def header(self) -> tuple[int, int, int, int]:
        """Return the next message's type, control code, parameter, and how many bytes it says to have as payload.

        Raises:
            ProtocolError: It is not a message, or it is the device's word that one of ours was none.
            NotConnectedError: The device ended the session.
        """
        prologue, kind, control, parameter, length = HEADER.unpack(self.exactly(HEADER.size))
        if prologue != b"HS":
            raise ProtocolError(
                "these bytes are not a HiSLIP message", remedy="Call again; the session is opened again"
            )
        if kind in (FATAL_ERROR, ERROR):
            text = self.exactly(min(length, LONGEST_TEXT)).decode("ascii", "replace")
            if kind == FATAL_ERROR:
                raise gone(f"the device ended the HiSLIP session: error {control} {text!r}")
            raise ProtocolError(f"the device refused a HiSLIP message: error {control} {text!r}")
        return kind, control, parameter, length

    def expect(self, wanted: int, size: int = 0) -> tuple[int, int, bytes]:
        """Return control code, parameter and payload of the next message, which has that type and `size` bytes.

        Raises:
            ProtocolError: It is another one.
        """
        kind, control, parameter, length = self.header()
        if kind != wanted or length != size:
            raise ProtocolError(
                f"a HiSLIP message of type {kind} with {length} bytes came where type {wanted} with {size} is due",
                remedy="Call again; the session is opened again",
            )
        return control, parameter, self.exactly(size)

    def some(self, most: int) -> bytes:
        """Return what has come, at least one byte and `most` bytes."""
        while True:
            self.limit.check("the rest of a reply did not come")
            try:
                data = self._socket.recv(most)
            except BlockingIOError:
                self.ready(min(self.limit.remaining_s, SLICE_S))
                continue
            if not data:
                raise gone("the device ended the connection")
            return data

    def exactly(self, size: int) -> bytes:
        """Return `size` bytes, which are few."""
        data = b""
        while len(data) < size:
            data += self.some(size - len(data))
        return data

    def skip(self, size: int) -> None:
        """Read `size` bytes and forget them."""
        while size > 0:
            size -= len(self.some(min(size, CHUNK)))

    def abandon(self) -> bool:
        """Let the operating system deliver nothing more of what was sent."""
        return abandon(self._socket.fileno())

    def close(self) -> None:
        """Close the connection."""
        self._socket.close()


class HislipPort:
    """A HiSLIP session as a stream. What comes while nothing was asked shows that it is out of step."""

    is_framed = True
    """Whether messages have an END of their own, and a new session owes nothing."""

    def __init__(self, address: HislipAddress, terminator: bytes, limit: Limit) -> None:
        opening = limit.fixed()
        self._terminator = terminator
        self._sync = Channel(address, opening)
        try:
            overlapped, session = self._initialize(address)
            self._async = Channel(address, opening)
            try:
                self._join(session)
                if overlapped:
                    self._synchronise()
            except BaseException:
                self._async.close()
                raise
        except BaseException:
            self._sync.close()
            raise
        self._message = FIRST_MESSAGE - 2
        self._idle = True
        self._delivered = 0  # 1 after a whole response was delivered, until that was said
        self._left, self._last = 0, False  # payload still to come, and whether it ends the response
        self._tail = b""
        self._sync.limit = self._async.limit = limit

    def _initialize(self, address: HislipAddress) -> tuple[bool, int]:
        """Return whether the device prefers overlapped mode, and the session's number."""
        parameter = VERSION << 16 | int.from_bytes(VENDOR, "big")
        self._sync.send(INITIALIZE, 0, parameter, address.sub_address.encode("ascii", "replace"))
        control, parameter, _ = self._sync.expect(INITIALIZE_RESPONSE)
        return bool(control & 1), parameter & 0xFFFF

    def _join(self, session: int) -> None:
        self._async.send(ASYNC_INITIALIZE, 0, session)
        self._async.expect(ASYNC_INITIALIZE_RESPONSE)
        self._async.send(MAX_SIZE, 0, 0, struct.pack("!Q", LARGEST_MESSAGE))
        _, _, payload = self._async.expect(MAX_SIZE_RESPONSE, 8)
        self._most = min(int.from_bytes(payload, "big"), LARGEST_MESSAGE) - HEADER.size
        if self._most < 1:
            raise ProtocolError(
                f"the device takes HiSLIP messages of at most {self._most + HEADER.size} bytes, which hold nothing"
            )

    def _synchronise(self) -> None:
        """Ask for synchronised mode, which a device clear agrees on (IVI-6.1, 4.3)."""
        self._async.send(ASYNC_CLEAR)
        self._async.expect(ASYNC_CLEAR_ACKNOWLEDGE)
        self._sync.send(CLEAR_COMPLETE)
        control, _, _ = self._sync.expect(CLEAR_ACKNOWLEDGE)
        if control & 1:
            raise UnsupportedError("the device offers overlapped mode alone", remedy="Use its socket")

    def ready(self, seconds: float) -> bool:
        """Wait up to `seconds` and return whether something can be read (the end of the stream included)."""
        return self._sync.ready(seconds)

    def read(self) -> bytes:
        """Return the next piece of the reply; its last one ends with the terminator, which END stands for."""
        if self._idle:
            raise gone("the device ended the connection, or spoke unasked")
        return moved(self._piece)

    def _piece(self) -> bytes:
        while not self._left and not self._last:
            self._next_data()
        data = self._sync.some(min(self._left, CHUNK)) if self._left else b""
        self._left -= len(data)
        self._tail = (self._tail + data)[-len(self._terminator) :]
        if self._last and not self._left:
            self._idle, self._delivered = True, 1
            if self._tail != self._terminator:
                data += self._terminator
        return data

    def _next_data(self) -> None:
        """Read headers up to that of a part of the answer; an answer to another message is skipped."""
        kind, _, parameter, length = self._sync.header()
        if kind in (DATA, DATA_END) and parameter in (self._message, OF_NO_MESSAGE):
            self._left, self._last = length, kind == DATA_END
        elif kind in (DATA, DATA_END, INTERRUPTED):
            self._sync.skip(length)
        else:
            raise ProtocolError(f"a HiSLIP message of type {kind} came where an answer is due")

    def write(self, data: bytes | memoryview) -> int:
        """Send everything as one message, in as many parts as the device wants, and return its length."""
        self._idle = self._last = False
        self._left, self._tail = 0, b""
        moved(self._send, memoryview(data))
        return len(data)

    def _send(self, data: memoryview) -> None:
        for start in range(0, len(data), self._most):
            part = data[start : start + self._most]
            self._message = self._message + 2 & 0xFFFF_FFFF
            kind = DATA if start + self._most < len(data) else DATA_END
            self._sync.send(kind, self._delivered, self._message, part)
            self._delivered = 0

    def writable(self, seconds: float) -> None:
        """Return at once: `write` takes everything."""

    def status_byte(self) -> int:
        """Return the status byte (IVI-6.1, AsyncStatusQuery)."""
        if self._async.ready(0.0):  # an unread AsyncInterrupted or AsyncServiceRequest would answer for the status
            raise gone("the asynchronous channel is out of step")
        return carried(self._status)

    def _status(self) -> int:
        self._async.send(STATUS_QUERY, self._delivered, self._message & 0xFFFF_FFFF)
        self._delivered = 0
        return self._async.expect(STATUS_RESPONSE)[0]

    def abandon(self) -> bool:
        """Reset both channels, which are to be closed at once."""
        resets = [channel.abandon() for channel in (self._sync, self._async)]
        return all(resets)

    def close(self) -> None:
        """Close both channels."""
        try:
            self._sync.close()
        finally:
            self._async.close()


def _connected(address: HislipAddress, limit: Limit) -> socket.socket:
    """Return a connection that does not block."""
    failure: OSError = OSError(f"{address.host} has no address")
    for family, kind, protocol, _, where in socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM):
        limit.check("the connection was not made")
        connection = socket.socket(family, kind, protocol)
        try:
            connection.settimeout(max(limit.remaining_s, 0.001))
            connection.connect(where)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection.setblocking(False)
        except OSError as error:
            connection.close()
            failure = error
        except BaseException:
            connection.close()
            raise
        else:
            return connection
    raise failure
