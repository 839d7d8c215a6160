"""Permutation and parity over whole arrays: flat functions that hold nothing, the hottest of error correction.

A permutation of n positions is given by its rounds, a factor and an addend each, a mask 2^k - 1 with 2^k >= n, and a
shift. `Permutation` says what they are and why.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from tokaido.emulators import fast

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Bits = NDArray[np.uint8]
    Words = NDArray[np.uint32]
    Rounds = tuple[tuple[np.uint32, np.uint32], ...]

_CHUNK: Final = 1 << 15  # positions at a time, so that they stay in the processor's cache


def permuted(bits: Bits, rounds: Rounds, mask: np.uint32, shift: np.uint32) -> Bits:
    """Return uint8[n], whose element i is the bit at the place that the permutation sends i to."""
    n = bits.size
    places = _mapped(rounds, mask, shift)
    outside = np.flatnonzero(places[:n] >= n)
    while outside.size:  # a place beyond the end walks on until it is within
        walking = places[places[outside]]
        places[outside] = walking
        outside = outside[walking >= n]
    out = np.empty_like(bits)
    for start in range(0, n, _CHUNK):
        end = min(start + _CHUNK, n)
        out[start:end] = bits.take(places[start:end])
    return out


def forward(positions: NDArray[np.integer], n: int, rounds: Rounds, mask: np.uint32, shift: np.uint32) -> Words:
    """Return where the permutation sends each of the positions, from 0 to n - 1."""
    places = positions.astype(np.uint32)
    if fast.enabled(n):
        from tokaido.emulators.distillation import _fast_cascade  # noqa: PLC0415 - compiles, so only when needed

        _fast_cascade.walk(places, rounds, mask, shift, n)
        return places
    _map(places, rounds, mask, shift)
    outside = np.flatnonzero(places >= n)
    while outside.size:
        walking = places[outside]
        _map(walking, rounds, mask, shift)
        places[outside] = walking
        outside = outside[walking >= n]
    return places


def backward(positions: NDArray[np.integer], n: int, rounds: Rounds, mask: np.uint32, shift: np.uint32) -> Words:
    """Return what the permutation sends to each of the positions; `rounds` are the inverse ones, last first."""
    places = positions.astype(np.uint32)
    if fast.enabled(n):
        from tokaido.emulators.distillation import _fast_cascade  # noqa: PLC0415

        _fast_cascade.walk_back(places, rounds, mask, shift, n)
        return places
    _unmap(places, rounds, mask, shift)
    outside = np.flatnonzero(places >= n)
    while outside.size:
        walking = places[outside]
        _unmap(walking, rounds, mask, shift)
        places[outside] = walking
        outside = outside[walking >= n]
    return places


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


def _mapped(rounds: Rounds, mask: np.uint32, shift: np.uint32) -> Words:
    """Return uint32[mask + 1], where one step of the map sends each position."""
    size = int(mask) + 1
    places = np.arange(size, dtype=np.uint32)
    room = np.empty(min(size, _CHUNK), np.uint32)
    for start in range(0, size, _CHUNK):
        x = places[start : start + _CHUNK]
        for factor, addend in rounds:
            x *= factor
            x += addend
            x &= mask
            np.right_shift(x, shift, out=room)
            x ^= room
    return places


def _map(x: Words, rounds: Rounds, mask: np.uint32, shift: np.uint32) -> None:
    for factor, addend in rounds:
        x *= factor
        x += addend
        x &= mask
        x ^= x >> shift


def _unmap(x: Words, rounds: Rounds, mask: np.uint32, shift: np.uint32) -> None:
    for inverse, addend in rounds:
        x ^= x >> shift
        x -= addend
        x *= inverse
        x &= mask
