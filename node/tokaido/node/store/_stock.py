"""Keys in stock and keys of applications, counters, and what neighbours were told."""

from __future__ import annotations

from dataclasses import replace
from itertools import accumulate
from typing import TYPE_CHECKING, Final, TypeAlias, cast

import msgspec

from tokaido.hal import KeyMaterial
from tokaido.node.core._writes import Batch, NeighbourMarks, SupplyRow
from tokaido.node.store._errors import Damage

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tokaido.node.core._writes import Count, Delivered, PutBatch, PutSupply, SetBatch, SetNeighbour
    from tokaido.node.store._rows import Row, Rows
    from tokaido.node.store._seals import Seal, Seals

Cells: TypeAlias = tuple[tuple[bytes, int, int], ...]

CELL: Final = 32
"""Bytes of a key in a batch."""

_encode = msgspec.msgpack.Encoder().encode
_decode_texts = msgspec.msgpack.Decoder(tuple[str, ...]).decode
_decode_cells = msgspec.msgpack.Decoder(Cells).decode


class Stock:
    """Tables batch, supply, counter and neighbour, within transactions of their owner."""

    def __init__(self, rows: Rows, seals: Seals) -> None:
        self._rows = rows
        self._seals = seals

    # --- batches ------------------------------------------------------------------------------------------------------

    def put_batch(self, write: PutBatch) -> None:
        """Add a batch, unless one of its id is here."""
        batch = write.batch
        if self._rows.get("batch", batch.relay) is not None:
            return
        if len(write.cells) != CELL * batch.count or not 0 <= batch.taken <= batch.count:
            raise ValueError(f"a batch of {batch.count} keys came with {len(write.cells)} bytes")
        self._write_batch(batch, write.cells.reveal())

    def set_batch(self, write: SetBatch) -> bool:
        """Let a batch become ready, and keys leave it; return whether some did."""
        found = self._batch(write.relay)
        if found is None:
            return False
        batch, sealed = found
        taken = batch.taken if write.taken is None else max(batch.taken, min(write.taken, batch.count))
        ready = batch.ready if write.ready is None else write.ready
        now = replace(batch, ready=ready, taken=taken)
        if taken == batch.taken:
            self._rows.put("batch", (batch.relay,), (*_of_batch(now), sealed))
            return False
        self._write_batch(now, memoryview(self._cells(batch, sealed)))
        return True

    def drop_batch(self, relay: bytes) -> bool:
        """Destroy a batch; return whether it was there."""
        there = self._rows.get("batch", relay) is not None
        self._rows.drop("batch", relay)
        return there

    def batches(self) -> Iterator[tuple[Batch, KeyMaterial]]:
        """Yield all batches, with the keys that are in stock."""
        for row in self._rows.all("batch"):
            batch, sealed = _batch_of(row)
            yield batch, KeyMaterial(self._cells(batch, sealed), insecure=batch.insecure)

    def _batch(self, relay: bytes) -> tuple[Batch, bytes | None] | None:
        row = self._rows.get("batch", relay)
        return None if row is None else _batch_of((relay, *row))

    def _write_batch(self, batch: Batch, cells: memoryview) -> None:
        taken = CELL * batch.taken
        # The part is the number of keys taken: an older seal is not taken for the one of now.
        sealed = None if batch.taken == batch.count else self._batch_seal(batch).seal(cells[taken:], batch.taken)
        self._rows.put("batch", (batch.relay,), (*_of_batch(batch), sealed))

    def _cells(self, batch: Batch, sealed: bytes | None) -> bytes:
        """Return the keys of a batch; the taken ones are zero."""
        stock = b"" if sealed is None else self._batch_seal(batch).open(sealed, batch.taken)
        if len(stock) != CELL * (batch.count - batch.taken):
            raise Damage("a batch lacks keys")
        return bytes(CELL * batch.taken) + stock

    def _batch_seal(self, batch: Batch) -> Seal:
        return self._seals.of("batch", batch.relay)

    # --- supplies -----------------------------------------------------------------------------------------------------

    def put_supply(self, write: PutSupply) -> None:
        """Add a supply, unless one of its id is here."""
        row, key = write.row, write.key
        if self._rows.get("supply", row.key_id) is not None:
            return
        sealed = None if key is None else self._supply_seal(row.key_id).seal(key.reveal())
        self._rows.put("supply", (row.key_id,), (*_of_supply(row), sealed))

    def deliver(self, write: Delivered) -> bool:
        """Strike a slave off; return whether the supply is gone with it."""
        found = self._rows.get("supply", write.key_id)
        if found is None:
            return False
        row, sealed = _supply_of((write.key_id, *found))
        if write.slave not in row.slaves:
            return False
        slaves = tuple(slave for slave in row.slaves if slave != write.slave)
        if not slaves:
            return self.drop_supply(write.key_id)
        self._rows.put("supply", (row.key_id,), (*_of_supply(replace(row, slaves=slaves)), sealed))
        return False

    def drop_supply(self, key_id: bytes) -> bool:
        """Destroy a supply; return whether it was there."""
        there = self._rows.get("supply", key_id) is not None
        self._rows.drop("supply", key_id)
        return there

    def supplies(self) -> Iterator[tuple[SupplyRow, KeyMaterial | None]]:
        """Yield all supplies, with their keys where there are any."""
        for found in self._rows.all("supply"):
            row, sealed = _supply_of(found)
            key = None
            if sealed is not None:
                key = KeyMaterial(self._supply_seal(row.key_id).open(sealed), insecure=row.insecure)
            yield row, key

    def _supply_seal(self, key_id: bytes) -> Seal:
        return self._seals.of("supply", key_id)

    # --- counters and neighbours --------------------------------------------------------------------------------------

    def count(self, write: Count) -> None:
        """Let counters grow."""
        for name, amount in write.amounts.items():
            row = self._rows.get("counter", write.of, name)
            before = 0 if row is None else cast("int", row[0])
            self._rows.put("counter", (write.of, name), (before + amount,))

    def counters(self) -> dict[str, dict[str, int]]:
        """Return all counters."""
        found: dict[str, dict[str, int]] = {}
        for row in self._rows.all("counter"):
            of, name, amount = cast("tuple[str, str, int]", row)
            found.setdefault(of, {})[name] = amount
        return found

    def set_neighbour(self, write: SetNeighbour) -> None:
        """Let marks of a neighbour rise."""
        row = cast("tuple[int, int] | None", self._rows.get("neighbour", write.neighbour))
        mark, told = row or (0, 0)
        self._rows.put("neighbour", (write.neighbour,), (max(mark, write.mark or 0), max(told, write.told or 0)))

    def neighbours(self) -> dict[str, NeighbourMarks]:
        """Return marks of all neighbours."""
        rows = (cast("tuple[str, int, int]", row) for row in self._rows.all("neighbour"))
        return {name: NeighbourMarks(mark, told) for name, mark, told in rows}


def _of_batch(batch: Batch) -> Row:
    return (
        *(batch.neighbour, int(batch.started_here), batch.count, _encode(batch.route), int(batch.ready), batch.taken),
        *(float(batch.born_s), int(batch.insecure), int(batch.emulated)),
    )


def _batch_of(row: Row) -> tuple[Batch, bytes | None]:
    relay, neighbour, started_here, count, route, ready, taken, born_s, insecure, emulated, sealed = cast(
        "tuple[bytes, str, int, int, bytes, int, int, float, int, int, bytes | None]", row
    )
    batch = Batch(
        *(relay, neighbour, bool(started_here), count, _decode_texts(route), bool(ready), taken, born_s),
        *(bool(insecure), bool(emulated)),
    )
    return batch, sealed


def _of_supply(row: SupplyRow) -> Row:
    return (
        *(row.neighbour, int(row.started_here), row.master, _encode(row.slaves), row.size),
        _encode((*row.cells, *row.others)),
        *(float(row.max_age_s), float(row.born_s), row.hops, int(row.insecure), int(row.emulated)),
    )


def _supply_of(row: Row) -> tuple[SupplyRow, bytes | None]:
    key_id, neighbour, started_here, master, slaves, size, cells = cast(
        "tuple[bytes, str, int, str, bytes, int, bytes]", row[:7]
    )
    max_age_s, born_s, hops, insecure, emulated, sealed = cast(
        "tuple[float, float, int, int, int, bytes | None]", row[7:]
    )
    of_one, of_other = _routes_of(_decode_cells(cells), size)
    supply = SupplyRow(
        *(key_id, neighbour, bool(started_here), master, _decode_texts(slaves), size, of_one),
        *(max_age_s, born_s, hops, bool(insecure), bool(emulated), of_other),
    )
    return supply, sealed


def _routes_of(cells: Cells, size: int) -> tuple[Cells, Cells]:
    """Return the cells of one route and those of the other: each has as many keys as the size asks for."""
    counts = accumulate(count for _, _, count in cells)
    of_one = sum(count <= -(-size // (8 * CELL)) for count in counts)
    return cells[:of_one], cells[of_one:]
