"""Opening a store: the key that fits, one process at a time, no way back to an older form, and errors that say so."""

from __future__ import annotations

import hashlib
import os
import sqlite3
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import msgspec
import pytest

import tokaido.hal as hal
from tokaido.hal import KeyMaterial
from tokaido.node.core import Block, Commit, PutBlock
from tokaido.node.store import (
    SqliteStore,
    StoreBusyError,
    StoreError,
    audit_at_rest,
    erase_store,
    new_wrapping_key,
    wrapping_key_from_credential,
    wrapping_key_from_file,
)
from tokaido_testing.forks import in_a_fork

KEY = bytes(range(32))
OTHER_KEY = bytes(range(1, 33))


def key() -> KeyMaterial:
    return KeyMaterial(KEY)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A store with one block."""
    made = tmp_path / "state" / "store"
    with_block(SqliteStore.open(made, key(), create=True)).close()
    return made


def with_block(store: SqliteStore) -> SqliteStore:
    store.commit([Commit(1, (PutBlock(Block("link", "session", 0, 5000), KeyMaterial(bytes(5000))),))])
    return store


def altered(path: Path, *statements: str) -> None:
    database = sqlite3.connect(path)
    for statement in statements:
        database.execute(statement)
    database.commit()
    database.close()


def test_a_store_and_its_folder_belong_to_their_user_alone(path: Path) -> None:
    store = SqliteStore.open(path, key())
    with_block(store)
    assert {each.name: each.stat().st_mode & 0o777 for each in path.parent.iterdir()} == {
        "store": 0o600, "store-wal": 0o600,
    }  # fmt: skip
    assert path.parent.stat().st_mode & 0o777 == 0o700
    store.close()


def test_a_store_is_made_when_it_is_asked_for(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"there is no store .*state/store. Correct its name, or create it"):
        SqliteStore.open(tmp_path / "state" / "store", key())
    assert list(tmp_path.iterdir()) == []


def test_another_key_does_not_open_it(path: Path) -> None:
    with pytest.raises(StoreError, match=r"wrapping key does not fit the store .* Name the key under which"):
        SqliteStore.open(path, KeyMaterial(OTHER_KEY))
    with pytest.raises(StoreError, match="a wrapping key has 32 bytes, not 31"):
        SqliteStore.open(path, KeyMaterial(KEY[:31]))
    SqliteStore.open(path, key()).close()


def test_a_data_key_may_be_wrapped_under_another_key_and_the_old_one_is_of_no_more_use(path: Path) -> None:
    store = SqliteStore.open(path, key())
    store.rewrap(KeyMaterial(OTHER_KEY))
    before = store.snapshot().blocks
    store.close()
    with pytest.raises(StoreError, match="does not fit"):
        SqliteStore.open(path, key())
    store = SqliteStore.open(path, KeyMaterial(OTHER_KEY))
    assert store.snapshot().blocks == before
    store.close()


def test_the_old_wrapping_is_in_no_file(path: Path) -> None:
    database = sqlite3.connect(path)
    ((wrapped,),) = database.execute("SELECT data_key FROM store")
    database.close()
    assert wrapped in path.read_bytes()
    store = SqliteStore.open(path, key())
    store.rewrap(KeyMaterial(OTHER_KEY))
    assert all(wrapped not in each.read_bytes() for each in path.parent.iterdir())
    store.close()


def test_a_newer_form_is_refused_and_left_as_it_is(path: Path) -> None:
    altered(path, "PRAGMA user_version = 999")
    before = path.read_bytes()
    with pytest.raises(
        StoreError, match=r"has form 999, and this Tokaido knows forms up to \d+\. Install the Tokaido that"
    ):
        SqliteStore.open(path, key())
    assert path.read_bytes() == before


def test_a_store_of_the_first_form_is_taken_further(path: Path) -> None:
    row = (1, 9.0, "ann", "desk", "drain", "", bytes(32))
    digest = hashlib.sha256(msgspec.msgpack.encode(row)).hexdigest()
    acted = f"INSERT INTO audit VALUES (1, 9.0, 'ann', 'desk', 'drain', '', zeroblob(32), x'{digest}')"
    tables = ("attempt", "move", "command", "audit_end", "maintenance", "service", "component", "preshared_key")
    later = [f"DROP TABLE {table}" for table in tables]
    later += [f"ALTER TABLE device DROP COLUMN {name}" for name in ("vendor", "model", "firmware", "at_s", "by")]
    altered(path, "PRAGMA user_version = 1", *later, acted)
    store = SqliteStore.open(path, key())
    store.records.set_attempts("alice", (0.0,))
    store.records.set_move("field", b"to B")
    assert store.records.check_audit().fits
    store.close()
    altered(path, "DELETE FROM audit")
    assert audit_at_rest(path, key()).finding.first_wrong == 1


@pytest.mark.parametrize("statement", ["CREATE TABLE mine (one)", "PRAGMA user_version = 1"])
def test_a_database_of_somebody_else_is_left_alone(tmp_path: Path, statement: str) -> None:
    altered(tmp_path / "theirs", statement)
    before = (tmp_path / "theirs").read_bytes()
    for use in (
        lambda: SqliteStore.open(tmp_path / "theirs", key(), create=True),
        lambda: erase_store(tmp_path / "theirs"),
    ):
        with pytest.raises(StoreError, match="is a database, and not a store"):
            use()
    assert (tmp_path / "theirs").read_bytes() == before


@pytest.mark.parametrize("content", [b"not a database" * 400, b"SQLite format 3\0"], ids=["text", "a stump"])
def test_what_is_not_a_database_is_left_alone(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "letter").write_bytes(content)
    for use in (
        lambda: SqliteStore.open(tmp_path / "letter", key(), create=True),
        lambda: erase_store(tmp_path / "letter"),
    ):
        with pytest.raises(StoreError, match=r"it is not a database .* Name the store's own file"):
            use()
    assert (tmp_path / "letter").read_bytes() == content


@pytest.mark.parametrize("name", ["", "a\0b", 3, b"bytes"])
def test_a_name_that_cannot_be_one_is_told(name: str) -> None:
    with pytest.raises(hal.ConfigurationError, match="the store"):
        SqliteStore.open(name, key(), create=True)


@pytest.mark.parametrize(("place", "mode"), [("store", 0o620), ("", 0o777)])
def test_a_store_that_others_may_write_is_not_believed(path: Path, place: str, mode: int) -> None:
    (path.parent / place).chmod(mode)
    with pytest.raises(StoreError, match=r"is not believed: .* may write"):
        SqliteStore.open(path, key())


# --- one process ------------------------------------------------------------------------------------------------------

ANOTHER = """
import sys
from tokaido.hal import KeyMaterial
from tokaido.node.store import SqliteStore, StoreError
print("ready", flush=True)
sys.stdin.readline()
try:
    store = SqliteStore.open(sys.argv[1], KeyMaterial(bytes(range(32))), create=True)
except StoreError as error:
    print(type(error).__name__, error, flush=True)
else:
    print("has it", flush=True)
    sys.stdin.readline()
    store.snapshot()
    store.close()
"""


def another(path: Path) -> subprocess.Popen[str]:
    child = subprocess.Popen(
        [sys.executable, "-c", ANOTHER, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert child.stdout is not None
    assert child.stdout.readline() == "ready\n"
    return child


def told(child: subprocess.Popen[str]) -> str:
    assert child.stdin is not None
    assert child.stdout is not None
    child.stdin.write("\n")
    child.stdin.flush()
    return child.stdout.readline()


def test_while_one_process_has_it_open_another_is_told_which(path: Path) -> None:
    store = SqliteStore.open(path, key())
    child = another(path)
    assert told(child).startswith(f"StoreBusyError the store {path} is open in process {os.getpid()}. One process owns")
    with_block(store)
    store.close()
    assert child.communicate("", timeout=20)[1] is None
    after = another(path)
    assert told(after) == "has it\n"
    with pytest.raises(StoreBusyError, match=f"is open in process {after.pid}"):
        SqliteStore.open(path, key())
    with pytest.raises(StoreBusyError):
        erase_store(path)
    after.communicate("\n", timeout=20)
    SqliteStore.open(path, key()).close()


def test_a_process_that_is_just_closing_it_is_waited_for(path: Path) -> None:
    other = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
    other.execute("BEGIN")
    other.execute("SELECT * FROM store").fetchall()
    closing = threading.Timer(0.03, other.close)
    closing.start()
    SqliteStore.open(path, key()).close()
    closing.join()


def test_of_two_that_start_at_once_one_has_it(tmp_path: Path) -> None:
    for number in range(2):
        children = [another(tmp_path / f"store{number}") for _ in range(2)]
        for child in children:
            assert child.stdin is not None
            child.stdin.write("\n")
            child.stdin.flush()
        answers = []
        for child in children:
            assert child.stdout is not None
            answers.append(child.stdout.readline().split()[0])
        for child in children:
            child.communicate("\n", timeout=20)
        assert sorted(answers) == ["StoreBusyError", "has"]


def test_a_fork_has_no_part_in_it(path: Path) -> None:
    store = SqliteStore.open(path, key())

    def use() -> None:
        for work in (store.snapshot, lambda: store.commit([]), store.erase, store.records.alarms):
            with pytest.raises(StoreError, match=f"process {os.getppid()} has the store .* this is a fork"):
                work()
        store.close()

    assert in_a_fork(use) == ""
    with_block(store)
    assert len(store.snapshot().blocks) == 1
    store.close()


def test_a_closed_store_says_so_and_may_be_closed_again(path: Path) -> None:
    store = SqliteStore.open(path, key())
    store.close()
    store.close()
    for work in (store.snapshot, lambda: store.commit([]), store.erase, store.tend, lambda: store.rewrap(key())):
        with pytest.raises(StoreError, match="is closed"):
            work()
    SqliteStore.open(path, key()).close()


# --- folders that may not be written --------------------------------------------------------------------------------


def test_a_folder_or_a_file_that_may_only_be_read_is_told() -> None:
    with tempfile.TemporaryDirectory() as place:
        Path(place).chmod(0o755)
        if os.geteuid() == 0:
            os.chown(place, 65534, 65534)
        assert in_a_fork(lambda: _in_a_folder_to_read(Path(place))) == ""


def _in_a_folder_to_read(place: Path) -> None:
    if os.geteuid() == 0:
        os.setgid(65534)
        os.setuid(65534)
    path = place / "state" / "store"
    with_block(SqliteStore.open(path, key(), create=True)).close()
    path.parent.chmod(0o500)
    with pytest.raises(StoreError, match=r"state may not be written\. It needs a local disk .* this user may write"):
        SqliteStore.open(path, key())
    with pytest.raises(StoreError, match="cannot be used: Permission denied"):
        SqliteStore.open(path.parent / "other", key(), create=True)
    path.parent.chmod(0o700)
    path.chmod(0o400)
    with pytest.raises(StoreError, match="state/store may not be written"):
        SqliteStore.open(path, key())
    path.chmod(0o600)
    SqliteStore.open(path, key()).close()


# --- erasing ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("open_", [True, False])
def test_an_erased_store_has_its_audit_log_and_no_key(path: Path, open_: bool) -> None:
    database = sqlite3.connect(path)
    secrets = [row[0] for row in database.execute("SELECT sealed FROM segment UNION SELECT data_key FROM store")]
    database.close()
    assert all(secret[-60:] in path.read_bytes() for secret in secrets)
    store = SqliteStore.open(path, key())
    store.records.audit(who="officer", place="console", what="zeroise", why="moved", at_s=1.0)
    if open_:
        store.erase()
        with pytest.raises(StoreError, match="is closed"):
            store.snapshot()
    else:
        store.close()
        erase_store(path)
    with pytest.raises(StoreError, match=r"the store .* was erased. Create a new one in its place"):
        SqliteStore.open(path, key())
    assert len(secrets) == 3
    assert [each.name for each in path.parent.iterdir()] == ["store"]
    assert not any(
        secret[at : at + 8] in path.read_bytes() for secret in secrets for at in range(0, len(secret) - 7, 8)
    )
    store = SqliteStore.open(path, KeyMaterial(OTHER_KEY), create=True)
    assert store.snapshot().blocks == ()
    assert [row.what for row in store.records.audit_log()] == ["zeroise"]
    with_block(store)
    assert len(store.snapshot().blocks) == 1
    store.close()


def test_a_copy_of_an_erased_store_that_kept_its_rows_is_worth_nothing(path: Path) -> None:
    altered(path, "UPDATE store SET data_key = NULL")
    with pytest.raises(StoreError, match="was erased"):
        SqliteStore.open(path, key())
    store = SqliteStore.open(path, key(), create=True)
    assert store.snapshot().blocks == ()
    store.close()


# --- the wrapping key -------------------------------------------------------------------------------------------------


def test_a_wrapping_key_comes_from_a_file_that_is_closed_to_others(tmp_path: Path) -> None:
    file = tmp_path / "wrapping.key"
    new_wrapping_key(file)
    assert (file.stat().st_size, file.stat().st_mode & 0o777) == (32, 0o600)
    assert bytes(wrapping_key_from_file(file).reveal()) == file.read_bytes()
    with pytest.raises(hal.ConfigurationError, match="exists, and is not overwritten"):
        new_wrapping_key(file)
    for mode, why in ((0o640, "open to others"), (0o604, "open to others"), (0o622, "open to others")):
        file.chmod(mode)
        with pytest.raises(hal.ConfigurationError, match=f"wrapping key file .* {why}"):
            wrapping_key_from_file(file)
    file.chmod(0o600)
    tmp_path.chmod(0o770)
    with pytest.raises(hal.ConfigurationError, match="is not believed"):
        wrapping_key_from_file(file)
    tmp_path.chmod(0o700)


@pytest.mark.parametrize("length", [0, 31, 33, 1000])
def test_a_wrapping_key_of_another_length_is_none(tmp_path: Path, length: int) -> None:
    (tmp_path / "key").write_bytes(os.urandom(length))
    (tmp_path / "key").chmod(0o600)
    with pytest.raises(hal.ConfigurationError, match="does not hold 32 bytes"):
        wrapping_key_from_file(tmp_path / "key")
    with pytest.raises(hal.ConfigurationError, match="does not hold 32 bytes"):
        wrapping_key_from_credential("key", {"CREDENTIALS_DIRECTORY": str(tmp_path)})


def test_a_wrapping_key_comes_from_a_credential(tmp_path: Path) -> None:
    (tmp_path / "store").write_bytes(KEY)
    (tmp_path / "store").chmod(0o440)
    environment = {"CREDENTIALS_DIRECTORY": str(tmp_path)}
    assert bytes(wrapping_key_from_credential("store", environment).reveal()) == KEY
    (tmp_path / "store").chmod(0o444)
    with pytest.raises(hal.ConfigurationError, match="open to others"):
        wrapping_key_from_credential("store", environment)
    with pytest.raises(hal.ConfigurationError, match=r"no credential 'store': CREDENTIALS_DIRECTORY is not set"):
        wrapping_key_from_credential("store", {})
    with pytest.raises(hal.ConfigurationError, match="cannot be read"):
        wrapping_key_from_credential("other", environment)
    for name in ("", "..", "../store", "a/b"):
        with pytest.raises(hal.ConfigurationError, match="cannot be the name of a credential"):
            wrapping_key_from_credential(name, environment)
