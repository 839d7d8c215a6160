"""Plans beside the running emulation: units of every kind on a link of the example, in stepped time."""

from __future__ import annotations

import os
import statistics
from itertools import pairwise
from pathlib import Path

import pytest

import tokaido.hal as hal
from tokaido.emulators import Bench, SteppedClock
from tokaido.emulators.planning import plan_links, read_line

LINE = read_line(Path(__file__).parents[3] / "examples" / "tokaido-line" / "line.toml")
PLANS = plan_links(LINE)
BLOCKS = 10
SLOW = pytest.mark.skipif(os.environ.get("TOKAIDO_CHAOS") != "long", reason="a minute each: `make chaos` runs them")
RECEIVERS = {"nec-apd": {"detectors": "avalanche"}}


@pytest.mark.thorough
@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    "name",
    [
        "odawara-shizuoka",
        "otemachi-koganei",
        pytest.param("hamamatsu-nagoya", marks=SLOW),
        pytest.param("nagoya-maibara", marks=SLOW),
        pytest.param("shizuoka-hamamatsu", marks=SLOW),
    ],
)
def test_a_running_link_gives_what_the_plan_says(name: str) -> None:
    plan, clock = PLANS[name], SteppedClock()
    units = LINE.units[plan.link.units]
    drivers = f"{units.vendor}.transmitter", f"{units.vendor}.receiver"
    with Bench(seed=1, speed=1.0, clock=clock) as bench:
        bench.device("alice", drivers[0], warm=True)
        bench.device("bob", drivers[1], warm=True, model_options=RECEIVERS.get(units.preset))
        bench.fibre("f", length_km=plan.path.length_km, loss_db=plan.path.loss_db)
        bench.join("alice", "f.a", 0.0)
        bench.join("f.b", "bob", 0.0)
        parameters = units.over(plan.path.loss_db)
        bench.set_up("alice", "bob", parameters, block_bits=units.block_bits)  # type: ignore[arg-type]
        bench.preshared_key("alice", "bob", load=True)
        bench.start()
        with (
            hal.Transmitter.open(drivers[0], clock=clock, timeout=60, **bench.devices["alice"].resources) as alice,
            hal.Receiver.open(drivers[1], clock=clock, timeout=60, **bench.devices["bob"].resources) as bob,
        ):
            for unit in (alice, bob):
                unit.wait_for(hal.UnitState.STANDBY, timeout=300)
            for unit in (alice, bob):
                unit.start()
            for unit in (alice, bob):
                unit.wait_for(hal.UnitState.RUN, timeout=600)
            bits: list[int] = []
            times: list[float] = []
            for block in alice.key_blocks(20 * plan.path.block.block_s + 120, limit=BLOCKS):
                bits.append(block.info.bits)
                times.append(clock.monotonic_ns() / hal.NS_PER_S)
                block.commit()
    assert len(bits) == BLOCKS
    # The first block is planned by few detections, and now and then a unit aligns in between.
    took_s = statistics.median(there - here for here, there in pairwise(times))
    measured = statistics.mean(bits[1:]) / took_s
    assert measured == pytest.approx(plan.secret_bps, rel=0.1)
