"""Expected gains and error rates of a link, decoy-state bounds from them, and the asymptotic key rate.

Sources: Ma, Qi, Zhao, Lo, PRA 72 012326 (2005) for the decoy bounds and the GLLP rate; Lim et al., PRA 89 022307
(2014), Sec. IV for afterpulses as a background that is common to all intensities.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Literal

from ._parameters import KeyedBases, LinkParameters

GainModel = Literal["emulator", "lim", "ma"]
"""The emulated detectors, Lim 2014 Sec. IV or Ma 2005: see `expected_gains`."""
Decoys = Literal["vacuum+weak", "infinite"]
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
    if not 0 <= x <= 1:
        raise ValueError(f"binary entropy of x = {x!r} is not defined: give a fraction from 0 to 1, not percent")
    return -x * math.log2(x) - (1 - x) * math.log2(1 - x) if 0 < x < 1 else 0.0


def obstructed_gates(params: LinkParameters) -> float:
    """Return r (1 - r^d) / (1 - r), r = exp(-1 / afterpulse gates): clicks in so many gates are in an afterpulse's way.

    d is the dead time in gates; see `expected_gains` for where it comes from.
    """
    gates = params.afterpulse_time_s * params.clock_rate_hz
    return math.exp(-1 / gates) * math.expm1(-params.dead_gates / gates) / math.expm1(-1 / gates)


class _Response:
    """What a gate does with a pulse that clicks by its light with chance s, errs with e: one law for each model."""

    def __init__(self, params: LinkParameters, model: GainModel) -> None:
        self._model = model
        self._afterpulses = params.afterpulse_probability
        self._dark = params.dark_count_probability
        self._y0 = params.background_probability
        self.background = self._y0

    def gain(self, s: float) -> float:
        """Return the chance of a click."""
        if self._model == "ma":
            return self.background + s
        clicks = s + self.background - s * self.background
        return clicks * (1 + self._afterpulses) if self._model == "lim" else clicks

    def error_rate(self, s: float, e: float) -> float:
        """Return the chance that a click is wrong."""
        gain, b = self.gain(s), self.background
        if gain <= 0:
            return 0.5
        if self._model == "ma":
            return (e * s + b / 2) / gain
        if self._model == "lim":
            return min((self._dark + e * s + self._afterpulses * (s + b - s * b) / 2) / gain, 0.5)
        return (e * s * (1 - b) + b * (1 - s) / 2 + s * b * (1 + 2 * e) / 4) / gain


def _settled(params: LinkParameters, model: GainModel, light: Triple | None = None) -> tuple[_Response, Triple, float]:
    """Return the response of a gate, the chance of each intensity's light to click, and the mean gain."""
    if model not in ("emulator", "lim", "ma"):
        raise ValueError(f"no model {model!r} of gains: choose 'emulator', 'lim' or 'ma'")
    if model == "ma" and params.afterpulse_probability > 0:
        raise ValueError(
            f"model 'ma' knows no afterpulses, and afterpulse_probability = {params.afterpulse_probability!r}: "
            "choose model 'emulator' or 'lim', or set it to 0"
        )
    response = _Response(params, model)
    if light is None:
        a, b, c = (-math.expm1(-params.transmittance * k) for k in params.intensities)
        light = a, b, c
    obstructing = obstructed_gates(params)
    mean = 0.0
    for _ in range(1000):
        if model == "emulator":
            driven = params.afterpulse_probability * mean / (1 + mean * obstructing)
            response.background = params.background_probability + driven
        previous, mean = mean, sum(p * response.gain(s) for p, s in zip(params.probabilities, light, strict=True))
        if abs(mean - previous) <= 1e-15 * mean:
            break
    return response, light, mean


def expected_gains(
    params: LinkParameters, *, model: GainModel = "emulator", light: Triple | None = None
) -> ExpectedGains:
    """Return the gains and error rates that an undisturbed link settles to.

    With s_k = 1 - exp(-eta k), the chance that light of intensity k clicks, the models are:

    "emulator" (what emulated detectors do): Q_k = s_k + b - s_k b and b = Y0 + p_ap Qbar a. This is Lim 2014 Sec. IV
    with the afterpulses driven by the mean count rate instead of each intensity's own; the fixed point is found by
    iteration. Detectors that die together are live for 1 / (1 + dead gates x Qbar).

    a is the share of afterpulses that find the detectors live: they come j gates after the dead time that their click
    caused, with chance (1 - r) r^j, r = exp(-1 / afterpulse gates). The chance u_j to be live then is 1 minus the
    clicks of the last d gates, u_j = 1 - Qbar (u_(j-1) + ... + u_(j-d)); summed with the weights of j this gives
    a = 1 / (1 + Qbar r (1 - r^d) / (1 - r)), which is 1 without dead time and the live share for slow afterpulses.
    (Own derivation, first order in p_ap. With half of the gates dead, clicks are good to 3e-4 and Q_w to 1 %.)

    Error rates: light errs with e_d, background with 1/2. When both click in one gate, half of the time it is in one
    detector (e_d) and else a double click, which becomes a random bit: E_k Q_k = e_d s_k (1-b) + b (1-s_k)/2 +
    s_k b (1 + 2 e_d)/4.

    "lim" (Lim et al. 2014, Sec. IV): D_k = 1 - (1-Y0) exp(-eta k), R_k = D_k (1 + p_ap), and errors p_dc + e_d s_k +
    p_ap D_k / 2: afterpulses go with each intensity's own gain, which is not what detectors do.

    "ma" (Ma 2005, Eqs. 8, 10 and 11): Q_k = Y0 + s_k and E_k Q_k = Y0/2 + e_d s_k; there are no afterpulses.

    `light` takes the place of the s_k, in the order signal, decoy, vacuum: what an eavesdropper makes of them.
    """
    response, light, mean = _settled(params, model, light)

    def three(values: list[float]) -> Triple:
        return values[0], values[1], values[2]

    return ExpectedGains(
        gains=three([response.gain(s) for s in light]),
        error_rates_key=three([response.error_rate(s, params.misalignment_key) for s in light]),
        error_rates_check=three([response.error_rate(s, params.misalignment_check) for s in light]),
        mean_gain=mean,
        background=response.background,
        live=1 / (1 + params.dead_gates * mean),
    )


def infinite_decoy_bounds(params: LinkParameters, *, model: GainModel = "emulator") -> tuple[DecoyBounds, DecoyBounds]:
    """Return what infinitely many decoy intensities would tell, (key basis, check basis): Ma 2005 Eqs. 7, 8 and 9.

    These are not bounds but the true values: Y0, Y1 = that of a pulse of one photon, and its error rate.
    """
    response, _, _ = _settled(params, model)
    one, mu = params.transmittance, params.intensities[0]
    gain = response.gain(one)

    def values(misalignment: float) -> DecoyBounds:
        return DecoyBounds(response.gain(0.0), gain, gain * mu * math.exp(-mu), response.error_rate(one, misalignment))

    return values(params.misalignment_key), values(params.misalignment_check)


def decoy_bounds(gains: Triple, error_rates: Triple, intensities: Triple) -> DecoyBounds:
    """Return the vacuum + weak decoy bounds of Ma 2005, Eqs. 18 (Y0), 21/34 (Y1) and 25/37 (e1).

    `gains` Q_k per pulse and `error_rates` E_k, both in the order signal, decoy, vacuum. No finite-size correction.
    Equation numbers are those of the journal version.
    """
    q_mu, q_nu, q_w = gains
    mu, nu, w = intensities
    if not (nu > w >= 0 and nu + w < mu < math.inf):
        raise ValueError(f"intensities = {intensities!r}: give signal > decoy + vacuum and decoy > vacuum >= 0")
    for name, values in (("gains", gains), ("error rates", error_rates)):
        if not all(0 <= value <= 1 for value in values):
            raise ValueError(f"{name} = {values!r}: give three fractions from 0 to 1: signal, decoy, vacuum")
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
    if not (0 <= signal_gain <= 1 and 0 <= sifting <= 1 and 1 <= f < math.inf):
        raise ValueError(
            f"gain {signal_gain!r}, sifting {sifting!r}, f {f!r}: give fractions, and f as leak over limit, >= 1"
        )
    gained = bounds.single_photon_gain * (1 - binary_entropy(bounds.single_photon_error))
    return sifting * (gained - signal_gain * f * binary_entropy(signal_error))


def asymptotic_rate(
    params: LinkParameters,
    *,
    keyed_bases: KeyedBases = "key",
    model: GainModel = "emulator",
    decoys: Decoys = "vacuum+weak",
) -> float:
    """Return the key rate in bit/s for blocks without end: Ma 2005 Eq. 1, times p_mu, clock, live time and duty.

    `keyed_bases` "key" makes key of the key basis alone (Lim 2014); "both" of each basis on its own, as Lucamarini et
    al. 2013 do. The phase error of one basis is the single-photon bit error of the other. Never negative. `decoys`
    "infinite" takes the single photons as known exactly.
    """
    expected = expected_gains(params, model=model)
    bounds = single_photon_bounds(params, expected, model=model, decoys=decoys)
    return rate_of_gains(params, expected, bounds, keyed_bases=keyed_bases)


def single_photon_bounds(
    params: LinkParameters, expected: ExpectedGains, *, model: GainModel = "emulator", decoys: Decoys = "vacuum+weak"
) -> tuple[DecoyBounds, DecoyBounds]:
    """Return what the decoy states tell of the single photons without finite-size effects: (key basis, check basis)."""
    if decoys == "infinite":
        return infinite_decoy_bounds(params, model=model)
    if decoys != "vacuum+weak":
        raise ValueError(f"no decoys {decoys!r}: choose 'vacuum+weak' or 'infinite'")
    return (
        decoy_bounds(expected.gains, expected.error_rates_key, params.intensities),
        decoy_bounds(expected.gains, expected.error_rates_check, params.intensities),
    )


def rate_of_gains(
    params: LinkParameters,
    expected: ExpectedGains,
    bounds: tuple[DecoyBounds, DecoyBounds],
    *,
    keyed_bases: KeyedBases = "key",
) -> float:
    """Return the asymptotic key rate in bit/s (Ma 2005 Eq. 1) of given gains and single-photon bounds of both bases.

    Of the single photons `detector_ratio` of the parameters count: `_mismatch` says why.
    """
    if keyed_bases not in ("key", "both"):
        raise ValueError(f"no keyed bases {keyed_bases!r}: choose 'key' or 'both'")
    p_a, p_b = params.key_basis_probability_transmitter, params.key_basis_probability_receiver
    f, ratio = params.error_correction_efficiency, params.detector_ratio

    def rate(mine: Triple, other: DecoyBounds, sifting: float) -> float:
        counted = replace(
            other,
            single_photon_gain=other.single_photon_gain * ratio,
            single_photon_error=min(other.single_photon_error / ratio, 0.5),
        )
        return max(gllp_rate(expected.gains[0], mine[0], counted, sifting=sifting, f=f), 0.0)

    per_pulse = rate(expected.error_rates_key, bounds[1], p_a * p_b)
    if keyed_bases == "both":
        per_pulse += rate(expected.error_rates_check, bounds[0], (1 - p_a) * (1 - p_b))
    return per_pulse * params.probabilities[0] * params.clock_rate_hz * expected.live * params.duty
