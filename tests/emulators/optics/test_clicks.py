"""When detectors click: gaps, dead time and afterpulses, against plain loops over the same draws."""

from __future__ import annotations

import numpy as np
import pytest

from tokaido.emulators.optics import _clicks
from tokaido.emulators.optics._clicks import Clicks, DetectorPair, geometric_hits, live_clicks
from tokaido.emulators.optics._labels import LabelSampler


def test_gaps_between_hits_are_geometric() -> None:
    p = 0.003
    hits = geometric_hits(np.random.default_rng(1), p, 100_000_000)
    gaps = np.sort(np.diff(hits))
    assert gaps[0] == 1
    grid = np.arange(1, 5000)
    empirical = np.searchsorted(gaps, grid, side="right") / gaps.size
    distance = np.abs(empirical - (1 - (1 - p) ** grid)).max()
    assert distance * gaps.size**0.5 < 1.63  # Kolmogorov-Smirnov, 1 %


def test_number_of_hits_is_binomial_and_they_fill_the_range() -> None:
    rng = np.random.default_rng(2)
    counts = [geometric_hits(rng, 0.2, 500).size for _ in range(4000)]
    assert np.mean(counts) == pytest.approx(100, abs=4 * (80 / 4000) ** 0.5)
    assert np.var(counts) == pytest.approx(80, rel=0.1)
    last = np.concatenate([geometric_hits(rng, 0.2, 500) for _ in range(4000)])
    assert (last.min(), last.max()) == (0, 499)


@pytest.mark.parametrize(("p", "trials", "hits"), [(0.0, 100, 0), (1.0, 7, 7), (0.5, 0, 0), (1e-18, 1000, 0)])
def test_hits_at_the_edges(p: float, trials: int, hits: int) -> None:
    assert geometric_hits(np.random.default_rng(3), p, trials).size == hits


def loop_over_clicks(slots: list[int], dead: int) -> list[bool]:
    last, result = -(10**9), []
    for slot in slots:
        result.append(slot - last > dead)
        last = slot if result[-1] else last
    return result


@pytest.mark.parametrize("dead", [0, 1, 3, 10, 1000])
@pytest.mark.parametrize("p", [0.01, 0.3, 0.9])
def test_dead_time_agrees_with_a_loop(dead: int, p: float) -> None:
    slots = geometric_hits(np.random.default_rng(4), p, 3000)
    slots = np.sort(np.concatenate([slots, slots[::7]]))  # some gates twice
    assert live_clicks(slots, dead).tolist() == loop_over_clicks(slots.tolist(), dead)


class Transparent(DetectorPair):
    """Remembers what it drew."""

    def _afterpulses(self, primaries: _clicks.Slots, stop: int) -> _clicks._PossibleAfterpulses:
        self.drawn = super()._afterpulses(primaries, stop)
        return self.drawn


@pytest.mark.parametrize(
    ("p", "dead", "p_ap", "decay"),
    [(0.005, 10, 0.05, 50.0), (0.05, 0, 0.5, 4.0), (0.05, 7, 0.8, 3.0), (0.2, 30, 0.4, 1.0), (0.01, 2, 0.0, 5.0)],
)
def test_afterpulses_and_dead_time_agree_with_a_loop(p: float, dead: int, p_ap: float, decay: float) -> None:
    """Any rate, afterpulses of afterpulses, stretches that end within dead times: the same clicks as one by one."""
    rng = np.random.default_rng(5)
    detectors = Transparent(dead, p_ap, decay, rng)
    last, pending = -(10**9), np.empty(0, np.int64)
    afterpulses = coincidences = 0
    for start in range(0, 40_000, 997):
        stop = start + 997
        primaries = geometric_hits(rng, p, 997) + start
        clicks = detectors.register(primaries, stop)
        drawn = detectors.drawn
        assert np.array_equal(np.sort(drawn.slots[drawn.parents < 0]), pending[pending < stop])
        number = primaries.size
        candidates = [(slot, 0, i, -1) for i, slot in enumerate(primaries.tolist())]
        extra = zip(drawn.slots.tolist(), drawn.parents.tolist(), strict=True)
        candidates += [(slot, 1, number + i, parent) for i, (slot, parent) in enumerate(extra)]
        registered: dict[int, tuple[int, bool]] = {}
        coincident: set[int] = set()
        for slot, is_afterpulse, own, parent in sorted(candidates):
            if is_afterpulse and parent >= 0 and parent not in registered:
                continue
            if slot - last > dead:
                registered[own] = (slot, bool(is_afterpulse))
                last = slot
            elif is_afterpulse and slot == last:
                coincident.add(slot)
        assert clicks.slots.tolist() == [slot for slot, _ in registered.values()]
        assert clicks.afterpulses.tolist() == [i for i, (_, flag) in enumerate(registered.values()) if flag]
        assert set(clicks.slots[clicks.coincident].tolist()) == coincident
        numbers = [number for number, (_, flag) in registered.items() if flag]
        causes = [drawn.parents[number - primaries.size] for number in numbers]
        expected = [registered[cause][0] if cause >= 0 else None for cause in causes]
        assert [int(clicks.slots[cause]) if cause >= 0 else None for cause in clicks.causes] == expected
        check_detectors(detectors, clicks, rng)
        kept = [
            slot
            for slot, parent in zip(drawn.late_slots.tolist(), drawn.late_parents.tolist(), strict=True)
            if parent < 0 or parent in registered
        ]
        pending = np.sort(np.array(kept, np.int64))
        afterpulses += int(clicks.afterpulses.size)
        coincidences += len(coincident)
    if p_ap == 0.5:
        assert coincidences > 20
    assert (afterpulses > 0) == (p_ap > 0)


def check_detectors(detectors: DetectorPair, clicks: Clicks, rng: np.random.Generator) -> None:
    """Check which detectors the afterpulses of a stretch fire, those that are carried over included."""
    carried, stretch = detectors._pending_bits, clicks.slots.size
    received = rng.integers(0, 2, stretch, dtype=np.uint8)
    double = rng.random(stretch) < 0.1
    double[clicks.afterpulses] = False
    before, both = received.copy(), double.copy()
    detectors.fire(clicks, received, double)

    def fires(bit: int, cause: int) -> bool:
        return bool(bit == carried[-1 - cause] if cause < 0 else double[cause] or bit == received[cause])

    own = zip(clicks.afterpulses.tolist(), clicks.causes.tolist(), strict=True)
    assert all(double[click] or fires(int(received[click]), cause) for click, cause in own)
    coming = zip(detectors._pending_bits.tolist(), clicks.coming_causes.tolist(), strict=True)
    assert all(fires(bit, cause) for bit, cause in coming)
    untouched = np.ones(stretch, np.bool_)
    untouched[clicks.afterpulses] = untouched[clicks.coincident] = False
    assert np.array_equal(received[untouched], before[untouched])
    doubled = np.flatnonzero(double & ~both)
    assert set(doubled.tolist()) <= set(clicks.coincident.tolist())
    for click in set(clicks.coincident.tolist()) - set(np.flatnonzero(double).tolist()):
        met = clicks.coincident_causes[clicks.coincident == click].tolist()
        assert all(fires(int(received[click]), cause) for cause in met)


def test_labels_follow_their_probabilities_however_small() -> None:
    p = {3: 0.5, 17: 1e-4, 32: 0.3, 45: 0.0, 46: 3e-5, 7: 0.19987}
    n = 20_000_000
    drawn = np.bincount(LabelSampler(p).draw(n, np.random.default_rng(6)), minlength=256)
    assert drawn.sum() == n
    for label in range(256):
        expected = n * p.get(label, 0.0)
        assert abs(drawn[label] - expected) <= 4 * expected**0.5
