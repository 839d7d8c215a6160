"""Many days of drift at once: the laws of the bench's drift and loops, each day on its own."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from tokaido.emulators.optics import (
    CELL_S,
    EXCESS_DB,
    STEP_S,
    DriftedDays,
    DriftingLink,
    DriftSettings,
    LinkDays,
    LoopSettings,
    drift_settings,
    drifted_days,
    expected_counts,
    preset,
    simulate_day,
)

DAY_S = 86_400
STILL = DriftSettings(
    phase_sigma_rad=0.0,
    phase_walk_rad=0.0,
    temperature_swing_k=0.0,
    polarisation_jump_rate_hz=0.0,
    loss_sigma_db=0.0,
    room_swing_k=0.0,
    detector_sigma_k=0.0,
)
T12 = preset("t12", channel_loss_db=10.0)


def qber(excess_db: float) -> float:
    key, _ = expected_counts(replace(T12, channel_loss_db=10.0 + excess_db), 1e12)
    return sum(key.errors) / sum(key.detections)


TABLE = tuple(map(qber, EXCESS_DB))


def link(settings: DriftSettings, name: int = 1) -> DriftingLink:
    return DriftingLink(settings=settings, entropy=(7, name), qber=TABLE, gate_width_ps=T12.gate_width_ps)


def lived(settings: DriftSettings, days: int, loops: LoopSettings | None = None, **changes: float) -> DriftedDays:
    return drifted_days([LinkDays(replace(link(settings), **changes), 0, days)], loops)[0]  # type: ignore[arg-type]


def equal(one: DriftedDays, other: DriftedDays) -> bool:
    return all(
        np.array_equal(getattr(one, name), getattr(other, name))
        for name in ("excess_db", "contrast", "dark_count_scale", "keyed", "realignments")
    )


def days_of(found: DriftedDays, first: int, last: int) -> DriftedDays:
    own = slice(first, last)
    return DriftedDays(
        found.excess_db[own],
        found.contrast[own],
        found.dark_count_scale[own],
        found.keyed[own],
        found.realignments[own],
    )


def test_where_nothing_drifts_nothing_changes_by_a_bit() -> None:
    found = lived(STILL, 2)
    assert found.contrast.shape == (2, DAY_S // CELL_S)
    assert np.all(found.excess_db == 0)
    assert np.all(found.contrast == 1)
    assert np.all(found.dark_count_scale == 1)
    assert np.all(found.keyed)
    assert found.keyed.shape == (2, DAY_S // STEP_S)


def test_a_day_is_the_same_to_the_bit_whatever_days_and_links_are_asked_for_with_it() -> None:
    windy, buried = replace(link(drift_settings("aerial")), block_s=60.0), link(drift_settings("buried"), 2)
    alone = drifted_days([LinkDays(windy, 3, 1)])[0]
    together = drifted_days([LinkDays(buried, 0, 2), LinkDays(windy, 0, 6)])
    assert equal(alone, days_of(together[1], 3, 4))
    assert not equal(alone, days_of(together[1], 4, 5))
    assert equal(drifted_days([LinkDays(buried, 1, 1)])[0], days_of(together[0], 1, 2))
    other = drifted_days([LinkDays(replace(windy, entropy=(8, 1)), 3, 1)])[0]
    assert not np.array_equal(alone.excess_db, other.excess_db)


def test_the_loss_wanders_on_over_midnight() -> None:
    settings = replace(STILL, loss_sigma_db=0.15)
    loss_db = lived(settings, 120).excess_db
    spread = 4 * 0.15 / math.sqrt(2 * 120 * 2)  # two correlation times a day
    assert np.std(loss_db) == pytest.approx(0.15, abs=spread)
    for cell in (0, 40, 143):  # the same at every hour
        assert np.std(loss_db[:, cell]) == pytest.approx(0.15, abs=4 * 0.15 / math.sqrt(2 * 120))
    step = 0.15 * math.sqrt(2 * (1 - math.exp(-CELL_S / settings.loss_time_s)))
    assert np.std(np.diff(loss_db, axis=1)) == pytest.approx(step, rel=0.05)
    assert np.std(loss_db[1:, 0] - loss_db[:-1, -1]) == pytest.approx(step, rel=4 / math.sqrt(2 * 119))


@pytest.mark.parametrize("gusts", [False, True])
def test_an_untracked_polarisation_loses_the_contrast_that_its_jumps_should(gusts: bool) -> None:
    settings = replace(STILL, polarisation_jump_rate_hz=1 / 100, polarisation_jump_rad=0.002)
    if gusts:
        settings = replace(settings, gust_rate_hz=1 / 300, gust_length_s=300.0)  # that shake nothing
    rate_hz = 0.5 / 100 if gusts else 1 / 100
    found = drifted_days(
        [LinkDays(replace(link(settings), qber=(0.0,) * len(TABLE)), 0, 200)], LoopSettings(qber_rise=1.0)
    )[0]
    contrast = found.contrast[:, :36]
    times = (np.arange(36) + 0.5) * CELL_S
    # Of jumps of N(0, s^2) at Poissonian times: E cos(2 angle) = exp(-rate t (1 - exp(-2 s^2))).
    expected = np.exp(-rate_hz * times * (1 - math.exp(-2 * 0.002**2)))
    error = contrast.std(axis=0) / math.sqrt(200)
    assert not found.realignments.any()
    assert np.all(np.abs(contrast.mean(axis=0) - expected) < 4.5 * error + 1e-6)


def test_the_servos_actuator_comes_to_its_end_as_often_as_a_walk_should() -> None:
    found = lived(replace(STILL, phase_walk_rad=0.5), 400)
    # A walk of variance v a day that begins again at 0 takes reach^2 / v days to either end.
    per_day = 0.5**2 * 1440 / 30.0**2
    assert found.realignments.mean() == pytest.approx(per_day, abs=4 * math.sqrt(per_day / 400))


@pytest.mark.thorough
def test_loops_and_units_do_what_they_do_in_a_day_step_by_step() -> None:
    settings = replace(
        drift_settings("aerial"), phase_sigma_rad=0.0, phase_time_s=1e-6
    )  # its residual is left out there
    days = [simulate_day(T12, drift=settings, seed=seed, step_s=10.0) for seed in range(2)]
    found = lived(settings, 16)
    begun = [np.count_nonzero(np.diff((day.state == "REALIGN").astype(int)) == 1) for day in days]
    assert found.realignments.mean() == pytest.approx(np.mean(begun), rel=0.2)
    seen = [np.cos(2 * day.polarisation_error_rad[day.state == "RUN"]).mean() for day in days]
    assert 1 - found.contrast.mean() == pytest.approx(1 - np.mean(seen), rel=0.3)
    share = np.mean([day.share("RUN") for day in days])
    assert found.keyed.mean() == pytest.approx(share, abs=0.03)  # the look that finds it out of limits counts as out


@pytest.mark.thorough
def test_a_realignment_takes_its_time_and_the_open_block() -> None:
    settings = replace(
        STILL, temperature_swing_k=5.0
    )  # aerial: the gates follow some 500 ps, and must be aligned again
    quick, slow = lived(settings, 1), lived(settings, 1, realign_s=200.0)
    assert quick.realignments[0] > 20
    longer = (
        np.count_nonzero(~slow.keyed) / slow.realignments[0] - np.count_nonzero(~quick.keyed) / quick.realignments[0]
    )
    assert longer == pytest.approx(16, abs=0.5)
    blocks = lived(settings, 1, block_s=600.0)
    assert np.array_equal(blocks.realignments, quick.realignments)
    lost = (np.count_nonzero(quick.keyed) - np.count_nonzero(blocks.keyed)) * STEP_S / quick.realignments[0]
    assert 150 < lost < 450  # half of a block in the mean
    none = lived(settings, 1, block_s=86_400.0)
    last = np.flatnonzero(~quick.keyed[0])[-1]
    assert not none.keyed[0, :last].any()
    assert none.keyed[0, last + 1 :].all()


def test_a_receiver_that_does_not_mind_polarisation_keeps_its_contrast() -> None:
    settings = replace(STILL, polarisation_jump_rate_hz=1.0, polarisation_jump_rad=0.1)
    assert np.all(lived(settings, 1, polarisation=False).contrast == 1)
    assert lived(settings, 1).realignments[0] > 100


def test_warm_detectors_count_more_in_the_dark() -> None:
    found = lived(replace(STILL, room_swing_k=24.0), 1)  # 9 K more than cooling makes up for
    assert found.dark_count_scale.max() == pytest.approx(2 * 2 ** (0.24 / 9), rel=0.01)
    assert found.excess_db.max() == pytest.approx(-10 * math.log10(1 - 0.0924), rel=0.01)
