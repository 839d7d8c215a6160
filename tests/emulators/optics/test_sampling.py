"""Random sampling: phase errors of the key basis, bounded by the exact hypergeometric tail where few were seen."""

from __future__ import annotations

import math
import random
from fractions import Fraction

import pytest

from tokaido.emulators.optics import (
    BasisCounts,
    hypergeometric_tail,
    key_length,
    most_other_errors,
    one_decoy_key_length,
    phase_error_bound,
    sampling_deviation,
)

FAILURE = Fraction(1, 21 * 10**10)  # eps_sec / 21 for eps_sec = 1e-10


def exact_tail(most: int, sampled: int, others: int, marked: int) -> Fraction:
    """P(X <= most) in whole numbers: no rounding at all."""
    unmarked = sampled + others - marked
    lowest = max(0, sampled - unmarked)
    if most < lowest:
        return Fraction(0)
    term = math.comb(marked, lowest) * math.comb(unmarked, sampled - lowest)
    ways = term
    for x in range(lowest, min(most, marked, sampled)):
        term = term * (marked - x) * (sampled - x) // ((x + 1) * (unmarked - sampled + x + 1))
        ways += term
    return Fraction(ways, math.comb(sampled + others, sampled))


def test_tail_is_the_exact_one_and_never_smaller() -> None:
    rng = random.Random(5)
    compared = 0
    for _ in range(2000):
        sampled, others = rng.randint(1, 300), rng.randint(1, 600)
        marked, most = rng.randint(0, sampled + others), rng.randint(0, sampled)
        exact, found = exact_tail(most, sampled, others, marked), hypergeometric_tail(most, sampled, others, marked)
        if found == 1.0:
            assert exact > Fraction(1, 5)  # at the mode and above nothing is excluded
            continue
        compared += exact > 0
        assert found >= exact * (1 - Fraction(1, 10**12)), (most, sampled, others, marked)
        assert found == pytest.approx(float(exact), rel=1e-12), (most, sampled, others, marked)
    assert compared > 500


@pytest.mark.parametrize("sampled", [40, 200, 700])
@pytest.mark.parametrize("failure", [Fraction(1, 1000), FAILURE])
def test_most_other_errors_is_the_smallest_number_that_the_tail_excludes(sampled: int, failure: Fraction) -> None:
    for others in (30, 250):
        for seen in (0, 1, 3, 7, 19):
            excluded = [e for e in range(others + 1) if exact_tail(seen, sampled, others, seen + e) <= failure]
            expected = excluded[0] if excluded else others + 1
            assert most_other_errors(seen, sampled, others, float(failure)) == expected, (others, seen)
            higher = most_other_errors(seen, sampled, others, float(failure), at_least=expected + 2)
            assert higher == min(expected + 2, others + 1)


@pytest.mark.parametrize(
    ("check", "key", "seen"),
    [
        *((5_000, 20_000, seen) for seen in (0, 1, 2, 5, 12, 20, 27, 33, 60, 400)),
        *((27_000, 400_000, seen) for seen in (0, 1, 12, 27, 33, 400)),  # exact sums of many terms
    ],
)
def test_phase_errors_are_never_fewer_than_the_exact_tail_allows(check: int, key: int, seen: int) -> None:
    phi = phase_error_bound(seen, check, key, 1e-10)
    unseen = math.ceil(phi * key - 1e-6)
    assert exact_tail(seen, check, key, seen + unseen) <= FAILURE
    by_formula = max(seen, 1) / check + sampling_deviation(1e-10, max(seen, 1) / check, check, key)
    assert phi >= by_formula
    assert phi == by_formula or exact_tail(seen, check, key, seen + unseen - 1) > FAILURE  # and no more than that


def test_formula_fails_below_30_errors_and_holds_above() -> None:
    def excess(seen: int) -> float:
        rate = max(seen, 1) / 27_000
        return phase_error_bound(seen, 27_000, 400_000, 1e-10) / (
            rate + sampling_deviation(1e-10, rate, 27_000, 400_000)
        )

    assert excess(0) > 2.2
    assert excess(10) > 1.15
    assert excess(27) > 1
    assert [excess(seen) for seen in (35, 100, 1000)] == [1, 1, 1]


def test_nothing_is_bounded_by_a_sample_of_nothing() -> None:
    assert phase_error_bound(0, 1, 100, 1e-10) == 0.5
    assert phase_error_bound(0, 20, 1e6, 1e-10) == 0.5  # no errors in 20, and yet anything goes
    assert phase_error_bound(0, 1e6, 0.5, 1e-10) == 0.5
    assert phase_error_bound(600, 1000, 1e6, 1e-10) == 0.5


def test_large_counts_are_bounded_too() -> None:
    for scale in (1e7, 1e12, 1e20):
        phi = phase_error_bound(0.03 * scale, scale, 10 * scale, 1e-10)
        assert 0.03 < phi < 0.03 + 30 / math.sqrt(scale)


SOURCE = ((0.5, 0.13, 0.001), (0.6, 0.27, 0.13))
KEY = BasisCounts((350_000, 47_500, 4_500), (15_000, 5_000, 2_200))
CHECK = (113_000, 15_300, 1_470)


@pytest.mark.parametrize("wrong", [0, 1, 2, 4])
def test_key_is_no_longer_than_the_exact_tail_allows(wrong: int) -> None:
    check = BasisCounts(CHECK, (0, wrong, 0))
    found = key_length(KEY, check, *SOURCE, leaked_bits=0, eps_sec=1e-10, eps_cor=1e-15, bound="hoeffding")
    # errors of single photons seen in the check basis, at most: Lim 2014 Eq. 4 without sharing code with the product
    (_, nu, w), (_, p_nu, _) = SOURCE
    tau = sum(p * k * math.exp(-k) for k, p in zip(*SOURCE, strict=True))
    above = math.sqrt(wrong / 2 * math.log(21e10))
    seen = math.ceil(tau * math.exp(nu) / p_nu * (wrong + above) / (nu - w))
    singles = key_length(
        BasisCounts(CHECK, (0, 0, 0)), check, *SOURCE, leaked_bits=0, eps_sec=1e-10, eps_cor=1e-15, bound="hoeffding"
    ).single_photon_events
    sampled, others = math.floor(singles), math.floor(found.single_photon_events)
    assert found.phase_error < 0.5
    assert exact_tail(seen, sampled, others, seen + math.ceil(found.phase_error * others - 1e-6)) <= FAILURE


def test_one_decoy_is_held_to_the_exact_tail_too() -> None:
    def phi(wrong: float) -> float:
        return one_decoy_key_length(
            (5e6, 1e6), (5e4, 1e4), (2e5, 6e4), (0, wrong),
            intensities=(0.5, 0.2), probabilities=(0.7, 0.3), leaked_bits=0, eps_sec=1e-10, eps_cor=1e-15,
        ).phase_error  # fmt: skip

    # No more than 1.7e5 single photons were sampled: with no error among them, 19 / eps is what the tail must reach.
    assert phi(0) > math.log(19e10) / 2.6e5
