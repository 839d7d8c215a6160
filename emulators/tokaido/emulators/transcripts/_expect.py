"""For authors of drivers: a test that says what the driver sends, word for word, and what it is answered."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, TypeVar

from tokaido.emulators.transcripts._file import Transcript, WireRecord
from tokaido.emulators.transcripts._replay import ReplayTransport
from tokaido.emulators.transcripts._script import Script
from tokaido.hal import SYSTEM_CLOCK, Clock, Device
from tokaido.hal.transports import Resource

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    Words = str | bytes
    Answer = Words | Sequence[Words] | None

D = TypeVar("D", bound=Device)


class UnexpectedExchangeError(AssertionError):
    """The driver sent something else than the test expects, or not all of it, or left an answer unread."""


@contextlib.contextmanager
def expect_exchanges(
    driver: type[D],
    exchanges: Sequence[tuple[Words | None, Answer]],
    *,
    sends: str = "\n",
    replies: str = "\n",
    serial_line: bool = False,
    timeout: float = 0.5,
    clock: Clock = SYSTEM_CLOCK,
) -> Iterator[D]:
    """Give a driver, opened on a device that knows these exchanges and nothing else, in this order.

        with expect_exchanges(Box, [("*IDN?", "Acme,Box,1,2.0"), ("VOLT?", "1.5")]) as box:
            assert box.voltage == 1.5

    Args:
        driver: The driver's class; its port is called `control`.
        exchanges: What is sent and what is answered. Text is ASCII and gets the line ends, bytes are taken as they
            are. An answer may be several lines, or None for silence. None that is sent, at the beginning of the list,
            is for what the device says by itself when it is opened.
        sends: What ends the lines that the driver sends.
        replies: What ends the lines of the device.
        serial_line: Whether the driver is to believe that it talks over a serial line.
        timeout: Deadline of one exchange in s.
        clock: Where time comes from.

    Raises:
        UnexpectedExchangeError: At once where the driver sends something else than what is next; at the end where
            something of the list was not sent, or an answer was not read.
        ValueError: None is sent elsewhere than at the beginning.
    """
    refused: list[str] = []

    def refuse(line: bytes) -> None:
        due = repr(script.left_over[0]) if script.left_over else "nothing more"
        refused.append(f"{driver.__name__} sent {line!r} after {script.at} exchanges, and {due} was expected")
        raise UnexpectedExchangeError(refused[0])

    script = Script(_transcript(exchanges, sends, replies), order="strict", missed=refuse)
    resource = Resource("replay", "", {"line": "serial"} if serial_line else {})
    device = driver({"control": resource}, name=driver.__name__, timeout_s=timeout, clock=clock)
    try:
        transport = device.transport
        if not isinstance(transport, ReplayTransport):
            raise TypeError(f"{driver.__name__} opens `control` by something else than `open_transport`")
        transport.answer_from(script)
        device._connect(timeout)
        yield device
        unread = transport.unread()
    finally:
        device.close()
    if refused:  # and the driver caught it
        raise UnexpectedExchangeError(refused[0])
    if script.left_over:
        raise UnexpectedExchangeError(f"not sent: {', '.join(map(repr, script.left_over))}")
    if unread:
        raise UnexpectedExchangeError(f"answered and not read: {unread!r}")


def _transcript(exchanges: Sequence[tuple[Words | None, Answer]], sends: str, replies: str) -> Transcript:
    records: list[WireRecord] = []
    for number, (sent, answer) in enumerate(exchanges):
        if sent is None and number:
            raise ValueError(f"exchange {number + 1} sends nothing; only the first may")
        if sent is not None:
            content = _bytes(sent, sends)
            records.append(WireRecord(0.0, "sent", content, len(content)))
        lines = [] if answer is None else [answer] if isinstance(answer, (str, bytes)) else answer
        for line in lines:
            content = _bytes(line, replies)
            records.append(WireRecord(0.0, "received", content, len(content)))
    return Transcript(records=tuple(records))


def _bytes(words: Words, end: str) -> bytes:
    return words if isinstance(words, bytes) else f"{words}{end}".encode("ascii")
