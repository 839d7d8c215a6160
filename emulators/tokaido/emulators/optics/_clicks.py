"""When detectors click: geometric gaps, then afterpulses and dead time settled causally without a loop over clicks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Slots = NDArray[np.int64]
Indices = NDArray[np.intp]
Mask = NDArray[np.bool_]


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
    blind. Each click points to the first candidate after its dead time; what can be reached from a candidate that
    nothing can blind is registered, found by pointer doubling.
    """
    registered = np.empty(slots.size, np.bool_)
    registered[:1] = True
    np.greater(np.diff(slots), dead_gates, out=registered[1:])
    if registered.all():
        return registered
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
    afterpulse: Mask
    """True where nothing but an afterpulse clicked."""
    coincident: Indices
    """Indices of clicks into whose gate an afterpulse fell as well."""


class DetectorPair:
    """Two gated detectors that die together: remembers the dead time and the afterpulses still to come.

    After each registered click, with `afterpulse_probability`, one more click follows `dead_gates` + 1 + floor(Exp(
    `afterpulse_gates`)) gates later, if the detectors are live then; it has afterpulses of its own.
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

    def register(self, primaries: Slots, stop: int) -> Clicks:
        """Return the clicks registered before slot `stop`, given all clicks that light and noise would make there.

        `primaries` rise, none twice, and go on from the `stop` of the call before.
        """
        possible = self._afterpulses(primaries, stop)
        merged = _Merged(primaries, possible.slots)
        parents = merged.places_of(possible.parents)
        disputed = self._disputed(merged, parents)
        index = np.flatnonzero(disputed)
        registered, ghosts = self._settle(merged, parents, disputed, index)
        keep = np.logical_not(disputed, out=disputed)
        keep[index] = registered

        slots = merged.slots[keep]
        afterpulse = merged.is_afterpulse[keep]
        coincident = np.searchsorted(slots, ghosts)
        inside = coincident < slots.size
        coincident = coincident[inside][slots[coincident[inside]] == ghosts[inside]]

        happened = np.ones(possible.late_slots.size, np.bool_)
        known = possible.late_parents >= 0
        happened[known] = keep[merged.places_of(possible.late_parents[known])]
        self._pending = np.sort(possible.late_slots[happened])
        if slots.size:
            self._last = int(slots[-1])
        return Clicks(slots, afterpulse, coincident)

    def _afterpulses(self, primaries: Slots, stop: int) -> _PossibleAfterpulses:
        """Draw every afterpulse that would follow if its parent were registered, and its own afterpulses in turn."""
        due = self._pending[self._pending < stop]
        late = self._pending[due.size :]
        slots, parents = [due], [np.full(due.size, -1, np.int64)]
        late_slots, late_parents = [late], [np.full(late.size, -1, np.int64)]
        generation, first = np.concatenate([primaries, due]), 0
        while generation.size:
            hits = geometric_hits(self._rng, self._afterpulse_probability, generation.size)
            delays = (self._rng.standard_exponential(hits.size) * self._afterpulse_gates).astype(np.int64)
            children = generation[hits] + delays + (self._dead_gates + 1)
            hits += first
            first += generation.size
            inside = children < stop
            generation = children[inside]
            slots.append(generation)
            parents.append(hits[inside])
            late_slots.append(children[~inside])
            late_parents.append(hits[~inside])
        return _PossibleAfterpulses(*map(np.concatenate, (slots, parents, late_slots, late_parents)))

    def _disputed(self, merged: _Merged, parents: Slots) -> Mask:
        """Return which candidates need a closer look: near to another one, or children of such."""
        slots = merged.slots
        disputed = np.zeros(slots.size, np.bool_)
        near = np.diff(slots) <= self._dead_gates
        disputed[1:] = near
        disputed[:-1] |= near
        if slots.size and self._last is not None and slots[0] - self._last <= self._dead_gates:
            disputed[0] = True
        has_parent = np.flatnonzero(parents >= 0)
        children, parents = merged.places[has_parent], parents[has_parent]
        while True:
            more = children[disputed[parents] & ~disputed[children]]
            if not more.size:
                return disputed
            disputed[more] = True

    def _settle(self, merged: _Merged, parents: Slots, disputed: Mask, index: Indices) -> tuple[Mask, Slots]:
        """Return which disputed candidates are registered, and slots of afterpulses that happened but were not.

        Whether a candidate blinds others depends on earlier ones only, and whether an afterpulse happens on its
        earlier parent: starting from "all happen", each round gets at least one more link of every such chain right,
        and what no longer changes is the one causal solution. Three or four rounds are usual.
        """
        # The last registered click of the stretch before comes first: it may blind, and is not blinded.
        last = self._last if self._last is not None else -self._dead_gates - 1
        slots = np.concatenate([np.array([last], np.int64), merged.slots[index]])
        tied = np.flatnonzero(parents >= 0)
        tied = tied[disputed[parents[tied]]]
        children = np.searchsorted(index, merged.places[tied]) + 1
        causes = np.searchsorted(index, parents[tied]) + 1
        happens = np.ones(slots.size, np.bool_)
        while True:
            where = np.flatnonzero(happens)
            registered = np.zeros(slots.size, np.bool_)
            registered[where] = live_clicks(slots[where], self._dead_gates)
            now = np.ones(slots.size, np.bool_)
            now[children] = registered[causes]
            if np.array_equal(now, happens):
                break
            happens = now
        ghosts = happens[1:] & ~registered[1:] & merged.is_afterpulse[index]
        return registered[1:], slots[1:][ghosts]


@dataclass(frozen=True, slots=True)
class _PossibleAfterpulses:
    """Afterpulses before and after the end of the stretch, each with the number of the click that would cause it.

    Numbers count the primaries first and the afterpulses of `slots` after them; -1 is a click known to be registered.
    """

    slots: Slots
    parents: Slots
    late_slots: Slots
    late_parents: Slots


class _Merged:
    """Primaries and afterpulses in order of time, primaries first in a gate that has both."""

    def __init__(self, primaries: Slots, afterpulses: Slots) -> None:
        order = np.argsort(afterpulses, kind="stable")
        self._primaries = primaries
        self._afterpulses = afterpulses[order]
        places = np.searchsorted(primaries, self._afterpulses, side="right") + np.arange(order.size)
        self.is_afterpulse = np.zeros(primaries.size + order.size, np.bool_)
        self.is_afterpulse[places] = True
        self.slots = np.empty(self.is_afterpulse.size, np.int64)
        self.slots[places] = self._afterpulses
        self.slots[~self.is_afterpulse] = primaries
        self.places = np.empty(order.size, np.int64)
        """Where each afterpulse stands, in the order given."""
        self.places[order] = places

    def places_of(self, numbers: Slots) -> Slots:
        """Return where candidates stand, numbered as in _PossibleAfterpulses; -1 stays -1."""
        result = numbers.copy()
        first = np.flatnonzero((numbers >= 0) & (numbers < self._primaries.size))
        result[first] += np.searchsorted(self._afterpulses, self._primaries[numbers[first]], side="left")
        rest = np.flatnonzero(numbers >= self._primaries.size)
        result[rest] = self.places[numbers[rest] - self._primaries.size]
        return result
