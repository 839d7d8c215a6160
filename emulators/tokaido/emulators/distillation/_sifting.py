"""Raw data of one end, kept in slot order until the other end speaks about them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tokaido.hal import RangeError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Column = NDArray[np.uint8]


class RawData:
    """Slots and their columns (basis, bit and, at the transmitter, intensity), consumed from the front.

    Args:
        columns: Number of columns, the slots included.
    """

    def __init__(self, columns: int) -> None:
        self._chunks: list[tuple[NDArray[np.int64], list[Column]]] = []
        self._columns = columns - 1
        self._last = -1
        self.consumed = -1
        """The last slot that was taken, -1 at first."""

    def add(self, slots: NDArray[np.int64], *columns: Column) -> None:
        """Append int64[n] slots, ascending and above all before, with their uint8[n] columns.

        Raises:
            RangeError: The arrays differ in length, or the slots do not ascend.
        """
        if len(columns) != self._columns or any(column.shape != slots.shape for column in columns):
            raise RangeError("the arrays of a raw-data record differ in length")
        if not slots.size:
            return
        if slots[0] <= self._last or (slots[1:] <= slots[:-1]).any():
            raise RangeError("the slots of raw data must ascend, across records too")
        self._last = int(slots[-1])
        self._chunks.append((slots, list(columns)))

    def clear(self) -> None:
        """Drop what is left; the arrays belong to the callers that added them."""
        self._chunks.clear()

    def covers(self, slot: int) -> bool:
        """Whether the data reach as far as this slot."""
        return self._last >= slot

    def take_first(self, count: int) -> tuple[NDArray[np.int64], Column, Column] | None:
        """Return slots, basis and bit of up to `count` first detections and forget them, or None if there are none."""
        if not self._chunks:
            return None
        slots, columns = self._joined(count)
        self._keep_from(min(count, slots.size))
        self.consumed = int(slots[:count][-1])
        return slots[:count], columns[0][:count], columns[1][:count]

    def take_slots(self, slots: NDArray[np.int64]) -> tuple[Column, Column, Column] | None:
        """Return basis, bit and intensity of ascending `slots`, None if one is unknown. Forget all up to the last."""
        own, columns = self._joined(None)
        if np.array_equal(own[: slots.size], slots):  # as always when only clicks were ever drawn
            self._keep_from(slots.size)
            self.consumed = int(slots[-1])
            return columns[0][: slots.size], columns[1][: slots.size], columns[2][: slots.size]
        places = np.searchsorted(own, slots)
        self._keep_from(int(np.searchsorted(own, slots[-1], "right")))
        self.consumed = int(slots[-1])
        if (places >= own.size).any() or (own[places] != slots).any():
            return None
        return columns[0][places], columns[1][places], columns[2][places]

    def _joined(self, count: int | None) -> tuple[NDArray[np.int64], list[Column]]:
        """Join the first chunks, as many as hold `count` detections (None: all), into one and return it."""
        used = held = 0
        while used < len(self._chunks) and (count is None or held < count):
            held += self._chunks[used][0].size
            used += 1
        if used > 1:
            parts = self._chunks[:used]
            slots = np.concatenate([part[0] for part in parts])
            columns = [np.concatenate([part[1][i] for part in parts]) for i in range(self._columns)]
            self._chunks[:used] = [(slots, columns)]
        return self._chunks[0]

    def _keep_from(self, start: int) -> None:
        slots, columns = self._chunks[0]
        if start >= slots.size:
            del self._chunks[0]
        else:
            self._chunks[0] = slots[start:], [column[start:] for column in columns]
