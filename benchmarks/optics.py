"""Speed of the emulated optics on one core, against real time and against three plain ways of drawing clicks.

All of them are of CPU time. Every plain way leaves out dead time and afterpulses, which the emulated link has.
"""

from __future__ import annotations

import itertools
import time
from typing import TYPE_CHECKING

import numpy as np

from measuring import Figure, Spread, show, spread
from tokaido.emulators.optics import LinkParameters, QuantumChannel, preset

if TYPE_CHECKING:
    from collections.abc import Callable

_ROUNDS = 15
_EXPOSURES = 20
_LOSSES_DB = 5.0, 10.0, 14.5, 20.0
_GOALS = {
    10.0: (">= 3", ">= 300", ">= 20"),
    20.0: (">= 30", ">= 1500", ">= 200"),
}


def measure() -> list[Figure]:
    """Return speeds of the T12 link with dead time and afterpulses.

    Medians and quartiles of rounds in which all ways take their turn, so that they meet the machine in the same state;
    a comparison is that of each round.
    """
    figures: list[Figure] = []
    for loss_db in _LOSSES_DB:
        params = preset("t12", settings="short-block", channel_loss_db=loss_db)
        plain = _Plain(params)
        channel = QuantumChannel(params, physics=np.random.default_rng(1))
        pulses = round(9 * 10 ** ((loss_db - 10) / 10)) * 100_000_000 // 45 if loss_db >= 10 else 7_000_000
        channel.expose(pulses)
        clicks = 0

        def emulated(channel: QuantumChannel = channel, pulses: int = pulses) -> int:
            nonlocal clicks
            clicks = sum(channel.expose(pulses).receiver.slots.size for _ in range(_EXPOSURES))
            return _EXPOSURES * pulses

        ways = emulated, plain.every_pulse, plain.labels_of_clicks, plain.gaps
        speeds: list[list[float]] = [[] for _ in ways]
        costs: list[float] = []
        for turn in range(_ROUNDS):
            for number in range(len(ways)):
                at = (turn + number) % len(ways)
                speeds[at].append(_speed(ways[at]))
                if at == 0:
                    costs.append(_EXPOSURES * pulses / speeds[0][-1] / clicks * 1e9)
        name = f"emulated T12 link, {loss_db:g} dB"
        real_time, ratio, ratio_of_clicks = _GOALS.get(loss_db, ("", "", ""))
        ours = speeds[0]
        figures += [
            spread(speed / params.clock_rate_hz for speed in ours).figure(name, "x real time", real_time),
            spread(costs).figure(f"{name}, cost", "ns/click"),
            _over(ours, speeds[1]).figure(f"{name}, against drawing every pulse", "x", ratio),
            _over(ours, speeds[2]).figure(f"{name}, against labelling clicks alone", "x", ratio_of_clicks),
            _over(ours, speeds[3]).figure(f"{name}, against gaps without memory", "x"),
        ]
    return figures


def _over(ours: list[float], theirs: list[float]) -> Spread:
    return spread(a / b for a, b in zip(ours, theirs, strict=True))


def _speed(way: Callable[[], int]) -> float:
    """Return pulses per second of CPU time."""
    begin = time.process_time()
    pulses = way()
    return pulses / (time.process_time() - begin)


class _Plain:
    """Plain ways of drawing the same link's clicks with numpy, in large arrays."""

    def __init__(self, params: LinkParameters) -> None:
        self._params = params
        self._rng = np.random.default_rng(2)
        means = np.array(params.intensities) * params.transmittance
        dark = params.dark_count_probability
        z_t, z_r = params.key_basis_probability_transmitter, params.key_basis_probability_receiver
        chances: list[float] = []
        for k, tx_basis, rx_basis, wrong in itertools.product(range(3), (0, 1), (0, 1), (0, 1)):
            share = params.probabilities[k] * (z_t, 1 - z_t)[tx_basis] * (z_r, 1 - z_r)[rx_basis]
            own = (params.misalignment_key, params.misalignment_check)[tx_basis]
            error = own if tx_basis == rx_basis else 0.5
            one, other = (1 - (1 - dark) * np.exp(-means[k] * part) for part in (1 - error, error))
            chances.append(share * ((other if wrong else one) - one * other / 2))
        self._click_chance = sum(chances)
        self._edges = np.cumsum(chances)[:-1] / self._click_chance

    def every_pulse(self, pulses: int = 1_000_000) -> int:
        """Draw all of every pulse: intensity, bases, bit, clicks."""
        params, rng = self._params, self._rng
        edges = np.cumsum(params.probabilities)[:2]
        means = np.array(params.intensities) * params.transmittance
        dark = params.dark_count_probability
        intensity = np.searchsorted(edges, rng.random(pulses)).astype(np.uint8)
        tx_basis = rng.random(pulses) > params.key_basis_probability_transmitter
        rx_basis = rng.random(pulses) > params.key_basis_probability_receiver
        bit = rng.integers(0, 2, pulses, dtype=np.uint8)
        error = np.where(
            tx_basis != rx_basis, 0.5, np.where(tx_basis, params.misalignment_check, params.misalignment_key)
        )
        mean = means[intensity]
        right = rng.random(pulses) < 1 - (1 - dark) * np.exp(-mean * (1 - error))
        wrong = rng.random(pulses) < 1 - (1 - dark) * np.exp(-mean * error)
        coin = rng.integers(0, 2, pulses, dtype=np.uint8)
        received = np.where(right & wrong, coin, bit ^ wrong)
        slots = np.flatnonzero(right | wrong)
        _ = slots, received[slots], intensity[slots], tx_basis[slots], rx_basis[slots], bit[slots]
        return pulses

    def labels_of_clicks(self, pulses: int = 4_000_000) -> int:
        """Draw of every pulse whether it clicks, and the rest of those that do."""
        self._labels(np.flatnonzero(self._rng.random(pulses) < self._click_chance))
        return pulses

    def gaps(self, clicks: int = 75_000) -> int:
        """Draw geometric gaps between clicks, and the rest of each click."""
        slots = np.cumsum(self._rng.geometric(self._click_chance, clicks))
        self._labels(slots)
        return int(slots[-1])

    def _labels(self, slots: np.ndarray) -> None:
        """Draw intensity, bases, error and bit of clicks: a class of 24, and a coin."""
        label = np.searchsorted(self._edges, self._rng.random(slots.size)).astype(np.uint8)
        bit = self._rng.integers(0, 2, slots.size, dtype=np.uint8)
        _ = slots, bit, bit ^ (label & 1), label >> 1 & 1, label >> 2 & 1, label >> 3


if __name__ == "__main__":
    show(measure())
