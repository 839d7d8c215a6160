"""Two node-disjoint routes of least total cost, by the algorithm of Suurballe (Networks 4, 125, 1974).

A cheapest path comes first. A second search may go back along it: hops that were gone in both directions fall out, and
what is left are two disjoint paths. Costs are reduced by the distance from the start, which keeps them from becoming
negative where the first path is gone back (Suurballe and Tarjan, Networks 14, 325, 1984).
"""

from __future__ import annotations

import heapq
import math
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, TypeAlias

from tokaido.hal import TokaidoError
from tokaido.node.topology._routes import (
    MOST_HOPS,
    Cost,
    Found,
    Path,
    ends_of,
    named,
    on_every_path,
    usable_arcs,
)

if TYPE_CHECKING:
    from tokaido.node.topology._routes import Arcs
    from tokaido.node.topology._topology import Topology

Place: TypeAlias = tuple[int, bool]
"""A node, and whether the path has gone through it and leaves it."""


class NoDisjointRoutesError(TokaidoError, LookupError):
    """Two nodes are not joined by two node-disjoint routes."""

    def __init__(self, what: str, *, start: str, end: str, cut_nodes: tuple[str, ...] = (), remedy: str = "") -> None:
        super().__init__(what, remedy=remedy)
        self.start = start
        self.end = end
        self.cut_nodes = cut_nodes
        """Nodes that every route passes, from start to end; none if something else is the reason."""


@dataclass(frozen=True, slots=True)
class RoutePair:
    """Two node-disjoint routes, or why there are none."""

    routes: tuple[tuple[str, ...], ...]
    """Two, the better one first; or none."""
    cut_nodes: tuple[str, ...] = ()
    """Nodes that every route passes, where there are none."""
    why: str = ""
    """Why there are none; empty: there are two."""


def route_pair(topology: Topology, start: str, end: str, cost: Cost) -> RoutePair:
    """Return what `disjoint_routes` finds, or why it finds nothing.

    Raises:
        ConfigurationError: There is no such node, or start and end are the same.
        RangeError: A cost is out of range.
    """
    try:
        return RoutePair(disjoint_routes(topology, start, end, cost))
    except NoDisjointRoutesError as error:
        return RoutePair((), error.cut_nodes, error.what)


def disjoint_routes(
    topology: Topology, start: str, end: str, cost: Cost, *, most_hops: int = MOST_HOPS
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return two routes that share no node but start and end, with the least total cost; the better one comes first.

    Adjacent nodes have the direct route once, over however many links. The pair of least cost is returned if both
    routes are within the limit of hops. Otherwise the pair of fewest hops is tried; those in between are not looked at.

    Args:
        topology: The network.
        start: Name of a node.
        end: Name of another node.
        cost: Called with adjacent nodes, in the direction of travel.
        most_hops: 1 to 16.

    Raises:
        NoDisjointRoutesError: No such pair was found; it names the nodes that every route passes.
        ConfigurationError: There is no such node, or start and end are the same.
        RangeError: A cost or the limit is out of range.
    """
    first, last = ends_of(topology, start, end, most_hops)
    arcs = usable_arcs(topology, cost)
    pair = _cheapest_pair(arcs, first, last)
    if pair is None:
        raise _refusal(topology, arcs, start, end)
    if any(len(path) - 1 > most_hops for path in pair):
        hops = [dict.fromkeys(beside, 1.0) for beside in arcs]
        pair = _cheapest_pair(hops, first, last) or pair
    longest = max(len(path) - 1 for path in pair)
    if longest > most_hops:
        raise NoDisjointRoutesError(
            f"no two node-disjoint routes from {start} to {end} of at most {most_hops} hops were found: of the "
            f"shortest two, one has {longest}",
            start=start,
            end=end,
            remedy="Ask for keys of one route, or add links that make the way shorter",
        )
    better, other = sorted(_judged(arcs, path) for path in pair)
    return named(topology, better[2]), named(topology, other[2])


def _refusal(topology: Topology, arcs: Arcs, start: str, end: str) -> NoDisjointRoutesError:
    numbers = topology.adjacency.numbers
    cut = named(topology, on_every_path(arcs, numbers[start], numbers[end]))
    if cut:
        why = f"every route passes {', '.join(cut)}"
        remedy = f"Ask for keys of one route, or add links around {', '.join(cut)}"
    elif numbers[end] in arcs[numbers[start]]:
        links = topology.links_between(start, end)
        only = f"link {links[0]} between them is" if len(links) == 1 else f"links {', '.join(links)} between them are"
        why = f"{only} the only way"
        remedy = "Ask for keys of one route, or add a way through other nodes"
    else:
        why, remedy = "there is no route at all", "Wait for links to come back, or add some"
    what = f"there are no two node-disjoint routes from {start} to {end}: {why}"
    return NoDisjointRoutesError(what, start=start, end=end, cut_nodes=cut, remedy=remedy)


def _judged(arcs: Arcs, path: Path) -> Found:
    cost = 0.0
    for here, there in pairwise(path):
        cost += arcs[here][there]
    return cost, len(path) - 1, path


def _cheapest_pair(arcs: Arcs, start: int, end: int) -> tuple[Path, Path] | None:
    """Return two disjoint paths of least total cost, of whatever length."""
    found = _first_path(arcs, start, end)
    if found is None:
        return None
    first, distance = found
    second = _second_path(arcs, first, distance)
    if second is None:
        return None
    after: dict[int, list[int]] = {}
    for here, there in pairwise(first):
        after.setdefault(here, []).append(there)
    for (here, leaving), (there, _) in pairwise(second):
        if leaving and here != there:
            after.setdefault(here, []).append(there)
        elif here != there:
            after[there].remove(here)
    paths: list[Path] = []
    for there in after[start]:
        path = [start, there]
        while path[-1] != end:
            path.append(after[path[-1]][0])
        paths.append(tuple(path))
    return paths[0], paths[1]


def _first_path(arcs: Arcs, start: int, end: int) -> tuple[Path, list[float]] | None:
    """Return a path of least cost, and how far each node is from the start: at most as far as the end."""
    distance = [math.inf] * len(arcs)
    distance[start] = 0.0
    before: dict[int, int] = {}
    done: set[int] = set()
    heap = [(0.0, start)]
    while heap:
        far, here = heapq.heappop(heap)
        if here in done:
            continue
        if here == end:
            path = [end]
            while path[-1] != start:
                path.append(before[path[-1]])
            return tuple(reversed(path)), [min(one, far) for one in distance]
        done.add(here)
        for there, price in arcs[here].items():
            if far + price < distance[there]:
                distance[there] = far + price
                before[there] = here
                heapq.heappush(heap, (far + price, there))
    return None


def _second_path(arcs: Arcs, first: Path, distance: list[float]) -> list[Place] | None:
    """Return the cheapest way from start to end that uses nodes of the first path only to go back along it.

    Each node is two places, entered and left, and one path alone can lead from one to the other. A step from a node
    that was entered to the one before it on the first path takes that hop out of the first path.
    """
    start, end = first[0], first[-1]
    back = {there: here for here, there in pairwise(first) if there != end}
    used = dict(pairwise(first))
    begin, aim = 2 * start + 1, 2 * end  # a place by one number: twice the node, and 1 more where it is left
    so_far = [math.inf] * (2 * len(arcs))
    so_far[begin] = 0.0
    before: dict[int, int] = {}
    done = bytearray(2 * len(arcs))
    heap: list[tuple[float, int]] = [(0.0, begin)]
    while heap:
        spent, here = heapq.heappop(heap)
        if here == aim:
            path = [here]
            while path[-1] != begin:
                path.append(before[path[-1]])
            return [(place >> 1, bool(place & 1)) for place in reversed(path)]
        if done[here]:
            continue
        done[here] = 1
        node = here >> 1
        if not here & 1:
            there = 2 * back.get(node, node) + 1
            if spent < so_far[there]:
                so_far[there] = spent
                before[there] = here
                heapq.heappush(heap, (spent, there))
            continue
        if node in back and spent < so_far[here - 1]:
            so_far[here - 1] = spent
            before[here - 1] = here
            heapq.heappush(heap, (spent, here - 1))
        gone, near = used.get(node), distance[node]
        for other, price in arcs[node].items():
            if other != gone:
                far, there = spent + max(0.0, price + near - distance[other]), 2 * other
                if far < so_far[there]:
                    so_far[there] = far
                    before[there] = here
                    heapq.heappush(heap, (far, there))
    return None
