"""One pass of Cascade over a frame, compiled by numba: 64 bits of the frame in a word instead of a byte for each.

What is found and asked is what `PassBits` finds and asks, bit for bit.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from tokaido.emulators.fast import compiled

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Bits = NDArray[np.uint8]
    Words = NDArray[np.uint64]
    Positions = NDArray[np.int64]
    Numbers = NDArray[np.uint32]
    Intervals = tuple[Positions, Positions, Positions, Bits]

    from tokaido.emulators.distillation._shuffle_kernels import Rounds

_CHUNK: Final = 1024  # positions permuted at a time, so that the map runs over vectors
_ONE: Final = np.uint64(1)
_ALL: Final = np.uint64(0xFFFF_FFFF_FFFF_FFFF)


class FastPassBits:
    """As `PassBits`, of a frame that is not in the order of the pass yet; `order` is `Permutation.order`."""

    def __init__(self, bits: Bits, order: tuple[Rounds, np.uint32, np.uint32] | None) -> None:
        words = -(-bits.size // 64)
        self._words: Words = np.zeros(words, np.uint64)
        self._table: Words = np.empty(words, np.uint64)
        if order is None:
            _pack(bits, self._words)
        else:
            _gather(bits, *order, self._words)
        _add_up(self._words, self._table)

    def parities(self, positions: Positions) -> Bits:
        """As `PassBits.parities`."""
        out = np.empty(positions.size, np.uint8)
        _look_up(self._table, positions, out)
        return out

    def halve(self, heard: Bits, middles: Positions, low: Positions, high: Positions, at_low: Bits) -> Intervals:
        """As `PassBits.halve`."""
        found = np.empty(low.size, np.int64)
        longer = _halve(self._table, heard, middles, low, high, at_low, found)
        return found[: low.size - longer], low[:longer], high[:longer], at_low[:longer]

    def flip(self, places: Numbers) -> None:
        """As `PassBits.flip`."""
        _flip(places, self._words)
        _add_up(self._words, self._table)

    @staticmethod
    def toggle(marks: Positions, places: Numbers, odd: Bits) -> None:
        """As `PassBits.toggle`."""
        _toggle(marks, places, odd)

    def wipe(self) -> None:
        """Overwrite the bits and their parities."""
        self._words.fill(0)
        self._table.fill(0)


# --- kernels: indices are not checked here --------------------------------------------------------------------------

_ORDER: Final = "UniTuple(UniTuple(uint32, 2), 4), uint32, uint32"


@compiled("void(uint8[::1], uint64[::1])")
def _pack(bits: Bits, words: Words) -> None:
    for i in range(bits.size):
        words[i >> 6] |= np.uint64(bits[i]) << np.uint64(i & 63)


@compiled(f"void(uint8[::1], {_ORDER}, uint64[::1])")
def _gather(bits: Bits, rounds: Rounds, mask: np.uint32, shift: np.uint32, words: Words) -> None:
    """Write the frame in the order of the pass. Positions outside of it walk on together, those few that are left."""
    n = bits.size
    at, outside = np.empty(_CHUNK, np.uint32), np.empty(_CHUNK + 1, np.int64)
    for start in range(0, n, _CHUNK):
        size = min(_CHUNK, n - start)
        for i in range(size):
            x = np.uint32(start + i)
            for factor, addend in rounds:  # each step cut to 32 bits, so that a vector holds more of them
                x = np.uint32(np.uint32(np.uint32(x * factor) + addend) & mask)
                x = np.uint32(x ^ np.uint32(x >> shift))
            at[i] = x
        walking = 0
        for i in range(size):
            outside[walking] = i
            walking += int(at[i] >= n)
        while walking:
            left = 0
            for j in range(walking):
                i = outside[j]
                x = at[i]
                for factor, addend in rounds:
                    x = np.uint32((x * factor + addend) & mask)
                    x = np.uint32(x ^ x >> shift)
                at[i] = x
                outside[left] = i
                left += int(x >= n)
            walking = left
        for word in range(0, size & ~63, 64):
            gathered = np.uint64(0)
            for i in range(64):
                gathered |= np.uint64(bits[at[word + i]]) << np.uint64(i)
            words[(start + word) >> 6] = gathered
        for i in range(size & ~63, size):
            words[(start + i) >> 6] |= np.uint64(bits[at[i]]) << np.uint64(i & 63)


@compiled(f"void(uint32[::1], {_ORDER}, int64)")
def walk(places: Numbers, rounds: Rounds, mask: np.uint32, shift: np.uint32, n: int) -> None:
    """Replace each place, from 0 to n - 1, by where the permutation sends it."""
    for i in range(places.size):
        x = places[i]
        while True:
            for factor, addend in rounds:
                x = np.uint32((x * factor + addend) & mask)
                x = np.uint32(x ^ x >> shift)
            if x < n:
                break
        places[i] = x


@compiled(f"void(uint32[::1], {_ORDER}, int64)")
def walk_back(places: Numbers, rounds: Rounds, mask: np.uint32, shift: np.uint32, n: int) -> None:
    """Replace each place by what the permutation sends to it; `rounds` are the inverse ones, last first."""
    for i in range(places.size):
        x = places[i]
        while True:
            for inverse, addend in rounds:
                x = np.uint32(x ^ x >> shift)
                x = np.uint32((x - addend) * inverse & mask)
            if x < n:
                break
        places[i] = x


@compiled("void(uint64[::1], uint64[::1])")
def _add_up(words: Words, table: Words) -> None:
    """Write the parity of the bits up to and with each one."""
    carried = np.uint64(0)
    for i in range(words.size):
        word = words[i]
        for power in range(6):
            word ^= word << (_ONE << np.uint64(power))
        word ^= carried
        table[i] = word
        carried = np.uint64(0) - (word >> np.uint64(63))


@compiled("uint8(uint64[::1], int64)")
def _parity(table: Words, position: int) -> np.uint8:
    """Return the parity of the bits before a position."""
    if not position:
        return np.uint8(0)
    place = position - 1
    return np.uint8(table[place >> 6] >> np.uint64(place & 63) & _ONE)


@compiled("void(uint64[::1], int64[::1], uint8[::1])")
def _look_up(table: Words, positions: Positions, out: Bits) -> None:
    for i in range(positions.size):
        out[i] = _parity(table, positions[i])


@compiled("int64(uint64[::1], uint8[::1], int64[::1], int64[::1], int64[::1], uint8[::1], int64[::1])")
def _halve(
    table: Words, heard: Bits, middles: Positions, low: Positions, high: Positions, at_low: Bits, found: Positions
) -> int:
    """Halve intervals, move those that are longer than a bit together, and return how many they are."""
    longer = short = 0
    for i in range(low.size):
        first, last, middle, difference = low[i], high[i], middles[i], at_low[i]
        if (heard[i] ^ _parity(table, middle)) != difference:
            last = middle
        else:
            first = middle
        low[longer], high[longer], at_low[longer], found[short] = first, last, difference, first
        longer += int(last - first > 1)
        short += int(last - first == 1)
    return longer


@compiled("void(uint32[::1], uint64[::1])")
def _flip(places: Numbers, words: Words) -> None:
    for i in range(places.size):
        words[places[i] >> 6] ^= _ONE << np.uint64(places[i] & 63)


@compiled("void(int64[::1], uint32[::1], uint8[::1])")
def _toggle(marks: Positions, places: Numbers, odd: Bits) -> None:
    for i in range(places.size):
        place = places[i]
        low, high = 0, marks.size
        while high - low > 1:
            middle = (low + high) >> 1
            if marks[middle] >> 1 <= place:
                low = middle
            else:
                high = middle
        odd[low] ^= np.uint8(1)
