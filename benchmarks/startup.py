"""How long a new process takes to import hal, and to read its first value from a device."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time

Row = tuple[str, float, str, str]
RUNS = 15

FIRST_SERIAL = """
import tokaido.hal as hal
with hal.Transmitter.open("toshiba.transmitter", control={control!r}) as tx:
    tx.laser_temperature
"""
FIRST_ZEROMQ = """
import tokaido.hal as hal
from tokaido.drivers.toshiba._keychannel import KeyChannel
channel = KeyChannel(hal.Resource.parse({keys!r}), "tx", {serial!r}, clock=hal.SYSTEM_CLOCK, timeout_s=2.0)
channel._call("status")
channel.close()
"""


def seconds(code: str) -> float:
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", code], check=True)
    return time.perf_counter() - start


def over_bare(code: str) -> tuple[float, float]:
    """Median ms of `code` and of the bare interpreter, taken in turn."""
    pairs = [(seconds(code), seconds("pass")) for _ in range(RUNS)]
    return 1e3 * statistics.median(pair[0] for pair in pairs), 1e3 * statistics.median(pair[1] for pair in pairs)


def measure() -> list[Row]:
    from tokaido.emulators import launch

    whole, bare = over_bare("import tokaido.hal")
    rows: list[Row] = [
        ("bare interpreter, start to end", bare, "ms", ""),
        ("import tokaido.hal over the bare interpreter", whole - bare, "ms", "<= 60 ms"),
    ]
    with launch("toshiba.transmitter", serial_number="TKTX0001", warm=True) as unit:
        control, keys = unit.resources["control"], unit.resources["keys"]
        serial, _ = over_bare(FIRST_SERIAL.format(control=control))
        zeromq, _ = over_bare(FIRST_ZEROMQ.format(keys=keys, serial="TKTX0001"))
    rows += [
        ("new process to first reading, serial", serial, "ms", "<= 100 ms"),
        ("new process to first reading, ZeroMQ with CURVE", zeromq, "ms", "<= 150 ms"),
    ]
    return rows
