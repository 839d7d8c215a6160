"""Print a PV of `tokaido epics lab.toml --insecure-pvaccess`: `python examples/epics_watch.py lab:pm:power`."""

import sys
from typing import Any

from p4p.client.thread import Context  # pyright: ignore[reportMissingImports]

from tokaido.hal import NS_PER_S, SYSTEM_CLOCK


def watch(client: Any, name: str, times: int, period_s: float = 1.0) -> None:
    """Print value, unit of measure, alarm and age so many times."""
    for _ in range(times):
        value = client.get(name, timeout=5)
        unit = value.raw.get("display.units", "")
        alarm = value.raw.alarm.message or "no alarm"
        age_s = SYSTEM_CLOCK.utc_ns() / NS_PER_S - value.timestamp
        print(f"{name} {value!r} {unit}, {age_s:.1f} s old, {alarm}")
        SYSTEM_CLOCK.wait(period_s)


if __name__ == "__main__":
    with Context("pva") as client:
        watch(client, sys.argv[1], times=60)
