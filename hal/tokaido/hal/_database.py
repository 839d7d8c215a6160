"""A SQLite file that programs share: one connection for each process and file, and one way to carry out a transaction.

SQLite guards a file with POSIX locks, which belong to a process: when it closes any descriptor of the file, it loses
all of them, whichever thread took them (https://www.sqlite.org/howtocorrupt.html, section 2.2). So nothing here opens
such a file but SQLite, all users of a file in a process share its one connection, and no connection crosses a fork.
"""

from __future__ import annotations

import os
import sqlite3
import stat
import threading
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar
from weakref import WeakValueDictionary

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tokaido.hal._errors import TokaidoError

T = TypeVar("T")


class DatabaseFile:
    """One user's way to a SQLite file; users of the same file in a process share its connection.

    Args:
        what: What errors call the file, such as "the lease book".
        failure: What is raised if the file cannot be used.
        schema: Statements that fill a new file.
        settings: Pragmas that this user needs, such as "synchronous = EXTRA".
        make_folder: Whether a missing folder is made with the file, mode 0700.
    """

    def __init__(
        self,
        what: str,
        failure: type[TokaidoError],
        *,
        schema: str,
        settings: Sequence[str],
        make_folder: bool = False,
    ) -> None:
        self._what = what
        self._failure = failure
        self._schema = tuple(filter(str.strip, schema.split(";")))
        self._settings = tuple(settings)
        self._make_folder = make_folder
        self._shared: _Shared | None = None

    def transact(
        self, path: Path, work: Callable[[sqlite3.Connection], T], *, busy_s: float, reading: bool = False
    ) -> T:
        """Do `work` in one transaction, commit it to the disk and return what `work` returned.

        The file is made, with mode 0600, if it is not there. A file that was put in its place is noticed.

        Args:
            path: The file.
            work: What reads and writes. If it raises, nothing is written.
            busy_s: How long to wait for another program's transaction, in s.
            reading: Whether `work` only reads: readers of several programs do not wait for each other.

        Raises:
            TokaidoError: Of the kind `failure`: the file cannot be used.
        """
        try:
            shared = self._take(path)
            # No generator and no `__enter__` in Python here: Ctrl-C within one of them would keep the lock.
            with shared.lock:
                database = shared.connection((f"busy_timeout = {round(busy_s * 1000)}", *self._settings))
                try:
                    database.execute("BEGIN" if reading else "BEGIN IMMEDIATE")
                    if database.execute("SELECT count(*) FROM sqlite_master").fetchone() == (0,):
                        for statement in self._schema:
                            database.execute(statement)
                    result = work(database)
                    database.execute("COMMIT")
                except BaseException:
                    if database.in_transaction:  # a full disk may have ended it already
                        database.execute("ROLLBACK")
                    raise
                return result
        except (sqlite3.Error, OSError) as error:
            raise self._failure(
                f"{self._what} {path} cannot be used: {error}",
                remedy="It needs a local disk with room, and a folder that this program may write to",
            ) from error

    def close(self) -> None:
        """Let go of the file: its last user closes it. The next transaction opens it again."""
        self._shared = None

    def _take(self, path: Path) -> _Shared:
        """Return the connection that this process has to what `path` leads to now."""
        try:
            found = path.stat()
        except FileNotFoundError:
            _make(path, with_folder=self._make_folder)
            found = path.stat()
        file = found.st_dev, found.st_ino
        shared = self._shared
        if shared is None or shared.file != file:
            self._shared = shared = None  # before another file of this name is opened: SQLite has files beside it
            with _registry:
                shared = _connections.get(file) or _Shared(file, path)
                self._shared = _connections[file] = shared
        return shared


class _Shared:
    """The connection of this process to one file; it is closed when nobody refers to it any more."""

    def __init__(self, file: tuple[int, int], path: Path) -> None:
        self.file = file
        """Device and inode."""
        self.lock = threading.RLock()
        """Held throughout a transaction. A signal's handler that asks for another one in between is refused."""
        self._settings: tuple[str, ...] = ()
        """What the last user has set. All of it holds for this connection alone, but the journal's mode, which no other
        connection can change while this one is open."""
        self._uri = f"{Path(os.path.realpath(path)).as_uri()}?mode=rw"  # SQLite itself makes no file
        self._open: sqlite3.Connection | None = None

    def connection(self, settings: tuple[str, ...]) -> sqlite3.Connection:
        """Return the connection with a user's settings in force, for the holder of the lock."""
        if self._open is None:
            self._settings = ()
            self._open = sqlite3.connect(self._uri, uri=True, isolation_level=None, check_same_thread=False)
        elif self._open.in_transaction:
            raise sqlite3.OperationalError("this thread is inside a transaction of it")
        if self._settings != settings:
            self._settings = ()  # until all of them are in force
            for pragma in settings:
                self._open.execute(f"PRAGMA {pragma}")
            self._settings = settings
        return self._open

    def close(self) -> None:
        """Close the connection; `connection` makes a new one."""
        if self._open is not None:
            self._open.close()
            self._open = None

    def __del__(self) -> None:
        self.close()


def _make(path: Path, *, with_folder: bool) -> None:
    """Make the file, mode 0600, without a descriptor of it, and let its name be on the disk too."""
    real = Path(os.path.realpath(path))
    if with_folder:
        real.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with suppress(FileExistsError):  # another program was faster
        os.mknod(real, stat.S_IFREG | 0o600)
    folder = os.open(real.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


_registry = threading.RLock()
_connections: WeakValueDictionary[tuple[int, int], _Shared] = WeakValueDictionary()
_at_fork: list[_Shared] = []


def _before_fork() -> None:
    """Let running transactions end, and close all connections: SQLite allows none to cross a fork."""
    _registry.acquire()
    _at_fork.extend(_connections.values())
    for shared in _at_fork:
        shared.lock.acquire()
        shared.close()


def _after_fork() -> None:
    while _at_fork:
        _at_fork.pop().lock.release()
    _registry.release()


os.register_at_fork(before=_before_fork, after_in_parent=_after_fork, after_in_child=_after_fork)
