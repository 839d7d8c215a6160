from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tokaido.emulators.distillation import AbortReason
from tokaido.emulators.distillation import _amplification as amplification
from tokaido.emulators.distillation._amplification import (
    MOST_PAIRED_COLUMNS,
    fft_length,
    toeplitz_hash,
    verification_tag,
)
from tokaido.emulators.distillation._results import BlockAbortError

if TYPE_CHECKING:
    from numpy.typing import NDArray

KINDS = ("random", "ones", "zeros", "alternating", "four by four", "matched")


def key_and_seed(kind: str, n: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Return bits and seed; `matched` makes one row see all of its products add up."""
    rng = np.random.default_rng(n)
    bits = rng.integers(0, 2, n, dtype=np.uint8)
    seed = rng.integers(0, 2, n - 1, dtype=np.uint8)
    places = np.arange(n)
    if kind == "ones":
        bits, seed = np.ones_like(bits), np.ones_like(seed)
    elif kind == "zeros":
        bits, seed = np.zeros_like(bits), np.zeros_like(seed)
    elif kind == "alternating":
        bits = (places & 1).astype(np.uint8)
        seed = bits[1:].copy()
    elif kind == "four by four":
        bits = (places >> 2 & 1).astype(np.uint8)
        seed = bits[1:].copy()
    elif kind == "matched":
        seed = bits[:0:-1].copy()
    return bits, seed


def rows(bits: NDArray[np.uint8], seed: NDArray[np.uint8], length: int, which: NDArray[np.int64]) -> list[int]:
    """Return some bits of the hash, each by its own row of the matrix, in integers."""
    columns = bits.size - length
    turned = seed[::-1]
    return [
        (int(np.count_nonzero(turned[length - 1 - i : length - 1 - i + columns] & bits[:columns])) & 1)
        ^ int(bits[columns + i])
        for i in which.tolist()
    ]


def by_bits(bits: NDArray[np.uint8], seed: NDArray[np.uint8], length: int) -> NDArray[np.uint8]:
    """Return the hash by transforms of one bit a sample."""
    columns = bits.size - length
    return amplification._product_of_bits(bits, seed, columns) ^ bits[columns:]


def no_way_out(*_: object) -> NDArray[np.uint8]:
    raise AssertionError("two bits a sample did not check")


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


@given(st.integers(2, 3000), st.sampled_from(KINDS), st.data())
@settings(deadline=None, max_examples=200)
def test_two_bits_a_sample_give_what_one_bit_a_sample_gives(n: int, kind: str, data: st.DataObject) -> None:
    length = data.draw(st.integers(1, n - 1))
    bits, seed = key_and_seed(kind, n)
    pairs = amplification._product_of_pairs(bits, seed, n - length)
    assert pairs is not None
    assert np.array_equal(pairs ^ bits[n - length :], by_bits(bits, seed, length))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("n", "length"), [(300_001, 100_000), (200_000, 60_000), (200_003, 12)])
def test_the_hash_is_exact_for_the_worst_inputs(
    kind: str, n: int, length: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    bits, seed = key_and_seed(kind, n)
    expected = by_bits(bits, seed, length)
    monkeypatch.setattr(amplification, "_product_of_bits", no_way_out)
    assert np.array_equal(toeplitz_hash(bits, seed, length), expected)
    some = np.random.default_rng(1).integers(0, length, 30)
    assert expected[some].tolist() == rows(bits, seed, length, some)


@pytest.mark.parametrize(
    "kind", ["ones", *(pytest.param(kind, marks=pytest.mark.thorough) for kind in ("random", "matched"))]
)  # ones make the largest digits
def test_the_hash_is_exact_at_the_most_columns_of_two_bits_a_sample(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    length = 1_000_000
    bits, seed = key_and_seed(kind, MOST_PAIRED_COLUMNS + length)
    monkeypatch.setattr(amplification, "_product_of_bits", no_way_out)
    some = np.append(np.random.default_rng(1).integers(0, length, 40), (0, length - 1))
    assert toeplitz_hash(bits, seed, length)[some].tolist() == rows(bits, seed, length, some)


def test_more_columns_than_that_take_one_bit_a_sample(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(amplification, "MOST_PAIRED_COLUMNS", 999)
    monkeypatch.setattr(amplification, "_product_of_pairs", no_way_out)
    bits, seed = key_and_seed("random", 1100)
    some = np.arange(100)
    assert toeplitz_hash(bits, seed, 100).tolist() == rows(bits, seed, 100, some)


@pytest.mark.parametrize("coin", [b"\0", b"\xff"])
@pytest.mark.parametrize("n", [150_000, 300_000, 600_000])
def test_digits_that_overflow_take_one_bit_a_sample(coin: bytes, n: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Coins that all fall alike, and a key and a seed of ones, make the largest digits there can be."""
    bits, seed = key_and_seed("ones", n)
    monkeypatch.setattr("os.urandom", lambda count: coin * count)
    assert amplification._product_of_pairs(bits, seed, n - n // 10) is None
    some = np.arange(0, n // 10, 999)
    assert toeplitz_hash(bits, seed, n // 10)[some].tolist() == rows(bits, seed, n // 10, some)


@pytest.mark.parametrize("fault", [0.3, 1.0, -1.0, 3.0, float(1 << 16), float(1 << 32), float(1 << 48), float("nan")])
@pytest.mark.parametrize("everywhere", [True, False])
def test_a_fault_of_the_transform_takes_one_bit_a_sample(
    fault: float, everywhere: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    bits, seed = key_and_seed("random", 1000)
    exact = np.fft.irfft

    def faulty(spectrum: NDArray[np.complex128], size: int) -> NDArray[np.float64]:
        product = exact(spectrum, size)
        product[slice(None) if everywhere else 77] += fault
        return product

    monkeypatch.setattr(np.fft, "irfft", faulty)
    assert amplification._product_of_pairs(bits, seed, 700) is None


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
