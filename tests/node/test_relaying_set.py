"""A node that was told to relay no more: it starts no relay and takes none, supplies from stock, and goes on later."""

from __future__ import annotations

import pytest

import tokaido.node.core as c
from tokaido.node.simulation import Scenario
from tokaido_testing.nodes import TwoNodes, keys_of, pair, stocked


def relays(nodes: TwoNodes, name: str) -> int:
    return nodes.cores[name].status().pairs["osaka" if name == "kobe" else "kobe"].counters.get("born", 0)


def test_it_supplies_from_stock_and_starts_no_relay() -> None:
    nodes = stocked(Scenario(stock=16))
    nodes.do("kobe", c.RelayingSet(False))
    assert not nodes.cores["kobe"].status().relaying
    before = relays(nodes, "kobe")
    assert len(keys_of(nodes.enc(number=8))) == 8
    nodes.wait(30.0)
    assert relays(nodes, "kobe") == before
    nodes.do("kobe", c.RelayingSet(True))
    assert relays(nodes, "kobe") > before
    assert pair(nodes, "kobe").ready >= 12


def test_it_takes_no_relay_of_its_neighbour() -> None:
    nodes = stocked(Scenario(stock=16))
    nodes.do("kobe", c.RelayingSet(False))
    held, ready = pair(nodes, "kobe").held, pair(nodes, "osaka").ready
    keys_of(nodes.enc("osaka", slaves=("kobe-1",), number=8))
    nodes.wait(5.0)
    assert pair(nodes, "kobe").held <= held
    assert pair(nodes, "osaka").ready == ready - 8
    burned = pair(nodes, "osaka").counters.get("burned:refused", 0)
    nodes.wait(60.0)
    assert pair(nodes, "osaka").counters.get("burned:refused", 0) == burned, "it is granted nothing that it could burn"
    nodes.do("kobe", c.RelayingSet(True))
    nodes.wait(5.0)
    assert pair(nodes, "osaka").ready > ready - 8


@pytest.mark.parametrize("on", [True, False])
def test_it_draws_blocks_all_the_same(on: bool) -> None:
    nodes = stocked()
    nodes.do("kobe", c.RelayingSet(on))
    before = nodes.cores["kobe"].status().links["kobe-osaka"].drawn
    nodes.draw_both(1)
    status = nodes.cores["kobe"].status().links["kobe-osaka"]
    assert status.drawn > before
    assert status.adds_up
