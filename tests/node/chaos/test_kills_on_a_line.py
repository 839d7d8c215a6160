"""Nodes of a line are killed at every named step of theirs: whatever is relayed over them stays right."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from tokaido_testing.chaos_killer import EACH, SITUATIONS, Killer
from tokaido_testing.chaos_line import LONG, ChaosLine, killed_while_connecting, seed
from tokaido_testing.chaos_steps import NOWHERE, STEPS, without

LINE = ("nagoya", "maibara", "kyoto", "osaka")
KILLS = 16
"""In the short form."""
WITHIN_S = 1500.0
AT_AN_END = NOWHERE | {
    "passed on": "nothing is relayed over it",
    "passed on out of a gap": "nothing is relayed over it",
}
IN_THE_MIDDLE = NOWHERE | dict.fromkeys(
    (
        *("EncKeys", "DecKeys", "Keys", "Refusal", "Undelivered", "undelivered", "delivered", "emptied", "forgotten"),
        *("started relay", "held keys", "ready", "supply", "supplied", "CONFIRM", "SUPPLY", "SUPPLIED"),
        *("burned", "dropped"),
    ),
    "it shares no keys with anybody, and serves no application",
)


@killed_while_connecting
@pytest.mark.thorough
@pytest.mark.timeout(3600)
def test_kills_at_every_step_of_every_node_of_a_line(tmp_path: Path) -> None:
    draws = random.Random(seed())
    end, middle = without(STEPS, AT_AN_END), without(STEPS, IN_THE_MIDDLE)
    steps = {node: end if node in (LINE[0], LINE[-1]) else middle for node in LINE}
    with ChaosLine(tmp_path, LINE, stock=48, answer_s=8.0, pace_s=0.1, block_bytes=12_000, odd=True) as line:
        for node in LINE:
            line.start(node)
        for node in LINE:
            line.wait_ready(node)
        line.start_applications(draws.getrandbits(32))
        line.wait_for_shared(20, within_s=60)
        killer = Killer(line, draws, steps)
        if LONG:
            killer.kill_all(SITUATIONS, WITHIN_S)
        while killer.died.total() < KILLS:
            killer.round()
        line.check()
        line.fill_stock()
        assert [line.end(node) for node in LINE] == [0] * len(LINE)
    line.check_accounts(restored=LONG)
    assert killer.unexpected() == []
    assert not LONG or killer.least >= EACH
    print(killer.conclusion())
