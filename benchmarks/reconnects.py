"""Let a reader of keys reconnect many times under faults, and show that nothing grows: descriptors, threads, memory.

    python benchmarks/reconnects.py [ROUNDS]

In each round an answer of the key channel is lost or its cable pulled. In every tenth the driver, too, is given up
without `close`, as a notebook does that binds its name to another one. Default: 10,000 rounds, about 10 minutes.
"""

from __future__ import annotations

import gc
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

import tokaido.hal as hal
from tokaido.emulators import Emulator, launch

TIMEOUT_S = 0.03
KINDS = ("drop", "unplug", "truncate", "hang")


def open_reader(unit: Emulator) -> hal.Transmitter:
    """Return a driver of the unit; its deadline is short, so opening it may take a few attempts."""
    while True:
        with suppress(hal.TransportError):
            return hal.Transmitter.open("toshiba.transmitter", timeout=TIMEOUT_S, **unit.resources)


def figures() -> tuple[int, int, int]:
    """Return the descriptors, the threads and the memory in KiB of this process."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    resident = next(line for line in status.splitlines() if line.startswith("VmRSS"))
    return len(list(Path("/proc/self/fd").iterdir())), threading.active_count(), int(resident.split()[1])


def show(rounds: int, failed: int) -> None:
    """Print a line of figures once what was closed is gone: libzmq closes in a thread of its own."""
    gc.collect()
    time.sleep(1.0)
    descriptors, threads, memory = figures()
    print(f"{rounds:>8} {failed:>8} {descriptors:>12} {threads:>8} {memory:>8}", flush=True)


def read_once(tx: hal.Transmitter) -> None:
    """Ask for keys."""
    for block in tx.key_blocks(0, limit=1):
        with block:
            pass


def main(rounds: int) -> None:
    """Do so many rounds and print ten lines of figures."""
    with launch("toshiba.transmitter", serial_number="TKTX0001", warm=True) as unit:
        tx = open_reader(unit)
        print(f"{'rounds':>8} {'failed':>8} {'descriptors':>12} {'threads':>8} {'KiB':>8}")
        show(0, failed := 0)
        for number in range(1, rounds + 1):
            unit.faults.add(KINDS[number % len(KINDS)], port="keys", direction="from_unit", seconds=0.02)
            try:
                read_once(tx)
            except hal.TokaidoError:
                failed += 1
            unit.faults.clear()
            if number % 10 == 0:
                del tx  # as it is, without `close`
                gc.collect()
                tx = open_reader(unit)
                with suppress(hal.TokaidoError):
                    read_once(tx)
            if number % max(rounds // 10, 1) == 0:
                show(number, failed)
        tx.close()


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 10_000)
