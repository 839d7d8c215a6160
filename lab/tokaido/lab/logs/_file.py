"""The file of a log: whole lines alone, appended at once, with one writer, and never over what was there."""

from __future__ import annotations

import fcntl
import json
import os
import re
import stat
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Final

import tokaido.hal as hal
from tokaido.hal.files import path_of
from tokaido.lab.logs._rows import COLUMNS, CsvRows, JsonRows

if TYPE_CHECKING:
    from types import TracebackType

    from tokaido.lab.logs._rows import Rows

FORMATS: Final[dict[str, tuple[str, ...]]] = {"csv": (".csv",), "jsonl": (".jsonl", ".ndjson")}
"""The formats of a log, and the ends of file names that mean them."""
LONGEST_LINE: Final = 1 << 20
"""A line of ours is never longer, in bytes."""


def rows_of(path: Path, chosen: str) -> type[Rows]:
    """Return what writes the rows of a file: as is chosen, or else as its name says.

    Raises:
        ConfigurationError: There is no such format, or neither says one.
    """
    suffix = path.suffix.lower()
    name = chosen or next((name for name, suffixes in FORMATS.items() if suffix in suffixes), "")
    if name not in FORMATS:
        ends = ", ".join(suffix for suffixes in FORMATS.values() for suffix in suffixes)
        raise hal.ConfigurationError(
            f"there is no format {name!r} of a log" if name else f"{path} does not say which format its rows have",
            remedy=f"Choose one of {', '.join(FORMATS)}, or let the name end in one of {ends}",
        )
    return {"csv": CsvRows, "jsonl": JsonRows}[name]


class LogFile:
    """A file that rows are appended to. Use it as a context manager.

    Each call of `write` hands whole lines to the system at once, so that a program that ends in any way leaves no half
    row; a power cut may. A half row that is there all the same, at the end, is cut off.

    Args:
        path: The file. One that exists is appended to, if it is a log of the same columns.
        rows: What writes its rows.
        rotate_bytes: How large it may become. Then it is renamed to `NAME.0001.csv`, the next number that is free, and
            a new one is begun. Default: as large as it likes.

    Raises:
        ConfigurationError: The file is not a log of ours, or cannot be one.
        TokaidoError: Another program logs to it, or it cannot be opened.
    """

    def __init__(self, path: str | Path, rows: type[Rows], rotate_bytes: int | None = None) -> None:
        self.path = path_of(path, "the log")
        self.rotated: list[Path] = []
        """Files that were full, in their order."""
        self._rows = rows
        self._rotate_bytes = rotate_bytes
        self._lock = threading.Lock()
        self._size = 0
        self._descriptor = self._open()

    def write(self, lines: str) -> None:
        """Append whole lines. Any thread may.

        Raises:
            TokaidoError: They could not be written; none of them is in the file.
        """
        data = lines.encode("utf-8", "backslashreplace")
        with self._lock:
            full = self._rotate_bytes is not None and self._size + len(data) > self._rotate_bytes
            if full and self._size > len(self._rows.header):
                self._rotate()
            self._append(data)

    def close(self) -> None:
        """Close it. May be called again."""
        with self._lock:
            if self._descriptor >= 0:
                os.close(self._descriptor)
                self._descriptor = -1

    def __enter__(self) -> LogFile:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _append(self, data: bytes) -> None:
        if self._descriptor < 0:
            raise hal.ClosedError(f"the log {self.path} is closed")
        rest = memoryview(data)
        try:
            while rest:
                rest = rest[os.write(self._descriptor, rest) :]
        except OSError as error:
            os.ftruncate(self._descriptor, self._size)
            raise hal.TokaidoError(
                f"the log {self.path} cannot be written: {error.strerror}",
                remedy="All rows before are in it; make room, and log to it again",
            ) from error
        self._size += len(data)

    # --- opening ------------------------------------------------------------------------------------------------------

    def _open(self) -> int:
        flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NONBLOCK
        try:
            descriptor = os.open(self.path, flags, 0o644)
        except OSError as error:
            raise hal.TokaidoError(f"the log {self.path} cannot be opened: {error.strerror}") from error
        try:
            self._take(descriptor)
        except BaseException:
            os.close(descriptor)
            raise
        return descriptor

    def _take(self, descriptor: int) -> None:
        """Make sure that it is ours, alone, and whole."""
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise hal.ConfigurationError(f"{self.path} is not a file", remedy="A log is one, so that it can go on")
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise hal.TokaidoError(
                f"another program logs to {self.path}", remedy="End it, or choose another file"
            ) from error
        self._size = os.fstat(descriptor).st_size
        if not self._size:
            self._descriptor = descriptor
            self._append(self._rows.header.encode())
            return
        first, mark, _ = os.pread(descriptor, LONGEST_LINE, 0).partition(b"\n")
        if not mark or not self._is_ours(first):
            raise hal.ConfigurationError(
                f"{self.path} is there already, and it is not a log with the columns {', '.join(COLUMNS)}",
                remedy="Choose another file, or another format; it was left as it is",
            )
        self._cut_half_row(descriptor)

    def _is_ours(self, first: bytes) -> bool:
        """Whether the first line is that of a log in this format."""
        if self._rows.header:
            return first + b"\n" == self._rows.header.encode()
        try:
            found = json.loads(first)
        except ValueError:
            return False
        return isinstance(found, dict) and tuple(found) == COLUMNS

    def _cut_half_row(self, descriptor: int) -> None:
        tail_at = max(self._size - LONGEST_LINE, 0)
        tail = os.pread(descriptor, LONGEST_LINE, tail_at)
        end = tail.rfind(b"\n") + 1
        if end and end < len(tail):
            self._size = tail_at + end
            os.ftruncate(descriptor, self._size)

    def _rotate(self) -> None:
        stem, suffix = self.path.stem, self.path.suffix
        numbered = re.compile(rf"{re.escape(stem)}\.(\d{{4,}}){re.escape(suffix)}")
        try:
            taken = [int(found[1]) for one in self.path.parent.iterdir() if (found := numbered.fullmatch(one.name))]
            full = self.path.with_name(f"{stem}.{max(taken, default=0) + 1:04}{suffix}")
            self.path.rename(full)
        except OSError as error:
            raise hal.TokaidoError(f"the log {self.path} is full and cannot be renamed: {error.strerror}") from error
        self.rotated.append(full)
        os.close(self._descriptor)
        self._descriptor = -1
        self._descriptor = self._open()
