"""Expected and drawn counts of many steps at once, each under conditions of its own. The formulas of _rates.py."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ._parameters import LinkParameters


class Met(NamedTuple):
    """What the light of each step meets; each of shape (steps,)."""

    transmission: NDArray[np.float64]
    """Over that of the parameters."""
    visibility: NDArray[np.float64]
    """Contrast over that of the parameters."""
    dark_count_scale: NDArray[np.float64]


class Rates(NamedTuple):
    """Chances per pulse, of shape (steps, 3): signal, decoy, vacuum."""

    clicks: NDArray[np.float64]
    """Given the intensity; dead time included."""
    errors_key: NDArray[np.float64]
    """Share of them that is wrong in the key basis, when both sides chose it."""
    errors_check: NDArray[np.float64]


def expected_rates(params: LinkParameters, met: Met) -> Rates:
    """Return what `expected_gains` returns, for every step: derivation and sources are there."""
    light = -np.expm1(-params.transmittance * met.transmission[:, None] * np.array(params.intensities))
    mean_light = light @ np.array(params.probabilities)
    dark = np.minimum(params.dark_count_probability * met.dark_count_scale, 1.0)
    noise = 1 - (1 - dark) ** 2
    d, gates = params.dead_gates, params.afterpulse_time_s * params.clock_rate_hz
    obstructing = math.exp(-1 / gates) * math.expm1(-d / gates) / math.expm1(-1 / gates)
    mean, background = np.zeros_like(noise), noise
    for _ in range(100):
        previous = mean
        background = noise + params.afterpulse_probability * mean / (1 + mean * obstructing)
        mean = mean_light + background * (1 - mean_light)
        if np.all(np.abs(mean - previous) <= 1e-12 * mean):
            break
    b = background[:, None]
    gains = light + b * (1 - light)
    both = light * b

    def share_wrong(misalignment: float) -> NDArray[np.float64]:
        e = (1 - (1 - 2 * misalignment) * met.visibility[:, None]) / 2
        wrong = e * light * (1 - b) + b * (1 - light) / 2 + both * (1 + 2 * e) / 4
        share = np.full(gains.shape, 0.5)
        np.divide(wrong, gains, out=share, where=gains > 0)
        return share

    live = 1 / (1 + d * mean)
    return Rates(gains * live[:, None], share_wrong(params.misalignment_key), share_wrong(params.misalignment_check))


def drawn_counts(params: LinkParameters, met: Met, pulses: float, rng: np.random.Generator) -> NDArray[np.int64]:
    """Draw sifted counts of steps of `pulses` pulses, shape (steps, 2, 2, 3).

    Axes: step; key and check basis; detections and errors; signal, decoy, vacuum. Detections are drawn as Poissonian,
    which without dead time they are to a part in 1e3; with it they scatter less in truth.
    """
    rates = expected_rates(params, met)
    p_a, p_b = params.key_basis_probability_transmitter, params.key_basis_probability_receiver
    each = pulses * rates.clicks * np.array(params.probabilities)
    counts = np.empty((each.shape[0], 2, 2, 3), np.int64)
    for basis, sifting, wrong in ((0, p_a * p_b, rates.errors_key), (1, (1 - p_a) * (1 - p_b), rates.errors_check)):
        counts[:, basis, 0] = rng.poisson(each * sifting)
        counts[:, basis, 1] = rng.binomial(counts[:, basis, 0], np.minimum(wrong, 1.0))
    return counts
