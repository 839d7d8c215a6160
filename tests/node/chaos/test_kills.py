"""Nodes are killed at every named step, and their applications never notice more than a refusal."""

from __future__ import annotations

import random
import time
from pathlib import Path

import pytest

from tokaido_testing.chaos_killer import EACH, SITUATIONS, Killer
from tokaido_testing.chaos_line import LONG, NODES, ChaosLine, killed_while_connecting, seed
from tokaido_testing.chaos_steps import NOWHERE, STEPS, without

KILLS = 50
"""In the short form."""
WITHIN_S = 1200.0
NOT_HERE = NOWHERE | {
    "passed on": "nothing is relayed over it",
    "passed on out of a gap": "nothing is relayed over it",
    "LEASE": "a way of one hop needs none",
    "LEASED": "a way of one hop needs none",
    "CONFIRM": "no relay in between could alter a key",
    "burned confirm": "no relay in between could alter a key",
    "dropped confirm": "no relay in between could alter a key",
}
TOLD_S = 7.0
"""Longer than it takes until a node has told its neighbour how far its store is."""


@killed_while_connecting
@pytest.mark.thorough
@pytest.mark.timeout(3600)
def test_kills_at_every_step_reuse_no_pad_and_deliver_equal_keys(tmp_path: Path) -> None:
    draws = random.Random(seed())
    steps = {node: without(STEPS, NOT_HERE) for node in NODES}
    with ChaosLine(tmp_path, stock=48, answer_s=8.0, pace_s=0.1, block_bytes=12_000, odd=True) as pair:
        for node in NODES:
            pair.start(node)
        for node in NODES:
            pair.wait_ready(node)
        pair.start_applications(draws.getrandbits(32))
        pair.wait_for_shared(50, within_s=30)
        killer = Killer(pair, draws, steps)
        if LONG:
            killer.kill_all(SITUATIONS, WITHIN_S)
        while killer.died.total() < KILLS:
            killer.round()
        pair.check()
        pair.fill_stock()
        assert [pair.end(node) for node in NODES] == [0, 0]
    pair.check_accounts(restored=LONG)
    assert killer.unexpected() == []
    assert not LONG or killer.least >= EACH
    print(killer.conclusion())


@killed_while_connecting
@pytest.mark.thorough
@pytest.mark.timeout(300)
@pytest.mark.parametrize("restored", [1, 2])
def test_one_store_that_is_restored_reuses_nothing_and_two_of_them_do(tmp_path: Path, restored: int) -> None:
    draws = random.Random(seed())
    with ChaosLine(tmp_path) as pair:
        for node in NODES:
            pair.start(node)
        pair.start_applications(draws.getrandbits(32))
        pair.wait_for_shared(30, within_s=30)
        assert [pair.end(node) for node in NODES] == [0, 0]
        for node in NODES:
            pair.copy_store(node)
        for node in NODES:
            pair.start(node)
        begun = time.monotonic()
        pair.wait_for_shared(60, within_s=30)
        while (
            time.monotonic() - begun < TOLD_S
        ):  # a store that goes back by less is not noticed: docs/protocols/node.md
            time.sleep(0.1)
        assert [pair.end(node) for node in NODES] == [0, 0]
        for node in NODES[:restored]:
            pair.restore_store(node)
        for node in NODES:
            pair.start(node)
        pair.wait_for_shared(40, within_s=30)
        for node in NODES:
            pair.kill(node)
        if restored == 1:
            pair.check()
            for node in NODES:
                assert "STORE_ROLLBACK" in (tmp_path / f"log-{node}").read_text()
        else:
            assert pair.reused(), "the observer is blind"
