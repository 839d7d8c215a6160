"""Clicks by the number: how many of each kind a stretch of pulses has, where nobody needs the clicks themselves."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from ._click_table import ClickTable
from ._labels import DOUBLE, ERROR, INTENSITY_SHIFT, RECEIVER_BASIS_SHIFT, SENT_SHIFT, LabelSampler
from ._parameters import LinkParameters

_KEYS: Final = np.arange(2 << SENT_SHIFT)
_DOUBLE: Final = _KEYS & DOUBLE != 0
_RECEIVED_ONE: Final = (_KEYS & ERROR) ^ (_KEYS >> SENT_SHIFT) != 0


@dataclass(frozen=True, slots=True)
class DetectorCounts:
    """Counter readings of one exposure, as a receiver displays them."""

    clicks: tuple[int, int]
    """Clicks of the detector for bit 0 and of that for bit 1, those in one gate counted at both."""
    coincidences: int
    """Gates in which both clicked."""


@dataclass(frozen=True, slots=True)
class CountedExposure:
    """Some pulses, and how often each kind of click followed. It holds no record: no key can be made of it."""

    detections: NDArray[np.int64]
    """Clicks by intensity, transmitter's basis and receiver's basis, shape (3, 2, 2)."""
    errors: NDArray[np.int64]
    """Those of them with the wrong bit, shape (3, 2, 2)."""
    pulses: int
    counts: DetectorCounts
    method: Literal["counts"] = "counts"
    """Numbers of clicks were drawn, not clicks: their means and variances are those of events."""


def count_classes(params: LinkParameters, table: ClickTable, pulses: int, rng: np.random.Generator) -> CountedExposure:
    """Return numbers of clicks of each kind after `pulses` gates, detectors at rest before.

    How many clicks there are in all has mean N Q / (1 + d Q) and variance mean (1 - Q) F / (1 + d Q)^2: gates that
    click with Q while d are dead after each (renewal theory), in clusters of a click and its afterpulses, F = (1 + m) /
    (1 - m) for m afterpulses a click. Of which kind they are is multinomial, but for the detectors of afterpulses:
    these are those of the clicks. Normal: made for thousands of clicks.
    """
    chance, afterpulse = _click_and_afterpulse(params, table)
    total = chance + afterpulse - chance * afterpulse
    if total <= 0 or pulses == 0:
        return _counted(np.zeros(2 << SENT_SHIFT, np.int64), pulses)
    live = 1 / (1 + params.dead_gates * total)
    followers = afterpulse / total
    mean = pulses * live * total
    spread = math.sqrt(mean * (1 - total) * (1 + followers) / (1 - followers)) * live
    clicks = min(max(round(rng.normal(mean, spread)), 0), pulses)
    kinds = np.array([chance * (1 - afterpulse), (1 - chance) * afterpulse, chance * afterpulse])
    own, after, both = (int(n) for n in rng.multinomial(clicks, kinds / kinds.sum()))

    def drawn(sampler: LabelSampler, n: int) -> NDArray[np.int64]:
        """Return numbers by key, the sent bit told."""
        counts = _drawn(sampler, n, rng)
        if not table.biased:  # keys leave open which bit was sent
            half = 1 << SENT_SHIFT
            counts[:half] += counts[half:]
            counts[half:] = rng.binomial(counts[:half], 0.5)
            counts[:half] -= counts[half:]
        return counts

    counts, in_gate = drawn(table.clicked, own), drawn(table.clicked, both)
    share = _share_of_ones(counts + in_gate)
    counts += _fired(drawn(table.silent, after), share, rng)
    other = np.where(_RECEIVED_ONE, 1 - share, share)
    double = rng.binomial(in_gate, other)  # else it is in the same detector
    counts += in_gate - double
    wrong = rng.binomial(double, 0.5)
    np.add.at(counts, _KEYS & ~ERROR | DOUBLE, double - wrong)
    np.add.at(counts, _KEYS | ERROR | DOUBLE, wrong)
    return _counted(counts, pulses)


def _share_of_ones(counts: NDArray[np.int64]) -> float:
    """Return the share of clicks that the detector for bit 1 has, double clicks counted half."""
    single = counts[~_DOUBLE].sum()
    doubles = counts[_DOUBLE].sum()
    ones = counts[_RECEIVED_ONE & ~_DOUBLE].sum() + doubles / 2
    return float(ones / (single + doubles)) if single + doubles else 0.5


def _fired(counts: NDArray[np.int64], share: float, rng: np.random.Generator) -> NDArray[np.int64]:
    """Return afterpulses by key when their detectors are those of the clicks that caused them: a share is for bit 1."""
    right = _KEYS & ERROR == 0
    together = counts[right] + counts[~right]
    ones = rng.binomial(together, share)
    fired = np.zeros_like(counts)
    sent_one = _KEYS[right] >> SENT_SHIFT != 0
    fired[right] = np.where(sent_one, ones, together - ones)
    fired[~right] = together - fired[right]
    return fired


def _click_and_afterpulse(params: LinkParameters, table: ClickTable) -> tuple[float, float]:
    """Return the chance per live gate of a click of its own, and of an afterpulse: `expected_gains` says how."""
    chance = table.click_probability
    if table.blinded or params.afterpulse_probability == 0:
        return chance, 0.0
    gates = params.afterpulse_time_s * params.clock_rate_hz
    obstructing = math.exp(-1 / gates) * math.expm1(-params.dead_gates / gates) / math.expm1(-1 / gates)
    total, afterpulse = chance, 0.0
    for _ in range(100):
        afterpulse = params.afterpulse_probability * total / (1 + total * obstructing)
        total = chance + afterpulse - chance * afterpulse
    return chance, afterpulse


def _drawn(sampler: LabelSampler, n: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Return how many of n labels there are of each key, label | sent bit << SENT_SHIFT."""
    counts = np.zeros(2 << SENT_SHIFT, np.int64)
    counts[sampler.keys] = rng.multinomial(n, sampler.shares)
    return counts


def _counted(counts: NDArray[np.int64], pulses: int) -> CountedExposure:
    """Return numbers by key as a reader wants them."""
    keys = np.arange(counts.size)
    setting = (keys & (1 << SENT_SHIFT) - 1) >> RECEIVER_BASIS_SHIFT
    wrong, double = keys & ERROR != 0, keys & DOUBLE != 0
    one = (keys & ERROR) ^ (keys >> SENT_SHIFT) != 0
    coincidences = int(counts[double].sum())
    ones = int(counts[one & ~double].sum())

    def by_setting(mine: NDArray[np.int64], places: NDArray[np.int64]) -> NDArray[np.int64]:
        found = np.zeros(1 << SENT_SHIFT - RECEIVER_BASIS_SHIFT, np.int64)
        np.add.at(found, places, mine)
        return found[: 3 << INTENSITY_SHIFT - RECEIVER_BASIS_SHIFT].reshape(3, 2, 2)

    return CountedExposure(
        detections=by_setting(counts, setting),
        errors=by_setting(counts[wrong], setting[wrong]),
        pulses=pulses,
        counts=DetectorCounts((int(counts.sum()) - ones, ones + coincidences), coincidences),
    )
