"""Compiled kernels draw the clicks that numpy draws, from the same seeds."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from tokaido.emulators import fast
from tokaido.emulators.optics import (
    NOMINAL,
    Conditions,
    DetectorBlinding,
    Exposure,
    LinkParameters,
    QuantumChannel,
    TimeShift,
    preset,
)
from tokaido.emulators.optics._afterpulses import fire
from tokaido.emulators.optics._click_kernel import registered_clicks
from tokaido.emulators.optics._clicks import Clicks
from tokaido_testing.extras import needs

if TYPE_CHECKING:
    from numpy.typing import NDArray

pytestmark = needs("numba", "the extra fast is not installed")


@pytest.mark.parametrize("dead_gates", [0, 1, 10, 1000])
@pytest.mark.parametrize("chance", [0.0, 0.05, 0.7, 1.0])
@pytest.mark.parametrize(("scale", "longest"), [(0.0, math.inf), (0.3, math.inf), (50.0, math.inf), (math.inf, 1e6)])
def test_registered_clicks(dead_gates: int, chance: float, scale: float, longest: float) -> None:
    rng = np.random.default_rng(3)
    for n in (1, 2, 50, 1000):
        draws = rng.standard_exponential(n) if scale < math.inf else np.ones(n)
        hits = np.flatnonzero(rng.random(n) < chance)
        for carried, mean in ((0, 20.0), (3, 2.0), (200, 5000.0)):
            parents = np.concatenate([np.full(carried, -1, np.int64), hits])
            delays = (rng.standard_exponential(parents.size) * mean).astype(np.int64)
            results = []
            for kernels in (False, True):
                with fast.using(kernels=kernels):
                    results.append(registered_clicks(draws, scale, longest, parents, delays, dead_gates, 17))
            for plain, compiled in zip(*results, strict=True):
                assert plain.dtype == compiled.dtype
                assert np.array_equal(plain, compiled), (n, carried)


def test_bits_of_afterpulses_in_a_crowd() -> None:
    """Many afterpulses join one click, of causes that are settled early and late."""
    rng = np.random.default_rng(4)
    for _ in range(300):
        n = int(rng.integers(2, 40))
        clicked = np.flatnonzero(rng.random(n) < rng.random())
        coincident = rng.integers(0, n, int(rng.integers(0, 30)))

        def before(places: NDArray[np.intp]) -> NDArray[np.intp]:
            return np.array([int(rng.integers(-3, place)) if place else -1 for place in places.tolist()], np.intp)

        causes = before(clicked), before(coincident), before(rng.integers(0, n, 5))
        clicks = Clicks(np.arange(n), clicked, coincident, *causes)
        received, double = rng.integers(0, 2, n, dtype=np.uint8), rng.random(n) < 0.2
        carried = rng.integers(0, 2, 3, dtype=np.uint8)
        results = []
        for kernels in (False, True):
            bits, both = received.copy(), double.copy()
            with fast.using(kernels=kernels):
                coming = fire(clicks, bits, both, carried, np.random.default_rng(5))
            results.append((coming, bits, both))
        for plain, compiled in zip(*results, strict=True):
            assert np.array_equal(plain, compiled)


def exposed(parameters: LinkParameters, conditions: Conditions, seed: int, *, kernels: bool) -> list[Exposure]:
    secret = np.random.default_rng(seed + 1000)
    channel = QuantumChannel(parameters, physics=np.random.default_rng(seed), secret=secret.bytes)
    with fast.using(kernels=kernels):
        return [channel.expose(pulses, conditions) for pulses in (0, 1, 1000, 2_000_000, 7)]


T12 = preset("t12", settings="short-block", channel_loss_db=10.0)


@pytest.mark.parametrize(
    ("parameters", "conditions"),
    [
        (T12, NOMINAL),
        (replace(T12, channel_loss_db=0.0), NOMINAL),
        (replace(T12, channel_loss_db=30.0), NOMINAL),
        (replace(T12, afterpulse_probability=0.9, afterpulse_time_s=1e-8), NOMINAL),
        (replace(T12, dead_time_s=0.0), NOMINAL),
        (replace(T12, afterpulse_probability=0.0), NOMINAL),
        (T12, Conditions(laser_on=False)),
        (T12, Conditions(detector_efficiencies=(1.0, 0.6))),
        (T12, Conditions(eavesdropper=DetectorBlinding())),
        (T12, Conditions(eavesdropper=TimeShift(efficiencies=(1.0, 0.5)))),
    ],
)
def test_records_of_a_link(parameters: LinkParameters, conditions: Conditions) -> None:
    for seed in range(4):
        sides = (exposed(parameters, conditions, seed, kernels=kernels) for kernels in (False, True))
        for plain, compiled in zip(*sides, strict=True):
            assert plain.counts == compiled.counts
            for mine, other in ((plain.transmitter, compiled.transmitter), (plain.receiver, compiled.receiver)):
                for name in mine.__slots__:
                    assert np.array_equal(getattr(mine, name), getattr(other, name)), name
