"""Log two devices for a minute, and show the first rows: python examples/log.py [STATION.toml]."""

import sys
from pathlib import Path

import tokaido.hal as hal
import tokaido.lab as lab
from tokaido.emulators import EmulatedStation

LAB = Path(__file__).with_name("lab.toml")
VALUES = ["voa", "meter.power"]  # all of a device, or one value of it

with hal.Station.from_file(sys.argv[1]) if sys.argv[1:] else EmulatedStation.from_file(LAB) as station:
    done = lab.log_telemetry(station, "lab.csv", values=VALUES, interval=5, count=12, clock=station.clock)
print(*Path("lab.csv").read_text(encoding="utf-8").splitlines()[:6], f"{done.rows} rows", sep="\n")
