"""Privacy amplification by a modified Toeplitz matrix, and verification by a polynomial hash.

The matrix is [T | I] with T Toeplitz: it is universal_2, needs n - 1 seed bits and an FFT of length n only (Hayashi &
Tsurumaru 2016, IEEE Trans. Inf. Theory 62, 2213; arXiv:1311.5322).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from tokaido.emulators import fast
from tokaido.emulators.distillation._results import AbortReason, BlockAbortError

if TYPE_CHECKING:
    from numpy.typing import NDArray

MAX_ROUNDING_ERROR: Final = 0.25
"""Largest distance from an integer that a convolution may show. Typical is 1e-10 at n = 1e6."""


def fft_length(at_least: int) -> int:
    """Return the smallest number of the form 2^a 3^b 5^c that is not below `at_least`."""
    best = 1 << max(at_least - 1, 0).bit_length()
    five = 1
    while five < best:
        three = five
        while three < best:
            two = three
            while two < at_least:
                two *= 2
            best = min(best, two)
            three *= 3
        five *= 5
    return best


def toeplitz_hash(bits: NDArray[np.uint8], seed: NDArray[np.uint8], length: int) -> NDArray[np.uint8]:
    """Return uint8[length], the product of [T | I] with `bits` over GF(2).

    T has `length` rows and k = n - length columns and holds seed[i - j + k - 1] in row i, column j; I acts on the last
    `length` bits.

    Args:
        bits: uint8[n], each 0 or 1.
        seed: uint8[n - 1], each 0 or 1.
        length: Bits of the result, 0 < length <= n.

    Raises:
        BlockAbortError: A rounding error of the FFT came near to 1/2, so the result cannot be trusted.
    """
    columns = bits.size - length
    if not columns:
        return bits.copy()
    if fast.enabled(bits.size):
        from tokaido.emulators.distillation import _fast_amplification  # noqa: PLC0415 - compiles, so only when needed

        if _fast_amplification.supported():
            return _fast_amplification.toeplitz(bits, seed, length) ^ bits[columns:]
    size = fft_length(bits.size - 1)
    spectrum = np.fft.rfft(seed, size)
    spectrum *= np.fft.rfft(bits[:columns], size)
    product = np.fft.irfft(spectrum, size)[columns - 1 : bits.size - 1]
    rounded = np.rint(product)
    product -= rounded
    if not max(product.max(), -product.min()) < MAX_ROUNDING_ERROR:
        raise BlockAbortError(AbortReason.FFT_CHECK, "the rounding error of privacy amplification is too large")
    return (rounded.astype(np.int64) & 1).astype(np.uint8) ^ bits[columns:]


def verification_tag(bits: NDArray[np.uint8], hash_key: bytes) -> bytes:
    """Return the 16-byte Poly1305 hash of uint8[n] bits under a fresh public `hash_key` r of 16 bytes, with s = 0."""
    from cryptography.hazmat.primitives.poly1305 import Poly1305  # noqa: PLC0415 - loads OpenSSL, so only when needed

    return Poly1305.generate_tag(hash_key + bytes(16), np.packbits(bits).tobytes())
