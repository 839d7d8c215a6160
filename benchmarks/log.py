"""What a log of the telemetry of 16 devices at 10 Hz costs: the CPU of the program that logs, of a core.

The devices are emulated and run in a process of their own, so their CPU is not in the figure. Rows go to a file on
this disk. Run it by `python benchmarks/log.py`.
"""

from __future__ import annotations

import contextlib
import json
import sys
import tempfile
import threading
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tokaido.hal as hal
import tokaido.lab as lab
from box import peer
from measuring import Figure, show, spread
from tokaido.emulators import launch

if TYPE_CHECKING:
    from collections.abc import Sequence

LABORATORY = (
    "toshiba.transmitter",
    "toshiba.receiver",
    "polatis.matrix",
    "keysight.attenuator",
    "keysight.attenuator",
    "thorlabs.pm100",
    "thorlabs.pm100",
    "fiberlabs.amplifier",
) * 2
UNITS = ("toshiba.transmitter", "toshiba.receiver") * 8
LARGE_UNITS = ("nec.transmitter", "nec.receiver") * 8
INTERVAL_S = 0.1
WINDOWS = 4
WINDOW_S = 5.0


def measure() -> list[Figure]:
    """Return the figures."""
    return [
        *logged("links, switches, table instruments", LABORATORY, "<= 15 %"),
        *logged("Toshiba-style units", UNITS),
        *logged("NEC-style units of 8 sub-channels", LARGE_UNITS),
    ]


def logged(name: str, drivers: Sequence[str], goal: str = "") -> list[Figure]:
    """Return the CPU that a log of devices takes, in % of a core, and how many rows it writes a second."""
    percent, rows = [], []
    with ExitStack() as stack:
        resources = json.loads(stack.enter_context(peer(*drivers, script=__file__)))
        devices = "".join(
            f"[devices.d{number}]\ndriver = {driver!r}\ntimeout = 5\ncontrol = {control!r}\n"
            for number, (driver, control) in enumerate(zip(drivers, resources, strict=True))
        )
        station = stack.enter_context(hal.Station.from_text(f"[station]\non_exit = 'keep'\n{devices}"))
        file = Path(stack.enter_context(tempfile.TemporaryDirectory())) / "log.csv"
        lab.log_telemetry(station, file, interval=INTERVAL_S, count=3)  # opens the devices
        for _ in range(WINDOWS):
            began, began_s = time.process_time(), time.perf_counter()
            done = lab.log_telemetry(station, file, interval=INTERVAL_S, duration=WINDOW_S, on_gap=print)
            wall_s = time.perf_counter() - began_s
            assert done.gaps == 0
            polls = len(drivers) * WINDOW_S / INTERVAL_S
            assert done.polls > 0.9 * polls, f"{done.polls} of {polls:.0f} polls"
            percent.append(100 * (time.process_time() - began) / wall_s)
            rows.append(done.rows / wall_s)
    return [
        spread(percent).figure(f"log of 16 devices at 10 Hz, CPU of a core: {name}", "%", goal),
        spread(rows).figure(f"log of 16 devices at 10 Hz, rows: {name}", "1/s"),
    ]


def serve(drivers: Sequence[str]) -> None:
    """Serve devices until the process is ended, and say where."""
    with contextlib.ExitStack() as stack:
        found = []
        for number, driver in enumerate(drivers):
            options: dict[str, Any] = {"serial_number": f"TK-{number:06}", "seed": number}
            options |= {"warm": True} if driver.startswith(("toshiba", "nec")) else {}
            options |= {"wire_end": "tcp"} if driver == "thorlabs.pm100" else {}
            found.append(stack.enter_context(launch(driver, **options)).resources["control"])
        print(json.dumps(found), flush=True)
        threading.Event().wait()


if __name__ == "__main__":
    if len(sys.argv) > 1:
        serve(sys.argv[1:])
    else:
        show(measure())
