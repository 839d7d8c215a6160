"""Measure every figure that docs/reference/benchmarks.md quotes, print them as a table and write them as JSON.

    python benchmarks/run.py [--only PART] [--output FILE]

Ratios are medians of both sides taken in turn in one run; absolute figures depend on the machine.
"""

from __future__ import annotations

import argparse
import importlib
import json
import platform
from pathlib import Path

PARTS = ("startup", "transports", "visa", "switches", "failover", "peers", "optics", "day", "distillation")


def main() -> None:
    """Run the parts and report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", choices=PARTS, action="append", help="measure this part alone")
    parser.add_argument("--output", type=Path, default=Path(__file__).parent / "results.json")
    arguments = parser.parse_args()
    results: list[dict[str, object]] = []
    print(f"{'figure':<66} {'measured':>12} {'goal':>22}")
    for part in arguments.only or PARTS:
        for name, value, unit, goal in importlib.import_module(part).measure():
            print(f"{name:<66} {f'{value:.3g} {unit}'.strip():>12} {goal:>22}", flush=True)
            results.append({"part": part, "figure": name, "value": value, "unit": unit, "goal": goal})
    machine = {"python": platform.python_version(), "machine": platform.machine(), "system": platform.system()}
    arguments.output.write_text(json.dumps({"machine": machine, "results": results}, indent=1) + "\n", encoding="utf-8")
    print(f"written to {arguments.output}")


if __name__ == "__main__":
    main()
