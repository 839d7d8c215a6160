"""A file that is appended to: whole lines alone, at once, with one writer, and never over what was there."""

from __future__ import annotations

import fcntl
import os
import re
import stat
from datetime import datetime
from typing import TYPE_CHECKING, Final

import tokaido.hal as hal
from tokaido.lab.logs._rows import COLUMNS

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

LONGEST_LINE: Final = 1 << 20
"""A line of ours is never longer, in bytes."""
_UTC: Final = re.compile(rb"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


class AppendedFile:
    """A file that whole lines are appended to.

    Each call of `append` hands whole lines to the system at once, so that a program that ends in any way leaves no half
    line; a power cut may. A half line that is there all the same, at the end, is cut off.

    Args:
        path: The file. One that exists is appended to, if it is ours.
        header: What gives the first line of a new one, or nothing; always as long.
        is_ours: Whether the first line of one that is there is that of a log in this format.

    Raises:
        ConfigurationError: The file is not a log of ours, or cannot be one.
        TokaidoError: Another program logs to it, or it cannot be opened.
    """

    def __init__(self, path: Path, header: Callable[[], str], is_ours: Callable[[bytes], bool]) -> None:
        self.path = path
        self.size = 0
        """Its size, in bytes."""
        self._header = header
        self._is_ours = is_ours
        self._descriptor = self._open()

    @property
    def has_rows(self) -> bool:
        """Whether there is more in it than a header."""
        return self.size > len(self._header())

    def append(self, data: bytes) -> None:
        """Append whole lines.

        Raises:
            TokaidoError: They could not be written; none of them is in the file.
        """
        if self._descriptor < 0:
            raise hal.ClosedError(f"the log {self.path} is closed")
        rest = memoryview(data)
        try:
            while rest:
                rest = rest[os.write(self._descriptor, rest) :]
        except OSError as error:
            os.ftruncate(self._descriptor, self.size)
            raise hal.TokaidoError(
                f"the log {self.path} cannot be written: {error.strerror}",
                remedy="All rows before are in it; make room, and log to it again",
            ) from error
        self.size += len(data)

    def last_utc_ns(self) -> int | None:
        """Return the time of the last row, or None if there is none."""
        tail = os.pread(self._descriptor, LONGEST_LINE, max(self.size - LONGEST_LINE, 0))
        found = _UTC.search(tail.rstrip(b"\n").rpartition(b"\n")[2])
        return None if found is None else int(datetime.fromisoformat(found[0].decode()).timestamp() * 1000) * 1_000_000

    def set_aside(self, to: Path) -> None:
        """Rename the file, and begin a new one of the old name.

        Raises:
            TokaidoError: It cannot be renamed.
        """
        rename(self.path, to)
        self.close()
        self._descriptor = self._open()

    def close(self) -> None:
        """Close it. May be called again."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

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
            alone = os.path.samestat(os.fstat(descriptor), self.path.stat())  # else the other has just set it aside
        except OSError:
            alone = False
        if not alone:
            raise hal.TokaidoError(f"another program logs to {self.path}", remedy="End it, or choose another file")
        self.size = os.fstat(descriptor).st_size
        if not self.size:
            self._descriptor = descriptor
            self.append(self._header().encode())
            return
        first, mark, _ = os.pread(descriptor, LONGEST_LINE, 0).partition(b"\n")
        if not mark or not self._is_ours(first):
            raise hal.ConfigurationError(
                f"{self.path} is there already, and it is not a log with the columns {', '.join(COLUMNS)}",
                remedy="Choose another file, or another format; it was left as it is",
            )
        self._cut_half_line(descriptor)

    def _cut_half_line(self, descriptor: int) -> None:
        tail_at = max(self.size - LONGEST_LINE, 0)
        tail = os.pread(descriptor, LONGEST_LINE, tail_at)
        end = tail.rfind(b"\n") + 1
        if end and end < len(tail):
            self.size = tail_at + end
            os.ftruncate(descriptor, self.size)


def rename(path: Path, to: Path) -> None:
    """Rename a file that is full.

    Raises:
        TokaidoError: It cannot be renamed.
    """
    try:
        path.rename(to)
    except OSError as error:
        raise hal.TokaidoError(f"the log {path} is full and cannot be renamed: {error.strerror}") from error
