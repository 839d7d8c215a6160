"""Vacuum and single-photon detections from counts of three intensities, where the light may be off what was set.

At tolerance 0 these are Eqs. 2 to 4 of Lim, Curty, Walenta, Xu, Zbinden, PRA 89 022307 (2014). Else the light of every
pulse is f times what was set, the three mean photon numbers alike, and f is anything from 1 - tolerance to
1 + tolerance, from pulse to pulse, as the eavesdropper likes. That decoy states bear this is shown by Wang, Peng,
Zhang, Yang, Pan, PRA 77 042311 (2008), arXiv:0802.3177; the form below is for the counts of Lim et al.

A detection of a pulse of n photons is one of intensity k with chance p_k e^-fk k^n / tau_n(f),
tau_n(f) = sum_k p_k e^-fk k^n: f^n drops out. With F = 1 + tolerance, y = F - f and the expected counts N_k, the sums

    a  b e^Fc N_c/p_c - c e^Fb N_b/p_b    (signal a, decoy b, vacuum c)
    b  e^Fb N_b/p_b - e^Fc N_c/p_c - g e^Fa N_a/p_a

get from each detection of n photons, over tau_n(f):

    a  (b e^yc c^n - c e^yb b^n): at most b - c for n = 0, nothing above 0 for n > 0. So s0 >= tau_0(F) a / (b - c).
    b  (e^yb b^n - e^yc c^n - g e^ya a^n). With g the largest (e^-y(a-b) b^2 - e^-y(a-c) c^2) / a^2 of all y, that is
       nothing above 0 for n > 1 (as a > b + c), and falls with y for n = 1: at most b - c - g a, over tau_1(F). For
       n = 0 it rises with y as long as that of n = 1 is above 0: at most its value at y = 2 tolerance.

So the bounds on detections are those at the upper end of the light, all but what the vacuum gives back in b. Errors of
single photons are at most tau_1(f) (e^Fb M_b/p_b - e^Fc M_c/p_c) / (e^yb b - e^yc c): at most with the denominator of
the upper end and the tau_1 of the lower one, where it is largest.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from ._rates import Triple


class CountBounds:
    """Bounds on what vacuum and single-photon pulses gave, from limits of the expected counts.

    Limits are in the order signal, decoy, vacuum, `lower` and `upper`, of the key or of the check basis.

    Args:
        intensities: The mean photon numbers that were set, in photon/pulse.
        probabilities: Probability of each of them.
        tolerance: How far the light may be off them, as a fraction.
    """

    def __init__(self, intensities: Triple, probabilities: Triple, tolerance: float = 0.0) -> None:
        self._intensities = a, b, c = intensities
        self._probabilities = probabilities
        highest, lowest, most = 1 + tolerance, 1 - tolerance, 2 * tolerance
        self._weights: Final = [math.exp(highest * k) / p for k, p in zip(intensities, probabilities, strict=True)]
        self._tau0, self._tau1 = self._tau(0, highest), self._tau(1, highest)
        self._tau1_largest = self._tau(1, lowest)
        turn = math.log((a - c) * c**2 / ((a - b) * b**2)) / (b - c) if c > 0 else 0.0
        y = min(max(turn, 0.0), most)
        self._signals = (math.exp(-y * (a - b)) * b**2 - math.exp(-y * (a - c)) * c**2) / a**2
        self._single = b - c - self._signals * a
        last = math.exp(most * b) * b - math.exp(most * c) * c - self._signals * math.exp(most * a) * a
        self.bounds_singles: Final = last > 0
        """Whether the intensities are far enough apart for this tolerance."""
        given_back = self._signals * math.exp(most * a) - math.exp(most * b) + math.exp(most * c)
        self._given_back = given_back / self._tau(0, lowest)

    def _tau(self, n: int, factor: float) -> float:
        chances = zip(self._intensities, self._probabilities, strict=True)
        return math.fsum(p * math.exp(-factor * k) * k**n for k, p in chances)

    def detections(self, lower: Triple, upper: Triple, total: float) -> tuple[float, float]:
        """Return lower bounds on the detections of vacuum and of single-photon pulses, of `total` in all."""
        _, b, c = self._intensities
        low = [w * n for w, n in zip(self._weights, lower, strict=True)]
        high = [w * n for w, n in zip(self._weights, upper, strict=True)]
        vacuum = min(max(self._tau0 * (b * low[2] - c * high[1]) / (b - c), 0.0), total)
        if not self.bounds_singles:
            return vacuum, 0.0
        back = self._given_back * (vacuum if self._given_back > 0 else total)
        single = self._tau1 * (low[1] - high[2] - self._signals * high[0] + back) / self._single
        return vacuum, max(single, 0.0)

    def single_errors(self, lower: Triple, upper: Triple) -> float:
        """Return an upper bound on the errors of single-photon pulses, from limits of the errors; may be negative."""
        _, b, c = self._intensities
        return self._tau1_largest * (self._weights[1] * upper[1] - self._weights[2] * lower[2]) / (b - c)
