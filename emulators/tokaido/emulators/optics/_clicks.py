"""When detectors click: gaps are drawn, then dead time and afterpulses settled without a loop over clicks."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ._afterpulses import fire
from ._click_kernel import ALONE, TOGETHER, registered_clicks

Slots = NDArray[np.int64]
Indices = NDArray[np.intp]
Mask = NDArray[np.bool_]
Bits = NDArray[np.uint8]

_LARGE: Final = 1e15
"""A thousandth of the largest int64: no exponential draw in double precision comes near to 1000."""


def geometric_hits(rng: np.random.Generator, probability: float, trials: int) -> Slots:
    """Return which of `trials` independent trials succeed, as rising int64 indices.

    Gaps between successes are geometric: 1 + floor(Exp(1) / -ln(1 - p)). Exact, at a cost per success only.
    """
    if trials <= 0 or probability <= 0:
        return np.empty(0, np.int64)
    if probability >= 1:
        return np.arange(trials, dtype=np.int64)
    scale = -1 / np.log1p(-probability)
    pieces: list[Slots] = []
    last = -1
    while last < trials:
        expected = (trials - 1 - last) * probability
        gaps = rng.standard_exponential(int(expected + 4 * expected**0.5) + 8)
        gaps *= scale
        if scale > _LARGE / gaps.size:
            np.minimum(gaps, float(trials), out=gaps)  # beyond the end is beyond the end; keeps the sum in range
        hits = gaps.astype(np.int64)
        hits += 1
        hits[0] += last
        np.cumsum(hits, out=hits)
        last = int(hits[-1])
        pieces.append(hits)
    hits = pieces[0] if len(pieces) == 1 else np.concatenate(pieces)
    return hits[: np.searchsorted(hits, trials)]


@dataclass(frozen=True, slots=True)
class Clicks:
    """Registered clicks of one stretch of gates."""

    slots: Slots
    """Slot numbers, rising, none twice."""
    afterpulses: Indices
    """Indices of clicks that nothing but an afterpulse made."""
    coincident: Indices
    """Indices of clicks into whose gate an afterpulse fell as well."""
    causes: Indices
    """Index of the click that caused each of `afterpulses`; below 0, -1 - k stands for a cause before this stretch,
    whose afterpulse was number k of those still to come."""
    coincident_causes: Indices
    """The same of the afterpulses that fell into the gates of `coincident`."""
    coming_causes: Indices
    """The same of the afterpulses that are still to come."""


class DetectorPair:
    """Two gated detectors that die together: remembers the dead time and the afterpulses still to come.

    After each registered click, with `afterpulse_probability`, one more click follows `dead_gates` + 1 + floor(Exp(
    `afterpulse_gates`)) gates later in the same detector, if it is live then; it has afterpulses of its own.
    """

    def __init__(
        self, dead_gates: int, afterpulse_probability: float, afterpulse_gates: float, rng: np.random.Generator
    ) -> None:
        self._dead_gates = dead_gates
        self._afterpulse_probability = afterpulse_probability
        self._afterpulse_gates = afterpulse_gates
        self._rng = rng
        self.reset()

    def reset(self) -> None:
        """Forget all earlier clicks."""
        self._last: int | None = None
        self._pending: Slots = np.empty(0, np.int64)
        self._pending_bits: Bits = np.empty(0, np.uint8)

    def register(self, click_probability: float, start: int, stop: int, *, blinded: bool = False) -> Clicks:
        """Draw the clicks registered in slots `start` to `stop` - 1.

        Light and noise click in each live gate with `click_probability`. `start` is the `stop` of the call before.
        Blind detectors have no afterpulses. Call `fire` before the next stretch: only the caller knows which detector
        each click was in.
        """
        rng, dead = self._rng, self._dead_gates
        chance = 0.0 if blinded else self._afterpulse_probability
        carried = self._pending[:0] if blinded else self._pending
        first = start if self._last is None else max(start, self._last + dead + 1)
        scale = _mean_wait(click_probability)
        draws = np.empty(0)
        slots, ends, outcomes = (
            np.empty(0, np.int64),
            np.zeros(carried.size, np.int64),
            np.zeros(carried.size, np.uint8),
        )
        parents, delays = np.full(carried.size, -1, np.int64), carried - first
        reached = first
        while reached < stop:
            size = _enough(click_probability, chance, dead, stop - reached)
            hits = geometric_hits(rng, chance, size)
            hits += draws.size
            parents = np.concatenate([parents, hits])
            delays = np.concatenate(
                [delays, (rng.standard_exponential(hits.size) * self._afterpulse_gates).astype(int)]
            )
            more = rng.standard_exponential(size) if click_probability > 0 else np.ones(size)
            draws = np.concatenate([draws, more]) if draws.size else more
            longest = float(stop - first) if scale > _LARGE / draws.size else math.inf
            slots, ends, outcomes = registered_clicks(draws, scale, longest, parents, delays, dead, first)
            reached = int(slots[-1])
        registered = int(np.searchsorted(slots, stop))
        slots = slots[:registered]
        if registered:
            self._last = int(slots[-1])

        causes = parents.copy()
        causes[: carried.size] = -1 - np.arange(carried.size)
        here = ends < registered
        alone = np.flatnonzero((outcomes == ALONE) & here)
        together = np.flatnonzero((outcomes == TOGETHER) & here)
        alone = alone[np.argsort(ends[alone], kind="stable")]
        second = np.flatnonzero(ends[alone[1:]] == ends[alone[:-1]]) + 1
        if second.size:  # two in one gate: one of them makes the click
            together = np.concatenate([together, alone[second]])
            alone = np.delete(alone, second)
        coming = np.flatnonzero(~here & (parents < registered))
        fresh = coming[np.searchsorted(coming, carried.size) :]
        pending = carried[coming[: coming.size - fresh.size]], slots[parents[fresh]] + (dead + 1) + delays[fresh]
        self._pending = np.concatenate(pending)
        return Clicks(slots, ends[alone], ends[together], causes[alone], causes[together], causes[coming])

    def fire(self, clicks: Clicks, received: Bits, double: Mask) -> None:
        """Let each afterpulse of the stretch that was registered last fire the detector that clicked before it.

        `received` is the bit of each click and `double` whether both detectors were in it, as light and noise have it.
        Both are changed: afterpulses get their bits, and gates in which an afterpulse fired the other detector become
        double clicks of a random bit.
        """
        if clicks.causes.size + clicks.coincident.size + clicks.coming_causes.size:
            self._pending_bits = fire(clicks, received, double, self._pending_bits, self._rng)
        else:
            self._pending_bits = self._pending_bits[:0]


def _mean_wait(probability: float) -> float:
    """Return by what an exponential draw of mean 1 is multiplied so that, rounded down, it is the number of gates
    before one that clicks: geometric, exactly."""
    if probability <= 0:
        return math.inf
    return -1 / math.log1p(-probability) if probability < 1 else 0.0


def _enough(probability: float, afterpulses: float, dead_gates: int, gates: int) -> int:
    """Return how many clicks so many gates will hardly ever exceed. It may: then more are drawn."""
    if probability <= 0:
        return 8
    followed = max(1 - afterpulses, 0.1)
    expected = min(gates / (dead_gates + followed / probability), float(gates))
    return int(expected + 4 * (expected * (2 - followed) / followed) ** 0.5) + 8
