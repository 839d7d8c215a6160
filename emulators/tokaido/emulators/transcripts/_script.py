"""What a replayed device answers: the exchanges of a transcript, and the place in it."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    from collections.abc import Callable

    from tokaido.emulators._envelope import Envelope
    from tokaido.emulators.transcripts._file import Transcript

Order = Literal["any", "strict"]
ORDERS: Final[tuple[Order, ...]] = "any", "strict"
logger = logging.getLogger("tokaido.emulators.transcripts")


@dataclass(frozen=True, slots=True)
class Exchange:
    """What a host sent, and what came before it sent the next."""

    sent: bytes
    replies: tuple[tuple[float, bytes], ...]
    """Delay in s after the sending, and bytes."""


class Plain:
    """No envelope: a line says itself."""

    def hear(self, line: bytes) -> None:
        """Learn nothing."""

    def opened(self, sent: bytes) -> tuple[bytes, str]:
        """Return the line itself."""
        return sent, ""

    def closed(self, reply: bytes, mark: str, now: str) -> bytes:  # noqa: ARG002 - the form of an envelope
        """Return the reply as it is."""
        return reply


class Script:
    """A transcript as a device: it takes what a host sends, and gives what the device answered to just that.

    The place in the transcript moves on with every exchange. With `order` "strict" only the very next is answered. With
    "any" it is the next one from there on that has what was sent; where none is ahead, the last one behind, and the
    place stays: a host that polls more or less often than the recorded one still gets the answers of its time. What the
    transcript does not have is not answered.

    Args:
        transcript: What is replayed.
        order: "any" or "strict".
        envelope: What the device's protocol puts around each request, which the replay renews; default: nothing.
        missed: Called with bytes that are not answered; default: a warning is logged.
    """

    def __init__(
        self,
        transcript: Transcript,
        *,
        order: Order = "any",
        envelope: Envelope | None = None,
        missed: Callable[[bytes], None] | None = None,
    ) -> None:
        self.greeting, self.exchanges = _exchanges(transcript)
        """Delays and bytes of the device before the host sent anything, and the exchanges."""
        self.at = 0
        """How many exchanges lie behind."""
        self._order = order
        self._missed = missed or _warn
        self._envelope = envelope or Plain()
        for line in (line for exchange in self.exchanges for _, line in exchange.replies):
            self._envelope.hear(line)
        self._heard = bytearray()
        self._marks: list[str] = []
        self._places: dict[bytes, list[int]] = {}
        for place, exchange in enumerate(self.exchanges):
            said, mark = self._envelope.opened(exchange.sent)
            self._marks.append(mark)
            self._places.setdefault(said, []).append(place)
        self._longest = max((len(exchange.sent) for exchange in self.exchanges), default=0)

    @property
    def left_over(self) -> list[bytes]:
        """What the host of the transcript sent after the place reached."""
        return [exchange.sent for exchange in self.exchanges[self.at :]]

    def take(self, data: bytes) -> list[tuple[float, bytes]]:
        """Take bytes from a host and return what comes back: delays in s, from now, and bytes."""
        self._heard += data
        answers: list[tuple[float, bytes]] = []
        while self._heard and not self._may_become_one():
            length, place, mark = self._next()
            line = bytes(self._heard[:length])
            del self._heard[:length]
            if place is None:
                self._missed(line)
                continue
            self.at = max(self.at, place + 1)
            then = self._marks[place]
            answers += [
                (delay, self._envelope.closed(reply, then, mark)) for delay, reply in self.exchanges[place].replies
            ]
        return answers

    def _next(self) -> tuple[int, int | None, str]:
        """Return the length of what is heard first, the exchange that answers it, if there is one, and its mark."""
        end = _line_end(self._heard) or len(self._heard)
        said, mark = self._envelope.opened(bytes(self._heard[:end]))
        if mark:
            return end, self._place(said), mark
        heard = bytes(self._heard[: self._longest])
        for length in range(len(heard), 0, -1):  # bytes without a line end are taken as they were written
            place = self._place(heard[:length])
            if place is not None:
                return length, place, ""
        return end, None, ""

    def _place(self, said: bytes) -> int | None:
        places = self._places.get(said, [])
        if self._order == "strict":
            return self.at if self.at in places else None
        return next((place for place in places if place >= self.at), places[-1] if places else None)

    def _may_become_one(self) -> bool:
        """Return whether what was heard is the beginning of what the host of the transcript sent."""
        heard = bytes(self._heard)
        return len(heard) < self._longest and any(
            len(sent) > len(heard) and sent.startswith(heard) for sent in self._places
        )


def _exchanges(transcript: Transcript) -> tuple[list[tuple[float, bytes]], list[Exchange]]:
    greeting: list[tuple[float, bytes]] = []
    exchanges: list[Exchange] = []
    replies, sent, sent_s = greeting, b"", 0.0
    for record in transcript.records:
        if record.content is None:
            continue  # confidential, so nobody knows it
        if record.direction == "received":
            replies.append((record.at_s - sent_s, record.content))
            continue
        if sent:
            exchanges.append(Exchange(sent, tuple(replies)))
        replies, sent, sent_s = [], record.content, record.at_s
    if sent:
        exchanges.append(Exchange(sent, tuple(replies)))
    return greeting, exchanges


def _line_end(heard: bytes | bytearray) -> int:
    """Return where the first line ends, line end included; 0 if it does not."""
    ends = [place for place in (heard.find(b"\n"), heard.find(b"\r")) if place >= 0]
    if not ends:
        return 0
    end = min(ends) + 1
    return end + 1 if heard[end - 1 : end + 1] == b"\r\n" else end


def _warn(data: bytes) -> None:
    logger.warning("the transcript has no answer to %r", data[:80])
