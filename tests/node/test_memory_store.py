"""The store in memory does what every store does."""

from __future__ import annotations

import pytest

from tokaido.hal import KeyMaterial
from tokaido.node.core import (
    Batch,
    Block,
    Commit,
    Count,
    Delivered,
    DropBatch,
    DropBlock,
    DropSupply,
    NeighbourMarks,
    PutBatch,
    PutBlock,
    PutSupply,
    Range,
    SetBatch,
    SetMarks,
    SetNeighbour,
    SupplyRow,
    Write,
)
from tokaido.node.store import MemoryStore, StoreError

NAME = ("osaka", "s", 3)
KEY = bytes(range(200))
BLOCK = Block("osaka", "s", 3, 200)
BATCH = Batch(b"r" * 16, "kobe", True, 4, ("osaka", "kobe"), False)
CELLS = bytes(range(128))
ROW = SupplyRow(b"k" * 16, "kobe", False, "m", ("x", "y"), 256, ((b"r" * 16, 0, 1),), 60.0, 1.0, 1)


def write(store: MemoryStore, *writes: Write, loads: tuple[Range, ...] = ()) -> list[bytes]:
    (loaded,) = store.commit([Commit(1, writes, loads)])
    return [bytes(key.reveal()) for key in loaded]


def with_block(block: Block = BLOCK) -> MemoryStore:
    store = MemoryStore()
    write(store, PutBlock(block, KeyMaterial(KEY)))
    return store


def test_a_block_is_stored_once_for_ever() -> None:
    store = with_block()
    write(store, SetMarks(NAME, own=10))
    write(store, PutBlock(BLOCK, KeyMaterial(bytes(200))))
    assert store.snapshot().blocks[0].own == 10
    assert write(store, loads=(Range(NAME, 1, 0, 100),)) == [KEY[100:]]
    write(store, DropBlock(NAME))
    write(store, PutBlock(BLOCK, KeyMaterial(KEY)))
    assert store.snapshot().blocks == ()
    assert store.snapshot().ended == {("osaka", "s"): ((3, 3),)}


def test_ended_blocks_are_remembered_as_ranges() -> None:
    store = MemoryStore()
    for number in (5, 2, 3, 7, 4, 5):
        write(store, PutBlock(Block("l", "s", number, 4), KeyMaterial(b"1234")), DropBlock(("l", "s", number)))
    assert store.snapshot().ended == {("l", "s"): ((2, 5), (7, 7))}


def test_marks_only_rise() -> None:
    store = with_block()
    write(store, SetMarks(NAME, own=10, granted=20, passed=15, told=5))
    write(store, SetMarks(NAME, own=9, told=6))
    block = store.snapshot().blocks[0]
    assert (block.own, block.granted, block.passed, block.told) == (10, 20, 15, 6)


@pytest.mark.parametrize("own_half", [0, 1])
def test_a_range_is_loaded_with_its_mark_and_then_destroyed(own_half: int) -> None:
    store = with_block(Block("osaka", "s", 3, 200, own_half=own_half))
    own, other = (KEY[:100], KEY[100:]) if own_half == 0 else (KEY[100:], KEY[:100])
    assert write(store, SetMarks(NAME, own=30), loads=(Range(NAME, own_half, 0, 30),)) == [own[:30]]
    with pytest.raises(StoreError, match="destroyed"):
        write(store, loads=(Range(NAME, own_half, 29, 40),))
    assert write(store, loads=(Range(NAME, own_half, 30, 40), Range(NAME, 1 - own_half, 0, 100))) == [own[30:40], other]
    write(store, SetMarks(NAME, passed=50, granted=70))
    with pytest.raises(StoreError, match="destroyed"):
        write(store, loads=(Range(NAME, 1 - own_half, 49, 60),))
    assert write(store, loads=(Range(NAME, 1 - own_half, 50, 100),)) == [other[50:]]


def test_a_transaction_that_cannot_load_writes_nothing() -> None:
    store = with_block()
    commits = [Commit(1, (SetMarks(NAME, own=10),)), Commit(2, (), (Range(NAME, 0, 90, 101),))]
    with pytest.raises(StoreError, match="no range 90 to 101"):
        store.commit(commits)
    assert store.snapshot().blocks == (BLOCK,)
    with pytest.raises(StoreError, match="not in the store"):
        write(store, loads=(Range(("osaka", "s", 4), 0, 0, 1),))


def test_taken_keys_of_a_batch_are_destroyed() -> None:
    store = MemoryStore()
    write(store, PutBatch(BATCH, KeyMaterial(CELLS)))
    write(store, SetBatch(BATCH.relay, ready=True))
    write(store, SetBatch(BATCH.relay, taken=3), SetBatch(BATCH.relay, taken=2))
    ((batch, cells),) = store.snapshot().batches
    assert (batch.ready, batch.taken) == (True, 3)
    assert bytes(cells.reveal()) == bytes(96) + CELLS[96:]
    write(store, DropBatch(BATCH.relay), SetBatch(BATCH.relay, taken=4))
    assert store.snapshot().batches == ()


def test_a_supply_ends_with_its_last_slave() -> None:
    store = MemoryStore()
    write(store, PutSupply(ROW, KeyMaterial(CELLS[:32])))
    write(store, Delivered(ROW.key_id, "x"))
    ((row, key),) = store.snapshot().supplies
    assert row.slaves == ("y",)
    assert key is not None
    assert bytes(key.reveal()) == CELLS[:32]
    write(store, Delivered(ROW.key_id, "y"), Delivered(ROW.key_id, "y"))
    assert store.snapshot().supplies == ()
    write(store, PutSupply(ROW, None))
    write(store, DropSupply(ROW.key_id))
    assert store.snapshot().supplies == ()


def test_counters_add_up_and_marks_of_neighbours_rise() -> None:
    store = MemoryStore()
    write(store, Count("link:osaka", {"drawn": 8, "leased": 3}), Count("link:osaka", {"leased": -1}))
    write(store, SetNeighbour("kobe", mark=4), SetNeighbour("kobe", told=2), SetNeighbour("kobe", mark=3))
    assert store.snapshot().counters == {"link:osaka": {"drawn": 8, "leased": 2}}
    assert store.snapshot().neighbours == {"kobe": NeighbourMarks(4, 2)}


def test_a_copy_is_another_store() -> None:
    store = with_block()
    other = store.copy()
    write(store, SetMarks(NAME, own=10), Count("link:osaka", {"drawn": 1}))
    assert other.snapshot().blocks == (BLOCK,)
    assert other.snapshot().counters == {}
    assert write(other, loads=(Range(NAME, 0, 0, 5),)) == [KEY[:5]]


def test_keys_are_copied_and_nothing_shows_them() -> None:
    store = MemoryStore()
    key = KeyMaterial(KEY)
    write(store, PutBlock(BLOCK, key))
    key.wipe()
    assert write(store, loads=(Range(NAME, 0, 0, 5),)) == [KEY[:5]]
    assert "\\x" not in repr(store)


def test_a_closed_store_takes_nothing() -> None:
    store = with_block()
    store.close()
    with pytest.raises(StoreError, match="closed"):
        write(store, SetMarks(NAME, own=1))
