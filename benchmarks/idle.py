"""What emulated devices cost that nobody asks, and what a poll of their telemetry costs on either side.

The devices run in a process of their own, which says how much CPU all its threads took. A unit is warm, at STANDBY.
Run it by `python benchmarks/idle.py`.
"""

from __future__ import annotations

import contextlib
import json
import resource
import subprocess
import sys
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import tokaido.hal as hal
from measuring import Figure, show, spread
from tokaido.emulators import launch

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

SWITCH = "polatis.matrix"
TOSHIBA = "toshiba.transmitter", "toshiba.receiver"
NEC = "nec.transmitter", "nec.receiver"
SETTLING_S = 1.5
WINDOWS = 4
WINDOW_S = 2.0
POLLED = 100
ROLES: dict[str, Any] = {"nec.transmitter": hal.Transmitter, "nec.receiver": hal.Receiver}


def measure() -> list[Figure]:
    """Return the rows of the table."""
    return [
        idle("one idle switch (TCP)", [SWITCH], "<= 0.5 ms/s"),
        idle("one idle Toshiba-style receiver (pty and ZeroMQ)", TOSHIBA[1:], "<= 0.5 ms/s"),
        idle("one idle NEC-style receiver (TCP and ZeroMQ)", NEC[1:], "<= 0.5 ms/s"),
        idle("50 idle NEC-style units", NEC * 25, "<= 50 ms/s"),
        idle("300 idle switches", [SWITCH] * 300, "<= 50 ms/s"),
        *polled(),
    ]


def idle(name: str, devices: Any, goal: str) -> Figure:
    """Return what devices cost that nobody asks, in ms of CPU a second."""
    with served(devices) as (cpu_s, _):
        time.sleep(SETTLING_S)
        figures = []
        for _ in range(WINDOWS):
            began_s, began = cpu_s(), time.perf_counter()
            time.sleep(WINDOW_S)
            figures.append(1e3 * (cpu_s() - began_s) / (time.perf_counter() - began))
    return spread(figures).figure(f"{name}: CPU", "ms/s", goal)


def polled() -> list[Figure]:
    """Return what 100 units cost whose telemetry one program reads once a second, in ms of CPU a second and a poll."""
    with served(NEC * (POLLED // 2)) as (cpu_s, resources), ExitStack() as stack:
        units = [
            stack.enter_context(ROLES[name].open(name, control=of["control"]))
            for name, of in zip(NEC * (POLLED // 2), resources, strict=True)
        ]
        began = time.perf_counter()
        server, client = [], []
        for turn in range(WINDOWS + 1):
            servers_s, own_s = cpu_s(), time.process_time()
            for number, unit in enumerate(units):
                time.sleep(max(began + turn + number / POLLED - time.perf_counter(), 0))
                unit.telemetry()
            if turn:  # the first one has caches to fill
                server.append(1e3 * (cpu_s() - servers_s))
                client.append(1e3 * (time.process_time() - own_s))
    both = [ours + theirs for ours, theirs in zip(client, server, strict=True)]
    return [
        spread(both).figure("100 NEC-style units polled at 1 Hz: CPU in all", "ms/s", "<= 400 ms/s"),
        spread(server).figure("100 NEC-style units polled at 1 Hz: emulators", "ms/s"),
        spread(client).figure("100 NEC-style units polled at 1 Hz: client", "ms/s"),
    ]


@contextlib.contextmanager
def served(devices: Any) -> Generator[tuple[Callable[[], float], list[dict[str, str]]]]:
    """Run devices in a process of their own, and yield how to ask for its CPU time in s, and their resources."""
    command = [sys.executable, __file__, *devices]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        asking, answers = process.stdin, process.stdout

        def cpu_s() -> float:
            asking.write("\n")
            asking.flush()
            return float(answers.readline())

        try:
            yield cpu_s, json.loads(answers.readline())
        finally:
            asking.close()


def serve(devices: list[str]) -> None:
    """Run devices until the input ends, and print for every line of it the CPU time of this process in s."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(most, 8192) if most > 0 else 8192, most))
    with ExitStack() as stack:
        found = []
        for number, name in enumerate(devices):
            device = stack.enter_context(launch(name, serial_number=f"TK-{number:06}", seed=number))
            if name in {*TOSHIBA, *NEC}:
                with device.lock:
                    device.model.prepare("STANDBY")  # type: ignore[attr-defined]
            found.append(dict(device.resources))
        print(json.dumps(found), flush=True)
        for _ in sys.stdin:
            print(time.process_time(), flush=True)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        serve(sys.argv[1:])
    else:
        show(measure())
