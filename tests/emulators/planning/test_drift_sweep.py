"""Days of drift on a line: what links and demands come to."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from tokaido.emulators.optics import DriftSettings, Fibre, protocol_preset
from tokaido.emulators.planning import Demand, LinePlan, UnitClass, plan_line, reach_db, read_line, sweep_drift
from tokaido.emulators.planning._sweep import in_process
from tokaido.hal import RangeError
from tokaido_testing.lines import line_of, units

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from tokaido.emulators.planning._sweep import Chunk, SpanResult

EXAMPLE = plan_line(read_line(Path(__file__).parents[3] / "examples" / "tokaido-line" / "line.toml"))
STILL = DriftSettings(
    phase_walk_rad=0.0,
    temperature_swing_k=0.0,
    polarisation_jump_rate_hz=0.0,
    loss_sigma_db=0.0,
    room_swing_k=0.0,
    detector_sigma_k=0.0,
)
KEYS_BPS = 264.0
"""Bits of a link's key that a key of an application takes on a hop."""
CHAIN = {"one": ("a", "b", (10.0,)), "two": ("b", "c", (13.0,))}


def chain(*demands: Demand) -> LinePlan:
    return plan_line(line_of(CHAIN, demands))


def scripted(rates: Sequence[float | NDArray[np.float64]], gaps: Sequence[Sequence[slice]]) -> object:
    """Return who says of each link what rate in keys/s it has, and in which steps of 10 s it has none."""

    def work(chunks: Sequence[Chunk]) -> Iterable[Sequence[SpanResult]]:
        for results in in_process(chunks):
            told: list[SpanResult] = []
            for result, rate, dark in zip(results, rates, gaps, strict=True):
                keyed = np.ones(8640, bool)
                for steps in dark:
                    keyed[steps] = False
                bits = np.packbits(keyed[None], axis=1)
                told.append(replace(result, secret_bps=np.ones((1, 144)) * rate * KEYS_BPS, keyed=bits))
            yield told

    return work


def test_where_nothing_drifts_links_have_the_rate_of_the_plan_to_the_bit() -> None:
    found = sweep_drift(EXAMPLE, 1, drift=STILL)
    assert [link.name for link in found.links] == list(EXAMPLE.links)
    for link in found.links:
        plan = EXAMPLE.links[link.name]
        rate = link.secret_bps
        assert (rate.p5, rate.p50, rate.p95) == (plan.secret_bps,) * 3
        assert rate.mean == pytest.approx(plan.secret_bps, rel=1e-12)
        assert (rate.without_key, rate.longest_s, link.realignments_per_day) == (0.0, 0.0, 0.0)
        assert link.largest_qber == plan.path.block.qber
    for demand in found.demands:
        assert demand.keys_per_s.p50 >= demand.plan.granted.rate * (1 - 1e-9)
        assert demand.stock_s == pytest.approx(0.0, abs=1e-6)
    assert found.demands[0].keys_per_s.p50 == pytest.approx(EXAMPLE.demands[0].alone.rate)


def test_a_link_of_the_example_drifts_about_its_plan() -> None:
    found = {link.name: link for link in sweep_drift(EXAMPLE, 2).links}
    link = found["odawara-shizuoka"]
    assert link.secret_bps.p5 < EXAMPLE.links[link.name].secret_bps < link.secret_bps.p95
    # Those that mind polarisation have the errors of a sawtooth of 0.4 points on top, and give less in the mean.
    minds = found["osaka-kobe"]
    plan = EXAMPLE.links["osaka-kobe"]
    assert 0.85 * plan.secret_bps < minds.secret_bps.mean < 0.97 * plan.secret_bps
    assert plan.path.block.qber < (minds.largest_qber or 0.0) < 0.055


@pytest.mark.thorough
def test_the_same_seed_gives_the_same_and_links_do_not_disturb_each_other() -> None:
    plan = chain()
    one = sweep_drift(plan, 3, seed=5)
    assert sweep_drift(plan, 3, seed=5) == one
    assert sweep_drift(plan, 3, seed=6).links != one.links
    twins = sweep_drift(plan_line(line_of({"x": ("a", "b", (10.0,)), "y": ("a", "b", (10.0,))}, ())), 3)
    assert twins.links[0].secret_bps != twins.links[1].secret_bps
    alone = plan_line(line_of({"two": CHAIN["two"]}, ()))
    assert sweep_drift(alone, 3, seed=5).links == one.links[1:]


def test_a_dead_fibre_and_a_way_too_far_have_no_key_all_the_time() -> None:
    line = line_of({"one": ("a", "b", (90.0,)), "two": ("b", "c", (5.0,))}, (Demand(("a", "c"), 1.0),))
    line = replace(line, fibres={**line.fibres, "two-0": replace(line.fibres["two-0"], dead=True)})
    found = sweep_drift(plan_line(line), 2)
    for link in found.links:
        assert (link.secret_bps.mean, link.secret_bps.without_key, link.secret_bps.longest_s) == (0.0, 1.0, 172_800.0)
    assert found.links[1].largest_qber is None
    assert found.demands[0].keys_per_s.without_key == 1.0
    assert found.demands[0].stock_s is None


def test_a_link_that_is_too_near_to_no_key_for_the_plan_has_none_here() -> None:
    loss_db = (reach_db(units()) or 0.0) + 0.05
    plan = plan_line(line_of({"one": ("a", "b", (loss_db,))}, ()))
    assert plan.links["one"].path.block.secret_bps > 0
    (link,) = sweep_drift(plan, 1, drift=STILL).links
    assert (link.secret_bps.mean, link.secret_bps.without_key) == (0.0, 1.0)


def test_a_spread_has_the_percentiles_of_the_time() -> None:
    work = scripted((np.arange(144.0)[::-1], 1.0), ((), ()))
    rate = sweep_drift(chain(), 1, worker=work).links[0].secret_bps  # type: ignore[arg-type]
    assert (rate.p5, rate.p50, rate.p95, rate.mean) == pytest.approx(
        [KEYS_BPS * share * 143 for share in (0.05, 0.5, 0.95, 0.5)]
    )


def test_a_demand_has_key_while_all_its_hops_have_and_the_rate_of_the_narrowest() -> None:
    work = scripted((10.0, 6.0), ((slice(100, 200),), (slice(150, 250), slice(8000, 8010))))
    (found,) = sweep_drift(chain(Demand(("a", "c"), 4.0)), 1, worker=work).demands  # type: ignore[arg-type]
    rate = found.keys_per_s
    assert rate.longest_s == 1500.0
    assert rate.without_key == pytest.approx(160 / 8640)
    assert rate.p50 == pytest.approx(6.0)
    assert found.stock_s == pytest.approx(1500.0)


def test_the_stock_bridges_gaps_that_come_before_it_is_full_again() -> None:
    work = scripted((4.4, 50.0), ((slice(1000, 1100), slice(1150, 1250)), ()))
    (found,) = sweep_drift(chain(Demand(("a", "c"), 4.0)), 1, worker=work).demands  # type: ignore[arg-type]
    assert found.keys_per_s.longest_s == 1000.0
    assert found.stock_s == pytest.approx(1000 - 0.1 * 500 + 1000)  # 500 s of a tenth more than is wanted
    (more,) = sweep_drift(chain(Demand(("a", "c"), 4.5)), 1, worker=work).demands  # type: ignore[arg-type]
    assert more.stock_s is None


def test_a_demand_has_what_those_before_it_left() -> None:
    work = scripted((10.0, 6.0), ((), ()))
    demands = Demand(("a", "c"), 4.0), Demand(("b", "c"), 1.0), Demand(("a", "b"), 1.0)
    found = sweep_drift(chain(*demands), 1, worker=work).demands  # type: ignore[arg-type]
    assert [one.keys_per_s.p50 for one in found] == pytest.approx([6.0, 2.0, 6.0])


def test_two_routes_have_the_rate_of_the_narrower_one() -> None:
    links = {"ab": ("a", "b", (10.0,)), "bc": ("b", "c", (10.0,)), "ac": ("a", "c", (10.0,))}
    plan = plan_line(line_of(links, (Demand(("a", "c"), 1.0, 2),)))
    work = scripted((10.0, 6.0, 3.0), ((slice(0, 60),), (), (slice(60, 90),)))
    (found,) = sweep_drift(plan, 1, worker=work).demands  # type: ignore[arg-type]
    assert found.keys_per_s.p50 == pytest.approx(3.0)
    assert found.keys_per_s.longest_s == 900.0


def test_a_fibre_in_the_air_drifts_more() -> None:
    plan = chain()
    line = plan.line
    aerial = plan_line(replace(line, fibres={name: replace(one, drift="aerial") for name, one in line.fibres.items()}))
    buried, windy = sweep_drift(plan, 1), sweep_drift(aerial, 1)
    assert windy.links[0].realignments_per_day > 20 + buried.links[0].realignments_per_day
    assert windy.links[0].secret_bps.without_key > buried.links[0].secret_bps.without_key


@pytest.mark.thorough
def test_units_without_blocks_or_decoys_drift_too() -> None:
    for name in ("dps-2007", "boaron-2018", "gys"):
        own = UnitClass("u", name, "published", protocol_preset(name, channel_loss_db=0.0))
        plan = plan_line(replace(line_of({"one": ("a", "b", (8.0,))}, ()), units={"u": own}))
        still, (link,) = sweep_drift(plan, 1, drift=STILL).links[0], sweep_drift(plan, 1).links
        assert still.secret_bps.p50 == plan.links["one"].secret_bps
        assert link.secret_bps.p95 > link.secret_bps.p5 > 0


def test_a_short_way_that_gains_light_does_not_lose_less_than_nothing() -> None:
    line = line_of({"one": ("a", "b", (0.0,))}, ())
    line = replace(line, fibres={"one-0": replace(line.fibres["one-0"], fibre=Fibre(length_km=1.0, loss_db=0.01))})
    (link,) = sweep_drift(plan_line(line), 1).links
    assert link.secret_bps.p95 > 0


def test_no_days_are_refused() -> None:
    with pytest.raises(RangeError, match="0 days"):
        sweep_drift(chain(), 0)
