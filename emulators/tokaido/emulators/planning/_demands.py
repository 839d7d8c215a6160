"""Who gets how many keys over which routes: alone, all together in their order, and while something has failed."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

from tokaido.emulators.planning._routes import Network, edge, edges

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from tokaido.emulators.planning._line import Demand, Line
    from tokaido.emulators.planning._routes import Edge, Rates, Route
    from tokaido.emulators.planning._spans import LinkPlan

FailureKind: TypeAlias = Literal["link", "fibre", "site"]


@dataclass(frozen=True, slots=True)
class Grant:
    """Keys that a demand gets, and how they go."""

    rate: float
    """Keys of 256 bits a second; 0.0: none."""
    routes: tuple[Route, ...]
    """One, or two that share no site but the ends; none without keys."""
    why: str = ""
    """Why there are no keys; empty: there are some."""


@dataclass(frozen=True, slots=True)
class DemandPlan:
    """One demand."""

    demand: Demand
    alone: Grant
    """The most that it could get, if nobody else wanted anything."""
    granted: Grant
    """What it gets after the demands before it."""

    @property
    def met(self) -> bool:
        """Whether it gets what it asks for."""
        return is_met(self.demand, self.granted)


@dataclass(frozen=True, slots=True)
class Failure:
    """One thing that fails, and what becomes of the demands that it touches."""

    kind: FailureKind
    """"link": both units; "fibre": one path; "site": its node, and all links that end there."""
    name: str
    availability: float
    """Share of the time in which it has not failed."""
    effects: Mapping[int, Grant]
    """What those demands get whose routes it touches, by their number from 0. Those that end at a site are left out."""


def is_met(demand: Demand, grant: Grant) -> bool:
    """Return whether a demand is granted what it asks for."""
    return grant.rate >= demand.rate * (1 - 1e-9)


class Allocation:
    """Keys of a network, given to demands in their order.

    Each demand is given its rate over the route of fewest hops that can carry it in what the demands before it left, or
    as much as the widest route there can carry. A key takes room on every hop, and on both routes where there are two.

    Args:
        line: Sites and demands.
        links: What each link gives.
    """

    def __init__(self, line: Line, links: Mapping[str, LinkPlan]) -> None:
        self._line = line
        self._links = links
        ends = {name: edge(*plan.link.ends) for name, plan in links.items()}
        self._edge_of = ends
        self._effects_of: dict[tuple[str, frozenset[tuple[Edge, float]]], dict[int, Grant]] = {}
        self._network = Network(line.sites, ends.values())
        self.rates: dict[Edge, float] = dict.fromkeys(ends.values(), 0.0)
        """Keys a second that each edge can relay, over all its links."""
        for name, plan in links.items():
            self.rates[ends[name]] += plan.keys_per_s
        left = dict(self.rates)
        plans: list[DemandPlan] = []
        for demand in line.demands:
            alone = self._grant(demand, self.rates, math.inf)
            granted = self._grant(demand, left, demand.rate)
            _take(left, granted)
            plans.append(DemandPlan(demand, alone, granted))
        self.demands = tuple(plans)
        """What each demand gets."""
        self._users: dict[Edge, set[int]] = {}
        for number, one in enumerate(plans):
            for hop in _used(one.granted):
                self._users.setdefault(hop, set()).add(number)
        self.left: Mapping[Edge, float] = left
        """Keys a second that are left on each edge."""

    def failures(self) -> tuple[Failure, ...]:
        """Return what each single failure does: of every link, every fibre and every site.

        Demands that it does not touch keep what they have; those that it touches are given theirs again, in their
        order, of what is left then.
        """
        found: list[Failure] = []
        for name, plan in self._links.items():
            found.append(self._failure("link", name, plan.link.availability, {self._edge_of[name]: plan.keys_per_s}))
        for name, plan in self._links.items():
            for path in plan.paths:
                lost = plan.keys_per_s - plan.keys_without(path.fibre)
                availability = self._line.fibres[path.fibre].availability
                found.append(self._failure("fibre", path.fibre, availability, {self._edge_of[name]: lost}))
        at: dict[str, dict[Edge, float]] = {name: {} for name in self._line.sites}
        for pair, rate in self.rates.items():
            for end in pair:
                at[end][pair] = rate
        for name, site in self._line.sites.items():
            found.append(self._failure("site", name, site.availability, at[name], site=name))
        return tuple(found)

    def _failure(
        self, kind: FailureKind, name: str, availability: float, lost: Mapping[Edge, float], site: str = ""
    ) -> Failure:
        key = site, frozenset(lost.items())
        if key not in self._effects_of:
            self._effects_of[key] = self._effects(lost, site)
        return Failure(kind, name, availability, self._effects_of[key])

    def _effects(self, lost: Mapping[Edge, float], site: str) -> dict[int, Grant]:
        """Return what the demands get that a loss touches; those that end at `site` are left out."""
        users = {number for hop, rate in lost.items() if rate for number in self._users.get(hop, ())}
        touched = sorted(number for number in users if site not in self.demands[number].demand.ends)
        effects: dict[int, Grant] = {}
        if touched:
            left = dict(self.left)
            gone = [plan for plan in self.demands if site in plan.demand.ends]
            for plan in (*gone, *(self.demands[number] for number in touched)):
                _take(left, plan.granted, -1.0)
            for pair, rate in lost.items():
                left[pair] -= rate
            # Rounding may leave crumbs of an edge that is gone, and a demand may have more of it than is left.
            for pair in lost:
                left[pair] = 0.0 if left[pair] < 1e-9 * self.rates[pair] else left[pair]
            for number in touched:
                demand = self.demands[number].demand
                effects[number] = self._grant(demand, left, demand.rate)
                _take(left, effects[number])
        return effects

    def _grant(self, demand: Demand, rates: Rates, enough: float) -> Grant:
        start, end = demand.ends
        if demand.routes == 1:
            found = self._network.widest(start, end, rates, enough)
            if found is None:
                return Grant(0.0, (), f"no route from {start} to {end} has keys left")
            return Grant(found[0], (found[1],))
        pair = self._network.widest_pair(start, end, rates, enough)
        if pair is None:
            why = self._network.why_no_pair(start, end, rates)
            return Grant(0.0, (), why or f"no two routes from {start} to {end} within the limit of hops have keys left")
        return Grant(pair[0], pair[1])


def _used(grant: Grant) -> Iterable[Edge]:
    return (hop for route in grant.routes for hop in edges(route))


def _take(left: dict[Edge, float], grant: Grant, times: float = 1.0) -> None:
    for route in grant.routes:
        for hop in edges(route):
            left[hop] = left[hop] - times * grant.rate
            if abs(left[hop]) < 1e-9 * grant.rate:
                left[hop] = 0.0
