"""Two nodes in bad weather: they lose messages, die at every step, come back from copies, and no rule is broken.

A failure names its world: `World(seed=...)`. TOKAIDO_SEED sets the first seed.
"""

from __future__ import annotations

import os
from dataclasses import replace
from typing import Literal

import pytest

from tokaido.node.simulation import CALM, Chances, Observer, Scenario, World, campaign, network, restore_one

SEED = int(os.environ.get("TOKAIDO_SEED", "1"))


def test_in_calm_weather_every_application_gets_its_keys() -> None:
    world = World(SEED, chances=CALM, scenario=Scenario(block_every_s=0.4, stock=80))
    world.run_for(5.0)
    world.observer.seen.clear()
    world.run(2000)
    seen = world.observer.seen
    assert seen["enc"] > 100
    assert seen["dec"] > 100
    assert not {name for name in seen if name.startswith("EncKeys")}
    assert world.alarms == []


def test_blocks_are_used_up_and_destroyed_at_both_ends() -> None:
    world = World(SEED, chances=CALM, scenario=Scenario(block_every_s=1.5, request_every_s=0.03))
    world.run(4000)
    for node in world.nodes.values():
        assert len(node.stored) > 10
        assert len(node.store.blocks) < 0.7 * len(node.stored)


@pytest.mark.parametrize("seed", range(SEED, SEED + 2))
@pytest.mark.parametrize("confirms", [True, False])
def test_no_rule_is_broken_in_bad_weather(seed: int, confirms: bool) -> None:
    world = World(seed, chances=Chances(kill=0.001), scenario=Scenario(confirms=confirms))
    world.run(2500)
    assert world.observer.seen["dec"] > 30
    assert sum(world.killed.values()) > 1


@pytest.mark.parametrize(
    ("nodes", "closed"),
    [pytest.param(3, False, marks=pytest.mark.thorough), (5, False), pytest.param(6, True, marks=pytest.mark.thorough)],
)
def test_no_rule_is_broken_in_lines_and_a_ring(nodes: int, closed: bool) -> None:
    tally = campaign(SEED, 8_000, scenario=network(nodes, closed=closed), kill=0.0003, steps_each=4_000)
    last = (nodes // 2 if closed else nodes - 1) - 1
    assert tally.seen["relay, hop 0"] >= tally.seen["relay, hop 1"] > 10
    assert tally.seen[f"relay, hop {last}"] > 0
    assert tally.killed.total() > 0


@pytest.mark.parametrize(("routes", "two_routes"), [(1, 0.5), pytest.param(2, 0.0, marks=pytest.mark.thorough)])
def test_no_rule_is_broken_by_keys_of_two_routes_in_a_ring(routes: Literal[1, 2], two_routes: float) -> None:
    ring = replace(network(4, closed=True), routes=routes, two_routes=two_routes)
    tally = campaign(SEED, 10_000, scenario=ring, kill=0.0003, steps_each=5_000)
    assert tally.seen["key of two routes"] > 20
    assert tally.seen["restored"] == 2
    assert tally.killed.total() > 0


def test_on_a_line_nobody_gets_a_key_of_two_routes_and_all_are_told_the_cut_nodes() -> None:
    world = World(SEED, chances=CALM, scenario=replace(network(4), two_routes=0.5))
    world.run(4_000)
    seen = world.observer.seen
    assert seen["key of two routes"] == 0
    assert seen["enc"] > 10
    assert seen["cut nodes: odawara, shizuoka"] + seen["cut nodes: shizuoka, odawara"] == seen["EncKeys route"] > 10


def test_a_node_dies_at_every_step_that_has_a_name() -> None:
    tally = campaign(SEED + 100, 12_000, kill=0.0, kills_each=3, steps_each=6_000)
    assert {step for step, times in tally.reached.items() if times > 30 and tally.killed[step] < 3} == set()
    assert sum(tally.killed[step] >= 3 for step in tally.reached) > 60


@pytest.mark.thorough
@pytest.mark.timeout(600)
def test_no_rule_is_broken_in_a_long_campaign() -> None:
    tally = campaign(SEED + 1000, 150_000, kills_each=3)
    assert {step for step in tally.reached if tally.killed[step] < 3} == set()
    assert tally.noticed >= tally.worlds // 3  # one copy of three is some 13 s old, and HELLO goes every 5 s


@pytest.mark.parametrize("seed", range(SEED, SEED + 3))
def test_one_store_that_went_back_uses_no_pad_twice_and_both_ends_say_so(seed: int) -> None:
    world = World(seed)
    world.run(300)
    assert restore_one(world, 600)
    world.run(300)
    assert world.observer.seen["rollback"] >= 2


def test_two_stores_that_went_back_to_the_same_past_use_pads_twice_and_the_observer_sees_it() -> None:
    """No software can notice it: it shows that the observer is not blind."""
    observer = Observer(patient=True)
    world = World(SEED, observer=observer)
    world.run(500)
    copies = {name: world.copy(name) for name in world.nodes}
    world.run(300)
    for name, copy in copies.items():
        world.restore(name, copy)
    world.run(500)
    assert observer.broken["a pad is used once"] > 0


def test_the_same_seed_is_the_same_world() -> None:
    one, other = (World(SEED, chances=Chances(kill=0.002)) for _ in range(2))
    for world in (one, other):
        world.run(500)
    assert (one.now_s, one.reached, one.observer.seen) == (other.now_s, other.reached, other.observer.seen)


def test_a_broken_rule_names_its_world() -> None:
    world = World(SEED + 7, told_early=["granted mark"])
    with pytest.raises(AssertionError, match="durable before it is told") as caught:
        world.run(1000)
    assert any(f"World(seed={SEED + 7}) after" in note for note in caught.value.__notes__)
