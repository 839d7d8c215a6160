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

from tokaido.emulators.distillation._shuffle_kernels import backward, forward, permuted

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tokaido.emulators.distillation._shuffle_kernels import Rounds

_ROUNDS: Final = 4


class Permutation:
    """The permutation of pass `number` over a frame of `n` bits, 0 < n < 2^32, from the public `seed` of the block."""

    def __init__(self, seed: bytes, frame: int, number: int, n: int) -> None:
        self._n = n
        width = max((n - 1).bit_length(), 1)
        words = hashlib.shake_256(b"%b|%d|%d|%d" % (seed, frame, number, n)).digest(8 * _ROUNDS)
        constants = [int.from_bytes(words[i : i + 4], "little") for i in range(0, len(words), 4)]
        modulus = 1 << width
        factors = [constant % modulus | 1 for constant in constants[:_ROUNDS]]
        addends = [np.uint32(constant % modulus) for constant in constants[_ROUNDS:]]
        self._mask = np.uint32(modulus - 1)
        self._shift = np.uint32((width + 1) // 2)
        self._rounds = tuple((np.uint32(factor), addend) for factor, addend in zip(factors, addends, strict=True))
        inverses = [np.uint32(pow(factor, -1, modulus)) for factor in factors]
        self._inverse = tuple(zip(inverses[::-1], addends[::-1], strict=True))

    def forward(self, positions: NDArray[np.integer]) -> NDArray[np.uint32]:
        """Return the positions in the frame of these positions in the pass, both from 0 to n - 1."""
        return forward(positions, self._n, self._rounds, self._mask, self._shift)

    def backward(self, positions: NDArray[np.integer]) -> NDArray[np.uint32]:
        """Return the positions in the pass of these positions in the frame."""
        return backward(positions, self._n, self._inverse, self._mask, self._shift)

    @property
    def order(self) -> tuple[Rounds, np.uint32, np.uint32]:
        """The rounds, the mask 2^k - 1 and the shift."""
        return self._rounds, self._mask, self._shift

    def gather(self, bits: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return the frame uint8[n] in the order of the pass."""
        return permuted(bits, self._rounds, self._mask, self._shift)


def permutation_digest() -> str:
    """Return a digest by which two ends make sure, once a session, that they compute the same permutations."""
    order = Permutation(bytes(32), 1, 1, 1000).forward(np.arange(1000))
    return hashlib.sha256(order.astype("<u4").tobytes()).hexdigest()
