"""What is asked of a single-photon detector: it counts the photons that come to its model, and none when it is off."""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING, cast

import pytest

import tokaido.hal as hal
from tokaido.emulators._light import PHOTON_ENERGY_J, Beam
from tokaido.emulators.conformance._contract import Contract
from tokaido.emulators.conformance._questions import Order, Question

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tokaido.emulators.conformance._rig import Rig

PHOTON_RATES = (2e4, 5e6)
"""Photons per second: some, and so many that the dead time decides."""
SIGMAS = 6.0
LONGEST_S = 5.0
"""How long a detector may take for one count rate, in s, before the suite gives up."""


class PhotonDetectorContract(Contract):
    """Photons are sent to the model, and the detector must count as many as it can.

    A model of a detector has the port `in`, takes note of beams there, and tells its `enabled`, its `dead_time_s` and,
    by `expected_rate`, the clicks per second to be expected without afterpulses.
    """

    def questions(self, rig: Rig) -> list[Question]:
        """Identity, dead time and whether it is on."""
        device = opened(rig)
        return [
            Question("dead_time", lambda: device.dead_time, lambda: dead_time(rig)),
            *super().questions(rig),
            Question("enabled", lambda: device.enabled, lambda: rig.witness(lambda model: model.enabled)),
        ]

    def orders(self, rig: Rig) -> Iterator[Order]:
        """Dead times, each other than the one before."""
        device, declared = opened(rig), type(opened(rig)).dead_time
        low, high = declared.range or (100.0, 100_000.0)
        pace = declared.resolution or (high - low) / 1000
        for step in itertools.count(1):
            wanted = low + pace * (step % 500)
            yield Order(
                f"dead_time = {wanted}",
                lambda wanted=wanted: setattr(device, "dead_time", wanted),  # type: ignore[misc]
                wanted,
                lambda: dead_time(rig),
                once="",
            )

    def state(self, rig: Rig) -> object:
        """What is set."""
        return dead_time(rig), rig.witness(lambda model: model.enabled)

    def test_it_counts_the_photons_that_come(self, rig: Rig) -> None:
        """The count rate is the one that its efficiency, its dark counts and its dead time leave of the light."""
        device = opened(rig)
        rates = []
        for photons in (0.0, *PHOTON_RATES, 0.0):
            lit(rig, photons)
            rates.append(counted(rig))
            expect(rig, rates[-1])
        assert rates[0] < rates[1] < rates[2]
        assert device.enabled

    def test_a_longer_dead_time_leaves_fewer_clicks(self, rig: Rig) -> None:
        """In strong light it clicks once a dead time, and so does the model."""
        device = opened(rig)
        lit(rig, PHOTON_RATES[-1])
        short = counted(rig)
        device.dead_time = 3 * device.dead_time
        expect(rig, long := counted(rig))
        assert long < 0.5 * short

    def test_what_is_off_detects_nothing(self, rig: Rig) -> None:
        """Switched off it has no clicks, not even dark counts; switched on again it counts as before."""
        device = opened(rig)
        lit(rig, PHOTON_RATES[0])
        for on in (False, True):
            device.enabled = on
            assert device.enabled is on
            assert rig.witness(lambda model: model.enabled) is on
            rate = counted(rig)
            expect(rig, rate)
            assert (rate > 0) is on

    def test_its_safe_state_is_off(self, rig: Rig) -> None:
        """Nothing is detected afterwards."""
        lit(rig, PHOTON_RATES[0])
        opened(rig).apply_safe_state()
        assert opened(rig).enabled is False
        assert rig.witness(lambda model: model.enabled) is False
        assert counted(rig) == 0

    def test_a_bias_decides_what_it_detects_or_is_unsupported(self, rig: Rig) -> None:
        """Without bias nothing clicks, where a bias is declared; what was set before brings the clicks back."""
        device = opened(rig)
        got = rig.call(lambda: device.bias)
        if hal.PhotonDetectorCapability.BIAS not in device.capabilities:
            assert isinstance(got, hal.UnsupportedError)
            return
        before = device.bias
        lit(rig, PHOTON_RATES[0])
        rate = counted(rig)
        device.bias = 0.0
        assert counted(rig) == 0
        device.bias = before
        assert counted(rig) == pytest.approx(rate, abs=2 * SIGMAS * math.sqrt(rate))

    def test_an_efficiency_is_set_or_unsupported(self, rig: Rig) -> None:
        """More of the photons click at a higher efficiency, where it is declared."""
        device = opened(rig)
        got = rig.call(lambda: device.efficiency)
        if hal.PhotonDetectorCapability.EFFICIENCY not in device.capabilities:
            assert isinstance(got, hal.UnsupportedError)
            return
        low, high = type(device).efficiency.range or (0.1, 0.2)
        lit(rig, PHOTON_RATES[0])
        rates = []
        for wanted in (low, high):
            device.efficiency = wanted
            assert device.efficiency == pytest.approx(wanted, abs=0.005)
            rates.append(counted(rig))
            expect(rig, rates[-1])
        assert rates[0] < rates[1]

    def test_a_mode_is_set_or_unsupported(self, rig: Rig) -> None:
        """It can be gated and free running, where gating is declared."""
        device = opened(rig)
        got = rig.call(lambda: device.mode)
        if hal.PhotonDetectorCapability.GATING not in device.capabilities:
            assert isinstance(got, hal.UnsupportedError)
            return
        for wanted in (hal.DetectionMode.GATED, hal.DetectionMode.FREE_RUNNING):
            device.mode = wanted
            assert device.mode is wanted

    def test_dark_counts_are_told_or_unsupported(self, rig: Rig) -> None:
        """The device knows its dark counts, where it says so."""
        device = opened(rig)
        got = rig.call(lambda: device.dark_count_rate)
        if hal.PhotonDetectorCapability.DARK_COUNTS not in device.capabilities:
            assert isinstance(got, hal.UnsupportedError)
            return
        lit(rig, 0.0)
        rate = counted(rig)
        assert got == pytest.approx(rate, abs=SIGMAS * math.sqrt(rate + 1))

    def test_a_counting_time_is_set_or_unsupported(self, rig: Rig) -> None:
        """The rate does not depend on how long is counted, where that can be set."""
        device = opened(rig)
        got = rig.call(lambda: device.counting_time)
        if hal.PhotonDetectorCapability.COUNTING_TIME not in device.capabilities:
            assert isinstance(got, hal.UnsupportedError)
            return
        lit(rig, PHOTON_RATES[0])
        for wanted in (2.0, 1.0):
            device.counting_time = wanted
            assert device.counting_time == pytest.approx(wanted)
            expect(rig, counted(rig))

    def test_it_is_cooled_or_cannot_be_told_to_be(self, rig: Rig) -> None:
        """A temperature that was asked for is reached, where cooling is declared."""
        device = opened(rig)
        got = rig.call(lambda: device.target_temperature)
        if hal.PhotonDetectorCapability.COOLING not in device.capabilities:
            assert isinstance(got, hal.UnsupportedError)
            return
        low, high = type(device).target_temperature.range or (-50.0, -20.0)
        for wanted in (high, low):
            device.target_temperature = wanted
            assert device.target_temperature == pytest.approx(wanted, abs=0.5)
            rig.clock.wait(LONGEST_S)
            assert device.temperature == pytest.approx(wanted, abs=1.0)


def opened(rig: Rig) -> hal.SinglePhotonDetector:
    """Return the driver as the detector that it is."""
    return cast("hal.SinglePhotonDetector", rig.device)


def lit(rig: Rig, photon_rate: float) -> None:
    """Let steady light of so many photons per second into the model."""
    beams = {"in": (Beam(photon_rate * PHOTON_ENERGY_J),)} if photon_rate else {}
    rig.witness(lambda model: model.note_beams(beams))


def counting_time(rig: Rig) -> float:
    """Return how long the detector counts for one rate, in s."""
    got = rig.call(lambda: opened(rig).counting_time)
    return got if isinstance(got, float) else 1.0


def counted(rig: Rig) -> float:
    """Return the count rate of a whole counting time from now on."""
    rig.clock.wait(min(2 * counting_time(rig), LONGEST_S))
    return opened(rig).count_rate


def expect(rig: Rig, rate: float) -> None:
    """Hold a count rate to what the model lets expect, and to 2 % more for afterpulses."""
    truth: float = rig.witness(lambda model: model.expected_rate)
    spread = SIGMAS * math.sqrt(max(truth, 1.0) / counting_time(rig)) if truth else 0.0
    rig.compare("count_rate", rate, truth - spread - 1 <= rate <= 1.02 * truth + spread + 1, truth=truth)


def dead_time(rig: Rig) -> float:
    """Return the dead time of the model, in ns."""
    return round(float(rig.witness(lambda model: model.dead_time_s)) * 1e9, 3)
