"""The signed topology of a network of nodes, and routes in it (docs/reference/topology-file.md)."""

from __future__ import annotations

from tokaido.node.topology._adjacency import Adjacency
from tokaido.node.topology._disjoint import NoDisjointRoutesError, RoutePair, disjoint_routes, route_pair
from tokaido.node.topology._file import read_topology, topology_from_text
from tokaido.node.topology._routes import MOST_HOPS, Cost, best_route, cut_nodes, routes
from tokaido.node.topology._signature import (
    PUBLIC_KEY_FILE,
    SIGNING_KEY_FILE,
    new_signing_key,
    read_signed,
    sign,
    topology_from_signed,
)
from tokaido.node.topology._survey import PairSurvey, survey_pair
from tokaido.node.topology._topology import (
    MOST_NODES,
    Topology,
    TopologyLink,
    TopologyNode,
    TopologyPair,
)

__all__ = [
    "MOST_HOPS",
    "MOST_NODES",
    "PUBLIC_KEY_FILE",
    "SIGNING_KEY_FILE",
    "Adjacency",
    "Cost",
    "NoDisjointRoutesError",
    "PairSurvey",
    "RoutePair",
    "Topology",
    "TopologyLink",
    "TopologyNode",
    "TopologyPair",
    "best_route",
    "cut_nodes",
    "disjoint_routes",
    "new_signing_key",
    "read_signed",
    "read_topology",
    "route_pair",
    "routes",
    "sign",
    "survey_pair",
    "topology_from_signed",
    "topology_from_text",
]
