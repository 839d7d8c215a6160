"""One poll of all values of a unit: the CPU that it takes in the client.

The emulated unit has warmed up and runs in a process of its own, so its CPU is not in the figure. Run it by
`python benchmarks/telemetry.py`.
"""

from __future__ import annotations

import contextlib
import json
import sys
import threading

import tokaido.hal as hal
from box import peer
from measuring import Figure, in_turns, show, spread
from tokaido.emulators import launch

UNITS = {
    "NEC-style receiver, 8 sub-channels and 16 detectors": ("nec.receiver", hal.Receiver),
    "NEC-style transmitter, 8 sub-channels": ("nec.transmitter", hal.Transmitter),
    "Toshiba-style receiver, 2 detectors": ("toshiba.receiver", hal.Receiver),
}


def measure() -> list[Figure]:
    """Return the figures."""
    with contextlib.ExitStack() as closing:
        calls = []
        for driver, role in UNITS.values():
            resources = json.loads(closing.enter_context(peer(driver, script=__file__)))
            unit = closing.enter_context(role.open(driver, timeout=5, control=resources["control"]))
            assert len(unit.telemetry()) > 20
            calls.append(unit.telemetry)
        sides = in_turns(calls, rounds=40, repeats=20)
    goals = ("1.5x cheaper", "", "")
    return [
        spread(side.cpu).figure(f"telemetry, client CPU of a poll: {name}", "us", goal)
        for name, side, goal in zip(UNITS, sides, goals, strict=True)
    ]


def serve(driver: str) -> None:
    """Serve one unit until the process is ended, and say where."""
    ends = {"nec": "tcp", "toshiba": "pty"}
    with launch(driver, wire_end=ends[driver.partition(".")[0]], warm=True) as unit:
        print(json.dumps(unit.resources), flush=True)
        threading.Event().wait()


if __name__ == "__main__":
    if len(sys.argv) > 1:
        serve(sys.argv[1])
    else:
        show(measure())
