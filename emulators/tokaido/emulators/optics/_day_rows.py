"""What is kept of a day: sums over a step or a longer row, as they come, so that memory is that of the rows alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Numbers = NDArray[np.float64]


class Rows:
    """Sums over rows of so many steps each; the last row may be shorter.

    Args:
        steps: How many steps there are in all.
        steps_per_row: How many of them a row has.
        world: How many numbers of the world a step has.
    """

    def __init__(self, steps: int, steps_per_row: int, world: int) -> None:
        self._per_row = steps_per_row
        rows = -(-steps // steps_per_row)
        self.state = np.zeros(rows, "<U8")
        """State at the begin of each row."""
        self.first: NDArray[np.int64] = np.arange(rows, dtype=np.int64) * steps_per_row
        """First step of each row."""
        self.steps: NDArray[np.int64] = np.minimum(steps - self.first, steps_per_row)
        """Steps of each row."""
        self._world = np.zeros((world, rows))
        self._sifted = np.zeros((rows, 2, 2), np.int64)
        self._key_bits = np.zeros(rows)

    def add(self, begin: int, world: Numbers, state: str) -> None:
        """Take steps from `begin` on: the world's numbers, shape (numbers, steps), and the state in all of them."""
        rows, starts = self._place(begin, world.shape[1])
        self._world[:, rows] += np.add.reduceat(world, starts, axis=1)
        begun = rows.start + int(self.first[rows.start] < begin)
        self.state[begun : rows.stop] = state

    def add_counts(self, begin: int, counts: NDArray[np.int64]) -> None:
        """Take the counts of steps from `begin` on, shape (steps, 2, 2, 3)."""
        rows, starts = self._place(begin, counts.shape[0])
        self._sifted[rows] += np.add.reduceat(counts.sum(axis=3), starts, axis=0)

    def add_key(self, begin: int, end: int, bits: int) -> None:
        """Spread the key of a block over its steps."""
        rows, starts = self._place(begin, end - begin)
        self._key_bits[rows] += np.diff(starts, append=end - begin) * (bits / (end - begin))

    @property
    def world(self) -> Numbers:
        """Means of the world's numbers, shape (numbers, rows)."""
        return self._world / self.steps

    def error_rates(self, basis: int) -> Numbers:
        """Return the error rate of each row; NaN where nothing was detected."""
        detected, wrong = self._sifted[:, basis].T
        rates = np.full(detected.size, np.nan)
        np.divide(wrong, detected, out=rates, where=detected > 0)
        return rates

    def detections(self, bases: int) -> Numbers:
        """Return the detections a step in the first one or two bases."""
        detected: Numbers = self._sifted[:, :bases, 0].sum(axis=1) / self.steps
        return detected

    @property
    def key_bits(self) -> Numbers:
        """Key bits a step."""
        return self._key_bits / self.steps

    def _place(self, begin: int, steps: int) -> tuple[slice, NDArray[np.int64]]:
        """Return the rows that steps from `begin` on belong to, and at which of these steps each row begins."""
        rows = slice(begin // self._per_row, (begin + steps - 1) // self._per_row + 1)
        return rows, np.maximum(self.first[rows] - begin, 0)
