"""What links give and why not, and where repeaters stand."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from tokaido.emulators.optics import link_rate, preset, protocol_preset
from tokaido.emulators.planning import (
    UnitClass,
    expected_block,
    plan_line,
    plan_links,
    reach_db,
    read_line,
    repeaters,
)
from tokaido.hal import RangeError
from tokaido_testing.lines import line_of, units

LINE = read_line(Path(__file__).parents[3] / "examples" / "tokaido-line" / "line.toml")


@pytest.mark.parametrize("name", ["nec-sspd", "t12", "boaron-2018", "dps-2007", "t12-even"])
@pytest.mark.parametrize("loss_db", [8.0, 15.0])
def test_units_without_an_emulation_give_what_link_rate_says(name: str, loss_db: float) -> None:
    parameters = protocol_preset(name, channel_loss_db=0.0)
    block = expected_block(UnitClass("u", name, "published", parameters), loss_db)
    rate = link_rate(protocol_preset(name, channel_loss_db=loss_db))
    assert (block.secret_bps, block.qber, block.block_s) == (rate.secret_bps, rate.qber_z, rate.block_s)
    assert (block.method, block.bound, block.eps) == (rate.method, rate.bound, rate.eps)
    twice = expected_block(UnitClass("u", name, "published", parameters, sub_channels=2), loss_db)
    assert (twice.secret_bps, twice.block_s) == (2 * rate.secret_bps, rate.block_s / 2)


def test_light_without_tolerance_gives_the_rate_of_equal_formulas() -> None:
    """The length of whole counts is that of expected ones, but for the rounding."""
    parameters = preset("nec-sspd", settings="short-block", channel_loss_db=0.0)
    rounded = expected_block(UnitClass("u", "nec-sspd", "short-block", parameters, intensity_tolerance=1e-12), 20.0)
    rate = link_rate(replace(parameters, channel_loss_db=20.0))
    assert rounded.secret_bps == pytest.approx(rate.secret_bps, rel=1e-3)
    tolerant = expected_block(UnitClass("u", "nec-sspd", "short-block", parameters, intensity_tolerance=0.05), 20.0)
    assert 0.8 * rate.secret_bps < tolerant.secret_bps < 0.95 * rate.secret_bps


def test_every_link_of_the_example_works_and_every_demand_is_met() -> None:
    plan = plan_line(LINE)
    assert plan.lacking == ()
    for link in plan.links.values():
        assert all(path.works for path in link.paths)
        assert link.path.fibre == link.link.fibres[0]
        assert link.repeaters is None
        assert 0 < link.path.block.block_s < 10
    shortest = min(plan.links.values(), key=lambda one: one.secret_bps)
    assert shortest.link.name == "shizuoka-hamamatsu"


def test_a_link_goes_on_over_its_next_fibre_when_the_first_is_dead() -> None:
    fibres = dict(LINE.fibres)
    fibres["nagoya-maibara-A"] = replace(fibres["nagoya-maibara-A"], dead=True)
    plan = plan_links(replace(LINE, fibres=fibres))["nagoya-maibara"]
    assert plan.paths[0].why == "the fibre is dead"
    assert plan.path.fibre == "nagoya-maibara-B"
    assert plan.path.loss_db == pytest.approx(20.4)
    assert plan.secret_bps == pytest.approx(plan.paths[1].block.secret_bps) != plan.paths[0].block.secret_bps
    fibres["nagoya-maibara-B"] = replace(fibres["nagoya-maibara-B"], dead=True)
    dead = plan_links(replace(LINE, fibres=fibres))["nagoya-maibara"]
    assert (dead.works, dead.secret_bps, dead.keys_per_s, dead.repeaters) == (False, 0.0, 0.0, None)


def test_a_link_near_the_end_of_its_reach_is_not_counted_and_one_beyond_gives_nothing() -> None:
    u = LINE.units["short-haul"]
    reach = reach_db(u)
    assert reach is not None
    assert expected_block(u, reach, 0.7).secret_bps > 0
    assert expected_block(u, reach + 0.01, 0.7).secret_bps == 0
    near, beyond = reach + 0.05, reach + 5
    line = line_of({"near": ("a", "b", (near,)), "beyond": ("b", "c", (beyond,))}, ())
    plans = plan_links(replace(line, units={"u": replace(u, name="u")}))
    assert expected_block(u, near).secret_bps > 0
    assert plans["near"].secret_bps == 0.0
    assert (
        plans["near"].path.why == f"too near to no key: under 70% of a block gives none, u units reach {reach:.1f} dB"
    )
    assert plans["beyond"].path.why == f"no key, u units reach {reach:.1f} dB"
    for plan in plans.values():
        assert plan.repeaters is not None
        assert len(plan.repeaters.positions_km) == 1


@pytest.mark.parametrize("length_km", [10.0, 80.0, 150.0, 333.3, 600.0, 1200.0])
@pytest.mark.parametrize("ends_db", [(0.0, 0.0), (1.0, 3.0)])
def test_repeaters_are_as_few_as_can_be_and_all_spans_lose_the_same(
    length_km: float, ends_db: tuple[float, float]
) -> None:
    u, per_km, extra = LINE.units["mid-haul"], 0.2, 1.0
    reach = reach_db(u)
    plan = repeaters(u, length_km, per_km, extra_db=extra, ends_db=ends_db)
    assert plan is not None
    assert reach is not None
    places = (0.0, *plan.positions_km, length_km)
    losses = [(there - here) * per_km + extra for here, there in pairwise(places)]
    losses[0] += ends_db[0]
    losses[-1] += ends_db[1]
    assert losses == pytest.approx([plan.span_db] * len(losses))
    assert max(losses) <= reach + 1e-6
    assert plan.secret_bps == expected_block(u, plan.span_db).secret_bps > 0
    # Greedily, each repeater as far as light reaches: nobody can do with fewer.
    count, lost = 0, ends_db[0] + extra
    for _ in range(round(length_km * 100)):
        lost += per_km / 100
        if lost > reach:
            count, lost = count + 1, extra + per_km / 100
    count += lost + ends_db[1] > reach
    assert len(plan.positions_km) == count


def test_no_number_of_repeaters_helps_where_connectors_eat_the_reach() -> None:
    u = LINE.units["short-haul"]
    assert repeaters(u, 100.0, 0.2, extra_db=16.0) is None
    assert repeaters(u, 100.0, 0.2, ends_db=(16.0, 0.0)) is None
    with pytest.raises(RangeError, match="length cannot be"):
        repeaters(u, math.inf, 0.2)


def test_the_reach_is_never_too_far_for_any_units() -> None:
    for u in (*LINE.units.values(), units()):
        reach = reach_db(u)
        assert reach is not None
        assert expected_block(u, reach, 0.7).secret_bps > 0
        assert expected_block(u, reach + 0.02, 0.7).secret_bps == 0
