"""Blocks of link key: their marks, and their halves as segments, which are gone once they are passed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, cast

import msgspec

from tokaido.hal import KeyMaterial
from tokaido.node.core._writes import Block
from tokaido.node.store._errors import Damage

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator

    from tokaido.node.core._writes import BlockName, PutBlock, Range, SetMarks
    from tokaido.node.store._rows import Rows
    from tokaido.node.store._seals import Seal, Seals

SEGMENT: Final = 4096
"""Bytes of key in a segment; the last one of a half may have fewer."""
HALF_BITS: Final = 20
"""A half has at most 2^20 segments. The id of one is the block's id, the half and its number, one after another."""

_encode = msgspec.msgpack.Encoder().encode
_decode_texts = msgspec.msgpack.Decoder(tuple[str, ...]).decode


def half_length(size: int, half: int) -> int:
    """Return how many bytes a half has."""
    return size - size // 2 if half else size // 2


class Blocks:
    """Tables block, lease, segment and ended, within transactions of their owner."""

    def __init__(self, database: sqlite3.Connection, rows: Rows, seals: Seals) -> None:
        self._database = database
        self._rows = rows
        self._seals = seals
        self._next = 1 + int(database.execute("SELECT coalesce(max(id), 0) FROM block").fetchone()[0])

    def put(self, write: PutBlock) -> None:
        """Add a block, unless one of its name is or was here."""
        block, key = write.block, write.key
        if self._rows.get("block", *block.name) is not None or self._has_ended(block.name):
            return
        if len(key) != block.size or block.own_half not in {0, 1}:
            raise ValueError(f"a block of {block.size} bytes came with {len(key)} bytes of key")
        if half_length(block.size, 1) > SEGMENT << HALF_BITS:
            raise ValueError(f"a block of {block.size} bytes is too large")
        number = self._next
        self._next += 1
        self._rows.put(
            "block",
            block.name,
            (
                *(number, block.size, block.own_half, _encode(block.key_ids)),
                *(int(block.insecure), int(block.emulated)),
            ),
        )
        self._rows.put("lease", (number,), (block.own, block.granted, block.passed, block.told))
        seal = self._seal(block.name)
        with key.reveal() as view:
            for half, begin in enumerate((0, block.size // 2)):
                stored = view[begin : begin + half_length(block.size, half)]
                self._database.executemany(
                    "INSERT INTO segment VALUES (?, ?)",
                    [
                        (_id(number, half, at), seal.seal(stored[at * SEGMENT : (at + 1) * SEGMENT], half, at))
                        for at in _kept(block, half)
                    ],
                )

    def set_marks(self, write: SetMarks) -> bool:
        """Let marks rise; return whether key was passed."""
        found = self.find(write.name)
        if found is None:
            return False
        number, block = found
        before = block.own, block.granted, block.passed, block.told
        wanted = write.own, write.granted, write.passed, write.told
        now = tuple(old if new is None else max(old, new) for old, new in zip(before, wanted, strict=True))
        if now != before:
            self._rows.put("lease", (number,), now)
        return now[0] > block.own or now[2] > block.passed

    def sweep(self, name: BlockName) -> bool:
        """Delete the segments that are passed; return whether there were any."""
        found = self.find(name)
        if found is None:
            return False
        number, block = found
        deleted = 0
        for half in (0, 1):
            begin, kept = _id(number, half, 0), _kept(block, half)
            deleted += self._delete(begin, begin + (kept.start if kept else 1 << HALF_BITS))
        return deleted > 0

    def drop(self, name: BlockName) -> bool:
        """Destroy a block, and remember its name; return whether it was there."""
        found = self.find(name)
        if found is None:
            return False
        number, _ = found
        self._delete(_id(number, 0, 0), _id(number + 1, 0, 0))
        self._rows.drop("lease", number)
        self._rows.drop("block", *name)
        self._remember(name)
        return True

    def find(self, name: BlockName) -> tuple[int, Block] | None:
        """Return a block and its number in the file, None if it is not here."""
        row = self._rows.get("block", *name)
        return None if row is None else self._whole((*name, *row))

    def all(self) -> Iterator[tuple[int, Block]]:
        """Yield all blocks, with their numbers."""
        for row in list(self._rows.all("block")):
            yield self._whole(row)

    def load(self, wanted: Range, before: Block | None) -> KeyMaterial:
        """Return a range of a half.

        Args:
            wanted: Which.
            before: The block as it was before the marks rose that allow it; None: as it is.

        Raises:
            Damage: The block is not here, the range is passed or not allowed yet, or its seal is broken.
        """
        found = self.find(wanted.name)
        if found is None:
            raise Damage("a range of a block was asked for that is not in it")
        number, block = found
        before = before or block
        own = wanted.half == block.own_half
        least, most = (before.own, block.own) if own else (before.passed, block.granted)
        if not (wanted.half in {0, 1} and least <= wanted.begin <= wanted.end <= most):
            raise Damage(
                f"the range {wanted.begin} to {wanted.end} of {'its own' if own else 'the other'} half of a block was"
                f" asked for, and {least} to {most} may be"
            )
        seal = self._seal(wanted.name)
        first = wanted.begin // SEGMENT
        numbers = range(first, -(-wanted.end // SEGMENT) if wanted.end > wanted.begin else first)
        sealed = self._database.execute(
            "SELECT id, sealed FROM segment WHERE id >= ? AND id < ? ORDER BY id",
            (_id(number, wanted.half, numbers.start), _id(number, wanted.half, numbers.stop)),
        ).fetchall()
        if [row[0] for row in sealed] != [_id(number, wanted.half, at) for at in numbers]:
            raise Damage("segments of a block are missing")
        opened = bytearray()
        skipped = wanted.begin - first * SEGMENT
        try:
            for at, (_, data) in zip(numbers, sealed, strict=True):
                if not isinstance(data, bytes):
                    raise Damage("a segment of a block was altered")
                opened += seal.open(data, wanted.half, at)
            with memoryview(opened) as view:
                key = KeyMaterial(view[skipped : skipped + wanted.end - wanted.begin], insecure=block.insecure)
        finally:
            opened[:] = bytes(len(opened))
        if len(key) != wanted.end - wanted.begin:
            raise Damage("a block is shorter than the range that was asked for")
        return key

    def check(self) -> None:
        """See that each block has the segments that it must have.

        Raises:
            Damage: One is missing, or is not of any block.
        """
        there = self._database.execute(
            "SELECT id >> ? AS half, count(*), min(id), max(id) FROM segment GROUP BY half", (HALF_BITS,)
        )
        found = {row[0]: row[1:] for row in there}
        for number, block in self.all():
            for half in (0, 1):
                kept = _kept(block, half)
                is_there = found.pop(_id(number, half, 0) >> HALF_BITS, None)
                if kept and is_there != (len(kept), _id(number, half, kept[0]), _id(number, half, kept[-1])):
                    raise Damage("segments of a block are missing")
                if not kept and is_there is not None:
                    raise Damage("a block has segments that were deleted")
        if found:
            raise Damage("there are segments without a block")

    def _whole(self, row: tuple[object, ...]) -> tuple[int, Block]:
        link, session, index, number, size, own_half, key_ids, insecure, emulated = cast(
            "tuple[str, str, int, int, int, int, bytes, int, int]", row
        )
        marks = self._rows.get("lease", number)
        if marks is None:
            raise Damage("a block has no marks")
        own, granted, passed, told = cast("tuple[int, int, int, int]", marks)
        ids = _decode_texts(key_ids)
        return number, Block(
            *(link, session, index, size, own, granted, passed, told, ids, bool(insecure), bool(emulated)), own_half
        )

    def _seal(self, name: BlockName) -> Seal:
        return self._seals.of("block", *name)

    def _delete(self, begin: int, end: int) -> int:
        return self._database.execute("DELETE FROM segment WHERE id >= ? AND id < ?", (begin, end)).rowcount

    # --- names of blocks that were here, as ranges of numbers -------------------------------------------------------

    def ended(self) -> dict[tuple[str, str], tuple[tuple[int, int], ...]]:
        """Return the numbers of blocks that were here, by link and session, as ranges from first to last."""
        found: dict[tuple[str, str], list[tuple[int, int]]] = {}
        for row in self._rows.all("ended"):
            link, session, first, last = cast("tuple[str, str, int, int]", row)
            found.setdefault((link, session), []).append((first, last))
        return {of: tuple(sorted(ranges)) for of, ranges in found.items()}

    def _has_ended(self, name: BlockName) -> bool:
        found = self._database.execute(
            "SELECT last FROM ended WHERE link = ? AND session = ? AND first <= ? ORDER BY first DESC LIMIT 1", name
        ).fetchone()
        return found is not None and found[0] >= name[2]

    def _remember(self, name: BlockName) -> None:
        link, session, first = name
        last = first
        before = self._database.execute(
            "SELECT first FROM ended WHERE link = ? AND session = ? AND last = ?", (link, session, first - 1)
        ).fetchone()
        if before is not None:
            first = before[0]
        after = self._rows.get("ended", link, session, last + 1)
        if after is not None:
            self._rows.drop("ended", link, session, last + 1)
            last = cast("int", after[0])
        self._rows.put("ended", (link, session, first), (last,))


def _kept(block: Block, half: int) -> range:
    """Return the numbers of the segments of a half that are not passed."""
    passed, length = block.own if half == block.own_half else block.passed, half_length(block.size, half)
    return range(passed // SEGMENT, -(-length // SEGMENT) if passed < length else passed // SEGMENT)


def _id(block: int, half: int, number: int) -> int:
    return ((block << 1 | half) << HALF_BITS) + number
