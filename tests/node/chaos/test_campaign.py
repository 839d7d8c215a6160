"""The core of two nodes, step by step: lost, late and repeated messages, kills, and a store that is put back."""

from __future__ import annotations

import os
import secrets

import pytest

from tokaido.node.simulation import campaign

LONG = os.environ.get("TOKAIDO_CHAOS") == "long"
STEPS = 1_000_000 if LONG else 5_000


@pytest.mark.timeout(3600)
def test_no_pad_is_used_twice_and_counters_add_up_at_every_step() -> None:
    seed = int(os.environ.get("TOKAIDO_CHAOS_SEED") or secrets.randbits(32))
    told = campaign(seed, STEPS, kills_each=3 if LONG else 0)
    print(f"TOKAIDO_CHAOS_SEED={seed}: {told.steps} steps in {told.worlds} worlds, {told.seen['relay']} relays,")
    print(f"{told.killed.total()} deaths at {len(told.killed)} named steps, {told.seen['restored']} stores put back")
