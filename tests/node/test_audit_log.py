"""The audit log in a store: the first row that does not fit is told, whatever is altered in the file."""

from __future__ import annotations

import hashlib
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import msgspec
import pytest

from tokaido.hal import ConfigurationError, KeyMaterial
from tokaido.node.store import AuditMark, SqliteStore, StoreBusyError, StoreError, audit_at_rest, erase_store

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

KEY = bytes(range(32))
ROWS = 5


def key() -> KeyMaterial:
    return KeyMaterial(KEY)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    found = tmp_path / "store"
    with closing(SqliteStore.open(found, key(), create=True)) as store:
        for number in range(1, ROWS + 1):
            store.records.audit(who="ann", place="desk", what=f"act {number}", why="trial", at_s=float(number))
    return found


def kept(path: Path) -> list[AuditMark]:
    return [row.mark for row in audit_at_rest(path).rows]


def by_hand(path: Path, *statements: str) -> None:
    with closing(sqlite3.connect(path)) as database:
        for statement in statements:
            database.execute(statement)
        database.commit()


def chained_again(path: Path, number: int, what: str) -> None:
    """Alter a row as one does who knows how the chain is made: all digests after it are made again."""
    with closing(sqlite3.connect(path)) as database:
        database.execute("UPDATE audit SET what = ? WHERE number = ?", (what, number))
        previous = bytes(32)
        for row in database.execute("SELECT * FROM audit ORDER BY number").fetchall():
            said = (*row[:6], previous)
            previous = hashlib.sha256(msgspec.msgpack.encode(said)).digest()
            database.execute("UPDATE audit SET previous = ?, digest = ? WHERE number = ?", (said[6], previous, row[0]))
        database.commit()


def added(path: Path) -> None:
    """Append a row that fits the last one."""
    with closing(sqlite3.connect(path)) as database:
        ((digest,),) = database.execute("SELECT digest FROM audit WHERE number = ?", (ROWS,)).fetchall()
        said = (ROWS + 1, 9.0, "bob", "desk", "acknowledge TAMPER", "", digest)
        new = hashlib.sha256(msgspec.msgpack.encode(said)).digest()
        database.execute("INSERT INTO audit VALUES (?, ?, ?, ?, ?, ?, ?, ?)", (*said, new))
        database.commit()


HARM: dict[str, tuple[Callable[[Path], None], int, str]] = {
    "a word": (lambda path: by_hand(path, "UPDATE audit SET who = 'bob' WHERE number = 2"), 2, "altered"),
    "a time": (lambda path: by_hand(path, "UPDATE audit SET at_s = 9 WHERE number = 1"), 1, "altered"),
    "a kind": (lambda path: by_hand(path, "UPDATE audit SET what = x'ff' WHERE number = 3"), 3, "altered"),
    "no text": (
        lambda path: by_hand(path, "UPDATE audit SET what = CAST(x'ff' AS TEXT) WHERE number = 3"),
        3,
        "altered",
    ),
    "a digest": (lambda path: by_hand(path, "UPDATE audit SET digest = x'00' WHERE number = 3"), 3, "altered"),
    "a link of the chain": (
        lambda path: by_hand(path, "UPDATE audit SET previous = x'00' WHERE number = 4"),
        4,
        "does not follow",
    ),
    "the first row gone": (lambda path: by_hand(path, "DELETE FROM audit WHERE number = 1"), 1, "missing"),
    "a row gone": (lambda path: by_hand(path, "DELETE FROM audit WHERE number = 3"), 3, "missing"),
    "the last row gone": (lambda path: by_hand(path, "DELETE FROM audit WHERE number = 5"), 5, "cut off"),
    "the tail gone": (lambda path: by_hand(path, "DELETE FROM audit WHERE number > 2"), 3, "cut off"),
    "all of it gone": (lambda path: by_hand(path, "DELETE FROM audit"), 1, "cut off"),
    "a row added": (added, ROWS + 1, "added"),
    "a chain made again": (lambda path: chained_again(path, 2, "nothing"), ROWS, "written again"),
}


@pytest.mark.parametrize("harm", HARM)
def test_the_first_row_that_does_not_fit_is_told(path: Path, harm: str) -> None:
    do, first, why = HARM[harm]
    whole = audit_at_rest(path, key())
    assert (whole.finding.fits, whole.finding.rows, whole.finding.end_checked) == (True, ROWS, True)
    do(path)
    found = audit_at_rest(path, key()).finding
    assert (found.first_wrong, found.rows, why in found.why) == (first, first - 1, True)
    with closing(SqliteStore.open(path, key())) as store:
        assert store.records.check_audit() == found
        store.records.devices()  # a log that does not fit ends no store


def test_a_mark_that_was_kept_tells_what_the_store_alone_cannot(path: Path) -> None:
    marks = kept(path)
    assert audit_at_rest(path, key(), marks).finding.fits
    chained_again(path, 2, "nothing")
    for mark, first in ((marks[0], ROWS), (marks[1], 2), (marks[3], 4)):
        assert audit_at_rest(path, key(), [mark]).finding.first_wrong == first
    assert audit_at_rest(path, None, marks).finding.first_wrong == 2
    assert audit_at_rest(path, None).finding.fits  # the chain alone: made again it fits


def test_without_its_key_a_cut_end_is_not_seen_and_that_is_said(path: Path) -> None:
    marks = kept(path)
    by_hand(path, "DELETE FROM audit WHERE number > 2")
    found = audit_at_rest(path)
    assert (found.finding.fits, found.finding.end_checked) == (True, False)
    assert "wrapping key of the store was not given" in found.end_unknown
    found = audit_at_rest(path, KeyMaterial(bytes(32)))
    assert (found.finding.fits, found.finding.end_checked) == (True, False)
    assert "does not fit the store" in found.end_unknown
    told = audit_at_rest(path, None, [marks[4]]).finding
    assert (told.first_wrong, "a mark of row 5 was kept" in told.why) == (3, True)


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM audit_end",
        "UPDATE audit_end SET number = 2",
        "UPDATE audit_end SET (number, digest) = (SELECT number, digest FROM audit WHERE number = 2)",
    ],
)
def test_the_end_that_the_key_vouches_for_cannot_be_altered(path: Path, statement: str) -> None:
    by_hand(path, "DELETE FROM audit WHERE number > 2", statement)
    found = audit_at_rest(path, key()).finding
    assert (found.first_wrong, "rows may be missing from here on" in found.why) == (3, True)
    with pytest.raises(StoreError, match=r"altered|missing"):
        SqliteStore.open(path, key())


def test_an_end_of_before_is_not_taken_for_that_of_now(path: Path) -> None:
    with closing(sqlite3.connect(path)) as database:
        (before,) = database.execute("SELECT * FROM audit_end").fetchall()
    with closing(SqliteStore.open(path, key())) as store:
        store.records.audit(who="bob", place="desk", what="acknowledge TAMPER", why="", at_s=9.0)
    with closing(sqlite3.connect(path)) as database:
        database.execute("DELETE FROM audit WHERE number = 6")
        database.execute("INSERT OR REPLACE INTO audit_end VALUES (?, ?, ?, ?)", before)
        database.commit()
    assert audit_at_rest(path, key()).finding.first_wrong == 6
    with pytest.raises(StoreError, match="rows are missing"):
        SqliteStore.open(path, key())


def test_a_store_set_back_to_its_older_form_is_not_believed(path: Path) -> None:
    later = [f"DROP TABLE {table}" for table in ("move", "command", "audit_end")]
    by_hand(path, "DELETE FROM audit WHERE number > 2", *later, "PRAGMA user_version = 2")
    found = audit_at_rest(path, key())
    assert (found.finding.end_checked, "older form" in found.end_unknown) == (False, True)
    with pytest.raises(StoreError, match=r"rows are missing|duplicate column|already exists"):
        SqliteStore.open(path, key())


def test_a_cut_is_not_healed_by_what_is_written_after_it(path: Path) -> None:
    by_hand(path, "DELETE FROM audit WHERE number > 3")
    with closing(SqliteStore.open(path, key())) as store:
        row = store.records.audit(who="bob", place="desk", what="more", why="", at_s=9.0)
        assert row.number == ROWS + 1
        assert store.records.check_audit().first_wrong == 4
    assert audit_at_rest(path, key()).finding.first_wrong == 4


def test_an_erased_store_keeps_its_log_and_its_next_life_goes_on_with_it(path: Path) -> None:
    erase_store(path)
    found = audit_at_rest(path, key())
    assert (found.finding.fits, found.finding.rows, found.finding.end_checked) == (True, ROWS, False)
    assert "erased" in found.end_unknown
    with closing(SqliteStore.open(path, key(), create=True)) as store:
        assert store.records.audit(who="a", place="b", what="c", why="d", at_s=9.0).number == ROWS + 1
    found = audit_at_rest(path, key())
    assert (found.finding.fits, found.finding.rows, found.finding.end_checked) == (True, ROWS + 1, True)


def test_reading_at_rest_writes_nothing_and_needs_the_node_to_be_at_rest(path: Path) -> None:
    with closing(SqliteStore.open(path, key())) as store:
        store.records.audit(who="a", place="b", what="c", why="d", at_s=9.0)
        with pytest.raises(StoreBusyError, match="another process"):
            audit_at_rest(path, key())
    before = path.read_bytes()
    assert audit_at_rest(path, key()).finding.fits
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]


def test_what_is_no_store_is_told(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="there is no store"):
        audit_at_rest(tmp_path / "nowhere")
    (tmp_path / "text").write_text("SQLite? no")
    with pytest.raises(StoreError, match="is not a store"):
        audit_at_rest(tmp_path / "text")
    by_hand(tmp_path / "other", "CREATE TABLE a (b)")
    with pytest.raises(StoreError, match="and not a store"):
        audit_at_rest(tmp_path / "other")


def test_a_mark_is_read_as_it_is_written(path: Path) -> None:
    for mark in kept(path):
        assert AuditMark.parse(f" {mark} ") == mark
    for text in ("", "7", "7:00", f"-1:{'0' * 64}", f"7:{'0' * 63}g"):
        with pytest.raises(ConfigurationError, match="not a mark of an audit log"):
            AuditMark.parse(text)
