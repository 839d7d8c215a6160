"""A store after a power cut, at every write: it opens, and holds what was committed, whole."""

from __future__ import annotations

import shutil
import sys
from typing import TYPE_CHECKING

import pytest

from tokaido.hal import KeyMaterial
from tokaido.node.core import Commit, Range
from tokaido.node.store import SqliteStore, StoreError
from tokaido_testing.power_cut import Cut, Recording, record, strace
from tokaido_testing.stores import Commits, Model, facts, in_memory, shown

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["in_memory", "strace"]

KEY = bytes(range(32))
CHILD = f"""
import sys
from pathlib import Path
from tokaido.hal import KeyMaterial
from tokaido.node.store import SqliteStore
from tokaido_testing.power_cut import say
from tokaido_testing.stores import Commits, Model, in_memory

class Stepping:
    now = 0
    def monotonic_ns(self):
        self.now += 600_000_000  # every few commits the log is cut
        return self.now
    utc_ns = monotonic_ns

seed, count, again = map(int, sys.argv[2:])
commits, model = Commits(seed, largest=9000), Model()
key, clock = KeyMaterial({KEY!r}), Stepping()
store = SqliteStore.open(Path(sys.argv[1]) / "state" / "store", key, create=True, clock=clock)
say("open")
for number in range(1, count + 1):
    commit = commits.next(model)
    model.commit([commit])
    store.commit([commit])
    say(str(number))
    store.tend()
    if number == again:
        store.close()
        store = SqliteStore.open(Path(sys.argv[1]) / "state" / "store", key, clock=clock)
store.close()
"""


def recorded(in_memory: Path, seed: int, count: int) -> Recording:
    folder = in_memory / "recorded"
    folder.mkdir()
    command = [sys.executable, "-c", CHILD, str(folder), str(seed), str(count), str(count // 2)]
    return record(folder, command, in_memory / "trace")


class States:
    """What the child's store holds after each of its commits."""

    def __init__(self, seed: int, count: int) -> None:
        commits, model = Commits(seed, largest=9000), Model()
        self.facts = [model.facts()]
        self.keys = [dict(model.keys)]
        for _ in range(count):
            model.commit([commits.next(model)])
            self.facts.append(model.facts())
            self.keys.append(dict(model.keys))

    def mistake(self, cut: Cut, folder: Path) -> str:
        """Return what is wrong with the store that a cut leaves; nothing if it is as it was, or one commit further."""
        done = int(cut.said[-1]) if cut.said and cut.said[-1] != "open" else 0
        path = folder / "state" / "store"
        if not path.exists() and not cut.said:
            return ""  # nobody was told that there is one
        try:
            store = SqliteStore.open(path, KeyMaterial(KEY), create=not cut.said)
        except StoreError as error:
            return str(error)
        try:
            found = store.snapshot()
            number = next((at for at in (done, done + 1) if self.facts[at : at + 1] == [facts(found)]), None)
            if number is None:
                return f"it is not as after commit {done}, and not as after the next one"
            # Of the other half: what was granted, and is not passed.
            loads = [Range(block.name, 1 - block.own_half, block.passed, block.granted) for block in found.blocks]
            (keys,) = store.commit([Commit(1, (), tuple(loads))])
            for wanted, key, block in zip(loads, keys, found.blocks, strict=True):
                begin = wanted.half * (block.size // 2)
                if shown(key) != self.keys[number][block.name][begin + wanted.begin : begin + wanted.end]:
                    return f"it has another key for {block.name}"
        finally:
            store.close()
        return ""


def mistakes(recording: Recording, states: States, in_memory: Path, **how: int) -> tuple[int, list[str]]:
    """Return how many cuts there were, and what was wrong after which."""
    found, folder = [], in_memory / "cut"
    number = 0
    for cut in recording.cuts(**how):
        number += 1
        cut.place(folder)
        if wrong := states.mistake(cut, folder):
            found.append(f"{cut}: {wrong}")
        shutil.rmtree(folder)
    return number, found


@pytest.mark.usefixtures("strace")
@pytest.mark.parametrize(("seed", "count", "parts"), [(1, 6, 1), pytest.param(2, 40, 3, marks=pytest.mark.thorough)])
def test_a_power_cut_at_any_write_loses_nothing_that_was_committed(
    in_memory: Path, seed: int, count: int, parts: int
) -> None:
    recording, states = recorded(in_memory, seed, count), States(seed, count)
    number, wrong = mistakes(recording, states, in_memory, parts=parts)
    assert wrong == []
    assert number > 30 * count


@pytest.mark.usefixtures("strace")
@pytest.mark.thorough
def test_on_a_disk_that_lies_about_its_syncs_a_power_cut_loses_commits(in_memory: Path) -> None:
    """Were it not so, the test above could not fail."""
    recording, states = recorded(in_memory, 1, 4), States(1, 4)
    number, wrong = mistakes(recording, states, in_memory, parts=0, honest=recording.when("1"))
    lost = [each for each in wrong if "it is not as after commit" in each]
    assert number / 4 > len(lost) >= 3
