"""One reading over VISA beside PyMeasure and QCoDeS, all stacks in turn in one run against one peer.

They need some eighty distributions, so they live in a `.bench-venv` of their own (requirements/bench.in), in which this
file runs itself. Without that folder there is nothing to measure. Run it by `python benchmarks/peers.py`.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

Figure = tuple[str, float, str, str]
ROOT = Path(__file__).resolve().parents[1]
PYTHON = Path(os.environ.get("TOKAIDO_BENCH_VENV", ROOT / ".bench-venv")) / "bin" / "python"
NAMES = ("raw socket", "pyvisa-py", "PyMeasure", "QCoDeS, VISA", "QCoDeS, IP", "ours")


def measure() -> list[Figure]:
    """Return name, value, unit of measure and goal of every figure; none without the other stacks."""
    if not PYTHON.exists():
        return []
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT / "hal"), str(ROOT / "benchmarks")])}
    done = subprocess.run(
        [str(PYTHON), "-W", "ignore", __file__, "inside"], capture_output=True, text=True, check=True, env=environment
    )
    times = dict(zip(NAMES, json.loads(done.stdout.splitlines()[-1]), strict=True))
    figures: list[Figure] = [(f"VISA beside others: {name}", time_us, "us", "") for name, time_us in times.items()]
    best = min(times[name] for name in ("pyvisa-py", "PyMeasure", "QCoDeS, VISA"))
    return [
        *figures,
        ("VISA beside others: ours to the best over VISA", times["ours"] / best, "x", "<= 1.25"),
        ("VISA beside others: ours to QCoDeS, IP (no VISA)", times["ours"] / times["QCoDeS, IP"], "x", ""),
    ]


def pymeasure(port: int) -> Any:
    """Return how to read a PyMeasure property, and how to close its adapter."""
    from pymeasure.adapters import VISAAdapter  # type: ignore[import-not-found]
    from pymeasure.instruments import Instrument  # type: ignore[import-not-found]

    class Box(Instrument):  # type: ignore[misc]
        value = Instrument.measurement("14?", """Get the value.""")

    adapter = VISAAdapter(
        f"TCPIP::127.0.0.1::{port}::SOCKET", visa_library="@py", read_termination="\n", write_termination="\n"
    )
    box = Box(adapter, "box", includeSCPI=False)
    return lambda: float(box.value), adapter.close


def qcodes_visa(port: int) -> Any:
    """Return how to get a parameter of QCoDeS's VISA instrument, and how to close it."""
    from qcodes.instrument import VisaInstrument  # type: ignore[import-not-found]

    box = VisaInstrument("box", f"TCPIP::127.0.0.1::{port}::SOCKET", terminator="\n", visalib="@py", device_clear=False)
    box.add_parameter("value", get_cmd="14?", get_parser=float)
    return lambda: float(box.value()), box.close


def qcodes_ip(port: int) -> Any:
    """Return how to get a parameter of QCoDeS's IP instrument, and how to close it."""
    from qcodes.instrument import IPInstrument  # type: ignore[import-not-found,unused-ignore]

    box = IPInstrument("ip_box", "127.0.0.1", port, terminator="\n")
    box.add_parameter("value", get_cmd="14?", get_parser=float)
    return lambda: float(box.value()), box.close


def inside() -> None:
    """Measure every stack, within the environment that has them, and print the times in us as JSON."""
    import visa  # type: ignore[import-not-found,unused-ignore]

    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    makers: list[Callable[[int], Any]] = [visa.raw, visa.pyvisa_py, pymeasure, qcodes_visa, qcodes_ip, visa.tokaido]
    with visa.peer() as port:
        stacks = [make(port) for make in makers]
        times = visa.interleaved([read for read, _ in stacks])
        for _, close in stacks:
            close()
    print(json.dumps(times))


if __name__ == "__main__":
    if sys.argv[1:] == ["inside"]:
        inside()
    else:
        for name, value, unit, goal in measure():
            print(f"{name:50} {value:9.2f} {unit:3} {goal}")
