"""A store whose file was damaged or altered, or whose disk is full: it gives the right key, or none and says why."""

from __future__ import annotations

import os
import random
import resource
import shutil
import sqlite3
import subprocess
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tokaido.hal import KeyMaterial, Severity
from tokaido.node.core import Block, Commit, Count, PutBlock, Range, SetMarks
from tokaido.node.store import DeviceRow, SqliteStore, StoreError
from tokaido_testing.forks import in_a_fork
from tokaido_testing.stores import Commits, Model, facts, in_memory, shown

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["in_memory"]

KEY = bytes(range(32))


def opened(path: Path) -> SqliteStore:
    return SqliteStore.open(path, KeyMaterial(KEY), create=True)


def filled(path: Path, *, seed: int = 3, count: int = 40) -> Model:
    """Make a store with something of everything, and return what is in it."""
    commits, model = Commits(seed, largest=9000), Model()
    store = opened(path)
    for _ in range(count):
        commit = commits.next(model)
        model.commit([commit])
        store.commit([commit])
    store.close()
    assert model.blocks
    assert model.batches
    assert model.supplies
    return model


def read_all(path: Path) -> tuple[dict[str, Any], list[bytes | None]]:
    """Return what a store says, and all key of blocks that is left in it."""
    store = opened(path)
    try:
        found = store.snapshot()
        store.records.alarms(standing=False)
        store.records.audit_log()
        store.records.outbox()
        store.records.devices()
        marks: list[SetMarks] = []
        loads: list[Range] = []
        for block in found.blocks:
            lengths = block.size // 2, block.size - block.size // 2
            own, other = lengths[block.own_half], lengths[1 - block.own_half]
            marks.append(SetMarks(block.name, own=own, granted=other))
            loads.append(Range(block.name, block.own_half, block.own, own))
            loads.append(Range(block.name, 1 - block.own_half, block.passed, other))
        (keys,) = store.commit([Commit(1, tuple(marks), tuple(loads))])
        return facts(found), [shown(key) for key in keys]
    finally:
        store.close()


# --- damage -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [120, pytest.param(1500, marks=pytest.mark.thorough)])
def test_no_flipped_byte_gives_another_key_or_another_mark(in_memory: Path, count: int) -> None:
    path = in_memory / "store"
    model = filled(path)
    store = opened(path)
    store.records.raise_alarm("LINK_DOWN", "gotemba-hakone", Severity.MAJOR, "dark", raised_s=1.0)
    store.records.audit(who="a", place="b", what="c", why="d", at_s=2.0)
    store.records.post("subject", b"payload")
    store.records.set_device(DeviceRow("alice", "TKTX0001", True))
    store.close()
    content = path.read_bytes()
    expected = read_all(path)
    assert expected[0] == model.facts()
    draw = random.Random(1)
    used = [at for at in range(len(content)) if content[at]]
    refused, same = 0, 0
    for number in range(count):
        at = draw.choice(used) if number else 0
        harmed = bytearray(content)
        harmed[at] ^= draw.choice([1, 0x41, 0x80, 0xFF])
        path.write_bytes(harmed)
        try:
            found = read_all(path)
        except StoreError as error:
            refused += str(path) in str(error)
        else:
            assert found == expected, f"byte {at}"
            same += 1
        for each in in_memory.iterdir():
            each.unlink()
    assert refused + same == count
    assert refused > count / 2


def test_a_damaged_log_gives_what_was_there_before_some_commit_or_nothing(in_memory: Path) -> None:
    """A log tells where it ends by sums of its own: frames after a damage are as if they had never been written."""
    path = in_memory / "state" / "store"
    commits, model = Commits(5, largest=3000), Model()
    opened(path).close()
    states = [model.facts()]

    def write() -> None:
        store = opened(path)
        for _ in range(12):
            commit = commits.next(model)
            model.commit([commit])
            store.commit([commit])

    assert in_a_fork(write) == ""  # and it is killed
    commits, model = Commits(5, largest=3000), Model()
    for _ in range(12):
        model.commit([commits.next(model)])
        states.append(model.facts())
    log = Path(f"{path}-wal").read_bytes()
    assert len(log) > 12 * 4096
    main = path.read_bytes()
    draw = random.Random(2)
    reached = set()
    for _ in range(40):
        harmed = bytearray(log)
        harmed[draw.randrange(len(log))] ^= 0x55
        path.write_bytes(main)
        Path(f"{path}-wal").write_bytes(harmed)
        store = opened(path)
        reached.add(states.index(facts(store.snapshot())))
        store.close()
    assert len(reached) > 4


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE lease SET own = own - 1 WHERE own > 0",
        "UPDATE lease SET granted = 0",
        "UPDATE block SET own_half = 1 - own_half",
        "UPDATE block SET session = 'other' WHERE id = (SELECT min(id) FROM block)",
        "DELETE FROM lease WHERE block = (SELECT min(block) FROM lease)",
        "DELETE FROM ended",
        "DELETE FROM neighbour WHERE name = (SELECT min(name) FROM neighbour)",
        "DELETE FROM batch WHERE relay = (SELECT min(relay) FROM batch)",
        "UPDATE batch SET taken = taken + 1",
        "UPDATE supply SET slaves = x'91a3666f65'",
        "UPDATE counter SET amount = amount + 1",
        "UPDATE counter SET amount = 'much'",
        "UPDATE neighbour SET mac = NULL, told = 5",
        "UPDATE state SET age_s = 0",
        "DELETE FROM state",
        "DELETE FROM segment WHERE id = (SELECT max(id) FROM segment)",
        "INSERT INTO segment VALUES (99999999999, x'00')",
        "UPDATE store SET id = x'00112233445566778899aabbccddeeff'",
        "UPDATE store SET data_key = 3",
        "DROP TABLE ended",
    ],
)
def test_an_altered_row_is_refused(in_memory: Path, statement: str) -> None:
    path = in_memory / "store"
    filled(path)
    database = sqlite3.connect(path, isolation_level=None)
    database.execute("PRAGMA ignore_check_constraints = ON")
    before = database.total_changes
    if "mac = NULL" in statement:
        statement = statement.replace("mac = NULL", "mac = x'00'")
    database.execute(statement)
    assert database.total_changes > before or statement.startswith("DROP")
    database.close()
    with pytest.raises(StoreError, match=str(path)):
        opened(path).snapshot()


@pytest.mark.parametrize("what", ["segment", "batch"])
def test_key_that_was_put_where_other_key_was_is_not_taken_for_it(in_memory: Path, what: str) -> None:
    path = in_memory / "store"
    filled(path)
    database = sqlite3.connect(path, isolation_level=None)
    names = {"segment": "id", "batch": "relay"}
    sized = (
        "length(sealed) = (SELECT max(length(sealed)) FROM segment)" if what == "segment" else "length(sealed) > 1000"
    )
    two = database.execute(f"SELECT {names[what]}, sealed FROM {what} WHERE {sized} LIMIT 2").fetchall()
    assert len(two) == 2
    for (name, _), (_, sealed) in zip(two, reversed(two), strict=True):
        database.execute(f"UPDATE {what} SET sealed = ? WHERE {names[what]} = ?", (sealed, name))
    database.close()
    with pytest.raises(
        StoreError, match="seal of a block in it is broken" if what == "segment" else "row of table batch"
    ):
        read_all(path)


def test_a_row_of_an_earlier_time_is_not_taken_for_now(in_memory: Path) -> None:
    """Its MAC is right; that it is old shows in the digest of all rows."""
    path = in_memory / "store"
    filled(path)
    database = sqlite3.connect(path)
    rows = database.execute("SELECT * FROM lease").fetchall()
    database.close()
    store = opened(path)
    block = max(store.snapshot().blocks, key=lambda block: block.size)
    store.commit([Commit(1, (SetMarks(block.name, told=77),))])
    store.close()
    database = sqlite3.connect(path, isolation_level=None)
    for row in rows:
        database.execute("INSERT OR REPLACE INTO lease VALUES (?, ?, ?, ?, ?, ?)", row)
    database.close()
    with pytest.raises(StoreError, match="rows are missing, or are older than others"):
        opened(path)


# --- a disk that cannot be written ------------------------------------------------------------------------------------


def still_good(path: Path, before: dict[str, Any]) -> None:
    store = opened(path)
    try:
        assert facts(store.snapshot()) == before
        store.commit([Commit(9, (Count("link:a", {"drawn": 1}),))])
    finally:
        store.close()


def refuses_all(store: SqliteStore) -> None:
    uses: list[Callable[[], object]] = [
        store.snapshot,
        lambda: store.commit([]),
        store.tend,
        store.records.devices,
        lambda: store.rewrap(KeyMaterial(KEY)),
    ]
    for use in uses:
        with pytest.raises(StoreError, match=r"failed before: .* Close it and open it again"):
            use()


def test_a_commit_that_finds_no_room_writes_nothing_and_is_the_last(in_memory: Path) -> None:
    path = in_memory / "store"
    model = filled(path)
    before = model.facts()
    grown = tuple(Count(f"pair:{number}", {"held": 1}) for number in range(400))
    for limit in (0, 31, 4000, 8192, 20_000, 30_000):

        def fail(limit: int = limit) -> None:
            store = opened(path)
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
            with pytest.raises(StoreError, match=r"cannot be used: the disk gives an error .* local disk with room"):
                store.commit([Commit(1, grown)])
            refuses_all(store)
            store.close()

        assert in_a_fork(fail) == "", limit
        still_good(path, before)
        before["counters"]["link:a", "drawn"] = before["counters"].get(("link:a", "drawn"), 0) + 1


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 4 MiB."""
    place = tmp_path / "tiny"
    place.mkdir(mode=0o700)
    options = ["mount", "-t", "tmpfs", "-o", "size=4m,mode=700", "tokaido-test", str(place)]
    if os.geteuid() != 0 or shutil.which("mount") is None or subprocess.call(options, stderr=subprocess.DEVNULL):
        pytest.skip("no file system may be mounted here")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


def fill(disk: Path) -> Path:
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as file, suppress(OSError):
        while file.write(bytes(4096)):
            pass
    return filler


def test_a_full_disk_is_told_and_room_helps(tiny_disk: Path) -> None:
    path = tiny_disk / "store"
    model = filled(path)
    store = opened(path)
    filler = fill(tiny_disk)
    with pytest.raises(StoreError, match=r"the disk is full \(.*\)\. Make room, then open the store again"):
        store.commit([Commit(1, (Count("link:a", {"drawn": 1}),))])
    refuses_all(store)
    store.close()
    with pytest.raises(StoreError, match="the disk is full"):
        still_good(path, model.facts())
    filler.unlink()
    still_good(path, model.facts())


def test_a_store_can_be_erased_on_a_full_disk(tiny_disk: Path) -> None:
    path = tiny_disk / "store"
    filled(path)
    store = opened(path)
    os.link(path, tiny_disk / "link")
    length = path.stat().st_size
    fill(tiny_disk)
    store.erase()
    assert sorted(each.name for each in tiny_disk.iterdir()) == ["filler", "link"]
    assert (tiny_disk / "link").read_bytes() == bytes(length)


def test_a_store_that_failed_can_be_erased(in_memory: Path) -> None:
    path = in_memory / "store"
    filled(path)
    store = opened(path)
    store.records.audit(who="a", place="b", what="c", why="d", at_s=2.0)
    with pytest.raises(StoreError):
        store.commit([Commit(1, (), (Range(("none", "", 0), 0, 0, 1),))])
    store.erase()
    with pytest.raises(StoreError, match="was erased"):
        SqliteStore.open(path, KeyMaterial(KEY))
    store = opened(path)
    assert facts(store.snapshot()) == Model().facts()
    assert len(store.records.audit_log()) == 1
    store.close()


def test_the_log_is_cut_before_it_fills_the_disk(in_memory: Path) -> None:
    path = in_memory / "store"
    store = opened(path)
    largest = 0
    for number in range(9):
        block = Block("link", "session", number, 4 << 20)
        store.commit([Commit(number, (PutBlock(block, KeyMaterial(bytes(4 << 20))),))])
        largest = max(largest, Path(f"{path}-wal").stat().st_size)
    assert 4 << 20 < largest < 24 << 20
    store.close()
