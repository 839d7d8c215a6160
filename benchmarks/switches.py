"""What a reading within the process costs, and how long a switch takes to join two ports and show that it did."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import pyvisa

import tokaido.hal as hal
from tokaido.emulators import launch

Row = tuple[str, float, str, str]
MAPS = [{i: i for i in range(1, 65)}, {i: 65 - i for i in range(1, 65)}]


def median_of(count: int, work: Callable[[int], object], scale: float) -> float:
    """Median time of `work(i)` over `count` calls, scaled from s."""
    times = []
    for i in range(count):
        start = time.perf_counter()
        work(i)
        times.append(time.perf_counter() - start)
    return scale * statistics.median(times)


def measure() -> list[Row]:
    rows: list[Row] = []
    with launch("polatis.matrix", wire_end="visa") as switch:
        address = switch.resources["control"].removeprefix("visa:").partition("?")[0]
        manager = pyvisa.ResourceManager("@tokaido")
        plain = manager.open_resource(address, read_termination="\r\n", write_termination="\n")
        ask: Callable[[str], str] = plain.query  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]
        rows.append(
            ("in process: pyvisa's query on @tokaido", median_of(3000, lambda _: ask("*OPC?"), 1e6), "us", "<= 15 us")
        )
        plain.close()
        manager.close()
    for end in ("visa", "tcp", "hislip", "pty"):
        with (
            launch("polatis.matrix", wire_end=end, inputs=64, outputs=64) as box,
            hal.OpticalSwitch.open("polatis.matrix", control=box.resources["control"]) as switch_device,
        ):
            joined = median_of(20, lambda i, s=switch_device: s.connect(i + 1, 64 - i), 1e3)  # type: ignore[misc]
            rows.append((f"Polatis on {end}: connect and verify, settling 25 ms", joined, "ms", "<= 30 ms"))
            if end == "tcp":
                whole = median_of(10, lambda i, s=switch_device: s.replace(MAPS[i % 2]), 1e3)  # type: ignore[misc]
                rows.append(("Polatis on tcp: 64 pairs set at once and verified", whole, "ms", "<= 30 ms"))
    return rows
