"""Where the nodes of a topology are drawn."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tokaido.node.topology import Topology

Place = tuple[float, float]
"""Latitude and longitude, or height and distance in a diagram."""


def places_of(topology: Topology) -> tuple[bool, Mapping[str, Place]]:
    """Return whether all nodes have coordinates, and the place of each: else they stand in a diagram."""
    nodes = topology.nodes.values()
    known = {
        node.name: (node.latitude, node.longitude)
        for node in nodes
        if node.latitude is not None and node.longitude is not None
    }
    if nodes and len(known) == len(topology.nodes):
        return True, known
    return False, _diagram(topology)


def _diagram(topology: Topology) -> dict[str, Place]:
    """Lay nodes out from left to right: by their km posts, or else by hops from the first of an end."""
    posts = {name: node.km_post for name, node in topology.nodes.items() if node.km_post is not None}
    if len(posts) == len(topology.nodes):
        return _columns({name: float(post) for name, post in posts.items()}, width=max(posts.values(), default=0) / 40)
    columns: dict[str, float] = {}
    right = 0.0
    for start in sorted(topology.nodes, key=lambda name: (len(topology.neighbours(name)), name)):
        front = [] if start in columns else [start]
        here = right
        while front:
            columns |= dict.fromkeys(front, here)
            found = {other for name in front for other in topology.neighbours(name)}
            front = sorted(found - columns.keys())
            here += 1.0
        right = max(right, here)
    return _columns(columns, width=0.0)


def _columns(across: Mapping[str, float], *, width: float) -> dict[str, Place]:
    """Put nodes that stand at one distance above and below each other."""
    unit = max(across.values(), default=0.0) / max(len(set(across.values())) - 1, 1) or 1.0
    places: dict[str, Place] = {}
    here, depth = float("-inf"), 0
    for name in sorted(across, key=lambda name: (across[name], name)):
        depth = depth + 1 if across[name] - here <= width else 0
        here = across[name] if depth == 0 else here
        row = (depth + 1) // 2 * (1 if depth % 2 else -1)
        places[name] = (0.7 * row, across[name] / unit)
    return places
