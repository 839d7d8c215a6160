"""A query to an emulated instrument in the same process, beside PyVISA-sim's, both by PyVISA's `query`, in turn.

PyVISA-sim lives in the `.bench-venv` of the other peers (requirements/bench.in), in which this file runs itself.
Without that folder there is nothing to measure. Run it by `python benchmarks/inprocess.py`.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from measuring import Figure, in_turns, show, spread

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).resolve().parents[1]
PYTHON = Path(os.environ.get("TOKAIDO_BENCH_VENV", ROOT / ".bench-venv")) / "bin" / "python"
QUESTION = "*OPC?"
SIMULATED = """
spec: "1.1"
devices:
  box:
    eom:
      TCPIP INSTR:
        q: "\\n"
        r: "\\r\\n"
    dialogues:
      - q: "*OPC?"
        r: "1"
resources:
  TCPIP::box::INSTR:
    device: box
"""


def measure() -> list[Figure]:
    """Return the rows of the table; none without the other side."""
    if not PYTHON.exists():
        return []
    import tokaido

    roots = [str(Path(place).parent) for place in tokaido.__path__]  # of the code that this environment has
    paths = os.pathsep.join([*roots, str(ROOT / "benchmarks")])
    done = subprocess.run(
        [str(PYTHON), "-W", "ignore", __file__, "inside"],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": paths},
    )
    ours, theirs = json.loads(done.stdout.splitlines()[-1])
    ratio = spread(own / other for own, other in zip(ours, theirs, strict=True))
    return [
        spread(ours).figure("in process: a query on @tokaido, CPU", "us", "<= 15 us"),
        spread(theirs).figure("in process: a query on PyVISA-sim, CPU", "us"),
        ratio.figure("in process: ours to PyVISA-sim", "x", "<= 1"),
    ]


def inside() -> None:
    """Measure both sides, within the environment that has them, and print their CPU times in us as JSON."""
    import pyvisa

    from tokaido.emulators import InstrumentEmulator
    from tokaido.emulators.ends import SharedModel
    from tokaido.emulators.polatis import MatrixSwitchModel
    from tokaido.hal import SYSTEM_CLOCK

    def asking(manager: Any, address: str) -> Callable[[], object]:
        instrument = manager.open_resource(address, read_termination="\r\n", write_termination="\n")
        assert instrument.query(QUESTION) == "1"
        return lambda: instrument.query(QUESTION)

    model = MatrixSwitchModel()
    shared = SharedModel(model, clock=SYSTEM_CLOCK)
    with (
        tempfile.NamedTemporaryFile("w", suffix=".yaml") as simulated,
        InstrumentEmulator(model, shared, None, clock=SYSTEM_CLOCK, seed=0, wire_end="visa") as box,
    ):
        simulated.write(SIMULATED)
        simulated.flush()
        address = box.resources["control"].removeprefix("visa:").partition("?")[0]
        ours = asking(pyvisa.ResourceManager("@tokaido"), address)
        theirs = asking(pyvisa.ResourceManager(f"{simulated.name}@sim"), "TCPIP::box::INSTR")
        sides = in_turns([ours, theirs], rounds=40, repeats=250)
    print(json.dumps([side.cpu for side in sides]))


if __name__ == "__main__":
    if sys.argv[1:] == ["inside"]:
        inside()
    else:
        show(measure())
