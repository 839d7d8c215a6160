"""A store of a node as a few dicts of bytes, and random commits: what any store is compared with."""

from __future__ import annotations

import os
import random
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tokaido.hal import KeyMaterial
from tokaido.node.core import (
    Batch,
    Block,
    BlockName,
    Commit,
    Count,
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
    SetNeighbour,
    Snapshot,
    SupplyRow,
    Write,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

CELL = 32
MEMORY = Path("/dev/shm")


@pytest.fixture
def in_memory(tmp_path: Path) -> Iterator[Path]:
    """A folder where a sync costs nothing, however busy the disk is."""
    if not os.access(MEMORY, os.W_OK):
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(dir=MEMORY) as folder:
        yield Path(folder)


def shown(key: KeyMaterial | None) -> bytes | None:
    """Return the bytes of a key of a test."""
    return None if key is None else bytes(key.reveal())


def facts(snapshot: Snapshot) -> dict[str, Any]:
    """Return what a snapshot says, but the age, as what may be compared. A counter that is 0 is as good as none."""
    counters = {(of, name): amount for of, each in snapshot.counters.items() for name, amount in each.items()}
    return {
        "blocks": {block.name: block for block in snapshot.blocks},
        "batches": {batch.relay: (batch, shown(cells)) for batch, cells in snapshot.batches},
        "supplies": {row.key_id: (row, shown(key)) for row, key in snapshot.supplies},
        "counters": {where: amount for where, amount in counters.items() if amount},
        "neighbours": {name: (marks.mark, marks.told) for name, marks in snapshot.neighbours.items()},
        "ended": {of: ranges for of, ranges in snapshot.ended.items() if ranges},
    }


class Model:
    """What a store has to hold after the same commits."""

    def __init__(self) -> None:
        self.blocks: dict[BlockName, Block] = {}
        self.keys: dict[BlockName, bytes] = {}
        self.names: set[BlockName] = set()
        self.batches: dict[bytes, tuple[Batch, bytes]] = {}
        self.supplies: dict[bytes, tuple[SupplyRow, bytes | None]] = {}
        self.counters: dict[tuple[str, str], int] = {}
        self.neighbours: dict[str, tuple[int, int]] = {}

    def commit(self, commits: Iterable[Commit]) -> list[list[tuple[bytes, bool]]]:
        """Carry out commits, and return the ranges that they load, and whether these are insecure."""
        loaded: list[list[tuple[bytes, bool]]] = []
        for commit in commits:
            for write in commit.writes:
                self._apply(write)
            loaded.append([self.range(wanted) for wanted in commit.loads])
        return loaded

    def range(self, wanted: Range) -> tuple[bytes, bool]:
        """Return a range of a half, and whether it is insecure."""
        begin = wanted.half * (self.blocks[wanted.name].size // 2)
        return self.keys[wanted.name][begin + wanted.begin : begin + wanted.end], self.blocks[wanted.name].insecure

    def facts(self) -> dict[str, Any]:
        """Return what `facts` returns for a snapshot."""
        return {
            "blocks": dict(self.blocks),
            "batches": {
                relay: (batch, bytes(CELL * batch.taken) + cells[CELL * batch.taken :])
                for relay, (batch, cells) in self.batches.items()
            },
            "supplies": dict(self.supplies),
            "counters": {where: amount for where, amount in self.counters.items() if amount},
            "neighbours": dict(self.neighbours),
            "ended": self._ended(),
        }

    def _ended(self) -> dict[tuple[str, str], tuple[tuple[int, int], ...]]:
        """Return the names that were here, one number after another."""
        ended: dict[tuple[str, str], list[tuple[int, int]]] = {}
        for link, session, number in sorted(self.names - self.blocks.keys()):
            ranges = ended.setdefault((link, session), [])
            if ranges and ranges[-1][1] == number - 1:
                ranges[-1] = ranges[-1][0], number
            else:
                ranges.append((number, number))
        return {of: tuple(ranges) for of, ranges in ended.items()}

    def _apply(self, write: Write) -> None:
        match write:
            case PutBlock(block, key):
                if block.name not in self.names:
                    self.names.add(block.name)
                    self.blocks[block.name], self.keys[block.name] = block, bytes(key.reveal())
            case SetMarks(name):
                if name in self.blocks:
                    block = self.blocks[name]
                    self.blocks[name] = replace(
                        block,
                        own=max(block.own, write.own or 0),
                        granted=max(block.granted, write.granted or 0),
                        passed=max(block.passed, write.passed or 0),
                        told=max(block.told, write.told or 0),
                    )
            case DropBlock(name):
                self.blocks.pop(name, None)
                self.keys.pop(name, None)
            case PutBatch(batch, cells):
                self.batches[batch.relay] = batch, bytes(cells.reveal())
            case SetBatch(relay):
                if relay in self.batches:
                    batch, stock = self.batches[relay]
                    ready = batch.ready if write.ready is None else write.ready
                    self.batches[relay] = replace(batch, ready=ready, taken=max(batch.taken, write.taken or 0)), stock
            case DropBatch(relay):
                self.batches.pop(relay, None)
            case PutSupply(row, supplied):
                self.supplies[row.key_id] = row, shown(supplied)
            case Delivered(key_id, slave):
                if key_id in self.supplies:
                    row, kept = self.supplies[key_id]
                    left = tuple(other for other in row.slaves if other != slave)
                    self.supplies[key_id] = replace(row, slaves=left), kept
                    if not left:
                        del self.supplies[key_id]
            case DropSupply(key_id):
                self.supplies.pop(key_id, None)
            case Count(of, amounts):
                for counter, amount in amounts.items():
                    self.counters[of, counter] = self.counters.get((of, counter), 0) + amount
            case SetNeighbour(neighbour):
                mark, told = self.neighbours.get(neighbour, (0, 0))
                self.neighbours[neighbour] = max(mark, write.mark or 0), max(told, write.told or 0)


class Commits:
    """Random commits such as a core gives, and names now and then that are not there, or not any more."""

    def __init__(self, seed: int, *, largest: int = 30_000) -> None:
        self._draw = random.Random(seed)
        self._largest = largest
        self._token = 0
        self._numbers: dict[tuple[str, str], int] = {}

    def next(self, model: Model) -> Commit:
        """Return a commit that suits a store which is as the model is."""
        self._token += 1
        writes: list[Write] = []
        loads: list[Range] = []
        touched: set[BlockName] = set()
        kinds: list[Callable[[], object]] = [
            lambda: writes.append(self._new_block(model)),
            lambda: self._lease(model, writes, loads, touched),
            lambda: writes.append(self._new_batch()),
            lambda: writes.append(self._other(model)),
        ]
        for _ in range(self._draw.randint(1, 4)):
            self._draw.choice(kinds)()
        dropped = {write.name for write in writes if isinstance(write, DropBlock)}
        return Commit(self._token, tuple(writes), tuple(wanted for wanted in loads if wanted.name not in dropped))

    def _new_block(self, model: Model) -> Write:
        draw = self._draw
        link = draw.choice(["gotemba-hakone", "hakone-numazu"])
        session = draw.choice(["s1", "s2 Ω"])
        number = self._numbers.get((link, session), 0)
        if draw.random() < 0.8:
            self._numbers[link, session] = number + 1
        size = draw.choice([1, 2, 4096, 8192, draw.randint(1, self._largest)])
        given = draw.random() < 0.3
        block = Block(
            *(link, session, number, size),
            key_ids=tuple(f"id{at}" for at in range(draw.randint(0, 3))) if given else (),
            insecure=draw.random() < 0.3,
            emulated=draw.random() < 0.5,
            own_half=draw.randint(0, 1),
        )
        return PutBlock(block, KeyMaterial(draw.randbytes(size), insecure=block.insecure))

    def _lease(self, model: Model, writes: list[Write], loads: list[Range], touched: set[BlockName]) -> None:
        """Lease of the own half, grant of the other, or what is received of it."""
        free = [block for name, block in model.blocks.items() if name not in touched]
        if not free:
            return
        draw, block = self._draw, self._draw.choice(free)
        touched.add(block.name)
        other = 1 - block.own_half
        length = [block.size // 2, block.size - block.size // 2]
        if draw.random() < 0.6:
            end = draw.choice([length[block.own_half], draw.randint(block.own, length[block.own_half])])
            writes.append(SetMarks(block.name, own=end, told=draw.choice([None, 5])))
            loads.append(Range(block.name, block.own_half, draw.randint(block.own, end), end))
        else:
            granted = draw.randint(block.granted, length[other]) if block.granted < length[other] else block.granted
            passed = draw.randint(block.passed, granted)
            writes.append(SetMarks(block.name, granted=granted, passed=draw.choice([None, passed])))
            begin = draw.randint(block.passed, granted)
            loads.append(Range(block.name, other, begin, draw.randint(begin, granted)))

    def _new_batch(self) -> Write:
        draw = self._draw
        count = draw.choice([1, 2, 64])
        batch = Batch(
            draw.randbytes(16),
            draw.choice(["hakone", "numazu"]),
            draw.random() < 0.5,
            count,
            draw.choice([("hakone", "numazu"), ("odawara", "hakone", "numazu")]),
            ready=draw.random() < 0.5,
            taken=0,
            born_s=draw.random() * 100,
            insecure=draw.random() < 0.3,
        )
        return PutBatch(batch, KeyMaterial(draw.randbytes(CELL * count)))

    def _other(self, model: Model) -> Write:
        draw = self._draw
        names = sorted(model.names) or [("none", "", 0)]
        relays = [*model.batches, bytes(16)]
        supplies = [*model.supplies, bytes(16)]
        supply = draw.choice(supplies)
        slaves = model.supplies[supply][0].slaves if supply in model.supplies else ("nobody",)
        kinds: list[Callable[[], Write]] = [
            lambda: DropBlock(draw.choice(names)),
            lambda: SetMarks(draw.choice(names), own=0, granted=0, told=draw.randint(0, 99)),
            lambda: self._taking(model, draw.choice(relays)),
            lambda: DropBatch(draw.choice(relays)),
            self._new_supply,
            self._new_supply,
            lambda: Delivered(supply, draw.choice([*slaves, "stranger"])),
            lambda: DropSupply(supply),
            lambda: Count(
                draw.choice(["link:gotemba-hakone", "pair:numazu"]),
                {draw.choice(["drawn", "spent", "discarded"]): draw.randint(-5, 1 << 40)},
            ),
            lambda: SetNeighbour(
                draw.choice(["hakone", "numazu"]),
                draw.choice([None, draw.randint(0, 99)]),
                draw.choice([None, draw.randint(0, 99)]),
            ),
        ]
        return draw.choice(kinds)()

    def _taking(self, model: Model, relay: bytes) -> Write:
        most = model.batches[relay][0].count if relay in model.batches else 3
        return SetBatch(
            relay,
            ready=self._draw.choice([None, True]),
            taken=self._draw.choice([None, most, self._draw.randint(0, most)]),
        )

    def _new_supply(self) -> Write:
        draw = self._draw
        started_here = draw.random() < 0.5
        slaves = tuple(f"sae{at}" for at in range(draw.randint(1, 3)))
        keys = draw.randint(1, 3)
        cells, others = (tuple((draw.randbytes(16), draw.randint(0, 5), 1) for _ in range(keys)) for _ in range(2))
        head = draw.randbytes(16), "numazu", started_here, "master", slaves, 256 * keys - 8
        row = SupplyRow(
            *(*head, cells, 3600.0, draw.random() * 9, 3),
            insecure=draw.random() < 0.3,
            others=others if draw.random() < 0.3 else (),
        )
        return PutSupply(row, None if started_here else KeyMaterial(draw.randbytes(32)))
