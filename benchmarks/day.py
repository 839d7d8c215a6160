"""A day of link life against the time that it would take, and the memory of two days."""

from __future__ import annotations

import inspect
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from measuring import Figure, show, spread
from tokaido.emulators.optics import preset, simulate_day

DAY_S = 86_400


def peak_mb() -> float:
    """Return the peak memory of this process in MB."""
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) * 1024 / 1e6


def growth_mb(row_s: float | None) -> float:
    """Return by how much two days grow the peak memory of this process, which must be a fresh one."""
    params = preset("t12", settings="published", channel_loss_db=14.5)
    options: dict[str, Any] = {} if row_s is None else {"row_s": row_s}
    simulate_day(params, seconds=1000)
    before = peak_mb()
    simulate_day(params, seconds=2 * DAY_S, **options)
    return peak_mb() - before


def growth_afresh_mb(row_s: float | None) -> float:
    """Return `growth_mb` of a process of its own."""
    command = [sys.executable, __file__, "" if row_s is None else str(row_s)]
    return float(subprocess.run(command, capture_output=True, check=True, text=True).stdout)


def measure() -> list[Figure]:
    """Return how many times faster than it passes a day is emulated, of CPU time, and the memory of two days."""
    figures: list[Figure] = []
    for settings in ("published", "short-block"):
        params = preset("t12", settings=settings, channel_loss_db=14.5)
        speeds: list[float] = []
        for seed in range(3):
            begin = time.process_time()
            simulate_day(params, seconds=DAY_S, seed=seed)
            speeds.append(DAY_S / (time.process_time() - begin))
        name = f"a day of a T12 link at 14.5 dB ({settings})"
        figures.append(spread(speeds).figure(name, "x real time", ">= 1000"))
    name = "memory of two days in steps of 1 s"
    figures.append(Figure(f"{name}, an element a step", growth_afresh_mb(None), "MB"))
    if "row_s" in inspect.signature(simulate_day).parameters:
        figures.append(Figure(f"{name}, an element an hour", growth_afresh_mb(3600.0), "MB"))
    return figures


if __name__ == "__main__":
    if len(sys.argv) > 1:
        print(growth_mb(float(sys.argv[1]) if sys.argv[1] else None))
    else:
        show(measure())
