"""The store under real cores: SQLite gives simulated nodes what memory gives them, in bad weather and after deaths."""

from __future__ import annotations

import itertools
import random
from typing import TYPE_CHECKING

import pytest

from tokaido.hal import KeyMaterial
from tokaido.node.core import Commit
from tokaido.node.simulation import Chances, World
from tokaido.node.store import MemoryStore, SqliteStore
from tokaido_testing.stores import facts, in_memory, shown

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

__all__ = ["in_memory"]

KEY = bytes(range(32))


class Shadows:
    """For each store in memory, the same store in SQLite, closed and opened again now and then."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._names = itertools.count()
        self._draw = random.Random(1)
        self.stores: dict[MemoryStore, SqliteStore] = {}
        self.commits = 0
        self.loaded = 0
        self.most = 0

    def commit(self, store: MemoryStore, commits: Sequence[Commit]) -> list[list[bytes | None]]:
        if store not in self.stores:
            path = self._folder / f"store{next(self._names)}"
            self.stores[store] = SqliteStore.open(path, KeyMaterial(KEY), create=True)
        if self._draw.random() < 0.01:
            self.stores[store].close()
            self.stores[store] = SqliteStore.open(self.stores[store].path, KeyMaterial(KEY))
        loaded = self.stores[store].commit(commits)
        self.commits += len(commits)
        self.most = max(self.most, len(commits))
        self.loaded += sum(map(len, loaded))
        return [[shown(key) for key in keys] for keys in loaded]


@pytest.mark.parametrize(("seed", "steps"), [(1, 2500), pytest.param(2, 15_000, marks=pytest.mark.thorough)])
def test_a_core_finds_in_sqlite_what_it_finds_in_memory(
    in_memory: Path, monkeypatch: pytest.MonkeyPatch, seed: int, steps: int
) -> None:
    shadows = Shadows(in_memory)
    commit_in_memory = MemoryStore.commit

    def commit(store: MemoryStore, commits: Sequence[Commit]) -> list[tuple[KeyMaterial, ...]]:
        expected = commit_in_memory(store, commits)
        assert shadows.commit(store, commits) == [[shown(key) for key in keys] for keys in expected]
        return expected

    monkeypatch.setattr(MemoryStore, "commit", commit)
    world = World(seed, chances=Chances(kill=0.001))
    world.run(steps)
    assert len(shadows.stores) == 2
    for memory, store in shadows.stores.items():
        assert facts(store.snapshot()) == facts(memory.snapshot())
        store.close()
    assert shadows.loaded > 50
    assert shadows.most > 1
    assert sum(world.killed.values()) > 1
