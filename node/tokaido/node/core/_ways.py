"""Which route a relay takes: over links that have key, and around hops that failed a short time ago."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Final, NamedTuple

from tokaido.node.core._alarm_codes import AlarmCode
from tokaido.node.core._state import LEAST, Lease, LinkState, Neighbour

if TYPE_CHECKING:
    from tokaido.node.core._context import Context

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
        self._kept: dict[str, tuple[float, tuple[str, ...] | None]] = {}
        self._failing: dict[str, float] = {}
        """Since when no relay to a peer came through."""

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
        return Found(route, context.neighbours[route[1]]) if route is not None and self._leads(route) else None

    def wake_s(self) -> float:
        """Return when a route is to be looked for again where there was none."""
        now_s = self._context.now_s
        return min(
            (at_s for at_s, route in self._kept.values() if route is None and at_s > now_s), default=float("inf")
        )

    def forget(self) -> None:
        """Look for all routes again."""
        self._kept.clear()

    def succeeded(self, peer: Neighbour, route: tuple[str, ...]) -> None:
        """Note that a relay to a peer came through."""
        for hop in pairwise(route):
            self._avoided.pop(_hop(*hop), None)
        if self._failing.pop(peer.name, None) is not None:
            self._context.clear_alarm(AlarmCode.RELAY_FAILED, peer.name)

    def failed(self, peer: Neighbour, route: tuple[str, ...], node: str, why: str) -> None:
        """Note that a relay to a peer failed: what `node` answered, or that it did not answer (`lost`)."""
        place = route.index(node) if node in route else 0
        next_place = min(place + 1, len(route) - 1)
        if why in {"lease", "lost"} or next_place == place:
            hops = [(route[next_place - 1], route[next_place])]
        else:
            hops = [pair for pair in pairwise(route) if node in pair]
        for hop in hops:
            self._avoid(*hop)
        self._kept.clear()
        failing_s = self._context.now_s - self._failing.setdefault(peer.name, self._context.now_s)
        if failing_s >= FAILING_S:
            text = f"relays fail for {failing_s:.0f} s, the last one by {' - '.join(route)} at {node}: {why}"
            self._context.raise_alarm(AlarmCode.RELAY_FAILED, peer.name, text)

    def _usable(self, neighbour: Neighbour) -> bool:
        """Whether a link to a neighbour has key that may be spent."""
        return neighbour.up and any(link.free_lease(LEAST) or link.spendable for link in neighbour.links.values())

    def _leads(self, route: tuple[str, ...] | None) -> bool:
        first = None if route is None else self._context.neighbours.get(route[1])
        return first is not None and self._usable(first)

    def _cost(self, a: str, b: str) -> float:
        node = self._context.settings.node
        if node in {a, b}:
            other = self._context.neighbours.get(b if a == node else a)
            if other is None or not self._usable(other):
                return float("inf")
        avoided = self._avoided.get(_hop(a, b))
        return 1.0 if avoided is None or self._context.now_s >= avoided.until_s else AVOIDED

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
