"""The emulated detector against golden transcripts, and what no transcript says of it: its clicks."""

from __future__ import annotations

import math

import numpy as np
import pytest

import tokaido.hal as hal
from tokaido.emulators.bench import Beam
from tokaido.emulators.idquantique import DetectorModel
from tokaido_testing.model_transcripts import for_models, replay
from tokaido_testing.transcripts import load

SECOND_NS = 1_000_000_000
LIGHT_W = 1.2816e-19
"""A photon of 1550 nm each second."""


def say(model: DetectorModel, line: str) -> str:
    model.receive("control", f"{line}\n".encode())
    return model.take("control").decode().strip()


def quiet(**options: float) -> DetectorModel:
    """Return a detector without afterpulses, which the closed formulas leave out."""
    return DetectorModel(seed=5, afterpulse_probability=0.0, **options)  # type: ignore[arg-type]


def counted(model: DetectorModel, seconds: int) -> int:
    model.take_pulses(wanted=True)
    model.advance(model.now_ns + seconds * SECOND_NS)
    return model.take_pulses(wanted=True).size


@pytest.mark.parametrize("name", for_models("idquantique", "idquantique.detector"))
def test_the_model_answers_as_the_transcript_says(name: str) -> None:
    transcript = load(name)
    replay(DetectorModel(**transcript["box"]), transcript, "serial")


def test_in_steady_light_it_counts_what_the_dead_time_leaves() -> None:
    model = quiet(efficiency=0.2, dark_count_rate=500.0)
    model.note_beams({"in": (Beam(40_000 * LIGHT_W), Beam(10_000 * LIGHT_W))})
    rate = 0.2 * 50_000 + 500
    expected = 20 * rate / (1 + rate * 40e-6)
    assert counted(model, 20) == pytest.approx(expected, abs=5 * math.sqrt(expected))


def test_pulses_click_at_their_moments_and_dark_counts_anywhere() -> None:
    model = quiet(efficiency=0.5, dark_count_rate=1000.0, jitter_ps=100.0)
    model.note_beams({"in": (Beam(100_000 * LIGHT_W, pulse_rate_hz=1e5, delay_ps=3_000_000),)})  # 1 photon a pulse
    model.take_pulses(wanted=True)
    model.advance(20 * SECOND_NS)
    times = model.take_pulses(wanted=True)
    light, dark = 0.5, 1000.0 / 1e5
    chance = 1 - math.exp(-(light + dark))
    expected = 20 * 1e5 * chance / (1 + chance * 3)  # 40 us: the next three pulses are lost, the fourth comes in time
    assert times.size == pytest.approx(expected, abs=5 * math.sqrt(expected))
    in_pulse = np.abs((times - 3_000_000 + 5_000_000) % 10_000_000 - 5_000_000) < 1_000
    by_light = (1 - math.exp(-light)) / chance
    assert in_pulse.mean() == pytest.approx(by_light, abs=5 * math.sqrt(by_light * (1 - by_light) / times.size))
    spread = ((times[in_pulse] - 3_000_000 + 5_000_000) % 10_000_000 - 5_000_000).std()
    assert spread == pytest.approx(100.0, rel=0.02)


def test_an_afterpulse_follows_the_dead_time() -> None:
    model = DetectorModel(seed=5, dark_count_rate=100.0, afterpulse_probability=0.1)
    model.take_pulses(wanted=True)
    model.advance(100 * SECOND_NS)
    gaps = np.diff(model.take_pulses(wanted=True))
    assert gaps.min() > 39_000_000
    soon = np.count_nonzero(gaps < 60_000_000)
    assert soon / gaps.size == pytest.approx(0.1, abs=0.02)


def test_an_afterpulse_comes_at_no_moment_of_the_light() -> None:
    model = DetectorModel(seed=5, efficiency=0.1, dark_count_rate=0.0, afterpulse_probability=0.2)
    model.note_beams({"in": (Beam(2_000 * LIGHT_W, pulse_rate_hz=1e6),)})
    model.take_pulses(wanted=True)
    model.advance(100 * SECOND_NS)
    times = model.take_pulses(wanted=True)
    in_pulse = np.abs((times + 500_000) % 1_000_000 - 500_000) < 2_000
    assert in_pulse.mean() == pytest.approx(1 - 0.2, abs=0.02)  # of 10 clicks 2 are afterpulses, of those 4 of 1000 hit


@pytest.mark.parametrize("steps", [1, 7, 30])
def test_steps_of_time_make_no_difference(steps: int) -> None:
    model = quiet(dark_count_rate=3000.0)
    model.take_pulses(wanted=True)
    for step in range(1, steps + 1):
        model.advance(3 * SECOND_NS * step // steps)
    times = model.take_pulses(wanted=True)
    assert times.tolist() == sorted(times.tolist())
    reference = quiet(dark_count_rate=3000.0)
    reference.take_pulses(wanted=True)
    reference.advance(3 * SECOND_NS)
    assert times.tolist() == reference.take_pulses(wanted=True).tolist()
    assert say(model, "COUNTERS:DETECTION_COUNT?") == say(reference, "COUNTERS:DETECTION_COUNT?")
    assert int(say(model, "COUNTERS:DETECTION_COUNT?")) == np.count_nonzero(times >= 2e12)


def test_the_count_is_that_of_the_last_whole_counting_time() -> None:
    model = quiet(efficiency=0.2, dark_count_rate=0.0)
    model.note_beams({"in": (Beam(50_000 * LIGHT_W),)})
    say(model, "COUNTERS:INTEGRATION_TIME 2000")
    model.advance(SECOND_NS)
    model.note_beams({})
    assert say(model, "COUNTERS:DETECTION_COUNT?") == "0"  # the first has not ended
    model.advance(2 * SECOND_NS)
    count = int(say(model, "COUNTERS:DETECTION_COUNT?"))
    assert count == pytest.approx(50_000 * 0.2 / 1.4, rel=0.1)
    assert int(say(model, "COUNTERS:DETECTION_FREQ?")) == round(count / 2)
    model.advance(4 * SECOND_NS)
    assert say(model, "COUNTERS:DETECTION_COUNT?") == "0"


def test_a_long_time_is_over_at_once_and_the_count_is_right() -> None:
    model = quiet(dark_count_rate=200.0)
    model.advance(1_000_000 * SECOND_NS)
    assert int(say(model, "COUNTERS:DETECTION_COUNT?")) == pytest.approx(200, abs=75)


def test_cold_and_bias_decide_the_dark_counts() -> None:
    model = quiet(dark_count_rate=1000.0)
    say(model, "REG:TEMP_SET_POINT -31000")  # 9 K warmer: twice as many
    assert counted(model, 10) == pytest.approx(10 * 2000 / 1.08, rel=0.05)
    say(model, "BIAS:VOLTAGE 145040000")
    assert counted(model, 10) == pytest.approx(10 * 1008 / 1.04, rel=0.06)
    say(model, "BIAS:VOLTAGE 139920000")
    assert counted(model, 10) == 0


def test_a_broken_bias_says_so_and_detects_nothing_until_it_is_mended() -> None:
    model = quiet(dark_count_rate=1000.0)
    model.add_fault("bias")
    assert say(model, "BIAS:ERROR_STATUS?") == "TRUE"
    assert counted(model, 1) == 0
    model.provoked.clear()
    assert counted(model, 1) > 800


def test_off_it_is_warm_and_dark() -> None:
    model = quiet(dark_count_rate=1000.0)
    say(model, "REG:RUN FALSE")
    assert say(model, "REG:MEASURED_TEMP?") == "23000"
    assert counted(model, 1) == 0
    assert model.through("in", "quantum") is None


@pytest.mark.parametrize(
    "options",
    [{"model": "ID900"}, {"efficiency": 1.5}, {"dark_count_rate": -1.0}, {"bias_voltage": 300.0}, {"jitter_ps": -1.0}],
)
def test_an_option_that_does_not_fit_is_refused(options: dict[str, float]) -> None:
    with pytest.raises(hal.ConfigurationError):
        DetectorModel(**options)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
