"""Keys of two routes: both ends get the sum of two keys, no node in the middle saw both, and one is never given."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest

import tokaido.node.core as c
from tokaido.hal import KeyMaterial
from tokaido.node.messages import Lease, Relay
from tokaido.node.simulation import Scenario
from tokaido.node.topology import RoutePair
from tokaido_testing.nodes import TwoNodes, ids_of, keys_of, reason_of, secrets_of, text_of
from tokaido_testing.rings import FAR, RING, Ring, filled, xor

WAYS = {("odawara", "numazu", "mishima"), ("odawara", "kobe", "mishima")}


# --- what a key of two routes is --------------------------------------------------------------------------------------


@pytest.mark.parametrize("confirms", [True, False])
def test_both_ends_get_the_sum_of_two_keys_and_no_node_in_the_middle_saw_both(confirms: bool) -> None:
    nodes = filled(routes=2, confirms=confirms)
    given = nodes.ask_for(number=3)
    secrets = secrets_of(given)
    assert secrets_of(nodes.fetch(ids_of(given))) == secrets
    assert [(key.routes, key.hops) for key in keys_of(given)] == [(2, 2)] * 3
    by_numazu, by_kobe = nodes.opened_by("numazu"), nodes.opened_by("kobe")
    assert len(by_numazu) >= 16
    assert len(by_kobe) >= 16
    for secret in secrets:
        assert secret not in by_numazu | by_kobe
        assert [secret == xor(one, other) for one, other in product(by_numazu, by_kobe)].count(True) == 1
        for alone in (by_numazu, by_kobe):
            assert not any(xor(secret, one) in alone for one in alone)


def test_one_route_is_seen_whole_by_the_node_in_its_middle() -> None:
    """So the test above is not blind."""
    nodes = filled()
    (secret,) = secrets_of(nodes.ask_for())
    assert secret in nodes.opened_by("numazu") | nodes.opened_by("kobe")


@pytest.mark.parametrize("size", [64, 256, 264, 1000])
def test_keys_of_any_size_are_sums(size: int) -> None:
    nodes = filled(routes=2)
    given = nodes.ask_for(number=2, size=size)
    assert [len(secret) for secret in secrets_of(given)] == [size // 8] * 2
    assert secrets_of(nodes.fetch(ids_of(given))) == secrets_of(given)
    keys = {
        (part.relay, at)
        for item in nodes.supplied()
        for part in (*item.cells, *item.others)
        for at in range(part.first, part.first + part.count)
    }
    assert len(keys) == 2 * 2 * -(-size // 256)
    assert nodes.pair_of().taken == nodes.pair_of("mishima").counters["supplied"] == len(keys)


def test_each_half_goes_its_own_way_and_is_used_once() -> None:
    nodes = filled(routes=2)
    routes = {relay.relay: relay.route for sender, relay in nodes.relays() if sender == "odawara"}
    used: list[tuple[bytes, int]] = []
    for _ in range(16):
        keys_of(nodes.ask_for())
    for item in nodes.supplied():
        one, other = {routes[part.relay] for part in item.cells}, {routes[part.relay] for part in item.others}
        assert one | other == WAYS
        used += [
            (part.relay, place)
            for part in (*item.cells, *item.others)
            for place in range(part.first, part.first + part.count)
        ]
    assert len(used) == len(set(used)) == 32


def test_neighbours_have_the_second_route_around() -> None:
    nodes = filled(nodes=("odawara", "numazu", "mishima"), far=FAR, routes=2)
    given = nodes.ask_for()
    assert secrets_of(nodes.fetch(ids_of(given))) == secrets_of(given)
    assert [(key.routes, key.hops) for key in keys_of(given)] == [(2, 2)]
    assert set(nodes.pair_of().disjoint) == {("odawara", "mishima"), ("odawara", "numazu", "mishima")}


# --- who asks for them ------------------------------------------------------------------------------------------------


def test_an_application_that_asks_is_told_to_come_again_and_then_has_them() -> None:
    nodes = filled()
    assert reason_of(nodes.ask_for(routes=2)) is c.Reason.NO_KEY
    nodes.wait(3.0)
    given = nodes.ask_for(routes=2)
    assert [key.routes for key in keys_of(given)] == [2]
    assert secrets_of(nodes.fetch(ids_of(given))) == secrets_of(given)
    plain = nodes.ask_for()
    assert [key.routes for key in keys_of(plain)] == [1]
    assert secrets_of(nodes.fetch(ids_of(plain))) == secrets_of(plain)
    assert nodes.pair_of().ready_over_two > 12


def test_stock_over_two_routes_is_kept_for_an_hour_and_no_longer() -> None:
    nodes = filled(batch_age_s=100_000.0)
    nodes.ask_for(routes=2)
    nodes.wait(3.0)
    assert nodes.pair_of().ready == 32
    nodes.wait(3590.0)
    assert len(nodes.pair_of().disjoint) == 2
    nodes.wait(20.0)
    assert nodes.pair_of().disjoint == ()
    nodes.seen.clear()
    for _ in range(30):
        nodes.ask_for()
    nodes.wait(3.0)
    assert len({relay.route for _, relay in nodes.relays()}) == 1
    assert 12 < nodes.pair_of().ready <= 16


def test_where_the_operator_wants_two_routes_nobody_gets_a_key_of_one() -> None:
    nodes = Ring(routes=2)
    nodes.fill(links=["odawara-numazu", "numazu-mishima"])
    nodes.wait(20.0)
    assert nodes.pair_of().ready == 16
    assert nodes.pair_of().supplied_ready == 0
    for routes in (1, 2):
        refused = nodes.ask_for(routes=routes)
        assert reason_of(refused) is c.Reason.NO_KEY
    assert nodes.supplied() == []
    nodes.fill(1)
    given = nodes.ask_for()
    assert [key.routes for key in keys_of(given)] == [2]


def test_a_peer_that_wants_two_routes_takes_no_key_of_one() -> None:
    nodes = filled()
    peer = nodes.settings["mishima"].neighbours["odawara"]
    nodes.change("mishima", neighbours={**nodes.settings["mishima"].neighbours, "odawara": _two(peer)})
    refused = nodes.ask_for()
    assert reason_of(refused) is c.Reason.PEER_SILENT
    assert isinstance(refused, c.Refusal)
    assert "route" in refused.what
    assert nodes.stores["mishima"].supplies == {}


def _two(peer: c.NeighbourSettings) -> c.NeighbourSettings:
    return c.NeighbourSettings(peer.name, peer.links, peer.confirm_key, peer.stock, peer.batch, peer.in_flight, 2)


# --- where there are none ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("routes", [1, 2])
def test_on_a_line_the_refusal_names_the_cut_nodes(routes: int) -> None:
    line = {"nodes": ("odawara", "numazu", "kobe", "mishima"), "closed": False}
    nodes = filled(**line, routes=routes)
    refused = nodes.ask_for(routes=2)
    assert isinstance(refused, c.Refusal)
    assert refused.reason is c.Reason.ROUTE
    assert refused.cut_nodes == ("numazu", "kobe")
    assert refused.what == (
        "there are no two node-disjoint routes from odawara to mishima: every route passes numazu, kobe"
    )
    if routes == 2:
        assert nodes.pair_of().cut_nodes == ("numazu", "kobe")
        assert nodes.pair_of().counters.get("born", 0) == 0  # no link key is spent on what is never given
        assert reason_of(nodes.ask_for()) is c.Reason.ROUTE
        nodes.wait(120.0)
        assert "every route passes numazu, kobe" in text_of(nodes, "odawara", "STOCK_LOW")
    else:
        assert [key.routes for key in keys_of(nodes.ask_for())] == [1]


def test_without_a_topology_there_are_none() -> None:
    nodes = TwoNodes(Scenario(stock=16))
    nodes.start()
    nodes.draw_both(0)
    refused = nodes.enc(routes=2)
    assert isinstance(refused, c.Refusal)
    assert refused.reason is c.Reason.ROUTE
    assert "kobe has no topology" in refused.what


def test_what_fails_for_a_while_is_no_cut_node() -> None:
    nodes = Ring(routes=2)
    del nodes.cores["kobe"]
    nodes.fill()
    nodes.wait(60.0)
    refused = nodes.ask_for()
    assert isinstance(refused, c.Refusal)
    assert (refused.reason, refused.cut_nodes) == (c.Reason.NO_KEY, ())
    nodes.start("kobe")
    nodes.fill(1)
    nodes.wait(30.0)
    assert [key.routes for key in keys_of(nodes.ask_for())] == [2]


# --- routes that fail, and nodes that betray --------------------------------------------------------------------------


def test_a_dead_route_stops_two_route_keys_and_the_other_one_keeps_its_stock() -> None:
    nodes = filled(nodes=(*RING, "nara"), routes=2)
    del nodes.cores["kobe"]
    given = [nodes.ask_for() for _ in range(16)]
    assert all(key.routes == 2 for answer in given for key in keys_of(answer))
    nodes.wait(60.0)
    assert reason_of(nodes.ask_for()) is c.Reason.NO_KEY
    assert nodes.pair_of().ready == 16  # over numazu: none of them is given, and no more are made
    assert "RELAY_FAILED" in nodes.alarms("odawara")
    nodes.start("kobe")
    nodes.fill(1)
    nodes.wait(30.0)
    assert nodes.pair_of().supplied_ready == 16
    last = [action for action in nodes.told["odawara"] if isinstance(action, (c.Raise, c.Clear))]
    assert isinstance(last[-1], c.Clear)
    assert [key.routes for key in keys_of(nodes.ask_for())] == [2]


def test_the_alarm_of_a_route_that_fails_lasts_while_the_other_one_works() -> None:
    nodes = filled(nodes=(*RING, "nara"))
    nodes.ask_for(routes=2)
    nodes.wait(3.0)
    del nodes.cores["kobe"]

    def use(times: int) -> list[type[c.Action]]:
        before = len(nodes.told["odawara"])
        for _ in range(times):
            keys_of(nodes.ask_for(number=4))
            nodes.wait(5.0)
        told = nodes.told["odawara"][before:]
        return [type(one) for one in told if isinstance(one, (c.Raise, c.Clear)) and one.code == "RELAY_FAILED"]

    assert use(12) == [c.Raise]
    over_numazu, nowhere = ("odawara", "numazu", "mishima"), ("odawara", "kyoto", "mishima")
    nodes.change("odawara", disjoint=lambda _end, _cost: RoutePair((over_numazu, nowhere)))
    assert use(4) == [c.Clear]


def test_stock_that_is_enough_over_two_routes_is_not_made_again_over_others() -> None:
    nodes = filled(routes=2)
    nodes.seen.clear()
    others = ("odawara", "numazu", "nara", "mishima"), ("odawara", "kobe", "kyoto", "mishima")
    nodes.change("odawara", disjoint=lambda _end, _cost: RoutePair(others))
    nodes.wait(10.0)
    assert not any(isinstance(body, Lease) for _, body in nodes.seen)
    keys_of(nodes.ask_for(number=4))
    nodes.wait(10.0)
    assert {body.route for _, body in nodes.seen if isinstance(body, Lease)} == set(others)


@pytest.mark.parametrize("bad", ["numazu", "kobe"])
def test_a_node_that_alters_its_half_is_found_and_the_other_half_is_not_given(
    bad: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    nodes = Ring(routes=2)
    transit: Any = nodes.cores[bad]._transit
    forward = transit.forward

    def substituted(exchange: int, before: object, relay: Relay, keys: KeyMaterial) -> object:
        return forward(exchange, before, relay, KeyMaterial(bytes(len(keys))))

    monkeypatch.setattr(transit, "forward", substituted)
    nodes.fill()
    nodes.wait(10.0)
    for name in FAR:
        assert "CONFIRM_FAILED" in nodes.alarms(name)
    assert reason_of(nodes.ask_for()) is c.Reason.NO_KEY
    assert nodes.supplied() == []
    assert nodes.pair_of().ready == 16
