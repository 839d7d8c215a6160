"""Keys of light that may be off what was set: worst cases by brute force, and worlds whose photon numbers are known."""

from __future__ import annotations

import functools
import itertools
import math
import random
from typing import TYPE_CHECKING

import numpy as np
import pytest

from tokaido.emulators.optics import (
    BasisCounts,
    CountBounds,
    expected_counts,
    key_length,
    preset,
)
from tokaido.emulators.units import TransmitterUnit

if TYPE_CHECKING:
    from numpy.typing import NDArray

Triple = tuple[float, float, float]
NEC: Triple = (0.5, 0.2, 0.001)
SOURCES: tuple[tuple[Triple, Triple], ...] = (
    ((0.5, 0.13, 0.001), (0.6, 0.27, 0.13)),
    (NEC, (0.5, 0.4, 0.1)),
    ((0.35, 0.13, 0.001), (0.2, 0.5, 0.3)),
    ((0.6, 0.25, 0.2), (0.3, 0.4, 0.3)),
    ((1.0, 0.3, 0.0), (0.5, 0.3, 0.2)),
)
key_of = functools.partial(key_length, eps_sec=1e-10, eps_cor=1e-15)


def counts(name: str, loss_db: float, bits: float) -> tuple[BasisCounts, BasisCounts, Triple, Triple, float]:
    """Return what a block of a preset has, its source, and what its error correction leaks."""
    params = preset(name, settings="short-block", channel_loss_db=loss_db)
    key, check = (
        BasisCounts(*(tuple(round(value) for value in values) for values in (basis.detections, basis.errors)))  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
        for basis in expected_counts(params, bits / sum(expected_counts(params, 1.0)[0].detections))
    )
    return key, check, params.intensities, params.probabilities, 0.15 * sum(key.detections)


@pytest.mark.parametrize("tolerance", [0.02, 0.05, 0.2])
@pytest.mark.parametrize(("name", "loss_db", "bits"), [("t12", 10, 1e7), ("nec-sspd", 15, 1e6), ("nec-apd", 5, 1e6)])
def test_a_key_is_as_short_as_the_worst_light_within_the_tolerance_asks(
    name: str, loss_db: float, bits: float, tolerance: float
) -> None:
    key, check, intensities, probabilities, leak = counts(name, loss_db, bits)

    def length(light: Triple, tolerance: float = 0.0) -> int:
        found = key_of(key, check, light, probabilities, leaked_bits=leak, intensity_tolerance=tolerance)
        return found.bits

    a, b, c = intensities
    worst = min(length((f * a, f * b, f * c)) for f in np.linspace(1 - tolerance, 1 + tolerance, 201).tolist())
    claimed = length(intensities, tolerance)
    assert 0 < claimed <= worst
    assert claimed < length(intensities)
    assert claimed > 0.7 * worst  # the price of light that also differs from pulse to pulse


@pytest.mark.parametrize("source", SOURCES)
def test_without_a_tolerance_the_bounds_are_those_of_lim(source: tuple[Triple, Triple]) -> None:
    (mu1, mu2, mu3), p = source
    tau0, tau1 = (sum(q * math.exp(-k) * k**n for k, q in zip(source[0], p, strict=True)) for n in (0, 1))
    a, b, c = (math.exp(k) * n / q for k, q, n in zip(source[0], p, (900_000.0, 200_000.0, 4_000.0), strict=True))
    s0 = max(tau0 * (mu2 * c - mu3 * b) / (mu2 - mu3), 0.0)
    s1 = tau1 * mu1 * (b - c - (mu2**2 - mu3**2) / mu1**2 * (a - s0 / tau0))
    s1 /= mu1 * (mu2 - mu3) - mu2**2 + mu3**2
    same = (900_000.0, 200_000.0, 4_000.0)
    bounds = CountBounds(*source)
    assert bounds.detections(same, same, 1e12) == pytest.approx((s0, max(s1, 0)))
    assert bounds.single_errors(same, same) == pytest.approx(tau1 * (b - c) / (mu2 - mu3))


class World:
    """Pulses whose light and photon number are known here, whatever an eavesdropper makes of either."""

    def __init__(self, source: tuple[Triple, Triple], tolerance: float, rng: random.Random) -> None:
        groups = rng.choice([1, 2, 40])
        ends = [1 - tolerance, 1 + tolerance]
        light = [rng.choice(ends) if rng.random() < 0.7 else rng.uniform(*ends) for _ in range(groups)]
        share = [rng.random() / groups for _ in light]
        photons = range(25)
        self.sent: NDArray[np.float64] = np.array(
            [
                [
                    [w * p * math.exp(-f * k) * (f * k) ** n / math.factorial(n) for n in photons]
                    for f, w in zip(light, share, strict=True)
                ]
                for k, p in zip(*source, strict=True)
            ]
        )
        """Pulses per intensity, group and photon number; yields are of group and photon number alone."""
        self.rng = rng

    def gains(self) -> tuple[Triple, float, float]:
        """Return the detections per intensity for some yields, and those of vacuum and of single-photon pulses."""
        shape = self.sent.shape[1:]
        rng = self.rng
        kind = rng.choice(["any", "no singles", "split", "vacuum"])
        yields = np.array([[rng.random() ** rng.choice([1, 8]) for _ in range(shape[1])] for _ in range(shape[0])])
        if kind == "no singles":
            yields[:, 1] = 0
        elif kind == "split":
            yields[:] = np.array([rng.random() for _ in range(shape[0])])[:, None] * (np.arange(shape[1]) > 1)
            yields[:, 1] = rng.random() * 0.1
        elif kind == "vacuum":
            yields[:] = 1e-3
            yields[:, 0] = rng.random()
        seen = 1e9 * self.sent * yields
        a, b, c = seen.sum(axis=(1, 2)).tolist()
        return (a, b, c), float(seen[:, :, 0].sum()), float(seen[:, :, 1].sum())


@pytest.mark.parametrize(("source", "tolerance"), list(itertools.product(SOURCES, [0.0, 0.02, 0.05, 0.3])))
@pytest.mark.parametrize("worlds", [60, pytest.param(150, marks=pytest.mark.thorough)])
def test_no_light_and_no_yields_within_the_tolerance_are_overrated(
    source: tuple[Triple, Triple], tolerance: float, worlds: int
) -> None:
    """Light differs from pulse to pulse, and what arrives depends on it: the bounds hold of the true numbers."""
    rng = random.Random(f"{source}{tolerance}")
    bounds = CountBounds(*source, tolerance)
    useful = 0
    for _ in range(worlds):
        seen, vacuum, single = World(source, tolerance, rng).gains()
        least_vacuum, least_single = bounds.detections(seen, seen, sum(seen))
        slack = 1e-9 * sum(seen)
        assert least_vacuum <= vacuum + slack
        assert least_single <= single + slack
        assert bounds.single_errors(seen, seen) >= single - slack or not bounds.bounds_singles
        useful += least_single > 0.3 * single > 0
    assert useful > worlds / 30 or tolerance > 0.1


def test_light_beyond_the_tolerance_would_be_overrated() -> None:
    """The test above can fail: at tolerance 0 the bounds promise too much of single photons that are 5 % more."""
    bounds, brighter = CountBounds(*SOURCES[1]), tuple(1.05 * k for k in NEC)
    sent = np.array(
        [
            [p * math.exp(-k) * k**n / math.factorial(n) for n in range(25)]
            for k, p in zip(brighter, SOURCES[1][1], strict=True)
        ]
    )
    yields = np.arange(25) == 1
    a, b, c = (1e9 * sent * yields).sum(axis=1).tolist()
    single = float((1e9 * sent * yields)[:, 1].sum())
    assert bounds.detections((a, b, c), (a, b, c), a + b + c)[1] > single
    assert CountBounds(*SOURCES[1], 0.05).detections((a, b, c), (a, b, c), a + b + c)[1] <= single * (1 + 1e-9)


def test_intensities_that_the_tolerance_cannot_tell_apart_give_no_key() -> None:
    key, check, _, probabilities, _ = counts("nec-sspd", 10, 1e6)
    found = key_of(key, check, (0.5, 0.26, 0.235), probabilities, leaked_bits=0, intensity_tolerance=0.3)
    assert (found.bits, found.single_photon_events) == (0, 0)
    assert "too close" in found.reason


def test_a_tolerance_is_a_fraction_and_none_of_the_linear_programme() -> None:
    key, check, intensities, probabilities, leak = counts("nec-sspd", 10, 1e6)
    source = (key, check, intensities, probabilities)
    for wrong in (-0.1, 1.0, math.nan):
        with pytest.raises(ValueError, match="give a fraction below 1"):
            key_of(*source, leaked_bits=leak, intensity_tolerance=wrong)
    with pytest.raises(ValueError, match="'lp' knows no intensity_tolerance"):
        key_of(*source, leaked_bits=leak, intensity_tolerance=0.05, bound="lp")


def test_what_the_units_allow_for_covers_their_monitor() -> None:
    """An alarm at 0.15 dB by a monitor that is accurate to 0.05 dB leaves light within 5 %."""
    off_db = TransmitterUnit.OUTPUT_LIMIT_DB + 0.05
    assert 10 ** (-off_db / 10) >= 1 - TransmitterUnit.INTENSITY_TOLERANCE
    assert 10 ** (off_db / 10) <= 1 + TransmitterUnit.INTENSITY_TOLERANCE
