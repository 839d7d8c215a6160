"""A day of link life: it agrees with events and formulas, and with what units do about their figures."""

from __future__ import annotations

import math
import random
import tracemalloc
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from numpy.typing import NDArray

from tokaido.emulators.distillation import _settings
from tokaido.emulators.optics import (
    Conditions,
    DayOfLink,
    DriftSettings,
    LinkParameters,
    LoopSettings,
    QuantumChannel,
    expected_counts,
    expected_gains,
    link_rate,
    preset,
    simulate_day,
)
from tokaido.emulators.optics import _day as day_module
from tokaido.emulators.optics._block_keys import DayMethod
from tokaido.emulators.optics._expectation import Met, expected_rates
from tokaido.emulators.toshiba import ReceiverModel
from tokaido.emulators.units import _blocks, _states, _unit

LINK = preset("t12", settings="short-block", channel_loss_db=14.5)
STILL = DriftSettings(
    phase_sigma_rad=0.0,
    phase_walk_rad=0.0,
    temperature_swing_k=0.0,
    polarisation_jump_rate_hz=0.0,
    loss_sigma_db=0.0,
    room_swing_k=0.0,
    detector_sigma_k=0.0,
)
SECONDS = 3


def met(transmission: float = 1.0, visibility: float = 1.0, dark_count_scale: float = 1.0) -> Met:
    return Met(np.array([transmission]), np.array([visibility]), np.array([dark_count_scale]))


def events(conditions: Conditions) -> NDArray[np.float64]:
    """Return the sifted counts of event-by-event emulation: basis, detections and errors, intensity."""
    channel = QuantumChannel(LINK, physics=np.random.default_rng(11), secret=random.Random(11).randbytes)
    counts = np.zeros((2, 2, 3))
    for _ in range(SECONDS * 20):
        exposure = channel.expose(50_000_000, conditions)
        sent, received = exposure.transmitter, exposure.receiver
        for basis in (0, 1):
            both = (sent.basis == basis) & (received.basis == basis)
            wrong = both & (sent.bit != received.bit)
            for row, chosen in ((0, both), (1, wrong)):
                counts[basis, row] += np.bincount(sent.intensity[chosen], minlength=3)
    return counts


# --- agreement ------------------------------------------------------------------------------------------------------


def test_rates_are_those_of_the_formulas() -> None:
    for params in (LINK, preset("nec-sspd", channel_loss_db=22.8), replace(LINK, dead_time_s=100e-9)):
        expected, rates = expected_gains(params), expected_rates(params, met())
        assert rates.clicks[0] == pytest.approx(np.array(expected.gains) * expected.live, rel=1e-9)
        assert rates.errors_key[0] == pytest.approx(expected.error_rates_key, rel=1e-9)
        assert rates.errors_check[0] == pytest.approx(expected.error_rates_check, rel=1e-9)


@pytest.mark.parametrize(
    ("conditions", "seen"),
    [
        (Conditions(), met()),
        (
            Conditions(
                extra_loss_db=0.4,
                phase_error_rad=0.2,
                polarisation_error_rad=0.1,
                delay_offset_ps=30.0,
                dark_count_scale=2.0,
            ),
            met(10**-0.04 * 2 ** (-4 * (30 / 150) ** 2), math.cos(0.2) * math.cos(0.2), 2.0),
        ),
    ],
    ids=["in order", "out of order"],
)
def test_expected_counts_are_those_of_event_by_event_emulation(conditions: Conditions, seen: Met) -> None:
    rates = expected_rates(LINK, seen)
    pulses = SECONDS * 1e9
    p_a, p_b = LINK.key_basis_probability_transmitter, LINK.key_basis_probability_receiver
    counts = events(conditions)
    for basis, sifting, wrong in ((0, p_a * p_b, rates.errors_key), (1, (1 - p_a) * (1 - p_b), rates.errors_check)):
        detections = pulses * sifting * rates.clicks[0] * LINK.probabilities
        for found, expected in ((counts[basis, 0], detections), (counts[basis, 1], detections * wrong[0])):
            assert np.all(np.abs(found - expected) < 4 * np.sqrt(expected))


def test_a_still_day_gives_what_events_give() -> None:
    day = simulate_day(LINK, drift=STILL, seconds=60, seed=2)
    counts = events(Conditions())
    sifted = counts[0, 0].sum() / SECONDS
    assert day.sifted_key_rate.mean() == pytest.approx(sifted, abs=4 * math.sqrt(sifted / SECONDS))
    for found, basis in ((day.qber_z, 0), (day.qber_x, 1)):
        n, wrong = counts[basis].sum(axis=1)
        assert found.mean() == pytest.approx(wrong / n, abs=4 * math.sqrt(wrong * (1 + 1 / 20)) / n)


def test_counts_of_a_still_day_scatter_as_counts_do() -> None:
    day = simulate_day(LINK, drift=STILL, seconds=1000, pulses_per_block=1e9, seed=3)
    sifted = np.array([block.sifted_bits for block in day.blocks])
    expected = sum(expected_counts(LINK, 1e9)[0].detections)
    assert sifted.size == 1000
    assert sifted.mean() == pytest.approx(expected, abs=4 * math.sqrt(expected / 1000))
    assert sifted.std() == pytest.approx(math.sqrt(expected), rel=4 / math.sqrt(2 * 1000))
    wrong = np.array([block.qber_z for block in day.blocks]) * sifted
    assert wrong.std() == pytest.approx(math.sqrt(wrong.mean()), rel=4 / math.sqrt(2 * 1000))


@pytest.mark.parametrize("method", ["lim", "lucamarini"])
def test_keys_of_a_still_day_are_those_of_the_analysis_that_it_names(method: DayMethod) -> None:
    params = replace(LINK, channel_loss_db=10.0)
    day = simulate_day(params, drift=STILL, seconds=1200, pulses_per_block=1e11, method=method, seed=4)
    rate = link_rate(params, method=method, pulses=1e11)
    attacks = {"lim": "general attacks", "lucamarini": "collective attacks"}[method]
    assert day.secure_against == day.blocks[0].key.secure_against == attacks
    assert day.method == day.blocks[0].key.method == {"lim": "lim2014", "lucamarini": "lucamarini2013"}[method]
    assert day.bound == rate.bound
    assert day.eps == pytest.approx(rate.eps)
    assert len(day.blocks) == 12
    assert day.sifted_key_rate.mean() == pytest.approx(rate.sifted_bps, rel=1e-3)
    assert day.secret_bits / day.seconds == pytest.approx(rate.secret_bps, rel=0.01)
    assert float(day.secret_key_rate.sum()) * day.step_s == pytest.approx(day.secret_bits)


def test_a_block_is_as_long_as_the_parameters_say() -> None:
    day = simulate_day(preset("t12", channel_loss_db=10.0), drift="calm", seconds=2400)
    assert [block.end_s - block.begin_s for block in day.blocks] == [1200, 1200]
    assert day.pulses_per_block == 1.2e12


def test_the_size_of_steps_does_not_matter() -> None:
    days = [simulate_day(LINK, drift="calm", seconds=1800, step_s=step_s, seed=5) for step_s in (0.5, 5.0)]
    fine, coarse = days
    assert fine.seconds == coarse.seconds
    assert fine.sifted_key_rate.mean() == pytest.approx(coarse.sifted_key_rate.mean(), rel=0.01)
    assert fine.qber_z.mean() == pytest.approx(coarse.qber_z.mean(), rel=0.01)


def test_a_day_repeats_by_its_seed() -> None:
    one, two, other = (simulate_day(LINK, seconds=600, seed=seed) for seed in (1, 1, 2))
    assert np.array_equal(one.sifted_key_rate, two.sifted_key_rate)
    assert not np.array_equal(one.sifted_key_rate, other.sifted_key_rate)


# --- what units do about it -------------------------------------------------------------------------------------------


def test_limits_are_those_of_the_units() -> None:
    assert (day_module.QBER_HIGH, day_module.QBER_FINE) == (_blocks.QBER_HIGH, _blocks.QBER_FINE)
    assert day_module.DEGRADED_S == _states.DEGRADED_S
    assert day_module.QBER_ABORT == _settings.QBER_ABORT
    assert LoopSettings().track_every_s == _unit.SERVO_EVERY_S
    day = simulate_day(LINK, drift=FAST, seconds=600, seed=1)
    assert spells(day)["REALIGN"][0] == sum(ReceiverModel.ALIGNMENT.values())


FAST = replace(STILL, temperature_swing_k=80.0, surface_swing_k=0.0)
"""Faster than delay scans follow: 6.1 ps/s at midnight, 122 ps from scan to scan."""


def spells(day: DayOfLink) -> dict[str, list[float]]:
    """Return how long each stay in a state was, in s."""
    edges = [0, *(np.flatnonzero(day.state[1:] != day.state[:-1]) + 1), day.state.size]
    found: dict[str, list[float]] = {}
    for begin, end in pairwise(edges):
        found.setdefault(str(day.state[begin]), []).append((end - begin) * day.step_s)
    return found


def test_a_link_that_loses_its_gates_degrades_realigns_and_makes_keys_again() -> None:
    params = replace(LINK, channel_loss_db=8.0, dark_count_probability=0.0, afterpulse_probability=0.0)
    day = simulate_day(params, drift=FAST, seconds=600, pulses_per_block=1e10, seed=1)
    found = spells(day)
    assert set(found) == {"RUN", "DEGRADED", "REALIGN"}
    assert found["DEGRADED"][:3] == [30.0] * 3
    assert len(found["REALIGN"]) > 3
    codes = [alarm.code for alarm in day.alarms]
    assert codes.count("RATE_LOW") > 3
    for alarm in day.alarms:
        assert 0 < alarm.begin_s < alarm.end_s <= 600
        assert not alarm.lasts or alarm.end_s == 600
    realigning = day.state == "REALIGN"
    assert not day.sifted_key_rate[realigning].any()
    assert np.isnan(day.qber_z[realigning]).all()
    for block in day.blocks:
        assert not realigning[int(block.begin_s) : int(block.end_s)].any()
    late = [block for block in day.blocks if block.begin_s > 100]
    assert max(block.key.bits for block in late) > 0


def test_slow_drift_of_the_same_kind_does_nothing() -> None:
    day = simulate_day(LINK, drift=replace(FAST, temperature_swing_k=2.0), seconds=1200, seed=1)
    assert (day.share("RUN"), day.alarms) == (1.0, ())
    assert np.abs(day.delay_offset_ps).max() < 5


def test_wind_costs_key_and_a_planar_receiver_does_not_mind_it() -> None:
    seconds = 1.2 * 3600
    calm = simulate_day(LINK, drift="calm", seconds=seconds, seed=7)
    aerial = simulate_day(LINK, drift="aerial", seconds=seconds, seed=7)
    planar = simulate_day(LINK, drift="aerial", loops=LoopSettings(polarisation=False), seconds=seconds, seed=7)
    assert calm.alarms == ()
    assert "QBER_HIGH" in {alarm.code for alarm in aerial.alarms}
    assert aerial.share("REALIGN") > 0.02
    assert planar.share("REALIGN") < 0.3 * aerial.share("REALIGN")  # gates at the end of their range
    assert aerial.secret_bits < 0.95 * planar.secret_bits


def test_errors_beyond_the_limit_abort_the_block() -> None:
    day = simulate_day(LINK, drift=replace(STILL, phase_walk_rad=10.0), seconds=300, pulses_per_block=1e9, seed=2)
    aborted = [block for block in day.blocks if block.qber_z > 0.11]
    assert aborted
    assert all(block.key.bits == 0 for block in aborted)
    assert "QBER_ABORT" in {alarm.code for alarm in day.alarms}
    assert "REALIGN" in spells(day)


def test_a_room_that_cooling_cannot_make_up_for_warms_the_detectors_and_costs_key() -> None:
    params = replace(LINK, channel_loss_db=18.0)
    warm = replace(STILL, room_swing_k=24.0)
    day = simulate_day(params, drift=warm, seconds=15 * 3600, step_s=30.0, seed=1)
    night, noon = (slice(hour * 120, hour * 120 + 120) for hour in (8, 14))
    assert day.detector_deviation_k[noon].max() == pytest.approx(9.24, abs=0.1)
    assert np.nanmean(day.qber_z[noon]) > 1.2 * np.nanmean(day.qber_z[night])


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"seconds": 0.0}, "seconds"),
        ({"step_s": math.nan}, "step_s"),
        ({"realign_s": -1.0}, "realign_s"),
        ({"row_s": 0.0}, "row_s"),
        ({"pulses_per_block": 1e6}, "give 1e"),
        ({"drift": "submarine"}, "submarine"),
        ({"method": "lim", "bound": "gaussian"}, "gaussian"),
    ],
)
def test_impossible_days_are_refused(wrong: dict[str, object], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        simulate_day(LINK, **wrong)  # type: ignore[arg-type]


def test_parameters_without_light_give_a_day_without_key() -> None:
    dark: LinkParameters = replace(LINK, channel_loss_db=200.0, dark_count_probability=0.0)
    day = simulate_day(dark, drift="calm", seconds=60, pulses_per_block=1e10)
    assert day.secret_bits == 0
    assert np.isnan(day.qber_x).all()


# --- rows -----------------------------------------------------------------------------------------------------------


def test_rows_are_means_of_steps_and_totals_stay() -> None:
    options = {"drift": "aerial", "seconds": 5_000.0, "pulses_per_block": 6e10, "seed": 4}
    steps, rows = (simulate_day(LINK, row_s=row_s, **options) for row_s in (None, 600.0))  # type: ignore[arg-type]
    assert (rows.blocks, rows.alarms, rows.seconds) == (steps.blocks, steps.alarms, steps.seconds)
    assert rows.shares == steps.shares
    assert steps.share("REALIGN") == np.mean(steps.state == "REALIGN") > 0
    assert (steps.step_s, rows.step_s) == (1.0, 600.0)
    assert rows.time_s.tolist() == [600.0 * row for row in range(9)]
    pieces = [slice(begin, begin + 600) for begin in range(0, 5_000, 600)]  # the last one is shorter
    assert rows.state.tolist() == [steps.state[piece][0] for piece in pieces]
    for name in ("loss_db", "phase_error_rad", "delay_offset_ps", "sifted_key_rate", "secret_key_rate"):
        means = [getattr(steps, name)[piece].mean() for piece in pieces]
        assert getattr(rows, name) == pytest.approx(means)
    errors = [np.nansum(steps.qber_z[p] * steps.sifted_key_rate[p]) / steps.sifted_key_rate[p].sum() for p in pieces]
    assert rows.qber_z == pytest.approx(errors)


@pytest.mark.thorough
def test_memory_does_not_grow_with_time_where_rows_do_not() -> None:
    def peak(seconds: float) -> int:
        tracemalloc.start()
        simulate_day(LINK, drift="calm", seconds=seconds, row_s=seconds / 4, step_s=10.0, pulses_per_block=1e14)
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    peak(1e3)
    assert peak(5e3) < 1.05 * peak(1e3)
