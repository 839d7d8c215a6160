"""The SQLite files that programs share: one connection for each process and file, and transactions that are whole."""

from __future__ import annotations

import gc
import os
import resource
import signal
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path

import pytest

import tokaido.hal as hal
from tokaido.hal._database import DatabaseFile
from tokaido.hal.authentication import PadLedger, PadLedgerError, PadMarks

KEY = bytes(range(256)) * 16


def descriptors(path: Path) -> int:
    """Return how many descriptors of a file this process has."""
    found = 0
    for descriptor in Path("/proc/self/fd").iterdir():
        try:
            found += descriptor.stat().st_ino == path.stat().st_ino
        except FileNotFoundError:
            continue  # the folder's own
    return found


def counted(database: sqlite3.Connection) -> int:
    database.execute("UPDATE one SET number = number + 1")
    return int(database.execute("SELECT number FROM one").fetchone()[0])


def counter() -> DatabaseFile:
    schema = "CREATE TABLE one (number INTEGER); INSERT INTO one VALUES (0);"
    return DatabaseFile("the counter", hal.LeaseError, schema=schema, settings=["synchronous = EXTRA"])


def test_all_users_of_a_file_share_one_descriptor_and_the_last_one_closes_it(tmp_path: Path) -> None:
    path, other_name = tmp_path / "leases.sqlite", tmp_path / "link.sqlite"
    other_name.symlink_to(path)
    books = [hal.LeaseBook(path if index % 2 else other_name) for index in range(8)]
    threads = [threading.Thread(target=book.inspect, args=["field"]) for book in books]
    lease = books[0].acquire("field", "first", 30)
    any(map(threading.Thread.start, threads))
    any(map(threading.Thread.join, threads))
    assert descriptors(path) == 1
    while len(books) > 1:
        books.pop().close()
    assert descriptors(path) == 1
    books[0].close()
    assert descriptors(path) == 0
    assert lease.check() > 0  # opens it again
    threads.clear()
    books.clear()
    del lease
    gc.collect()
    assert descriptors(path) == 0


def test_a_file_put_in_the_place_of_another_is_the_one_that_counts(tmp_path: Path) -> None:
    path = tmp_path / "counter"
    file = counter()
    assert [file.transact(path, counted, busy_s=1) for _ in range(3)] == [1, 2, 3]
    path.rename(tmp_path / "old")
    assert file.transact(path, counted, busy_s=1) == 1
    assert descriptors(tmp_path / "old") == 0


def in_force(database: sqlite3.Connection) -> tuple[object, ...]:
    names = "journal_mode", "synchronous", "busy_timeout"
    return tuple(database.execute(f"PRAGMA {name}").fetchone()[0] for name in names)


def test_each_user_of_a_file_has_its_own_settings_in_force(tmp_path: Path) -> None:
    path = tmp_path / "counter"
    schema = "CREATE TABLE one (number INTEGER);"
    full, extra = (
        DatabaseFile("it", hal.LeaseError, schema=schema, settings=["journal_mode = WAL", f"synchronous = {level}"])
        for level in ("FULL", "EXTRA")
    )
    wanted = [(full, 1, 2), (extra, 1, 3), (extra, 1, 3), (extra, 2, 3), (full, 1, 2)]
    for file, busy_s, synchronous in wanted:
        assert file.transact(path, in_force, busy_s=busy_s) == ("wal", synchronous, 1000 * busy_s)
    full.close()
    extra.close()
    assert full.transact(path, in_force, busy_s=1) == ("wal", 2, 1000)


def test_nobody_else_changes_the_journal_of_an_open_file(tmp_path: Path) -> None:
    path, ledger = tmp_path / "pads", PadLedger(tmp_path / "pads")
    account = ledger.open(KEY, "link")
    other = sqlite3.connect(path, timeout=0)
    with pytest.raises(sqlite3.OperationalError, match="locked"):
        other.execute("PRAGMA journal_mode = DELETE")
    other.close()
    account.persist(PadMarks(own=1))
    assert path.read_bytes()[18:20] == b"\2\2"  # the format of a write-ahead log


def test_settings_that_fail_are_set_again(tmp_path: Path) -> None:
    path = tmp_path / "pads"
    PadLedger(path).open(KEY, "link")
    blocker = sqlite3.connect(path, isolation_level=None)
    blocker.execute("PRAGMA journal_mode = DELETE")
    blocker.execute("BEGIN EXCLUSIVE")
    file = DatabaseFile("it", hal.LeaseError, schema="", settings=["journal_mode = WAL", "synchronous = FULL"])
    with pytest.raises(hal.LeaseError, match="locked"):
        file.transact(path, in_force, busy_s=0)
    blocker.close()
    assert file.transact(path, in_force, busy_s=1) == ("wal", 2, 1000)


def test_no_connection_crosses_a_fork_and_both_sides_go_on(tmp_path: Path) -> None:
    path, file = tmp_path / "counter", counter()
    begun, end = threading.Event(), threading.Event()

    def slow(database: sqlite3.Connection) -> None:
        begun.set()
        end.wait(10)
        counted(database)

    thread = threading.Thread(target=file.transact, args=(path, slow), kwargs={"busy_s": 1})
    thread.start()
    begun.wait(10)
    threading.Timer(0.2, end.set).start()
    child = os.fork()  # waits for the transaction: a copy of it must not be rolled back by the child
    if child == 0:
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(20)
        os._exit(0 if descriptors(path) == 0 and file.transact(path, counted, busy_s=5) == 2 else 1)
    assert os.waitpid(child, 0)[1] == 0
    thread.join()
    assert file.transact(path, counted, busy_s=1) == 3


def test_what_is_interrupted_writes_nothing_and_keeps_no_lock(tmp_path: Path) -> None:
    path, file = tmp_path / "counter", counter()

    def interrupted(database: sqlite3.Connection) -> None:
        counted(database)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        file.transact(path, interrupted, busy_s=1)
    found: list[int] = []
    thread = threading.Thread(target=lambda: found.append(file.transact(path, counted, busy_s=1)))
    thread.start()
    thread.join(10)
    assert found == [1]


def test_a_transaction_within_a_transaction_is_refused_and_hangs_nothing(tmp_path: Path) -> None:
    path, file = tmp_path / "counter", counter()
    with pytest.raises(hal.LeaseError, match="this thread is inside a transaction"):
        file.transact(path, lambda _: file.transact(path, counted, busy_s=1), busy_s=1)
    assert file.transact(path, counted, busy_s=1) == 1


FULL = """
import resource, sys
import tokaido.hal as hal
from tokaido.hal.authentication import PadLedger
room = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
resource.setrlimit(resource.RLIMIT_FSIZE, (8192, room))
book, ledger, key = hal.LeaseBook(sys.argv[1]), PadLedger(sys.argv[2]), bytes(range(256)) * 16
for use in (lambda: book.acquire("field", "first", 60), lambda: ledger.open(key, "link")):
    try:
        use()
    except hal.TokaidoError as error:
        print(type(error).__name__, error)
resource.setrlimit(resource.RLIMIT_FSIZE, (room, room))
print(book.acquire("field", "first", 60).fencing_token, ledger.open(key, "link").epoch)
"""


def test_a_full_disk_is_said_and_the_next_attempt_finds_nothing_half_made(tmp_path: Path) -> None:
    command = [sys.executable, "-c", FULL, str(tmp_path / "leases.sqlite"), str(tmp_path / "pads")]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
    assert said[0].startswith("LeaseError the lease book")
    assert said[1].startswith("PadLedgerError the ledger of one-time pads")
    for line in said[:2]:
        assert "disk I/O error. It needs a local disk with room" in line
    assert said[2:] == ["1 1"]
    assert sorted(file.name for file in tmp_path.iterdir()) == ["leases.sqlite", "pads"]


def test_a_file_that_cannot_be_opened_is_said_and_opened_later(tmp_path: Path) -> None:
    book, ledger = hal.LeaseBook(tmp_path / "leases.sqlite"), PadLedger(tmp_path / "pads")
    book.skip_to(4)
    ledger.open(KEY, "link")
    book.close()
    ledger.close()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
    try:
        with pytest.raises(hal.LeaseError, match=r"leases\.sqlite cannot be used: unable to open"):
            book.inspect("field")
        with pytest.raises(PadLedgerError, match=r"pads cannot be used: unable to open"):
            ledger.open(KEY, "link")
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert book.acquire("field", "first", 30).fencing_token == 5
    assert ledger.open(KEY, "link").epoch == 2


def test_a_file_is_made_beside_no_folder_only_where_that_is_asked_for(tmp_path: Path) -> None:
    with pytest.raises(hal.LeaseError, match="No such file or directory"):
        hal.LeaseBook(tmp_path / "none" / "leases.sqlite").skip_to(1)
    assert not list(tmp_path.iterdir())
