"""Routes by how many keys a second they carry: the widest one, and the widest two that share no node."""

from __future__ import annotations

import datetime
import heapq
import math
from itertools import pairwise
from typing import TYPE_CHECKING, Final, TypeAlias, TypeVar

from tokaido.node.topology import (
    MOST_HOPS,
    NoDisjointRoutesError,
    Topology,
    TopologyLink,
    TopologyNode,
    disjoint_routes,
    route_pair,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from tokaido.node.topology import Cost

Edge: TypeAlias = tuple[str, str]
"""Two adjacent sites, that which sorts first first."""
Route: TypeAlias = tuple[str, ...]
Rates: TypeAlias = "Mapping[Edge, float]"
"""Keys a second that each edge can carry, over all its links."""
T = TypeVar("T")
_Place: TypeAlias = tuple[str, bool]
"""A site, and whether the way has gone through it and leaves it."""


def edge(one: str, other: str) -> Edge:
    """Return two sites in the order of their names."""
    return (one, other) if one < other else (other, one)


def edges(route: Route) -> tuple[Edge, ...]:
    """Return the edges of a route."""
    return tuple(edge(*hop) for hop in pairwise(route))


SAME: Final = 1 - 1e-9
"""Rates that differ by less are the same: the rest of a link's rate is a difference, and rounded."""


class Network:
    """The sites of a line and which of them are joined, for searches of routes.

    Routes keep to the rules of nodes (docs/reference/topology-file.md): at most 16 hops; among routes that serve, that
    of fewest hops, then that whose names sort first; of pairs, that of fewest hops in all.
    """

    def __init__(self, sites: Iterable[str], joined: Iterable[Edge]) -> None:
        nodes = {name: TopologyNode(name, "") for name in sites}
        links = {f"{one} {other}": TopologyLink(f"{one} {other}", (one, other)) for one, other in sorted(set(joined))}
        self._topology = Topology("plan", 1, datetime.datetime.fromtimestamp(0, datetime.UTC), None, nodes, links)
        self._beside = {name: self._topology.neighbours(name) for name in nodes}

    def widest(self, start: str, end: str, rates: Rates, enough: float = math.inf) -> tuple[float, Route] | None:
        """Return a route and its rate: one that carries `enough`, or else the widest; None if there is no route."""

        def found(rate: float) -> Route | None:
            return self._fewest_hops(start, end, rate, rates)

        return _narrowed(found, lambda: self._widest_rate(start, end, rates), enough, rates)

    def widest_pair(
        self, start: str, end: str, rates: Rates, enough: float = math.inf
    ) -> tuple[float, tuple[Route, Route]] | None:
        """Return two node-disjoint routes and the rate of the narrower one, chosen as by `widest`, or None."""

        def found(rate: float) -> tuple[Route, Route] | None:
            try:
                return disjoint_routes(self._topology, start, end, _at_least(rate, rates))
            except NoDisjointRoutesError:
                return None

        return _narrowed(found, lambda: self._widest_pair_rate(start, end, rates), enough, rates)

    def why_no_pair(self, start: str, end: str, rates: Rates) -> str:
        """Return why there are no two node-disjoint routes; empty: there are two."""
        return route_pair(self._topology, start, end, _at_least(0.0, rates)).why

    def _fewest_hops(self, start: str, end: str, rate: float, rates: Rates) -> Route | None:
        """Return the route of fewest hops that carries a rate, or None if there is none of at most 16 hops.

        It is `best_route` of a node where all hops cost the same. Sites are reached in the order of hops and names, so
        the first way to each is the one that sorts first.
        """
        least = rate * SAME
        before = {start: start}
        reached = [start]
        for _ in range(MOST_HOPS):
            later: list[str] = []
            for here in reached:
                for there in self._beside[here]:
                    if there in before:
                        continue
                    carried = rates.get((here, there) if here < there else (there, here), 0.0)
                    if carried >= least and carried > 0:
                        before[there] = here
                        later.append(there)
            if end in before:
                route = [end]
                while route[-1] != start:
                    route.append(before[route[-1]])
                return tuple(reversed(route))
            reached = later
        return None

    # --- how wide a way can be ----------------------------------------------------------------------------------------

    def _widest_rate(self, start: str, end: str, rates: Rates) -> float:
        """Return the rate of the widest way, of whatever length; 0.0 if there is none.

        Edges are put in from the widest on, until they join start and end.
        """
        above: dict[str, str] = {}

        def root(site: str) -> str:
            while site in above:
                up = above[site]
                if up in above:
                    above[site] = above[up]
                site = up
            return site

        for (one, other), rate in sorted(rates.items(), key=lambda item: -item[1]):
            if not rate > 0:
                break
            a, b = root(one), root(other)
            if a != b:
                above[a] = b
                if root(start) == root(end):
                    return rate
        return 0.0

    def _widest_pair_rate(self, start: str, end: str, rates: Rates) -> float:
        """Return the rate of the narrower of the widest two node-disjoint ways, of whatever length; 0.0 if none.

        A widest way comes first. Of the ways around it, which may go back along it, the widest decides (Ford and
        Fulkerson): whatever rate allows two ways allows them as the first way and one that goes around it.
        """

        def onwards(place: _Place) -> Iterable[tuple[float, _Place]]:
            for there in self._beside[place[0]]:
                yield rates.get(edge(place[0], there), 0.0), (there, True)

        first = _widest_way((start, True), (end, True), onwards)
        if first is None:
            return 0.0
        sites = [site for site, _ in first[1]]
        back = {there: here for here, there in pairwise(sites) if there != end}
        used = dict(pairwise(sites))

        def around(place: _Place) -> Iterable[tuple[float, _Place]]:
            site, leaving = place
            if not leaving:
                yield math.inf, (back[site], True) if site in back else (site, True)
                return
            if site in back:
                yield math.inf, (site, False)
            for there in self._beside[site]:
                if used.get(site) != there:
                    yield rates.get(edge(site, there), 0.0), (there, False)

        second = _widest_way((start, True), (end, False), around)
        return 0.0 if second is None else min(first[0], second[0])


def _narrowed(
    found: Callable[[float], T | None], widest: Callable[[], float], enough: float, rates: Rates
) -> tuple[float, T] | None:
    """Return what was found for as high a rate as possible, up to `enough`, and that rate.

    `widest` tells the highest rate of ways of whatever length. If all that are so wide take too many hops, lower ones
    are tried by halving what is left of the rates that edges have.
    """
    if math.isfinite(enough) and (way := found(enough)) is not None:
        return enough, way
    wanted = min(widest(), enough)
    if not wanted > 0:
        return None
    if (way := found(wanted)) is not None:
        return wanted, way
    steps = sorted({rate for rate in rates.values() if 0 < rate < wanted})
    best: tuple[float, T] | None = None
    low, high = 0, len(steps)
    while low < high:
        middle = (low + high) // 2
        if (way := found(steps[middle])) is None:
            high = middle
        else:
            best, low = (steps[middle], way), middle + 1
    return best


def _at_least(rate: float, rates: Rates) -> Cost:
    """Return what a hop costs: 1 where it carries so much, infinity elsewhere."""
    least = rate * SAME

    def cost(one: str, other: str) -> float:
        carried = rates.get((one, other) if one < other else (other, one), 0.0)
        return 1.0 if carried >= least and carried > 0 else math.inf

    return cost


def _widest_way(
    start: _Place, end: _Place, steps: Callable[[_Place], Iterable[tuple[float, _Place]]]
) -> tuple[float, list[_Place]] | None:
    """Return the widest way through places and its rate, or None if there is none."""
    width = {start: math.inf}
    before: dict[_Place, _Place] = {}
    done: set[_Place] = set()
    heap = [(-math.inf, start)]
    while heap:
        negative, here = heapq.heappop(heap)
        if here == end:
            way = [here]
            while way[-1] != start:
                way.append(before[way[-1]])
            return -negative, way[::-1]
        if here in done:
            continue
        done.add(here)
        for rate, there in steps(here):
            wide = min(-negative, rate)
            if wide > width.get(there, 0.0):
                width[there] = wide
                before[there] = here
                heapq.heappush(heap, (-wide, there))
    return None
