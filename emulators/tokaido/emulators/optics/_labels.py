"""Labels of clicks: which intensity, bases and error a click comes with, drawn from one table of probabilities.

Given the link's conditions every pulse clicks independently, so the label of a click has one and the same distribution
and 48 classes hold all of it, under every attack. Nothing is drawn for pulses that do not click.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from tokaido.emulators import fast

# A label in one byte: intensity << 4 | transmitter basis << 3 | receiver basis << 2 | double click << 1 | error.
ERROR: Final = 1
DOUBLE: Final = 2
RECEIVER_BASIS_SHIFT: Final = 2
TRANSMITTER_BASIS_SHIFT: Final = 3
INTENSITY_SHIFT: Final = 4

SENT_SHIFT: Final = 6
"""Where a table of probabilities, and no label, has the bit that was sent."""

_CELLS: Final = 1 << 16
_AMBIGUOUS: Final = 255


def intensities_of(labels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return 0 signal, 1 decoy, 2 vacuum for each label."""
    return labels >> np.uint8(INTENSITY_SHIFT)


def transmitter_bases_of(labels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return 0 for Z and 1 for X for each label."""
    return labels >> np.uint8(TRANSMITTER_BASIS_SHIFT) & np.uint8(1)


def receiver_bases_of(labels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return 0 for Z and 1 for X for each label."""
    return labels >> np.uint8(RECEIVER_BASIS_SHIFT) & np.uint8(1)


class LabelSampler:
    """Draws labels from a table of probabilities, exactly, at one small look-up a label.

    A guide table maps 65536 equal cells of [0, 1) to a label; the few cells that a boundary cuts are refined with a
    second draw and a bisection.
    """

    def __init__(self, probabilities: dict[int, float]) -> None:
        """Take a probability (up to a common factor) for each label, or for each label | sent bit << SENT_SHIFT."""
        possible = {key: p for key, p in probabilities.items() if p > 0}
        self.keys = np.array(list(possible))
        """The keys that may happen, and"""
        shares = np.array(list(possible.values()))
        self.shares = shares / shares.sum()
        """their chances."""
        both: dict[int, list[float]] = {}
        for key, p in possible.items():
            both.setdefault(key & (1 << SENT_SHIFT) - 1, [0.0, 0.0])[key >> SENT_SHIFT] += p
        self._labels = np.array(list(both), dtype=np.uint8)
        limits = np.cumsum([zero + one for zero, one in both.values()])
        self._limits = limits[:-1] / limits[-1] * _CELLS
        edges = np.concatenate([[0], np.ceil(self._limits), [_CELLS]]).astype(np.int64)
        guide = np.repeat(self._labels, np.diff(edges))
        cut = np.floor(self._limits).astype(np.int64)
        guide[cut[cut < _CELLS]] = _AMBIGUOUS
        self._guide = guide
        self.chance_of_one = np.zeros(1 << SENT_SHIFT)
        """Chance that the sent bit is 1, for each label; without a meaning where sent bits were not told apart."""
        for label, (zero, one) in both.items():
            self.chance_of_one[label] = one / (zero + one)

    def draw(self, n: int, rng: np.random.Generator) -> NDArray[np.uint8]:
        """Return `n` labels, uint8."""
        words = rng.integers(0, 2**64 - 1, (n + 3) // 4, dtype=np.uint64, endpoint=True)
        cells = words.view(np.uint16)[:n]
        if fast.enabled(n):
            from . import _fast_clicks  # noqa: PLC0415 - compiles, so only when needed

            labels = _fast_clicks.look_up(self._guide, cells)
        else:
            labels = self._guide.take(cells, mode="wrap")
        again = np.flatnonzero(labels == _AMBIGUOUS)
        if again.size:
            place = cells[again] + rng.random(again.size)
            labels[again] = self._labels[np.searchsorted(self._limits, place, side="right")]
        return labels
