"""One answer about a link: gains, error rates and key rates, each rate with its method, bound, block and epsilon."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Final, Literal

from ._attacks import InterceptResend, PhotonNumberSplitting, several_detected, split_pulses
from ._dps import DpsParameters, dps_rate, dps_statistics
from ._finite_key import Bound, KeyLength, block_duration, expected_counts, expected_key_length
from ._lucamarini import AnyBound, LucamariniKey, lucamarini_expected_key
from ._one_decoy import OneDecoyParameters, one_decoy_expected_key, one_decoy_pulses, one_decoy_statistics
from ._parameters import KeyedBases, LinkParameters
from ._rates import (
    ExpectedGains,
    GainModel,
    Triple,
    expected_gains,
    rate_of_gains,
    single_photon_bounds,
)

Method = Literal["lim", "lucamarini", "asymptotic", "infinite-decoys", "one-decoy", "dps"]
RateAttack = InterceptResend | PhotonNumberSplitting
"""The attacks that have a formula here."""
METHODS: Final[tuple[Method, ...]] = ("lim", "lucamarini", "asymptotic", "infinite-decoys", "one-decoy", "dps")
_SECURE_AGAINST: Final[dict[Method, str]] = {
    "lim": KeyLength.secure_against,
    "lucamarini": LucamariniKey.secure_against,
    "asymptotic": "general attacks",
    "infinite-decoys": "general attacks",
    "one-decoy": KeyLength.secure_against,
    "dps": "individual attacks",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkRate:
    """Expected statistics and rates of one link. What a protocol does not have is nan."""

    loss_db: float
    """Of the channel, without the receiver."""
    gains: tuple[float, float, float]
    """Clicks per live gate for signal, decoy, vacuum."""
    qber_z: float
    """Error rate of signal pulses in the key basis."""
    qber_x: float
    """Error rate of signal pulses in the check basis."""
    sifted_bps: float
    """Sifted bits of all intensities in the keyed bases, dead time and duty included."""
    asymptotic_bps: float
    """Secret key of the same bases for blocks without end."""
    secret_bps: float
    """Secret key by `method`, `bound`, `pulses` and `eps`; 0.0 where a block gives none."""
    single_photon_yield: float
    """Lower bound on Y1 in the key basis, as the method has it."""
    single_photon_error: float
    """Upper bound on the phase error of single photons of the key basis, as the method has it; 0.5 says nothing."""
    pulses: float
    """Pulses sent in one block; inf for methods without finite-size effects."""
    method: str
    bound: str
    """How counts are bounded: "chernoff", "hoeffding", "gaussian", "lp", or "none" without finite-size effects."""
    secure_against: str
    """What the proof behind the method lets an eavesdropper do: "general attacks", "collective attacks" (Lucamarini
    2013) or "individual attacks" (DPS), from strong to weak."""
    eps: float
    """Chance that the key is not what it is said to be; 0.0 without finite-size effects: none is claimed."""
    keyed_bases: str
    """"key", or "both" where each basis is keyed on its own."""
    block_s: float
    """How long a block takes to collect, alignment (duty) included; inf without finite-size effects."""
    capped: bool
    """True where the unit's throughput holds `secret_bps` down, not the optics."""


def link_rate(
    params: LinkParameters | OneDecoyParameters | DpsParameters,
    *,
    method: Method | None = None,
    bound: AnyBound | None = None,
    pulses: float | None = None,
    attack: RateAttack | None = None,
    model: GainModel = "emulator",
) -> LinkRate:
    """Return what a link is expected to give.

    Args:
        params: Of decoy BB84, one-decoy BB84 or DPS.
        method: "lim" (Lim et al. 2014, key basis keyed), "lucamarini" (Lucamarini et al. 2013,
            both bases), "asymptotic" (vacuum + weak decoys, Ma et al. 2005) or "infinite-decoys" (same paper). Default:
            `rate_method` of the parameters. One-decoy parameters have "one-decoy" (Rusca et al. 2018) alone, and DPS
            parameters "dps" (Waks et al. 2006).
        bound: "chernoff" or "hoeffding"; for "lucamarini" also "gaussian", and for "lim" also "lp", a linear programme
            that gives more near the edge and needs scipy (`pip install 'tokaido[lp]'`). Default: "chernoff", for
            "lucamarini" "gaussian", for "one-decoy" "hoeffding", as their papers have it. Methods without end have
            none.
        pulses: Sent in one block. Default: what the block of the parameters takes (`block_sifted_bits` at the gains
            of this model and under this attack, or `block_time_s`, which is 20 minutes).
        attack: An eavesdropper: changes error rates or gains, and the rates with them.
        model: Law of gains and error rates, see `expected_gains`. For decoy BB84 only.
    """
    if pulses is not None and not 0 < pulses < math.inf:
        raise ValueError(f"pulses = {pulses!r} is not possible: give the pulses sent in one block, > 0")
    if not isinstance(params, LinkParameters):
        return _other_protocol(params, method=method, bound=bound, pulses=pulses, attack=attack, model=model)
    method = params.rate_method if method is None else method
    if method not in ("lim", "lucamarini", "asymptotic", "infinite-decoys"):
        _refuse(params, method, "'lim', 'lucamarini', 'asymptotic' or 'infinite-decoys'")
    params, expected = _disturbed(params, attack, model)
    keyed_bases: KeyedBases = params.keyed_bases
    if method in ("lim", "lucamarini"):
        keyed_bases = "key" if method == "lim" else "both"
    decoys: Literal["vacuum+weak", "infinite"] = "infinite" if method == "infinite-decoys" else "vacuum+weak"
    bounds = single_photon_bounds(params, expected, model=model, decoys=decoys)
    asymptotic = rate_of_gains(params, expected, bounds, keyed_bases=keyed_bases)
    found = _Found(asymptotic, bounds[0].single_photon_yield, bounds[1].single_photon_error, math.inf, "none", 0.0)
    if method == "lim":
        found = _lim(params, expected, "chernoff" if bound is None else bound, pulses)
    elif method == "lucamarini":
        found = _lucamarini(params, expected, "gaussian" if bound is None else bound, pulses)
    else:
        _no_block(method, pulses)
    per_pulse = expected_counts(params, 1.0, expected)
    sifted = sum(per_pulse[0].detections) + (sum(per_pulse[1].detections) if keyed_bases == "both" else 0.0)
    pulse_rate = params.clock_rate_hz * params.duty
    return LinkRate(
        loss_db=params.channel_loss_db,
        gains=expected.gains,
        qber_z=expected.error_rates_key[0],
        qber_x=expected.error_rates_check[0],
        sifted_bps=sifted * pulse_rate,
        asymptotic_bps=min(asymptotic, params.max_secret_bps),
        secret_bps=min(found.secret_bps, params.max_secret_bps),
        single_photon_yield=found.single_photon_yield,
        single_photon_error=found.single_photon_error,
        pulses=found.pulses,
        method=method,
        secure_against=_SECURE_AGAINST[method],
        bound=found.bound,
        eps=found.eps,
        keyed_bases=keyed_bases,
        block_s=found.pulses / pulse_rate,
        capped=found.secret_bps > params.max_secret_bps,
    )


def block_pulses(params: LinkParameters | OneDecoyParameters, expected: ExpectedGains | None = None) -> float:
    """Return the pulses of one block as the parameters have it: so many sifted bits, or so long a time.

    `expected` are the gains that fill it, those of the undisturbed link if left out; one-decoy links have none.
    """
    if isinstance(params, OneDecoyParameters):
        return one_decoy_pulses(params)
    seconds = params.block_time_s
    if params.block_sifted_bits is not None:
        seconds = block_duration(params, params.block_sifted_bits, expected)
    return seconds * params.clock_rate_hz * params.duty


@dataclass(frozen=True, slots=True)
class _Found:
    """What one method finds."""

    secret_bps: float
    single_photon_yield: float
    single_photon_error: float
    pulses: float
    bound: str
    eps: float


def _lim(params: LinkParameters, expected: ExpectedGains, bound: AnyBound, pulses: float | None) -> _Found:
    if bound == "gaussian":
        raise ValueError("method 'lim' has no bound 'gaussian': choose 'chernoff', 'hoeffding' or 'lp'")
    pulses = block_pulses(params, expected) if pulses is None else pulses
    if not math.isfinite(pulses):
        return _Found(0.0, 0.0, 0.5, pulses, bound, params.eps_sec + params.eps_cor)
    key = expected_key_length(params, pulses, bound, expected=expected)
    p_a, p_b = params.key_basis_probability_transmitter, params.key_basis_probability_receiver
    singles = sum(p * k * math.exp(-k) for k, p in zip(params.intensities, params.probabilities, strict=True))
    sent = pulses * expected.live * p_a * p_b * singles
    rate = key.bits / pulses * params.clock_rate_hz * params.duty
    return _Found(rate, key.single_photon_events / sent, key.phase_error, pulses, bound, key.eps)


def _lucamarini(params: LinkParameters, expected: ExpectedGains, bound: AnyBound, pulses: float | None) -> _Found:
    if bound == "lp":
        raise ValueError("method 'lucamarini' has no bound 'lp': choose 'gaussian', 'chernoff' or 'hoeffding'")
    pulses = block_pulses(params, expected) if pulses is None else pulses
    if not math.isfinite(pulses):
        return _Found(0.0, 0.0, 0.5, pulses, bound, params.eps_sec)
    key = lucamarini_expected_key(params, pulses, bound, expected=expected)
    rate = key.bits / pulses * params.clock_rate_hz * params.duty
    basis = key.key_basis
    return _Found(rate, basis.single_photon_yield, basis.phase_error, pulses, bound, key.eps)


def _disturbed(
    params: LinkParameters, attack: RateAttack | None, model: GainModel
) -> tuple[LinkParameters, ExpectedGains]:
    """Return parameters and gains under an attack. The place for every attack: one branch each."""
    if attack is None:
        return params, expected_gains(params, model=model)
    if isinstance(attack, InterceptResend):
        params = intercepted(params, attack)
        return params, expected_gains(params, model=model)
    if isinstance(attack, PhotonNumberSplitting):
        return params, expected_gains(params, model=model, light=split_light(params, attack))
    raise ValueError(f"attack {attack!r} has no formula here: give InterceptResend(...) or PhotonNumberSplitting(...)")


def split_light(params: LinkParameters, attack: PhotonNumberSplitting) -> Triple:
    """Return the chance that light of each intensity clicks under photon-number splitting; the signal's is kept.

    Of n >= 2 photons n - 1 go on over a line of less loss, single ones are blocked with the attack's fraction.
    """
    receiver = min(params.transmittance * 10 ** (params.channel_loss_db / 10), 1.0)
    split = split_pulses(attack, params.intensities[0], params.transmittance, receiver)

    def chance(mean: float) -> float:
        single = (1 - split.blocked) * mean * math.exp(-mean) * split.single
        return single + several_detected(mean, split.several)

    signal, decoy, vacuum = (chance(mean) for mean in params.intensities)
    return signal, decoy, vacuum


def intercepted(params: LinkParameters, attack: InterceptResend) -> LinkParameters:
    """Return the parameters as an eavesdropper who intercepts and resends makes them look.

    Where she measures in the basis that was not sent, light reaches either detector alike: e -> e (1 - x) + x/2 for a
    share x of the pulses. With a random basis x is half the fraction p, which is e -> (1-p) e + p (1/4 + e/2).
    """

    def error(own: float, basis: Literal[0, 1]) -> float:
        spoilt: float = attack.in_basis(1 - basis)
        return own * (1 - spoilt) + spoilt / 2

    return replace(
        params,
        misalignment_key=error(params.misalignment_key, 0),
        misalignment_check=error(params.misalignment_check, 1),
    )


def _other_protocol(
    params: OneDecoyParameters | DpsParameters,
    *,
    method: Method | None,
    bound: AnyBound | None,
    pulses: float | None,
    attack: RateAttack | None,
    model: GainModel,
) -> LinkRate:
    own: Method = "dps" if isinstance(params, DpsParameters) else "one-decoy"
    if method not in (None, own):
        _refuse(params, str(method), repr(own))
    if attack is not None:
        raise ValueError(f"attack {attack!r} has no formula for method {own!r}: only decoy BB84 links can be attacked")
    if model != "emulator":
        raise ValueError(f"model {model!r} is one of decoy BB84 links: leave it out for method {own!r}")
    if isinstance(params, DpsParameters):
        _no_block(own, pulses)
        return _dps(params)
    if bound is None:
        bound = "hoeffding"
    if bound not in ("chernoff", "hoeffding"):
        raise ValueError(f"method 'one-decoy' has no bound {bound!r}: choose 'chernoff' or 'hoeffding'")
    return _one_decoy(params, bound, pulses)


def _dps(params: DpsParameters) -> LinkRate:
    statistics, secret = dps_statistics(params), dps_rate(params)
    return LinkRate(
        loss_db=params.channel_loss_db,
        gains=(statistics.gain, math.nan, math.nan),
        qber_z=statistics.error_rate,
        qber_x=math.nan,
        sifted_bps=statistics.sifted_bps,
        asymptotic_bps=min(secret, params.max_secret_bps),
        secret_bps=min(secret, params.max_secret_bps),
        single_photon_yield=math.nan,
        single_photon_error=math.nan,
        pulses=math.inf,
        method="dps",
        secure_against=_SECURE_AGAINST["dps"],
        bound="none",
        eps=0.0,
        keyed_bases="key",
        block_s=math.inf,
        capped=secret > params.max_secret_bps,
    )


def _one_decoy(params: OneDecoyParameters, bound: Bound, pulses: float | None) -> LinkRate:
    statistics = one_decoy_statistics(params)
    pulses = one_decoy_pulses(params) if pulses is None else pulses
    key = one_decoy_expected_key(params, pulses, bound)
    endless = one_decoy_expected_key(params, 1e24, bound)  # finite-size terms are below 1e-6 of the counts
    pulse_rate = params.clock_rate_hz * params.duty
    both = params.key_basis_probability_transmitter * params.key_basis_probability_receiver
    live = both * statistics.live
    singles = sum(p * k * math.exp(-k) for k, p in zip(params.intensities, params.probabilities, strict=True))
    secret = key.bits / pulses * pulse_rate
    return LinkRate(
        loss_db=params.channel_loss_db,
        gains=(*statistics.gains, math.nan),
        qber_z=statistics.error_rates_key[0],
        qber_x=statistics.error_rates_check[0],
        sifted_bps=statistics.mean_gain * live * pulse_rate,
        asymptotic_bps=min(endless.bits / 1e24 * pulse_rate, params.max_secret_bps),
        secret_bps=min(secret, params.max_secret_bps),
        single_photon_yield=key.single_photon_events / (pulses * live * singles),
        single_photon_error=key.phase_error,
        pulses=pulses,
        method="one-decoy",
        secure_against=_SECURE_AGAINST["one-decoy"],
        bound=bound,
        eps=key.eps,
        keyed_bases="key",
        block_s=pulses / pulse_rate,
        capped=secret > params.max_secret_bps,
    )


def _no_block(method: str, pulses: float | None) -> None:
    if pulses is not None:
        raise ValueError(f"method {method!r} knows no blocks: leave pulses out, or choose 'lim' or 'lucamarini'")


def _refuse(params: object, method: str, choices: str) -> None:
    kind = type(params).__name__
    raise ValueError(f"method {method!r} does not go with {kind}: choose {choices}")
