"""What is in the files of a store: no key in the clear, and what is spent not even sealed."""

from __future__ import annotations

import random
import sqlite3
from pathlib import Path

import pytest

from tokaido.hal import KeyMaterial
from tokaido.node.core import (
    Batch,
    Block,
    Commit,
    Delivered,
    DropBatch,
    DropBlock,
    DropSupply,
    PutBatch,
    PutBlock,
    PutSupply,
    Range,
    SetBatch,
    SetMarks,
    SupplyRow,
    Write,
)
from tokaido.node.store import SqliteStore, StoreError

KEY = bytes(range(32))
SIZE = 40_000
DRAW = random.Random(7)
BLOCK, CELLS, SUPPLIED = DRAW.randbytes(SIZE), DRAW.randbytes(64 * 32), DRAW.randbytes(32)
RELAY = DRAW.randbytes(16)
NAME = "link", "session", 0
SEGMENT = 4096


class Clock:
    """Stands still until it is told to go on."""

    def __init__(self) -> None:
        self.now_ns = 0

    def monotonic_ns(self) -> int:
        return self.now_ns

    utc_ns = monotonic_ns

    def wait(self, seconds: float, event: object = None) -> bool:
        raise AssertionError("a store does not wait")


def opened(path: Path, clock: Clock) -> SqliteStore:
    return SqliteStore.open(path, KeyMaterial(KEY), create=True, clock=clock)


def filled(path: Path, clock: Clock) -> SqliteStore:
    store = opened(path, clock)
    batch = Batch(RELAY, "numazu", True, 64, ("odawara", "numazu"), ready=True)
    supply = SupplyRow(bytes(16), "numazu", False, "a", ("b", "c"), 256, ((bytes(16), 0, 1),), 9.0, 0.0, 1)
    writes: tuple[Write, ...] = (
        PutBlock(Block(*NAME, SIZE), KeyMaterial(BLOCK)),
        PutBatch(batch, KeyMaterial(CELLS)),
        PutSupply(supply, KeyMaterial(SUPPLIED)),
    )
    store.commit([Commit(1, writes)])
    return store


def noted(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return a list to which the length of each key is added that is wiped."""
    lengths: list[int] = []
    wipe = KeyMaterial.wipe

    def noting(key: KeyMaterial) -> None:
        lengths.append(len(key))
        wipe(key)

    monkeypatch.setattr(KeyMaterial, "wipe", noting)
    return lengths


def files(path: Path) -> bytes:
    """Return all that is in the files of a store."""
    names = sorted(each.name for each in path.parent.iterdir())
    assert set(names) <= {"store", "store-wal", "store-journal", "store-shm"}
    return b"".join((path.parent / name).read_bytes() for name in names)


def shows(content: bytes, secret: bytes) -> int:
    """Return how many of the pieces of 16 bytes of a secret are there."""
    return sum(secret[at : at + 16] in content for at in range(0, len(secret) - 15, 16))


def sealed_in(path: Path) -> dict[object, bytes]:
    """Return what is sealed in a closed store: segments by their ids, and rows of batch and supply."""
    database = sqlite3.connect(path)
    found = {row[0]: row[1] for row in database.execute("SELECT id, sealed FROM segment")}
    for table in ("batch", "supply"):
        ((found[table],),) = database.execute(f"SELECT sealed FROM {table}")
    database.close()
    return found


def test_no_key_is_in_the_clear(tmp_path: Path) -> None:
    path = tmp_path / "store"
    store = filled(path, Clock())
    while_open = files(path)
    assert len(while_open) > 2 * SIZE / 2
    store.close()
    for content in (while_open, files(path)):
        for secret in (BLOCK, CELLS, SUPPLIED, KEY):
            assert shows(content, secret) == 0
        assert content.count(b"session") > 0  # it is there, but for the keys


def test_in_a_file_without_seals_the_same_look_finds_every_key(tmp_path: Path) -> None:
    database = sqlite3.connect(tmp_path / "store")
    database.execute("CREATE TABLE segment (id INTEGER PRIMARY KEY, data BLOB)")
    for at in range(0, SIZE, SEGMENT):
        database.execute("INSERT INTO segment VALUES (?, ?)", (at, BLOCK[at : at + SEGMENT]))
    database.commit()
    database.close()
    assert shows(files(tmp_path / "store"), BLOCK) > 0.95 * SIZE / 16


def test_key_that_is_spent_is_in_no_file_any_more_not_even_sealed(tmp_path: Path) -> None:
    path, clock = tmp_path / "store", Clock()
    filled(path, clock).close()
    sealed = sealed_in(path)
    assert len(sealed) == 2 * 5 + 2
    assert all(shows(files(path), secret) >= 0.9 * (len(secret) // 16) for secret in sealed.values())
    store = opened(path, clock)
    loads = Range(NAME, 0, 0, 9000), Range(NAME, 1, 0, SIZE // 2)
    marks = SetMarks(NAME, own=9000, granted=SIZE // 2)
    store.commit([Commit(2, (marks, SetBatch(RELAY, taken=3), Delivered(bytes(16), "b")), loads)])
    store.commit([Commit(3, (SetMarks(NAME, passed=SIZE // 2),))])
    clock.now_ns += 2_000_000_000
    store.tend()
    content = files(path)
    passed = [key for key in sealed if isinstance(key, int) and (key >> 20 & 1 or key % (1 << 20) < 2)]
    assert len(passed) == 7
    for name, secret in sealed.items():
        gone = name in passed or name == "batch"
        assert (shows(content, secret) == 0) == gone, name
    store.commit([Commit(4, (DropBlock(NAME), DropBatch(RELAY), Delivered(bytes(16), "c")))])
    clock.now_ns += 2_000_000_000
    store.tend()
    content = files(path)
    assert [name for name, secret in sealed.items() if shows(content, secret)] == []
    store.close()


def test_until_the_log_is_cut_what_is_destroyed_stays_for_a_second(tmp_path: Path) -> None:
    """A cut costs two syncs, so that it is not made after each commit."""
    path, clock = tmp_path / "store", Clock()
    filled(path, clock).close()
    sealed = sealed_in(path)
    store = opened(path, clock)
    store.commit([Commit(2, (DropSupply(bytes(16)),))])
    assert 0 < store.tend() <= 1
    assert shows(files(path), sealed["supply"]) > 0
    clock.now_ns += 1_000_000_000
    store.tend()
    assert shows(files(path), sealed["supply"]) == 0
    store.commit([Commit(3, (DropBlock(NAME),))])
    store.close()  # cuts it, too
    content = files(path)
    assert [name for name, secret in sealed.items() if shows(content, secret)] == ["batch"]


def test_nothing_that_is_shown_of_a_store_shows_a_key(tmp_path: Path) -> None:
    store = filled(tmp_path / "store", Clock())
    loaded = store.commit([Commit(2, (SetMarks(NAME, own=99),), (Range(NAME, 0, 0, 99),))])
    shown = repr(store) + repr(store.snapshot()) + repr(loaded)
    for secret in (BLOCK, CELLS, SUPPLIED):
        assert repr(secret[:4])[2:-1] not in shown
        assert secret[:4].hex() not in shown
    store.close()


def test_key_of_a_commit_that_fails_is_wiped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wiped = noted(monkeypatch)
    store = filled(tmp_path / "store", Clock())
    leased = Commit(2, (SetMarks(NAME, own=1234),), (Range(NAME, 0, 0, 1234),))
    failing = Commit(3, (PutBlock(Block("link", "session", 1, 7), KeyMaterial(bytes(6))),))
    with pytest.raises(StoreError):
        store.commit([leased, failing])
    assert wiped.count(1234) == 1
    store.close()
    store = opened(tmp_path / "store", Clock())
    assert store.snapshot().blocks[0].own == 0
    again = Range(NAME, 0, 0, 1000), Range(NAME, 0, 0, 2000)
    with pytest.raises(StoreError):
        store.commit([Commit(4, leased.writes, (*leased.loads, *again))])  # the last of them goes beyond the lease
    assert wiped.count(1234) == 2
    assert wiped.count(1000) == 1
    store.close()


def test_age_goes_on_from_where_a_store_was_closed_and_a_kill_costs_seconds_of_it(tmp_path: Path) -> None:
    path, clock = tmp_path / "store", Clock()
    store = opened(path, clock)
    clock.now_ns += 100_000_000_000
    assert store.age_s == 100
    store.close()
    clock.now_ns += 5_000_000_000_000
    store = opened(path, clock)
    assert store.snapshot().age_s == 100
    for _ in range(8):
        clock.now_ns += 10_000_000_000
        assert store.tend() <= 10
    clock.now_ns += 7_000_000_000
    killed = tmp_path / "killed" / "store"
    killed.parent.mkdir(mode=0o700)
    for name in ("store", "store-wal"):
        (killed.parent / name).write_bytes((tmp_path / name).read_bytes())
        (killed.parent / name).chmod(0o600)
    after = opened(killed, clock)
    assert after.age_s == 180
    after.close()
    store.close()
    store = opened(path, clock)
    assert store.age_s == 187
    store.close()
