"""Differential-phase-shift QKD: a form of its own, as it has neither bases nor decoys.

Waks, Takesue, Yamamoto, PRA 73 012344 (2006): key of DPS against individual attacks. Weaker than what the decoy-state
methods claim, which hold against general attacks.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from ._parameters import require
from ._rates import binary_entropy


@dataclass(frozen=True, slots=True, kw_only=True)
class DpsParameters:
    """Parameters of a DPS link: a train of coherent pulses, a one-slot interferometer, two detectors."""

    clock_rate_hz: float
    """Pulses per second; each slot has one pulse."""
    intensity: float
    """mu: mean photon number per pulse at the transmitter's output, below 1/2 (at 1/2 nothing is left of the key)."""
    channel_loss_db: float
    receiver_loss_db: float
    detector_efficiency: float
    window_efficiency: float
    """Share of the signal clicks that fall into the time window."""
    background_probability: float
    """Chance per slot of a dark count inside the time window, both detectors together."""
    dead_time_s: float
    misalignment: float
    """Chance that light goes to the wrong detector."""
    error_correction_efficiency: float
    duty: float
    max_secret_bps: float = math.inf

    def __post_init__(self) -> None:
        require(0 < self.clock_rate_hz < math.inf, "clock_rate_hz", self.clock_rate_hz, "give pulses per second, > 0")
        require(0 < self.intensity < 0.5, "intensity", self.intensity, "give photons per pulse, above 0 and below 0.5")
        for name in ("channel_loss_db", "receiver_loss_db", "dead_time_s"):
            value = getattr(self, name)
            require(0 <= value < math.inf, name, value, "give a finite value >= 0")
        for name in ("detector_efficiency", "window_efficiency", "duty"):
            value = getattr(self, name)
            require(0 < value <= 1, name, value, "give a fraction above 0 and up to 1")
        b, e, f = self.background_probability, self.misalignment, self.error_correction_efficiency
        require(0 <= b < 1, "background_probability", b, "give a probability >= 0 and below 1")
        require(0 <= e <= 0.5, "misalignment", e, "give a fraction between 0 and 0.5, not percent")
        require(1 <= f < math.inf, "error_correction_efficiency", f, "give leak over Shannon limit, >= 1")
        require(self.max_secret_bps > 0, "max_secret_bps", self.max_secret_bps, "give bit/s > 0, or inf for no limit")

    @property
    def transmittance(self) -> float:
        """Chance that a photon leaving the transmitter is detected inside the time window."""
        loss = 10 ** (-(self.channel_loss_db + self.receiver_loss_db) / 10)
        return loss * self.detector_efficiency * self.window_efficiency


@dataclass(frozen=True, slots=True)
class DpsStatistics:
    """Expected statistics of a DPS link."""

    gain: float
    """Clicks per live slot."""
    error_rate: float
    live: float
    sifted_bps: float
    """Every click is a sifted bit."""


def dps_statistics(params: DpsParameters) -> DpsStatistics:
    """Return gain, error rate and sifted rate: s = 1 - exp(-eta mu), light errs with e_d and dark counts with 1/2."""
    s, b = -math.expm1(-params.transmittance * params.intensity), params.background_probability
    gain = s + b - s * b
    error = (params.misalignment * s + b * (1 - s) / 2) / gain if gain > 0 else 0.5
    live = 1 / (1 + math.ceil(params.dead_time_s * params.clock_rate_hz - 1e-6) * gain)
    return DpsStatistics(gain, error, live, gain * params.clock_rate_hz * live * params.duty)


def dps_key_fraction(intensity: float, error_rate: float, f: float) -> float:
    """Return secret bits per sifted bit, Waks 2006 Eq. 37: -(1-2 mu) log2[1 - e^2 - (1-6e)^2/2] - f h(e), or 0.

    The bracket is the eavesdropper's collision probability. It falls again above e = 1/6, where no attack is covered,
    so there is no key from there on.
    """
    require(0 < intensity < 0.5, "intensity", intensity, "give photons per pulse, above 0 and below 0.5")
    require(0 <= error_rate <= 1, "error_rate", error_rate, "give a fraction, not percent")
    require(1 <= f < math.inf, "error_correction_efficiency", f, "give leak over Shannon limit, >= 1")
    if error_rate >= 1 / 6:
        return 0.0
    collision = 1 - error_rate**2 - (1 - 6 * error_rate) ** 2 / 2
    return max(-(1 - 2 * intensity) * math.log2(collision) - f * binary_entropy(error_rate), 0.0)


def dps_rate(params: DpsParameters) -> float:
    """Return the key rate in bit/s for blocks without end, individual attacks (Waks 2006 Eq. 37)."""
    statistics = dps_statistics(params)
    fraction = dps_key_fraction(params.intensity, statistics.error_rate, params.error_correction_efficiency)
    return statistics.sifted_bps * fraction
