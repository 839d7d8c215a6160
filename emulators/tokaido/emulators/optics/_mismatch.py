"""What two detectors of unequal efficiency cost: the clicks that a virtual filter would keep.

Let the smaller efficiency over the larger be at least r in every mode of the light that an eavesdropper may choose (an
arrival time, a wavelength), the same in both bases. Take from the better detector of each mode, photon by photon, what
it has more: a click that a photon made is kept with a chance of at least r, one that noise made is kept always. That a
gate has a kept click then depends on the number of photons alone and not on the basis: the kept clicks are those of a
filter before an ideal receiver, to which proofs for equal detectors apply, and the other clicks are left to the
eavesdropper. Nobody needs to know which are which, for the key is the transmitter's bits. So s single photons count as
r s of them, and errors seen in the check basis are those of r times as many: the rate is r (1 - h(e / r)) - h(E).

Filter and ratio: Fung, Tamaki, Qi, Lo, Ma, Quantum Inf. Comput. 9 131 (2009), arXiv:0802.3788. The rate: Marøy,
Lydersen, Skaar, PRA 82 032337 (2010), arXiv:0903.3525. Photons one by one, for pulses of several photons at the
receiver, and the count of a finite block: own derivation within Lim 2014; Tupkary et al., arXiv:2408.17349, bound the
same by other means. It holds for two detectors that serve both bases, and for keys that the receiver corrects to the
transmitter's.
"""

from __future__ import annotations

import math


def least_kept(detections: float, ratio: float, failure: float) -> float:
    """Return how many of `detections` clicks are kept at least, each with a chance of `ratio` or more.

    Fewer are kept with a chance of at most `failure`: Chernoff, P(X <= k) <= exp(-n D(k/n || r)), with the relative
    entropy D. A ratio of 1 keeps all, without a deviation.
    """
    if ratio == 1:
        return detections
    n = math.floor(detections)
    wanted = -math.log(failure)
    if n * -math.log1p(-ratio) <= wanted:
        return 0.0
    low, high = 0.0, ratio
    while high - low > 1e-12 * high:
        middle = (low + high) / 2
        low, high = (middle, high) if n * _divergence(ratio, middle) < wanted else (low, middle)
    return n * (ratio - high)


def terms_of(ratio: float, terms: int) -> int:
    """Return into how many failure chances eps_sec is split: where the ratio is not 1, the bounds on kept clicks of
    either basis are two more, each counted twice as the other bounds of the estimate are (Lim 2014, appendix B)."""
    return terms if ratio == 1 else terms + 4


def check_detector_ratio(ratio: float) -> None:
    """Raise ValueError unless this is the ratio of two efficiencies, the smaller over the larger."""
    if not 0 < ratio <= 1:
        raise ValueError(
            f"detector_ratio = {ratio!r} is not possible: give the smaller efficiency over the larger, above 0 up to 1"
        )


def refuse_mismatch(ratio: float, method: str) -> None:
    """Raise ValueError if detectors differ and the analysis has no proof for that."""
    if ratio != 1:
        raise ValueError(
            f"method {method!r} has no proof for unequal detectors, and detector_ratio = {ratio!r}: choose 'lim', or 1"
        )


def _divergence(ratio: float, below: float) -> float:
    """Return D(r - d || r), without cancellation for small d."""
    kept = ratio - below
    first = kept * math.log1p(-below / ratio) if kept > 0 else 0.0
    return first + (1 - kept) * math.log1p(below / (1 - ratio))
