"""The cores of nodes, step by step: lost, late and repeated messages, kills, and a store that is put back."""

from __future__ import annotations

import os
import secrets
from dataclasses import replace

import pytest

from tokaido.node.simulation import Chances, Tally, campaign, network

LONG = os.environ.get("TOKAIDO_CHAOS") == "long"
SEED = int(os.environ.get("TOKAIDO_CHAOS_SEED") or secrets.randbits(32))
FAIR = Chances(lost=0.004, late=0.004)
"""A route of many hops needs many messages, one after the other."""
STEPS_A_NODE = 30_000
"""In a long form: a line of 12 needs many more steps than one of 3 until a relay is through."""
LINES = range(3, 13) if LONG else (4,)


def tell(what: str, told: Tally) -> None:
    print(f"TOKAIDO_CHAOS_SEED={SEED}, {what}: {told.steps} steps in {told.worlds} worlds,")
    print(f"{told.seen['relay']} messages of relays, {told.seen['relayed']} relays held at their end,")
    print(f"{told.killed.total()} deaths at {len(told.killed)} named steps, {told.seen['restored']} stores put back")


@pytest.mark.timeout(3600)
def test_no_pad_is_used_twice_and_counters_add_up_at_every_step() -> None:
    tell("two nodes", campaign(SEED, 1_000_000 if LONG else 5_000, kills_each=3 if LONG else 0))


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("nodes", LINES)
def test_no_pad_is_used_twice_on_a_line_of_nodes(nodes: int) -> None:
    steps, kills_each = (STEPS_A_NODE * nodes, 3) if LONG else (3_000, 0)
    told = campaign(
        SEED,
        steps,
        scenario=network(nodes),
        chances=FAIR,
        kill=0.0002,
        kills_each=kills_each,
        steps_each=max(10_000, STEPS_A_NODE * nodes // 10),
    )
    tell(f"a line of {nodes}", told)
    assert not LONG or told.seen["relayed"] > 20


@pytest.mark.timeout(3600)
def test_no_pad_is_used_twice_on_a_ring_of_nodes() -> None:
    steps, kills_each = (100_000, 3) if LONG else (3_000, 0)
    ring = network(8, closed=True)
    tell("a ring of 8", campaign(SEED, steps, scenario=ring, chances=FAIR, kill=0.0002, kills_each=kills_each))


@pytest.mark.timeout(3600)
def test_no_key_of_two_routes_is_seen_whole_by_a_node_in_the_middle() -> None:
    steps, kills_each = (150_000, 3) if LONG else (3_000, 0)
    ring = replace(network(4, closed=True), two_routes=0.5)
    told = campaign(SEED, steps, scenario=ring, chances=FAIR, kill=0.0002, kills_each=kills_each)
    tell(f"a ring of 4, {told.seen['key of two routes']} keys of two routes given", told)
    assert not LONG or told.seen["key of two routes"] > 100
