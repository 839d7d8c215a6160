"""What a planner wants to know of a pair: its route, a second one, and what is in the way of it."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from tokaido.node.topology._disjoint import route_pair
from tokaido.node.topology._routes import MOST_HOPS, best_route

if TYPE_CHECKING:
    from tokaido.node.topology._topology import Topology, TopologyPair


@dataclass(frozen=True, slots=True)
class PairSurvey:
    """The routes of one pair, by fewest hops, with all links in use."""

    pair: TopologyPair
    route: tuple[str, ...]
    """From one end to the other; empty: there is none."""
    length_km: float | None
    """Of the route, over the shortest links; None if there is no route or some link says no length."""
    disjoint: tuple[tuple[str, ...], ...]
    """Two node-disjoint routes, whose first need not be `route`; empty: there are none."""
    cut_nodes: tuple[str, ...]
    """Nodes that every route passes."""
    why: str
    """Why there are no two node-disjoint routes, or none at all; empty: there are two."""

    @property
    def lack(self) -> str:
        """What the pair asks for and cannot have; empty: nothing."""
        return self.why if not self.route or self.pair.routes == 2 else ""


def survey_pair(topology: Topology, pair: TopologyPair) -> PairSurvey:
    """Return what routes a pair has while all links are in use. Each hop costs the same."""
    start, end = pair.ends
    route = best_route(topology, start, end, _one_a_hop)
    if route is None:
        why = f"there is no route from {start} to {end} of at most {MOST_HOPS} hops"
        return PairSurvey(pair, (), None, (), (), why)
    length = _length(topology, route)
    found = route_pair(topology, start, end, _one_a_hop)
    return PairSurvey(pair, route, length, found.routes, found.cut_nodes, found.why)


def _one_a_hop(_one: str, _other: str) -> float:
    return 1.0


def _length(topology: Topology, route: tuple[str, ...]) -> float | None:
    total = 0.0
    for one, other in pairwise(route):
        lengths = [
            length
            for name in topology.links_between(one, other)
            if (length := topology.links[name].length_km) is not None
        ]
        if not lengths:
            return None
        total += min(lengths)
    return total
