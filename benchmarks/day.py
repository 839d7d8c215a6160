"""A day of link life against the time that it would take."""

from __future__ import annotations

import statistics
import time

from tokaido.emulators.optics import preset, simulate_day

Figure = tuple[str, float, str, str]
"""(name, value, unit of measure, goal)"""
DAY_S = 86_400


def measure() -> list[Figure]:
    """Return how many times faster than it passes a day is emulated, as medians of three."""
    figures: list[Figure] = []
    for settings in ("published", "short-block"):
        params = preset("t12", settings=settings, channel_loss_db=14.5)
        times, blocks = [], 0
        for seed in range(3):
            begin = time.perf_counter()
            blocks = len(simulate_day(params, seconds=DAY_S, seed=seed).blocks)
            times.append(time.perf_counter() - begin)
        name = f"a day of a T12 link at 14.5 dB, {blocks} blocks ({settings})"
        figures.append((name, DAY_S / statistics.median(times), "x real time", ">= 1000"))
    return figures


if __name__ == "__main__":
    for name, value, unit, goal in measure():
        print(f"{name:60s} {value:10.3g} {unit:12s} {goal}")
