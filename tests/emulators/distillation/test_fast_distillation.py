"""Compiled kernels give the bits that numpy gives."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec
import numpy as np
import pytest

from tokaido.emulators import fast
from tokaido.emulators.distillation._amplification import toeplitz_hash
from tokaido.emulators.distillation._pass_bits import pass_bits, put_aside
from tokaido.emulators.distillation._permutation import Permutation
from tokaido.emulators.distillation._sift_kernels import select
from tokaido_testing.distillation import SMALL, distil, messages, raw_data
from tokaido_testing.extras import needs

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_mock import MockerFixture

    from tokaido.emulators.distillation._reconciliation import Schedule

pytestmark = needs("numba", "the extra fast is not installed")

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


@pytest.mark.parametrize(
    ("seed_form", "form"),
    [(seed_form, form) for seed_form in FORMS for form in FORMS if seed_form == form or "random" in (seed_form, form)],
)
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


SIZES = (1, 2, 3, 63, 64, 65, 127, 128, 129, 1000, 1023, 1024, 1025, 2047, 4097, 12_345, 65_536, 65_537)


T = TypeVar("T")


def both(call: Callable[..., T], *arguments: object) -> tuple[T, T]:
    """What numpy makes of a call, and what compiled kernels make of it."""
    with fast.using(kernels=False):
        plain = call(*arguments)
    with fast.using(kernels=True):
        return plain, call(*arguments)


@pytest.mark.parametrize("n", SIZES)
def test_permutations_and_their_inverses(n: int) -> None:
    rng = np.random.default_rng(n)
    for number in range(1, 4):
        shuffle = Permutation(bytes(rng.integers(0, 256, 32, dtype=np.uint8)), 2, number, n)
        positions = rng.integers(0, n, 500)
        for walk in (shuffle.forward, shuffle.backward):
            plain, compiled = both(walk, positions)
            assert plain.dtype == compiled.dtype
            assert np.array_equal(plain, compiled)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("n", SIZES)
def test_a_pass_of_cascade_step_by_step(n: int, form: str) -> None:
    rng = np.random.default_rng(n)
    frame = bits_of(form, n, rng)
    for number in range(3):
        shuffle = Permutation(bytes(32), 0, number, n) if number else None
        sides = both(pass_bits, frame, shuffle)
        everywhere = np.arange(n + 1)
        places = rng.permutation(n)[: n // 7].astype(np.uint32)
        known = np.unique(np.concatenate(([0, n], rng.integers(0, n + 1, n // 5)))).astype(np.int64)
        odd, heard = (rng.integers(0, 2, size, dtype=np.uint8) for size in (known.size - 1, n + 1))
        marks = known << 1 | heard[: known.size]
        seen = []
        for side in sides:
            trace: list[Any] = [side.parities(everywhere)]
            side.flip(places)
            trace.append(side.parities(everywhere))
            changed = odd.copy()
            side.toggle(marks, places, changed)
            trace.append(changed)
            found, low, high, at_low = put_aside(known[:-1].copy(), known[1:].copy(), odd.copy())
            while low.size:
                middles = (low + high) >> 1
                found, low, high, at_low = side.halve(heard[: low.size].copy(), middles, low, high, at_low)
                trace += [middles, found, low.copy(), high.copy(), at_low.copy()]
            side.wipe()
            trace.append(side.parities(everywhere))
            assert not trace[-1].any()
            seen.append(trace)
        assert len(seen[0]) == len(seen[1])
        assert all(np.array_equal(plain, compiled) for plain, compiled in zip(*seen, strict=True))


@pytest.mark.parametrize("n", [0, *SIZES])
def test_what_is_sifted(n: int) -> None:
    rng = np.random.default_rng(n)
    values = rng.integers(0, 3, n, dtype=np.uint8)
    for mask in (rng.integers(0, 2, n, dtype=np.uint8), np.zeros(n, np.uint8), np.ones(n, np.uint8)):
        plain, compiled = both(select, values, mask)
        assert np.array_equal(plain, compiled)
        assert plain.dtype == compiled.dtype


@pytest.mark.parametrize("qber", [0.0, 0.01, 0.03, 0.05, 0.11])
@pytest.mark.parametrize("schedule", ["standard", "low_leak"])
def test_two_ends_send_the_same_messages_and_make_the_same_keys(qber: float, schedule: Schedule) -> None:
    settings = msgspec.structs.replace(SMALL, schedule=schedule)
    seed = round(qber * 100)
    raw = raw_data(2 * 63_000, qber, settings=settings, seed=seed)
    plain, compiled = both(partial(distil, seed=seed), settings, raw)
    assert plain.messages == compiled.messages
    assert plain.accepted() == compiled.accepted()
    assert bool(plain.accepted()[0]) == (qber < 0.05)
    assert [type(block) for block in plain.alice] == [type(block) for block in compiled.alice]


def test_altered_parities_end_alike() -> None:
    """A peer who lies leads Cascade astray, and the same way with kernels: no index leaves its array."""

    def lie(direction: int, data: bytes, message: messages.AnyMessage) -> list[bytes]:
        if isinstance(message, messages.ParityAnswer) and message.sequence % 5 == 0:
            spoilt = bytes(byte ^ 0x44 for byte in message.parities[:-1]) + message.parities[-1:]
            return [messages.encode(msgspec.structs.replace(message, parities=spoilt))]
        return [data]

    for seed in range(4):
        raw = raw_data(63_000, 0.03, seed=seed)
        plain, compiled = both(partial(distil, seed=seed), SMALL, raw, lie)
        assert plain.messages == compiled.messages
        assert plain.accepted() == compiled.accepted()
