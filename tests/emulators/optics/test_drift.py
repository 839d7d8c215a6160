"""Drift of phase, delay and polarisation, and the trims against it."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from tokaido.emulators.optics import Drift, DriftKind, DriftSettings, drift_settings


def drift(seed: int = 1, **settings: float) -> Drift:
    return Drift(np.random.default_rng(seed), DriftSettings(**settings))


def test_locked_phase_stays_within_the_servos_residual() -> None:
    link = drift()
    phases = []
    for _ in range(20_000):
        link.advance(0.5, phase_locked=True)
        phases.append(link.phase_error_rad)
    assert np.std(phases) == pytest.approx(math.radians(3.0), rel=0.05)
    correlation = np.corrcoef(phases[:-1], phases[1:])[0, 1]
    assert correlation == pytest.approx(math.exp(-0.5), abs=0.05)


def test_servo_pulls_a_free_phase_back() -> None:
    link = drift(phase_sigma_rad=0.0, phase_walk_rad=0.0)
    link.trim_phase(2.0)
    link.advance(10.0, phase_locked=True)
    assert abs(link.phase_error_rad) < 1e-3


@pytest.mark.parametrize("steps", [1, 20])
def test_free_phase_walks_alike_in_small_and_large_steps(steps: int) -> None:
    ends = []
    for seed in range(1500):
        link = drift(seed)
        link.trim_phase(-link.phase_error_rad)
        for _ in range(steps):
            link.advance(60 / steps, phase_locked=False)
        ends.append(link.phase_error_rad)
    assert np.std(ends) == pytest.approx(0.5, rel=0.08)


def test_delay_follows_the_day_and_can_be_trimmed() -> None:
    link = drift()
    assert link.delay_offset_ps == 0.0
    offsets = []
    for _ in range(24):
        link.advance(3600.0, phase_locked=True)
        offsets.append(link.delay_offset_ps)
    assert max(offsets) - min(offsets) == pytest.approx(2 * 45 * 33 * 0.05, rel=0.02)
    assert offsets[-1] == pytest.approx(0.0, abs=1e-6)
    link.advance(6 * 3600.0, phase_locked=True)
    link.trim_delay(-link.delay_offset_ps)
    assert link.delay_offset_ps == pytest.approx(0.0, abs=1e-9)
    link.advance(60.0, phase_locked=True)
    assert 0 < abs(link.delay_offset_ps) < 1.0


def test_polarisation_jumps_at_its_rate_and_can_be_trimmed() -> None:
    link = drift(polarisation_jump_rate_hz=0.01)
    before, jumps = 0.0, 0
    for _ in range(20_000):
        link.advance(1.0, phase_locked=True)
        jumps += link.polarisation_error_rad != before
        before = link.polarisation_error_rad
    assert jumps == pytest.approx(200, abs=60)
    link.trim_polarisation(-link.polarisation_error_rad)
    assert link.polarisation_error_rad == pytest.approx(0.0, abs=1e-12)


def test_angles_are_wrapped() -> None:
    link = drift(phase_sigma_rad=0.0, phase_walk_rad=0.0)
    link.trim_phase(7.0)
    assert link.phase_error_rad == pytest.approx(7.0 - 2 * math.pi)
    link.trim_polarisation(3.0)
    assert link.polarisation_error_rad == pytest.approx(3.0 - math.pi)


def test_time_is_whole_nanoseconds_and_runs_repeat() -> None:
    one, two = drift(5), drift(5)
    for link in (one, two):
        for _ in range(10):
            link.advance(0.1, phase_locked=False)
    assert one.now_ns == 1_000_000_000
    assert one.phase_error_rad == two.phase_error_rad


def test_impossible_steps_and_settings_are_refused() -> None:
    with pytest.raises(ValueError, match="advance"):
        drift().advance(-1.0, phase_locked=True)
    with pytest.raises(ValueError, match="phase_time_s"):
        DriftSettings(phase_time_s=0.0)
    with pytest.raises(ValueError, match="length_km"):
        DriftSettings(length_km=math.nan)


# --- loss, wind, day and kinds --------------------------------------------------------------------------------------


def test_walk_that_the_servos_bandwidth_lets_through_adds_to_its_own_noise() -> None:
    link = drift(phase_walk_rad=2.0, phase_time_s=1.0)
    assert link.settings.phase_residual_rad == pytest.approx(math.hypot(math.radians(1.5), 2 / math.sqrt(120)))
    phases = []
    for _ in range(20_000):
        link.advance(2.0, phase_locked=True)
        phases.append(link.phase_error_rad)
    assert np.std(phases) == pytest.approx(link.settings.phase_residual_rad, rel=0.03)


def test_loss_wanders_about_that_of_the_beginning() -> None:
    link = drift(loss_time_s=600.0)
    assert link.loss_db == 0.0
    losses = []
    for _ in range(10_000):
        link.advance(600.0, phase_locked=True)
        losses.append(link.loss_db)
    assert np.std(losses) == pytest.approx(0.15, rel=0.06)
    assert abs(np.mean(losses)) < 4 * 0.15 * math.sqrt(2.2 / 10_000)


def ends(steps: int, links: int = 600) -> NDArray[np.float64]:
    """Return (phase actuator, polarisation, loss, detectors) of many links after an hour in so many steps."""
    found = np.empty((links, 4))
    for seed in range(links):
        link = drift(seed, gust_rate_hz=1 / 600, gust_length_s=200.0, gust_jump_rate_hz=0.1, polarisation_jump_rad=0.01)
        for _ in range(steps):
            link.advance(3600 / steps, phase_locked=True)
        found[seed] = (link.phase_stretch_rad, link.polarisation_error_rad, link.loss_db, link.detector_noise_k)
    return found


def test_statistics_do_not_depend_on_the_size_of_steps() -> None:
    coarse, fine = ends(1), ends(60)
    spread = 4 * math.sqrt(2) / math.sqrt(2 * len(fine))
    assert np.std(fine, axis=0) == pytest.approx(np.std(coarse, axis=0), rel=1.2 * spread)  # 1.2: tails of jumps
    jumps = 0.25 * 3600 * 0.1 + 0.75 * 3600 * 0.01
    expected = (0.5 * math.sqrt(60), 0.01 * math.sqrt(jumps), 0.15 * math.sqrt(1 - math.exp(-1 / 3)), 0.02)
    assert np.std(fine, axis=0) == pytest.approx(expected, rel=spread)


def test_wind_comes_and_goes_and_shakes_the_polarisation() -> None:
    link = drift(gust_rate_hz=0.01, gust_length_s=50.0, gust_jump_rate_hz=0.5, polarisation_jump_rate_hz=0.02)
    steps, moved = {False: 0, True: 0}, {False: 0, True: 0}
    for _ in range(30_000):
        was, before = link.gusty, link.polarisation_error_rad
        link.advance(1.0, phase_locked=True)
        if link.gusty == was:
            steps[was] += 1
            moved[was] += link.polarisation_error_rad != before
    gusty = steps[True] / sum(steps.values())
    assert gusty == pytest.approx(1 / 3, abs=4 * math.sqrt(2 / 9 * 2 * 33 / 30_000))
    for wind, rate_hz in ((False, 0.02), (True, 0.5)):
        chance, n = 1 - math.exp(-rate_hz), steps[wind]
        assert moved[wind] == pytest.approx(chance * n, abs=4 * math.sqrt(n * chance))


def test_wind_does_nothing_to_a_buried_fibre() -> None:
    link = drift()
    for _ in range(100):
        link.advance(86_400.0, phase_locked=True)
        assert not link.gusty


@pytest.mark.parametrize(("kind", "lag_h"), [("aerial", 0.0), ("buried", 24 * math.log(100) / (2 * math.pi))])
def test_what_is_buried_is_warmest_later_and_swings_less(kind: DriftKind, lag_h: float) -> None:
    settings = drift_settings(kind, length_km=10.0)
    link = Drift(np.random.default_rng(1), settings)
    offsets = []
    for _ in range(24 * 60):
        link.advance(60.0, phase_locked=True)
        offsets.append(link.delay_offset_ps)
    assert (int(np.argmax(offsets)) + 1) / 60 == pytest.approx((15 + lag_h) % 24, abs=0.1)
    assert np.ptp(offsets) == pytest.approx(2 * 10 * 33 * settings.temperature_swing_k, rel=1e-3)


def test_kinds_differ_as_their_names_say() -> None:
    calm, buried, aerial = (drift_settings(kind) for kind in ("calm", "buried", "aerial"))
    assert buried == DriftSettings()
    for name in ("temperature_swing_k", "polarisation_jump_rate_hz", "loss_sigma_db"):
        assert getattr(calm, name) < getattr(buried, name) < getattr(aerial, name)
    with pytest.raises(ValueError, match="'buried', 'aerial', 'calm'"):
        drift_settings("submarine")  # type: ignore[arg-type]


def test_the_room_is_warmest_in_the_afternoon() -> None:
    link = drift(room_swing_k=2.0)
    rooms = []
    for _ in range(24):
        link.advance(3600.0, phase_locked=True)
        rooms.append(link.room_deviation_k)
    assert int(np.argmax(rooms)) + 1 == 15
    assert max(rooms) == -min(rooms) == pytest.approx(2.0)
