"""The SQLite file of a store: opened once, locked as long as it is open, written in transactions that are whole."""

from __future__ import annotations

import os
import sqlite3
import stat
from contextlib import suppress
from pathlib import Path
from random import SystemRandom
from typing import TYPE_CHECKING, Final, TypeVar

from tokaido.hal import SYSTEM_CLOCK, Deadline, KeyMaterialError
from tokaido.hal.files import MODE_OF_SECRETS, path_of, settle, who_else_may_write
from tokaido.node.store._errors import Damage, StoreBusyError, StoreError
from tokaido.node.store._schema import APPLICATION, MIGRATIONS, VERSION

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

BUSY_S: Final = 0.25
"""How long to wait for another process that is just closing the file, or trying to open it, in s."""

_SETTINGS: Final = (
    "journal_mode = WAL",
    "synchronous = FULL",
    "secure_delete = ON",
    "wal_autocheckpoint = 0",
    "temp_store = MEMORY",
    "trusted_schema = OFF",
    "cell_size_check = ON",
)
_ANEW: Final = "Put the file aside and make a new store; do not restore one from a copy"
_TOLD: Final = {
    sqlite3.SQLITE_FULL: ("the disk is full", "Make room, then open the store again"),
    sqlite3.SQLITE_NOTADB: ("it is not a database", "Name the store's own file"),
    sqlite3.SQLITE_CORRUPT: ("it is damaged", _ANEW),
    sqlite3.SQLITE_READONLY: ("it may only be read", "Give this user the file, and its folder, to write"),
    sqlite3.SQLITE_PERM: ("it may only be read", "Give this user the file, and its folder, to write"),
    sqlite3.SQLITE_CANTOPEN: ("it cannot be opened", "Give this user the file, and its folder, to write"),
    sqlite3.SQLITE_IOERR: ("the disk gives an error", "It needs a local disk with room; then open the store again"),
}


class StoreFile:
    """The file, open and locked. Every failure within makes it useless until it is opened again.

    Args:
        path: The file, on a local disk.
        create: Whether it is made if it is not there, with its folder, mode 0600 and 0700.

    Raises:
        StoreError: It cannot be used, is not a store, is of a newer Tokaido, is damaged, or in use elsewhere.
    """

    def __init__(self, path: Path | str, *, create: bool = False) -> None:
        self.path: Final = Path(os.path.realpath(path_of(path, "the store")))
        self._process = os.getpid()
        self.failure = ""
        """Why it is of no more use; empty if it is."""
        self._database: sqlite3.Connection | None = None
        try:
            if not self.path.exists():
                if not create:
                    raise StoreError(f"there is no store {self.path}", remedy="Correct its name, or create it")
                _make(self.path)
            if other := who_else_may_write(self.path):
                raise StoreError(f"the store {self.path} is not believed: {other}", remedy=_ANEW)
            for place in (self.path.parent, self.path):
                if not os.access(place, os.W_OK):
                    raise PermissionError(f"{place} may not be written")
            self._take()
        except (sqlite3.Error, OSError, Damage, UnicodeError) as error:
            self._let_go()
            raise self._told(error) from error
        except BaseException:
            self._let_go()
            raise

    @property
    def database(self) -> sqlite3.Connection:
        """The connection, for work within a transaction.

        Raises:
            StoreError: It failed before, is closed, or belongs to another process.
        """
        if self._process != os.getpid():
            raise StoreError(
                f"process {self._process} has the store {self.path} open, and this is a fork of it",
                remedy="Use it there",
            )
        if self.failure:
            raise StoreError(
                f"the store {self.path} failed before: {self.failure}", remedy="Close it and open it again"
            )
        if self._database is None:
            raise StoreError(f"the store {self.path} is closed", remedy="Open it again")
        return self._database

    def transact(self, work: Callable[[], T]) -> T:
        """Do `work` in one transaction, make it durable, and return what `work` returned; within another one, in that.

        Raises:
            StoreError: Nothing was written, or nobody can know. The file is of no more use until it is opened again.
        """
        database = self.database
        if database.in_transaction:
            return work()
        try:
            database.execute("BEGIN IMMEDIATE")
            result = work()
            database.execute("COMMIT")
        except (sqlite3.Error, OSError, Damage, KeyMaterialError, ValueError, OverflowError) as error:
            self._give_up(database, error)
            raise self._told(error) from error
        except BaseException as error:
            self._give_up(database, error)
            raise
        return result

    def checkpoint(self) -> None:
        """Move what was committed from the write-ahead log into the file, and cut the log to nothing.

        Raises:
            StoreError: It could not be; nothing that was committed is lost.
        """
        database = self.database
        try:
            busy, _, _ = database.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            if busy:
                raise sqlite3.OperationalError("the write-ahead log is in use")
        except (sqlite3.Error, OSError, UnicodeError) as error:
            self._give_up(database, error)
            raise self._told(error) from error

    @property
    def log_bytes(self) -> int:
        """Size of the write-ahead log."""
        try:
            return os.stat(f"{self.path}-wal").st_size  # noqa: PTH116 - asked after every commit
        except OSError:
            return 0

    def close(self) -> None:
        """Let go of the file."""
        if self._process == os.getpid():
            self._let_go()

    def _take(self) -> None:
        """Open and lock the file. Of two processes that try at once, both may find it busy: so each tries again."""
        deadline = Deadline(SYSTEM_CLOCK, BUSY_S)
        while True:
            # SQLite itself makes no file.
            self._database = sqlite3.connect(f"{self.path.as_uri()}?mode=rw", uri=True, isolation_level=None, timeout=0)
            try:
                self._set_up(self._database)
            except sqlite3.Error as error:
                if not _is_busy(error) or deadline.remaining_s <= 0:
                    raise
                self._let_go()
                SYSTEM_CLOCK.wait(0.001 + SystemRandom().random() * 0.02)
            else:
                return

    def _set_up(self, database: sqlite3.Connection) -> None:
        database.execute("PRAGMA locking_mode = EXCLUSIVE")
        database.execute("BEGIN EXCLUSIVE")  # the lock stays after it
        try:
            self._migrate(database)
            database.execute("COMMIT")
        except BaseException:
            if database.in_transaction:
                database.execute("ROLLBACK")
            raise
        for setting in _SETTINGS:
            database.execute(f"PRAGMA {setting}")
        found = database.execute("PRAGMA quick_check(1)").fetchone()
        if found != ("ok",):
            raise Damage("its pages do not fit together")

    def _migrate(self, database: sqlite3.Connection) -> None:
        (version,) = database.execute("PRAGMA user_version").fetchone()
        (application,) = database.execute("PRAGMA application_id").fetchone()
        (tables,) = database.execute("SELECT count(*) FROM sqlite_master").fetchone()
        if (version, application, tables) != (0, 0, 0) and application != APPLICATION:
            raise StoreError(f"{self.path} is a database, and not a store", remedy="Name the store's own file")
        if version > VERSION:
            raise StoreError(
                f"the store {self.path} has form {version}, and this Tokaido knows forms up to {VERSION}",
                remedy="Install the Tokaido that wrote it, or a newer one; there is no way back to an older form",
            )
        for script in MIGRATIONS[version:]:
            for statement in filter(str.strip, script.split(";")):
                database.execute(statement)
        if version < VERSION:
            database.execute(f"PRAGMA application_id = {APPLICATION}")
            database.execute(f"PRAGMA user_version = {VERSION}")

    def _give_up(self, database: sqlite3.Connection, error: BaseException) -> None:
        self.failure = _said(error)[0]
        with suppress(sqlite3.Error):
            if database.in_transaction:  # a full disk may have ended it already
                database.execute("ROLLBACK")

    def _let_go(self) -> None:
        database, self._database = self._database, None
        if database is not None:
            with suppress(sqlite3.Error):
                database.close()

    def _told(self, error: BaseException) -> StoreError:
        if _is_busy(error):
            return StoreBusyError(
                f"the store {self.path} is open in {_holder(self.path) or 'another process'}",
                remedy="One process owns a store: end the other one",
            )
        what, remedy = _said(error)
        return StoreError(f"the store {self.path} cannot be used: {what}", remedy=remedy)


def destroy(path: Path) -> None:
    """Overwrite the file and its log with zeros, in place, and delete them: a full disk does not keep it from that.

    Raises:
        StoreError: It could not be overwritten.
    """
    try:
        for name in (f"{path}-wal", f"{path}-journal", str(path)):
            with suppress(FileNotFoundError), Path(name).open("r+b", buffering=0) as file:
                left = os.fstat(file.fileno()).st_size
                while left > 0:
                    left -= file.write(bytes(min(left, 1 << 20)))
                os.fsync(file.fileno())
                os.unlink(name)  # noqa: PTH108
        settle(path.parent)
    except OSError as error:
        raise StoreError(
            f"the store {path} could not be erased: {error.strerror}", remedy="Destroy the wrapping key, and the disk"
        ) from error


def _make(path: Path) -> None:
    """Make the file without a descriptor of it, and let its name and those of new folders be on the disk."""
    new = [path, *(folder for folder in path.parents if not folder.exists())]
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with suppress(FileExistsError):  # another process was faster
        os.mknod(path, stat.S_IFREG | MODE_OF_SECRETS)
    for each in new:
        settle(each.parent)


def _is_busy(error: BaseException) -> bool:
    return _primary(error) in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}


def _primary(error: BaseException) -> int:
    return getattr(error, "sqlite_errorcode", 0) & 0xFF


def _said(error: BaseException) -> tuple[str, str]:
    """Return what is wrong, and what to do."""
    if isinstance(error, Damage):
        return str(error), _ANEW
    if isinstance(error, OSError):
        return error.strerror or str(error), "It needs a local disk with room, and a folder that this user may write"
    if isinstance(error, UnicodeDecodeError):  # of what SQLite read, or of what it said of that
        return _TOLD[sqlite3.SQLITE_CORRUPT]
    what, remedy = _TOLD.get(_primary(error), (str(error), "Close it and open it again"))
    return (f"{what} ({error})" if isinstance(error, sqlite3.Error) and what != str(error) else what), remedy


def _holder(path: Path) -> str:
    """Return which process has a lock on the file; nothing if the system does not tell."""
    with suppress(OSError, ValueError):
        number = path.stat().st_ino
        for line in Path("/proc/locks").read_text(encoding="ascii").splitlines():
            fields = line.split()
            if "->" not in line and fields[5].endswith(f":{number}") and int(fields[4]) > 0:
                return f"process {fields[4]}" if int(fields[4]) != os.getpid() else "this process already"
    return ""
