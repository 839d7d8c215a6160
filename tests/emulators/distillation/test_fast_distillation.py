"""Compiled kernels give the bits that numpy gives."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from tokaido.emulators import fast
from tokaido.emulators.distillation._amplification import toeplitz_hash

if TYPE_CHECKING:
    from pytest_mock import MockerFixture

pytest.importorskip("numba", reason="the extra fast is not installed")

FORMS = ("random", "ones", "zeros", "first", "last", "alternating")


def bits_of(form: str, size: int, rng: np.random.Generator) -> np.ndarray[tuple[int], np.dtype[np.uint8]]:
    bits = np.zeros(size, np.uint8)
    match form:
        case "random":
            bits = rng.integers(0, 2, size, dtype=np.uint8)
        case "ones":
            bits[:] = 1
        case "first":
            bits[:1] = 1
        case "last":
            bits[-1:] = 1
        case "alternating":
            bits[::2] = 1
    return bits


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("seed_form", FORMS)
def test_privacy_amplification_at_the_edges_of_words_and_tiles(form: str, seed_form: str) -> None:
    rng = np.random.default_rng(5)
    for n in (1, 2, 3, 63, 64, 65, 66, 127, 128, 129, 130, 1000, 64 * 24, 64 * 24 + 1, 64 * 49 + 7, 12_345):
        for length in {1, 2, n // 3, n // 2, n - 64, n - 63, n - 2, n - 1, n, 63, 64, 65, 128}:
            if 0 < length <= n:
                bits, seed = bits_of(form, n, rng), bits_of(seed_form, n - 1, rng)
                with fast.using(kernels=False):
                    expected = toeplitz_hash(bits, seed, length)
                with fast.using(kernels=True):
                    assert np.array_equal(toeplitz_hash(bits, seed, length), expected), (n, length)


def test_privacy_amplification_over_many_seeds_and_shapes() -> None:
    rng = np.random.default_rng(6)
    for _ in range(60):
        n = int(2 ** rng.uniform(8, 18))
        length = int(rng.integers(1, n + 1))
        bits, seed = bits_of("random", n, rng), bits_of("random", n - 1, rng)
        with fast.using(kernels=False):
            expected = toeplitz_hash(bits, seed, length)
        with fast.using(kernels=True):
            assert np.array_equal(toeplitz_hash(bits, seed, length), expected), (n, length)


def test_privacy_amplification_needs_no_fft_where_the_processor_multiplies_without_carry(
    mocker: MockerFixture,
) -> None:
    from tokaido.emulators.distillation import _fast_amplification

    transform = mocker.spy(np.fft, "rfft")
    with fast.using(kernels=True):
        toeplitz_hash(np.ones(100, np.uint8), np.ones(99, np.uint8), 50)
        assert bool(transform.call_count) is not _fast_amplification.supported()
        mocker.patch.object(_fast_amplification, "supported", return_value=False)
        transform.reset_mock()
        toeplitz_hash(np.ones(100, np.uint8), np.ones(99, np.uint8), 50)
        assert transform.call_count
