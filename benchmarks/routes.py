"""What a search for routes takes in a large network: 1,000 nodes in a ring, and 500 chords between random ones.

Every node has two ways or more to every other, as the core of a network that was built for node-disjoint routes has.
Costs are random and differ by direction. Each call is another pair of nodes; searches take turns. CPU time of this
process, which other work on the machine does not lengthen as it does wall time.
"""

from __future__ import annotations

import random
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from measuring import Figure, spread

if TYPE_CHECKING:
    from collections.abc import Callable

    from tokaido.node.topology import Topology

NODES, CHORDS, PAIRS = 1000, 500, 200


def measure() -> list[Figure]:
    from tokaido.node.topology import best_route, cut_nodes, disjoint_routes, routes

    rng = random.Random(1)
    network, names = _network(rng)
    prices = {pair: rng.uniform(1, 10) for link in network.links.values() for pair in (link.ends, link.ends[::-1])}

    def cost(one: str, other: str) -> float:
        return prices[one, other]

    searches: dict[str, Callable[[str, str], object]] = {
        "a node-disjoint pair": lambda one, other: disjoint_routes(network, one, other, cost),
        "the best route": lambda one, other: best_route(network, one, other, cost),
        "the four best routes": lambda one, other: routes(network, one, other, cost, 4),
        "cut nodes": lambda one, other: cut_nodes(network, one, other),
    }
    taken: dict[str, list[float]] = {name: [] for name in searches}
    for _ in range(PAIRS):
        one, other = rng.sample(names, 2)
        for name, search in searches.items():
            began = time.process_time_ns()
            if not search(one, other) and name != "cut nodes":
                raise RuntimeError(f"{name} from {one} to {other}: none")
            taken[name].append((time.process_time_ns() - began) / 1e6)
    where = f"in {NODES} nodes and {NODES + CHORDS} links"
    goals = {"a node-disjoint pair": "<= 50 ms"}
    rows = [spread(values).figure(f"{name} {where}", "ms", goals.get(name, "")) for name, values in taken.items()]
    slowest = Figure(
        f"the slowest of {PAIRS} node-disjoint pairs", max(taken["a node-disjoint pair"]), "ms", "<= 50 ms"
    )
    return [rows[0], slowest, *rows[1:]]


def _network(rng: random.Random) -> tuple[Topology, list[str]]:
    from tokaido.node.topology import Topology, TopologyLink, TopologyNode

    names = [f"n{number:03}" for number in range(NODES)]
    ends = [(names[number - 1], name) for number, name in enumerate(names)]
    ends += [(one, other) for one, other in (rng.sample(names, 2) for _ in range(CHORDS))]
    nodes = {name: TopologyNode(name, f"https://{name}.example:8471") for name in names}
    links = {f"l{number}": TopologyLink(f"l{number}", pair) for number, pair in enumerate(ends)}
    return Topology("ring", 1, datetime.now(UTC), None, nodes, links), names
