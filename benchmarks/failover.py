"""How long a link takes from a cut fibre to key over another one, step by step, in emulated time."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys

Row = tuple[str, float, str, str]
RUNS = 3
MAIN = "import sys; from tokaido.console import main; sys.exit(main())"
GOALS = {"detect": "<= 3 s", "switch": "<= 0.1 s"}


def measure() -> list[Row]:
    rows: list[Row] = []
    for vendor in ("toshiba", "nec"):
        command = [sys.executable, "-c", MAIN, "demo", "--scenario", "switch", "--vendor", vendor, "--json"]
        runs = []
        for _ in range(RUNS):
            found = subprocess.run(command, capture_output=True, check=True, text=True)
            runs.append(json.loads(found.stdout))
        for number, first in enumerate(runs[0]["failover"]):
            times = [run["failover"][number]["emulated_s"] for run in runs]
            step = first["step"]
            rows.append((f"fail-over, {vendor}: {step}", statistics.median(times), "s", GOALS.get(step, "")))
        for name, goal in (("emulated_s", ""), ("wall_s", "<= 15 s")):
            whole = [sum(step[name] for step in run["failover"]) for run in runs]
            rows.append((f"fail-over, {vendor}: in all, {name[:-2]} s", statistics.median(whole), "s", goal))
        speed = statistics.median(run["speed"] for run in runs)
        rows.append((f"fail-over, {vendor}: emulated over wall time", speed, "", ">= 10"))
    return rows
