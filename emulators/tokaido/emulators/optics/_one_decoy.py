"""BB84 with one decoy intensity and finite blocks: Rusca, Boaron, Grünenfelder, Martin, Zbinden, APL 112 171104 (2018).

A form of its own: there is no vacuum state, the vacuum is bounded by the errors instead. The three-state protocol of
Boaron et al., PRL 121 190502 (2018) is mapped onto it: its check basis sends one state of two, and its bounds are taken
to be those of four states (Rusca et al., PRA 98 052336, has the proof). Equations of APL 112 171104 are cited from the
preprint arXiv:1801.03443, Sec. II and appendices.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from ._finite_key import Bound, KeyLength, deviations
from ._parameters import require
from ._rates import binary_entropy
from ._sampling import phase_error_bound

Pair = tuple[float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class OneDecoyParameters:
    """Parameters of a BB84 link with one decoy. Pairs are in the order signal, decoy. Key basis Z, check basis X."""

    clock_rate_hz: float
    intensities: tuple[float, float]
    probabilities: tuple[float, float]
    key_basis_probability_transmitter: float
    key_basis_probability_receiver: float
    channel_loss_db: float
    receiver_loss_db: float
    detector_efficiency: float
    dark_count_probability: float
    """Per gate and per detector (two detectors in each basis are counted)."""
    dead_time_s: float
    misalignment_key: float
    misalignment_check: float
    error_correction_efficiency: float
    duty: float
    eps_sec: float
    eps_cor: float
    block_sifted_bits: float
    """Sifted bits of the key basis in one block."""
    max_secret_bps: float = math.inf

    def __post_init__(self) -> None:
        require(0 < self.clock_rate_hz < math.inf, "clock_rate_hz", self.clock_rate_hz, "give pulses per second, > 0")
        fine = len(self.intensities) == 2 and math.inf > self.intensities[0] > self.intensities[1] > 0
        require(fine, "intensities", self.intensities, "give two numbers, signal > decoy > 0")
        fine = len(self.probabilities) == 2 and all(0 < p < 1 for p in self.probabilities)
        fine = fine and abs(sum(self.probabilities) - 1) < 1e-9
        require(fine, "probabilities", self.probabilities, "give two chances, signal and decoy, that add up to 1")
        for name in ("key_basis_probability_transmitter", "key_basis_probability_receiver", "eps_sec", "eps_cor"):
            value = getattr(self, name)
            require(0 < value < 1, name, value, "give a probability between 0 and 1")
        for name in ("channel_loss_db", "receiver_loss_db", "dead_time_s"):
            value = getattr(self, name)
            require(0 <= value < math.inf, name, value, "give a finite value >= 0")
        for name in ("detector_efficiency", "duty"):
            value = getattr(self, name)
            require(0 < value <= 1, name, value, "give a fraction above 0 and up to 1")
        dark, f, bits = self.dark_count_probability, self.error_correction_efficiency, self.block_sifted_bits
        require(0 <= dark < 1, "dark_count_probability", dark, "give a probability >= 0 and below 1")
        for name in ("misalignment_key", "misalignment_check"):
            value = getattr(self, name)
            require(0 <= value <= 0.5, name, value, "give a fraction between 0 and 0.5, not percent")
        require(1 <= f < math.inf, "error_correction_efficiency", f, "give leak over Shannon limit, >= 1")
        require(0 < bits < math.inf, "block_sifted_bits", bits, "give a finite number > 0")
        require(self.max_secret_bps > 0, "max_secret_bps", self.max_secret_bps, "give bit/s > 0, or inf for no limit")

    @property
    def transmittance(self) -> float:
        """Chance that a photon leaving the transmitter is detected."""
        return 10 ** (-(self.channel_loss_db + self.receiver_loss_db) / 10) * self.detector_efficiency


@dataclass(frozen=True, slots=True)
class OneDecoyStatistics:
    """Expected statistics of a one-decoy link, signal and decoy."""

    gains: Pair
    error_rates_key: Pair
    error_rates_check: Pair
    mean_gain: float
    live: float


def one_decoy_statistics(params: OneDecoyParameters) -> OneDecoyStatistics:
    """Return gains and error rates: Q_k = s_k + Y0 - s_k Y0, E_k Q_k = e_d s_k (1-Y0) + Y0/2, without afterpulses."""
    y0 = 1 - (1 - params.dark_count_probability) ** 2
    light = [-math.expm1(-params.transmittance * k) for k in params.intensities]
    gains = [s + y0 - s * y0 for s in light]

    def errors(e: float) -> Pair:
        values = [(e * s * (1 - y0) + y0 / 2) / q if q > 0 else 0.5 for s, q in zip(light, gains, strict=True)]
        return values[0], values[1]

    mean = sum(p * q for p, q in zip(params.probabilities, gains, strict=True))
    dead_gates = math.ceil(params.dead_time_s * params.clock_rate_hz - 1e-6)
    return OneDecoyStatistics(
        (gains[0], gains[1]),
        errors(params.misalignment_key),
        errors(params.misalignment_check),
        mean,
        1 / (1 + dead_gates * mean),
    )


def one_decoy_pulses(params: OneDecoyParameters, block_bits: float | None = None) -> float:
    """Return the pulses of one block of `block_bits` sifted bits (those of the parameters if left out)."""
    statistics = one_decoy_statistics(params)
    p_a, p_b = params.key_basis_probability_transmitter, params.key_basis_probability_receiver
    per_pulse = statistics.mean_gain * statistics.live * p_a * p_b
    bits = params.block_sifted_bits if block_bits is None else block_bits
    return bits / per_pulse if per_pulse > 0 else math.inf


def one_decoy_key_length(
    key_detections: Pair,
    key_errors: Pair,
    check_detections: Pair,
    check_errors: Pair,
    *,
    intensities: Pair,
    probabilities: Pair,
    leaked_bits: float,
    eps_sec: float,
    eps_cor: float,
    bound: Bound = "hoeffding",
) -> KeyLength:
    """Return the secret bits of one block, rounded down, from counts in the order signal, decoy (Rusca 2018).

    l = s0 + s1 (1 - h(phi)) - leak - 6 log2(19/eps_sec) - log2(2/eps_cor). The lower s1 needs an upper s0, which the
    errors give: a vacuum pulse errs half of the time. "hoeffding" deviations are the paper's.
    """
    mu1, mu2 = intensities
    if not mu1 > mu2 > 0:
        raise ValueError(f"intensities {intensities} are not possible: give signal > decoy > 0")
    for name, n, m in (("key", key_detections, key_errors), ("check", check_detections, check_errors)):
        if not all(0 <= wrong <= all_ < math.inf for wrong, all_ in zip(m, n, strict=True)):
            raise ValueError(f"{name}-basis counts {n}, errors {m} are not possible: need 0 <= errors <= detections")
    if not 0 <= leaked_bits < math.inf:
        raise ValueError(f"leaked_bits = {leaked_bits!r} is not possible: give the bits disclosed, >= 0")
    if not (0 < eps_sec < 1 and 0 < eps_cor < 1):
        raise ValueError(f"eps_sec = {eps_sec!r}, eps_cor = {eps_cor!r}: both must lie between 0 and 1, such as 1e-10")
    if bound not in ("chernoff", "hoeffding"):
        raise ValueError(f"no bound {bound!r}: choose 'chernoff' or 'hoeffding'")
    log_term = math.log(19 / eps_sec)
    tau0, tau1 = (sum(p * math.exp(-k) * k**n for k, p in zip(intensities, probabilities, strict=True)) for n in (0, 1))
    weights = [math.exp(k) / p for k, p in zip(intensities, probabilities, strict=True)]

    def limits(counts: Pair) -> tuple[Pair, Pair]:
        below, above = zip(*(deviations(n, sum(counts), log_term, bound) for n in counts), strict=True)
        lower = [w * max(n - d, 0.0) for w, n, d in zip(weights, counts, below, strict=True)]
        upper = [w * (n + d) for w, n, d in zip(weights, counts, above, strict=True)]
        return (lower[0], lower[1]), (upper[0], upper[1])

    def vacuum_and_single(counts: Pair, errors: Pair) -> tuple[float, float]:
        (_, lower2), (upper1, _) = limits(counts)
        total = sum(counts)
        s0 = min(max(tau0 / (mu1 - mu2) * (mu1 * lower2 - mu2 * upper1), 0.0), total)
        most_errors = tau0 * min(limits(errors)[1])
        s0_upper = 2 * (most_errors + math.sqrt(total / 2 * log_term))
        inner = lower2 - (mu2 / mu1) ** 2 * upper1 - (mu1**2 - mu2**2) / mu1**2 * s0_upper / tau0
        return s0, min(max(tau1 * mu1 / (mu2 * (mu1 - mu2)) * inner, 0.0), total - s0)

    s0, s1 = vacuum_and_single(key_detections, key_errors)
    _, s1_check = vacuum_and_single(check_detections, check_errors)
    eps = eps_sec + eps_cor
    for name, single in (("key", s1), ("check", s1_check)):
        if single <= 0:
            reason = f"too few {name}-basis detections, or too many errors, to bound the single photons"
            return KeyLength(0, s0, s1, 0.5, "rusca2018", bound, eps, reason)
    (_, errors2), (errors1, _) = limits(check_errors)
    phi = phase_error_bound(tau1 / (mu1 - mu2) * (errors1 - errors2), s1_check, s1, eps_sec, terms=19)
    length = s0 + s1 * (1 - binary_entropy(phi)) - leaked_bits - 6 * math.log2(19 / eps_sec) - math.log2(2 / eps_cor)
    reason = ""
    if length < 1:
        reason = "phase error bound at 1/2" if phi >= 0.5 else "leak and finite-size costs exceed the secret bits"
    return KeyLength(max(math.floor(length), 0), s0, s1, phi, "rusca2018", bound, eps, reason)


def one_decoy_expected_key(
    params: OneDecoyParameters, pulses: float | None = None, bound: Bound = "hoeffding"
) -> KeyLength:
    """Return the key of one block whose counts are as expected; `pulses` left out means the block of the parameters."""
    pulses = one_decoy_pulses(params) if pulses is None else pulses
    if not 0 < pulses < math.inf:
        raise ValueError(f"pulses = {pulses!r} is not possible: give the pulses sent in one block, > 0")
    statistics = one_decoy_statistics(params)
    p_a, p_b = params.key_basis_probability_transmitter, params.key_basis_probability_receiver

    def counts(sifting: float, error_rates: Pair) -> tuple[Pair, Pair]:
        sent = [pulses * statistics.live * sifting * p for p in params.probabilities]
        n = [a * q for a, q in zip(sent, statistics.gains, strict=True)]
        m = [a * e for a, e in zip(n, error_rates, strict=True)]
        return (n[0], n[1]), (m[0], m[1])

    key, key_errors = counts(p_a * p_b, statistics.error_rates_key)
    check, check_errors = counts((1 - p_a) * (1 - p_b), statistics.error_rates_check)
    leak = 0.0
    if sum(key) > 0:
        leak = params.error_correction_efficiency * sum(key) * binary_entropy(sum(key_errors) / sum(key))
    return one_decoy_key_length(
        key,
        key_errors,
        check,
        check_errors,
        intensities=params.intensities,
        probabilities=params.probabilities,
        leaked_bits=leak,
        eps_sec=params.eps_sec,
        eps_cor=params.eps_cor,
        bound=bound,
    )


def one_decoy_rate(params: OneDecoyParameters, pulses: float | None = None, bound: Bound = "hoeffding") -> float:
    """Return the key rate in bit/s of blocks whose counts are as expected; 0.0 where a block gives no key."""
    pulses = one_decoy_pulses(params) if pulses is None else pulses
    return one_decoy_expected_key(params, pulses, bound).bits / pulses * params.clock_rate_hz * params.duty
