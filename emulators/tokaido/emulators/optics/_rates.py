"""Expected gains and error rates of a link, decoy-state bounds from them, and the asymptotic key rate.

Sources: Ma, Qi, Zhao, Lo, PRA 72 012326 (2005) for the decoy bounds and the GLLP rate; Lim et al., PRA 89 022307
(2014), Sec. IV for afterpulses as a background that is common to all intensities.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from ._parameters import LinkParameters

KeyedBases = Literal["key", "both"]
Triple = tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class ExpectedGains:
    """Expected statistics of a link. Three-tuples in the order signal, decoy, vacuum; all are fractions."""

    gains: Triple
    """Q_k: chance that a gate clicks, given the intensity and that the detectors are live."""
    error_rates_key: Triple
    """E_k in the key basis, when both sides chose it."""
    error_rates_check: Triple
    """E_k in the check basis, when both sides chose it."""
    mean_gain: float
    """Clicks per live gate, over all intensities."""
    background: float
    """b: chance per live gate of a click that light of this pulse did not cause: dark counts and afterpulses."""
    live: float
    """Fraction of gates that do not fall into a dead time."""


@dataclass(frozen=True, slots=True)
class DecoyBounds:
    """What vacuum + weak decoy states tell about vacuum and single-photon pulses (asymptotic)."""

    vacuum_yield: float
    """Y0, lower bound."""
    single_photon_yield: float
    """Y1, lower bound."""
    single_photon_gain: float
    """Q1 = Y1 mu exp(-mu), lower bound, for the signal intensity."""
    single_photon_error: float
    """e1, upper bound, at most 1/2."""


def binary_entropy(x: float) -> float:
    """Return h(x) in bit, with h(0) = h(1) = 0."""
    return -x * math.log2(x) - (1 - x) * math.log2(1 - x) if 0 < x < 1 else 0.0


def expected_gains(params: LinkParameters) -> ExpectedGains:
    """Return the gains and error rates that an undisturbed link settles to.

    s_k = 1 - exp(-eta k), Q_k = s_k + b - s_k b and b = Y0 + p_ap Qbar a. This is Lim 2014 Sec. IV with the afterpulses
    driven by the mean count rate instead of each intensity's own; the fixed point is found by iteration. Detectors
    that die together are live for 1 / (1 + dead gates x Qbar).

    a is the share of afterpulses that find the detectors live: they come j gates after the dead time that their click
    caused, with chance (1 - r) r^j, r = exp(-1 / afterpulse gates). The chance u_j to be live then is 1 minus the
    clicks of the last d gates, u_j = 1 - Qbar (u_(j-1) + ... + u_(j-d)); summed with the weights of j this gives
    a = 1 / (1 + Qbar r (1 - r^d) / (1 - r)), which is 1 without dead time and the live share for slow afterpulses.
    (Own derivation, first order in p_ap. With half of the gates dead, clicks are good to 3e-4 and Q_w to 1 %.)

    Error rates: light errs with e_d, background with 1/2. When both click in one gate, half of the time it is in one
    detector (e_d) and else a double click, which becomes a random bit: E_k Q_k = e_d s_k (1-b) + b (1-s_k)/2 +
    s_k b (1 + 2 e_d)/4. (Ma 2005 Eq. 11 writes e_d s_k + b/2; the forms differ by less than b/(4 e_d), relative.)
    """
    eta = params.transmittance
    light = [-math.expm1(-eta * k) for k in params.intensities]
    d, afterpulse_gates = params.dead_gates, params.afterpulse_time_s * params.clock_rate_hz
    obstructing = (
        math.exp(-1 / afterpulse_gates) * math.expm1(-d / afterpulse_gates) / math.expm1(-1 / afterpulse_gates)
    )
    mean, background = 0.0, params.background_probability
    for _ in range(1000):
        background = params.background_probability + params.afterpulse_probability * mean / (1 + mean * obstructing)
        previous, mean = (
            mean,
            sum(p * (s + background - s * background) for p, s in zip(params.probabilities, light, strict=True)),
        )
        if abs(mean - previous) <= 1e-15 * mean:
            break

    def error_rate(s: float, e: float) -> float:
        gain = s + background - s * background
        both = s * background * (1 + 2 * e) / 4
        return (e * s * (1 - background) + background * (1 - s) / 2 + both) / gain if gain > 0 else 0.5

    def three(values: list[float]) -> Triple:
        return values[0], values[1], values[2]

    return ExpectedGains(
        gains=three([s + background - s * background for s in light]),
        error_rates_key=three([error_rate(s, params.misalignment_key) for s in light]),
        error_rates_check=three([error_rate(s, params.misalignment_check) for s in light]),
        mean_gain=mean,
        background=background,
        live=1 / (1 + d * mean),
    )


def decoy_bounds(gains: Triple, error_rates: Triple, intensities: Triple) -> DecoyBounds:
    """Return the vacuum + weak decoy bounds of Ma 2005, Eqs. 18 (Y0), 21/34 (Y1) and 25/37 (e1).

    `gains` Q_k per pulse and `error_rates` E_k, both in the order signal, decoy, vacuum. No finite-size correction.
    Equation numbers are those of the journal version.
    """
    q_mu, q_nu, q_w = gains
    mu, nu, w = intensities
    vacuum = max((nu * q_w * math.exp(w) - w * q_nu * math.exp(nu)) / (nu - w), 0.0)
    single = (
        mu
        / (mu * nu - mu * w - nu**2 + w**2)
        * (q_nu * math.exp(nu) - q_w * math.exp(w) - (nu**2 - w**2) / mu**2 * (q_mu * math.exp(mu) - vacuum))
    )
    single = max(single, 0.0)
    error = 0.5
    if single > 0:
        wrong = error_rates[1] * q_nu * math.exp(nu) - error_rates[2] * q_w * math.exp(w)
        error = min(max(wrong / ((nu - w) * single), 0.0), 0.5)
    return DecoyBounds(vacuum, single, single * mu * math.exp(-mu), error)


def gllp_rate(signal_gain: float, signal_error: float, bounds: DecoyBounds, *, sifting: float, f: float) -> float:
    """Return key bits per signal pulse, Ma 2005 Eq. 1; negative where errors cost more than single photons give.

    `sifting` is the chance that both sides use the keyed basis, `f` the error-correction efficiency. Vacuum pulses
    are not credited.
    """
    gained = bounds.single_photon_gain * (1 - binary_entropy(bounds.single_photon_error))
    return sifting * (gained - signal_gain * f * binary_entropy(signal_error))


def asymptotic_rate(params: LinkParameters, *, keyed_bases: KeyedBases = "key") -> float:
    """Return the key rate in bit/s for blocks without end: Ma 2005 Eq. 1, times p_mu, clock, live time and duty.

    `keyed_bases` "key" makes key of the key basis alone (Lim 2014); "both" of each basis on its own, as Lucamarini et
    al. 2013 do. The phase error of one basis is the single-photon bit error of the other. Never negative.
    """
    expected = expected_gains(params)
    key = decoy_bounds(expected.gains, expected.error_rates_key, params.intensities)
    check = decoy_bounds(expected.gains, expected.error_rates_check, params.intensities)
    p_a, p_b = params.key_basis_probability_transmitter, params.key_basis_probability_receiver
    f = params.error_correction_efficiency

    def rate(mine: Triple, other: DecoyBounds, sifting: float) -> float:
        return max(gllp_rate(expected.gains[0], mine[0], other, sifting=sifting, f=f), 0.0)

    per_pulse = rate(expected.error_rates_key, check, p_a * p_b)
    if keyed_bases == "both":
        per_pulse += rate(expected.error_rates_check, key, (1 - p_a) * (1 - p_b))
    return per_pulse * params.probabilities[0] * params.clock_rate_hz * expected.live * params.duty
