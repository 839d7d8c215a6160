"""The ledger of one-time pads: how far a link's pads were spent, on disk before anything made with a pad gets out.

It holds marks and no key: a pool is named by a keyed hash of its pre-shared key.
"""

from __future__ import annotations

import hashlib
import hmac
import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar

from tokaido.hal._file_trust import who_else_may_write
from tokaido.hal.authentication._pad_marks import PadLedgerError, PadMarks

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable

    from tokaido.hal._database import DatabaseFile

T = TypeVar("T")

BUSY_S: Final = 5.0
"""How long to wait for another program's transaction, each of which takes milliseconds."""

VERSION: Final = 2
"""Of the file's form: its `user_version`."""

_SCHEMA = f"""
CREATE TABLE book (one INTEGER PRIMARY KEY CHECK (one = 1), salt BLOB NOT NULL, digest BLOB NOT NULL);
CREATE TABLE pool (
    id BLOB PRIMARY KEY, link BLOB NOT NULL, epoch INTEGER NOT NULL, own INTEGER NOT NULL, peer INTEGER NOT NULL,
    segment INTEGER NOT NULL, mac BLOB NOT NULL) WITHOUT ROWID;
PRAGMA user_version = {VERSION};
"""
_KINDS: Final = [bytes, bytes, int, int, int, int, bytes]
_REPLACE: Final = (
    "Load a new pre-shared key at both ends, with another ledger: which pads were spent is not known any more"
)


class PadLedger:
    """Marks of every pool of one unit, in one SQLite file or, without one, in memory.

    A pool *reserves* a few pads at a time: their mark is committed (write-ahead log, `synchronous = FULL`) before the
    first of them is handed out. A process that is killed at any moment loses what it had reserved and not spent, and
    nothing else. Pads of later segments are fresh key that only the process holds, so that they die with it; of them
    the ledger keeps the highest number, so that no index ever names two pads.

    Every `open` of a pool raises its epoch, in the transaction that reads the marks, and a reservation is committed
    only under the epoch in force. Of two processes that hold the same pads the older one can therefore spend what it
    had reserved before, which lies below the marks that the younger one was given, and no more.

    Marks only ever rise, in the file and in memory, and a fork of the process that opened a pool cannot move them. A
    row carries a MAC under a key that is derived from the pre-shared one, and the book a digest of all rows, so that a
    file that was damaged or altered is refused. So is one that was put back from a copy while the pool is open.

    What it cannot do: a whole file that is deleted or put back while nobody has it open is believed. The two ends find
    out when they tell each other their marks (`AuthenticationPool.hear_marks`).

    Args:
        path: The file, on a local disk; it is made, with mode 0600, when a key is first loaded. A file that others may
            write, or that lies in a folder that they may write, is refused. None: memory only, so that a pre-shared
            key that outlives the process must not be loaded again.
    """

    def __init__(self, path: Path | str | None = None) -> None:
        self.path: Final = None if path is None else Path(path)
        self._salt = os.urandom(32)
        self._process = os.getpid()
        self._rows: dict[bytes, _Row] = {}
        self._file: DatabaseFile | None = None

    @property
    def durable(self) -> bool:
        """Whether the marks outlive the process."""
        return self.path is not None

    def is_of_another(self, key: bytes, link: str) -> bool:
        """Whether pads of this pre-shared key belong to another link than the one of this name.

        Raises:
            PadLedgerError: The file cannot be used.
        """

        def work(book: _Book) -> bool:
            found = book.find(_hash(book.salt, b"key", key), _mac_key(key))
            return found is not None and found.link != _hash(book.salt, b"link", link.encode())

        return self._transact(work)

    def open(self, key: bytes, link: str) -> PadAccount:
        """Take over the pads of a pre-shared key; an earlier holder can reserve no more.

        Raises:
            PadLedgerError: The file cannot be used or was altered, or the key belongs to another link.
        """
        mac_key = _mac_key(key)

        def work(book: _Book) -> _Row:
            name, of_link = _hash(book.salt, b"key", key), _hash(book.salt, b"link", link.encode())
            row = book.find(name, mac_key) or _Row(name, of_link, 0, PadMarks())
            if row.link != of_link:
                raise PadLedgerError("these pads belong to another link")
            row = replace(row, epoch=row.epoch + 1)
            book.put(row, mac_key)
            return row

        row = self._transact(work)
        return PadAccount(self, row.name, row.epoch, row.marks, mac_key)

    def close(self) -> None:
        """Let go of the file; marks stay as they are, and the next use opens it again."""
        if self._file is not None:
            self._file.close()

    def _store(self, account: PadAccount, marks: PadMarks) -> None:
        def work(book: _Book) -> None:
            found = book.find(account._name, account._mac_key)
            if found is None or found.epoch > account.epoch:
                raise PadLedgerError(
                    "another holder has taken over the pads of this link",
                    remedy="Run one unit with this pre-shared key and this folder",
                )
            if found.epoch < account.epoch or not found.marks.reach(account.stored):
                raise PadLedgerError("the ledger of one-time pads was put back from a copy", remedy=_REPLACE)
            if not marks.reach(found.marks):
                raise PadLedgerError("marks of one-time pads only rise", remedy="Open the pads again")
            book.put(replace(found, marks=marks), account._mac_key)

        self._transact(work)

    def _transact(self, work: Callable[[_Book], T]) -> T:
        """Do `work`, given the book, in one transaction that is committed to the disk."""
        if self.path is None:
            if self._process != os.getpid():
                raise PadLedgerError(
                    "a fork of the process has a copy of the ledger", remedy="Keep it on disk: give it a path"
                )
            return work(_Book(self._salt, self._rows))
        if self._file is None:
            from tokaido.hal._database import DatabaseFile  # noqa: PLC0415 - a ledger in memory needs no SQLite

            settings = "journal_mode = WAL", "synchronous = FULL", "secure_delete = ON"
            self._file = DatabaseFile(
                "the ledger of one-time pads", PadLedgerError, schema=_SCHEMA, settings=settings, make_folder=True
            )
        path = self.path
        return self._file.transact(path, lambda database: self._in_file(path, database, work), busy_s=BUSY_S)

    def _in_file(self, path: Path, database: sqlite3.Connection, work: Callable[[_Book], T]) -> T:
        if other := who_else_may_write(path):
            raise PadLedgerError(f"the ledger of one-time pads {path} is not believed: {other}", remedy=_REPLACE)
        if database.execute("PRAGMA user_version").fetchone() != (VERSION,):
            raise PadLedgerError(f"{path} is not a ledger of this version of Tokaido", remedy=_REPLACE)
        stored = database.execute("SELECT id, link, epoch, own, peer, segment, mac FROM pool").fetchall()
        head = database.execute("SELECT salt, digest FROM book").fetchone()
        whole = all([type(value) for value in row] == _KINDS for row in stored)
        if not whole or (head is not None and {type(value) for value in head} != {bytes}):
            raise _damaged(path)
        rows = {row[0]: _Row(row[0], row[1], row[2], PadMarks(*row[3:6]), row[6]) for row in stored}
        book = _Book(self._salt if head is None else head[0], rows)
        if (head is not None or rows) and (head is None or head[1] != book.digest):
            raise _damaged(path)
        result = work(book)
        if book.changed is not None:
            row = book.changed
            fields = row.name, row.link, row.epoch, row.marks.own, row.marks.peer, row.marks.segment, row.mac
            database.execute("INSERT OR REPLACE INTO pool VALUES (?, ?, ?, ?, ?, ?, ?)", fields)
            database.execute("INSERT OR REPLACE INTO book VALUES (1, ?, ?)", (book.salt, book.digest))
        return result

    def __repr__(self) -> str:
        return f"<PadLedger {self.path or 'in memory only: spent pads are forgotten with the process'}>"


@dataclass(frozen=True, slots=True)
class _Row:
    """What the ledger says of one pre-shared key."""

    name: bytes
    link: bytes
    epoch: int
    marks: PadMarks
    mac: bytes = b""

    @property
    def said(self) -> bytes:
        """What the MAC is of."""
        marks = self.marks
        return b"|".join([self.name, self.link, repr((self.epoch, marks.own, marks.peer, marks.segment)).encode()])


class _Book:
    """The rows of a ledger within one transaction."""

    def __init__(self, salt: bytes, rows: dict[bytes, _Row]) -> None:
        self.salt = salt
        self._rows = rows
        self.changed: _Row | None = None

    @property
    def digest(self) -> bytes:
        """Digest of the whole book: a row that is lost or renamed shows."""
        rows = (row.said + row.mac for _, row in sorted(self._rows.items()))
        return hashlib.sha256(self.salt + b"|".join(rows)).digest()

    def find(self, name: bytes, mac_key: bytes) -> _Row | None:
        """Return the row of a key, if there is one.

        Raises:
            PadLedgerError: It was altered.
        """
        row = self._rows.get(name)
        if row is not None and not hmac.compare_digest(row.mac, _hash(mac_key, b"row", row.said)):
            raise PadLedgerError("the ledger of one-time pads was altered", remedy=_REPLACE)
        return row

    def put(self, row: _Row, mac_key: bytes) -> None:
        """Write a row."""
        self.changed = self._rows[row.name] = replace(row, mac=_hash(mac_key, b"row", row.said))


class PadAccount:
    """The pads of one pre-shared key, as the process that opened them last may reserve them."""

    def __init__(self, ledger: PadLedger, name: bytes, epoch: int, marks: PadMarks, mac_key: bytes) -> None:
        self._ledger = ledger
        self._name = name
        self._mac_key = mac_key
        self._process = os.getpid()
        self.epoch: Final = epoch
        """How often these pads were opened."""
        self.marks: Final = marks
        """Where they were left."""
        self.stored = marks
        """Where the ledger has them now."""

    def persist(self, marks: PadMarks) -> None:
        """Store marks durably; they only rise.

        Raises:
            PadLedgerError: The file cannot be written, was altered or put back, another holder has taken over, or a
                fork of the process that opened the pads asks.
        """
        if self._process != os.getpid():
            raise PadLedgerError(
                f"process {self._process} opened these one-time pads, and this is a fork of it",
                remedy="Open the ledger again in this process; the other one can spend no more then",
            )
        self._ledger._store(self, marks)
        self.stored = marks


def _damaged(path: Path) -> PadLedgerError:
    return PadLedgerError(f"the ledger of one-time pads {path} is damaged", remedy=_REPLACE)


def _hash(salt: bytes, what: bytes, value: bytes) -> bytes:
    return hmac.digest(salt, what + b"|" + value, "sha256")


def _mac_key(key: bytes) -> bytes:
    return _hash(key, b"tokaido pad ledger", b"row")
