"""Speed of the emulated optics on one core, against real time and against drawing every pulse."""

from __future__ import annotations

import statistics
import time

import numpy as np

from tokaido.emulators.optics import LinkParameters, QuantumChannel, preset

Figure = tuple[str, float, str, str]
"""(name, value, unit of measure, goal)"""

_ROUNDS = 9
_EXPOSURES = 45


def measure() -> list[Figure]:
    """Return speeds of the T12 link with dead time and afterpulses.

    Medians of nine runs of about 0.1 s, taken in turn with runs that draw every pulse, so that both meet the machine
    in the same state; the comparison is the median of what each pair of runs gives.
    """
    figures: list[Figure] = []
    goals = {10.0: (">= 3", ">= 300"), 14.5: ("", ""), 20.0: (">= 30", ">= 1500")}
    for loss, (real_time_goal, ratio_goal) in goals.items():
        params = preset("t12", settings="short-block", channel_loss_db=loss)
        pulses = round(9 * 10 ** ((loss - 10) / 10)) * 100_000_000 // _EXPOSURES
        channel = QuantumChannel(params, physics=np.random.default_rng(1))
        rng = np.random.default_rng(2)
        _emulated(channel, pulses)
        _every_pulse(params, rng)
        speeds, costs, ratios = [], [], []
        for _ in range(_ROUNDS):
            seconds, clicks = _emulated(channel, pulses)
            speeds.append(_EXPOSURES * pulses / seconds)
            costs.append(seconds / clicks * 1e9)
            ratios.append(speeds[-1] / _every_pulse(params, rng))
        real_time = statistics.median(speeds) / params.clock_rate_hz
        figures += [
            (f"emulated T12 link, {loss:g} dB", real_time, "x real time", real_time_goal),
            (f"emulated T12 link, {loss:g} dB, cost", statistics.median(costs), "ns/click", ""),
            (
                f"emulated T12 link, {loss:g} dB, against drawing every pulse",
                statistics.median(ratios),
                "x",
                ratio_goal,
            ),
        ]
    return figures


def _emulated(channel: QuantumChannel, pulses: int) -> tuple[float, int]:
    """Return (seconds, clicks) of one run: 45 exposures of `pulses` pulses, about 7e4 clicks each."""
    begin = time.perf_counter()
    clicks = sum(channel.expose(pulses).receiver.slots.size for _ in range(_EXPOSURES))
    return time.perf_counter() - begin, clicks


def _every_pulse(params: LinkParameters, rng: np.random.Generator, pulses: int = 1_000_000) -> float:
    """Return pulses per second when each pulse is drawn, in large arrays and without dead time and afterpulses.

    The median of three runs.
    """
    edges = np.cumsum(params.probabilities)[:2]
    means = np.array(params.intensities) * params.transmittance
    dark = params.dark_count_probability
    times = []
    for _ in range(3):
        begin = time.perf_counter()
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
        times.append(time.perf_counter() - begin)
    return pulses / statistics.median(times)


if __name__ == "__main__":
    for name, value, unit, goal in measure():
        print(f"{name:60s} {value:10.3g} {unit:12s} {goal}")
