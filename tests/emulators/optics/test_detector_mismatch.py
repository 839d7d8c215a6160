"""What unequal detectors cost: the charge against other calculations, and what it refuses."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import accumulate
from typing import Literal

import pytest

from tokaido.emulators.optics import (
    BasisCounts,
    KeyLength,
    LinkParameters,
    asymptotic_rate,
    binary_entropy,
    expected_key_length,
    key_length,
    least_kept,
    link_rate,
    lucamarini_expected_key,
    preset,
    simulate_day,
)

KEY = BasisCounts((4_000_000, 1_500_000, 60_000), (140_000, 60_000, 25_000))
CHECK = BasisCounts((400_000, 150_000, 6_000), (14_000, 6_000, 2_500))
SOURCE = (0.5, 0.13, 0.001), (0.6, 0.27, 0.13)
EPS = 1e-10
Bound = Literal["chernoff", "hoeffding", "lp"]
BOUNDS: tuple[Bound, ...] = ("chernoff", "hoeffding", "lp")


def length(ratio: float | None = None, bound: Bound = "chernoff", key: BasisCounts = KEY) -> KeyLength:
    if bound == "lp":
        pytest.importorskip("scipy")
    if ratio is None:
        return key_length(key, CHECK, *SOURCE, leaked_bits=900_000, eps_sec=EPS, eps_cor=1e-15, bound=bound)
    return key_length(
        *(key, CHECK, *SOURCE), leaked_bits=900_000, eps_sec=EPS, eps_cor=1e-15, bound=bound, detector_ratio=ratio
    )


def binomial_tails(trials: int, chance: float) -> list[float]:
    """Return P(X <= k) for every k, term by term."""
    terms = (
        math.exp(
            math.lgamma(trials + 1)
            - math.lgamma(k + 1)
            - math.lgamma(trials - k + 1)
            + k * math.log(chance)
            + (trials - k) * math.log1p(-chance)
        )
        for k in range(trials + 1)
    )
    return list(accumulate(terms))


@pytest.mark.parametrize("failure", [1e-3, 4e-12])
@pytest.mark.parametrize(("trials", "ratio"), [(50, 0.5), (300, 0.95), (2000, 0.9), (2000, 0.3), (20, 0.99)])
def test_fewer_are_kept_only_as_seldom_as_is_said(trials: int, ratio: float, failure: float) -> None:
    least = least_kept(trials, ratio, failure)
    assert 0 <= least <= ratio * trials
    tails = binomial_tails(trials, ratio)
    assert math.ceil(least) == 0 or tails[math.ceil(least) - 1] <= failure
    if least > 0:  # and not far too few: the bound costs at most twice the deviation that binomial counts need
        exact = next(k for k, tail in enumerate(tails) if tail > failure)
        assert ratio * trials - least <= 2 * (ratio * trials - exact) + 1


@pytest.mark.parametrize("trials", [1e3, 1e6, 1e12, 1e20])
def test_of_ever_more_clicks_the_ratio_itself_is_kept(trials: float) -> None:
    share = least_kept(trials, 0.95, EPS) / trials
    deviation = math.sqrt(2 * 0.95 * 0.05 * math.log(1 / EPS) / trials)  # of a normal count
    assert 0.95 - share == pytest.approx(deviation, rel=0.35 if trials < 1e4 else 0.01)


def test_equal_detectors_keep_every_click_and_blind_ones_none() -> None:
    assert least_kept(12345.5, 1.0, EPS) == 12345.5
    assert least_kept(0, 0.9, EPS) == 0
    assert least_kept(3, 0.9, EPS) == 0


@pytest.mark.parametrize("bound", BOUNDS)
def test_a_ratio_of_one_is_no_charge_at_all(bound: Bound) -> None:
    assert length(1.0, bound) == length(None, bound)


@pytest.mark.parametrize("bound", BOUNDS)
def test_less_equal_detectors_never_give_more_key(bound: Bound) -> None:
    bits = [length(ratio, bound).bits for ratio in (1.0, 0.999999, 0.99, 0.97, 0.95, 0.9, 0.8, 0.5, 0.1)]
    assert bits == sorted(bits, reverse=True)
    assert bits[0] > bits[4] > 0
    assert bits[-1] == 0


def test_the_charge_is_what_the_proof_says_of_the_same_bounds() -> None:
    """The terms put together again from the bounds of a block without charge, with 25 failure chances, not 21."""
    ratio = 0.95
    plain = length(1.0, "hoeffding")
    charged = length(ratio, "hoeffding")
    assert charged.single_photon_events == pytest.approx(plain.single_photon_events, rel=1e-3)
    kept = least_kept(charged.single_photon_events, ratio, EPS / 25)
    assert kept < ratio * charged.single_photon_events
    entropy = 1 - binary_entropy(charged.phase_error)
    wanted = charged.vacuum_events + kept * entropy - 900_000
    wanted -= 6 * math.log2(25 / EPS) + math.log2(2e15)
    assert charged.bits == math.floor(wanted)
    assert charged.phase_error > plain.phase_error / ratio * 0.999


def test_without_end_the_charge_is_the_rate_of_maroy_lydersen_and_skaar() -> None:
    """R = r (1 - h(e / r)) - f h(E) of single photons: PRA 82 032337 (2010)."""
    link = preset("t12", settings="short-block", channel_loss_db=5.0)
    plain, charged = (replace(link, rate_method="asymptotic", keyed_bases="key", detector_ratio=r) for r in (1.0, 0.9))
    one, other = link_rate(plain), link_rate(charged)
    per_pulse = link.probabilities[0] * link.key_basis_probability_transmitter * link.key_basis_probability_receiver
    live = per_pulse * link.clock_rate_hz * link.duty
    live /= 1 + link.dead_gates * sum(p * q for p, q in zip(link.probabilities, one.gains, strict=True))
    mu = link.intensities[0]
    singles = one.single_photon_yield * mu * math.exp(-mu)
    e = one.single_photon_error
    lost = singles * (1 - binary_entropy(e) - 0.9 * (1 - binary_entropy(e / 0.9)))
    assert one.secret_bps - other.secret_bps == pytest.approx(live * lost, rel=1e-6)
    assert asymptotic_rate(charged) == pytest.approx(other.secret_bps)


def test_the_finite_charge_comes_near_to_that_without_end() -> None:
    link = preset("t12", settings="short-block", channel_loss_db=5.0)
    rates = []
    for ratio in (1.0, 0.9):
        with_ratio = replace(link, detector_ratio=ratio)
        rates.append(expected_key_length(with_ratio, 1e17).bits)
    lost = rates[0] - rates[1]
    plain = expected_key_length(link, 1e17)
    e = plain.phase_error
    wanted = plain.single_photon_events * (1 - binary_entropy(e) - 0.9 * (1 - binary_entropy(e / 0.9)))
    assert lost == pytest.approx(wanted, rel=1e-3)


def test_every_rate_and_the_day_take_the_ratio_from_the_link() -> None:
    link = preset("t12", settings="short-block", channel_loss_db=5.0)
    charged = replace(link, detector_ratio=0.95)
    for method in ("lim", "asymptotic", "infinite-decoys"):
        assert 0 < link_rate(charged, method=method).secret_bps < link_rate(link, method=method).secret_bps
    days = [simulate_day(p, seconds=60, step_s=5, pulses_per_block=1e10, seed=1) for p in (link, charged)]
    assert 0 < sum(block.key.bits for block in days[1].blocks) < sum(block.key.bits for block in days[0].blocks)


def test_analyses_without_a_proof_for_it_refuse() -> None:
    link = preset("t12", channel_loss_db=5.0)
    assert link.rate_method == "lucamarini"
    charged = replace(link, detector_ratio=0.95)
    for attempt in (
        lambda: link_rate(charged),
        lambda: lucamarini_expected_key(charged, 1e12),
        lambda: simulate_day(charged, seconds=60, step_s=5, pulses_per_block=1e10, seed=1),
    ):
        with pytest.raises(ValueError, match=r"detector_ratio = 0\.95.*choose 'lim'"):
            attempt()


@pytest.mark.parametrize("ratio", [0.0, -0.1, 1.01, math.nan, math.inf])
def test_ratios_that_are_none_are_refused(ratio: float) -> None:
    with pytest.raises(ValueError, match="detector_ratio"):
        length(ratio)
    with pytest.raises(ValueError, match="detector_ratio"):
        replace(preset("t12", channel_loss_db=5.0), detector_ratio=ratio)
    assert isinstance(preset("t12", channel_loss_db=5.0), LinkParameters)
