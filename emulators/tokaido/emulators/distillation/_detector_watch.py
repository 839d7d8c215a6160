"""Whether a receiver's two detectors hear alike, as far as one block of its bits can tell.

The key length is charged for detectors whose efficiencies have a ratio r at least (`DistillationSettings`). Light that
always meets the same two efficiencies makes a share s of ones with (1 - s) / s or its inverse for ratio, so r allows
|s - 1/2| <= (1 - r) / (2 (1 + r)). Of n clicks the better detector then has n |2 s - 1| more, so many are not kept by
the filter of the proof, and that is at most (1 - r) / (1 + r): about half of what is charged. So noise, which clicks
either detector alike and brings s nearer to a half, hides nothing. An eavesdropper who favours one detector for half of
the pulses, and the other for the rest, leaves s at a half: this cannot see her.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

import numpy as np

from tokaido.emulators.distillation._results import AbortReason, BlockAbortError

if TYPE_CHECKING:
    from numpy.typing import NDArray

FALSE_ALARM: Final = 1e-10
"""Chance that a block is taken for uneven though its detectors keep to their ratio, if clicks are independent.

Afterpulses fire the detector that clicked: where one click of ten has one, the chance is 1e-9.
"""
_BASES: Final = "key", "check"


def uneven_limit(ratio: float, bits: int, false_alarm: float = FALSE_ALARM) -> float:
    """Return how far from 1/2 the share of ones among `bits` may be: what `ratio` allows, and chance (Hoeffding)."""
    return (1 - ratio) / (2 * (1 + ratio)) + math.sqrt(math.log(2 / false_alarm) / (2 * bits))


class DetectorWatch:
    """The sifted bits of one block, counted by the pair of detectors that made them, by basis, and by bit.

    Args:
        pairs: How many pairs there are: one for each sub-channel.
    """

    def __init__(self, pairs: int = 1) -> None:
        self._counts = np.zeros((pairs, 2, 2), np.int64)

    @property
    def pairs(self) -> int:
        """How many pairs of detectors are watched."""
        return self._counts.shape[0]

    def count_pair(self, key_bits: NDArray[np.uint8], check_bits: NDArray[np.uint8]) -> None:
        """Add detections of the only pair: the bits of either basis, uint8[n]."""
        for basis, bits in enumerate((key_bits, check_bits)):
            ones = np.count_nonzero(bits)
            self._counts[0, basis] += bits.size - ones, ones

    def count(self, slots: NDArray[np.int64], basis: NDArray[np.uint8], bit: NDArray[np.uint8]) -> None:
        """Add detections: slots int64[n], basis and bit uint8[n]. Slot s is of pair s mod the number of pairs."""
        pairs = self._counts.shape[0]
        cells = basis * np.uint8(2) + bit
        if pairs == 1:
            self._counts[0] += np.bincount(cells, minlength=4).reshape(2, 2)
        else:
            self._counts += np.bincount(slots % pairs * 4 + cells, minlength=4 * pairs).reshape(-1, 2, 2)

    @property
    def ones_share(self) -> float:
        """Share of ones in the key basis, of the pair where it is farthest from a half; nan without any."""
        shares = [ones / (zeros + ones) for zeros, ones in self._counts[:, 0].tolist() if zeros + ones]
        return max(shares, key=lambda share: abs(share - 0.5), default=math.nan)

    def check(self, ratio: float) -> None:
        """Raise `BlockAbortError` if a share of ones is farther from a half than detectors of `ratio` make it."""
        false_alarm = FALSE_ALARM / (2 * self._counts.shape[0])
        for pair, of_pair in enumerate(self._counts.tolist()):
            for basis, (zeros, ones) in zip(_BASES, of_pair, strict=True):
                bits = zeros + ones
                if bits and abs(ones / bits - 0.5) > uneven_limit(ratio, bits, false_alarm):
                    raise BlockAbortError(
                        AbortReason.DETECTOR_MISMATCH,
                        f"{ones / bits:.4f} of {bits} bit of the {basis} basis are ones at detector pair {pair}: "
                        f"detectors of ratio {ratio:g} differ less",
                    )
