"""SCPI instruments: every command is confirmed, and a device error becomes ours, in the same exchange."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from tokaido.hal._errors import DeviceError, NoDataError, ProtocolError, RefusedError
from tokaido.hal.transports._codec import NOT_MINE, NotMine, Request
from tokaido.hal.wire.ieee488 import EventStatus, StatusByte
from tokaido.hal.wire.scpi import decode_errors, is_error, split_replies

if not TYPE_CHECKING:
    from tokaido.hal._records import dataclass, replace

if TYPE_CHECKING:
    from collections.abc import Callable
    from dataclasses import dataclass, replace

    from tokaido.hal.transports._text import TextTransport

V = TypeVar("V")

LONGEST_QUEUE = 64
"""More entries than this are not read from an error queue at once."""
HARDWARE = range(-249, -239)
"""Execution errors of the hardware, after which the state may be another than before."""
STALE = range(-239, -229)
"""Execution errors of data that are corrupt, stale or questionable."""


@dataclass(frozen=True, slots=True)
class ScpiDialect:
    """What an instrument lets follow a command in the same message."""

    confirmation: str = "*OPC?"
    """A query that is answered, by 1, only when the command was carried out; empty if the instrument has none."""
    error_query: str = ":SYST:ERR?"
    """How the error queue is read; `:SYST:ERR:ALL?` reads it whole. Empty if the instrument has none."""
    command_end: str = "\n"
    """What ends the lines that are sent."""
    marker: str = "*IDN?"
    """The question that shows whether the line is in step after a failure: who the device is."""
    reply_end: str = "\n"
    """What ends the replies; what comes around it of blanks and other line ends is dropped."""

    def __post_init__(self) -> None:
        if not (self.confirmation or self.error_query):
            raise ValueError("a command that nothing answers could not be known to have arrived")


class ScpiCodec:
    """Lines of SCPI. A query is sent as it is; a command is followed by its confirmation and the error query.

    `:OXC:SWIT:CONN:ADD (@1),(@17)` becomes `:OXC:SWIT:CONN:ADD (@1),(@17);*OPC?;:SYST:ERR?`, answered by one line such
    as `1;0,"No error"`, or by a line for each query. An entry of the queue is raised as `DeviceError` with the device's
    own code and text: `RefusedError` if the command was not carried out (-1xx, -2xx), `NoDataError` for stale data
    (-23x), else plain. So an entry that was left behind is not blamed on the next command, read the queue with
    `drain_errors` when opening, and after an error.
    """

    correlated = False

    def __init__(self, dialect: ScpiDialect | None = None, *, max_frame: int = 65_536) -> None:
        self.dialect = dialect or ScpiDialect()
        self.marker = self.dialect.marker
        self.terminator = self.dialect.reply_end.encode("ascii")
        self.max_frame = max_frame
        self._end = self.dialect.command_end.encode("ascii")
        self._suffix = "".join(f";{query}" for query in (self.dialect.confirmation, self.dialect.error_query) if query)

    def request(self, text: str, *, repeatable: bool) -> Request[bytes, str]:
        """Return the request for a query (repeatable), or for a command, whose value is what its own queries said.

        Raises:
            ValueError: The text is not one line of printable ASCII.
        """
        if not (text.isascii() and text.isprintable()):
            raise ValueError(f"not one line of printable ASCII: {text!r}")
        sent = text if repeatable else f"{text}{self._suffix}"
        expected = _queries(sent)
        gathered = _Replies(expected) if expected > 1 else None

        def accept(frame: bytes) -> str | NotMine:
            line = self._line(frame)
            if line is NOT_MINE or line == sent:  # its own echo is not a reply
                return NOT_MINE
            whole = line
            if gathered is not None:
                if not gathered.add(line) and (repeatable or "?" in text or _confirms(line)):
                    return NOT_MINE  # there is a line for each query
                whole = gathered.take()
            return whole if repeatable else self._outcome(text, whole)

        return Request(text, sent.encode("ascii") + self._end, accept, repeatable=repeatable)

    def reusable(self, text: str) -> bool:
        """Return whether the request for `text` may be sent again: that of a single query, which gathers no lines."""
        return type(self).request is ScpiCodec.request and _queries(text) < 2

    def with_line_end(self, line_end: str) -> ScpiCodec:
        """Return this codec for an instrument whose lines end so, both ways."""
        dialect = replace(self.dialect, command_end=line_end, reply_end=line_end[-1])
        return type(self)(dialect, max_frame=self.max_frame)

    def unsolicited(self, frame: bytes) -> None:
        """Drop the frame: a SCPI instrument speaks when it is asked, so this is a late reply or noise."""

    def _line(self, frame: bytes) -> str | NotMine:
        try:
            line = frame.decode("ascii").strip("\0\r\n \t")
        except UnicodeDecodeError:
            raise ProtocolError(f"a line that is not ASCII: {frame[:60]!r}") from None
        if not line:
            return NOT_MINE
        if not line.isprintable():
            raise ProtocolError(f"a line with control characters: {frame[:60]!r}")
        return line

    def _outcome(self, command: str, line: str) -> str:
        replies = split_replies(line)
        if self.dialect.error_query:
            for code, text in decode_errors(replies.pop())[:1]:
                raise device_error(code, text, command)
        if self.dialect.confirmation and (not replies or not _confirms(replies.pop())):
            raise ProtocolError(f"a command that was not confirmed: {line[:60]!r}")
        return ";".join(replies)


class _Replies:
    """The replies to the queries of one message: joined by semicolons in one line, or a line each."""

    def __init__(self, expected: int) -> None:
        self._expected = expected
        self._lines: list[str] = []

    def add(self, line: str) -> bool:
        """Take a line, and return whether all has come; a line that answers several queries is all there is."""
        self._lines.append(line)
        return len(self._lines) >= self._expected or len(split_replies(line)) > 1 or is_error(line)

    def take(self) -> str:
        """Return the replies, joined, and begin again."""
        whole = ";".join(self._lines)
        self._lines.clear()
        return whole


def _confirms(reply: str) -> bool:
    return reply.strip().lstrip("+") == "1"


def _queries(message: str) -> int:
    """Return how many queries a message has; a question mark within quotes makes none."""
    units = split_replies(message) if message.count('"') % 2 == 0 else [message]
    return sum(unit.split(maxsplit=1)[0].endswith("?") for unit in units if unit.strip())


def device_error(code: int, text: str, command: str = "") -> DeviceError:
    """Return the exception for an entry of the error queue (SCPI-99 volume 2, 21.8): its class says what happened."""
    what = f"the device says {code}, {text!r}"
    if code in STALE:
        return NoDataError(what, code=str(code), command=command)
    if -299 <= code <= -100 and code not in HARDWARE:
        return RefusedError(what, code=str(code), command=command)
    return DeviceError(what, code=str(code), command=command, remedy="Read the state, then decide")


def drain_errors(
    transport: TextTransport, error_query: str = ":SYST:ERR?", timeout: float | None = None
) -> list[tuple[int, str]]:
    """Read the error queue until it is empty and return its entries, code and text, oldest first.

    Raises:
        DeviceError: It is not empty after `LONGEST_QUEUE` entries.
        TransportError: As `exchange`; `timeout` s hold for one entry.
    """
    entries: list[tuple[int, str]] = []
    while len(entries) < LONGEST_QUEUE:
        found = transport.exchange(_query(transport, error_query, decode_errors), timeout)
        if not found:
            return entries
        entries += found
    raise DeviceError(
        f"the error queue is not empty after {len(entries)} entries", code=str(entries[-1][0]), command=error_query
    )


def read_status_byte(transport: TextTransport, timeout: float | None = None) -> StatusByte:
    """Ask `*STB?` (IEEE 488.2, 10.36)."""
    return StatusByte(_register(transport, "*STB?", timeout))


def read_event_status(transport: TextTransport, timeout: float | None = None) -> EventStatus:
    """Ask `*ESR?`, which clears the register (IEEE 488.2, 10.12)."""
    return EventStatus(_register(transport, "*ESR?", timeout))


def _register(transport: TextTransport, text: str, timeout: float | None) -> int:
    value = transport.exchange(_query(transport, text, int), timeout)
    if not 0 <= value <= 255:
        raise ProtocolError(f"a register of eight bits cannot hold {value}", command=text)
    return value


def _query(transport: TextTransport, text: str, decode: Callable[[str], V]) -> Request[bytes, V]:
    """Return the query `text` whose value is its reply, decoded."""
    plain = transport.codec.request(text, repeatable=True)

    def accept(frame: bytes) -> V | NotMine:
        line = plain.accept(frame)
        return line if line is NOT_MINE else decode(line)

    return Request(text, plain.payload, accept)
