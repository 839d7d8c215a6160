"""Measure every figure that docs/reference/benchmarks.md quotes, print them as a table and write them as JSON.

    python benchmarks/run.py [--only PART] [--output FILE] [--against CHECKOUT [--pairs N]]

Ratios are medians of both sides taken in turn in one run; absolute figures depend on the machine. `--against` measures
another checkout of Tokaido by the same benchmarks, in turn with this one, and prints both and their ratio.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from measuring import Figure, line

PARTS = (
    "startup",
    "transports",
    "visa",
    "peers",
    "telemetry",
    "shared",
    "repeater",
    "log",
    "inprocess",
    "idle",
    "switches",
    "failover",
    "ledger",
    "store",
    "node",
    "routes",
    "planning",
    "relay",
    "page",
    "node_devices",
    "node_memory",
    "node_week",
    "optics",
    "day",
    "distillation",
    "live_link",
    "fast",
)


def main() -> None:
    """Run the parts and report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=PARTS, action="append", help="measure this part alone")
    parser.add_argument("--output", type=Path, default=Path(__file__).parent / "results.json")
    parser.add_argument("--against", type=Path, metavar="CHECKOUT", help="another checkout with a .venv, in turn")
    parser.add_argument("--pairs", type=int, default=3, metavar="N", help="turns of each part with --against")
    arguments = parser.parse_args()
    os.environ.setdefault("TOKAIDO_FAST", "0")  # the part `fast` alone measures what numba does
    if arguments.against:
        _against(arguments)
        return
    results: list[dict[str, object]] = []
    print(f"{'figure':<66} {'median':>16} {'quartiles':>16} {'goal':>18}")
    for part in arguments.only or PARTS:
        for row in importlib.import_module(part).measure():
            figure = Figure(*row)
            print(line(figure), flush=True)
            results.append({"part": part, **figure._asdict()})
    machine = {"python": platform.python_version(), "machine": platform.machine(), "system": platform.system()}
    arguments.output.write_text(json.dumps({"machine": machine, "results": results}, indent=1) + "\n", encoding="utf-8")
    print(f"written to {arguments.output}")


# --- two checkouts --------------------------------------------------------------------------------------------------


def _against(arguments: argparse.Namespace) -> None:
    """Measure both checkouts in turn, each in a process of its own environment, and print medians and ratios."""
    environments = arguments.against.resolve() / ".venv", Path(__file__).resolve().parents[1] / ".venv"
    table: dict[str, object] = {}
    print(f"{'figure':<66} {'before':>12} {'now':>12} {'now/before':>10} {'of the turns':>16} {'goal':>18}")
    for part in arguments.only or PARTS:
        turns = []
        for turn in range(arguments.pairs):
            pair = [_results(environments[side], part) for side in ((0, 1), (1, 0))[turn % 2]]
            turns.append(pair if turn % 2 == 0 else pair[::-1])
        for name, now in turns[0][1].items():
            values = [[side[name].value for side in turn] for turn in turns if all(name in side for side in turn)]
            if not values:
                print(f"{name:<66} {'':>12} {f'{now.value:.3g} {now.unit}':>12} {'':>10} {'':>16} {now.goal:>18}")
                continue
            before, after = (statistics.median(column) for column in zip(*values, strict=True))
            ratios = sorted(new / old if old else float("nan") for old, new in values)
            between = f"{ratios[0]:.2f} to {ratios[-1]:.2f}"
            print(
                f"{name:<66} {f'{before:.3g} {now.unit}':>12} {f'{after:.3g} {now.unit}':>12} "
                f"{statistics.median(ratios):>10.2f} {between:>16} {now.goal:>18}",
                flush=True,
            )
            table[name] = {"part": part, "unit": now.unit, "goal": now.goal, "before_and_now": values}
    arguments.output.write_text(json.dumps(table, indent=1) + "\n", encoding="utf-8")
    print(f"written to {arguments.output}")


def _results(environment: Path, part: str) -> dict[str, Figure]:
    """Return the figures of one part by the Tokaido of an environment; none if it cannot be measured there."""
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder) / "results.json"
        command = [str(environment / "bin" / "python"), __file__, "--only", part, "--output", str(output)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            print(f"{part}: not measured in {environment}: {done.stderr.splitlines()[-1:]}", file=sys.stderr)
            return {}
        rows = json.loads(output.read_text(encoding="utf-8"))["results"]
    return {row["name"]: Figure(**{key: row[key] for key in Figure._fields}) for row in rows}


if __name__ == "__main__":
    main()
