"""Each rule of key custody is broken on purpose, and the observer of the simulated nodes sees what comes of it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING
from unittest.mock import patch

import pytest

from tokaido.node.core import Keys, NodeCore, Reason, Refusal
from tokaido.node.core import _deliveries as deliveries
from tokaido.node.core import _grants as grants
from tokaido.node.core import _supplies as supplies
from tokaido.node.core import _two_routes as two_routes
from tokaido.node.messages import Supplied
from tokaido.node.simulation import Chances, Observer, Scenario, World
from tokaido_testing.nodes import TwoNodes, keys_of, reason_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from tokaido.node.core._shelf import StockBatch

SEEDS = 12
TWO_ROUTES = Scenario(nodes=("kobe", "nara", "osaka"), closed=True, routes=2, block_every_s=0.5)
THREE = Scenario(nodes=("kobe", "nara", "osaka"), block_every_s=0.5)


def broken(
    rule: str,
    *,
    told_early: Collection[str] = (),
    believes_supplied: bool = False,
    restored: bool = False,
    both_die: bool = False,
    scenario: Scenario | None = None,
) -> bool:
    """Whether a rule is broken in one of some short lives, with or without a node that is restored from a copy."""
    for seed in range(SEEDS):
        observer = Observer(patient=True)
        world = World(
            seed,
            scenario=scenario,
            chances=Chances(kill=0.002),
            observer=observer,
            told_early=told_early,
            believes_supplied=believes_supplied,
        )
        for _ in range(6):
            copies = {name: world.copy(name) for name in world.nodes}
            world.run(150)
            if restored:
                name = ("kobe", "osaka")[seed % 2]
                if both_die:
                    (other,) = world.nodes[name].settings.neighbours
                    world.kill(world.nodes[other])
                world.restore(name, copies[name])
            world.run(150)
            if observer.broken[rule]:
                return True
    return False


def test_no_rule_is_broken_when_none_is_broken_on_purpose() -> None:
    observer = Observer(patient=True)
    world = World(1, chances=Chances(kill=0.002), observer=observer)
    copy = world.copy("osaka")
    world.run(600)
    world.restore("osaka", copy)
    world.run(600)
    assert not observer.broken


@pytest.mark.parametrize(
    ("told_early", "rule"),
    [
        ("block", "a block is durable before its source erases it"),
        ("granted mark", "a granted mark is durable before it is told"),
        ("started relay", "a relay is durable before it is sent"),
        ("held keys", "keys are held durably before RELAYED"),
        ("supply", "keys leave the stock durably before SUPPLY"),
        ("supplied", "a supply is durable before SUPPLIED"),
        ("delivered", "a delivery is durable before the key leaves"),
        ("passed on", "a passed mark is durable before a relay goes on"),
    ],
)
def test_what_is_to_be_durable_first(told_early: str, rule: str) -> None:
    assert broken(rule, told_early=[told_early], scenario=THREE if told_early == "passed on" else None)


def test_an_own_mark_is_durable_before_its_range_is_used() -> None:
    """A relay is durable before it is sent, too, and commits keep their order: both rules have to fall."""
    early = ["own mark", "started relay"]
    assert broken("an own mark is durable before its range is used", told_early=early)
    assert broken("a pad is used once", told_early=early, restored=True, both_die=True)


def test_a_granted_mark_that_is_lost_uses_pads_twice() -> None:
    assert broken("a pad is used once", told_early=["granted mark"], restored=True, both_die=True)


def test_a_range_begins_at_the_higher_of_both_marks() -> None:
    with patch.object(grants, "first_free", lambda mark, _granted: mark):
        assert broken("a pad is used once", restored=True)
    with patch.object(grants, "first_free", lambda _mark, granted: granted):
        assert broken("a core asks its store for what is there", restored=True)  # the store has destroyed it


def test_a_supply_is_known_at_the_other_end_before_its_master_gets_it() -> None:
    assert broken("a supply is known at the other end before its master gets it", believes_supplied=True)


def test_what_a_master_was_refused_is_burned_at_the_other_end() -> None:
    def fetched() -> Keys | Refusal:
        nodes = TwoNodes()
        nodes.start()
        nodes.draw_both(0)
        nodes.between = lambda _, envelope: None if isinstance(envelope.body, Supplied) else envelope
        assert reason_of(nodes.enc()) is Reason.PEER_SILENT
        ids = tuple(nodes.stores["osaka"].supplies)
        assert len(ids) == 1
        nodes.wait(6.0)
        return nodes.dec(ids)

    assert reason_of(fetched()) is Reason.NOT_FOUND
    with patch.object(deliveries.Deliveries, "heard_dead", lambda *_: None):
        keys_of(fetched())


def test_pair_keys_are_burned_when_a_store_went_back() -> None:
    with patch.object(NodeCore, "_burn", lambda *_: None):
        assert broken("no key is delivered after it was burned", restored=True)


def test_nothing_stored_is_supplied_before_the_neighbour_was_heard() -> None:
    nodes = TwoNodes()
    nodes.start()
    nodes.draw_both(0)
    ids = tuple(key.key_id for key in keys_of(nodes.enc()))
    copy = nodes.stores["osaka"].copy()
    keys_of(nodes.dec(ids))
    nodes.stores["osaka"] = copy
    nodes.between = lambda *_: None
    nodes.start("osaka")
    assert reason_of(nodes.dec(ids)) is Reason.STARTING
    with patch.object(deliveries.Deliveries, "_is_believed", lambda *_: True):
        keys_of(nodes.dec(ids))  # a second time


def _any_two(batches: Iterable[StockBatch], wanted: int) -> tuple[list[StockBatch], ...]:
    """Return two batches that have so many keys, whichever way they went."""
    found = [[batch] for batch in batches if batch.free >= wanted]
    return tuple(found[:2]) if len(found) > 1 else ()


def _one(batches: Iterable[StockBatch], wanted: int) -> tuple[list[StockBatch], ...]:
    """Return batches of one side alone."""
    found = two_routes.enough(batches, wanted)
    return (found,) if found else ()


@pytest.mark.thorough
def test_two_routes_are_apart_and_each_end_alone_sees_to_it() -> None:
    rule = "no node in the middle sees both keys of which one of two routes is the sum"
    with patch.object(supplies, "two_sides", _any_two):
        assert not broken(rule, scenario=TWO_ROUTES)
        with patch.object(deliveries, "apart", lambda *_: True):
            assert broken(rule, scenario=TWO_ROUTES)


@pytest.mark.thorough
def test_who_asks_for_two_routes_is_not_given_one() -> None:
    rule = "an application that asks for keys of two routes gets none of one"
    with patch.object(supplies, "two_sides", _one):
        assert not broken(rule, scenario=TWO_ROUTES)  # the peer's own file says so, too
        assert broken(rule, scenario=replace(TWO_ROUTES, routes=1, two_routes=0.5))


def test_both_ends_add_the_same_two_keys() -> None:
    with patch.object(deliveries, "added", lambda one, _other: one):
        assert broken("both ends have the same key", scenario=TWO_ROUTES)
    with patch.object(deliveries, "added", lambda one, _: one), patch.object(supplies, "added", lambda one, _: one):
        assert broken("both ends have the same key", scenario=TWO_ROUTES)
