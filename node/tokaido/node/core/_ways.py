"""Which route a relay takes: over links that have key, and around hops that failed a short time ago."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Final, NamedTuple

from tokaido.node.core._alarm_codes import AlarmCode
from tokaido.node.core._state import LEAST, Lease, LinkState, Neighbour

if TYPE_CHECKING:
    from tokaido.node.core._context import Context
    from tokaido.node.core._shelf import Route
    from tokaido.node.topology import RoutePair

ROUTE_S: Final = 1.0
"""How long a route is kept before it is looked for again."""
NO_ROUTE_S: Final = 0.2
"""After how long one is looked for again where there was none."""
AVOID_S: Final = 2.0, 60.0
"""How long a hop that failed is avoided at first, and at most."""
AVOIDED: Final = 1000.0
"""What a hop costs that is avoided: it is taken if there is no other way."""
FAILING_S: Final = 10.0
"""How long relays to a node fail, one after the other, until there is an alarm."""


class Found(NamedTuple):
    """A route, and the neighbour that its first hop leads to."""

    route: tuple[str, ...]
    first: Neighbour


class _Avoided(NamedTuple):
    until_s: float
    pause_s: float


class Ways:
    """Chooses routes from the topology, from what this node's own links have, and from what was refused."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._avoided: dict[tuple[str, str], _Avoided] = {}
        self._kept: dict[str, tuple[float, Route | None]] = {}
        self._kept_pairs: dict[str, tuple[float, RoutePair]] = {}
        self._failing: dict[tuple[str, Route], float] = {}
        """Since when no relay of a lane to a peer came through."""

    def to(self, peer: Neighbour) -> Found | None:
        """Return the best route to a peer, None if there is none now."""
        context = self._context
        if context.settings.ways is None:
            return Found((context.settings.node, peer.name), peer) if peer.links else None
        kept = self._kept.get(peer.name)
        if kept is None or context.now_s >= kept[0] or (kept[1] is not None and not self._leads(kept[1])):
            route = context.settings.ways(peer.name, self._cost)
            if route is None and peer.links:
                route = context.settings.node, peer.name
            kept = context.now_s + (NO_ROUTE_S if route is None else ROUTE_S), route
            self._kept[peer.name] = kept
        route = kept[1]
        return None if route is None else self.over(route)

    def over(self, route: Route) -> Found | None:
        """Return a route if its first hop has key now."""
        return Found(route, self._context.neighbours[route[1]]) if self._leads(route) else None

    def two(self, peer: Neighbour) -> RoutePair | None:
        """Return two node-disjoint routes to a peer, or why there are none; None: nobody gives any.

        Hops that fail, or have no key now, cost more and count: for what lasts a while no refusal names cut nodes.
        """
        context = self._context
        if context.settings.disjoint is None:
            return None
        kept = self._kept_pairs.get(peer.name)
        if kept is None or context.now_s >= kept[0]:
            found = context.settings.disjoint(peer.name, self._cost_of_two)
            kept = self._kept_pairs[peer.name] = context.now_s + ROUTE_S, found
            self._failing = {
                key: since_s for key, since_s in self._failing.items() if key[0] != peer.name or key[1] in found.routes
            }
        return kept[1]

    def wake_s(self) -> float:
        """Return when a route is to be looked for again where there was none."""
        now_s = self._context.now_s
        return min(
            (at_s for at_s, route in self._kept.values() if route is None and at_s > now_s), default=float("inf")
        )

    def forget(self) -> None:
        """Look for all routes again."""
        self._kept.clear()
        self._kept_pairs.clear()

    def succeeded(self, peer: Neighbour, lane: Route, route: Route) -> None:
        """Note that a relay to a peer came through."""
        for hop in pairwise(route):
            self._avoided.pop(_hop(*hop), None)
        for key in [(name, route) for name, route in self._failing if name == peer.name and lane in {route, ()}]:
            del self._failing[key]
        if not any(name == peer.name for name, _ in self._failing):
            self._context.clear_alarm(AlarmCode.RELAY_FAILED, peer.name)

    def failed(self, peer: Neighbour, lane: Route, route: Route, node: str, why: str) -> None:
        """Note that a relay to a peer failed: what `node` answered, or that it did not answer (`lost`)."""
        place = route.index(node) if node in route else 0
        next_place = min(place + 1, len(route) - 1)
        if why in {"lease", "lost"} or next_place == place:
            hops = [(route[next_place - 1], route[next_place])]
        else:
            hops = [pair for pair in pairwise(route) if node in pair]
        for hop in hops:
            self._avoid(*hop)
        self.forget()
        failing_s = self._context.now_s - self._failing.setdefault((peer.name, lane), self._context.now_s)
        if failing_s >= FAILING_S:
            text = f"relays fail for {failing_s:.0f} s, the last one by {' - '.join(route)} at {node}: {why}"
            self._context.raise_alarm(AlarmCode.RELAY_FAILED, peer.name, text)

    def _usable(self, neighbour: Neighbour) -> bool:
        """Whether a link to a neighbour has key that may be spent."""
        return neighbour.up and any(link.free_lease(LEAST) or link.spendable for link in neighbour.links.values())

    def _leads(self, route: Route) -> bool:
        first = self._context.neighbours.get(route[1])
        return first is not None and self._usable(first)

    def _cost(self, a: str, b: str) -> float:
        node = self._context.settings.node
        if node in {a, b}:
            other = self._context.neighbours.get(b if a == node else a)
            if other is None or not self._usable(other):
                return float("inf")
        avoided = self._avoided.get(_hop(a, b))
        return 1.0 if avoided is None or self._context.now_s >= avoided.until_s else AVOIDED

    def _cost_of_two(self, a: str, b: str) -> float:
        node = self._context.settings.node
        if node in {a, b}:
            other = self._context.neighbours.get(b if a == node else a)
            if other is None or not other.links:
                return float("inf")
        return min(self._cost(a, b), AVOIDED)

    def _avoid(self, a: str, b: str) -> None:
        now_s, (first_s, most_s) = self._context.now_s, AVOID_S
        before = self._avoided.get(_hop(a, b))
        pause_s = first_s if before is None else before.pause_s
        if before is not None and now_s >= before.until_s:
            pause_s = min(2 * pause_s, most_s)
        self._avoided[_hop(a, b)] = _Avoided(now_s + pause_s, pause_s)


def free_lease(neighbour: Neighbour, length: int) -> tuple[LinkState, Lease] | None:
    """Return a lease of a link to a neighbour that has so many free bytes, and its link."""
    for link in neighbour.links.values():
        lease = link.free_lease(length)
        if lease is not None:
            return link, lease
    return None


def _hop(a: str, b: str) -> tuple[str, str]:
    return (a, b) if a < b else (b, a)
