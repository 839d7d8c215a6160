"""Any store of a node against a model of a few dicts, over random commits: what it loads, what a core starts from."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, TypeAlias

import pytest

from tokaido.hal import KeyMaterial
from tokaido.node.core import Block, Commit, DropBlock, PutBlock, Range, SetMarks
from tokaido.node.store import MemoryStore, SqliteStore, Store, StoreError
from tokaido_testing.stores import Commits, Model, facts, in_memory

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Opening: TypeAlias = Callable[[], Store]

__all__ = ["in_memory"]

KEY = bytes(range(32))


def in_sqlite(folder: Path) -> Opening:
    return lambda: SqliteStore.open(folder / "store.sqlite", KeyMaterial(KEY), create=True)


def in_dicts(folder: Path) -> Opening:
    kept = [MemoryStore()]

    def open_it() -> Store:
        kept[0] = kept[0].copy()
        return kept[0]

    return open_it


STORES: dict[str, Callable[[Path], Opening]] = {"sqlite": in_sqlite, "memory": in_dicts}
"""By name: what returns, for a folder, what opens the store there."""


@pytest.fixture(params=STORES)
def opening(request: pytest.FixtureRequest, in_memory: Path) -> Opening:
    return STORES[request.param](in_memory)


@pytest.mark.parametrize("seed", range(6))
def test_a_store_does_what_the_model_does(opening: Opening, seed: int) -> None:
    draw, commits, model = random.Random(seed), Commits(seed), Model()
    store = opening()
    loaded = 0
    for _ in range(60):
        group: list[Commit] = []
        expected: list[list[tuple[bytes, bool]]] = []
        for _ in range(draw.randint(1, 3)):
            group.append(commits.next(model))
            expected += model.commit(group[-1:])
        got = store.commit(group)
        assert [[(bytes(key.reveal()), key.insecure) for key in keys] for keys in got] == expected
        loaded += sum(map(len, got))
        if draw.random() < 0.1:
            assert facts(store.snapshot()) == model.facts()
        if draw.random() < 0.1:
            store.close()
            store = opening()
    assert loaded > 20
    assert facts(store.snapshot()) == model.facts()
    store.close()
    store = opening()
    assert facts(store.snapshot()) == model.facts()
    store.close()


def test_a_name_that_was_there_never_comes_back(opening: Opening) -> None:
    store = opening()
    numbers = list(range(20))
    random.Random(1).shuffle(numbers)
    blocks = [Block("link", "session", number, 10) for number in numbers]
    for token, block in enumerate(blocks):
        store.commit([Commit(token, (PutBlock(block, KeyMaterial(bytes(10))), DropBlock(block.name)))])
    store.close()
    store = opening()
    store.commit([Commit(99, tuple(PutBlock(block, KeyMaterial(bytes(10))) for block in blocks))])
    assert store.snapshot().blocks == ()
    other = Block("link", "session", 20, 10)
    store.commit([Commit(100, (PutBlock(other, KeyMaterial(bytes(10))),))])
    assert store.snapshot().blocks == (other,)
    store.close()


def refuses(store: Store, half: int, begin: int, end: int) -> None:
    """Load what may be loaded of a block, and see that a store does not load another range."""
    block = Block("link", "session", 0, 1000, own_half=1)
    store.commit([Commit(1, (PutBlock(block, KeyMaterial(bytes(1000))), SetMarks(block.name, own=40)))])
    store.commit([Commit(2, (SetMarks(block.name, granted=30, passed=10),))])
    loads = Range(block.name, 1, 40, 100), Range(block.name, 0, 10, 30)
    (keys,) = store.commit([Commit(3, (SetMarks(block.name, own=100),), loads)])
    assert [len(key) for key in keys] == [60, 20]
    with pytest.raises(StoreError):
        store.commit([Commit(4, (), (Range(block.name, half, begin, end),))])
    store.close()


@pytest.mark.parametrize(
    ("half", "begin", "end"),
    [(1, 0, 60), (0, 0, 5), (1, 160, 150), (1, 100, 501)],
    ids=["spent", "passed", "backwards", "beyond"],
)
def test_key_that_is_passed_or_never_was_is_not_loaded(opening: Opening, half: int, begin: int, end: int) -> None:
    refuses(opening(), half, begin, end)


@pytest.mark.parametrize(
    ("half", "begin", "end"), [(1, 100, 101), (0, 20, 31), (2, 0, 0)], ids=["not leased", "not granted", "no half"]
)
def test_sqlite_loads_no_key_that_is_not_allowed_yet(in_memory: Path, half: int, begin: int, end: int) -> None:
    refuses(in_sqlite(in_memory)(), half, begin, end)
