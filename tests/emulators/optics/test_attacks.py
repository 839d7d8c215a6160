"""What every attack and mishap shows in the counts, and what it does not: one test a row of the literature's table.

The link is the T12 of Lucamarini et al. 2013 over 10 dB. Deviations are in sigmas of counts unless they say percent.
"""

from __future__ import annotations

import dataclasses
import math
import random
from dataclasses import dataclass
from functools import cache

import numpy as np
import pytest

from tokaido.emulators.optics import (
    NOMINAL,
    Conditions,
    DetectorBlinding,
    Eavesdropper,
    InterceptResend,
    LinkParameters,
    PhotonNumberSplitting,
    QuantumChannel,
    TimeShift,
    TrojanHorse,
    expected_gains,
    preset,
)
from tokaido.emulators.optics._attacks import split_pulses

T12 = preset("t12", channel_loss_db=10.0)
PULSES = 1_000_000_000
MANY = 10**14


@dataclass(frozen=True)
class Seen:
    """What the two units together know after a while: counts, and nothing of a cause."""

    detections: np.ndarray
    errors: np.ndarray
    double: int
    ones: float
    """Share of the clicks that the detector for bit 1 has."""
    pairs: tuple[int, float]
    """Clicks within 50 gates after the dead time of another one, and how many there would be by chance."""

    @property
    def by_intensity(self) -> np.ndarray:
        return np.array(self.detections.sum(axis=(1, 2)))

    def qber(self, basis: int) -> float:
        return float(self.errors[0, basis, basis] / self.detections[0, basis, basis])

    @property
    def unequal_bases(self) -> float:
        """Share of clicks with different bases."""
        return float((self.detections[:, 0, 1] + self.detections[:, 1, 0]).sum() / self.detections.sum())


@cache
def events(conditions: Conditions, seed: int = 7) -> Seen:
    channel = QuantumChannel(T12, physics=np.random.default_rng(seed), secret=random.Random(seed).randbytes)
    tally, double, ones, clicks, pairs = np.zeros(32, np.int64), 0, 0, 0, 0
    for _ in range(PULSES // 50_000_000):
        exposure = channel.expose(50_000_000, conditions)
        assert exposure.method == "events"
        t, r = exposure.transmitter, exposure.receiver
        code = t.intensity << 3 | t.basis << 2 | r.basis << 1 | (t.bit ^ r.bit)
        tally += np.bincount(code, minlength=32)
        double += exposure.counts.coincidences
        ones += exposure.counts.clicks[1]
        clicks += r.slots.size
        pairs += int(np.count_nonzero(np.diff(r.slots) <= T12.dead_gates + 50))
    table = tally[:24].reshape(3, 2, 2, 2)
    live_rate = clicks / (PULSES - T12.dead_gates * clicks)
    return Seen(
        table.sum(axis=3),
        table[..., 1],
        double,
        ones / (clicks + double),
        (pairs, clicks * (1 - (1 - live_rate) ** 50)),
    )


def under(eavesdropper: Eavesdropper) -> Seen:
    return events(Conditions(eavesdropper=eavesdropper), seed=11)


def counted(conditions: Conditions) -> tuple[np.ndarray, float, float]:
    """Return gains, and error rates of signals in both bases, from so many pulses that they are exact to 1e-4."""
    exposure = QuantumChannel(T12, physics=np.random.default_rng(3), secret=random.Random(3).randbytes).count(
        MANY, conditions
    )
    assert exposure.method == "counts"
    d, m = exposure.detections, exposure.errors
    gains = d.sum(axis=(1, 2)) / (MANY * np.array(T12.probabilities))
    return gains, float(m[0, 0, 0] / d[0, 0, 0]), float(m[0, 1, 1] / d[0, 1, 1])


def sigmas(one: float, other: float) -> float:
    return abs(one - other) / math.sqrt(max(one + other, 1))


def same_counts(one: Seen, other: Seen, *intensities: int) -> bool:
    return all(sigmas(one.by_intensity[k], other.by_intensity[k]) < 4 for k in intensities)


def same_qber(one: Seen, other: Seen, *bases: int) -> bool:
    spread = [math.sqrt(sum(s.qber(b) * (1 - s.qber(b)) / s.detections[0, b, b] for s in (one, other))) for b in bases]
    return all(abs(one.qber(b) - other.qber(b)) < 4 * sigma for b, sigma in zip(bases, spread, strict=True))


def same_halves(seen: Seen) -> bool:
    return bool(abs(seen.ones - 0.5) < 4 * 0.5 / seen.detections.sum() ** 0.5)


def afterpulses(seen: Seen) -> float:
    """Return how many sigmas there are more close pairs of clicks than by chance."""
    return (seen.pairs[0] - seen.pairs[1]) / math.sqrt(seen.pairs[1])


@pytest.fixture(scope="module")
def base() -> Seen:
    return events(NOMINAL)


def test_an_undisturbed_link_shows_what_the_formulas_say(base: Seen) -> None:
    gains, key, check = counted(NOMINAL)
    expected = expected_gains(T12)
    assert gains == pytest.approx(np.array(expected.gains) * expected.live, rel=3e-4)
    assert (key, check) == pytest.approx((expected.error_rates_key[0], expected.error_rates_check[0]), rel=2e-3)
    assert same_halves(base)
    assert afterpulses(base) > 100


def test_counted_classes_are_those_of_events(base: Seen) -> None:
    gains, key, _ = counted(NOMINAL)
    expected = PULSES * np.array(T12.probabilities) * gains
    assert (np.abs(base.by_intensity - expected) < 4 * expected**0.5).all()
    assert abs(base.qber(0) - key) < 4 * (key / base.detections[0, 0, 0]) ** 0.5


@pytest.mark.parametrize(
    "conditions",
    [
        Conditions(eavesdropper=PhotonNumberSplitting(fraction=0.7)),
        Conditions(eavesdropper=TimeShift(efficiencies=(0.9, 0.5))),
        Conditions(eavesdropper=DetectorBlinding(basis="z")),
        Conditions(frame_misaligned=True, detector_efficiencies=(1.0, 0.5)),
    ],
)
def test_counted_classes_are_those_of_events_under_attacks_too(conditions: Conditions) -> None:
    seen = events(conditions, seed=11)
    exposure = QuantumChannel(T12, physics=np.random.default_rng(3), secret=random.Random(3).randbytes).count(
        10_000 * PULSES, conditions
    )
    for drawn, mine in ((exposure.detections, seen.detections), (exposure.errors, seen.errors)):
        expected = drawn / 10_000
        assert (np.abs(mine - expected) < 4.5 * np.maximum(expected, 1) ** 0.5).all()
    ones = exposure.counts.clicks[1] / sum(exposure.counts.clicks)
    assert abs(seen.ones - ones) < 4 * 0.5 / seen.detections.sum() ** 0.5
    assert sigmas(seen.double, exposure.counts.coincidences / 10_000) < 4


@pytest.mark.parametrize(
    "link",
    [
        dataclasses.replace(T12, channel_loss_db=25.0, afterpulse_probability=0.4, dead_time_s=0.0),
        dataclasses.replace(T12, channel_loss_db=0.0, afterpulse_probability=0.0, dead_time_s=100e-9),
    ],
    ids=["afterpulses widen it", "dead time narrows it"],
)
def test_the_number_of_clicks_scatters_as_much_in_counts_as_in_events(link: LinkParameters) -> None:
    """More than twice the variance of independent clicks, or less than half."""
    one, other = (
        QuantumChannel(link, physics=np.random.default_rng(seed), secret=random.Random(seed).randbytes)
        for seed in (1, 2)
    )
    times = 400
    drawn = [int(one.count(1_000_000).detections.sum()) for _ in range(times)]
    real = [other.expose(1_000_000).receiver.slots.size for _ in range(times)]
    assert abs(np.mean(drawn) - np.mean(real)) < 4 * ((np.var(drawn) + np.var(real)) / times) ** 0.5
    assert np.var(drawn) == pytest.approx(np.var(real), rel=4 * (4 / times) ** 0.5)
    assert not 0.5 < np.var(real) / np.mean(real) < 2


# --- one row each ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("fraction", "qber"), [(0.01, 0.0445), (0.02, 0.0468), (0.10, 0.0651), (1.0, 0.27)])
def test_intercept_resend_raises_the_error_rate_as_the_law_says(fraction: float, qber: float) -> None:
    before, after = counted(NOMINAL), counted(Conditions(eavesdropper=InterceptResend(fraction=fraction)))
    background = 1 - 0.5 * (before[1] - T12.misalignment_key) / 0.5  # light's share of the clicks, about
    for basis, own in ((1, T12.misalignment_key), (2, T12.misalignment_check)):
        added = fraction * (0.25 - own / 2) * background
        assert after[basis] - before[basis] == pytest.approx(added, rel=0.05)
    assert after[1] == pytest.approx(qber, abs=0.0015)
    assert after[0] == pytest.approx(before[0], rel=1e-3)


def test_intercept_resend_leaves_gains_halves_and_afterpulses(base: Seen) -> None:
    seen = under(InterceptResend(fraction=0.1))
    assert same_counts(seen, base, 0, 1, 2)
    assert seen.qber(0) - base.qber(0) > 0.02
    assert seen.qber(1) - base.qber(1) > 0.015
    assert same_halves(seen)
    assert afterpulses(seen) == pytest.approx(afterpulses(base), rel=0.05)
    assert seen.unequal_bases == pytest.approx(base.unequal_bases, rel=0.01)


@pytest.mark.parametrize(
    ("fraction", "decoy", "vacuum"), [(0.1, 0.944, 0.996), (0.5, 0.727, 0.982), (1.0, 0.456, 0.965)]
)
def test_photon_number_splitting_lowers_the_decoy_gain_alone(
    base: Seen, fraction: float, decoy: float, vacuum: float
) -> None:
    attack = PhotonNumberSplitting(fraction=fraction)
    before, after = counted(NOMINAL), counted(Conditions(eavesdropper=attack))
    assert after[0] / before[0] == pytest.approx([1, decoy, vacuum], abs=0.009)
    assert after[0][0] == pytest.approx(before[0][0], rel=3e-4)
    assert after[1:] == pytest.approx(before[1:], rel=2e-3)
    if fraction == 0.5:
        seen = under(attack)
        assert same_counts(seen, base, 0)
        assert sigmas(seen.by_intensity[1], base.by_intensity[1]) > 10
        assert same_qber(seen, base, 0, 1)
        assert same_halves(seen)
        assert afterpulses(seen) == pytest.approx(afterpulses(base), rel=0.05)


def test_split_pulses_cannot_have_less_than_no_loss_so_near_to_the_source_the_signal_falls_too() -> None:
    near = preset("t12", channel_loss_db=2.0)

    def gains(conditions: Conditions) -> np.ndarray:
        exposure = QuantumChannel(near, physics=np.random.default_rng(3), secret=random.Random(3).randbytes).count(
            10**12, conditions
        )
        return np.array(exposure.detections.sum(axis=(1, 2)))

    ratio = gains(Conditions(eavesdropper=PhotonNumberSplitting(fraction=1.0))) / gains(NOMINAL)
    assert ratio[0] < 0.5
    assert ratio[1] < ratio[0]


def test_split_pulses_click_as_photons_do_one_by_one() -> None:
    """So much light that double clicks are common; photons are split, lost and detected each for itself."""
    line = dataclasses.replace(
        preset("t12", channel_loss_db=5.0),
        receiver_loss_db=0.0,
        detector_efficiency=1.0,
        dark_count_probability=0.0,
        afterpulse_probability=0.0,
        dead_time_s=0.0,
        misalignment_key=0.2,
    )
    blocked, n = 0.3, 4_000_000
    split = split_pulses(PhotonNumberSplitting(fraction=blocked), line.intensities[0], line.transmittance, 1.0)
    assert 0.5 < split.several < 1
    rng = np.random.default_rng(8)
    photons = rng.poisson(line.intensities[0], n)
    passing = np.where(photons == 1, rng.random(n) >= blocked, photons - 1).clip(0)
    detected = rng.binomial(passing, np.where(photons == 1, line.transmittance, split.several))
    astray = rng.binomial(detected, line.misalignment_key)
    right, wrong = detected > astray, astray > 0
    conditions = Conditions(eavesdropper=PhotonNumberSplitting(fraction=blocked))
    exposure = QuantumChannel(line, physics=np.random.default_rng(9), secret=random.Random(9).randbytes).count(
        10**12, conditions
    )
    sent = 10**12 * line.probabilities[0] * line.key_basis_probability_transmitter * line.key_basis_probability_receiver
    for drawn, expected in (
        (right | wrong, exposure.detections[0, 0, 0] / sent),
        (wrong & ~right, (exposure.errors[0, 0, 0] - (right & wrong).mean() * sent / 2) / sent),
    ):
        assert abs(drawn.sum() - n * expected) < 4 * (n * expected) ** 0.5
    assert np.mean(right & wrong) > 0.002


def test_blinding_keeps_signal_and_errors_and_ends_double_clicks_darkness_and_afterpulses(base: Seen) -> None:
    seen = under(DetectorBlinding())
    assert same_counts(seen, base, 0)
    assert same_qber(seen, base, 0, 1)
    assert same_halves(seen)
    assert seen.double == 0 < base.double
    assert seen.by_intensity[2] < 0.06 * base.by_intensity[2]  # the rest are photons of w = 0.001
    assert abs(afterpulses(seen)) < 4 < afterpulses(base)
    assert seen.unequal_bases == pytest.approx(base.unequal_bases, rel=0.01)
    dark = QuantumChannel(T12, physics=np.random.default_rng(1), secret=random.Random(1).randbytes).expose(
        10**10, Conditions(laser_on=False, eavesdropper=DetectorBlinding(basis="x"))
    )
    assert dark.receiver.slots.size > 0  # a silent transmitter blinds no detector


def test_blind_detectors_click_only_where_the_bases_are_the_eavesdroppers(base: Seen) -> None:
    seen = under(DetectorBlinding(basis="z"))
    assert seen.detections[:, :, 1].sum() == 0
    assert seen.unequal_bases < 0.6 * base.unequal_bases
    assert same_qber(seen, base, 0)


def test_a_time_shift_shows_in_the_two_detectors_and_in_the_gain(base: Seen) -> None:
    seen = under(TimeShift(efficiencies=(0.9, 0.5)))
    assert not same_halves(seen)
    light = T12.probabilities[0] * 0.0045
    background = 0.00025
    assert seen.ones == pytest.approx((0.5 * light + background / 2) / (1.4 * light + background), abs=0.01)
    assert seen.by_intensity[0] / base.by_intensity[0] == pytest.approx(0.71, abs=0.01)
    assert abs(seen.qber(0) - base.qber(0)) < 0.004  # as from so much loss
    assert afterpulses(seen) > 50
    assert seen.unequal_bases == pytest.approx(base.unequal_bases, rel=0.01)


def test_a_time_shift_that_alternates_leaves_halves_and_error_rates_and_shows_in_the_gain_alone(base: Seen) -> None:
    """Her knowledge of the bits is all but complete, and no count of two detectors tells of it."""
    seen = under(TimeShift(efficiencies=(1.0, 0.0), alternating=True))
    assert same_halves(seen)
    assert seen.by_intensity[0] / base.by_intensity[0] == pytest.approx(0.52, abs=0.02)  # which less loss makes good
    lossy = counted(Conditions(extra_loss_db=10 * math.log10(2)))
    assert seen.qber(0) == pytest.approx(lossy[1], abs=0.002)
    assert seen.unequal_bases == pytest.approx(base.unequal_bases, rel=0.01)
    assert seen.double < base.double


def test_the_bit_that_was_sent_is_not_even_where_one_detector_hears_less() -> None:
    """Nor known: it comes from the transmitter's own source all the same."""
    conditions = Conditions(eavesdropper=TimeShift(efficiencies=(1.0, 0.25)))
    exposures = []
    for secret in (1, 2):
        channel = QuantumChannel(T12, physics=np.random.default_rng(5), secret=random.Random(secret).randbytes)
        exposures.append(channel.expose(100_000_000, conditions))
    one, other = (exposure.transmitter.bit for exposure in exposures)
    assert np.array_equal(exposures[0].receiver.slots, exposures[1].receiver.slots)
    # A fifth of the light's clicks in equal bases; half of the others, which are 12 %, and of the background.
    assert np.mean(one) == pytest.approx(0.257, abs=0.01)
    assert 0.3 < np.mean(one != other) < 2 * np.mean(one) * (1 - np.mean(one))


def test_detectors_that_are_equally_worse_are_a_loss() -> None:
    halved, lossy = (
        counted(c) for c in (Conditions(detector_efficiencies=(0.5, 0.5)), Conditions(extra_loss_db=10 * math.log10(2)))
    )
    assert halved[0] == pytest.approx(lossy[0], rel=1e-3)
    assert halved[1:] == pytest.approx(lossy[1:], rel=2e-3)


def test_trojan_light_leaves_every_count_as_it_was() -> None:
    exposures = [
        QuantumChannel(T12, physics=np.random.default_rng(5), secret=bytes).expose(100_000_000, conditions)
        for conditions in (NOMINAL, Conditions(eavesdropper=TrojanHorse()))
    ]
    one, other = exposures
    assert one.counts == other.counts
    for side in ("transmitter", "receiver"):
        for column in ("slots", "basis", "bit"):
            assert np.array_equal(getattr(getattr(one, side), column), getattr(getattr(other, side), column))


def test_a_loss_step_scales_all_light_and_raises_the_error_rate_slightly() -> None:
    before, after = counted(NOMINAL), counted(Conditions(extra_loss_db=1.0))
    assert after[0][0] / before[0][0] == pytest.approx(10**-0.1, abs=0.012)  # a little less is dead
    assert before[0][1] > after[0][1] > 10**-0.1 * before[0][1]  # half of it is background
    for basis in (1, 2):
        assert 1 < after[basis] / before[basis] < 1.1


def test_a_cut_leaves_dark_counts_and_their_afterpulses() -> None:
    gains, key, check = counted(Conditions(shutter_open=False))
    assert gains == pytest.approx(np.full(3, T12.background_probability / (1 - T12.afterpulse_probability)), rel=0.01)
    assert (key, check) == pytest.approx((0.5, 0.5), abs=0.01)


def test_background_light_raises_the_vacuum_gain_in_proportion_and_the_errors() -> None:
    before = counted(NOMINAL)
    some, more = (counted(Conditions(background=b)) for b in (5e-5, 1e-4))
    assert (more[0][2] - before[0][2]) / (some[0][2] - before[0][2]) == pytest.approx(2, rel=0.02)
    assert some[0][2] - before[0][2] == pytest.approx(5e-5, rel=0.08)
    for basis in (1, 2):
        assert some[basis] - before[basis] == pytest.approx(0.5 * 5e-5 / before[0][0], rel=0.1)


@pytest.mark.parametrize(("misalignment", "fraction"), [(0.005, 0.02), (0.01, 0.04)])
def test_misalignment_and_weak_interception_are_one_picture(misalignment: float, fraction: float) -> None:
    """An added error rate of x is a fraction of 4 x, to the last digit that 20 minutes could tell."""
    one = counted(Conditions(misalignment=misalignment))
    other = counted(Conditions(eavesdropper=InterceptResend(fraction=fraction)))
    assert one[0] == pytest.approx(other[0], rel=1e-3)
    assert one[1:] == pytest.approx(other[1:], rel=2e-3)


def test_attacks_that_cannot_be_are_refused() -> None:
    with pytest.raises(ValueError, match="percent"):
        PhotonNumberSplitting(fraction=50)
    with pytest.raises(ValueError, match="basis"):
        DetectorBlinding(basis="y")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    with pytest.raises(ValueError, match="two fractions"):
        TimeShift(efficiencies=(1.2, 0.5))
    with pytest.raises(ValueError, match="detector_efficiencies"):
        Conditions(detector_efficiencies=(1.0, -0.1))
    with pytest.raises(ValueError, match="-1 pulses"):
        QuantumChannel(T12, physics=np.random.default_rng(1), secret=random.Random(1).randbytes).count(-1)
    assert (
        QuantumChannel(T12, physics=np.random.default_rng(1), secret=random.Random(1).randbytes)
        .count(0)
        .detections.sum()
        == 0
    )
