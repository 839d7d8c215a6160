"""Key length from finite statistics: Lim, Curty, Walenta, Xu, Zbinden, PRA 89 022307 (2014), two decoy intensities.

Deviations are either Hoeffding's, as in the paper, or multiplicative Chernoff bounds on each count, which give key from
shorter blocks. Lengths are always rounded down.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, Literal

from ._count_bounds import CountBounds
from ._linear_programme import DetectionBounds, least_detections
from ._mismatch import check_detector_ratio, least_kept, terms_of
from ._parameters import LinkParameters, check_decoy_settings
from ._rates import ExpectedGains, Triple, binary_entropy, expected_gains
from ._sampling import phase_error_bound

Bound = Literal["chernoff", "hoeffding"]
LimBound = Literal["chernoff", "hoeffding", "lp"]
""""lp" has the deviations of "chernoff" and a linear programme in place of Eqs. 2 and 3; it needs scipy."""


@dataclass(frozen=True, slots=True)
class BasisCounts:
    """Sifted counts of one basis in the order signal, decoy, vacuum: detections, and errors among them."""

    detections: tuple[int, int, int]
    errors: tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class ExpectedCounts:
    """As BasisCounts, but expected values (not whole numbers)."""

    detections: Triple
    errors: Triple


@dataclass(frozen=True, slots=True)
class KeyLength:
    """How much key a block holds, and what the bounds were."""

    bits: int
    """Secret bits, rounded down; 0 where there is no key yet."""
    vacuum_events: float
    """s0: lower bound on key-basis detections of vacuum pulses."""
    single_photon_events: float
    """s1: lower bound on key-basis detections of single-photon pulses."""
    phase_error: float
    """phi: upper bound on the phase error rate of those single-photon detections."""
    method: str
    bound: str
    eps: float
    """eps_sec + eps_cor: chance that the key is not what it is said to be."""
    reason: str
    """Why there is no key, or empty."""
    detector_ratio: float = 1.0
    """Up to which ratio of their efficiencies unequal detectors are charged for."""
    secure_against: ClassVar[str] = "general attacks"
    """What an eavesdropper may do to the light in the proof behind `method`."""


def key_length(
    key: BasisCounts,
    check: BasisCounts,
    intensities: Triple,
    probabilities: Triple,
    *,
    leaked_bits: float,
    eps_sec: float,
    eps_cor: float,
    bound: LimBound = "chernoff",
    intensity_tolerance: float = 0.0,
    detector_ratio: float = 1.0,
) -> KeyLength:
    """Return how many secret bits a block of sifted counts gives. Lim 2014 Eq. 1 with the bounds of Eqs. 2-5.

    `key` and `check` are the counts of the two bases (errors of the key basis are not used: they cost through
    `leaked_bits`, all bits that error correction disclosed). With an `intensity_tolerance` the length holds for any
    light between 1 - and 1 + that fraction of `intensities`, in each pulse (see `CountBounds`). A `detector_ratio`
    below 1 charges for detectors whose efficiencies differ up to this ratio, smaller over larger; `_mismatch` has the
    proof. eps_sec is then split into 25 failure chances instead of 21. Raises ValueError where counts or settings make
    no sense, and for a tolerance with bound "lp", which has none.
    """
    check_decoy_settings(intensities, probabilities)
    check_detector_ratio(detector_ratio)
    for name, counts in (("key", key), ("check", check)):
        for k in range(3):
            if not 0 <= counts.errors[k] <= counts.detections[k]:
                raise ValueError(f"{name}-basis counts {counts} are not possible: need 0 <= errors <= detections")
    if not 0 <= leaked_bits < math.inf:
        raise ValueError(f"leaked_bits = {leaked_bits!r} is not possible: give the bits disclosed, >= 0")
    if not (0 < eps_sec < 1 and 0 < eps_cor < 1):
        raise ValueError(f"eps_sec = {eps_sec!r}, eps_cor = {eps_cor!r}: both must lie between 0 and 1, such as 1e-10")
    if bound not in ("chernoff", "hoeffding", "lp"):
        raise ValueError(f"no bound {bound!r}: choose 'chernoff', 'hoeffding' or, where scipy is installed, 'lp'")
    if not 0 <= intensity_tolerance < 1:
        raise ValueError(f"intensity_tolerance = {intensity_tolerance!r} is not possible: give a fraction below 1")
    if bound == "lp" and intensity_tolerance:
        raise ValueError("bound 'lp' knows no intensity_tolerance: choose 'chernoff' or 'hoeffding'")
    length, s0, s1, phi, reason = _lim2014(
        key.detections,
        check,
        intensities,
        probabilities,
        tolerance=intensity_tolerance,
        leaked_bits=leaked_bits,
        eps_sec=eps_sec,
        eps_cor=eps_cor,
        bound=bound,
        ratio=detector_ratio,
    )
    bits = max(math.floor(length), 0)
    return KeyLength(bits, s0, s1, phi, "lim2014", bound, eps_sec + eps_cor, reason, detector_ratio)


def expected_counts(
    params: LinkParameters, pulses: float, expected: ExpectedGains | None = None
) -> tuple[ExpectedCounts, ExpectedCounts]:
    """Return the expected sifted counts (key basis, check basis) after `pulses` pulses, dead time included.

    `expected` are the gains and error rates to count with, those of the undisturbed link if left out.
    """
    expected = expected_gains(params) if expected is None else expected
    p_a, p_b = params.key_basis_probability_transmitter, params.key_basis_probability_receiver

    def counts(sifting: float, error_rates: Triple) -> ExpectedCounts:
        n = [
            pulses * expected.live * p * q * sifting for p, q in zip(params.probabilities, expected.gains, strict=True)
        ]
        m = [a * e for a, e in zip(n, error_rates, strict=True)]
        return ExpectedCounts((n[0], n[1], n[2]), (m[0], m[1], m[2]))

    key = counts(p_a * p_b, expected.error_rates_key)
    return key, counts((1 - p_a) * (1 - p_b), expected.error_rates_check)


def expected_key_length(
    params: LinkParameters, pulses: float, bound: LimBound = "chernoff", *, expected: ExpectedGains | None = None
) -> KeyLength:
    """Return the key of a block of `pulses` pulses whose counts are as expected, with leak = f n h(E) (Lim 2014).

    `expected` are the gains and error rates to count with, those of the undisturbed link if left out.
    """
    if not 0 < pulses < math.inf:
        raise ValueError(f"pulses = {pulses!r} is not possible: give the pulses sent in one block, > 0")
    if bound not in ("chernoff", "hoeffding", "lp"):
        raise ValueError(f"no bound {bound!r}: choose 'chernoff', 'hoeffding' or, where scipy is installed, 'lp'")
    key, check = expected_counts(params, pulses, expected)
    sifted = sum(key.detections)
    leak = 0.0
    if sifted > 0:
        leak = params.error_correction_efficiency * sifted * binary_entropy(sum(key.errors) / sifted)
    length, s0, s1, phi, reason = _lim2014(
        key.detections,
        check,
        params.intensities,
        params.probabilities,
        leaked_bits=leak,
        eps_sec=params.eps_sec,
        eps_cor=params.eps_cor,
        bound=bound,
        ratio=params.detector_ratio,
    )
    eps = params.eps_sec + params.eps_cor
    bits = max(math.floor(length), 0)
    return KeyLength(bits, s0, s1, phi, "lim2014", bound, eps, reason, params.detector_ratio)


def finite_key_rate(params: LinkParameters, pulses: float, bound: LimBound = "chernoff") -> float:
    """Return the key rate in bit/s when every block is `pulses` pulses long and counts are as expected.

    leak = f n h(E) over all intensities of the key basis. 0.0 where a block gives no key.
    """
    if pulses <= 0:
        return 0.0
    return expected_key_length(params, pulses, bound).bits / pulses * params.clock_rate_hz * params.duty


def block_duration(params: LinkParameters, block_bits: float, expected: ExpectedGains | None = None) -> float:
    """Return how many s the link needs for `block_bits` sifted bits of the key basis, all intensities counted.

    `expected` are the gains to count with, those of the undisturbed link if left out.
    """
    per_pulse = sum(expected_counts(params, 1.0, expected)[0].detections)
    return block_bits / (per_pulse * params.clock_rate_hz * params.duty) if per_pulse > 0 else math.inf


def first_key_time(params: LinkParameters, bound: LimBound = "chernoff", *, limit_s: float = 1e6) -> float | None:
    """Return the shortest block, in s, that gives key when counts are as expected; None if above `limit_s`.

    Found by bisection to 0.1 % and never too short.
    """
    pulse_rate = params.clock_rate_hz * params.duty

    def gives_key(seconds: float) -> bool:
        return expected_key_length(params, seconds * pulse_rate, bound).bits >= 1

    if not gives_key(limit_s):
        return None
    low, high = 0.0, 1e-3
    while high < limit_s and not gives_key(high):
        low, high = high, high * 2
    high = min(high, limit_s)
    while high - low > 1e-3 * high:
        middle = (low + high) / 2
        low, high = (low, middle) if gives_key(middle) else (middle, high)
    return high


# --- the bounds -----------------------------------------------------------------------------------------------------


def _lim2014(
    key_detections: Triple,
    check: BasisCounts | ExpectedCounts,
    intensities: Triple,
    probabilities: Triple,
    *,
    leaked_bits: float,
    eps_sec: float,
    eps_cor: float,
    bound: LimBound,
    ratio: float,
    tolerance: float = 0.0,
) -> tuple[float, float, float, float, str]:
    """Return (length in bit with its sign, s0, s1, phi, reason) by Lim 2014 Eqs. 1-5, less what unequal detectors cost.

    Of the single photons of each basis `least_kept` count; vacuum pulses say nothing of the bit whatever detects them.
    """
    terms = terms_of(ratio, 21)
    log_term = math.log(terms / eps_sec)
    decoys = CountBounds(intensities, probabilities, tolerance)
    if not decoys.bounds_singles:
        return 0.0, 0.0, 0.0, 0.5, "the intensities are too close to each other for their tolerance"

    def limits(counts: Triple) -> tuple[Triple, Triple]:
        """Lower and upper n_k (text after Eq. 3)."""
        each = [deviations(n, sum(counts), log_term, "chernoff" if bound == "lp" else bound) for n in counts]
        a, b, c = (max(n - below, 0.0) for n, (below, _) in zip(counts, each, strict=True))
        d, e, f = (n + above for n, (_, above) in zip(counts, each, strict=True))
        return (a, b, c), (d, e, f)

    def programme(vacuum: float, single: float, counts: Triple) -> float:
        """Lower bound on vacuum x s0 + single x s1 by a linear programme, if asked for."""
        if bound != "lp":
            return 0.0
        lower, upper = limits(counts)
        return least_detections(vacuum, single, DetectionBounds(sum(counts), lower, upper), intensities, probabilities)

    def vacuum_and_single(counts: Triple) -> tuple[float, float]:
        """s0 and s1, Eqs. 2 and 3."""
        total = sum(counts)
        s0, s1 = decoys.detections(*limits(counts), total)
        s0, s1 = max(s0, programme(1, 0, counts)), max(s1, programme(0, 1, counts))
        return s0, min(s1, total - s0)

    s0, s1 = vacuum_and_single(key_detections)
    _, s1_check = vacuum_and_single(check.detections)
    if s1 <= 0:
        return 0.0, s0, s1, 0.5, "too few key-basis detections to bound the single photons"
    if s1_check <= 0:
        return 0.0, s0, s1, 0.5, "too few check-basis detections to bound the single photons"

    errors = decoys.single_errors(*limits(check.errors))
    counted, counted_check = (least_kept(s, ratio, eps_sec / terms) for s in (s1, s1_check))
    phi = phase_error_bound(errors, counted_check, counted, eps_sec, terms=terms)
    left = 1 - binary_entropy(phi)
    # The two are least for different eavesdroppers; the programme looks for the worst one for both. Of more single
    # photons a larger share counts, so the share of the fewest holds for all.
    gained = max(s0 + counted * left, programme(1, counted / s1 * left, key_detections))
    length = gained - leaked_bits - 6 * math.log2(terms / eps_sec) - math.log2(2 / eps_cor)
    reason = ""
    if length < 1:
        reason = "phase error bound at 1/2" if phi >= 0.5 else "leak and finite-size costs exceed the secret bits"
    return length, s0, s1, phi, reason


def deviations(n: float, total: float, log_term: float, bound: Bound) -> tuple[float, float]:
    """Return how far the expected value may lie below and above a count n, each with probability eps_sec / 21.

    Hoeffding: sqrt(total/2 ln(21/eps)) (Lim 2014, text after Eq. 2). Chernoff: of the count alone.
    """
    if bound == "hoeffding":
        both = math.sqrt(total / 2 * log_term)
        return both, both
    below = log_term / 2 + math.sqrt(2 * n * log_term + log_term**2 / 4)
    return below, log_term + math.sqrt(2 * n * log_term + log_term**2)
