"""Speed of the emulated optics on one core, against real time and against drawing every pulse."""

from __future__ import annotations

import statistics
import time

import numpy as np

from tokaido.emulators.optics import LinkParameters, QuantumChannel, preset

Figure = tuple[str, float, str, str]
"""(name, value, unit of measure, goal)"""


def measure() -> list[Figure]:
    """Return speeds of the T12 link with dead time and afterpulses, as medians of five runs of about 0.1 s."""
    figures: list[Figure] = []
    goals = {10.0: (">= 3", ">= 300"), 14.5: ("", ""), 20.0: (">= 30", ">= 1500")}
    for loss, (real_time_goal, ratio_goal) in goals.items():
        params = preset("t12", settings="short-block", channel_loss_db=loss)
        pulses = round(9 * 10 ** ((loss - 10) / 10)) * 100_000_000
        speed, clicks = _emulated(params, pulses)
        every_pulse = _every_pulse(params)
        figures += [
            (f"emulated T12 link, {loss:g} dB", speed / params.clock_rate_hz, "x real time", real_time_goal),
            (f"emulated T12 link, {loss:g} dB, cost", pulses / speed / clicks * 1e9, "ns/click", ""),
            (f"emulated T12 link, {loss:g} dB, against drawing every pulse", speed / every_pulse, "x", ratio_goal),
        ]
    return figures


def _emulated(params: LinkParameters, pulses: int) -> tuple[float, int]:
    """Return (pulses per second, clicks of one run); a run is 45 exposures of about 7e4 clicks."""
    channel = QuantumChannel(params, physics=np.random.default_rng(1))
    exposure = pulses // 45
    channel.expose(exposure)
    clicks, times = 0, []
    for _ in range(5):
        begin = time.perf_counter()
        clicks = sum(channel.expose(exposure).receiver.slots.size for _ in range(45))
        times.append(time.perf_counter() - begin)
    return pulses / statistics.median(times), clicks


def _every_pulse(params: LinkParameters, pulses: int = 1_000_000) -> float:
    """Return pulses per second when each pulse is drawn, in large arrays and without dead time and afterpulses."""
    rng = np.random.default_rng(2)
    edges = np.cumsum(params.probabilities)[:2]
    means = np.array(params.intensities) * params.transmittance
    dark = params.dark_count_probability
    times = []
    for _ in range(5):
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
