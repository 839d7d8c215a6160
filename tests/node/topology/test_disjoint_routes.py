"""Two node-disjoint routes are the cheapest pair that trying finds, or the refusal names the nodes in the way."""

from __future__ import annotations

import copy
import pickle
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokaido.node.topology import NoDisjointRoutesError, cut_nodes, disjoint_routes
from tokaido_testing.topologies import Net, nets, one_a_hop, topology, tried


def refusal(net: Net, most_hops: int = 16) -> NoDisjointRoutesError | None:
    try:
        first, second = disjoint_routes(net.topology, net.start, net.end, net.cost, most_hops=most_hops)
    except NoDisjointRoutesError as error:
        return error
    assert net.judged(first) <= net.judged(second)
    assert (net.judged(first)[0] + net.judged(second)[0], *sorted((first, second), key=net.judged)) in net.pairs(
        most_hops
    )
    return None


@tried
@given(nets)
def test_the_pair_is_the_cheapest_of_all(net: Net) -> None:
    pairs = net.pairs()
    error = refusal(net)
    if error is None:
        found = disjoint_routes(net.topology, net.start, net.end, net.cost)
        assert sum(net.judged(route)[0] for route in found) == pairs[0][0]
        return
    assert pairs == []
    assert error.cut_nodes == cut_nodes(net.topology, net.start, net.end, net.cost)
    paths = net.paths()
    if error.cut_nodes:
        assert ", ".join(error.cut_nodes) in str(error)
    elif paths:
        assert [one[2] for one in paths] == [(net.start, net.end)]
        assert "the only way" in str(error)
    else:
        assert "there is no route at all" in str(error)


@tried
@given(nets, st.integers(1, 4))
def test_a_pair_within_a_limit_of_hops_is_one(net: Net, most_hops: int) -> None:
    """Not every such pair is found; the cheapest of all is, if it is one."""
    pairs = net.pairs()
    error = refusal(net, most_hops)
    if error is not None and pairs:
        cheapest = [pair for pair in pairs if pair[0] == pairs[0][0]]
        assert any(max(len(first), len(second)) - 1 > most_hops for _, first, second in cheapest)
        assert error.cut_nodes == ()


def test_the_second_route_may_take_the_first_one_apart() -> None:
    """The cheapest route a c d z uses both ways at once; the pair is a c z and a d z."""
    net = topology([("a", "c"), ("c", "d"), ("d", "z"), ("a", "d"), ("c", "z")])
    costs = {frozenset("ad"): 5.0, frozenset("cz"): 5.0}
    found = disjoint_routes(net, "a", "z", lambda one, other: costs.get(frozenset((one, other)), 1.0))
    assert found == (("a", "c", "z"), ("a", "d", "z"))


def test_the_second_route_may_go_back_along_several_hops_of_the_first() -> None:
    net = topology([("s", "a"), ("a", "b"), ("b", "c"), ("c", "t"), ("s", "x"), ("x", "c"), ("a", "y"), ("y", "t")])

    def cost(one: str, other: str) -> float:
        return 1.0 if {one, other} <= set("sabct") else 5.0

    assert disjoint_routes(net, "s", "t", cost) == (("s", "a", "y", "t"), ("s", "x", "c", "t"))


def test_links_between_neighbours_are_one_route_and_the_second_goes_around() -> None:
    with pytest.raises(NoDisjointRoutesError, match="link l0 between them is the only way") as caught:
        disjoint_routes(topology([("a", "b")]), "a", "b", one_a_hop)
    assert caught.value.cut_nodes == ()
    with pytest.raises(NoDisjointRoutesError, match="links l0, l1 between them are the only way"):
        disjoint_routes(topology([("a", "b"), ("b", "a")]), "a", "b", one_a_hop)
    beside = topology([("a", "b"), ("a", "b"), ("a", "c"), ("c", "b")])
    assert disjoint_routes(beside, "a", "b", one_a_hop) == (("a", "b"), ("a", "c", "b"))
    around = topology([("a", "b"), ("a", "c"), ("c", "b")])
    assert disjoint_routes(around, "a", "b", one_a_hop) == (("a", "b"), ("a", "c", "b"))
    in_the_middle = topology([("a", "b"), ("a", "b"), ("b", "c"), ("b", "c")])
    with pytest.raises(NoDisjointRoutesError, match="every route passes b"):
        disjoint_routes(in_the_middle, "a", "c", one_a_hop)


def test_the_refusal_names_the_cut_nodes_and_what_to_do() -> None:
    net = topology([("s", "a"), ("s", "b"), ("a", "m"), ("b", "m"), ("m", "n"), ("n", "t")])
    with pytest.raises(NoDisjointRoutesError) as caught:
        disjoint_routes(net, "s", "t", one_a_hop)
    error = caught.value
    assert (error.start, error.end, error.cut_nodes) == ("s", "t", ("m", "n"))
    assert str(error) == (
        "there are no two node-disjoint routes from s to t: every route passes m, n. "
        "Ask for keys of one route, or add links around m, n"
    )
    assert isinstance(error, LookupError)
    assert pickle.loads(pickle.dumps(error)).cut_nodes == copy.copy(error).cut_nodes == ("m", "n")


def test_a_cheapest_pair_of_too_many_hops_gives_way_to_the_pair_of_fewest() -> None:
    names = [f"n{number:02}" for number in range(18)]
    long = [("s", names[0]), *pairwise(names), (names[-1], "t")]
    both = topology([*long, ("s", "x"), ("x", "t"), ("s", "y"), ("y", "t")])

    def cost(one: str, other: str) -> float:
        return 100.0 if "y" in (one, other) else 1.0

    assert disjoint_routes(both, "s", "t", cost) == (("s", "x", "t"), ("s", "y", "t"))
    with pytest.raises(NoDisjointRoutesError, match="of at most 16 hops were found: of the shortest two, one has 19"):
        disjoint_routes(topology([*long, ("s", "x"), ("x", "t")]), "s", "t", cost)
