"""Random sampling without replacement: how many errors the key basis may hold, given those seen in the check basis.

The phase errors of the key basis are never seen. Lim et al., PRA 89 022307 (2014) take the check basis as a random
sample of both and bound the rest by their Eq. 5, an approximation (Fung, Ma, Chau, PRA 81 012318 (2010)) that promises
too much where the sample has few errors. The tail of the hypergeometric distribution itself has no such gap; that it is
computable for blocks of this size is the observation of Mannalath, Zapatero, Curty, arXiv:2410.04095.
"""

from __future__ import annotations

import math
from typing import Final

_TERMS: Final = 64
"""Terms of a tail that are added one by one; the rest is bounded by a geometric series, which is never too small."""
_ROUNDING: Final = 1 + 1e-9
"""Above what rounding does to a tail."""
_HALF_LOG_2_PI: Final = 0.5 * math.log(2 * math.pi)


def phase_error_bound(errors: float, check: float, key: float, eps_sec: float, *, terms: int = 21) -> float:
    """Return an upper bound on the error rate of `key` single photons of the key basis, at most 1/2.

    `errors` (upper bound) were seen in `check` (lower bound) of the check basis. It is Lim 2014 Eq. 5 or, where that is
    smaller, the exact tail: the smallest number of errors in the key basis that would leave so few in the sample with a
    chance of at most eps_sec / `terms`, which is the failure chance that Eq. 5 is stated for. `terms` is into how many
    failure chances eps_sec is split: 21 with two decoys, 19 with one (Rusca 2018). Where no number is so large, 1/2.
    """
    counted = max(errors, 1.0)  # Eq. 5 has no meaning at an error rate of exactly 0
    if not 2 * counted < check or key < 1:
        return 0.5
    rate = counted / check
    bound = rate + sampling_deviation(eps_sec, rate, check, key, terms=terms)
    if bound >= 0.5:
        return 0.5
    sampled, others, seen = math.floor(check), math.floor(key), max(math.ceil(errors), 0)
    by_formula = math.floor(bound * others)
    most = most_other_errors(seen, sampled, others, eps_sec / terms, at_least=by_formula)
    return bound if most <= by_formula else min(most / others, 0.5)


def most_other_errors(seen: int, sampled: int, others: int, failure: float, *, at_least: int = 0) -> int:
    """Return the smallest number of errors, `at_least` or more, among `others` that a sample hides too seldom.

    Were there so many, then at most `seen` errors in a random sample of `sampled` out of `sampled` + `others` would
    have a chance of at most `failure`: P(X <= seen), X hypergeometric. `others` + 1 where no number does.
    """

    def excluded(number: int) -> bool:
        return hypergeometric_tail(seen, sampled, others, seen + number) * _ROUNDING <= failure

    if at_least > others or not excluded(others):
        return others + 1
    if excluded(at_least):
        return at_least
    low, step = at_least, max(at_least // 8, 16)
    high = min(low + step, others)
    while not excluded(high):
        low, step = high, 2 * step
        high = min(low + step, others)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if excluded(middle) else (middle, high)
    return high


def hypergeometric_tail(most: int, sampled: int, others: int, marked: int) -> float:
    """Return P(X <= most), X the marked ones in a sample of `sampled` out of `sampled` + `others`; 1 from the mode.

    Its largest term, that of `most`, comes from the saddle-point form (Loader, "Fast and accurate computation of
    binomial probabilities", 2000), which has no cancellation; the others follow from the ratios of neighbours. Too
    large by less than the geometric series that stands for what lies beyond the first terms, never too small.
    """
    unmarked = sampled + others - marked
    if most < max(0, sampled - unmarked):
        return 0.0

    def ratio(x: int) -> float:
        """Return P(X = x - 1) / P(X = x): it falls with x."""
        return x * (unmarked - sampled + x) / ((marked - x + 1) * (sampled - x + 1))

    if most >= min(marked, sampled) or ratio(most) >= 1:
        return 1.0
    p = sampled / (sampled + others)
    q = others / (sampled + others)
    log_term = _log_binomial(most, marked, p, q) + _log_binomial(sampled - most, unmarked, p, q)
    log_term -= _log_binomial(sampled, sampled + others, p, q)
    relative, total, x = 1.0, 1.0, most
    for _ in range(_TERMS):
        relative *= ratio(x)
        x -= 1
        total += relative
        if relative < 1e-17 * total:
            break
    else:
        following = ratio(x)
        total += relative * following / (1 - following)
    return min(math.exp(log_term) * total, 1.0)


def sampling_deviation(a: float, b: float, c: float, d: float, *, terms: int = 21) -> float:
    """Return gamma(a, b, c, d) of Lim 2014 Eq. 5: error rate b seen in c events, deviation for d other events.

    `terms` is into how many failure chances eps_sec is split: 21 with two decoys, 19 with one (Rusca 2018).
    """
    spread = (c + d) * (1 - b) * b / (c * d * math.log(2))
    return math.sqrt(spread * math.log2((c + d) / (c * d * (1 - b) * b) * terms**2 / a**2))


# --- logarithms of binomial probabilities (Loader 2000) ---------------------------------------------------------------


def _log_binomial(x: int, n: int, p: float, q: float) -> float:
    """Return ln of the chance of x successes in n trials of chance p = 1 - q."""
    if x == 0:
        return n * math.log1p(-p) if p < q else n * math.log(q)
    if x == n:
        return n * math.log1p(-q) if q < p else n * math.log(p)
    value = _stirling_error(n) - _stirling_error(x) - _stirling_error(n - x)
    value -= _deviance(x, n * p) + _deviance(n - x, n * q)
    return value - _HALF_LOG_2_PI - 0.5 * (math.log(x) + math.log1p(-x / n))


def _stirling_error(n: int) -> float:
    """Return ln n! minus Stirling's ln(sqrt(2 pi n) (n/e)^n)."""
    if n < 16:
        return math.lgamma(n + 1) - (n + 0.5) * math.log(n) + n - _HALF_LOG_2_PI if n else 0.0
    square = float(n) * n
    return (1 / 12 - (1 / 360 - (1 / 1260 - 1 / 1680 / square) / square) / square) / n


def _deviance(x: int, mean: float) -> float:
    """Return x ln(x / mean) + mean - x, without cancellation where x is near the mean."""
    if abs(x - mean) >= 0.1 * (x + mean):
        return x * math.log(x / mean) + mean - x
    v = (x - mean) / (x + mean)
    total, power, order = (x - mean) * v, 2 * x * v, 1
    while True:
        power *= v * v
        order += 2
        following = total + power / order
        if following == total:
            return total
        total = following
