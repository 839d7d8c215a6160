"""Routes are those that trying every path finds; too many hops, loops and hops that cannot be used are out."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokaido.hal import ConfigurationError, RangeError
from tokaido.node.topology import MOST_HOPS, best_route, cut_nodes, routes
from tokaido_testing.topologies import Net, nets, one_a_hop, topology, tried

LINE = tuple(f"n{number:02}" for number in range(18))
"""17 hops from end to end."""


def line(*more: tuple[str, str]) -> list[tuple[str, str]]:
    return [*pairwise(LINE), *more]


@tried
@given(nets, st.integers(1, MOST_HOPS))
def test_the_best_route_is_the_best_of_all_paths(net: Net, most_hops: int) -> None:
    paths = [one for one in net.paths() if one[1] <= most_hops]
    found = best_route(net.topology, net.start, net.end, net.cost, most_hops=most_hops)
    assert found == (paths[0][2] if paths else None)


@tried
@given(nets, st.integers(1, 4), st.integers(1, MOST_HOPS))
def test_alternatives_are_the_next_best_of_all_paths(net: Net, most: int, most_hops: int) -> None:
    paths = [one[2] for one in net.paths() if one[1] <= most_hops]
    found = routes(net.topology, net.start, net.end, net.cost, most, most_hops=most_hops)
    assert found == tuple(paths[:most])


@tried
@given(nets)
def test_cut_nodes_are_those_on_all_paths(net: Net) -> None:
    paths = [one[2] for one in net.paths()]
    wanted = [name for name in (paths[0][1:-1] if paths else ()) if all(name in path for path in paths)]
    assert cut_nodes(net.topology, net.start, net.end, net.cost) == tuple(wanted)


def test_a_dearer_route_is_taken_where_the_cheapest_has_too_many_hops() -> None:
    short = topology(line(("n03", "n05")))

    def cost(one: str, other: str) -> float:
        return 50.0 if {one, other} == {"n03", "n05"} else 1.0

    assert best_route(short, "n00", "n16", cost) == LINE[:17]
    around = best_route(short, "n00", "n17", cost)
    assert around == (*LINE[:4], *LINE[5:])
    assert routes(short, "n00", "n17", cost) == (around,)
    assert best_route(topology(line()), "n00", "n17", one_a_hop) is None
    assert routes(topology(line()), "n00", "n17", one_a_hop) == ()


def test_a_cheap_way_to_a_node_does_not_hide_one_of_fewer_hops() -> None:
    """The cheapest way to m has two hops and leaves none for the rest."""
    net = topology([("a", "b"), ("b", "m"), ("a", "m"), ("m", "z")])
    costs = {frozenset("am"): 9.0}
    found = best_route(net, "a", "z", lambda one, other: costs.get(frozenset((one, other)), 1.0), most_hops=2)
    assert found == ("a", "m", "z")


def test_equal_routes_are_ordered_by_hops_and_then_by_name_whatever_the_order_of_the_file() -> None:
    ends = [("s", "d"), ("d", "t"), ("s", "c"), ("c", "t"), ("s", "b"), ("b", "a"), ("a", "t")]
    costs = {frozenset("ba"): 0.0}
    for order in (ends, ends[::-1]):
        found = routes(topology(order), "s", "t", lambda one, other: costs.get(frozenset((one, other)), 1.0))
        assert found == (("s", "c", "t"), ("s", "d", "t"), ("s", "b", "a", "t"))


def test_costs_count_in_the_direction_of_travel() -> None:
    net = topology([("a", "b"), ("b", "c"), ("a", "c")])
    costs = {("a", "c"): math.inf, ("c", "a"): 1.0}
    assert best_route(net, "a", "c", lambda one, other: costs.get((one, other), 2.0)) == ("a", "b", "c")
    assert best_route(net, "c", "a", lambda one, other: costs.get((one, other), 2.0)) == ("c", "a")


def test_cut_nodes_come_in_order_and_see_routes_of_any_length() -> None:
    assert cut_nodes(topology(line()), "n17", "n00") == LINE[-2:0:-1]
    assert cut_nodes(topology(line(("n00", "n09"))), "n00", "n17") == LINE[9:17]
    assert cut_nodes(topology([("a", "b")]), "a", "b") == ()
    assert cut_nodes(topology([("a", "b")], "abc"), "a", "c") == ()


@pytest.mark.parametrize("price", [-1.0, math.nan, -math.inf, 1e16])
def test_costs_that_cannot_be_are_refused(price: float) -> None:
    net = topology([("a", "b")])
    with pytest.raises(RangeError, match=r"a hop from a to b cannot cost .*infinity for a hop"):
        best_route(net, "a", "b", lambda _one, _other: price)


def test_what_cannot_be_asked_for_is_told() -> None:
    net = topology([("a", "b")])
    with pytest.raises(ConfigurationError, match="no node 'x'"):
        best_route(net, "a", "x", one_a_hop)
    with pytest.raises(ConfigurationError, match="both are 'a'"):
        best_route(net, "a", "a", one_a_hop)
    for most_hops in (0, 17):
        with pytest.raises(RangeError, match="1 to 16 hops"):
            best_route(net, "a", "b", one_a_hop, most_hops=most_hops)
    for most in (0, 5):
        with pytest.raises(RangeError, match="1 to 4 routes"):
            routes(net, "a", "b", one_a_hop, most)
