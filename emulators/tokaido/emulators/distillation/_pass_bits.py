"""The bits of a frame in the order of one pass of Cascade, and what costs time there: once for numpy, and in
_fast_cascade.py for the processor itself. Everything here is local: nothing is asked and nothing is said."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tokaido.emulators import fast

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tokaido.emulators.distillation._fast_cascade import FastPassBits
    from tokaido.emulators.distillation._permutation import Permutation

    Bits = NDArray[np.uint8]
    Positions = NDArray[np.int64]
    Places = NDArray[np.integer]


def pass_bits(bits: Bits, shuffle: Permutation | None) -> PassBits | FastPassBits:
    """Return the frame uint8[n] in the order of a pass; without `shuffle`, in its own."""
    if fast.enabled(bits.size):
        from tokaido.emulators.distillation import _fast_cascade  # noqa: PLC0415 - compiles, so only when needed

        return _fast_cascade.FastPassBits(bits, shuffle.order if shuffle else None)
    return PassBits(shuffle.gather(bits) if shuffle else bits.copy())


def prefix_parity(bits: Bits) -> Bits:
    """Return uint8[n + 1], where element i is the parity of the first i bits of uint8[n].

    The running XOR is taken over 64-bit words by doubling shifts, ten times faster than bit by bit.
    """
    n = bits.size
    packed = np.packbits(bits, bitorder="little")
    words = np.zeros(packed.size // 8 + 1, "<u8")
    words.view(np.uint8)[: packed.size] = packed
    for shift in (1, 2, 4, 8, 16, 32):
        words ^= words << np.uint64(shift)
    carry = np.bitwise_xor.accumulate(words >> np.uint64(63))
    words[1:] ^= np.uint64(0) - carry[:-1]
    prefix = np.zeros(n + 1, np.uint8)
    prefix[1:] = np.unpackbits(words.view(np.uint8), count=n, bitorder="little")
    return prefix


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

    def halve(
        self,
        heard: Bits,
        bounds: tuple[Positions, Positions],
        at_low: Bits,
        active: Positions,
        middles: Positions,
    ) -> tuple[Positions, Positions]:
        """Halve intervals that hold an odd number of errors, and return which go on and their middles.

        `bounds` are low and high ends of all intervals, and are changed; `at_low` is the difference to the peer's
        parity at the low ends; `active` are the intervals that are halved, at `middles`, where `heard` is the peer's.
        """
        low, high = bounds
        odd_left = (heard ^ self.parities(middles)) != at_low[active]
        high[active[odd_left]] = middles[odd_left]
        low[active[~odd_left]] = middles[~odd_left]
        following = active[high[active] - low[active] > 1]
        return following, (low[following] + high[following]) >> 1

    def flip(self, places: Places) -> None:
        """Flip the bits at these places, each named once."""
        self._bits[places] ^= 1
        self._table = None

    @staticmethod
    def toggle(known: Positions, places: Places, odd: Bits) -> None:
        """Change the parity of the interval between neighbours of `known`, ascending from 0, that holds each place."""
        intervals = np.searchsorted(known, places, "right") - 1
        odd ^= np.bincount(intervals, minlength=odd.size).astype(np.uint8) & 1

    @staticmethod
    def merge(known: Positions, parity: Bits, asked: Positions, heard: Bits) -> tuple[Positions, Bits]:
        """Return two ascending lists of positions without a common one as one, and so the parities at them."""
        at = np.searchsorted(known, asked)
        return np.insert(known, at, asked), np.insert(parity, at, heard)

    def wipe(self) -> None:
        """Overwrite the bits and their parities."""
        self._bits.fill(0)
        if self._table is not None:
            self._table.fill(0)
