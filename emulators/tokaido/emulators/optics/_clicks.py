"""When detectors click: geometric gaps, then afterpulses and dead time settled causally without a loop over clicks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ._afterpulses import fire

Slots = NDArray[np.int64]
Indices = NDArray[np.intp]
Mask = NDArray[np.bool_]
Bits = NDArray[np.uint8]

_LARGE: Final = 1e15
"""A thousandth of the largest int64: no exponential draw in double precision comes near to 1000."""
_ROUNDS: Final = 6


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


def live_clicks(slots: Slots, dead_gates: int) -> Mask:
    """Return which candidate clicks are registered when each registered click blinds the next `dead_gates` gates.

    `slots` rise, equal ones allowed (only the first counts). Non-paralysable: a click that is not registered does not
    blind. A candidate that is far from the one before is registered; from each of those that have others near, it goes
    on to the first candidate after its dead time, and so on, all at once. Where that takes long, as in a crowd,
    pointer doubling ends it: what can be reached from a candidate that nothing can blind is registered.
    """
    registered = np.empty(slots.size, np.bool_)
    registered[:1] = True
    np.greater(slots[1:] - slots[:-1], dead_gates, out=registered[1:])
    crowded = np.flatnonzero(registered[:-1] & ~registered[1:])
    following = crowded + 2  # the next one is too near
    for _ in range(_ROUNDS):
        inside = following < slots.size
        crowded, following = crowded[inside], following[inside]
        near = np.flatnonzero(slots[following] - slots[crowded] <= dead_gates)
        following[near] = np.searchsorted(slots, slots[crowded[near]] + dead_gates, side="right")
        following = following[following < slots.size]
        crowded = following[~registered[following]]
        if not crowded.size:
            return registered
        registered[crowded] = True
        following = crowded + 1
    following = np.append(np.searchsorted(slots, slots + dead_gates, side="right"), slots.size)
    reached = np.append(registered, True)
    while True:
        targets = following[np.flatnonzero(reached)]
        if reached[targets].all():
            return reached[:-1]
        reached[targets] = True
        following = following[following]


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
    """The same of the afterpulses that are still to come, in order of time."""


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

    def register(self, primaries: Slots, stop: int, *, blinded: bool = False) -> Clicks:
        """Return the clicks registered before slot `stop`, given all clicks that light and noise would make there.

        `primaries` rise, none twice, and go on from the `stop` of the call before. Blind detectors have no afterpulses.
        Call `fire` before the next stretch: only the caller knows which detector each click was in.
        """
        if blinded:
            self._pending = self._pending[:0]
        possible = self._afterpulses(primaries if not blinded else primaries[:0], stop)
        candidates = _Candidates(primaries, possible)
        doubtful = candidates.doubtful(self._dead_gates, self._last)
        keep, ghosts = self._settle(candidates, doubtful)

        first = primaries.size
        slots = primaries[keep[:first]]
        kept = candidates.order[keep[first:][candidates.order]]
        extra = possible.slots[kept]
        places = np.searchsorted(slots, extra) + np.arange(extra.size)
        if places.size:
            merged = np.empty(slots.size + places.size, np.int64)
            primary = np.ones(merged.size, np.bool_)
            primary[places] = False
            merged[places] = extra
            merged[primary] = slots
            slots = merged
        missed = possible.slots[ghosts]
        coincident = np.searchsorted(slots, missed)
        inside = np.flatnonzero(coincident < slots.size)
        inside = inside[slots[coincident[inside]] == missed[inside]]

        happened = np.ones(possible.late_slots.size, np.bool_)
        known = possible.late_parents >= 0
        happened[known] = keep[possible.late_parents[known]]
        coming = np.flatnonzero(happened)
        coming = coming[np.argsort(possible.late_slots[coming], kind="stable")]
        self._pending = possible.late_slots[coming]
        if slots.size:
            self._last = int(slots[-1])
        return Clicks(
            slots,
            places,
            coincident[inside],
            causes=_found(possible.causes[kept], slots, places),
            coincident_causes=_found(possible.causes[ghosts[inside]], slots, coincident[inside]),
            coming_causes=_found(possible.late_causes[coming], slots, np.full(coming.size, slots.size)),
        )

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

    def _afterpulses(self, primaries: Slots, stop: int) -> _PossibleAfterpulses:
        """Draw every afterpulse that would follow if its parent were registered, and its own afterpulses in turn."""
        due = self._pending[self._pending < stop]
        late = self._pending[due.size :]
        slots, parents = [due], [np.full(due.size, -1, np.int64)]
        late_slots, late_parents = [late], [np.full(late.size, -1, np.int64)]
        before = -1 - np.arange(self._pending.size)
        causes, late_causes = [before[: due.size]], [before[due.size :]]
        generation, first = np.concatenate([primaries, due]), 0
        while generation.size:
            hits = geometric_hits(self._rng, self._afterpulse_probability, generation.size)
            delays = (self._rng.standard_exponential(hits.size) * self._afterpulse_gates).astype(np.int64)
            behind = generation[hits]
            children = behind + delays + (self._dead_gates + 1)
            hits += first
            first += generation.size
            inside = children < stop
            generation = children[inside]
            slots.append(generation)
            parents.append(hits[inside])
            causes.append(behind[inside])
            late_slots.append(children[~inside])
            late_parents.append(hits[~inside])
            late_causes.append(behind[~inside])
        columns = slots, parents, causes, late_slots, late_parents, late_causes
        return _PossibleAfterpulses(*map(np.concatenate, columns))

    def _settle(self, candidates: _Candidates, doubtful: Mask) -> tuple[Mask, Indices]:
        """Return which candidates are registered, and the numbers of afterpulses that happened but were not, counted
        from the first afterpulse.

        All that are not in doubt are. Whether a candidate blinds others depends on earlier ones only, and whether an
        afterpulse happens on its earlier parent: starting from "all happen", each round gets at least one more link of
        every such chain right, and what no longer changes is the one causal solution. Three or four rounds are usual.
        """
        numbers = np.flatnonzero(doubtful)
        slots = candidates.slots_of(numbers)
        order = np.argsort(slots, kind="stable")  # in a gate that has both, the primary comes first
        place = np.empty(order.size, np.int64)
        place[order] = np.arange(1, order.size + 1)
        # The last registered click of the stretch before comes first: it may blind, and is not blinded.
        last = self._last if self._last is not None else -self._dead_gates - 1
        slots = np.concatenate([np.array([last], np.int64), slots[order]])

        children = numbers[np.searchsorted(numbers, candidates.primaries) :]
        parents = candidates.parents[children - candidates.primaries]
        tied = np.flatnonzero(parents >= 0)
        tied = tied[doubtful[parents[tied]]]
        causes = place[np.searchsorted(numbers, parents[tied])]
        effects = place[order.size - children.size + tied]
        happens = np.ones(slots.size, np.bool_)
        registered = live_clicks(slots, self._dead_gates)
        while True:
            now = np.ones(slots.size, np.bool_)
            now[effects] = registered[causes]
            if np.array_equal(now, happens):
                break
            happens = now
            where = np.flatnonzero(happens)
            registered = np.zeros(slots.size, np.bool_)
            registered[where] = live_clicks(slots[where], self._dead_gates)
        keep = np.logical_not(doubtful)
        keep[numbers] = registered[place]
        missed = place[order.size - children.size :]
        ghosts = np.flatnonzero(happens[missed] & ~registered[missed])
        return keep, children[ghosts] - candidates.primaries


@dataclass(frozen=True, slots=True)
class _PossibleAfterpulses:
    """Afterpulses before and after the end of the stretch, each with the number of the click that would cause it.

    Numbers count the primaries first and the afterpulses of `slots` after them; -1 is a click known to be registered.
    """

    slots: Slots
    parents: Slots
    causes: Slots
    """Slots of the parents; -1 - k where it was one of an earlier stretch: see `Clicks`."""
    late_slots: Slots
    late_parents: Slots
    late_causes: Slots


def _found(causes: Slots, slots: Slots, before: Indices) -> Indices:
    """Return which of the registered clicks are in these slots, each before the click `before`; numbers below 0 stay.

    Most are the click before, and few are far: looking one by one is faster than a search.
    """
    found = before - 1
    far = np.flatnonzero(slots[found] != causes) if slots.size else np.arange(causes.size)
    for _ in range(_ROUNDS):
        if not far.size:
            return found
        known = causes[far] < 0
        found[far[known]] = causes[far[known]]
        far = far[~known]
        found[far] -= 1
        far = far[slots[found[far]] != causes[far]]
    found[far] = np.searchsorted(slots, causes[far])
    return found


class _Candidates:
    """Primaries and the afterpulses that are possible, by number: primaries first, afterpulses as they were drawn."""

    def __init__(self, primaries: Slots, possible: _PossibleAfterpulses) -> None:
        self.primaries = primaries.size
        """How many primaries there are."""
        self.parents = possible.parents
        """Number of the parent of each afterpulse."""
        self.order: Indices = np.argsort(possible.slots, kind="stable")
        """Which afterpulse comes first, which second, and so on."""
        self._primary_slots = primaries
        self._afterpulse_slots = possible.slots

    def slots_of(self, numbers: Indices) -> Slots:
        """Return the slots of candidates; their numbers rise."""
        split = int(np.searchsorted(numbers, self.primaries))
        afterpulses = self._afterpulse_slots[numbers[split:] - self.primaries]
        return np.concatenate([self._primary_slots[numbers[:split]], afterpulses])

    def doubtful(self, dead_gates: int, last: int | None) -> Mask:
        """Return which candidates need a closer look: near to another one, or children of such.

        `last` is the last click of the stretch before.
        """
        slots, afterpulses = self._primary_slots, self._afterpulse_slots[self.order]
        doubtful = np.zeros(slots.size + afterpulses.size, np.bool_)
        by_time = np.zeros(afterpulses.size, np.bool_)
        near = np.flatnonzero(slots[1:] - slots[:-1] <= dead_gates)
        doubtful[near] = doubtful[near + 1] = True
        near = np.flatnonzero(afterpulses[1:] - afterpulses[:-1] <= dead_gates)
        by_time[near] = by_time[near + 1] = True
        if slots.size and afterpulses.size:
            after = np.searchsorted(slots, afterpulses)
            for neighbour in (np.maximum(after - 1, 0), np.minimum(after, slots.size - 1)):
                near = np.flatnonzero(np.abs(afterpulses - slots[neighbour]) <= dead_gates)
                by_time[near] = doubtful[neighbour[near]] = True
        doubtful[slots.size + self.order[by_time]] = True
        if last is not None:
            if slots.size and slots[0] - last <= dead_gates:
                doubtful[0] = True
            if afterpulses.size and afterpulses[0] - last <= dead_gates:
                doubtful[slots.size + self.order[0]] = True
        children = np.flatnonzero(self.parents >= 0)
        parents = self.parents[children]
        children += slots.size
        while True:
            more = children[doubtful[parents] & ~doubtful[children]]
            if not more.size:
                return doubtful
            doubtful[more] = True
