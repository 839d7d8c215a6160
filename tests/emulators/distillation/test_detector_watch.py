"""The receiver's look at its own bits: what is allowed, how seldom it errs, and what a stated ratio costs and means."""

from __future__ import annotations

import math
from dataclasses import replace

import msgspec
import numpy as np
import pytest

from tokaido.emulators.distillation import (
    AbortedBlock,
    AbortReason,
    AcceptedBlock,
    DistillationSettings,
    uneven_limit,
)
from tokaido.emulators.optics import BasisCounts, ReceiverRecord, TransmitterRecord, key_length
from tokaido.hal import ConfigurationError
from tokaido_testing.distillation import SMALL, Outcome, feed, pair, raw_data, run_pair

STATED = msgspec.structs.replace(SMALL, detector_ratio=0.95)
Triple = tuple[int, int, int]
Records = tuple[TransmitterRecord, ReceiverRecord]


def uneven(records: Records, kept: float, *, basis: int | None = None, odd_slots: bool = False) -> Records:
    """Return the records without most of the ones that the receiver has: a share `kept` is left."""
    sent, received = records
    rng = np.random.default_rng(4)
    lost = (received.bit == 1) & (rng.random(received.bit.size) >= kept)
    if basis is not None:
        lost &= received.basis == basis
    if odd_slots:
        lost &= received.slots % 2 == 1
    here = ~lost
    return (
        TransmitterRecord(sent.slots[here], sent.basis[here], sent.bit[here], sent.intensity[here]),
        ReceiverRecord(received.slots[here], received.basis[here], received.bit[here]),
    )


def distil(settings: DistillationSettings, records: Records, sub_channels: int = 1) -> Outcome:
    return feed(*pair(settings), records, sub_channels=sub_channels)


def verdicts(outcome: Outcome) -> set[AbortReason | None]:
    return {getattr(results[0], "reason", None) for results in (outcome.alice, outcome.bob)}


def started(outcome: Outcome) -> list[tuple[Triple, Triple, Triple]]:
    """Return the counts of every block that was full and is corrected: detections of both bases, check errors."""
    arrays = (msgspec.msgpack.decode(data) for _, data in outcome.messages)
    return [(tuple(a[6]), tuple(a[7]), tuple(a[8])) for a in arrays if a[0] == "start"]


@pytest.mark.parametrize(("kept", "basis"), [(0.0, None), (0.5, None), (0.8, None), (0.7, 0), (0.7, 1)])
def test_a_block_with_too_few_ones_ends_before_anything_of_it_is_corrected(kept: float, basis: int | None) -> None:
    outcome = distil(STATED, uneven(raw_data(150_000, 0.01), kept, basis=basis))
    assert verdicts(outcome) == {AbortReason.DETECTOR_MISMATCH}
    for results in (outcome.alice, outcome.bob):
        assert all(isinstance(result, AbortedBlock) for result in results)
    assert not started(outcome)


def test_an_even_block_and_one_within_the_ratio_are_accepted() -> None:
    for kept in (1.0, 0.97):
        outcome = distil(STATED, uneven(raw_data(75_000, 0.01), kept))
        first, second = outcome.accepted()
        assert first
        assert first == second


def test_each_pair_of_detectors_is_watched_for_itself() -> None:
    records = uneven(raw_data(90_000, 0.01), 0.9, odd_slots=True)
    assert verdicts(distil(STATED, records)) == {None}
    settings = msgspec.structs.replace(STATED, detector_ratio=0.99)
    assert verdicts(distil(settings, records, sub_channels=1)) == {None}
    assert verdicts(distil(settings, records, sub_channels=2)) == {AbortReason.DETECTOR_MISMATCH}


def test_the_receiver_alone_knows_its_share_of_ones() -> None:
    alice, bob = pair(STATED)
    assert math.isnan(bob.statistics.ones_share)
    records = uneven(raw_data(100_000, 0.01), 0.5)
    feed(alice, bob, records)
    assert bob.statistics.ones_share == pytest.approx(1 / 3, abs=0.01)
    assert math.isnan(alice.statistics.ones_share)


@pytest.mark.parametrize("bits", [200, 5_000])
@pytest.mark.parametrize("ratio", [1.0, 0.9])
def test_even_detectors_at_their_ratio_are_falsely_accused_as_seldom_as_is_said(ratio: float, bits: int) -> None:
    """The binomial tail beyond the limit, summed, at the worst share that the ratio allows."""
    share = 1 / (1 + ratio)
    for chance in (1e-2, 1e-6, 1e-10):
        limit = uneven_limit(ratio, bits, chance)
        tail = math.fsum(
            math.exp(
                math.lgamma(bits + 1)
                - math.lgamma(ones + 1)
                - math.lgamma(bits - ones + 1)
                + ones * math.log(share)
                + (bits - ones) * math.log1p(-share)
            )
            for ones in range(bits + 1)
            if abs(ones / bits - 0.5) > limit
        )
        assert tail <= chance


def test_the_limit_is_what_the_ratio_allows_and_what_chance_does() -> None:
    assert uneven_limit(0.95, 10**12) == pytest.approx(0.05 / (2 * 1.95), abs=1e-5)
    assert uneven_limit(1.0, 10**12) < 1e-5
    assert uneven_limit(0.95, 100_000) - uneven_limit(1.0, 100_000) == pytest.approx(0.05 / 3.9)
    share = 1 / (1 + 0.95)
    assert abs(share - 0.5) == pytest.approx(0.05 / 3.9)


def test_the_length_is_charged_for_the_ratio_at_both_ends_and_the_ledger_says_so() -> None:
    records = raw_data(60_000, 0.01)
    plain, charged = (distil(settings, records) for settings in (SMALL, STATED))
    (first, second), (equal, _) = ((o.alice[0], o.bob[0]) for o in (charged, plain))
    assert isinstance(first, AcceptedBlock)
    assert isinstance(second, AcceptedBlock)
    assert isinstance(equal, AcceptedBlock)
    assert first.output_bits == second.output_bits < 0.97 * equal.output_bits
    key, check, errors = started(charged)[0]
    bits = key_length(
        BasisCounts(key, (0, 0, 0)),
        BasisCounts(check, errors),
        STATED.intensities,
        STATED.probabilities,
        leaked_bits=first.leak_alice,
        eps_sec=STATED.eps_sec,
        eps_cor=STATED.eps_cor,
        detector_ratio=0.95,
    ).bits
    assert first.output_bits == bits - bits % 8
    assert first.eps == second.eps
    assert first.eps.estimation == pytest.approx(STATED.eps_sec * 18 / 25)
    assert first.eps.secrecy == pytest.approx(STATED.eps_sec)
    assert replace(first.eps, estimation=0, amplification=0) == replace(equal.eps, estimation=0, amplification=0)


def test_ends_that_state_other_ratios_have_no_session() -> None:
    alice, _ = pair(STATED)
    _, bob = pair(SMALL)
    outcome = run_pair(alice, bob)
    assert verdicts(outcome) == {AbortReason.SETTINGS_MISMATCH}
    assert "detector_ratio (" in getattr(outcome.alice[0], "text", "")


@pytest.mark.parametrize("ratio", [0.0, 1.5, -1.0])
def test_ratios_that_are_none_are_refused(ratio: float) -> None:
    with pytest.raises(ConfigurationError, match="detector_ratio"):
        DistillationSettings(detector_ratio=ratio)
