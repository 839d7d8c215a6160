"""Which detector an afterpulse fires: the one that clicked before it.

Two detectors serve both bases, and the receiver chooses the basis of a gate (so are all presets with afterpulses): a
detector stands for the bit of whichever basis is chosen. So the bit of an afterpulse is that of the click that caused
it, and has nothing to do with the bit that was sent in its own gate; it is wrong half of the time, as if it were drawn.
A receiver that chooses its basis by a beam splitter has detectors for each: there the basis would be the cause's too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ._clicks import Clicks

    Bits = NDArray[np.uint8]
    Mask = NDArray[np.bool_]


def fire(clicks: Clicks, received: Bits, double: Mask, carried: Bits, rng: np.random.Generator) -> Bits:
    """Give afterpulses their bits, mark gates in which they fired the other detector, and return the bits to come.

    `received` and `double`, of one element a click, are changed; `carried` are the bits of the afterpulses that were to
    come before this stretch. Where both detectors clicked, either causes the afterpulse. All whose causes are settled
    are settled at once: as many rounds as there are afterpulses of afterpulses in a row. How much is drawn from `rng`
    does not depend on the bits, which are secret: else later clicks would tell of them.
    """
    own, own_causes = clicks.afterpulses, clicks.causes
    joined, joined_causes = clicks.coincident, clicks.coincident_causes

    def bits_of(causes: NDArray[np.intp]) -> Bits:
        bits = np.empty(causes.size, np.uint8)
        here = causes >= 0
        bits[~here] = carried[-1 - causes[~here]]
        at = causes[here]
        bits[here] = np.where(double[at], rng.integers(0, 2, at.size, dtype=np.uint8), received[at])
        return bits

    while own.size or joined.size:
        open_bits = np.zeros(received.size, np.bool_)
        open_bits[own] = True
        unsettled = open_bits.copy()
        unsettled[joined] = True
        ready = (own_causes < 0) | ~unsettled[own_causes]
        meets = ((joined_causes < 0) | ~unsettled[joined_causes]) & ~open_bits[joined]
        received[own[ready]] = bits_of(own_causes[ready])
        others = bits_of(joined_causes[meets])
        drawn = rng.integers(0, 2, others.size, dtype=np.uint8)
        differs = others != received[joined[meets]]
        both = joined[meets][differs]
        double[both] = True
        received[both] = drawn[differs]
        own, own_causes = own[~ready], own_causes[~ready]
        joined, joined_causes = joined[~meets], joined_causes[~meets]
    return bits_of(clicks.coming_causes)
