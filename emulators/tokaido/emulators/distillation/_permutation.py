"""Public pseudorandom permutations, cheap to apply, invertible position by position, and the same on every machine.

A permutation is four rounds of an affine map modulo 2^k and an xor with the upper half, each a bijection on k bits; a
position that leaves the range [0, n) walks on through the map until it returns (cycle walking, Black & Rogaway 2002,
CT-RSA). It needs no table, and costs a fifth of `RandomState.permutation`. Cascade asks of it only that errors which
share a block in one pass are scattered in the next; nothing here is secret.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final

import numpy as np

from tokaido.emulators import fast

if TYPE_CHECKING:
    from numpy.typing import NDArray

_ROUNDS: Final = 4
_CHUNK: Final = 1 << 15  # positions permuted at a time, so that they stay in the processor's cache


class Permutation:
    """The permutation of pass `number` over a frame of `n` bits, 0 < n < 2^32, from the public `seed` of the block."""

    def __init__(self, seed: bytes, frame: int, number: int, n: int) -> None:
        self._n = n
        width = max((n - 1).bit_length(), 1)
        words = hashlib.shake_256(b"%b|%d|%d|%d" % (seed, frame, number, n)).digest(8 * _ROUNDS)
        constants = [int.from_bytes(words[i : i + 4], "little") for i in range(0, len(words), 4)]
        modulus = 1 << width
        factors = [constant % modulus | 1 for constant in constants[:_ROUNDS]]
        self._mask = np.uint32(modulus - 1)
        self._shift = np.uint32((width + 1) // 2)
        self._factors = np.array(factors, np.uint32)
        self._inverses = np.array([pow(factor, -1, modulus) for factor in factors], np.uint32)
        self._addends = np.array([constant % modulus for constant in constants[_ROUNDS:]], np.uint32)

    @property
    def order(self) -> tuple[NDArray[np.uint32], NDArray[np.uint32], np.uint32, np.uint32]:
        """Factors and addends of the rounds, the mask 2^k - 1, and the width of the lower half."""
        return self._factors, self._addends, self._mask, self._shift

    def forward(self, positions: NDArray[np.integer]) -> NDArray[np.uint32]:
        """Return the positions in the frame of these positions in the pass, both from 0 to n - 1."""
        walking = positions.astype(np.uint32)
        if fast.enabled(self._n):
            from tokaido.emulators.distillation import _fast_cascade  # noqa: PLC0415 - compiles, so only when needed

            _fast_cascade.walk(walking, self.order, self._n, back=False)
            return walking
        return self._walk(walking, self._map)

    def backward(self, positions: NDArray[np.integer]) -> NDArray[np.uint32]:
        """Return the positions in the pass of these positions in the frame."""
        walking = positions.astype(np.uint32)
        if fast.enabled(self._n):
            from tokaido.emulators.distillation import _fast_cascade  # noqa: PLC0415

            _fast_cascade.walk(walking, (self._inverses, *self.order[1:]), self._n, back=True)
            return walking
        return self._walk(walking, self._unmap)

    def gather(self, bits: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return the frame uint8[n] in the order of the pass."""
        out = np.empty_like(bits)
        for start in range(0, self._n, _CHUNK):
            end = min(start + _CHUNK, self._n)
            out[start:end] = bits[self._walk(np.arange(start, end, dtype=np.uint32), self._map)]
        return out

    def _walk(self, x: NDArray[np.uint32], step: _Step) -> NDArray[np.uint32]:
        step(x)
        outside = np.flatnonzero(x >= self._n)
        while outside.size:
            walking = x[outside]
            step(walking)
            x[outside] = walking
            outside = outside[walking >= self._n]
        return x

    def _map(self, x: NDArray[np.uint32]) -> None:
        for factor, addend in zip(self._factors, self._addends, strict=True):
            x *= factor
            x += addend
            x &= self._mask
            x ^= x >> self._shift

    def _unmap(self, x: NDArray[np.uint32]) -> None:
        for inverse, addend in zip(self._inverses[::-1], self._addends[::-1], strict=True):
            x ^= x >> self._shift
            x -= addend
            x *= inverse
            x &= self._mask


if TYPE_CHECKING:
    from collections.abc import Callable

    _Step = Callable[[NDArray[np.uint32]], None]


def permutation_digest() -> str:
    """Return a digest by which two ends make sure, once a session, that they compute the same permutations."""
    order = Permutation(bytes(32), 1, 1, 1000).forward(np.arange(1000))
    return hashlib.sha256(order.astype("<u4").tobytes()).hexdigest()
