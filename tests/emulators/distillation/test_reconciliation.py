from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tokaido.emulators.distillation._permutation import Permutation, permutation_digest
from tokaido.emulators.distillation._reconciliation import (
    BlockQuestion,
    Corrector,
    ParityTables,
    Schedule,
    block_positions,
    block_sizes,
    entropy,
)
from tokaido.emulators.distillation._shuffle_kernels import permuted, prefix_parity

if TYPE_CHECKING:
    from numpy.typing import NDArray

few = settings(deadline=None, max_examples=40)


def reconcile(
    alice: NDArray[np.uint8], bob: NDArray[np.uint8], sizes: tuple[int, ...], extra_passes: int = 8
) -> tuple[Corrector, int, int]:
    """Return the corrector, the bits that the transmitter sent, and the passes added after a failed comparison."""
    seed = hashlib.sha256(alice.tobytes()).digest()
    tables, corrector = ParityTables(alice, seed, 0), Corrector(bob, sizes, seed, 0)
    sent = added = 0
    while True:
        question = corrector.question()
        if question is None:
            if added == extra_passes or np.array_equal(alice, bob):
                return corrector, sent, added
            corrector.add_pass()
            added += 1
            continue
        if isinstance(question, BlockQuestion):
            tables.open_pass()
            positions = block_positions(question.number, question.size, alice.size)
        else:
            positions = question.positions
            assert np.unique(positions).size == positions.size
        sent += positions.size
        corrector.answer(tables.parities(question.number, positions))


def noisy(n: int, qber: float, seed: int = 5) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    rng = np.random.default_rng(seed)
    alice = rng.integers(0, 2, n, dtype=np.uint8)
    return alice, alice ^ (rng.random(n) < qber).astype(np.uint8)


@pytest.mark.parametrize("qber", [0.0, 0.01, 0.03, 0.05, 0.08, 0.11])
@pytest.mark.parametrize("schedule", ["standard", "low_leak"])
def test_errors_are_corrected_and_every_disclosed_bit_is_counted(qber: float, schedule: Schedule) -> None:
    alice, bob = noisy(100_000, qber)
    errors = int((alice != bob).sum())
    corrector, sent, _ = reconcile(alice, bob, block_sizes(schedule, alice.size, qber))
    assert not (alice != bob).any()
    assert sent == corrector.leaked
    if errors:
        assert sent / (alice.size * entropy(errors / alice.size)) < (1.15 if schedule == "standard" else 1.08)


def test_the_default_schedule_leaks_at_most_ten_percent_more_than_shannon_at_three_percent() -> None:
    alice, bob = noisy(400_000, 0.03)
    errors = int((alice != bob).sum())
    _, sent, added = reconcile(alice, bob, block_sizes("standard", alice.size, 0.03))
    assert added == 0
    assert 1 < sent / (alice.size * entropy(errors / alice.size)) <= 1.10


@pytest.mark.parametrize("estimate", [0.005, 0.02, 0.045, 0.2])
def test_a_wrong_estimate_costs_bits_and_no_correctness(estimate: float) -> None:
    alice, bob = noisy(50_000, 0.03)
    reconcile(alice, bob, block_sizes("standard", alice.size, estimate))
    assert not (alice != bob).any()


@given(st.integers(1, 300), st.sampled_from((0.0, 0.02, 0.1, 0.3)), st.integers(0, 10**6))
@settings(deadline=None, max_examples=60)
def test_small_frames_agree_after_extra_passes(n: int, qber: float, seed: int) -> None:
    alice, bob = noisy(n, qber, seed)
    parity = int((alice ^ bob).sum()) & 1
    corrector, sent, _ = reconcile(alice, bob, block_sizes("standard", n, max(qber, 0.01)), extra_passes=64)
    assert sent == corrector.leaked
    assert not (alice != bob).any(), (n, parity)


@given(st.integers(1, 5000), st.integers(0, 5), st.binary(min_size=32, max_size=32))
@few
def test_a_permutation_is_a_bijection_with_an_inverse(n: int, number: int, seed: bytes) -> None:
    shuffle = Permutation(seed, 0, number, n)
    order = shuffle.forward(np.arange(n))
    assert np.array_equal(np.sort(order), np.arange(n))
    assert np.array_equal(shuffle.backward(order), np.arange(n))
    bits = np.random.default_rng(n).integers(0, 2, n, dtype=np.uint8)
    assert np.array_equal(shuffle.gather(bits), bits[order])


def test_permutations_are_the_same_on_every_machine_and_differ_by_pass_frame_and_seed() -> None:
    assert permutation_digest() == "35a05f23c8eaac765f07adcef2f54abcf826f61644f0c36a5dfec2659b7f189a"
    orders = {
        Permutation(seed, frame, number, 1000).forward(np.arange(1000)).tobytes()
        for seed in (bytes(32), b"\1" * 32)
        for frame in (0, 1)
        for number in (1, 2)
    }
    assert len(orders) == 8


def steps_of(seed: bytes, frame: int, number: int, n: int) -> list[int]:
    """Return the permutation by the definition in `_permutation`, position by position in integers."""
    width = max((n - 1).bit_length(), 1)
    words = hashlib.shake_256(b"%b|%d|%d|%d" % (seed, frame, number, n)).digest(32)
    constants = [int.from_bytes(words[at : at + 4], "little") % (1 << width) for at in range(0, 32, 4)]
    places = []
    for place in range(n):
        x = place
        while True:
            for factor, addend in zip(constants[:4], constants[4:], strict=True):
                x = (x * (factor | 1) + addend) % (1 << width)
                x ^= x >> (width + 1) // 2
            if x < n:
                break
        places.append(x)
    return places


@given(st.one_of(st.integers(1, 600), st.sampled_from([1023, 1024, 1025, 4097])), st.integers(0, 9), st.binary())
@few
def test_the_array_forms_of_a_permutation_follow_its_definition(n: int, number: int, seed: bytes) -> None:
    places = steps_of(seed, 3, number, n)
    permutation = Permutation(seed, 3, number, n)
    bits = np.random.default_rng(n).integers(0, 2, n, dtype=np.uint8)
    expected = bits[places]
    arguments = permutation._rounds, permutation._mask, permutation._shift
    assert permutation.forward(np.arange(n)).tolist() == places
    assert permutation.backward(np.array(places)).tolist() == list(range(n))
    assert permuted(bits, *arguments).tolist() == expected.tolist()
    assert prefix_parity(permuted(bits, *arguments)).tolist() == [0, *(np.cumsum(expected) % 2).tolist()]


@pytest.mark.parametrize(
    ("schedule", "qber", "digest"),
    [
        ("standard", 0.03, "4a2b7b1aaa989e05"),
        ("standard", 0.08, "78a22e9c55a71eb1"),
        ("low_leak", 0.03, "941ccd701a25151a"),
        ("low_leak", 0.008, "be856f4451310312"),
    ],
)
def test_questions_and_answers_stay_those_of_the_protocol_version(schedule: Schedule, qber: float, digest: str) -> None:
    """Ends of one version must agree on the questions, so these digests change with `PROTOCOL_VERSION` alone."""
    source = np.random.RandomState(7)  # its stream is frozen
    alice = source.randint(0, 2, 90_000).astype(np.uint8)
    bob = alice ^ (source.random_sample(alice.size) < qber).astype(np.uint8)
    tables, corrector = (
        ParityTables(alice, b"seed", 5),
        Corrector(bob, block_sizes(schedule, alice.size, qber), b"seed", 5),
    )
    said = hashlib.sha256()
    while (question := corrector.question()) is not None:
        if isinstance(question, BlockQuestion):
            tables.open_pass()
            positions = block_positions(question.number, question.size, alice.size)
        else:
            positions = question.positions
        parities = tables.parities(question.number, positions)
        said.update(b"%d|%b|%b" % (question.number, positions.astype("<u4").tobytes(), parities.tobytes()))
        corrector.answer(parities)
    assert said.hexdigest()[:16] == digest
    assert np.array_equal(alice, bob)


def test_permutations_scatter_neighbours_like_a_random_one() -> None:
    n, block = 100_000, 100
    order = Permutation(b"s" * 32, 0, 1, n).backward(np.arange(n)) // block
    together = int((order[:-1] == order[1:]).sum())
    assert abs(together - n * block / n) < 60  # 100 expected
    spread = np.bincount(
        Permutation(b"s" * 32, 0, 1, n).backward(np.arange(0, n, block)) // block, minlength=n // block
    )
    assert spread.max() < 9  # 1000 neighbours' starts thrown into 1000 blocks


@given(st.lists(st.integers(0, 1), max_size=300))
@few
def test_prefix_parities_are_running_sums(bits: list[int]) -> None:
    expected = np.concatenate(([0], np.cumsum(np.array(bits, np.int64)) % 2))
    assert prefix_parity(np.array(bits, np.uint8)).tolist() == expected.tolist()
