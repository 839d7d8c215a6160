from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tokaido.emulators.distillation import AbortReason
from tokaido.emulators.distillation._amplification import fft_length, toeplitz_hash, verification_tag
from tokaido.emulators.distillation._results import BlockAbortError


@given(st.integers(2, 200), st.data())
@settings(deadline=None, max_examples=60)
def test_the_hash_is_the_matrix_product_over_gf2(n: int, data: st.DataObject) -> None:
    length = data.draw(st.integers(1, n))
    rng = np.random.default_rng(n * 1000 + length)
    bits, seed = rng.integers(0, 2, n, dtype=np.uint8), rng.integers(0, 2, n - 1, dtype=np.uint8)
    columns = n - length
    matrix = np.zeros((length, n), np.int64)
    for i in range(length):
        for j in range(columns):
            matrix[i, j] = seed[i - j + columns - 1]
        matrix[i, columns + i] = 1
    expected = matrix @ bits.astype(np.int64) % 2
    assert toeplitz_hash(bits, seed, length).tolist() == expected.tolist()


def test_a_long_hash_is_linear() -> None:
    rng = np.random.default_rng(2)
    n, length = 300_000, 100_000
    x, y, seed = (rng.integers(0, 2, size, dtype=np.uint8) for size in (n, n, n - 1))
    both = toeplitz_hash(x ^ y, seed, length)
    assert np.array_equal(both, toeplitz_hash(x, seed, length) ^ toeplitz_hash(y, seed, length))


def test_all_ones_the_worst_case_of_rounding_is_still_exact() -> None:
    n, length = 300_001, 100_000
    ones = np.ones(n, np.uint8)
    expected = ((n - length) & 1) ^ 1
    assert (toeplitz_hash(ones, ones[1:], length) == expected).all()


def test_a_rounding_error_aborts_and_gives_no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    exact = np.fft.irfft
    for fault in (0.3, float("nan")):
        monkeypatch.setattr(np.fft, "irfft", lambda a, n, fault=fault: exact(a, n) + fault)
        with pytest.raises(BlockAbortError) as caught:
            toeplitz_hash(np.ones(100, np.uint8), np.ones(99, np.uint8), 50)
        assert caught.value.reason is AbortReason.FFT_CHECK


@given(st.integers(1, 10**7))
@settings(deadline=None, max_examples=50)
def test_fft_lengths_have_no_factor_above_five(at_least: int) -> None:
    length = rest = fft_length(at_least)
    assert at_least <= length <= max(at_least * 1.07, at_least + 100)
    for factor in (2, 3, 5):
        while rest % factor == 0:
            rest //= factor
    assert rest == 1


def test_one_different_bit_changes_the_verification_tag() -> None:
    bits = np.zeros(1000, np.uint8)
    tag = verification_tag(bits, bytes(range(16)))
    bits[999] = 1
    assert verification_tag(bits, bytes(range(16))) != tag
