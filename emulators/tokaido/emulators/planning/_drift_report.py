"""What days of drift come to: for every link, and for every demand over its routes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from tokaido.emulators.optics import CELL_S, STEP_S
from tokaido.emulators.planning._routes import edge, edges
from tokaido.emulators.planning._spans import RELAY_BITS
from tokaido.emulators.planning._sweep import chunks_of, in_process, swept_links

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from tokaido.emulators.optics import DriftSettings
    from tokaido.emulators.planning._demands import DemandPlan
    from tokaido.emulators.planning._plan import LinePlan
    from tokaido.emulators.planning._routes import Edge
    from tokaido.emulators.planning._sweep import SpanResult, Worker

    Floats = NDArray[np.float64]
    Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Spread:
    """A rate over days of drift."""

    mean: float
    p5: float
    """5 % of the time it is less."""
    p50: float
    p95: float
    without_key: float
    """Share of the time without key."""
    longest_s: float
    """Longest time without key."""


@dataclass(frozen=True, slots=True)
class LinkDrift:
    """One link over days of drift."""

    name: str
    fibre: str
    """Of the path in use."""
    secret_bps: Spread
    largest_qber: float | None
    """Of the key basis, a mean over a cell; None: its fibre is dead."""
    realignments_per_day: float


@dataclass(frozen=True, slots=True)
class DemandDrift:
    """One demand over days of drift."""

    plan: DemandPlan
    keys_per_s: Spread
    """Keys of 256 bits a second that its routes can carry besides what the demands before it take."""
    stock_s: float | None
    """So many seconds of the wanted rate must be in stock at both ends for it never to go short; None: it wants more
    than comes in the mean."""


@dataclass(frozen=True, slots=True)
class LineDrift:
    """Days of drift on a line. `sweep_drift` makes it."""

    days: int
    seed: int
    links: tuple[LinkDrift, ...]
    demands: tuple[DemandDrift, ...]


@dataclass(frozen=True, slots=True, eq=False)
class _Life:
    """Days of something that carries keys."""

    rate: Floats
    """Of each cell, shape (cells of all days,)."""
    keyed: Flags
    """Whether there is key, step by step, shape (steps of all days,)."""

    def spread(self) -> Spread:
        """Return its statistics."""
        p5, p50, p95 = np.percentile(self.rate, (5, 50, 95)).tolist()
        return Spread(
            float(self.rate.mean()), p5, p50, p95, float(1 - self.keyed.mean()), longest(~self.keyed) * STEP_S
        )


def sweep_drift(
    plan: LinePlan, days: int, *, seed: int = 1, drift: DriftSettings | None = None, worker: Worker = in_process
) -> LineDrift:
    """Return what so many days of drift make of a plan. The same seed gives the same with any worker.

    Args:
        plan: Of the line. Links take their path in use, and demands the routes that they are granted.
        days: How many, from a midnight on.
        seed: Decides the drift.
        drift: How every link drifts; default: as the file says of its fibre.
        worker: Who works the link-days off.

    Raises:
        RangeError: There are no days.
        TokaidoError: What the worker raises.
    """
    chunks = chunks_of(swept_links(plan, seed, drift), days)
    found: dict[str, list[SpanResult]] = {}
    for chunk, results in zip(chunks, worker(chunks), strict=True):
        for span, result in zip(chunk, results, strict=True):
            found.setdefault(span.link.name, []).append(result)
    lives = {name: _life(results) for name, results in found.items()}
    dead = _dead(days)
    links = tuple(
        LinkDrift(
            name,
            link.path.fibre,
            lives.get(name, dead).spread(),
            max((float(result.qber.max()) for result in found.get(name, ())), default=None),
            sum(int(result.realignments.sum()) for result in found.get(name, ())) / days,
        )
        for name, link in plan.links.items()
    )
    return LineDrift(days, seed, links, tuple(_demands(plan, lives, dead)))


def _life(results: Sequence[SpanResult]) -> _Life:
    keyed = np.concatenate([np.unpackbits(result.keyed, axis=1) for result in results]).astype(bool)
    secret_bps = np.concatenate([result.secret_bps for result in results])
    return _Life((secret_bps * _shares(keyed, secret_bps.shape[1])).ravel(), keyed.ravel())


def _dead(days: int) -> _Life:
    """Return days without key."""
    return _Life(np.zeros(round(days * 86_400 / CELL_S)), np.zeros(round(days * 86_400 / STEP_S), bool))


def _shares(keyed: Flags, cells: int) -> Floats:
    """Return the share of the steps of each cell with key; cells are along the last axis."""
    shares: Floats = keyed.reshape(*keyed.shape[:-1], cells, -1).mean(axis=-1)
    return shares


def _demands(plan: LinePlan, lives: Mapping[str, _Life], dead: _Life) -> list[DemandDrift]:
    """Return the demands in their order: each takes what it wants of what those before it left, on its own routes."""
    left: dict[Edge, Floats] = {}
    keyed: dict[Edge, Flags] = {}
    for name, link in plan.links.items():
        pair, life = edge(*link.link.ends), lives.get(name, dead)
        left[pair] = left.get(pair, 0.0) + life.rate / RELAY_BITS
        keyed[pair] = keyed.get(pair, dead.keyed) | life.keyed
    found: list[DemandDrift] = []
    for one in plan.demands:
        hops = [hop for route in one.granted.routes for hop in edges(route)]
        if not hops:
            found.append(DemandDrift(one, dead.spread(), None))
            continue
        rate = np.min([left[hop] for hop in hops], axis=0)
        all_keyed = np.logical_and.reduce([keyed[hop] for hop in hops]) & np.repeat(
            rate > 0, len(dead.keyed) // len(rate)
        )
        life = _Life(rate, all_keyed)
        found.append(DemandDrift(one, life.spread(), _stock_s(life, one.demand.rate)))
        for hop in hops:
            rest = left[hop] - np.minimum(rate, one.demand.rate)
            left[hop] = np.where(rest < 1e-9 * left[hop], 0.0, rest)
    return found


def _stock_s(life: _Life, wanted: float) -> float | None:
    """Return the least stock that never runs out, in s of the wanted rate: what the worst time takes out of it."""
    if life.rate.mean() < wanted * (1 - 1e-9):
        return None
    shares = _shares(life.keyed, len(life.rate))
    while_keyed = np.divide(life.rate, shares, out=np.zeros_like(life.rate), where=shares > 0)
    comes = np.repeat(while_keyed, len(life.keyed) // len(life.rate)) * life.keyed
    taken = np.concatenate(([0.0], np.cumsum((wanted - comes) * STEP_S)))
    return float((taken - np.minimum.accumulate(taken)).max() / wanted)


def longest(flags: Flags) -> int:
    """Return the length of the longest run of flags that are set."""
    turns = np.flatnonzero(np.diff(flags.astype(np.int8), prepend=0, append=0))
    return int((turns[1::2] - turns[::2]).max(initial=0))
