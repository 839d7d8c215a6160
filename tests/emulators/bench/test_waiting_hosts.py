"""A draw is answered within the time that its host waits, whatever the time on the bench does."""

from __future__ import annotations

import time

import pytest

import tokaido.hal as hal
from tokaido.emulators import Bench
from tokaido_testing.patience import in_time, patient

FAMILIES = ("toshiba", "nec")


@pytest.mark.parametrize("family", FAMILIES)
def test_a_draw_ends_in_time_where_no_emulated_time_passes(family: str) -> None:
    with Bench() as bench:
        alice = bench.device("alice", f"{family}.transmitter", warm=True)
        with hal.Transmitter.open(f"{family}.transmitter", timeout=patient(0.5), **alice.resources) as tx:
            start = time.monotonic()
            assert list(tx.key_blocks(0.3)) == []
            assert in_time(start, 1.0)
