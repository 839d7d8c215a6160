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

_CHUNK: Final = 1024  # positions permuted at a time, so that the map runs over vectors
_ONE: Final = np.uint64(1)
_ALL: Final = np.uint64(0xFFFF_FFFF_FFFF_FFFF)


class FastPassBits:
    """As `PassBits`: `order` gives the permutation's factors, addends, mask and shift; None is the identity."""

    def __init__(self, bits: Bits, order: tuple[Numbers, Numbers, np.uint32, np.uint32] | None) -> None:
        words = -(-bits.size // 64)
        self._words: Words = np.zeros(words, np.uint64)
        self._table: Words = np.empty(words, np.uint64)
        if order is None:
            _pack(bits, self._words)
        else:
            _gather(bits, *order, self._words)
        _add_up(self._words, self._table)

    def parities(self, positions: Positions) -> Bits:
        """Return the parities of the bits before these positions, from 0 to n."""
        out = np.empty(positions.size, np.uint8)
        _look_up(self._table, positions, out)
        return out

    def halve(
        self,
        heard: Bits,
        bounds: tuple[Positions, Positions],
        at_low: Bits,
        active: Positions,
        middles: Positions,
    ) -> tuple[Positions, Positions]:
        """As `PassBits.halve`."""
        following, asked = np.empty_like(active), np.empty_like(middles)
        count = _halve(self._table, heard, *bounds, at_low, active, middles, following, asked)
        return following[:count], asked[:count]

    def flip(self, places: Numbers) -> None:
        """Flip the bits at these places, each named once."""
        _flip(places, self._words)
        _add_up(self._words, self._table)

    @staticmethod
    def toggle(known: Positions, places: Numbers, odd: Bits) -> None:
        """As `PassBits.toggle`."""
        _toggle(known, places, odd)

    @staticmethod
    def merge(known: Positions, parity: Bits, asked: Positions, heard: Bits) -> tuple[Positions, Bits]:
        """As `PassBits.merge`."""
        size = known.size + asked.size
        positions, parities = np.empty(size, np.int64), np.empty(size, np.uint8)
        _merge(known, parity, asked, heard, positions, parities)
        return positions, parities

    def wipe(self) -> None:
        """Overwrite the bits and their parities."""
        self._words.fill(0)
        self._table.fill(0)


def walk(positions: Numbers, constants: tuple[Numbers, Numbers, np.uint32, np.uint32], n: int, *, back: bool) -> None:
    """Replace each position from 0 to n - 1 by what a permutation, or its inverse, makes of it."""
    (_walk_back if back else _walk)(positions, *constants, n)


# --- kernels: indices are not checked here --------------------------------------------------------------------------

_ORDER: Final = "uint32[::1], uint32[::1], uint32, uint32"


@compiled("void(uint8[::1], uint64[::1])")
def _pack(bits: Bits, words: Words) -> None:
    for i in range(bits.size):
        words[i >> 6] |= np.uint64(bits[i]) << np.uint64(i & 63)


@compiled(f"void(uint8[::1], {_ORDER}, uint64[::1])")
def _gather(bits: Bits, factors: Numbers, addends: Numbers, mask: np.uint32, shift: np.uint32, words: Words) -> None:
    """Write the frame in the order of the pass. Positions outside of it walk on together, those few that are left."""
    n = bits.size
    f0, f1, f2, f3 = factors[0], factors[1], factors[2], factors[3]
    a0, a1, a2, a3 = addends[0], addends[1], addends[2], addends[3]
    at, outside = np.empty(_CHUNK, np.uint32), np.empty(_CHUNK + 1, np.int64)
    for start in range(0, n, _CHUNK):
        size = min(_CHUNK, n - start)
        for i in range(size):
            x = np.uint32(start + i)
            x = np.uint32((x * f0 + a0) & mask)
            x = np.uint32(x ^ x >> shift)
            x = np.uint32((x * f1 + a1) & mask)
            x = np.uint32(x ^ x >> shift)
            x = np.uint32((x * f2 + a2) & mask)
            x = np.uint32(x ^ x >> shift)
            x = np.uint32((x * f3 + a3) & mask)
            x = np.uint32(x ^ x >> shift)
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
                for turn in range(4):
                    x = np.uint32((x * factors[turn] + addends[turn]) & mask)
                    x = np.uint32(x ^ x >> shift)
                at[i] = x
                outside[left] = i
                left += int(x >= n)
            walking = left
        for word in range(0, size, 64):
            gathered = np.uint64(0)
            for i in range(min(64, size - word)):
                gathered |= np.uint64(bits[at[word + i]]) << np.uint64(i)
            words[(start + word) >> 6] = gathered


@compiled(f"void(uint32[::1], {_ORDER}, int64)")
def _walk(positions: Numbers, factors: Numbers, addends: Numbers, mask: np.uint32, shift: np.uint32, n: int) -> None:
    for i in range(positions.size):
        x = positions[i]
        while True:
            for turn in range(4):
                x = np.uint32((x * factors[turn] + addends[turn]) & mask)
                x = np.uint32(x ^ x >> shift)
            if x < n:
                break
        positions[i] = x


@compiled(f"void(uint32[::1], {_ORDER}, int64)")
def _walk_back(
    positions: Numbers, inverses: Numbers, addends: Numbers, mask: np.uint32, shift: np.uint32, n: int
) -> None:
    for i in range(positions.size):
        x = positions[i]
        while True:
            for turn in range(3, -1, -1):
                x = np.uint32(x ^ x >> shift)
                x = np.uint32((x - addends[turn]) * inverses[turn] & mask)
            if x < n:
                break
        positions[i] = x


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


@compiled(
    "int64(uint64[::1], " + "uint8[::1], int64[::1], int64[::1], uint8[::1], " + "int64[::1]," * 3 + "int64[::1])"
)
def _halve(
    table: Words,
    heard: Bits,
    low: Positions,
    high: Positions,
    at_low: Bits,
    active: Positions,
    middles: Positions,
    following: Positions,
    asked: Positions,
) -> int:
    """Halve intervals, and write the numbers and the middles of those that are longer than a bit; return how many."""
    count = 0
    for i in range(active.size):
        interval, middle = active[i], middles[i]
        if (heard[i] ^ _parity(table, middle)) != at_low[interval]:
            high[interval] = middle
        else:
            low[interval] = middle
        if high[interval] - low[interval] > 1:
            following[count] = interval
            asked[count] = (low[interval] + high[interval]) >> 1
            count += 1
    return count


@compiled("void(uint32[::1], uint64[::1])")
def _flip(places: Numbers, words: Words) -> None:
    for i in range(places.size):
        words[places[i] >> 6] ^= _ONE << np.uint64(places[i] & 63)


@compiled("void(int64[::1], uint32[::1], uint8[::1])")
def _toggle(known: Positions, places: Numbers, odd: Bits) -> None:
    for i in range(places.size):
        place = places[i]
        low, high = 0, known.size
        while high - low > 1:
            middle = (low + high) >> 1
            if known[middle] <= place:
                low = middle
            else:
                high = middle
        odd[low] ^= 1


@compiled("void(int64[::1], uint8[::1], int64[::1], uint8[::1], int64[::1], uint8[::1])")
def _merge(known: Positions, parity: Bits, asked: Positions, heard: Bits, positions: Positions, parities: Bits) -> None:
    i = 0
    for j in range(asked.size):
        while i < known.size and known[i] < asked[j]:
            positions[i + j], parities[i + j] = known[i], parity[i]
            i += 1
        positions[i + j], parities[i + j] = asked[j], heard[j]
    for rest in range(i, known.size):
        positions[rest + asked.size], parities[rest + asked.size] = known[rest], parity[rest]
