"""Drift of phase, delay and polarisation, and the trims against it."""

from __future__ import annotations

import math

import numpy as np
import pytest

from tokaido.emulators.optics import Drift, DriftSettings


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
