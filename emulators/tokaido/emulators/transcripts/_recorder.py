"""Writing a transcript while a device is used."""

from __future__ import annotations

import re
import threading
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, Literal, Self

from tokaido.emulators.transcripts._file import LONGEST_BYTES, WireRecord, header, written
from tokaido.hal import NS_PER_S, SYSTEM_CLOCK, Clock
from tokaido.hal.files import path_of, write_new

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType

    from tokaido.hal import TraceRecord

_LINE: Final = re.compile(rb"[^\r\n]*[\r\n]+")
_SIZE: Final = re.compile(r"<(\d+) bytes>")


class Recorder:
    """Writes what goes over a wire into the file of a transcript, a line of the protocol a record.

    Give it to `open` as `trace`, or to `tokaido.hal.trace`, or call `sent` and `received`. Every record is in the file
    as soon as its line is whole, so that a program that dies leaves a transcript that can be read. It may be called
    from any thread. Of confidential bytes it writes the size alone; keys have a channel of
    their own, which is not recorded at all.

    Args:
        path: The file; it must not exist.
        driver: Name of the device's driver, for the person who replays it.
        transport: The resource over which the device is reached.
        serial_line: Whether the host talks over a serial line.
        clock: Times the records that `sent` and `received` give.

    Raises:
        ConfigurationError: There is such a file, or there can be none.
    """

    def __init__(
        self,
        path: Path | str,
        *,
        driver: str = "",
        transport: str = "",
        serial_line: bool = False,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self.path = path_of(path, "the transcript")
        """The file."""
        self.records = 0
        """How many records were written."""
        self._clock = clock
        self._lock = threading.Lock()
        self._began_ns: int | None = None
        self._waiting = bytearray()
        self._direction: Literal["sent", "received"] = "sent"
        self._at_s = 0.0
        began = datetime.fromtimestamp(clock.utc_ns() / NS_PER_S, UTC).isoformat(timespec="seconds")
        write_new(self.path, header(driver, transport, began, serial_line=serial_line).encode("utf-8"))
        self._file = self.path.open("a", encoding="ascii")

    def __call__(self, record: TraceRecord) -> None:
        """Take what a transport tells of one write or read."""
        direction: Literal["sent", "received"] = "sent" if record.direction == ">" else "received"
        if record.content is not None:
            self._take(record.monotonic_ns, direction, record.content)
            return
        size = sum(int(found) for found in _SIZE.findall(record.text))
        with self._lock:
            self._flush()
            self._write(WireRecord(self._since_s(record.monotonic_ns), direction, None, size))

    def sent(self, data: bytes) -> None:
        """Take bytes that go to the device now."""
        self._take(self._clock.monotonic_ns(), "sent", data)

    def received(self, data: bytes) -> None:
        """Take bytes that come from the device now."""
        self._take(self._clock.monotonic_ns(), "received", data)

    def _take(self, at_ns: int, direction: Literal["sent", "received"], data: bytes) -> None:
        with self._lock:
            if direction != self._direction:
                self._flush()
                self._direction = direction
            if not self._waiting:
                self._at_s = self._since_s(at_ns)
            self._waiting += data
            end = 0
            for line in _LINE.finditer(bytes(self._waiting)):
                self._write(WireRecord(self._at_s, direction, line[0], len(line[0])))
                self._at_s = self._since_s(at_ns)
                end = line.end()
            del self._waiting[:end]
            if len(self._waiting) >= LONGEST_BYTES:
                self._flush()

    def _since_s(self, at_ns: int) -> float:
        if self._began_ns is None:
            self._began_ns = at_ns
        return max(at_ns - self._began_ns, 0) / NS_PER_S

    def _flush(self) -> None:
        """Write what waits for the end of its line."""
        while self._waiting:
            piece = bytes(self._waiting[:LONGEST_BYTES])
            del self._waiting[:LONGEST_BYTES]
            self._write(WireRecord(self._at_s, self._direction, piece, len(piece)))

    def _write(self, record: WireRecord) -> None:
        if self._file.closed:
            return
        self._file.write(written(record))
        self._file.flush()
        self.records += 1

    def close(self) -> None:
        """Write what waits and close the file. May be called again."""
        with self._lock:
            self._flush()
            self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
