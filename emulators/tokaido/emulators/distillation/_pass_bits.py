"""The bits of a frame in the order of one pass of Cascade, and what costs time there: once for numpy, and in
_fast_cascade.py for the processor itself. Everything here is local: nothing is asked and nothing is said."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tokaido.emulators import fast
from tokaido.emulators.distillation._shuffle_kernels import prefix_parity

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tokaido.emulators.distillation._fast_cascade import FastPassBits
    from tokaido.emulators.distillation._permutation import Permutation

    Bits = NDArray[np.uint8]
    Positions = NDArray[np.int64]
    Places = NDArray[np.uint32]
    Intervals = tuple[Positions, Positions, Positions, Bits]


def pass_bits(bits: Bits, shuffle: Permutation | None) -> PassBits | FastPassBits:
    """Return the frame uint8[n] in the order of a pass; without `shuffle`, in its own."""
    if fast.enabled(bits.size):
        from tokaido.emulators.distillation import _fast_cascade  # noqa: PLC0415 - compiles, so only when needed

        return _fast_cascade.FastPassBits(bits, shuffle.order if shuffle else None)
    return PassBits(shuffle.gather(bits) if shuffle else bits.copy())


def put_aside(low: Positions, high: Positions, at_low: Bits) -> Intervals:
    """Return where intervals of one bit are, and the low and high ends and differences of the longer ones."""
    length = high - low
    short = np.flatnonzero(length == 1)
    if not short.size:
        return low[:0], low, high, at_low
    rest = np.flatnonzero(length > 1)
    return low.take(short), low.take(rest), high.take(rest), at_low.take(rest)


class PassBits:
    """The bits uint8[n] of a frame in the order of a pass."""

    def __init__(self, bits: Bits) -> None:
        self._bits = bits
        self._table: Bits | None = None  # prefix parities, None after a correction

    def parities(self, positions: Positions) -> Bits:
        """Return the parities of the bits before these positions, from 0 to n."""
        if self._table is None:
            self._table = prefix_parity(self._bits)
        return self._table.take(positions)

    def halve(self, heard: Bits, middles: Positions, low: Positions, high: Positions, at_low: Bits) -> Intervals:
        """Halve intervals that hold an odd number of errors, each longer than a bit, and return as `put_aside`.

        `heard` are the peer's parities at the `middles`, `low` and `high` the ends, and `at_low` the differences of
        parity at the low ends. The arrays of the intervals may be overwritten.
        """
        odd_left = (heard ^ self.parities(middles)) != at_low
        return put_aside(np.where(odd_left, low, middles), np.where(odd_left, middles, high), at_low)

    def flip(self, places: Places) -> None:
        """Flip the bits at these places, each named once."""
        self._bits[places] ^= 1
        self._table = None

    @staticmethod
    def toggle(marks: Positions, places: Places, odd: Bits) -> None:
        """Change the parity of the interval that holds each place. The lowest bit of `marks`, ascending, is a parity.

        Interval j lies between marks j and j + 1; its end does not belong to it.
        """
        intervals = np.searchsorted(marks, places.astype(np.int64) << 1 | 1, "right") - 1
        np.bitwise_xor.at(odd, intervals, np.uint8(1))

    def wipe(self) -> None:
        """Overwrite the bits and their parities."""
        self._bits.fill(0)
        if self._table is not None:
            self._table.fill(0)
