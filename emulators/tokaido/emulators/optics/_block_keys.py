"""The key of one block of counts, by the finite-key analysis that is asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np

from ._finite_key import BasisCounts, KeyLength, key_length
from ._lucamarini import AnyBound, LucamariniKey, lucamarini_key_length
from ._mismatch import refuse_mismatch
from ._rates import binary_entropy

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ._parameters import LinkParameters

DayMethod = Literal["lim", "lucamarini"]


class BlockKeys:
    """Says how much key a block has, after Lim et al. 2014 or Lucamarini et al. 2013.

    Args:
        params: The link.
        method: Which of them; the latter keys both bases.
        bound: Deviations: "chernoff" or "gaussian"; default: that of the papers' formulas.
        pulses: Sent in one block.
    """

    def __init__(self, params: LinkParameters, method: DayMethod, bound: AnyBound | None, pulses: float) -> None:
        self._params = params
        self._pulses = pulses
        self._method: DayMethod = method
        self._bound: AnyBound | None = bound
        self.keyed_bases = 2 if method == "lucamarini" else 1
        """The key basis alone, or the check basis too."""
        self.nothing = self.key(np.zeros((2, 2, 3), np.int64))
        """The key of a block without detections: what it is stated with."""

    def key(self, counts: NDArray[np.int64]) -> KeyLength | LucamariniKey:
        """Return the key of counts of shape (2, 2, 3)."""
        p = self._params
        key, check = (_basis(counts[basis]) for basis in (0, 1))
        if self._method == "lucamarini":
            return self._lucamarini(key, check)
        if self._bound == "gaussian":
            raise ValueError("bound 'gaussian' is not one of method 'lim': choose 'chernoff', 'hoeffding' or 'lp'")
        sifted, errors = sum(key.detections), sum(key.errors)
        return key_length(
            key,
            check,
            p.intensities,
            p.probabilities,
            leaked_bits=p.error_correction_efficiency * sifted * binary_entropy(errors / sifted) if sifted else 0.0,
            eps_sec=p.eps_sec,
            eps_cor=p.eps_cor,
            bound=self._bound or "chernoff",
            detector_ratio=p.detector_ratio,
        )

    def _lucamarini(self, key: BasisCounts, check: BasisCounts) -> LucamariniKey:
        p = self._params
        refuse_mismatch(p.detector_ratio, "lucamarini")
        if self._bound == "lp":
            raise ValueError("bound 'lp' is one of method 'lim': choose 'gaussian', 'chernoff' or 'hoeffding'")
        p_a, p_b = p.key_basis_probability_transmitter, p.key_basis_probability_receiver
        sifting = p_a * p_b, (1 - p_a) * (1 - p_b)
        clicks = (sum(key.detections) + sum(check.detections)) / sum(sifting)
        live = max(1 - p.dead_gates * clicks / self._pulses, 0.0)

        def sent(share: float) -> tuple[float, float, float]:
            signal, decoy, vacuum = (self._pulses * live * share * chance for chance in p.probabilities)
            return signal, decoy, vacuum

        return lucamarini_key_length(
            key,
            check,
            pulses_key=sent(sifting[0]),
            pulses_check=sent(sifting[1]),
            intensities=p.intensities,
            probabilities=p.probabilities,
            f=p.error_correction_efficiency,
            eps=p.eps_sec,
            bound=self._bound or "gaussian",
        )


def _basis(counts: NDArray[np.int64]) -> BasisCounts:
    (n0, n1, n2), (m0, m1, m2) = counts.tolist()
    return BasisCounts((n0, n1, n2), (m0, m1, m2))
