"""Lines and words of an S-Fifteen TDC1: docs/protocols/sfifteen.md, sections 2 and 4."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tokaido.hal.driver import NOT_MINE, LineCodec, NotMine, ProtocolError, Request

if TYPE_CHECKING:
    from collections.abc import Callable

WORD_BYTES: Final = 4
MOST_LINE: Final = 256
TICK_PS: Final = 2_000
"""Step of a time, in ps."""
ROLLOVER: Final = 1 << 27
"""How many steps there are before the time begins again at 0."""
DUMMY: Final = 0x10
"""Bit of a word that tells the time and no event."""
CHANNELS: Final = 4


class TdcCodec:
    """Lines of text, until a reply turns the line over to words of four bytes, until `leave`."""

    correlated = False
    terminator = b"\n"
    max_frame = MOST_LINE
    marker = "*IDN?"

    def __init__(self) -> None:
        self._lines = LineCodec("\r\n", max_frame=MOST_LINE)
        self._takes: Callable[[bytes], None] | None = None
        self.rest = 0
        """How many bytes came behind the last whole word."""

    def frame_length(self, buffer: bytearray) -> int | None:
        """Return the length of the line, or of the words, at the beginning of what came.

        Raises:
            ProtocolError: A line is too long to be one.
        """
        if self._takes is not None:
            self.rest = len(buffer) % WORD_BYTES
            return len(buffer) - self.rest or None
        end = buffer.find(b"\n")
        if end < 0 and len(buffer) > MOST_LINE:
            raise ProtocolError(f"a line of more than {MOST_LINE} bytes")
        return None if end < 0 else end + 1

    def request(self, text: str, *, repeatable: bool) -> Request[bytes, str]:
        """Return the request for a line that is answered by one; of a command, by the question joined to it."""
        return self._lines.request(text, repeatable=repeatable)

    def start(self, text: str, reply: str, takes: Callable[[bytes], None]) -> Request[bytes, str]:
        """Return the request for a line that is answered by `reply` and then by words, which `takes` is given."""
        plain = self._lines.request(text, repeatable=True)

        def accept(frame: bytes) -> str | NotMine:
            line = plain.accept(frame)
            if line is NOT_MINE:
                return NOT_MINE
            if line != reply:
                raise ProtocolError(f"{reply!r} was to come before the tags, not {line[:40]!r}")
            self._takes, self.rest = takes, 0
            return line

        return Request(text, plain.payload, accept)

    @property
    def taking(self) -> bool:
        """Whether words are to come."""
        return self._takes is not None

    def leave(self) -> None:
        """Take lines again."""
        self._takes = None

    def unsolicited(self, frame: bytes) -> None:
        """Take words while they are to come; drop a late line."""
        if self._takes is not None:
            self._takes(frame)
