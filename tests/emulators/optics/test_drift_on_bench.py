"""Drift against the loops of a receiver on the bench."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from tokaido.emulators.bench import Bench
from tokaido.emulators.bench._quantum_path import QuantumPath
from tokaido.emulators.optics import Conditions, DriftSettings
from tokaido.emulators.toshiba import ReceiverModel, TransmitterModel
from tokaido.emulators.units import of_detector
from tokaido_testing.bench import ALIGNING_NS, BLOCK_BITS, PARAMETERS, Yard

QUIET = dataclasses.replace(
    PARAMETERS,
    dark_count_probability=1e-8,
    afterpulse_probability=0.0,
    misalignment_key=0.013,
    misalignment_check=0.013,
)
"""Detectors so quiet that pulses off their gates cost rate and make no errors."""


def running(swing_k: float, block_bits: int = BLOCK_BITS) -> tuple[Yard, QuantumPath]:
    """Return alice and bob exchanging keys, on fibre whose temperature swings so far, and their way."""
    drift = DriftSettings(temperature_swing_k=swing_k, surface_swing_k=0.0)
    yard = Yard(bench=Bench(seed=5, secrets="seeded", drift=drift))
    yard.bench.set_up("alice", "bob", QUIET, block_bits=block_bits)
    yard.bench.fibres["A"].add_bend(12.0)  # fewer clicks for the processor
    yard.run("alice", "bob")
    path = yard.bench._receivers["bob"].path
    assert path is not None
    return yard, path


def test_drift_too_fast_for_the_scans_degrades_and_a_realignment_makes_keys_again() -> None:
    yard, path = running(170.0)  # 5.7 ps/s, 114 ps from scan to scan
    with yard.bench:
        yard.until(lambda: "RATE_LOW" in yard.alarms("bob"), 40, ALIGNING_NS)
        assert path.loops.lost == {"delay"}
        before = {number for _, number in yard.draw("bob")}
        assert before
        yard.draw("alice")
        session = yard.units["bob"].session_id
        yard.until(lambda: yard.states["bob"] == "REALIGN", 40, ALIGNING_NS)
        yard.until(lambda: yard.states["bob"] == "RUN", 60, ALIGNING_NS)
        yard.until(lambda: yard.units["bob"].store.waiting > 0 and yard.units["alice"].store.waiting > 0, 20)
        assert yard.units["bob"].session_id != session
        assert not path.loops.lost
        alice, bob = yard.draw("alice"), yard.draw("bob")
        assert bob
        assert all(alice[block] == bob[block] for block in alice.keys() & bob.keys())


def test_drift_that_the_scans_follow_is_followed() -> None:
    yard, path = running(80.0, 100 * BLOCK_BITS)  # 2.7 ps/s; none is distilled meanwhile
    with yard.bench:
        offsets = []
        for _ in range(45):
            yard.pass_time(1.0, ALIGNING_NS)
            offsets.append(abs(path.drift.delay_offset_ps))
        assert not path.loops.lost
        assert max(offsets) < 70
        assert min(offsets[20:]) < 10
        assert "RATE_LOW" not in yard.alarms("bob")


# --- one way --------------------------------------------------------------------------------------------------------


def way(receiver: type[ReceiverModel]) -> tuple[QuantumPath, ReceiverModel]:
    """Return a way and a receiver that is aligned to it and has measured the error rate of a block."""
    bob = receiver()
    bob.prepare("RUN")
    path = QuantumPath(np.random.default_rng(5), 45.0)
    path.advance(0.1, bob)
    bob.blocks._measured["qber"] = bob.now_ns, 0.03
    track(path, bob)
    return path, bob


def track(path: QuantumPath, bob: ReceiverModel) -> None:
    bob.advance(bob.now_ns + 1_000_000_000)
    bob._servo_moved()
    path.advance(1.0, bob)


class Planar(ReceiverModel):
    """A receiver without a step for the polarisation."""

    ALIGNMENT = {"BIAS": 4.0, "SYNC": 6.0, "DELAY": 8.0, "PHASE": 12.0}  # noqa: RUF012


@pytest.mark.parametrize(("receiver", "after"), [(ReceiverModel, 0.0), (Planar, 0.2)])
def test_more_errors_make_a_receiver_tune_the_polarisation_if_it_minds_it(
    receiver: type[ReceiverModel], after: float
) -> None:
    path, bob = way(receiver)
    path.drift.trim_polarisation(0.2 - path.drift.polarisation_error_rad)
    track(path, bob)  # no block since: it knows of nothing
    assert path.drift.polarisation_error_rad == pytest.approx(0.2, abs=0.1)
    path.drift.trim_polarisation(0.2 - path.drift.polarisation_error_rad)
    bob.blocks._measured["qber"] = bob.now_ns + 500_000_000, 0.07
    track(path, bob)
    assert path.drift.polarisation_error_rad == pytest.approx(after, abs=0.1)


def conditions(path: QuantumPath, bob: ReceiverModel) -> Conditions:
    return path.conditions(
        TransmitterModel(), bob, 0, arrives=True, extra_loss_db=0.0, background=0.0, eavesdropper=None
    )


def test_warm_detectors_click_more_in_the_dark_and_less_in_the_light() -> None:
    path, bob = way(ReceiverModel)
    for i in (0, 1):
        bob.settings[of_detector(i, "bias")] = bob.WORKING_BIAS
    cool = conditions(path, bob)
    for detector in bob.detectors:
        detector.temperature += 1.8
    warm = conditions(path, bob)
    assert warm.dark_count_scale == pytest.approx(cool.dark_count_scale * 2**0.2)
    assert warm.extra_loss_db == pytest.approx(cool.extra_loss_db + 0.079, abs=0.001)
