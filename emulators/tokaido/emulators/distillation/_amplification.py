"""Privacy amplification by a modified Toeplitz matrix, and verification by a polynomial hash.

The matrix is [T | I] with T Toeplitz: it is universal_2, needs n - 1 seed bits and an FFT of length n only (Hayashi &
Tsurumaru 2016, IEEE Trans. Inf. Theory 62, 2213; arXiv:1311.5322). Two bits share a sample of the transforms, so that
they are half as long; one bit a sample is the way out when a digit overflows.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

import numpy as np

from tokaido.emulators import fast
from tokaido.emulators.distillation._results import AbortReason, BlockAbortError

if TYPE_CHECKING:
    from numpy.typing import NDArray

MAX_ROUNDING_ERROR: Final = 0.25
"""Largest distance from an integer that a convolution may show.

Typical is 1e-10 with one bit a sample at n = 1e6; with two it is 0.007, and 0.03 at n = 1e7.
"""
MOST_PAIRED_COLUMNS: Final = 1 << 24
"""Columns of T up to which two bits share a sample: `_product_of_pairs` says why."""
_DIGIT: Final = 1 << 16
_HALF_DIGITS: Final = (1 << 15) + (1 << 31) + (1 << 47)
_TO_INTEGER: Final = float((3 << 51) + _HALF_DIGITS)
"""A double this large has no fraction, so adding it rounds; its low 48 bits are then three digits of 16."""
_TOP: Final = 0x4338
"""The upper 16 bits of `_TO_INTEGER`, and of its sum with anything that three digits can hold."""


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
    product = _product_of_pairs(bits, seed, columns) if columns <= MOST_PAIRED_COLUMNS else None
    if product is None:
        product = _product_of_bits(bits, seed, columns)
    return product ^ bits[columns:]


def _product_of_bits(bits: NDArray[np.uint8], seed: NDArray[np.uint8], columns: int) -> NDArray[np.uint8]:
    """Return uint8[length], the product of T with the first bits: one bit a sample, exact at every length in use.

    The rounding error is below 12 * 2^-53 * log2(n) * n (Percival 2003, Math. Comp. 72, 387), 3e-7 at n = 1e7.
    """
    size = fft_length(bits.size - 1)
    spectrum = np.fft.rfft(seed, size)
    spectrum *= np.fft.rfft(bits[:columns], size)
    product = np.fft.irfft(spectrum, size)[columns - 1 : bits.size - 1]
    rounded = np.rint(product)
    product -= rounded
    if not max(product.max(), -product.min()) < MAX_ROUNDING_ERROR:
        raise BlockAbortError(AbortReason.FFT_CHECK, "the rounding error of privacy amplification is too large")
    return (rounded.astype(np.int64) & 1).astype(np.uint8)


def _product_of_pairs(bits: NDArray[np.uint8], seed: NDArray[np.uint8], columns: int) -> NDArray[np.uint8] | None:
    """Return the same product by transforms of half the length, or None if it does not check.

    Seed bit s is written as 1 - 2s, and bit x of the key as x (1 - 2c) with a coin c of this call's own. Term x, s of a
    convolution is then x - 2x (c ^ s), so it comes to d = w - 2y, where w is how many of its key bits are 1, and y has
    the parity of the bit that is wanted and of all x c together, the same for every row. Even and odd places share
    samples, e + 2^16 o, so a sample of the product holds three convolutions as digits: even by even, the mixed ones,
    odd by odd. Row 2a is the first digit of sample a and the third of the one before, row 2a + 1 the second digit of a.

    What is exact, for every key and seed, since the coins are fresh:

    - A digit is a sum of at most k = `columns` fair signs and must stay below 2^15. By Hoeffding's inequality one of
      the 3n/2 is not with probability <= 3n exp(-2^29 / k), 1e-6 at the longest, and the other path takes its place:
      the third digit's overflow shows in the 16 bits above it, and a digit of up to 3 * 2^15 moves its neighbour by
      one, so that w - d is odd. A larger one has probability <= 3n exp(-9 * 2^29 / k) < 1e-115.
    - A result is wrong only where a rounding error is at least 7/4: odd ones show in the parity of w - d too. The
      errors of a transform of independent samples are spread evenly, with a deviation of some 2^-53 sqrt(log2 n) times
      that of the product, 2^32 sqrt(k / 4): 3e-3 at n = 1e7. An error of 7/4 in one sample, and none of more than 1/4
      in a million others, takes a fault of the processor.
    """
    size = fft_length(bits.size // 2)
    key = bits[:columns].view(np.int8)
    coins = np.unpackbits(np.frombuffer(os.urandom(-(-columns // 8)), np.uint8), count=columns).view(np.int8)
    ones, negative = np.count_nonzero(key), np.count_nonzero(key & coins)
    signs = np.ones(2 * size, np.int8)
    signs[: seed.size] -= 2 * seed.view(np.int8)
    spectrum = np.fft.rfft(_pairs(signs, size), size)
    spectrum *= np.fft.rfft(_pairs(key - 2 * (key & coins), size), size)
    product = np.fft.irfft(spectrum, size)
    shifted = product + _TO_INTEGER
    product -= shifted - _TO_INTEGER
    exact = max(product.max(), -product.min()) < MAX_ROUNDING_ERROR
    if not exact or (shifted.view("<u2")[3::4] != _TOP).any():
        return None
    first, second, third = (shifted.view(np.uint8)[place::8] for place in (0, 2, 4))  # of each digit, the low byte
    digits = np.empty(2 * size, np.uint8)
    np.add(first, np.roll(third, 1), out=digits[::2])
    digits[1::2] = second
    twice = np.uint8((ones + 2 * negative) & 0xFF) - digits
    if (twice & 1).any():
        return None
    return twice[columns - 1 : bits.size - 1] >> np.uint8(1) & np.uint8(1)


def _pairs(values: NDArray[np.int8], size: int) -> NDArray[np.float64]:
    """Return float64[size]: the values at even places, plus 2^16 times those at odd ones."""
    samples = np.zeros(size)
    even, odd = values[::2], values[1::2]
    np.multiply(odd, float(_DIGIT), out=samples[: odd.size])
    samples[: even.size] += even
    return samples


def verification_tag(bits: NDArray[np.uint8], hash_key: bytes) -> bytes:
    """Return the 16-byte Poly1305 hash of uint8[n] bits under a fresh public `hash_key` r of 16 bytes, with s = 0."""
    from cryptography.hazmat.primitives.poly1305 import Poly1305  # noqa: PLC0415 - loads OpenSSL, so only when needed

    return Poly1305.generate_tag(hash_key + bytes(16), np.packbits(bits).tobytes())
