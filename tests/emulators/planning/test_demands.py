"""Demands of random small lines, held to what is found by trying every way."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest

from tokaido.emulators.planning import Demand, plan_line
from tokaido_testing.lines import Hop, line_of, random_line, routes_by_trying, widest_by_trying, width

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tokaido.emulators.planning import Grant, Line, LinePlan

SEEDS = [*range(25), *(pytest.param(seed, marks=pytest.mark.thorough) for seed in range(25, 400))]
CLOSE = 1e-6


def rates_without(plan: LinePlan, *, link: str = "", fibre: str = "", site: str = "") -> dict[Hop, float]:
    """Return what each edge carries while something has failed: the links' own rates, added up."""
    rates: dict[Hop, float] = {}
    for name, one in plan.links.items():
        rate = 0.0
        if name != link and site not in one.link.ends:
            working = [path for path in one.paths if path.works and path.fibre != fibre]
            rate = working[0].block.secret_bps / 264 if working else 0.0
        rates[frozenset(one.link.ends)] = rates.get(frozenset(one.link.ends), 0.0) + rate
    return rates


def check_grant(rates: Mapping[Hop, float], demand: Demand, grant: Grant, at_most: float) -> None:
    """See that a grant is possible: its routes are ways from end to end, node-disjoint, and wide enough."""
    best = widest_by_trying(rates, demand)
    assert grant.rate == pytest.approx(min(best, at_most), rel=CLOSE)
    assert bool(grant.rate) == bool(grant.routes) == (not grant.why)
    assert len(grant.routes) == (demand.routes if grant.routes else 0)
    for route in grant.routes:
        assert (route[0], route[-1]) == demand.ends
        assert len(set(route)) == len(route)
        assert width(rates, route) >= grant.rate * (1 - CLOSE)
    if len(grant.routes) == 1:
        ways = [way for way in routes_by_trying(rates, *demand.ends) if width(rates, way) >= grant.rate * (1 - CLOSE)]
        assert grant.routes[0] == min(ways, key=lambda way: (len(way), way))
    if len(grant.routes) == 2:
        assert not set(grant.routes[0][1:-1]) & set(grant.routes[1][1:-1])
        assert grant.routes[0] != grant.routes[1]


def take(rates: dict[Hop, float], grant: Grant) -> None:
    for route in grant.routes:
        for hop in pairwise(route):
            left = rates[frozenset(hop)] - grant.rate
            rates[frozenset(hop)] = left if left > CLOSE * grant.rate else 0.0


@pytest.mark.parametrize("seed", SEEDS)
def test_demands_get_what_trying_every_way_gives_alone_and_in_their_order(seed: int) -> None:
    plan = plan_line(random_line(seed))
    whole = rates_without(plan)
    left = dict(whole)
    for one in plan.demands:
        check_grant(whole, one.demand, one.alone, float("inf"))
        check_grant(left, one.demand, one.granted, one.demand.rate)
        assert one.met == (one.granted.rate >= one.demand.rate * (1 - 1e-9))
        take(left, one.granted)
    for name, link in plan.links.items():
        assert plan.left_beside(name) == pytest.approx(left[frozenset(link.link.ends)], rel=1e-6, abs=1e-6)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_failure_touches_who_used_it_and_they_get_what_is_left(seed: int) -> None:
    line = random_line(seed)
    plan = plan_line(line)
    assert [(one.kind, one.name) for one in plan.failures] == [
        *(("link", name) for name in line.links),
        *(("fibre", fibre) for link in line.links.values() for fibre in link.fibres),
        *(("site", name) for name in line.sites),
    ]
    for failure in plan.failures:
        rates = rates_without(plan, **{failure.kind: failure.name})
        changed = {hop for hop, rate in rates_without(plan).items() if rate != rates[hop]}
        out = {i for i, one in enumerate(plan.demands) if failure.kind == "site" and failure.name in one.demand.ends}
        touched = {
            i
            for i, one in enumerate(plan.demands)
            if i not in out
            and any(frozenset(hop) in changed for route in one.granted.routes for hop in pairwise(route))
        }
        assert set(failure.effects) == touched
        for i, one in enumerate(plan.demands):
            if i not in touched and i not in out:
                take(rates, one.granted)
        for i in sorted(touched):
            demand = plan.demands[i].demand
            check_grant(rates, demand, failure.effects[i], demand.rate)
            take(rates, failure.effects[i])


def ring() -> Line:
    """Return a ring of four sites with one demand of one route and one of two, and a tail."""
    links = {
        "ab": ("a", "b", (10.0,)),
        "bc": ("b", "c", (10.0, 12.0)),
        "cd": ("c", "d", (10.0,)),
        "da": ("d", "a", (13.0,)),
        "ce": ("c", "e", (10.0,)),
    }
    demands = (Demand(("a", "c"), 100.0), Demand(("a", "c"), 100.0, 2), Demand(("a", "e"), 100.0, 2))
    return line_of(links, demands)


def test_a_ring_survives_each_of_its_links_by_one_route_and_none_by_two() -> None:
    plan = plan_line(ring())
    assert [one.granted.rate for one in plan.demands] == [100.0, 100.0, 0.0]
    assert plan.demands[0].granted.routes == (("a", "b", "c"),)
    assert plan.demands[2].granted.why == "there are no two node-disjoint routes from a to e: every route passes c"
    assert [one.name for one in plan.cuts(0)] == []
    assert [one.name for one in plan.cuts(1)] == ["ab", "bc", "cd", "da", "ab-0", "cd-0", "da-0", "b", "d"]
    failed = {(one.kind, one.name): one.effects for one in plan.failures}
    assert failed["link", "ab"][0].routes == (("a", "d", "c"),)
    assert failed["fibre", "bc-0"][1].routes == plan.demands[1].granted.routes
    assert "there are no two node-disjoint routes from a to e" in plan.lacking[0]


def test_the_availability_is_that_of_ends_and_of_what_cuts_the_demand() -> None:
    line = ring()
    sites = {name: replace(site, availability=0.99) for name, site in line.sites.items()}
    links = {name: replace(link, availability=0.999) for name, link in line.links.items()}
    fibres = {name: replace(fibre, availability=0.9) for name, fibre in line.fibres.items()}
    plan = plan_line(replace(line, sites=sites, links=links, fibres=fibres))
    assert plan.availability(0) == pytest.approx(0.99**2)
    assert plan.availability(1) == pytest.approx(0.99**4 * 0.999**4 * 0.9**3)
    assert plan.availability(2) == 0.0


def test_the_shorter_of_two_ways_that_carry_enough_is_taken() -> None:
    links = {"ab": ("a", "b", (16.0,)), "ac": ("a", "c", (4.0,)), "cb": ("c", "b", (4.0,))}
    plan = plan_line(line_of(links, (Demand(("a", "b"), 1.0), Demand(("b", "a"), 3000.0))))
    assert plan.demands[0].alone.routes == (("a", "c", "b"),)
    assert plan.demands[0].granted.routes == (("a", "b"),)
    assert plan.demands[1].granted.routes == (("b", "c", "a"),)


def test_two_routes_are_found_where_the_widest_way_is_in_the_way_of_both() -> None:
    wide = {"sa": ("s", "a"), "ab": ("a", "b"), "bc": ("b", "c"), "ct": ("c", "t")}
    links = {name: (one, other, (4.0,)) for name, (one, other) in wide.items()}
    links |= {"sc": ("s", "c", (10.0,)), "at": ("a", "t", (10.0,))}
    plan = plan_line(line_of(links, (Demand(("s", "t"), 1.0), Demand(("s", "t"), 1.0, 2))))
    assert plan.demands[0].alone.routes == (("s", "a", "b", "c", "t"),)
    assert plan.demands[1].alone.routes == (("s", "a", "t"), ("s", "c", "t"))
    assert plan.demands[1].alone.rate == plan.links["sc"].keys_per_s
