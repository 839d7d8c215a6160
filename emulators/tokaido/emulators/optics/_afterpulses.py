"""Which detector an afterpulse fires: the one that clicked before it.

Two detectors serve both bases, and the receiver chooses the basis of a gate (so are all presets with afterpulses): a
detector stands for the bit of whichever basis is chosen. So the bit of an afterpulse is that of the click that caused
it, and has nothing to do with the bit that was sent in its own gate; it is wrong half of the time, as if it were drawn.
A receiver that chooses its basis by a beam splitter has detectors for each: there the basis would be the cause's too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tokaido.emulators import fast

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
    clicked, causes = (
        clicks.afterpulses,
        np.concatenate([clicks.causes, clicks.coincident_causes, clicks.coming_causes]),
    )
    drawn = rng.integers(0, 2, causes.size, dtype=np.uint8)  # which of two, if both clicked
    random = rng.integers(0, 2, clicks.coincident.size, dtype=np.uint8)  # bits of double clicks
    bits = np.empty(causes.size, np.uint8)
    earlier = causes < 0
    bits[earlier] = carried[-1 - causes[earlier]]
    places = np.concatenate([clicked, clicks.coincident])
    if fast.enabled(received.size):
        from . import _fast_clicks  # noqa: PLC0415 - compiles, so only when needed

        _fast_clicks.settle_bits(causes, places, clicked.size, received, double, bits, drawn, random)
        return bits[places.size :]
    found = np.maximum(causes, 0)
    own = np.arange(clicked.size)
    joined = np.arange(clicked.size, places.size)
    open_bits = np.zeros(received.size, np.bool_)
    open_bits[clicked] = True
    unsettled = open_bits.copy()
    unsettled[clicks.coincident] = True

    def settle(numbers: NDArray[np.intp]) -> None:
        """Take the bits of afterpulses whose causes are settled."""
        here = numbers[~earlier[numbers]]
        at = causes[here]
        bits[here] = received[at]
        either = np.flatnonzero(double[at])
        bits[here[either]] = drawn[here[either]]

    while own.size or joined.size:
        waits = unsettled[found[own]] & ~earlier[own]
        now, own = own[~waits], own[waits]
        settle(now)
        received[places[now]] = bits[now]
        open_bits[places[now]] = False
        if joined.size:
            waits = (unsettled[found[joined]] & ~earlier[joined]) | open_bits[places[joined]]
            met, joined = joined[~waits], joined[waits]
            settle(met)
            met = met[bits[met] != received[places[met]]]
            double[places[met]] = True
            received[places[met]] = random[met - clicked.size]
        unsettled[places[now]] = False
        unsettled[clicks.coincident] = open_bits[clicks.coincident]
        unsettled[places[joined]] = True
    settle(np.arange(places.size, causes.size))
    return bits[places.size :]
