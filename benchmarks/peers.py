"""One reading over VISA beside PyMeasure and QCoDeS, all stacks in turn in one run against one box.

Every stack reads a declared value: a property of PyMeasure, a parameter of QCoDeS, a value of our driver (`box.py`);
pyvisa-py alone has only a query. The others need some eighty distributions, so they live in a `.bench-venv` of their
own (requirements/bench.in), in which this file runs itself with the Tokaido that is to be measured. Without that folder
there is nothing to measure. Run it by `python benchmarks/peers.py`.
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from measuring import Figure, Side, in_turns, show, spread

if TYPE_CHECKING:
    from collections.abc import Callable

HERE = Path(__file__).resolve().parent
PYTHON = Path(os.environ.get("TOKAIDO_BENCH_VENV", HERE.parent / ".bench-venv")) / "bin" / "python"
NAMES = ("raw socket", "pyvisa-py", "PyMeasure", "QCoDeS, VISA", "QCoDeS, IP", "ours")
ROUNDS = 100


def measure() -> list[Figure]:
    """Return the figures; none without the other stacks."""
    if not PYTHON.exists():
        return []
    found = importlib.util.find_spec("tokaido.hal")
    assert found is not None
    assert found.origin is not None
    room = Path(found.origin).parents[2]  # of the Tokaido that runs this, which may be another checkout's
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(room), str(HERE)])}
    done = subprocess.run(
        [str(PYTHON), "-W", "ignore", __file__, "inside"], capture_output=True, text=True, check=True, env=environment
    )
    sides: dict[str, Side] = {}
    for name, (wall, cpu) in json.loads(done.stdout.splitlines()[-1]).items():
        sides[name] = Side()
        sides[name].wall, sides[name].cpu = wall, cpu
    raw, ours = sides["raw socket"], sides["ours"]
    over_visa = [sides[name] for name in ("pyvisa-py", "PyMeasure", "QCoDeS, VISA")]
    best = min(over_visa, key=lambda side: spread(side.wall).median)
    rows = [spread(side.wall).figure(f"VISA beside others: {name}", "us") for name, side in sides.items()]
    rows += [sides[name].over(raw).figure(f"VISA beside others: {name}, ratio to raw", "x") for name in NAMES[1:]]
    rows += [
        sides[name].cpu_over(raw).figure(f"VISA beside others: {name}, added client CPU", "us") for name in NAMES[1:]
    ]
    return [
        *rows,
        ours.over(best).figure("VISA beside others: ours to the best over VISA", "x", "<= 1"),
        ours.over(sides["QCoDeS, IP"]).figure("VISA beside others: ours to QCoDeS, IP (no VISA)", "x", "<= 1"),
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
    from qcodes.instrument import VisaInstrument  # pyright: ignore[reportMissingImports]

    box = VisaInstrument("box", f"TCPIP::127.0.0.1::{port}::SOCKET", terminator="\n", visalib="@py", device_clear=False)
    box.add_parameter("value", get_cmd="14?", get_parser=float)
    return lambda: float(box.value()), box.close


def qcodes_ip(port: int) -> Any:
    """Return how to get a parameter of QCoDeS's IP instrument, and how to close it."""
    from qcodes.instrument import IPInstrument  # pyright: ignore[reportMissingImports]

    box = IPInstrument("ip_box", "127.0.0.1", port, terminator="\n")
    box.add_parameter("value", get_cmd="14?", get_parser=float)
    return lambda: float(box.value()), box.close


def inside() -> None:
    """Measure every stack, within the environment that has them, and print wall and CPU of each round as JSON."""
    import visa  # type: ignore[import-not-found,unused-ignore]
    from box import on_one_core, peer  # type: ignore[import-not-found,unused-ignore]

    makers: list[Callable[[int], Any]] = [visa.raw, visa.pyvisa_py, pymeasure, qcodes_visa, qcodes_ip, visa.tokaido]
    with on_one_core(), peer("tcp") as place, contextlib.ExitStack() as closing:
        calls = []
        for make in makers:
            read, close = make(int(place))
            closing.callback(close)
            calls.append(read)
        sides = in_turns(calls, rounds=ROUNDS)
    print(json.dumps({name: (side.wall, side.cpu) for name, side in zip(NAMES, sides, strict=True)}))


if __name__ == "__main__":
    if sys.argv[1:] == ["inside"]:
        inside()
    else:
        show(measure())
