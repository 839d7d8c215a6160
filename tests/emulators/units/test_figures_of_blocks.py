"""Figures of blocks belong to the session that made them: a new one does not tell the old one's."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

import tokaido.hal as hal
from tokaido.emulators.testing import LinkInTest, World
from tokaido_testing.bench import BLOCK_BITS
from tokaido_testing.pairs import FAMILIES, optics

if TYPE_CHECKING:
    from pathlib import Path

FIGURES = ("qber", "qber_check", "secret_key_rate", "reconciliation_efficiency", "ones_share")


@pytest.mark.parametrize("vendor", FAMILIES)
def test_no_figure_of_a_block_survives_its_session(vendor: str, tmp_path: Path) -> None:
    with World(seed=5, directory=tmp_path) as world:
        link = LinkInTest(world, vendor)
        world.bench.set_up("alice", "bob", optics(vendor), block_bits=BLOCK_BITS)
        link.wait_for(hal.UnitState.STANDBY)
        link.start()
        link.draw()
        for unit in link.units:
            told = unit.telemetry()
            for name in FIGURES:
                if name in told:
                    assert told[name].quality is hal.Quality.GOOD, name
        for unit in link.units:
            unit.stop()
            with pytest.raises(hal.NoDataError):
                _ = unit.secret_key_rate
        link.wait_for(hal.UnitState.STANDBY)
        link.start()
        while "-" in [unit.session() for unit in link.units]:
            world.clock.wait(0.05)
        for unit in link.units:
            told = unit.telemetry()
            for name in FIGURES:
                if name in told:
                    assert told[name].quality is hal.Quality.BAD, name
            with pytest.raises(hal.NoDataError):
                _ = unit.secret_key_rate
