"""Routes through a topology: the best one, alternatives in order, and the nodes that no route avoids.

Pure functions. A node is a number here, in the order of names, so that ties between paths go to names that sort first.
"""

from __future__ import annotations

import heapq
import math
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, TypeAlias

from tokaido.hal import ConfigurationError, RangeError

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from tokaido.node.topology._topology import Topology

Cost: TypeAlias = Callable[[str, str], float]
"""What a hop from one node to an adjacent one costs: 0 to 1e15; infinity: it cannot be used."""
Arcs: TypeAlias = "Sequence[dict[int, float]]"
"""For each node the nodes that it has a usable hop to, rising, with their costs."""
Path: TypeAlias = tuple[int, ...]
Found: TypeAlias = tuple[float, int, Path]
"""Cost, hops and nodes of a path: the one that sorts first is better."""

MOST_HOPS: Final = 16
"""Most hops of a route."""
MOST_ROUTES: Final = 4
MOST_COST: Final = 1e15


def best_route(
    topology: Topology, start: str, end: str, cost: Cost, *, most_hops: int = MOST_HOPS
) -> tuple[str, ...] | None:
    """Return the route of least cost from start to end, or None if there is none within the limit of hops.

    Among routes of equal cost it is the one of fewest hops, and among these the one whose names sort first.

    Args:
        topology: The network.
        start: Name of a node.
        end: Name of another node.
        cost: Called with adjacent nodes, in the direction of travel.
        most_hops: 1 to 16.

    Raises:
        ConfigurationError: There is no such node, or start and end are the same.
        RangeError: A cost or the limit is out of range.
    """
    first, last = ends_of(topology, start, end, most_hops)
    found = shortest(usable_arcs(topology, cost), ((first,), 0.0), last, (), most_hops)
    return None if found is None else named(topology, found[2])


def routes(
    topology: Topology, start: str, end: str, cost: Cost, most: int = MOST_ROUTES, *, most_hops: int = MOST_HOPS
) -> tuple[tuple[str, ...], ...]:
    """Return the best route and those that come after it, best first; fewer than `most` if there are no more.

    It is the algorithm of Yen (Management Science 17, 712, 1971), with a limit of hops and without loops.

    Args:
        topology: The network.
        start: Name of a node.
        end: Name of another node.
        cost: Called with adjacent nodes, in the direction of travel.
        most: 1 to 4.
        most_hops: 1 to 16.

    Raises:
        ConfigurationError: There is no such node, or start and end are the same.
        RangeError: `most`, a cost or the limit is out of range.
    """
    if not 1 <= most <= MOST_ROUTES:
        raise RangeError(f"1 to {MOST_ROUTES} routes can be asked for, not {most!r}")
    first, last = ends_of(topology, start, end, most_hops)
    arcs = usable_arcs(topology, cost)
    best = shortest(arcs, ((first,), 0.0), last, (), most_hops)
    found: list[Found] = []
    candidates = [] if best is None else [best]
    while candidates and len(found) < most:
        found.append(heapq.heappop(candidates))
        path, spent = found[-1][2], 0.0
        for at in range(len(path) - 1):
            root = path[: at + 1]
            taken = {other[at + 1] for _, _, other in found if other[: at + 1] == root}
            other = shortest(arcs, (root, spent), last, taken, most_hops)
            if other is not None and other not in candidates:
                heapq.heappush(candidates, other)
            spent += arcs[path[at]][path[at + 1]]
    return tuple(named(topology, path) for _, _, path in found)


def cut_nodes(topology: Topology, start: str, end: str, cost: Cost | None = None) -> tuple[str, ...]:
    """Return the nodes that are on every route from start to end, of whatever length, in the order in which they come.

    Start and end are not among them. None are returned where there is no route at all.

    Args:
        topology: The network.
        start: Name of a node.
        end: Name of another node.
        cost: Only hops of finite cost are looked at. Default: all.

    Raises:
        ConfigurationError: There is no such node, or start and end are the same.
        RangeError: A cost is out of range.
    """
    first, last = ends_of(topology, start, end)
    return named(topology, on_every_path(usable_arcs(topology, cost or (lambda _one, _other: 1.0)), first, last))


def ends_of(topology: Topology, start: str, end: str, most_hops: int = MOST_HOPS) -> tuple[int, int]:
    """Return the numbers of start and end of a route that was asked for.

    Raises:
        ConfigurationError: There is no such node, or start and end are the same.
        RangeError: The limit is out of range.
    """
    if not 1 <= most_hops <= MOST_HOPS:
        raise RangeError(f"a route has 1 to {MOST_HOPS} hops, not {most_hops!r}")
    if start == end:
        raise ConfigurationError(f"a route has two ends, and both are {start!r}")
    return topology.adjacency.number(start), topology.adjacency.number(end)


def named(topology: Topology, path: Sequence[int]) -> tuple[str, ...]:
    """Return the names of nodes."""
    return tuple(topology.adjacency.names[node] for node in path)


def usable_arcs(topology: Topology, cost: Cost) -> Arcs:
    """Return the hops that can be used, with their costs.

    Raises:
        RangeError: A cost is out of range.
    """
    names = topology.adjacency.names
    arcs: list[dict[int, float]] = []
    for name, beside in zip(names, topology.adjacency.beside, strict=True):
        usable: dict[int, float] = {}
        for node in beside:
            price = cost(name, names[node])
            if 0 <= price <= MOST_COST:
                usable[node] = price
            elif price != math.inf:
                raise RangeError(
                    f"a hop from {name} to {names[node]} cannot cost {price!r}",
                    remedy=f"Let costs be 0 to {MOST_COST:g}, or infinity for a hop that cannot be used",
                )
        arcs.append(usable)
    return arcs


def shortest(arcs: Arcs, root: tuple[Path, float], end: int, barred: Collection[int], most_hops: int) -> Found | None:
    """Return the shortest of the loop-free paths that begin with `root` and have at most so many hops.

    Labels are taken in the order of cost, hops and nodes. One that comes to a node by no fewer hops than an earlier one
    did is no better in any way and is dropped, as is one of too many hops. So the first label at the end is the answer.

    Args:
        arcs: Usable hops.
        root: The path's first nodes, and their cost.
        end: Its last node.
        barred: Nodes that may not come next after the root.
        most_hops: Of the whole path.
    """
    nodes, spent = root
    fewest = [most_hops + 1] * len(arcs)
    for node in nodes[:-1]:
        fewest[node] = 0
    heap = [(spent, len(nodes) - 1, nodes)]
    while heap:
        label = heapq.heappop(heap)
        cost, hops, path = label
        here = path[-1]
        if hops >= fewest[here]:
            continue
        if here == end:
            return label
        fewest[here] = hops
        for there, price in arcs[here].items():
            if hops + 1 < fewest[there] and not (path is nodes and there in barred):
                heapq.heappush(heap, (cost + price, hops + 1, (*path, there)))
    return None


def on_every_path(arcs: Arcs, start: int, end: int) -> Path:
    """Return the nodes between start and end that every path has, in order; none if there is no path.

    Such nodes are on any one path. Along it, all that can be reached without the rest of the path is looked at; a node
    that is the furthest on the path that was reached so far cannot be gone around.
    """
    path = _some_path(arcs, start, end)
    place = {node: at for at, node in enumerate(path)}
    seen: set[int] = set()
    furthest = 0
    found: list[int] = []
    for at, node in enumerate(path[:-1]):
        if at and at == furthest:
            found.append(node)
        waiting = [node]
        while waiting:
            for there in arcs[waiting.pop()]:
                if there in place:
                    furthest = max(furthest, place[there])
                elif there not in seen:
                    seen.add(there)
                    waiting.append(there)
    return tuple(found)


def _some_path(arcs: Arcs, start: int, end: int) -> Path:
    """Return a path of fewest hops; an empty one if there is none."""
    before = {start: start}
    waiting = deque((start,))
    while waiting and end not in before:
        here = waiting.popleft()
        for there in arcs[here]:
            if there not in before:
                before[there] = here
                waiting.append(there)
    if end not in before:
        return ()
    path = [end]
    while path[-1] != start:
        path.append(before[path[-1]])
    return tuple(reversed(path))
