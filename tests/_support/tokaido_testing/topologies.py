"""Topologies for tests, and every path through a small one, found by trying."""

from __future__ import annotations

import datetime
import math
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from hypothesis import strategies as st

from tokaido.node.topology import Topology, TopologyLink, TopologyNode

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

DAY = datetime.datetime(2026, 11, 1, tzinfo=datetime.UTC)
NAMES = tuple("abcdefghi")
Route = tuple[str, ...]


def topology(ends: Iterable[tuple[str, str]], nodes: Iterable[str] = ()) -> Topology:
    """Return a topology of links between these ends; nodes without a link are named besides."""
    links = {f"l{number}": TopologyLink(f"l{number}", pair) for number, pair in enumerate(ends)}
    names = {*nodes, *(name for link in links.values() for name in link.ends)}
    found = {name: TopologyNode(name, f"https://{name}.example:8471") for name in names}
    return Topology("test", 1, DAY, None, found, links)


def one_a_hop(_one: str, _other: str) -> float:
    return 1.0


@dataclass(frozen=True)
class Net:
    """A small network with a cost for each direction of each hop."""

    topology: Topology
    costs: Mapping[tuple[str, str], float]
    start: str
    end: str

    def cost(self, one: str, other: str) -> float:
        return self.costs[one, other]

    def judged(self, route: Route) -> tuple[float, int, Route]:
        return sum(self.costs[hop] for hop in pairwise(route)), len(route) - 1, route

    def paths(self) -> list[tuple[float, int, Route]]:
        """Return every loop-free path from start to end over usable hops, best first."""
        return sorted(self.judged(route) for route in self._from((self.start,)))

    def _from(self, route: Route) -> Iterator[Route]:
        if route[-1] == self.end:
            yield route
            return
        for one, other in self.costs:
            if one == route[-1] and other not in route and self.costs[one, other] < math.inf:
                yield from self._from((*route, other))

    def pairs(self, most_hops: int = 99) -> list[tuple[float, Route, Route]]:
        """Return all pairs of node-disjoint paths, cheapest first; the direct one pairs with itself over two links."""
        paths = [one for one in self.paths() if one[1] <= most_hops]
        found = [
            (one[0] + other[0], one[2], other[2])
            for number, one in enumerate(paths)
            for other in paths[number + 1 :]
            if not set(one[2][1:-1]) & set(other[2][1:-1])
        ]
        direct = (self.start, self.end)
        joined = [link for link in self.topology.links.values() if set(link.ends) == set(direct)]
        if len(joined) > 1 and self.costs[direct] < math.inf:
            found.append((2 * self.costs[direct], direct, direct))
        return sorted(found)


@st.composite
def nets(draw: st.DrawFn) -> Net:
    """Networks of 2 to 9 nodes with parallel links and unusable hops; costs are whole numbers: sums are exact."""
    names = NAMES[: draw(st.integers(2, len(NAMES)))]
    node = st.sampled_from(names)
    ends = draw(st.lists(st.tuples(node, node).filter(lambda pair: pair[0] != pair[1]), max_size=16))
    price = st.integers(0, 4).map(float) | st.just(math.inf)
    hops = {hop for one, other in ends for hop in ((one, other), (other, one))}
    costs = {hop: draw(price) for hop in sorted(hops)}
    start = draw(node)
    end = draw(node.filter(lambda name: name != start))
    return Net(topology(ends, names), costs, start, end)
