"""Topologies for tests, and every path through a small one, found by trying."""

from __future__ import annotations

import datetime
import math
import random
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from hypothesis import Phase, settings
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
        """Return all pairs of node-disjoint paths, cheapest first."""
        paths = [one for one in self.paths() if one[1] <= most_hops]
        found = [
            (one[0] + other[0], one[2], other[2])
            for number, one in enumerate(paths)
            for other in paths[number + 1 :]
            if not set(one[2][1:-1]) & set(other[2][1:-1])
        ]
        return sorted(found)


def net(seed: int) -> Net:
    """Return a random network of 3 to 9 nodes, with parallel links and unusable hops; sums of its costs are exact."""
    rng = random.Random(seed)
    names = NAMES[: rng.randint(3, len(NAMES))]
    ends = [(one, other) for one, other in (rng.sample(names, 2) for _ in range(rng.randint(2, 2 * len(names))))]
    least, most = rng.choice(((0, 1), (1, 3), (0, 50)))
    hops = {hop for one, other in ends for hop in ((one, other), (other, one))}
    costs = {hop: math.inf if rng.random() < 0.05 else float(rng.randint(least, most)) for hop in sorted(hops)}
    start, end = rng.sample(names, 2)
    return Net(topology(ends, names), costs, start, end)


nets = st.integers(0, 2**32 - 1).map(net)
"""Networks by their seeds: graphs that are drawn edge by edge have hardly any alternatives."""
tried = settings(max_examples=300, phases=(Phase.explicit, Phase.reuse, Phase.generate))
"""A smaller seed is not a simpler network, so none is looked for."""
