"""What a simulated world is made of, and how bad it is."""

from __future__ import annotations

import datetime
from dataclasses import dataclass, field
from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING, Final, Literal

from tokaido.hal import KeyMaterial, RangeError
from tokaido.node.core import ApplicationSettings, CoreSettings, LinkSettings, NeighbourSettings, Quota
from tokaido.node.topology import Topology, TopologyLink, TopologyNode, best_route, route_pair

if TYPE_CHECKING:
    from collections.abc import Mapping


SITES: Final = (
    *("tokyo", "odawara", "shizuoka", "hamamatsu", "nagoya", "maibara"),
    *("kyoto", "osaka", "kobe", "himeji", "okayama", "hiroshima"),
)


@dataclass(frozen=True, slots=True)
class Chances:
    """How often what happens, each as a probability."""

    lost: float = 0.02
    """A question, or its answer, never arrives."""
    late: float = 0.02
    """A message takes up to 6 s, and a neighbour waits for 2 s."""
    repeated: float = 0.03
    """A question arrives a second time."""
    kill: float = 0.0
    """A node dies at a step that has a name."""
    one_sided: float = 0.02
    """A block is offered at one end alone."""
    different: float = 0.01
    """A block has another key, or another size, at one end."""
    offered_again: float = 0.05
    """A source offers what was not committed again."""
    left: float = 0.03
    """An application leaves before it is answered."""
    undelivered: float = 0.03
    """Keys do not reach their application."""
    intruder: float = 0.1
    """An application asks for keys of others, or for its own again."""


CALM = Chances(0, 0, 0, 0, 0, 0, 0, 0, 0, 0)
"""Nothing goes wrong."""


@dataclass(frozen=True, slots=True)
class Scenario:
    """Nodes, the links that join them, and the pairs that share keys; each node serves two applications.

    The short times make what takes hours happen within minutes of simulated time.
    """

    nodes: tuple[str, ...] = ("kobe", "osaka")
    closed: bool = False
    """Whether the last node is joined to the first: a ring. Otherwise the nodes are a line."""
    pairs: tuple[tuple[str, str], ...] = ()
    """Nodes that share keys; default: the first and the last one, and all that are joined."""
    confirms: bool = True
    """Whether pairs have an end-to-end key."""
    stock: int = 24
    batch: int = 8
    in_flight: int = 3
    routes: Literal[1, 2] = 1
    """How many routes each key goes, by the files of the nodes."""
    two_routes: float = 0.0
    """Chance that an application asks for keys of two routes."""
    lease: int = 512
    supply_age_s: float = 20.0
    batch_age_s: float = 60.0
    block_every_s: float = 1.5
    """Of each link."""
    block_sizes: tuple[int, int] = (150, 3000)
    request_every_s: float = 0.08
    quotas: Mapping[str, Quota] = field(default_factory=dict)

    @property
    def links(self) -> dict[str, tuple[str, str]]:
        """The ends of each link, by name."""
        ends = [*pairwise(self.nodes), *([(self.nodes[-1], self.nodes[0])] if self.closed else [])]
        return {f"{one}-{other}": (one, other) for one, other in ends}

    @property
    def sharing(self) -> tuple[tuple[str, str], ...]:
        """The pairs that share keys."""
        joined = dict.fromkeys((*self.links.values(), (self.nodes[0], self.nodes[-1])))
        unique = {frozenset(pair): pair for pair in self.pairs or joined}
        return tuple(unique.values())

    @property
    def applications(self) -> dict[str, str]:
        """The node of each application."""
        return {name: node for node in self.nodes for name in (f"{node}-1", f"{node}-2")}

    def topology(self) -> Topology:
        """Return it as a topology."""
        return Topology(
            network="simulated",
            serial=1,
            valid_from=datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC),
            valid_until=None,
            nodes={name: TopologyNode(name, "https://127.0.0.1:1") for name in self.nodes},
            links={name: TopologyLink(name, ends) for name, ends in self.links.items()},
        )


def network(nodes: int, *, closed: bool = False) -> Scenario:
    """Return a line of so many nodes whose ends share keys, or a ring in which opposite ones do.

    Raises:
        RangeError: There are not 3 to 12.
    """
    if not 3 <= nodes <= len(SITES):
        raise RangeError(f"3 to {len(SITES)} nodes can be simulated, not {nodes!r}")
    names = SITES[:nodes]
    far = names[0], names[nodes // 2] if closed else names[-1]
    return Scenario(nodes=names, closed=closed, pairs=(far,), block_every_s=0.5, request_every_s=0.2)


def settings_of(scenario: Scenario) -> dict[str, CoreSettings]:
    """Return what each node's file says."""
    applications = {
        name: ApplicationSettings(name, node, scenario.quotas.get(name, Quota()))
        for name, node in scenario.applications.items()
    }
    topology = scenario.topology()
    return {
        node: CoreSettings(
            node,
            _peers(scenario, node),
            applications,
            ways=partial(best_route, topology, node) if len(scenario.nodes) > 2 else None,
            disjoint=partial(route_pair, topology, node) if len(scenario.nodes) > 2 else None,
            lease=scenario.lease,
            supply_age_s=scenario.supply_age_s,
            batch_age_s=scenario.batch_age_s,
        )
        for node in scenario.nodes
    }


def _peers(scenario: Scenario, node: str) -> dict[str, NeighbourSettings]:
    """Return whom a node shares keys with, or has a link to."""
    links = {name: ends for name, ends in scenario.links.items() if node in ends}
    shares = {other for pair in scenario.sharing if node in pair for other in pair} - {node}
    others = {other for ends in links.values() for other in ends} - {node} | shares
    return {
        other: NeighbourSettings(
            other,
            tuple(LinkSettings(name) for name, ends in links.items() if other in ends),
            _confirm_key(node, other) if scenario.confirms and other in shares else None,
            stock=scenario.stock if other in shares else 0,
            batch=scenario.batch,
            in_flight=scenario.in_flight,
            routes=scenario.routes,
        )
        for other in sorted(others)
    }


def _confirm_key(one: str, other: str) -> KeyMaterial:
    return KeyMaterial(f"between {min(one, other)} and {max(one, other)}".encode().ljust(32, b".")[:32])
