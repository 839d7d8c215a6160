"""Sifting and the slots on the wire, compiled by numba: what _sifting.py and _codec.py make of the same arrays."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tokaido.emulators.fast import compiled

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Column = NDArray[np.uint8]
    Slots = NDArray[np.int64]
    Distances = NDArray[np.uint16]


def select(values: Column, mask: Column) -> Column:
    """Return the values where the mask, uint8[n] of 0 and 1, is 1."""
    chosen = np.empty(values.size + 1, np.uint8)  # one more: a value that is not chosen is written, and overwritten
    return chosen[: _select(values, mask, chosen)]


def pack_slots(slots: Slots, previous: int, wide: int) -> tuple[Distances, Slots]:
    """Return the distances of slots, `wide` for those that are not shorter, and those."""
    distances, far = np.empty(slots.size, np.uint16), np.empty(slots.size + 1, np.int64)
    return distances, far[: _pack_slots(slots, previous, wide, distances, far)]


def unpack_slots(distances: Distances, far: Slots, previous: int, *, wide: int, largest: int) -> Slots | None:
    """Return the slots; None where they do not ascend, or pass the largest one, or `far` does not fit."""
    slots = np.empty(distances.size, np.int64)
    return slots if _unpack_slots(distances, far, previous, wide, largest, slots) else None


# --- kernels: indices are not checked here --------------------------------------------------------------------------


@compiled("int64(uint8[::1], uint8[::1], uint8[::1])")
def _select(values: Column, mask: Column, chosen: Column) -> int:
    """No branch: it would be guessed wrong every other time."""
    count = 0
    for i in range(values.size):
        chosen[count] = values[i]
        count += mask[i]
    return count


@compiled("int64(int64[::1], int64, int64, uint16[::1], int64[::1])")
def _pack_slots(slots: Slots, previous: int, wide: int, distances: Distances, far: Slots) -> int:
    count = 0
    for i in range(slots.size):
        distance = slots[i] - previous
        previous = slots[i]
        distances[i] = min(distance, wide)
        far[count] = distance
        count += distance >= wide
    return count


@compiled("boolean(uint16[::1], int64[::1], int64, int64, int64, int64[::1])")
def _unpack_slots(distances: Distances, far: Slots, previous: int, wide: int, largest: int, slots: Slots) -> bool:
    used = 0
    slot = previous
    for i in range(distances.size):
        distance = int(distances[i])
        if distance == wide:
            if used == far.size or far[used] < wide:
                return False
            distance = far[used]
            used += 1
        if distance < 1 or distance > largest - slot:
            return False
        slot += distance
        slots[i] = slot
    return used == far.size
