"""What a receiver's loops hold, and where they lose lock."""

from __future__ import annotations

import math

import numpy as np
import pytest

from tokaido.emulators.optics import Drift, DriftSettings, Loops, LoopSettings, dark_count_scale, efficiency_scale

HOUR_S = 3600
STILL = {
    "phase_sigma_rad": 0.0,
    "phase_walk_rad": 0.0,
    "temperature_swing_k": 0.0,
    "polarisation_jump_rate_hz": 0.0,
    "loss_sigma_db": 0.0,
    "room_swing_k": 0.0,
    "detector_sigma_k": 0.0,
}


def loops(*, settings: LoopSettings | None = None, **drift: float) -> Loops:
    """Return the loops of a link that is still but for what is said."""
    return Loops(Drift(np.random.default_rng(1), DriftSettings(**{**STILL, **drift})), settings)


def live(link: Loops, seconds: float, step_s: float = 1.0, qber: float = math.nan) -> None:
    """Let a running unit's time pass."""
    for step in range(1, round(seconds / step_s) + 1):
        link.advance(step_s)
        if step * step_s % link.settings.track_every_s == 0:
            link.track(qber)


def test_the_phase_servo_holds_what_is_slow_and_small() -> None:
    link = loops(phase_walk_rad=0.5, phase_sigma_rad=0.03)
    live(link, 2 * HOUR_S)
    assert not link.lost
    assert abs(link.drift.phase_error_rad) < 0.3
    assert abs(link.drift.phase_stretch_rad) > 1  # it was at work


def test_the_phase_servo_loses_what_is_too_fast_until_an_alignment() -> None:
    link = loops(phase_walk_rad=10.0)
    live(link, 120)
    assert link.lost == {"phase"}
    wandered = []
    for _ in range(100):
        link.advance(1.0)
        wandered.append(link.drift.phase_error_rad)
    assert np.std(wandered) > 1  # nothing pulls it back
    link.align("phase")
    assert not link.lost
    assert link.drift.phase_error_rad == 0.0


def test_the_phase_servo_loses_lock_at_the_end_of_its_actuator() -> None:
    short = LoopSettings(phase_range_rad=5.0)
    link = loops(settings=short, phase_walk_rad=0.5)
    for _ in range(4 * HOUR_S):
        link.advance(1.0)
        if link.lost:
            break
    assert link.lost == {"phase"}
    assert 5 < abs(link.drift.phase_stretch_rad) < 5.5
    link.align("phase")
    live(link, 20)
    assert not link.lost


def test_in_the_dark_the_phase_walks_and_the_servo_pulls_it_back_afterwards() -> None:
    link = loops(phase_walk_rad=0.5)
    for _ in range(30):
        link.advance(1.0, light=False)
    away = abs(link.drift.phase_error_rad)
    assert 0.05 < away < 1
    live(link, 10)
    assert not link.lost
    assert abs(link.drift.phase_error_rad) < 0.2


def slope_ps_per_s(swing_k: float) -> float:
    """Return how fast the delay of 45 km moves at midnight, warmest at 15 h."""
    return 45 * 33 * swing_k * 2 * math.pi / 86_400 * math.sin(2 * math.pi * 9 / 24)


@pytest.mark.parametrize(("per_scan", "holds"), [(0.9, True), (1.2, False)])
def test_the_delay_scan_follows_what_stays_in_its_window_from_scan_to_scan(per_scan: float, holds: bool) -> None:
    swing_k = per_scan * 100 / 20 / slope_ps_per_s(1.0)
    link = loops(settings=LoopSettings(delay_range_ps=1e6), temperature_swing_k=swing_k, surface_swing_k=0.0)
    live(link, 600)
    assert link.lost == (set() if holds else {"delay"})
    assert (abs(link.drift.delay_offset_ps) < 100) == holds


def test_gates_reach_only_so_far_and_an_alignment_begins_from_the_middle() -> None:
    link = loops(temperature_swing_k=5.0)
    live(link, 0.9 * 500 / slope_ps_per_s(5.0))
    assert not link.lost
    live(link, 0.4 * 500 / slope_ps_per_s(5.0))
    assert link.lost == {"delay"}
    assert abs(link.drift.delay_offset_ps) > 50
    link.align("delay")
    assert not link.lost
    assert link.drift.delay_offset_ps == 0.0
    live(link, 100)
    assert not link.lost


def test_the_polarisation_is_tuned_when_errors_have_become_more_and_not_before() -> None:
    link = loops()
    link.track(0.040)
    link.drift.trim_polarisation(0.1)
    for qber in (math.nan, 0.043):
        link.track(qber)
        assert link.drift.polarisation_error_rad == pytest.approx(0.1)
    link.track(0.050)
    assert link.drift.polarisation_error_rad == pytest.approx(0.0, abs=1e-12)


def test_a_polarisation_that_went_too_far_is_lost_until_an_alignment() -> None:
    link = loops()
    link.track(0.04)
    link.drift.trim_polarisation(0.6)
    link.track(0.36)
    assert link.lost == {"polarisation"}
    link.drift.trim_polarisation(-0.4)
    link.track(0.08)
    assert link.drift.polarisation_error_rad == pytest.approx(0.2)  # the controller has stopped
    link.realign()
    assert not link.lost
    assert link.drift.polarisation_error_rad == 0.0


def test_after_an_alignment_errors_are_held_against_the_new_ones() -> None:
    link = loops()
    link.track(0.02)
    link.realign()
    link.drift.trim_polarisation(0.1)
    link.track(0.04)
    assert link.drift.polarisation_error_rad == pytest.approx(0.1)


def test_a_receiver_that_does_not_mind_polarisation_tunes_none() -> None:
    link = loops(settings=LoopSettings(polarisation=False))
    link.track(0.04)
    link.drift.trim_polarisation(0.6)
    link.track(0.36)
    assert not link.lost
    assert link.drift.polarisation_error_rad == pytest.approx(0.6)


def test_detectors_follow_the_room_a_little_and_beyond_the_range_of_their_cooling_in_full() -> None:
    cool, hot = loops(room_swing_k=2.0), loops(room_swing_k=20.0)
    for link in (cool, hot):
        link.advance(15 * HOUR_S)
    assert not cool.lost
    assert cool.detector_deviation_k == pytest.approx(0.02)
    assert hot.lost == {"temperature"}
    assert hot.detector_deviation_k == pytest.approx(0.2 + 5)
    hot.advance(6 * HOUR_S)
    assert not hot.lost
    assert hot.detector_deviation_k == pytest.approx(0.0, abs=0.01)  # it recovers by itself


def test_warm_detectors_count_more_dark_and_less_light() -> None:
    assert dark_count_scale(9.0) == pytest.approx(2.0)
    assert dark_count_scale(np.array([0.0, -9.0])) == pytest.approx([1.0, 0.5])
    assert efficiency_scale(2.0) == pytest.approx(0.98)
    assert efficiency_scale(np.array([0.0, 1000.0])) == pytest.approx([1.0, 0.0])


def test_impossible_loops_are_refused() -> None:
    with pytest.raises(ValueError, match="track_every_s"):
        LoopSettings(track_every_s=0.0)
    with pytest.raises(ValueError, match="delay_window_ps"):
        LoopSettings(delay_window_ps=math.inf)
