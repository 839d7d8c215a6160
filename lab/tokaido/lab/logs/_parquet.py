"""A log in Parquet: rows go to a journal of text at once, and files are made of journals, each whole or not at all.

A Parquet file cannot be read before its end is written, and cannot be appended to. So `lab.parquet.journal` holds the
rows until a file is full or the log ends; then `lab.parquet` is written beside it, with the rows that it had before,
and takes its place in one step. The journal is deleted when that is on the disk. Each journal has a number of its own
that the file tells, so that a program which is killed in between leaves no row twice.
"""

from __future__ import annotations

import importlib
import os
import re
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Final

import tokaido.hal as hal
from tokaido.hal.files import settle
from tokaido.lab.logs._appended import AppendedFile, rename
from tokaido.lab.logs._rotation import JOURNAL

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

GROUP_ROWS: Final = 1 << 19
"""A row group has at least so many rows, but for the last of a file."""
BLOCK_BYTES: Final = 1 << 24
"""How much of a journal is read at once."""
_NUMBER: Final = b"tokaido.journal"
"""Under this name a file tells the number of the last journal that is in it."""
_FIRST_LINE: Final = re.compile(rb"# journal of a log, number ([0-9a-f]{16})")


class ParquetFile:
    """A Parquet file that rows are appended to, by way of its journal.

    Raises:
        ConfigurationError: The file, or its journal, is not a log of ours.
        TokaidoError: pyarrow is not installed, another program logs to the file, or it cannot be opened.
    """

    def __init__(self, path: Path) -> None:
        self._arrow = _Arrow()
        self._path = path
        if path.exists():
            self._arrow.check(path)
        self._journal = _opened(_journal_of(path))
        self._maker = ThreadPoolExecutor(1, "log in Parquet")
        try:
            if self._arrow.has(path, _number(self._journal.path)):  # a program was killed before it deleted the journal
                self._journal.path.unlink()
                self._journal.close()
                self._journal = _opened(self._journal.path)
        except BaseException:
            self._journal.close()
            raise

    @property
    def size(self) -> int:
        """Size of the journal, in bytes."""
        return self._journal.size

    @property
    def has_rows(self) -> bool:
        """Whether there is a row, in the journal or in the file."""
        return self._journal.has_rows or self._path.exists()

    def append(self, data: bytes) -> None:
        """Append whole lines to the journal, all or none of them."""
        self._journal.append(data)

    def last_utc_ns(self) -> int | None:
        """Return the time of the last row, or None if there is none."""
        if self._journal.has_rows:
            return self._journal.last_utc_ns()
        return self._arrow.last_utc_ns(self._path) if self._path.exists() else None

    def set_aside(self, to: Path) -> None:
        """Let the rows become a file of another name, while others are appended to a new journal.

        Raises:
            TokaidoError: It cannot be renamed.
        """
        if self._path.exists():
            rename(self._path, to)
        if self._journal.has_rows:
            self._journal.set_aside(_journal_of(to))
            self._maker.submit(self._arrow.make, to)  # if it fails, `close` tries again, and says why

    def close(self) -> None:
        """Make a file of each journal. May be called again.

        Raises:
            TokaidoError: It could not be done; the rows are in the journals.
        """
        try:
            self._maker.shutdown(cancel_futures=True)
            if self._journal.has_rows:
                self._arrow.make(self._path)
            else:
                self._journal.path.unlink(missing_ok=True)
            for journal in self._set_aside():
                _opened(journal).close()  # without half a row that a power cut left
                self._arrow.make(journal.with_name(journal.name.removesuffix(JOURNAL)))
        finally:
            self._journal.close()

    def _set_aside(self) -> list[Path]:
        """Return the journals of files that are full, those of a program that was killed included."""
        stem, suffix = re.escape(self._path.stem), re.escape(self._path.suffix + JOURNAL)
        name = re.compile(rf"{stem}(\.\d{{4}}-\d\d-\d\d(T\d{{4}}Z)?)?(\.\d{{4,}})?{suffix}")
        found = [one for one in self._path.parent.iterdir() if name.fullmatch(one.name)]
        return sorted(one for one in found if one != self._journal.path)


class _Arrow:
    """What pyarrow does.

    Raises:
        TokaidoError: It is not installed.
    """

    def __init__(self) -> None:
        try:
            pa = importlib.import_module("pyarrow")
            self._csv = importlib.import_module("pyarrow.csv")
            self._parquet = importlib.import_module("pyarrow.parquet")
        except ImportError as error:
            raise hal.TokaidoError(
                "a log in Parquet needs pyarrow, which is not installed",
                remedy="Install it with: pip install 'tokaido[parquet]'",
            ) from error
        self._pa = pa
        text = [(name, pa.string()) for name in ("device", "value")]
        reading = [("reading", pa.float64()), ("text", pa.string()), ("unit", pa.string()), ("quality", pa.string())]
        self._schema = pa.schema([("utc", pa.timestamp("ms", "UTC")), *text, *reading, ("age_s", pa.float64())])

    def check(self, path: Path) -> None:
        """Make sure that a file is a log.

        Raises:
            ConfigurationError: It is not.
        """
        try:
            ours = bool(self._parquet.read_schema(path).equals(self._schema))
        except (OSError, self._pa.ArrowException):
            ours = False
        if not ours:
            raise hal.ConfigurationError(
                f"{path} is there already, and it is not a log with the columns {', '.join(self._schema.names)}",
                remedy="Choose another file, or another format; it was left as it is",
            )

    def has(self, path: Path, number: bytes) -> bool:
        """Whether the rows of a journal are in a file."""
        return path.exists() and (self._parquet.read_schema(path).metadata or {}).get(_NUMBER) == number

    def last_utc_ns(self, path: Path) -> int | None:
        """Return the time of the last row, or None if there is none.

        Raises:
            TokaidoError: The file is damaged.
        """
        try:
            with self._parquet.ParquetFile(path) as file:
                if not file.metadata.num_rows:
                    return None
                times = file.read_row_group(file.num_row_groups - 1, columns=["utc"])["utc"]
                return int(times[-1].value) * 1_000_000
        except (OSError, self._pa.ArrowException) as error:
            raise hal.TokaidoError(
                f"{path} cannot be read: {error}", remedy="Move it away; the log then begins a new one"
            ) from error

    def make(self, path: Path) -> None:
        """Make a file of its journal, behind the rows that it has, and delete the journal.

        Raises:
            TokaidoError: It could not be done; the journal is as it was.
        """
        journal, part = _journal_of(path), path.with_name(f"{path.name}.part")
        try:
            number = _number(journal)
            if not self.has(path, number):
                try:
                    self._write(part, path, journal, number)
                    part.replace(path)
                finally:
                    part.unlink(missing_ok=True)
                settle(path.parent)
            journal.unlink()
        except (OSError, self._pa.ArrowException) as error:
            raise hal.TokaidoError(
                f"{path} cannot be made of its journal: {getattr(error, 'strerror', None) or error}",
                remedy=f"All rows are in {journal}; make room, and log to {path} again",
            ) from error

    def _write(self, part: Path, path: Path, journal: Path, number: bytes) -> None:
        with part.open("wb") as file:
            with self._parquet.ParquetWriter(
                file, self._schema.with_metadata({_NUMBER: number}), compression="zstd"
            ) as writer:
                held: list[Any] = []
                rows = 0
                for batch in self._batches(path, journal):
                    held.append(batch)
                    rows += batch.num_rows
                    if rows >= GROUP_ROWS:
                        writer.write_table(self._pa.Table.from_batches(held, self._schema))
                        held, rows = [], 0
                if held:
                    writer.write_table(self._pa.Table.from_batches(held, self._schema))
            file.flush()
            os.fsync(file.fileno())

    def _batches(self, path: Path, journal: Path) -> Iterator[Any]:
        if path.exists():
            with self._parquet.ParquetFile(path) as before:
                for batch in before.iter_batches(GROUP_ROWS):
                    yield self._pa.RecordBatch.from_arrays(batch.columns, schema=self._schema)
        csv = self._csv
        with csv.open_csv(
            journal,
            read_options=csv.ReadOptions(skip_rows=1, column_names=self._schema.names, block_size=BLOCK_BYTES),
            convert_options=csv.ConvertOptions(column_types=self._schema, strings_can_be_null=False, null_values=[""]),
        ) as batches:
            yield from batches


def _journal_of(path: Path) -> Path:
    return path.with_name(path.name + JOURNAL)


def _opened(journal: Path) -> AppendedFile:
    return AppendedFile(journal, _first_line, lambda line: bool(_FIRST_LINE.fullmatch(line)))


def _first_line() -> str:
    return f"# journal of a log, number {os.urandom(8).hex()}\n"


def _number(journal: Path) -> bytes:
    """Return the number of a journal, or nothing if it has none."""
    with journal.open("rb") as file:
        found = _FIRST_LINE.match(file.read(64))
    return found[1] if found else b""
