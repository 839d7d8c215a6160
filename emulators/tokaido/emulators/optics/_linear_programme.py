"""Single photons bounded by a linear programme instead of the closed formulas of Lim 2014. Needs scipy (extra `lp`).

The constraints are those that Lim et al., PRA 89 022307 (2014), Eqs. 2 and 3 rest on, with the same five deviations, so
that the failure chances add up to the same eps; the closed formulas are one point of the dual programme, and the
programme's optimum is never below them. Decoy states as a linear programme: Ma et al., PRA 72 012326 (2005), Sec. III;
Curty et al., Nature Communications 5 3732 (2014), Supplementary Note 2.
"""

from __future__ import annotations

import importlib
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

import tokaido.hal as hal

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ._rates import Triple

_PHOTONS: Final = 12
"""Pulses of more photons than this are taken together."""


@dataclass(frozen=True, slots=True)
class DetectionBounds:
    """What bounds the detections of one basis, in the order signal, decoy, vacuum; not weighted."""

    total: float
    lower: Triple
    upper: Triple


def least_detections(
    vacuum: float, single: float, observed: DetectionBounds, intensities: Triple, probabilities: Triple
) -> float:
    """Return a lower bound on vacuum x s0 + single x s1, the detections of vacuum and of single-photon pulses.

    The bound is the dual objective, less the excess over each dual constraint times the largest value of its variable
    (weak duality): a solver that stops early makes the bound looser, never wrong.
    Raises TokaidoError where scipy is not installed.
    """
    if observed.total <= 0:
        return 0.0
    matrix, right = _constraints(observed, intensities, probabilities)
    cost = np.zeros(matrix.shape[1])
    cost[0], cost[1] = vacuum, single
    found = _solver().linprog(cost, A_ub=-matrix, b_ub=-right, bounds=(0, 1), method="highs")
    if found.status != 0:
        return 0.0
    prices = np.maximum(-np.asarray(found.ineqlin.marginals), 0.0)
    violated = np.maximum(matrix.T @ prices - cost, 0.0)
    rounding = 1e-12 * np.abs(right * prices).sum()
    return max(float(right @ prices - violated.sum() - rounding), 0.0) * observed.total


def _constraints(
    observed: DetectionBounds, intensities: Triple, probabilities: Triple
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return (G, g) of G x >= g, 0 <= x <= 1.

    x are the shares of the detections that pulses of n = 0 ... 12 photons have, and last the share that signal pulses
    of more photons have. P(k|n) = p_k e^-k k^n / (n! tau_n) is the chance that n photons were sent with intensity k.
    """
    n = np.arange(_PHOTONS + 2)
    sent = np.array(
        [
            p * np.exp(-k) * np.power(k, n) / np.array([math.factorial(i) for i in n.tolist()])
            for k, p in zip(intensities, probabilities, strict=True)
        ]
    )
    chance = sent / sent.sum(axis=0)
    rows: list[NDArray[np.float64]] = []
    right: list[float] = []

    def at_least(few: NDArray[np.float64], many: float, value: float) -> None:
        rows.append(np.append(few, many))
        right.append(value / observed.total)

    few = chance[:, :-1]
    # Beyond 12 photons (k/mu)^n falls with n, so a decoy's part is at most its ratio to the signal's at 13.
    for k in (1, 2):
        at_least(few[k], float(chance[k, -1] / chance[0, -1]), observed.lower[k])
    at_least(-few[0], -1.0, -observed.upper[0])
    for k in (1, 2):
        at_least(-few[k], 0.0, -observed.upper[k])
    # Every detection is of some photon number: that needs no statistics. Signals are most of the many.
    at_least(-np.ones(_PHOTONS + 1), -1.0, -observed.total)
    at_least(np.ones(_PHOTONS + 1), float(1 / chance[0, -1]), observed.total)
    return np.array(rows), np.array(right)


def _solver() -> Any:
    try:
        return importlib.import_module("scipy.optimize")
    except ImportError as error:
        raise hal.TokaidoError(
            "bound 'lp' needs scipy, which is not installed", remedy="Install it with: pip install 'tokaido[lp]'"
        ) from error
