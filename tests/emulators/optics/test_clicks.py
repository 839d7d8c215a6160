"""When detectors click: gaps, dead time and afterpulses, against plain loops over the same draws."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from tokaido.emulators.optics import _clicks
from tokaido.emulators.optics._afterpulses import fire
from tokaido.emulators.optics._click_kernel import registered_clicks, settle, settle_crowd
from tokaido.emulators.optics._clicks import Clicks, DetectorPair, geometric_hits
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


# --- one by one -----------------------------------------------------------------------------------------------------


@dataclass
class OneByOne:
    """Clicks of a stretch, one after the other."""

    slots: list[int] = field(default_factory=list)
    alone: list[tuple[int, int]] = field(default_factory=list)
    """Clicks that only an afterpulse made, each with its cause; below 0 as in `Clicks`."""
    together: list[tuple[int, int]] = field(default_factory=list)
    """The same of afterpulses in gates that clicked anyway."""
    coming: list[tuple[int, int]] = field(default_factory=list)
    """Slots of afterpulses that are still to come, each with its cause."""


def one_by_one(
    waits: list[int], delays: dict[int, int], carried: list[int], *, dead: int, first: int, stop: int
) -> OneByOne:
    """Go from click to click: live gates without light and noise before each, delays of afterpulses by their cause."""
    told = OneByOne(coming=[(slot, -1 - number) for number, slot in enumerate(carried)])
    live = first
    for click, wait in enumerate(waits):
        own = live + wait
        slot = min([own, *(due for due, _ in told.coming)])
        if slot >= stop:
            return told
        fired = [(click, cause) for due, cause in told.coming if due == slot]
        if own != slot:
            told.alone.append(fired.pop(0))
        told.together += fired
        told.slots.append(slot)
        live = slot + dead + 1
        told.coming = [(due, cause) for due, cause in told.coming if due >= live]
        if click in delays:
            told.coming.append((live + delays[click], click))
    assert not waits, "the clicks that were drawn end before the stretch"
    return told


LINKS = [
    (0.005, 10, 0.05, 50.0),
    (0.05, 0, 0.5, 4.0),
    (0.05, 7, 0.8, 3.0),
    (0.2, 30, 0.4, 1.0),
    (0.01, 2, 0.0, 5.0),
    (0.0, 2, 0.5, 5.0),
    (1.0, 3, 0.5, 5.0),
]


@pytest.mark.parametrize(("p", "dead", "p_ap", "decay"), LINKS)
def test_clicks_are_those_of_a_walk_from_one_to_the_next(
    p: float, dead: int, p_ap: float, decay: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Any rate, afterpulses of afterpulses, stretches that end within dead times: the same clicks as one by one."""
    rng = np.random.default_rng(5)
    detectors = DetectorPair(dead, p_ap, decay, rng)
    drawn: list[tuple[list[int], dict[int, int]]] = []

    def watched(draws: np.ndarray, scale: float, longest: float, *flat: Any) -> tuple[np.ndarray, ...]:
        waits = np.minimum(draws * scale, longest).astype(np.int64).tolist()
        own = zip(flat[0].tolist(), flat[1].tolist(), strict=True)
        drawn.append((waits, {parent: delay for parent, delay in own if parent >= 0}))
        return registered_clicks(draws, scale, longest, *flat)

    monkeypatch.setattr(_clicks, "registered_clicks", watched)
    if p == 0:  # something to begin with
        detectors._pending, detectors._pending_bits = np.array([40, 1200]), np.zeros(2, np.uint8)
    last, pending = -(10**9), detectors._pending
    lengths = itertools.cycle([997, 1, 3, 1500, 20])
    stop = afterpulses = coincidences = 0
    while stop < 60_000:
        start, stop = stop, stop + next(lengths)
        drawn.clear()
        clicks = detectors.register(p, start, stop)
        waits, delays = drawn[-1] if drawn else ([], {})
        expected = one_by_one(waits, delays, pending.tolist(), dead=dead, first=max(start, last + dead + 1), stop=stop)
        last = expected.slots[-1] if expected.slots else last
        assert clicks.slots.tolist() == expected.slots
        assert list(zip(clicks.afterpulses.tolist(), clicks.causes.tolist(), strict=True)) == expected.alone
        met = zip(clicks.coincident.tolist(), clicks.coincident_causes.tolist(), strict=True)
        assert sorted(met) == sorted(expected.together)
        pending = detectors._pending
        coming = zip(pending.tolist(), clicks.coming_causes.tolist(), strict=True)
        assert sorted(coming) == sorted(expected.coming)
        check_detectors(detectors, clicks, rng)
        afterpulses += clicks.afterpulses.size
        coincidences += len(expected.together)
    if p_ap == 0.5 and p == 0.05:
        assert coincidences > 20
    assert (afterpulses > 0) == (p_ap > 0 and p < 1)


@pytest.mark.parametrize("seed", range(40))
def test_afterpulses_are_settled_all_at_once_as_they_are_click_by_click(seed: int) -> None:
    rng = np.random.default_rng(seed)
    dead, clicks = int(rng.integers(0, 5)), int(rng.integers(1, 400))
    waits = rng.geometric(rng.choice([0.02, 0.2, 0.7]), clicks) - 1
    carried = np.full(rng.integers(0, 4), -1, np.int64)
    parents = np.concatenate([carried, np.flatnonzero(rng.random(clicks) < rng.choice([0.05, 0.3, 0.9]))])
    delays = rng.geometric(rng.choice([0.02, 0.2]), parents.size) - 1
    ends, lefts = settle(waits, parents, delays, dead)
    by_click = np.empty_like(ends), np.empty_like(lefts)
    number = 0
    while number < parents.size:
        number = settle_crowd(waits, parents, delays, dead, number, *by_click)
    assert np.array_equal(ends, by_click[0])
    assert np.array_equal(lefts, by_click[1])


@pytest.mark.parametrize(
    ("p", "dead", "p_ap", "decay"), [(0.05, 3, 0.4, 6.0), (0.02, 0, 0.2, 20.0), (0.3, 5, 0.5, 4.0)]
)
def test_gaps_are_those_of_detectors_that_are_asked_gate_by_gate(
    p: float, dead: int, p_ap: float, decay: float
) -> None:
    """Chi-square of two samples of gaps, and the numbers of clicks and of afterpulses in gates that clicked anyway."""
    gates = 400_000
    slots, met = gate_by_gate(p, dead, p_ap, decay, gates=gates, rng=np.random.default_rng(8))
    detectors = DetectorPair(dead, p_ap, decay, np.random.default_rng(9))
    parts = [detectors.register(p, start, start + 20_000) for start in range(0, gates, 20_000)]
    gaps = [np.diff(slots), np.diff(np.concatenate([part.slots for part in parts]))]
    coincident = sum(np.unique(part.coincident).size for part in parts)
    assert abs(coincident - met) < 4 * (coincident + met) ** 0.5
    edges = np.unique(np.quantile(np.concatenate(gaps), np.linspace(0, 1, 60)))
    edges[-1] += 1
    one, other = (np.histogram(each, edges)[0].astype(float) for each in gaps)
    share = one.sum() / (one.sum() + other.sum())
    chi_square = float(((one * (1 - share) - other * share) ** 2 / ((one + other) * share * (1 - share))).sum())
    freedom = edges.size - 2
    assert abs(chi_square - freedom) < 4 * (2 * freedom) ** 0.5
    assert abs(one.sum() - other.sum()) < 4 * ((one.sum() + other.sum()) * (1 + p_ap) / (1 - p_ap)) ** 0.5


def gate_by_gate(
    p: float, dead: int, p_ap: float, decay: float, *, gates: int, rng: np.random.Generator
) -> tuple[np.ndarray, int]:
    """Return slots of clicks, and how many gates clicked by themselves in which an afterpulse fell as well, or two."""
    light = rng.random(gates) < p
    due: dict[int, int] = {}
    slots: list[int] = []
    met, last = 0, -dead - 1
    for gate in range(gates):
        afterpulses = due.pop(gate, 0)
        if gate - last <= dead or not (light[gate] or afterpulses):
            continue
        met += bool(light[gate]) + afterpulses > 1
        slots.append(gate)
        last = gate
        if rng.random() < p_ap:
            later = gate + dead + 1 + int(rng.standard_exponential() * decay)
            due[later] = due.get(later, 0) + 1
    return np.array(slots), met


def test_more_afterpulses_may_wait_than_a_stretch_has_clicks() -> None:
    carried = np.array([1, 0, 1], np.uint8)
    none = np.empty(0, np.intp)
    clicks = Clicks(np.array([7]), np.array([0]), none, np.array([-3]), none, np.array([-1, -2]))
    received = np.array([0], np.uint8)
    coming = fire(clicks, received, np.array([False]), carried, np.random.default_rng(1))
    assert received.tolist() == [1]
    assert coming.tolist() == [1, 0]


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
