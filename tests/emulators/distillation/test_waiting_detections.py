"""What one end holds of a block is handed out in portions, and none of them touches all that waits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from tokaido.emulators.distillation._sifting import Detections, PlannedBlock

if TYPE_CHECKING:
    from numpy.typing import NDArray

COUNT = 400
PORTION = 37


def waiting(seed: int, chunks: int) -> tuple[PlannedBlock, NDArray[np.int64], NDArray[np.uint8]]:
    """Return a block with detections in so many chunks, some of them empty, and what it holds."""
    rng = np.random.default_rng(seed)
    slots = 3 + np.cumsum(rng.integers(1, 5, COUNT)).astype(np.int64)
    record = rng.integers(0, 16, COUNT).astype(np.uint8)
    block = PlannedBlock(1, 3, int(slots[-1]), b"")
    cuts = np.sort(rng.integers(0, COUNT + 1, chunks - 1))
    for low, high in zip([0, *cuts], [*cuts, COUNT], strict=True):
        block.take(slots[low:high], record[low:high])
    return block, slots, record


def matches(part: Detections, slots: Any, record: Any) -> bool:
    columns: tuple[Any, ...] = (slots, record & 1, record >> 1 & 1, record >> 2)
    return all(np.array_equal(found, wanted) for found, wanted in zip(list[Any](part), columns, strict=True))


@pytest.mark.parametrize("chunks", [1, 2, 9, 300])
@pytest.mark.parametrize("share", [1.0, 0.6])
def test_portions_are_what_was_detected(chunks: int, share: float) -> None:
    block, slots, record = waiting(chunks, chunks)
    if share == 1.0:
        for start in range(0, COUNT, PORTION):
            part = block.next_portion(PORTION)
            assert part is not None
            assert matches(part, slots[start : start + PORTION], record[start : start + PORTION])
        assert block.next_portion(PORTION) is None
    block, slots, record = waiting(chunks, chunks)
    wanted = np.flatnonzero(np.random.default_rng(7).random(COUNT) < share)
    for start in range(0, wanted.size, PORTION):
        at = wanted[start : start + PORTION]
        part = block.next_at(slots[at])
        assert part is not None
        assert matches(part, slots[at], record[at])


@pytest.mark.parametrize("alteration", ["between", "before", "after", "far"])
def test_a_slot_without_a_detection_is_noticed(alteration: str) -> None:
    block, slots, _ = waiting(1, 9)
    wanted = slots[:PORTION].copy()
    gap = next(slot for slot in range(int(slots[0]), int(slots[-1])) if slot not in slots)
    extra = {"between": gap, "before": 2, "after": int(slots[-1]) + 1, "far": 1 << 40}[alteration]
    assert block.next_at(np.unique(np.append(wanted, extra))) is None


@pytest.mark.parametrize("every", [1, 2])
def test_a_portion_leaves_later_detections_where_they_are(every: int) -> None:
    block, slots, _ = waiting(3, 9)
    last = block._chunks[-1]
    assert block.next_at(slots[: 2 * PORTION : every]) is not None
    assert block._chunks[-1] is last
    one, slots, _ = waiting(3, 1)
    whole = one._chunks[0][1]
    assert one.next_at(slots[:PORTION:every]) is not None
    assert np.shares_memory(one._chunks[0][1], whole)
    assert not whole[: (PORTION - 1) // every * every].any()


def test_what_was_handed_out_or_refused_is_overwritten() -> None:
    block, slots, _ = waiting(5, 2)
    records = [record for _, record in block._chunks]
    assert block.next_portion(PORTION) is not None
    block.wipe()
    assert not any(record.any() for record in records)
    assert slots.size == COUNT
