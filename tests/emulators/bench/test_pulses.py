"""What light meets on one way, and the streams of several sub-channels."""

from __future__ import annotations

import dataclasses
import math
import os
import random

import numpy as np
import pytest

from tokaido.emulators.bench._pulses import SessionPulses, click_chance, common_channels
from tokaido.emulators.bench._quantum_path import QuantumPath
from tokaido.emulators.optics import Conditions, QuantumChannel, preset
from tokaido.emulators.toshiba import ReceiverModel, TransmitterModel
from tokaido.emulators.units import Session, of_detector
from tokaido_testing.bench import PARAMETERS

CHANNELS = 3


class Alice(TransmitterModel):
    """A transmitter of three sub-channels."""

    channels = CHANNELS


class Bob(ReceiverModel):
    """A receiver of three sub-channels."""

    channels = CHANNELS

    def _delivery(self) -> dict[str, float]:
        delivery = super()._delivery()
        for i in range(2, 2 * CHANNELS):
            delivery |= {
                of_detector(i, name.partition(".")[2]): value
                for name, value in delivery.items()
                if name.startswith("detectors[0].")
            }
        return {**delivery, **{of_detector(i, "gate_delay"): 412.0 for i in range(2 * CHANNELS)}}

    def _build_detectors(self):  # type: ignore[no-untyped-def]
        return super()._build_detectors() * CHANNELS

    def delay_offset_ps(self, channel: int) -> float:
        return 0.0


def units() -> tuple[Alice, Bob]:
    alice, bob = Alice(), Bob()
    for unit in (alice, bob):
        unit.warm()
        unit.arm()
    alice.calibrated_attenuation = alice.settings["attenuation"]
    for i in range(2 * CHANNELS):
        bob.settings[of_detector(i, "dead_time")] = 0.0
        bob.settings[of_detector(i, "bias")] = bob.WORKING_BIAS
    return alice, bob


def met(
    path: QuantumPath, alice: TransmitterModel, bob: ReceiverModel, channel: int = 0, **options: float
) -> Conditions:
    return path.conditions(
        alice,
        bob,
        channel,
        arrives=True,
        extra_loss_db=0.0,
        background=options.get("background", 0.0),
        eavesdropper=None,
    )


def pulses_of(alice: Alice, bob: Bob) -> SessionPulses:
    session = Session("0" * 16, 0, 1, PARAMETERS.intensities, PARAMETERS.probabilities)
    rng = np.random.default_rng(1)
    return SessionPulses(session, alice, bob, PARAMETERS, 6.0, physics=rng, secret=os.urandom)


def test_every_sub_channel_has_a_stream_and_detectors_of_its_own() -> None:
    alice, bob = units()
    pulses = pulses_of(alice, bob)
    nominal = Conditions()
    exposures = pulses.expose(10_000_000, [nominal, nominal, dataclasses.replace(nominal, extra_loss_db=3.0)])
    rates = pulses.count_rates
    assert len(rates) == 6
    assert rates[2] == pytest.approx(rates[0], rel=0.05)
    assert rates[4] == pytest.approx(rates[0] / 2, rel=0.05)
    assert sum(exposure.pulses for exposure in exposures) == 3 * 10_000_000
    slots = np.concatenate([exposure.receiver.slots for exposure in exposures])
    assert (np.diff(slots) > 0).all()
    assert sum(slots % 3 == 2) == pytest.approx(sum(slots % 3 == 0) / 2, rel=0.05)
    assert slots.max() == pytest.approx(3 * 10_000_000, rel=0.01)
    for exposure in exposures:
        sent, received = exposure.transmitter, exposure.receiver
        assert (sent.slots == received.slots).all()
        same_basis = (sent.basis == received.basis) & (sent.intensity == 0)
        assert np.mean(sent.bit[same_basis] != received.bit[same_basis]) < 0.06


def test_a_pair_uses_the_sub_channels_that_are_on_at_both_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Alice, "channels_on", (0, 2))
    monkeypatch.setattr(Bob, "channels_on", (1, 2))
    alice, bob = units()
    assert common_channels(alice, bob) == (2,)
    pulses = pulses_of(alice, bob)
    exposures = pulses.expose(10_000_000, [Conditions()])
    assert sum(exposure.pulses for exposure in exposures) == 10_000_000
    assert [rate > 0 for rate in pulses.count_rates] == [False] * 4 + [True] * 2
    monkeypatch.setattr(Bob, "channels_on", ())
    assert pulses_of(alice, bob).expose(10_000_000, []) == []


def error_rate(conditions: Conditions) -> tuple[float, int]:
    channel = QuantumChannel(
        dataclasses.replace(preset("t12", settings="short-block", channel_loss_db=6.0)),
        physics=np.random.default_rng(3),
        secret=random.Random(3).randbytes,
    )
    exposure = channel.expose(20_000_000, conditions)
    same = exposure.transmitter.basis == exposure.receiver.basis
    wrong = exposure.transmitter.bit[same] != exposure.receiver.bit[same]
    return float(np.mean(wrong)), int(same.sum())


def test_a_way_is_useless_until_the_receiver_is_aligned_to_it_and_again_when_it_was_left_alone() -> None:
    alice, bob = units()
    path = QuantumPath(np.random.default_rng(5), 45.0)
    rate, clicks = error_rate(met(path, alice, bob))
    assert rate == pytest.approx(0.5, abs=0.02)
    for step in ("POL", "DELAY", "PHASE"):
        bob.aligned_steps.append(step)
    path.advance(0.05, bob)
    assert bob.aligned_steps == []
    good, more = error_rate(met(path, alice, bob))
    assert good < 0.05
    assert more > 2 * clicks
    path.stray()
    assert error_rate(met(path, alice, bob))[0] == pytest.approx(0.5, abs=0.02)


def test_the_light_meets_what_the_receiver_brings_to_it(monkeypatch: pytest.MonkeyPatch) -> None:
    alice, bob = units()
    path = QuantumPath(np.random.default_rng(1), 20.0)
    monkeypatch.setattr(Bob, "phase_offset_rad", 0.25)
    assert met(path, alice, bob).phase_error_rad == path.drift.phase_error_rad + 0.25
    assert met(path, alice, bob).polarisation_error_rad == path.drift.polarisation_error_rad != 0
    monkeypatch.setattr(Bob, "ALIGNMENT", {"DELAY": 1.0})
    assert met(path, alice, bob).polarisation_error_rad == 0  # it has no step that would follow it
    bob.shutter_open = False
    dark = met(path, alice, bob, background=0.01)
    assert (dark.shutter_open, dark.background) == (False, 0.0)


def test_light_that_was_not_sent_to_a_receiver_clicks_as_often_as_its_photons_say() -> None:
    alice = Alice()
    optics = preset("t12", settings="short-block", channel_loss_db=99.0)
    alice.settings |= {"signal_mean_photon_number": 0.5, "decoy_mean_photon_number": 0.1}
    alice.settings |= {"decoy_probability": 0.2, "vacuum_probability": 0.1, "vacuum_mean_photon_number": 0.0}
    mean = 0.7 * 0.5 + 0.2 * 0.1
    eta = 10 ** (-(10 + optics.receiver_loss_db) / 10) * optics.detector_efficiency
    alice.calibrated_attenuation = alice.settings["attenuation"]
    assert click_chance(alice, optics, 10.0) == pytest.approx(1 - math.exp(-eta * mean))
