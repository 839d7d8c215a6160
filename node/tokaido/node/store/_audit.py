"""The audit log of a node: rows in a chain of digests, whose end is kept among the rows of custody.

Each row holds the SHA-256 of itself and of the row before, so that none can be altered, added or taken out in the
middle. A person who may write the file could make the whole chain again, or cut its end off: so number and digest of
the last row stand in the table `audit_end` as well, under the store's own key, and are never taken from the log.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import msgspec

from tokaido.hal import ConfigurationError

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Iterable, Iterator

FIRST: Final = bytes(32)
"""What the first row has as digest of the row before."""
_COLUMNS: Final = "number, at_s, who, place, what, why, previous, digest"
_MARK: Final = re.compile(r"([0-9]{1,18}):([0-9a-f]{64})")
_encode = msgspec.msgpack.Encoder().encode


@dataclass(frozen=True, slots=True)
class AuditRow:
    """One act that must be accounted for."""

    number: int
    at_s: float
    who: str
    place: str
    """From where it came."""
    what: str
    why: str
    previous: bytes
    """Digest of the row before."""
    digest: bytes
    """SHA-256 of all of it, `previous` included."""

    @property
    def mark(self) -> AuditMark:
        """What is worth keeping elsewhere: it stands for this row and all before it."""
        return AuditMark(self.number, self.digest)


@dataclass(frozen=True, slots=True)
class AuditMark:
    """Number and digest of a row. As text: the number, a colon, and 64 hexadecimal digits."""

    number: int
    """0: the log is empty."""
    digest: bytes

    @classmethod
    def parse(cls, text: str) -> AuditMark:
        """Return the mark that a text is.

        Raises:
            ConfigurationError: It is not one.
        """
        found = _MARK.fullmatch(text.strip())
        if found is None:
            raise ConfigurationError(
                f"{text[:100]!r} is not a mark of an audit log",
                remedy="One is NUMBER:DIGEST with 64 hexadecimal digits, as `audit verify` prints it",
            )
        return cls(int(found[1]), bytes.fromhex(found[2]))

    def __str__(self) -> str:
        return f"{self.number}:{self.digest.hex()}"


EMPTY: Final = AuditMark(0, FIRST)


@dataclass(frozen=True, slots=True)
class AuditFinding:
    """What a look at an audit log found."""

    rows: int
    """How many there are, as far as they fit."""
    last: AuditMark
    """The last row that fits."""
    first_wrong: int | None = None
    """Number of the first row that does not fit; None: all do."""
    why: str = ""
    """What is wrong with it; empty: nothing."""
    end_checked: bool = False
    """Whether the end was compared with the one under the store's key. Without that rows may be missing at the end."""

    @property
    def fits(self) -> bool:
        """Whether nothing wrong was found."""
        return self.first_wrong is None


def chained(said: tuple[object, ...]) -> bytes:
    """Return the digest of what a row says, `previous` included."""
    return hashlib.sha256(_encode(said)).digest()


def rows_of(database: sqlite3.Connection, *, above: int = 0, most: int = -1) -> Iterator[AuditRow]:
    """Yield the rows above a number, in order; whatever is in them is as it stands in the file.

    Args:
        database: Of a store, in a transaction.
        above: Only rows with a higher number.
        most: How many, at most; -1: all.
    """
    ask = f"SELECT {_COLUMNS} FROM audit WHERE number > ? ORDER BY number LIMIT ?"  # noqa: S608 - our words
    texts, database.text_factory = database.text_factory, _text
    try:
        for row in database.execute(ask, (above, most)):
            yield AuditRow(*row)
    finally:
        database.text_factory = texts


def _text(data: bytes) -> str | bytes:
    """Return a text, or the bytes of what cannot be one: then its row does not fit."""
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return data


def check(rows: Iterable[AuditRow], end: AuditMark | None, kept: Iterable[AuditMark] = ()) -> AuditFinding:
    """Return whether rows are a whole log.

    Args:
        rows: All of them.
        end: Number and digest of the last one, as the store's key vouches for it; None: nobody knows.
        kept: Marks that were kept elsewhere.
    """
    last, checked = EMPTY, end is not None
    wanted: dict[int, set[bytes]] = {}
    for mark in kept:
        wanted.setdefault(mark.number, set()).add(mark.digest)

    def wrong(number: int, why: str) -> AuditFinding:
        return AuditFinding(last.number, last, number, why, end_checked=checked)

    for row in rows:
        number = last.number + 1
        if row.number != number:
            return wrong(number, "it is missing")
        if row.previous != last.digest:
            return wrong(number, "it does not follow the row before: either of them was altered")
        said = row.number, row.at_s, row.who, row.place, row.what, row.why, row.previous
        if row.digest != chained(said):
            return wrong(number, "it was altered")
        if end is not None and number > end.number:
            return wrong(number, f"it was added: the node wrote {end.number}")
        if end is not None and number == end.number and row.digest != end.digest:
            return wrong(number, "it, or one before it, was written again with a chain that fits: compare kept marks")
        if wanted.pop(number, {row.digest}) != {row.digest}:
            return wrong(number, "it is another one than the mark that was kept says, or one before it is")
        last = row.mark
    if end is not None and last.number < end.number:
        return wrong(last.number + 1, f"it is missing, and so are all up to {end.number}: the end was cut off")
    if further := [number for number in wanted if number > last.number]:
        return wrong(last.number + 1, f"it is missing: a mark of row {max(further)} was kept")
    return AuditFinding(last.number, last, end_checked=checked)


class AuditLog:
    """The log in a store that is open. Each call is within a transaction of its owner.

    Args:
        database: Returns the connection.
        end: Returns number and digest of the last row, as they are kept under the store's key.
        keep: Keeps them.
    """

    def __init__(
        self,
        database: Callable[[], sqlite3.Connection],
        end: Callable[[], AuditMark | None],
        keep: Callable[[AuditMark], None],
    ) -> None:
        self._database = database
        self._end = end
        self._keep = keep

    def begin(self) -> None:
        """Keep the end of a log whose end was never kept: that of an older form, or of a store that was erased."""
        last = self._last_row()
        if last.number and self._end() is None:
            self._keep(last)

    def append(self, said: tuple[float, str, str, str, str]) -> AuditRow:
        """Append a row after the one that was written last, whether that is still there or not."""
        end = self.end
        whole = (end.number + 1, *said, end.digest)
        row = AuditRow(*whole, digest=chained(whole))
        self._database().execute("INSERT INTO audit VALUES (?, ?, ?, ?, ?, ?, ?, ?)", (*whole, row.digest))
        self._keep(row.mark)
        return row

    @property
    def end(self) -> AuditMark:
        """The row that was written last."""
        return self._end() or EMPTY

    def rows(self, *, above: int = 0, most: int = -1) -> tuple[AuditRow, ...]:
        """Return the rows above a number."""
        return tuple(rows_of(self._database(), above=above, most=most))

    def check(self, kept: Iterable[AuditMark] = ()) -> AuditFinding:
        """Return whether the log is whole."""
        return check(rows_of(self._database()), self.end, kept)

    def _last_row(self) -> AuditMark:
        found = self._database().execute("SELECT number, digest FROM audit ORDER BY number DESC LIMIT 1").fetchone()
        return EMPTY if found is None else AuditMark(int(found[0]), found[1])
