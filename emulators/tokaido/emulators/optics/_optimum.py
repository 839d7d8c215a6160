"""How far a link reaches, and which intensities, probabilities and basis bias give most key."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import product
from typing import TYPE_CHECKING, Final, Literal, TypeVar

from ._link_rate import Method, RateAttack, link_rate
from ._lucamarini import AnyBound
from ._one_decoy import OneDecoyParameters
from ._parameters import LinkParameters
from ._rates import GainModel, binary_entropy

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ._dps import DpsParameters

Kept = Literal["intensities", "probabilities", "key_basis"]
Source = TypeVar("Source", LinkParameters, OneDecoyParameters)

_GOLDEN: Final = (math.sqrt(5) - 1) / 2
_LONGEST_DB: Final = 120.0


def optimal_intensity(misalignment: float, f: float) -> float:
    """Return mu with (1 - mu) e^-mu = f h(e_d) / (1 - h(e_d)): Ma 2005 Eq. 12, infinite decoys and no dark counts.

    `misalignment` is e_d as a fraction, `f` leak over Shannon limit. Found by bisection to 1e-12.
    """
    if not 0 <= misalignment < 0.5:
        raise ValueError(f"misalignment = {misalignment!r} is not possible: give a fraction below 0.5, not percent")
    if not 1 <= f < math.inf:
        raise ValueError(f"f = {f!r} is not possible: give leak over Shannon limit, >= 1")
    lost = binary_entropy(misalignment)
    wanted = f * lost / (1 - lost)
    if wanted >= 1:
        raise ValueError(f"misalignment = {misalignment!r} leaves no key at any intensity: there is no optimum")
    low, high = 0.0, 1.0
    while high - low > 1e-12:
        middle = (low + high) / 2
        low, high = (middle, high) if (1 - middle) * math.exp(-middle) > wanted else (low, middle)
    return (low + high) / 2


def maximum_loss_db(
    params: LinkParameters | OneDecoyParameters | DpsParameters,
    *,
    method: Method | None = None,
    bound: AnyBound | None = None,
    pulses: float | None = None,
    attack: RateAttack | None = None,
    model: GainModel = "emulator",
) -> float | None:
    """Return the largest channel loss in dB that still gives key, rounded down to 1e-4 dB; None if no loss does.

    Arguments as of `link_rate`. The loss of `params` does not matter. Where a block is so many sifted bits, it takes
    ever longer towards the end.
    """

    def gives_key(loss_db: float) -> bool:
        at = replace(params, channel_loss_db=loss_db)
        rate = link_rate(at, method=method, bound=bound, pulses=pulses, attack=attack, model=model)
        return rate.secret_bps > 0

    low = next((float(db) for db in range(int(_LONGEST_DB), -1, -1) if gives_key(db)), None)
    if low is None or low == _LONGEST_DB:
        return low
    high = low + 1.0
    while high - low > 1e-4:
        middle = (low + high) / 2
        low, high = (middle, high) if gives_key(middle) else (low, middle)
    return low


def maximum_distance_km(
    params: LinkParameters | OneDecoyParameters | DpsParameters,
    db_per_km: float,
    *,
    method: Method | None = None,
    bound: AnyBound | None = None,
    pulses: float | None = None,
    attack: RateAttack | None = None,
    model: GainModel = "emulator",
) -> float | None:
    """Return the longest fibre of `db_per_km` dB/km that still gives key, in km; None if no length does.

    Arguments as of `link_rate`; `preset_info(name).db_per_km` is the fibre of a preset.
    """
    if not 0 < db_per_km < math.inf:
        raise ValueError(f"db_per_km = {db_per_km!r} is not possible: give the fibre's loss in dB/km, > 0")
    loss = maximum_loss_db(params, method=method, bound=bound, pulses=pulses, attack=attack, model=model)
    return None if loss is None else loss / db_per_km


def optimised(
    params: Source,
    *,
    method: Method | None = None,
    bound: AnyBound | None = None,
    pulses: float | None = None,
    keep: Sequence[Kept] = (),
) -> Source:
    """Return the parameters with the source settings that give most key, found by golden sections along coordinates.

    Varied are intensities (the vacuum intensity stays), probabilities and basis bias (the same at both ends), except
    what `keep` names. Other arguments as of `link_rate`. The optimum is flat: expect settings to 1 % and rates to 1e-4.
    Raises ValueError where no settings give key.
    """
    for name in keep:
        if name not in ("intensities", "probabilities", "key_basis"):
            raise ValueError(f"cannot keep {name!r}: choose 'intensities', 'probabilities' or 'key_basis'")

    def made(point: Sequence[float]) -> Source:
        return _with(params, point, keep)

    def rate_at(loss_db: float) -> Callable[[Sequence[float]], float]:
        def rate(point: Sequence[float]) -> float:
            try:
                tried = replace(made(point), channel_loss_db=loss_db, max_secret_bps=math.inf)
                return link_rate(tried, method=method, bound=bound, pulses=pulses).secret_bps
            except ValueError:
                return 0.0

        return rate

    link_rate(params, method=method, bound=bound, pulses=pulses)  # says what is wrong, if the request is
    # Near the end of the key no start may have any: then begin where there is some, and follow the optimum there.
    wanted = params.channel_loss_db
    loss, best = wanted, _best_start(rate_at(wanted))
    while best is None and loss > 0:
        loss = max(loss - 1, 0.0)
        best = _best_start(rate_at(loss))
    while best is not None:
        best = _climbed(rate_at(loss), best)
        if loss == wanted:
            return made(best)
        loss = min(loss + 0.25, wanted)
        if rate_at(loss)(best) <= 0:
            break
    raise ValueError(f"no settings of the source give key at {wanted:g} dB: take a longer block")


def _best_start(rate: Callable[[Sequence[float]], float]) -> list[float] | None:
    best = max((list(start) for start in product(*_STARTS)), key=rate)
    return best if rate(best) > 0 else None


def _climbed(rate: Callable[[Sequence[float]], float], point: list[float]) -> list[float]:
    """Return the point from which no axis leads up."""
    value = rate(point)
    for _ in range(30):
        before = value
        for axis in range(len(_RANGES)):
            point, value = _along(rate, point, value, axis)
        if value <= before * (1 + 1e-5):
            break
    return point


# Signal, decoy over signal, probability of the signal, the decoy's share of the rest, key basis.
_STARTS: Final = ((0.4, 0.6), (0.15, 0.4), (0.5, 0.8), (0.7,), (0.6, 0.85, 0.95))
_RANGES: Final = ((0.1, 1.2), (0.02, 0.9), (0.02, 0.99), (0.05, 0.95), (0.5, 0.99))


def _with(params: Source, point: Sequence[float], keep: Sequence[Kept]) -> Source:
    signal, ratio, p_signal, share, bias = point
    changed = params
    if "key_basis" not in keep:
        changed = replace(changed, key_basis_probability_transmitter=bias, key_basis_probability_receiver=bias)
    if isinstance(changed, OneDecoyParameters):
        if "intensities" not in keep:
            changed = replace(changed, intensities=(signal, signal * ratio))
        if "probabilities" not in keep:
            changed = replace(changed, probabilities=(p_signal, 1 - p_signal))
        return changed
    if "intensities" not in keep:
        changed = replace(changed, intensities=(signal, signal * ratio, changed.intensities[2]))
    if "probabilities" not in keep:
        rest = 1 - p_signal
        changed = replace(changed, probabilities=(p_signal, rest * share, rest * (1 - share)))
    return changed


def _along(
    rate: Callable[[Sequence[float]], float], point: list[float], value: float, axis: int
) -> tuple[list[float], float]:
    """Return the best point along one axis and its rate: golden section around the present one, never worse."""

    def at(x: float) -> float:
        return rate([*point[:axis], x, *point[axis + 1 :]])

    low, high = _RANGES[axis]
    width = (high - low) / 4
    low, high = max(low, point[axis] - width), min(high, point[axis] + width)
    a, b = high - _GOLDEN * (high - low), low + _GOLDEN * (high - low)
    at_a, at_b = at(a), at(b)
    while high - low > 1e-4:
        if at_a >= at_b:
            high, b, at_b = b, a, at_a
            a = high - _GOLDEN * (high - low)
            at_a = at(a)
        else:
            low, a, at_a = a, b, at_b
            b = low + _GOLDEN * (high - low)
            at_b = at(b)
    x, found = (a, at_a) if at_a >= at_b else (b, at_b)
    return ([*point[:axis], x, *point[axis + 1 :]], found) if found > value else (point, value)
