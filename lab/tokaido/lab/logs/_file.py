"""The file of a log: its format, and when a new one is begun."""

from __future__ import annotations

import json
import threading
from typing import TYPE_CHECKING, Final, Protocol

import tokaido.hal as hal
from tokaido.lab.logs._appended import AppendedFile
from tokaido.lab.logs._parquet import ParquetFile
from tokaido.lab.logs._rows import COLUMNS, CsvRows, JournalRows, JsonRows

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType

    from tokaido.lab.logs._rotation import Rotation
    from tokaido.lab.logs._rows import Rows

FORMATS: Final[dict[str, tuple[str, ...]]] = {
    "csv": (".csv",),
    "jsonl": (".jsonl", ".ndjson"),
    "parquet": (".parquet",),
}
"""The formats of a log, and the ends of file names that mean them."""


class Store(Protocol):
    """A file, or a file with its journal, that rows are appended to."""

    @property
    def size(self) -> int:
        """Bytes that were appended to the file of now."""
        ...

    @property
    def has_rows(self) -> bool:
        """Whether the file of now has a row."""
        ...

    def append(self, data: bytes) -> None:
        """Append whole lines, all or none of them."""
        ...

    def last_utc_ns(self) -> int | None:
        """Return the time of the last row."""
        ...

    def set_aside(self, to: Path) -> None:
        """Give the file another name, and begin a new one."""
        ...

    def close(self) -> None:
        """Make the file whole, and let it go."""
        ...


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
    return {"csv": CsvRows, "jsonl": JsonRows, "parquet": JournalRows}[name]


class LogFile:
    """A file that rows are appended to. Use it as a context manager.

    Args:
        path: The file. One that exists is continued, if it is a log of the same columns.
        rows: What writes its rows.
        rotation: When it is full. Then it is renamed, and a new one begun.
        clock: Where time comes from.

    Raises:
        ConfigurationError: The file is not a log of ours, or cannot be one.
        TokaidoError: Another program logs to it, or it cannot be opened.
    """

    def __init__(self, path: Path, rows: type[Rows], rotation: Rotation, clock: hal.Clock) -> None:
        self.path = path
        self.rotated: list[Path] = []
        """Files that were full, in their order."""
        self._rotation, self._clock = rotation, clock
        self._lock = threading.Lock()
        self._store: Store = ParquetFile(path) if rows is JournalRows else _text_file(path, rows)
        try:
            last_ns = self._store.last_utc_ns()
        except BaseException:
            self._store.close()
            raise
        self._period = rotation.period(clock.utc_ns() if last_ns is None else last_ns)

    def write(self, lines: str) -> None:
        """Append whole lines. Any thread may.

        Raises:
            TokaidoError: They could not be written; none of them is in the file.
        """
        data = lines.encode("utf-8", "backslashreplace")
        with self._lock:
            store, largest = self._store, self._rotation.largest
            full = largest is not None and store.size + len(data) > largest
            period = self._period if self._rotation.every_s is None else self._rotation.period(self._clock.utc_ns())
            if (full or period != self._period) and store.has_rows:
                aside = self._rotation.name(self.path, self._period)
                store.set_aside(aside)
                self.rotated.append(aside)
            self._period = period
            store.append(data)

    def close(self) -> None:
        """Make the file whole, and close it. May be called again.

        Raises:
            TokaidoError: It could not be made; its rows are in its journal.
        """
        with self._lock:
            self._store.close()

    def __enter__(self) -> LogFile:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self.close()
        except hal.TokaidoError:
            if error is None:  # else that is why
                raise


def _text_file(path: Path, rows: type[Rows]) -> AppendedFile:
    def is_ours(first: bytes) -> bool:
        if rows.header:
            return first + b"\n" == rows.header.encode()
        try:
            found = json.loads(first)
        except ValueError:
            return False
        return isinstance(found, dict) and tuple(found) == COLUMNS

    return AppendedFile(path, lambda: rows.header, is_ours)
