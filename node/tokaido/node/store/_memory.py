"""A store in memory: the model of what a store does, and the one of the simulator."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import TYPE_CHECKING

from tokaido.hal import KeyMaterial
from tokaido.node.core import _writes as w
from tokaido.node.core._ranges import Ranges, added, within
from tokaido.node.messages import CELL
from tokaido.node.store import StoreError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tokaido.node.core._actions import Commit


@dataclass(slots=True)
class _State:
    """All that the store knows. Records are replaced and never changed, so that a shallow copy of each map is one."""

    blocks: dict[w.BlockName, w.Block] = field(default_factory=dict)
    keys: dict[w.BlockName, bytes] = field(default_factory=dict)
    ended: dict[tuple[str, str], Ranges] = field(default_factory=dict)
    batches: dict[bytes, w.Batch] = field(default_factory=dict)
    cells: dict[bytes, bytes] = field(default_factory=dict)
    supplies: dict[bytes, w.SupplyRow] = field(default_factory=dict)
    supplied: dict[bytes, bytes] = field(default_factory=dict)
    counters: dict[str, dict[str, int]] = field(default_factory=dict)
    neighbours: dict[str, w.NeighbourMarks] = field(default_factory=dict)


class MemoryStore:
    """A `Store` over dicts. Commits last as long as the object does; nothing is on a disk.

    Attributes:
        age_s: The node's own age that the next snapshot tells; its user sets it.
    """

    def __init__(self) -> None:
        self.age_s = 0.0
        self._state = _State()
        self._closed = False

    def copy(self) -> MemoryStore:
        """Return another store of the same content, as a copy of a disk is."""
        other = MemoryStore()
        other.age_s, other._state = self.age_s, _copied(self._state)
        return other

    def snapshot(self) -> w.Snapshot:
        """Return all that a core starts from."""
        self._check_open()
        state = self._state
        return w.Snapshot(
            blocks=tuple(state.blocks.values()),
            batches=tuple(
                (batch, KeyMaterial(state.cells[relay], insecure=batch.insecure))
                for relay, batch in state.batches.items()
            ),
            supplies=tuple(
                (row, KeyMaterial(state.supplied[key_id], insecure=row.insecure) if key_id in state.supplied else None)
                for key_id, row in state.supplies.items()
            ),
            counters=dict(state.counters),
            neighbours=dict(state.neighbours),
            ended=dict(state.ended),
            age_s=self.age_s,
        )

    @property
    def blocks(self) -> Mapping[w.BlockName, w.Block]:
        """The blocks, by name."""
        return MappingProxyType(self._state.blocks)

    @property
    def batches(self) -> Mapping[bytes, w.Batch]:
        """The batches, by relay."""
        return MappingProxyType(self._state.batches)

    @property
    def supplies(self) -> Mapping[bytes, w.SupplyRow]:
        """The supplies, by key id."""
        return MappingProxyType(self._state.supplies)

    @property
    def counters(self) -> Mapping[str, Mapping[str, int]]:
        """The counters of each link and pair."""
        return MappingProxyType(self._state.counters)

    @property
    def neighbours(self) -> Mapping[str, w.NeighbourMarks]:
        """The marks of each neighbour."""
        return MappingProxyType(self._state.neighbours)

    def commit(self, commits: Sequence[Commit]) -> list[tuple[KeyMaterial, ...]]:
        """Make all writes of all commits durable, then return what each asked to be loaded.

        Raises:
            StoreError: A range was to be loaded that is not there. Nothing was written.
        """
        self._check_open()
        state = _copied(self._state)
        passed: set[w.BlockName] = set()
        loaded: list[tuple[KeyMaterial, ...]] = []
        for commit in commits:
            for write in commit.writes:
                _apply(state, write)
                if isinstance(write, w.SetMarks):
                    passed.add(write.name)
            loaded.append(tuple(_load(state, self._state, asked) for asked in commit.loads))
        for name in passed & state.blocks.keys():
            state.keys[name] = _destroyed(state.blocks[name], state.keys[name])
        self._state = state
        return loaded

    def close(self) -> None:
        """Let go of it: it takes no more commits."""
        self._closed = True

    def _check_open(self) -> None:
        if self._closed:
            raise StoreError("the store is closed")

    def __repr__(self) -> str:
        return f"<MemoryStore {len(self._state.blocks)} blocks, {len(self._state.batches)} batches>"


def _copied(state: _State) -> _State:
    return _State(
        dict(state.blocks),
        dict(state.keys),
        dict(state.ended),
        dict(state.batches),
        dict(state.cells),
        dict(state.supplies),
        dict(state.supplied),
        dict(state.counters),
        dict(state.neighbours),
    )


def _apply(state: _State, write: w.Write) -> None:
    match write:
        case w.PutBlock(block, key):
            if block.name not in state.blocks and not within(state.ended.get(block.name[:2], ()), block.number):
                state.blocks[block.name] = block
                state.keys[block.name] = bytes(key.reveal())
        case w.SetMarks(name):
            if name in state.blocks:
                state.blocks[name] = _raised(state.blocks[name], write)
        case w.DropBlock(name):
            if state.blocks.pop(name, None) is not None:
                del state.keys[name]
                state.ended[name[:2]] = added(state.ended.get(name[:2], ()), name[2])
        case w.PutBatch(batch, cells):
            state.batches[batch.relay] = batch
            state.cells[batch.relay] = _without_taken(bytes(cells.reveal()), batch.taken)
        case w.SetBatch(relay, ready, taken):
            if relay in state.batches:
                batch = state.batches[relay]
                ready = batch.ready if ready is None else ready
                state.batches[relay] = batch = replace(batch, ready=ready, taken=max(batch.taken, taken or 0))
                state.cells[relay] = _without_taken(state.cells[relay], batch.taken)
        case w.DropBatch(relay):
            state.batches.pop(relay, None)
            state.cells.pop(relay, None)
        case w.PutSupply(row, supplied):
            state.supplies[row.key_id] = row
            if supplied is not None:
                state.supplied[row.key_id] = bytes(supplied.reveal())
        case w.Delivered(key_id, slave):
            if key_id in state.supplies:
                row = state.supplies[key_id]
                left = tuple(name for name in row.slaves if name != slave)
                state.supplies[key_id] = replace(row, slaves=left)
                if not left:
                    _drop_supply(state, key_id)
        case w.DropSupply(key_id):
            _drop_supply(state, key_id)
        case w.Count(of, amounts):
            now = dict(state.counters.get(of, {}))
            for name, amount in amounts.items():
                now[name] = now.get(name, 0) + amount
            state.counters[of] = now
        case w.SetNeighbour(name, mark, told):
            before = state.neighbours.get(name, w.NeighbourMarks())
            state.neighbours[name] = w.NeighbourMarks(max(before.mark, mark or 0), max(before.told, told or 0))
        case w.Post():
            pass  # it has no outbox


def _drop_supply(state: _State, key_id: bytes) -> None:
    state.supplies.pop(key_id, None)
    state.supplied.pop(key_id, None)


def _raised(block: w.Block, marks: w.SetMarks) -> w.Block:
    return replace(
        block,
        own=max(block.own, marks.own or 0),
        granted=max(block.granted, marks.granted or 0),
        passed=max(block.passed, marks.passed or 0),
        told=max(block.told, marks.told or 0),
    )


def _without_taken(cells: bytes, taken: int) -> bytes:
    return bytes(CELL * taken) + cells[CELL * taken :]


def _destroyed(block: w.Block, key: bytes) -> bytes:
    """Return the key of a block without what is used up in either half."""
    first, second = _used_up(block, 0), _used_up(block, 1)
    middle = block.size // 2
    return bytes(first) + key[first:middle] + bytes(second) + key[middle + second :]


def _used_up(block: w.Block, half: int) -> int:
    return block.own if half == block.own_half else block.passed


def _load(state: _State, before: _State, asked: w.Range) -> KeyMaterial:
    where, block = "/".join(map(str, asked.name)), state.blocks.get(asked.name)
    if block is None:
        raise StoreError(f"block {where} is not in the store")
    start, stop = (0, block.size // 2) if asked.half == 0 else (block.size // 2, block.size)
    if not 0 <= asked.begin <= asked.end <= stop - start:
        raise StoreError(f"block {where} has no range {asked.begin} to {asked.end} in half {asked.half}")
    if asked.name in before.blocks and asked.begin < _used_up(before.blocks[asked.name], asked.half):
        raise StoreError(f"block {where} was destroyed at {asked.begin} in half {asked.half}")
    key = state.keys[asked.name]
    return KeyMaterial(key[start + asked.begin : start + asked.end], insecure=block.insecure)
