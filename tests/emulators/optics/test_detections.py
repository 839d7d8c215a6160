"""Detections of a whole link: against the formulas, under every condition, and what the two sides may know."""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from tokaido.emulators.optics import (
    NOMINAL,
    Conditions,
    Exposure,
    InterceptResend,
    LinkParameters,
    QuantumChannel,
    _detections,
    expected_gains,
    preset,
)

SHORT = preset("t12", settings="short-block", channel_loss_db=10.0)
NO_DEAD_TIME = replace(SHORT, dead_time_s=0.0)
BALANCED = replace(NO_DEAD_TIME, key_basis_probability_transmitter=0.5, key_basis_probability_receiver=0.6)
MEMORYLESS = replace(BALANCED, afterpulse_probability=0.0)


def zeros(n: int) -> bytes:
    return bytes(n)


def expose(
    params: LinkParameters,
    pulses: int,
    conditions: Conditions = NOMINAL,
    seed: int = 7,
    secret: Callable[[int], bytes] | None = None,
) -> Exposure:
    """Return an exposure that a seed repeats: its secrets, too, since errors depend on them by the afterpulses."""
    source = random.Random(seed).randbytes if secret is None else secret
    channel = QuantumChannel(params, physics=np.random.default_rng(seed), secret=source)
    return channel.expose(pulses, conditions)


def tally(exposure: Exposure) -> tuple[np.ndarray, np.ndarray]:
    """Detections and errors, each indexed [intensity, transmitter basis, receiver basis]."""
    t, r = exposure.transmitter, exposure.receiver
    code = t.intensity.astype(np.int64) * 4 + t.basis * 2 + r.basis
    wrong = t.bit != r.bit
    return (
        np.bincount(code, minlength=12).reshape(3, 2, 2),
        np.bincount(code[wrong], minlength=12).reshape(3, 2, 2),
    )


def qber(exposure: Exposure, basis: int, intensity: int = 0) -> float:
    n, m = tally(exposure)
    return float(m[intensity, basis, basis] / n[intensity, basis, basis])


def rate(exposure: Exposure) -> float:
    return exposure.receiver.slots.size / exposure.pulses


# --- against the formulas -------------------------------------------------------------------------------------------


def deviations(params: LinkParameters, pulses: int) -> list[float]:
    """Return, in sigmas, how far detections and errors of every intensity and pair of bases are from the formula."""
    n, m = tally(expose(params, pulses))
    expected = expected_gains(params)
    p_a, p_b = params.key_basis_probability_transmitter, params.key_basis_probability_receiver
    result = []
    for k in range(3):
        for a in (0, 1):
            for b in (0, 1):
                share = params.probabilities[k] * abs(a - p_a) * abs(b - p_b)
                mean = pulses * expected.live * share * expected.gains[k]
                result.append((n[k, a, b] - mean) / mean**0.5)
                e = 0.5 if a != b else (expected.error_rates_key, expected.error_rates_check)[a][k]
                result.append((m[k, a, b] - n[k, a, b] * e) / (n[k, a, b] * e * (1 - e)) ** 0.5)
    return result


@pytest.mark.parametrize("pulses", [500_000_000, pytest.param(2_000_000_000, marks=pytest.mark.thorough)])
def test_gains_and_errors_are_those_of_the_formula(pulses: int) -> None:
    far = replace(BALANCED, channel_loss_db=18.0)
    sigmas = [s for params in (SHORT, NO_DEAD_TIME, BALANCED, MEMORYLESS, far) for s in deviations(params, pulses)]
    assert np.abs(sigmas).max() < 4
    assert 0.6 < np.mean(np.square(sigmas)) < 1.5  # chi-square of 120 values, three sigma


@pytest.mark.parametrize("dead_time_s", [10e-9, 40e-9])
def test_dead_time_takes_its_share(dead_time_s: float) -> None:
    params = replace(SHORT, dead_time_s=dead_time_s)
    exposure = expose(params, 400_000_000)
    expected = expected_gains(params)
    assert rate(exposure) == pytest.approx(
        expected.live * expected.mean_gain, rel=5 / exposure.receiver.slots.size**0.5
    )
    assert np.diff(exposure.receiver.slots).min() == params.dead_gates + 1
    n, _ = tally(exposure)
    decoy = n[1].sum() / (exposure.pulses * expected.live * params.probabilities[1])
    vacuum = n[2].sum() / (exposure.pulses * expected.live * params.probabilities[2])
    assert decoy == pytest.approx(expected.gains[1], rel=5 / n[1].sum() ** 0.5)
    assert vacuum == pytest.approx(expected.gains[2], rel=5 / n[2].sum() ** 0.5)


def test_no_slot_clicks_twice_and_none_is_out_of_range() -> None:
    for params in (SHORT, NO_DEAD_TIME, replace(NO_DEAD_TIME, channel_loss_db=0.0, afterpulse_probability=0.3)):
        slots = expose(params, 6_000_000).receiver.slots
        assert np.diff(slots).min() >= 1
        assert 0 <= slots[0] < slots[-1] < 6_000_000


def test_afterpulses_show_in_the_gaps_and_only_if_there_are_any() -> None:
    def short_gaps(params: LinkParameters) -> tuple[float, float, float]:
        """Share of gaps within one decay time, that of a memoryless process of equal rate, and one sigma."""
        exposure = expose(params, 200_000_000)
        gaps = np.diff(exposure.receiver.slots)
        share = 1 - (1 - rate(exposure)) ** 50
        return float(np.mean(gaps <= 50)), share, (share / gaps.size) ** 0.5

    with_, chance, sigma = short_gaps(BALANCED)
    assert with_ - chance == pytest.approx(0.0525 * (1 - np.exp(-1)), rel=0.3)
    assert with_ - chance > 20 * sigma
    without, chance, sigma = short_gaps(MEMORYLESS)
    assert abs(without - chance) < 4 * sigma


def test_gaps_of_a_link_without_dead_time_and_afterpulses_are_geometric() -> None:
    exposure = expose(MEMORYLESS, 500_000_000)
    gaps = np.diff(exposure.receiver.slots)
    p = rate(exposure)
    grid = np.arange(1, int(12 / p))
    empirical = np.searchsorted(np.sort(gaps), grid, side="right") / gaps.size
    distance = float(np.abs(empirical + np.expm1(grid * np.log1p(-p))).max())
    assert distance * gaps.size**0.5 < 1.63  # Kolmogorov-Smirnov, 1 %


def autocorrelation(params: LinkParameters, lags: range) -> tuple[np.ndarray, float]:
    """Return, for each lag in gates, how often a click follows a click, less the chance of it, and one sigma."""
    exposure = expose(params, 500_000_000)
    slots, n, p = exposure.receiver.slots, exposure.receiver.slots.size, rate(exposure)
    pairs = np.zeros(lags.stop, np.int64)
    for neighbour in range(1, 6):
        apart = slots[neighbour:] - slots[:-neighbour]
        pairs += np.bincount(apart[apart < lags.stop], minlength=lags.stop)
    return pairs[lags.start :] / n - p, (p / n) ** 0.5


def test_clicks_correlate_with_earlier_ones_as_afterpulses_do_and_only_if_there_are_any() -> None:
    lags = range(1, 150)
    after, sigma = autocorrelation(BALANCED, lags)
    chance = BALANCED.afterpulse_probability
    expected = chance * np.exp(-(np.array(lags) - 1) / 50) * -np.expm1(-1 / 50)
    assert (np.abs(after - expected) < 5 * sigma + 0.1 * expected).all()
    none, sigma = autocorrelation(MEMORYLESS, lags)
    assert 0.6 < np.mean(np.square(none / sigma)) < 1.5
    assert abs(none.sum()) < 4 * sigma * len(lags) ** 0.5


@pytest.mark.parametrize("pulses", [5_000_000, pytest.param(30_000_000, marks=pytest.mark.thorough)])
def test_chunks_do_not_show(pulses: int, monkeypatch: pytest.MonkeyPatch) -> None:
    params = replace(SHORT, afterpulse_probability=0.3, dead_time_s=30e-9)
    whole = expose(params, pulses)
    monkeypatch.setattr(_detections, "_CLICKS_PER_CHUNK", 5)
    pieces = expose(params, pulses, seed=8)
    for one, other in zip((*tally(whole),), (*tally(pieces),), strict=True):
        sigma = np.sqrt(2 * np.maximum(one + other, 1))
        assert (np.abs(one - other) < 4.5 * sigma).all()
    gaps = [np.diff(exposure.receiver.slots) for exposure in (whole, pieces)]
    assert gaps[1].min() == 31
    histograms = [np.histogram(g, bins=[31, 36, 41, 51, 71, 101, 201, 501, 10**9])[0] for g in gaps]
    assert (np.abs(histograms[0] - histograms[1]) < 4.5 * np.sqrt(2 * (histograms[0] + histograms[1]))).all()


def test_exposures_go_on_where_the_last_one_ended() -> None:
    params = replace(SHORT, channel_loss_db=0.0)
    channel = QuantumChannel(params, physics=np.random.default_rng(9), secret=random.Random(9).randbytes)
    slots = np.concatenate([channel.expose(57).receiver.slots for _ in range(1500)])
    assert channel.next_slot == 57 * 1500
    assert np.diff(slots).min() == params.dead_gates + 1
    expected = expected_gains(params)
    assert slots.size == pytest.approx(57 * 1500 * expected.live * expected.mean_gain, rel=5 / slots.size**0.5)
    channel.restart()
    assert channel.expose(1000).receiver.slots[0] < 1000


def test_no_pulses_no_clicks() -> None:
    assert expose(SHORT, 0).receiver.slots.size == 0
    with pytest.raises(ValueError, match="-1 pulses"):
        expose(SHORT, -1)
    dark = replace(SHORT, dark_count_probability=0.0)
    assert expose(dark, 10**12, Conditions(laser_on=False)).receiver.slots.size == 0


def test_counters_agree_with_the_record() -> None:
    exposure = expose(replace(SHORT, channel_loss_db=0.0, receiver_loss_db=0.0), 10_000_000)
    zero, one = exposure.counts.clicks
    assert exposure.counts.coincidences > 1000
    assert zero + one - exposure.counts.coincidences == exposure.receiver.slots.size
    assert one - exposure.receiver.bit.sum() == pytest.approx(exposure.counts.coincidences / 2, rel=0.1)


def test_double_clicks_become_random_bits_and_are_kept() -> None:
    bright = replace(
        MEMORYLESS, channel_loss_db=0.0, receiver_loss_db=0.0, detector_efficiency=1.0, misalignment_key=0.2
    )
    pulses = 20_000_000
    exposure = expose(bright, pulses)
    n, m = tally(exposure)
    right, wrong = 1 - np.exp(-0.5 * 0.8), 1 - np.exp(-0.5 * 0.2)  # signal, key basis; dark counts do not matter
    signals = pulses * 0.6 * 0.5 * 0.6
    assert n[0, 0, 0] / signals == pytest.approx(right + wrong - right * wrong, rel=2e-3)
    assert m[0, 0, 0] / signals == pytest.approx(wrong - right * wrong / 2, rel=5e-3)


@pytest.mark.parametrize("longest", [1 << 30, 1_000_000])
def test_an_afterpulse_fires_the_detector_that_clicked(longest: int) -> None:
    """Clicks so rare that what follows one is its afterpulse: the receiver's bit again, a bit of its own was sent."""
    rare = replace(NO_DEAD_TIME, channel_loss_db=34.0, dark_count_probability=1e-7, afterpulse_probability=0.4)
    channel = QuantumChannel(rare, physics=np.random.default_rng(1), secret=random.Random(1).randbytes)
    parts = [channel.expose(min(200_000_000, longest)) for _ in range(max(200_000_000 // longest, 1))]
    slots, sent, received = (
        np.concatenate(columns)
        for columns in zip(*((p.receiver.slots, p.transmitter.bit, p.receiver.bit) for p in parts), strict=True)
    )
    after = np.flatnonzero(np.diff(slots) < 500) + 1
    assert after.size > 800
    assert np.mean(received[after] == received[after - 1]) > 0.99
    assert np.mean(sent[after] != received[after]) == pytest.approx(0.5, abs=4 * 0.5 / after.size**0.5)
    assert np.mean(received[after]) == pytest.approx(0.5, abs=6 * 0.5 / after.size**0.5)


def test_where_one_detector_is_deaf_its_afterpulses_are_missing_too() -> None:
    link = replace(SHORT, dark_count_probability=0.0, afterpulse_probability=0.2)
    deaf = Conditions(detector_efficiencies=(1.0, 0.0))
    for exposure in (
        expose(link, 20_000_000, deaf),
        QuantumChannel(link, physics=np.random.default_rng(2), secret=random.Random(2).randbytes).count(
            20_000_000, deaf
        ),
    ):
        zero, one = exposure.counts.clicks
        assert zero > 10_000
        assert one == exposure.counts.coincidences == 0


def test_the_two_detectors_scatter_as_much_in_counts_as_in_events() -> None:
    """A click and its afterpulses are in one detector: the variance of the difference grows by (1 + m) / (1 - m)."""
    link = replace(NO_DEAD_TIME, channel_loss_db=25.0, dark_count_probability=0.0, afterpulse_probability=0.4)
    spreads = []
    for drawn in ("expose", "count"):
        channel = QuantumChannel(link, physics=np.random.default_rng(3), secret=random.Random(3).randbytes)
        seen = [getattr(channel, drawn)(1_500_000).counts.clicks for _ in range(400)]
        zero, one = np.array(seen, np.float64).T
        spreads.append(float(np.var(one - zero) / np.mean(one + zero)))
    wanted = (1 + 0.4) / (1 - 0.4)
    assert spreads == pytest.approx([wanted, wanted], rel=0.25)


def test_afterpulses_make_double_clicks_with_other_clicks() -> None:
    dark = replace(NO_DEAD_TIME, dark_count_probability=0.02, afterpulse_probability=0.2)
    exposure = expose(dark, 8_000_000, Conditions(laser_on=False))
    afterpulses = 0.2 * rate(exposure)
    # two dark counts; one of each, in different detectors; two afterpulses in different detectors
    expected = 0.02**2 + afterpulses * 2 * 0.02 * 0.98 / 2 + afterpulses**2 / 4
    assert exposure.counts.coincidences / exposure.pulses == pytest.approx(expected, rel=0.02)


@pytest.fixture(scope="module")
def undisturbed() -> Exposure:
    return expose(BALANCED, 500_000_000)


# --- conditions -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("conditions", [Conditions(laser_on=False), Conditions(shutter_open=False)])
def test_without_light_only_the_noise_is_left(conditions: Conditions) -> None:
    exposure = expose(NO_DEAD_TIME, 5_000_000_000, conditions)
    clicks = exposure.receiver.slots.size
    assert rate(exposure) == pytest.approx(4.2e-5 / (1 - 0.0525), rel=5 / clicks**0.5)
    n, m = tally(exposure)
    assert n.sum(axis=(1, 2)) / clicks == pytest.approx(NO_DEAD_TIME.probabilities, abs=0.01)
    assert m.sum() / clicks == pytest.approx(0.5, abs=0.01)


def test_dark_counts_and_stray_light_add_up() -> None:
    dark = Conditions(laser_on=False, dark_count_scale=3.0, background=1e-4)
    assert rate(expose(MEMORYLESS, 1_000_000_000, dark)) == pytest.approx(2.26e-4, rel=0.01)


def test_loss_and_delay_lower_the_gain() -> None:
    base = rate(expose(MEMORYLESS, 200_000_000)) - 4.2e-5
    lossy = rate(expose(MEMORYLESS, 200_000_000, Conditions(extra_loss_db=3.0))) - 4.2e-5
    late = rate(expose(MEMORYLESS, 200_000_000, Conditions(delay_offset_ps=75.0))) - 4.2e-5
    assert lossy / base == pytest.approx(10**-0.3, rel=0.01)
    assert late / base == pytest.approx(0.5, rel=0.01)  # half of the width at half maximum


@pytest.mark.parametrize(
    ("conditions", "added"),
    [
        (Conditions(phase_error_rad=np.deg2rad(30)), 0.067),
        (Conditions(polarisation_error_rad=np.deg2rad(10)), 0.0302),
        (Conditions(misalignment=0.01), 0.01),
    ],
)
def test_misalignments_raise_the_errors_and_not_the_gain(
    undisturbed: Exposure, conditions: Conditions, added: float
) -> None:
    before, after = undisturbed, expose(BALANCED, 500_000_000, conditions)
    for basis in (0, 1):
        assert qber(after, basis) - qber(before, basis) == pytest.approx(added, rel=0.1)
    assert rate(after) == pytest.approx(rate(before), rel=0.005)


def test_a_phase_error_of_pi_turns_every_bit() -> None:
    assert qber(expose(MEMORYLESS, 100_000_000, Conditions(phase_error_rad=np.pi)), 0) > 0.95


def test_misaligned_frames_agree_with_nothing(undisturbed: Exposure) -> None:
    exposure = expose(BALANCED, 500_000_000, Conditions(frame_misaligned=True))
    assert rate(exposure) == pytest.approx(rate(undisturbed), rel=0.005)
    assert qber(exposure, 0) == pytest.approx(0.5, abs=0.01)
    assert qber(exposure, 1) == pytest.approx(0.5, abs=0.01)
    n, _ = tally(exposure)
    assert n.sum(axis=(1, 2)) / n.sum() == pytest.approx(BALANCED.probabilities, abs=0.005)


@pytest.mark.parametrize(
    ("eve", "key_share", "check_share"),
    [
        (InterceptResend(fraction=1.0, basis="z"), 0.0, 1.0),
        (InterceptResend(fraction=1.0, basis="x"), 1.0, 0.0),
        (InterceptResend(fraction=1.0), 0.5, 0.5),
        (InterceptResend(fraction=0.1), 0.05, 0.05),
    ],
)
def test_intercept_resend_costs_errors_in_the_other_basis(
    undisturbed: Exposure, eve: InterceptResend, key_share: float, check_share: float
) -> None:
    before = undisturbed
    after = expose(BALANCED, 500_000_000, Conditions(eavesdropper=eve), seed=11)
    assert rate(after) == pytest.approx(rate(before), rel=0.005)
    for basis, share in ((0, key_share), (1, check_share)):
        own = qber(before, basis)
        assert qber(after, basis) == pytest.approx((1 - share) * own + share / 2, abs=0.004)
    vacuum_before, vacuum_after = tally(before)[0][2].sum(), tally(after)[0][2].sum()
    assert abs(vacuum_before - vacuum_after) < 5 * (2 * vacuum_before) ** 0.5


def test_conditions_that_cannot_be_are_refused() -> None:
    with pytest.raises(ValueError, match="percent"):
        InterceptResend(fraction=11)
    with pytest.raises(ValueError, match="basis"):
        InterceptResend(fraction=0.1, basis="y")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    with pytest.raises(ValueError, match="misalignment"):
        Conditions(misalignment=0.6)
    with pytest.raises(ValueError, match="dark_count_scale"):
        Conditions(dark_count_scale=-1.0)
    with pytest.raises(ValueError, match="background"):
        Conditions(background=1.0)
    with pytest.raises(ValueError, match="phase_error_rad"):
        Conditions(phase_error_rad=np.nan)


# --- who knows what -------------------------------------------------------------------------------------------------


def test_the_physics_seed_repeats_the_run_but_not_the_key() -> None:
    """No draw for afterpulses depends on the bits, or later clicks would differ; errors of theirs do."""
    many = replace(SHORT, afterpulse_probability=0.3)
    one, two = (expose(many, 60_000_000, secret=os.urandom) for _ in range(2))
    assert one.receiver.slots.size > 2 * _detections._CLICKS_PER_CHUNK
    assert np.array_equal(one.receiver.slots, two.receiver.slots)
    assert np.array_equal(one.transmitter.basis, two.transmitter.basis)
    alone = replace(SHORT, afterpulse_probability=0.0)
    one, two = (expose(alone, 20_000_000, secret=os.urandom) for _ in range(2))
    assert np.array_equal(one.transmitter.bit ^ one.receiver.bit, two.transmitter.bit ^ two.receiver.bit)
    assert np.mean(one.transmitter.bit != two.transmitter.bit) == pytest.approx(0.5, abs=0.02)
    assert np.mean(one.receiver.bit != two.receiver.bit) == pytest.approx(0.5, abs=0.02)


def test_the_transmitters_bits_are_the_secret_source_alone() -> None:
    exposure = expose(SHORT, 20_000_000, secret=zeros)
    assert not exposure.transmitter.bit.any()
    assert exposure.receiver.bit.any()


def test_the_two_records_share_no_memory() -> None:
    exposure = expose(SHORT, 1_000_000)
    t, r = exposure.transmitter, exposure.receiver
    bytes_ = [t.basis, t.bit, t.intensity, r.basis, r.bit]
    assert all(a.dtype == np.uint8 for a in bytes_)
    assert t.slots.dtype == r.slots.dtype == np.int64
    assert not np.shares_memory(t.slots, r.slots)
    assert not any(np.shares_memory(a, b) for a in bytes_[:3] for b in bytes_[3:])
