"""Watch one value live, as a bar a second: python examples/live_view.py [STATION.toml]."""

import sys
from pathlib import Path

import tokaido.hal as hal
from tokaido.emulators import EmulatedStation

LAB = Path(__file__).with_name("lab.toml")
EVENTS = {4.5: "bend patch 6", 8.5: "mend patch"}  # somebody bends the emulated fibre
FLOOR_DBM, SECONDS = -30, 12

with hal.Station.from_file(sys.argv[1]) if sys.argv[1:] else EmulatedStation.from_file(LAB, events=EVENTS) as station:
    meter = station.device("meter", hal.PowerMeter)
    for second in range(SECONDS):
        power = meter.power
        print(f"{second:3} s {power:7.2f} dBm {'#' * max(0, round(power - FLOOR_DBM))}", flush=True)
        station.clock.wait(1)
