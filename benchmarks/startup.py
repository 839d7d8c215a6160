"""What a new process spends until hal is imported, until a device answered, and until the command has said something.

Every program runs to its end in a process of its own, in turn with the bare interpreter. CPU time is what the operating
system accounts to the process, wall time holds whatever else the machine did meanwhile. Bytecode is there already, as
it is after the first run on any machine that lets Python write it: it lies in a folder of this benchmark, which every
program fills once before it is measured, whatever the environment says. The emulated unit is in the measuring process.

The first reading over ZeroMQ is the first event of a telemetry stream of 10 Hz. The control port is opened before it,
and the wall time holds up to 0.1 s until the event is due.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
import time

from measuring import Figure, Spread, spread

ROUNDS = 15
BARE = "pass"
IMPORT = "import tokaido.hal"
SERIAL = """
import tokaido.hal as hal
with hal.Transmitter.open("toshiba.transmitter", control={control!r}) as tx:
    tx.laser_temperature
"""
ZEROMQ = """
import tokaido.hal as hal
with hal.Transmitter.open("toshiba.transmitter", control={control!r}, keys={keys!r}) as tx:
    event = next(tx.telemetry_stream(interval=0.1, timeout=2.0))
assert event.readings
"""
COMMAND = """
from tokaido.console import main
main({arguments!r})
"""


def measure() -> list[Figure]:
    from tokaido.emulators import launch

    with launch("toshiba.transmitter", serial_number="TKTX0001", warm=True) as unit:
        control, keys = unit.resources["control"], unit.resources["keys"]
        programs = {
            "bare": BARE,
            "import": IMPORT,
            "serial": SERIAL.format(control=control),
            "zeromq": ZEROMQ.format(control=control, keys=keys),
            "list": COMMAND.format(arguments=["drivers"]),
            "help": COMMAND.format(arguments=["--help"]),
        }
        wall, cpu = _in_turns(programs)
    return [
        _whole(wall, "bare").figure("bare interpreter, start to end", "ms"),
        _whole(cpu, "bare").figure("bare interpreter, start to end, CPU", "ms"),
        _over_bare(cpu, "import").figure("import tokaido.hal over the bare interpreter, CPU", "ms", "<= 50 ms"),
        _over_bare(wall, "import").figure("import tokaido.hal over the bare interpreter", "ms", "<= 60 ms"),
        _whole(cpu, "serial").figure("new process to first reading, serial, CPU", "ms", "<= 90 ms"),
        _whole(wall, "serial").figure("new process to first reading, serial", "ms", "<= 100 ms"),
        _whole(cpu, "zeromq").figure("new process to first reading, ZeroMQ with CURVE, CPU", "ms", "<= 110 ms"),
        _whole(wall, "zeromq").figure("new process to first reading, ZeroMQ with CURVE", "ms", "<= 150 ms"),
        _whole(cpu, "list").figure("`tokaido drivers`, CPU", "ms"),
        _whole(cpu, "help").figure("`tokaido --help`, CPU", "ms"),
    ]


Times = dict[str, list[float]]


def _in_turns(programs: dict[str, str]) -> tuple[Times, Times]:
    """Return wall and CPU time of each program in ms. Programs take turns, and every round begins with another one."""
    wall: Times = {name: [] for name in programs}
    cpu: Times = {name: [] for name in programs}
    names = list(programs)
    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, "PYTHONPYCACHEPREFIX": folder}
        environment.pop("PYTHONDONTWRITEBYTECODE", None)
        for name in names:  # writes bytecode
            _run(programs[name], environment, folder)
        for turn in range(ROUNDS):
            for name in names[turn % len(names) :] + names[: turn % len(names)]:
                spent_wall, spent_cpu = _run(programs[name], environment, folder)
                wall[name].append(spent_wall)
                cpu[name].append(spent_cpu)
    return wall, cpu


def _run(program: str, environment: dict[str, str], folder: str) -> tuple[float, float]:
    """Return wall and CPU time of a process in ms, from before it starts to after it ended."""
    before, start = _children_s(), time.perf_counter()
    subprocess.run([sys.executable, "-c", program], check=True, stdout=subprocess.DEVNULL, env=environment, cwd=folder)
    return 1e3 * (time.perf_counter() - start), 1e3 * (_children_s() - before)


def _children_s() -> float:
    """Return the CPU time of all child processes that ended, in s."""
    spent = resource.getrusage(resource.RUSAGE_CHILDREN)
    return spent.ru_utime + spent.ru_stime


def _whole(times: Times, name: str) -> Spread:
    return spread(times[name])


def _over_bare(times: Times, name: str) -> Spread:
    return spread(whole - bare for whole, bare in zip(times[name], times["bare"], strict=True))
