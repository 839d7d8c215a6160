"""The ledger of one-time pads: how far a link's pads were spent, on disk before anything made with a pad gets out.

It holds marks and no key: a pool is named by a keyed hash of its pre-shared key.
"""

from __future__ import annotations

import hashlib
import hmac
import os
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar

from tokaido.hal._errors import KeyMaterialError
from tokaido.hal.authentication._pads import PadMarks

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable

    from tokaido.hal._database import DatabaseFile

T = TypeVar("T")

BUSY_S: Final = 5.0
"""How long to wait for another program's transaction, each of which takes milliseconds."""

_SCHEMA = """
CREATE TABLE book (one INTEGER PRIMARY KEY CHECK (one = 1), salt BLOB NOT NULL);
CREATE TABLE pool (
    id BLOB PRIMARY KEY, link BLOB NOT NULL, epoch INTEGER NOT NULL,
    own INTEGER NOT NULL, peer INTEGER NOT NULL, segment INTEGER NOT NULL) WITHOUT ROWID;
"""


class PadLedgerError(KeyMaterialError):
    """The ledger cannot be used, or another holder of the same pads has taken over: no pad may be spent."""


class PadLedger:
    """Marks of every pool of one unit, in one SQLite file or, without one, in memory.

    A pool *reserves* a few pads at a time: their mark is committed (write-ahead log, `synchronous = FULL`) before the
    first of them is handed out. A process that is killed at any moment loses what it had reserved and not spent, and
    nothing else. Pads of later segments are fresh key that only the process holds, so that they die with it; of them
    the ledger keeps the highest number, so that no index ever names two pads.

    Every `open` of a pool raises its epoch, in the transaction that reads the marks, and a reservation is committed
    only under the epoch in force. Of two processes that hold the same pads the older one can therefore spend what it
    had reserved before, which lies below the marks that the younger one was given, and no more.

    What it cannot do: a file that is deleted, or put back from a copy, is believed. Then load a new pre-shared key.

    Args:
        path: The file, on a local disk; it is made, with mode 0600, when a key is first loaded. None: memory only, so
            that a pre-shared key that outlives the process must not be loaded again.
    """

    def __init__(self, path: Path | str | None = None) -> None:
        self.path: Final = None if path is None else Path(path)
        self._salt = os.urandom(32)
        self._rows: dict[bytes, tuple[bytes, int, PadMarks]] = {}
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

        def work(salt: bytes, database: sqlite3.Connection | None) -> bool:
            found = self._find(database, _hash(salt, b"key", key))
            return found is not None and found[0] != _hash(salt, b"link", link.encode())

        return self._transact(work)

    def open(self, key: bytes, link: str) -> PadAccount:
        """Take over the pads of a pre-shared key; an earlier holder can reserve no more.

        Raises:
            PadLedgerError: The file cannot be used, or the key belongs to another link.
        """
        name, epoch, marks = self._transact(lambda salt, database: self._take(salt, database, key, link))
        return PadAccount(self, name, epoch, marks)

    def close(self) -> None:
        """Let go of the file; marks stay as they are, and the next use opens it again."""
        if self._file is not None:
            self._file.close()

    def _take(
        self, salt: bytes, database: sqlite3.Connection | None, key: bytes, link: str
    ) -> tuple[bytes, int, PadMarks]:
        """Return the pool's name, its new epoch and its marks."""
        name, of_link = _hash(salt, b"key", key), _hash(salt, b"link", link.encode())
        owner, epoch, marks = self._find(database, name) or (of_link, 0, PadMarks())
        if owner != of_link:
            raise PadLedgerError("these pads belong to another link")
        self._put(database, name, of_link, epoch + 1, marks)
        return name, epoch + 1, marks

    def _store(self, name: bytes, epoch: int, marks: PadMarks) -> None:
        def work(_: bytes, database: sqlite3.Connection | None) -> None:
            found = self._find(database, name)
            if found is None or found[1] != epoch:
                raise PadLedgerError(
                    "another holder has taken over the pads of this link",
                    remedy="Run one unit with this pre-shared key and this folder",
                )
            self._put(database, name, found[0], epoch, marks)

        self._transact(work)

    def _find(self, database: sqlite3.Connection | None, name: bytes) -> tuple[bytes, int, PadMarks] | None:
        if database is None:
            return self._rows.get(name)
        row = database.execute("SELECT link, epoch, own, peer, segment FROM pool WHERE id = ?", (name,)).fetchone()
        return None if row is None else (row[0], row[1], PadMarks(*row[2:]))

    def _put(self, database: sqlite3.Connection | None, name: bytes, link: bytes, epoch: int, marks: PadMarks) -> None:
        if database is None:
            self._rows[name] = link, epoch, marks
            return
        row = name, link, epoch, marks.own, marks.peer, marks.segment
        database.execute("INSERT OR REPLACE INTO pool VALUES (?, ?, ?, ?, ?, ?)", row)

    def _transact(self, work: Callable[[bytes, sqlite3.Connection | None], T]) -> T:
        """Do `work`, given the salt and the connection, in one transaction that is committed to the disk."""
        if self.path is None:
            return work(self._salt, None)
        if self._file is None:
            from tokaido.hal._database import DatabaseFile  # noqa: PLC0415 - a ledger in memory needs no SQLite

            settings = "journal_mode = WAL", "synchronous = FULL", "secure_delete = ON"
            self._file = DatabaseFile(
                "the ledger of one-time pads", PadLedgerError, schema=_SCHEMA, settings=settings, make_folder=True
            )
        return self._file.transact(self.path, lambda database: work(self._salt_of(database), database), busy_s=BUSY_S)

    def _salt_of(self, database: sqlite3.Connection) -> bytes:
        row = database.execute("SELECT salt FROM book").fetchone()
        if row is None:
            database.execute("INSERT INTO book VALUES (1, ?)", (self._salt,))
        return self._salt if row is None else bytes(row[0])

    def __repr__(self) -> str:
        return f"<PadLedger {self.path or 'in memory only: spent pads are forgotten with the process'}>"


class PadAccount:
    """The pads of one pre-shared key, as the process that opened them last may reserve them."""

    def __init__(self, ledger: PadLedger, name: bytes, epoch: int, marks: PadMarks) -> None:
        self._ledger = ledger
        self._name = name
        self.epoch: Final = epoch
        """How often these pads were opened."""
        self.marks: Final = marks
        """Where they were left."""

    def persist(self, marks: PadMarks) -> None:
        """Store marks durably.

        Raises:
            PadLedgerError: The file cannot be written, or another holder has taken over.
        """
        self._ledger._store(self._name, self.epoch, marks)


def _hash(salt: bytes, what: bytes, value: bytes) -> bytes:
    return hmac.new(salt, what + b"|" + value, hashlib.sha256).digest()
