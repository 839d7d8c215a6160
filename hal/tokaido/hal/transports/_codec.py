"""What is asked of a device, and how a vendor's line protocol puts it on a stream."""

from __future__ import annotations

import struct
from enum import Enum
from typing import TYPE_CHECKING, Final, Generic, Literal, Protocol, TypeAlias, TypeVar

from tokaido.hal._errors import ConfigurationError, ProtocolError

if not TYPE_CHECKING:
    from tokaido.hal._records import dataclass, field

if TYPE_CHECKING:
    from collections.abc import Callable
    from dataclasses import dataclass, field

F = TypeVar("F")
"""A frame: `bytes` on a stream, `list[bytes]` where messages are carried."""
T = TypeVar("T")


GARBLED: Final = (ValueError, LookupError, ArithmeticError, struct.error)
"""What decoding a reply raises when the reply is not what it should be."""


class _Verdict(Enum):
    NOT_MINE = "not the reply to this request"


NotMine: TypeAlias = Literal[_Verdict.NOT_MINE]
"""The type of `NOT_MINE`."""
NOT_MINE: Final = _Verdict.NOT_MINE
"""What `Request.accept` returns for a frame that is not its reply: an alarm line, a late or a foreign reply."""


@dataclass(frozen=True, slots=True)
class Request(Generic[F, T]):
    """One question or command, and how its reply is recognised."""

    text: str
    """What errors and traces call it, for example "LAS:POW?". Never secret."""
    payload: F
    """The bytes to write (with their terminator), or the frames of the message to send."""
    accept: Callable[[F], T | NotMine]
    """Returns the value of the reply, or `NOT_MINE`.

    It raises `DeviceError` if the device said no, which is a valid reply, and `ProtocolError` if the frame is garbled,
    which taints the transport. A `ValueError`, `LookupError`, `ArithmeticError` or `struct.error` counts as garbled.
    """
    repeatable: bool = True
    """Whether asking twice does no harm. The lost reply of what is not repeatable raises `OutcomeUnknownError`."""
    confidential: bool = False
    """Whether traces show sizes only."""


@dataclass(frozen=True, slots=True)
class LateRequest(Request[F, T]):
    """A request of messages that is written when its turn has come, so that its count goes up as requests are sent."""

    write: Callable[[], F] = field(kw_only=True)
    """Returns the frames of the message, in place of `payload`; called once, just before they are sent."""


class Codec(Protocol):
    """A vendor's line protocol on a stream of bytes.

    A codec whose replies carry what tells them apart (an id, the request's own words under a checksum) should also say
    `correlated = True`: `accept` then finds a late reply by itself, and the transport need not wait for one. Any other
    may name by `marker` the question that is always answered by the same line, which answers no other: who the device
    is. Without it, the first question of the handshake is taken for that. Where devices differ in how they end their
    lines, `with_line_end(line_end)` returns the codec for one of "\\r", "\\n" and "\\r\\n". Where the request for the
    question `text` may be sent again and again, since it has no id and its `accept` remembers nothing, `reusable(text)`
    returns True: a declared value then makes its request once (default: each time).

    Where a frame tells its own length, `frame_length(buffer)` returns it in bytes, from the beginning of what came, or
    None while too little came to tell; a beginning that is none of a frame is a `ProtocolError`. `terminator` then
    counts for nothing, and a frame is handed on whole.
    """

    terminator: bytes
    """What ends every frame that the device sends. Frames are handed on without it."""
    max_frame: int
    """Longest frame in bytes, the terminator not counted; a longer one is a `ProtocolError`."""

    def request(self, text: str, *, repeatable: bool) -> Request[bytes, str]:
        """Return the request that sends `text` and whose value is the text of the reply."""
        ...

    def unsolicited(self, frame: bytes) -> None:
        """Take a frame that answers nobody: an alarm line, a late reply, noise.

        It is called with the transport's lock held and must not exchange anything.
        """
        ...


def is_reusable(codec: Codec, text: str) -> bool:
    """Return whether the codec says that its request for the question `text` may be sent more than once."""
    says = getattr(codec, "reusable", None)
    return says is not None and says(text) is True


def with_line_end(codec: Codec, line_end: str) -> Codec:
    """Return the codec for a device that ends its lines so, by the codec's own method of that name if it has one.

    Raises:
        ConfigurationError: It has none: such a device ends its lines in one way only.
    """
    adapt = getattr(codec, "with_line_end", None)
    if adapt is None:
        raise ConfigurationError("line_end: this device ends its lines in one way only", remedy="So leave it out")
    adapted: Codec = adapt(line_end)
    return adapted


class LineCodec:
    """Lines of text in which the next line is the reply, as most instruments speak.

    Nothing in a line says which question it answers, so all safety lies in the transport: after a failure it asks
    `marker` before it hands anything out. Blank lines are dropped; so is the echo of a question, which no reply ever
    is, and that of a command where `echo` says so.
    """

    correlated = False

    def __init__(
        self, terminator: str = "\n", *, echo: bool = False, max_frame: int = 65_536, marker: str = ""
    ) -> None:
        self.marker = marker
        self._end = terminator.encode("ascii")
        self.terminator = terminator.encode("ascii")
        self.max_frame = max_frame
        self.echo = echo

    def request(self, text: str, *, repeatable: bool) -> Request[bytes, str]:
        """Return the request that sends `text` as a line; its value is the next line, stripped.

        Raises:
            ValueError: The text is not one line of printable ASCII.
        """
        if not (text.isascii() and text.isprintable()):
            raise ValueError(f"not one line of printable ASCII: {text!r}")

        def accept(frame: bytes) -> str | NotMine:
            try:
                line = frame.decode("ascii").strip("\0\r\n \t")
            except UnicodeDecodeError:
                raise ProtocolError(f"a line that is not ASCII: {frame[:60]!r}") from None
            if not line or (line == text and (self.echo or text.endswith("?"))):
                return NOT_MINE
            if not line.isprintable():
                raise ProtocolError(f"a line with control characters: {frame[:60]!r}")
            return line

        return Request(text, text.encode("ascii") + self._end, accept, repeatable)

    def reusable(self, text: str) -> bool:  # noqa: ARG002 - it holds for every one
        """Return whether a request may be sent again: it may, unless a codec derived from this one makes its own."""
        return type(self).request is LineCodec.request

    def with_line_end(self, line_end: str) -> LineCodec:
        """Return this codec for lines that end so, both ways."""
        codec = LineCodec(line_end[-1], echo=self.echo, max_frame=self.max_frame, marker=self.marker)
        codec._end = line_end.encode("ascii")
        return codec

    def unsolicited(self, frame: bytes) -> None:
        """Drop the frame: plain lines say nothing about themselves."""
