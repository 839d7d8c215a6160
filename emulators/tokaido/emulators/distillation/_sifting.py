"""Which slots belong to which block, and what one end holds of them until the block is over.

A block is a number of pulses that is said before the first of them is sent, so what somebody learns of the block can
change neither how long it is nor what is yet to come of it (arXiv:1506.07502). See docs/explanation/distillation.md.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, NamedTuple, cast

import numpy as np

from tokaido.hal import RangeError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tokaido.emulators.distillation._results import BlockAbortError

    Column = NDArray[np.uint8]
    Offsets = NDArray[np.uint32] | NDArray[np.int64]

_SHORT: Final = 1 << 32  # slots of a block that are counted in four bytes each


class Detections(NamedTuple):
    """What one end holds of n detections of a block."""

    slots: NDArray[np.int64]
    basis: Column
    bit: Column
    intensity: Column
    """All 0 at the receiver, who does not know it."""


@dataclass(slots=True, eq=False)
class PlannedBlock:
    """The slots of one block, and what was detected in them so far: 5 or 9 bytes a detection."""

    number: int
    first: int
    pulses: int
    message: bytes
    """As it was said; it begins the block's transcript."""
    most: float = math.inf
    """Detections after which the block is dropped."""
    said_at: int = 0
    """How many slots were over when it was said."""
    refused: BlockAbortError | None = None
    """Why it is to be given up as soon as it is its turn."""
    detections: int = 0
    _chunks: list[tuple[Offsets, Column]] = field(default_factory=list, repr=False)

    @property
    def end(self) -> int:
        """The first slot after it."""
        return self.first + self.pulses

    def take(self, slots: NDArray[np.int64], record: Column) -> None:
        """Keep the detections that are in the block."""
        low, high = (int(place) for place in np.searchsorted(slots, (self.first, self.end)))
        if low == high:
            return
        self.detections += high - low
        if self.refused is None:
            offsets = slots[low:high] - self.first
            short = offsets.astype(np.uint32) if self.pulses <= _SHORT else offsets
            self._chunks.append((short, record[low:high].copy()))

    def next_portion(self, count: int) -> Detections | None:
        """Return up to `count` further detections, the first ones first, and forget them; None if there are no more."""
        if not self._chunks:
            return None
        offsets = self._joined(count)
        return self._leave(offsets[:count].astype(np.int64) + self.first, slice(0, min(count, offsets.size)))

    def next_at(self, slots: NDArray[np.int64]) -> Detections | None:
        """Return the detections at ascending slots, and forget all up to the last; None if one of them has none."""
        if not self._chunks:
            return None
        wanted = slots - self.first
        if np.array_equal(self._joined(wanted.size)[: wanted.size], wanted):  # as always when only clicks were drawn
            return self._leave(slots, slice(0, wanted.size))
        offsets = self._joined(self.detections)
        places = np.searchsorted(offsets, wanted)
        if places[-1] >= offsets.size or (offsets[places] != wanted).any():
            return None
        return self._leave(slots, places)

    def _joined(self, count: int) -> Offsets:
        """Join the first chunks, as many as hold `count` detections, into one, and return its offsets."""
        used = held = 0
        while used < len(self._chunks) and held < count:
            held += self._chunks[used][0].size
            used += 1
        if used > 1:
            parts = self._chunks[:used]
            offsets = cast("Offsets", np.concatenate([part[0] for part in parts]))
            self._chunks[:used] = [(offsets, np.concatenate([part[1] for part in parts]))]
            _wipe(parts)
        return self._chunks[0][0]

    def _leave(self, slots: NDArray[np.int64], places: slice | NDArray[np.intp]) -> Detections:
        offsets, record = self._chunks[0]
        end = places.stop if isinstance(places, slice) else int(places[-1]) + 1
        part = record[places].copy()
        record[:end].fill(0)
        self._chunks[:1] = [(offsets[end:].copy(), record[end:].copy())] if end < offsets.size else []
        one = np.uint8(1)
        return Detections(slots, part & one, part >> one & one, part >> np.uint8(2))

    def refuse(self, abort: BlockAbortError) -> None:
        """Forget what was detected; the block is given up when it is its turn."""
        self.refused = self.refused or abort
        self.wipe()

    def wipe(self) -> None:
        """Overwrite what was detected."""
        _wipe(self._chunks)


def _wipe(chunks: list[tuple[Offsets, Column]]) -> None:
    for _, record in chunks:
        record.fill(0)
    chunks.clear()


class Calendar:
    """The blocks that were said, in the order of their slots. Detections outside of them are not kept."""

    def __init__(self) -> None:
        self.over = 0
        """Slots below this one were sent and detected."""
        self.longest_step = 0
        """The most slots that were over at a time."""
        self._blocks: dict[int, PlannedBlock] = {}

    def add(self, slots: NDArray[np.int64], columns: tuple[Column, ...], until: int | None) -> None:
        """Take int64[n] slots, ascending and above all before, with uint8[n] basis, bit and, if known, intensity.

        `until` is the first slot that is not over yet; None: the one after the last of `slots`.

        Raises:
            RangeError: The arrays differ in length, the slots do not ascend, or they are not over at `until`.
        """
        if any(column.shape != slots.shape for column in columns):
            raise RangeError("the arrays of a raw-data record differ in length")
        if slots.size and (slots[0] < self.over or (slots[1:] <= slots[:-1]).any()):
            raise RangeError("the slots of raw data must ascend, across records too")
        after = int(slots[-1]) + 1 if slots.size else self.over
        until = after if until is None else until
        if until < after:
            raise RangeError(f"slot {after - 1} cannot be detected while only those below {until} are over")
        self.longest_step = max(self.longest_step, until - self.over)
        self.over = until
        if slots.size and self._blocks:
            record = columns[0] | columns[1] << np.uint8(1)
            if len(columns) > 2:
                record |= columns[2] << np.uint8(2)
            for block in self._blocks.values():
                block.take(slots, record)

    def enter(self, block: PlannedBlock) -> None:
        """Note a block."""
        self._blocks[block.number] = block

    @property
    def planned_to(self) -> int:
        """The first slot that is in no block that goes on, and that is not over."""
        return max((block.end for block in self._blocks.values() if block.refused is None), default=self.over)

    def get(self, number: int) -> PlannedBlock | None:
        """Return the block of this number, if it was said and is not forgotten."""
        return self._blocks.get(number)

    def blocks(self) -> list[PlannedBlock]:
        """Return the blocks that were said and are not forgotten, in their order."""
        return list(self._blocks.values())

    def forget_before(self, number: int) -> None:
        """Overwrite and forget the blocks before this one."""
        for known in [known for known in self._blocks if known < number]:
            self._blocks.pop(known).wipe()

    def clear(self) -> None:
        """Overwrite and forget all."""
        for block in self._blocks.values():
            block.wipe()
        self._blocks.clear()
