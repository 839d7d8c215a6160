"""Finite keys after Lucamarini et al., Opt. Express 21 24550 (2013), arXiv:1310.0240: the analysis of the T12 protocol.

It is security against collective attacks: the eavesdropper treats every pulse alike and by itself. `_finite_key` holds
against general attacks. Both bases are keyed. Confidence bounds on gains and error counts are Gaussian by default (the
paper takes Clopper and Pearson's; at 20 minutes and 1 GHz the two differ by little) or those that `_finite_key` has.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, Literal

from ._finite_key import BasisCounts, Bound, ExpectedCounts, LimBound, deviations, expected_counts
from ._mismatch import refuse_mismatch
from ._parameters import LinkParameters, check_decoy_settings
from ._rates import ExpectedGains, Triple, binary_entropy, expected_gains

LucamariniBound = Bound | Literal["gaussian"]
AnyBound = LimBound | LucamariniBound


@dataclass(frozen=True, slots=True)
class BasisKey:
    """What one basis gives."""

    bits: int
    """Secret bits, rounded down."""
    vacuum_yield: float
    """y0, lower bound."""
    single_photon_yield: float
    """y1, lower bound."""
    phase_error: float
    """e1, upper bound from the errors of the other basis."""


@dataclass(frozen=True, slots=True)
class LucamariniKey:
    """The key of one session, both bases."""

    bits: int
    key_basis: BasisKey
    check_basis: BasisKey
    method: str
    bound: str
    eps: float
    secure_against: ClassVar[str] = "collective attacks"
    """The eavesdropper treats every pulse alike and by itself, and may measure all her probes together at the end."""


@dataclass(frozen=True, slots=True)
class _Estimate:
    """What the counts of one basis bound."""

    y0: float
    y1: float
    error_rate: float
    """Upper bound on the single photons' error rate in this basis."""


def lucamarini_key_length(
    key: BasisCounts | ExpectedCounts,
    check: BasisCounts | ExpectedCounts,
    *,
    pulses_key: Triple,
    pulses_check: Triple,
    intensities: Triple,
    probabilities: Triple,
    f: float,
    eps: float = 1e-10,
    bound: LucamariniBound = "gaussian",
) -> LucamariniKey:
    """Return the secret bits of a session from the counts of both bases, each rounded down (arXiv:1310.0240).

    A basis gives N_u e^-u [y0 + u y1 (1 - h(e1))] - C_u f h(E_u) - Delta, Delta = 7 sqrt(C_u log2(2/(eps_s - eps'))) +
    2 log2(1/(2 (eps - eps_EC - eps_s))), where u is the signal, N_u the pulses sent with both sides in this basis
    (`pulses_key`, `pulses_check`: in the order signal, decoy, vacuum), C_u its counts and E_u its error rate. y0, y1
    are the vacuum + weak bounds with every gain at its worst, and e1 <= (B_u e^u - y0/2) / (u y1) takes the errors of
    the other basis. eps_s = eps_EC = eps/100, eps' = eps_PE = eps/1e5.
    """
    check_decoy_settings(intensities, probabilities)
    if not 1 <= f < math.inf:
        raise ValueError(f"f = {f!r} is not possible: give leak over Shannon limit, >= 1")
    if not 0 < eps < 1:
        raise ValueError(f"eps = {eps!r} is not possible: give a failure probability between 0 and 1, such as 1e-10")
    if bound not in ("gaussian", "chernoff", "hoeffding"):
        raise ValueError(f"no bound {bound!r}: choose 'gaussian', 'chernoff' or 'hoeffding'")
    for name, counts, sent in (("key", key, pulses_key), ("check", check, pulses_check)):
        if not all(0 <= m <= n <= N for m, n, N in zip(counts.errors, counts.detections, sent, strict=True)):
            raise ValueError(f"{name}-basis {counts} of {sent} pulses: need 0 <= errors <= detections <= pulses")
    eps_s = eps_ec = eps / 100
    eps_pe = eps_prime = eps / 1e5
    both = ((key, pulses_key), (check, pulses_check))
    estimates = [_estimate(counts, sent, intensities, bound, eps_pe) for counts, sent in both]

    def keyed(counts: BasisCounts | ExpectedCounts, sent: Triple, own: _Estimate, other: _Estimate) -> BasisKey:
        u, clicks = intensities[0], counts.detections[0]
        if clicks <= 0 or own.y1 <= 0:
            return BasisKey(0, own.y0, own.y1, 0.5)
        gained = sent[0] * math.exp(-u) * (own.y0 + u * own.y1 * (1 - binary_entropy(other.error_rate)))
        leak = clicks * f * binary_entropy(min(counts.errors[0] / clicks, 0.5))
        delta = 7 * math.sqrt(clicks * math.log2(2 / (eps_s - eps_prime)))
        delta += 2 * math.log2(1 / (2 * (eps - eps_ec - eps_s)))
        return BasisKey(max(math.floor(gained - leak - delta), 0), own.y0, own.y1, other.error_rate)

    of_key = keyed(key, pulses_key, estimates[0], estimates[1])
    of_check = keyed(check, pulses_check, estimates[1], estimates[0])
    return LucamariniKey(of_key.bits + of_check.bits, of_key, of_check, "lucamarini2013", bound, eps)


def lucamarini_expected_key(
    params: LinkParameters, pulses: float, bound: LucamariniBound = "gaussian", *, expected: ExpectedGains | None = None
) -> LucamariniKey:
    """Return the key of a session of `pulses` pulses whose counts are as expected; eps is `eps_sec` of the parameters.

    `expected` are the gains and error rates to count with, those of the undisturbed link if left out.
    """
    if not 0 < pulses < math.inf:
        raise ValueError(f"pulses = {pulses!r} is not possible: give the pulses sent in one session, > 0")
    refuse_mismatch(params.detector_ratio, "lucamarini")
    expected = expected_gains(params) if expected is None else expected
    key, check = expected_counts(params, pulses, expected)
    p_a, p_b = params.key_basis_probability_transmitter, params.key_basis_probability_receiver

    def sent(sifting: float) -> Triple:
        a, b, c = (pulses * expected.live * sifting * p for p in params.probabilities)
        return a, b, c

    return lucamarini_key_length(
        key,
        check,
        pulses_key=sent(p_a * p_b),
        pulses_check=sent((1 - p_a) * (1 - p_b)),
        intensities=params.intensities,
        probabilities=params.probabilities,
        f=params.error_correction_efficiency,
        eps=params.eps_sec,
        bound=bound,
    )


def _estimate(
    counts: BasisCounts | ExpectedCounts, sent: Triple, intensities: Triple, bound: LucamariniBound, eps_pe: float
) -> _Estimate:
    """Return the vacuum + weak bounds of one basis (Ma 2005 Eqs. 18 and 21/34) with every gain at its worst."""
    u, v, w = intensities
    low, high = [], []
    for n, N in zip(counts.detections, sent, strict=True):  # noqa: N806 - the papers' name
        below, above = _confidence(n, sum(counts.detections), bound, eps_pe)
        low.append(max(n - below, 0.0) / N if N > 0 else 0.0)
        high.append((n + above) / N if N > 0 else 1.0)
    y0 = max((v * low[2] * math.exp(w) - w * high[1] * math.exp(v)) / (v - w), 0.0)
    y1 = low[1] * math.exp(v) - high[2] * math.exp(w) - (v**2 - w**2) / u**2 * (high[0] * math.exp(u) - y0)
    y1 = min(max(y1 * u / (u * v - u * w - v**2 + w**2), 0.0), 1.0)
    error_rate = 0.5
    if y1 > 0 and sent[0] > 0:
        _, above = _confidence(counts.errors[0], counts.detections[0], bound, eps_pe)
        wrong = (counts.errors[0] + above) / sent[0]
        error_rate = min(max((wrong * math.exp(u) - y0 / 2) / (u * y1), 0.0), 0.5)
    return _Estimate(y0, y1, error_rate)


def _confidence(n: float, total: float, bound: LucamariniBound, eps_pe: float) -> tuple[float, float]:
    """Return how far a count may lie from its expected value, below and above.

    Gaussian: sqrt(2 ln(12/eps_PE)) standard deviations, twelve bounds in all.
    """
    if bound == "gaussian":
        both = math.sqrt(2 * math.log(12 / eps_pe) * max(n, 1.0))
        return both, both
    return deviations(n, total, math.log(12 / eps_pe), bound)
