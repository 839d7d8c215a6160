"""Sweep an attenuator and read a power meter behind it: python examples/sweep.py [STATION.toml]."""

import sys
from pathlib import Path

import tokaido.hal as hal
import tokaido.lab as lab
from tokaido.emulators import EmulatedStation

LAB = Path(__file__).with_name("lab.toml")

with hal.Station.from_file(sys.argv[1]) if sys.argv[1:] else EmulatedStation.from_file(LAB) as station:
    voa = station.device("voa", hal.VariableAttenuator)
    meter = station.device("meter", hal.PowerMeter)
    found = lab.sweep(
        {("attenuation", voa): range(0, 31, 5)}, [("power", meter)], settle=0.5, restore=True, clock=station.clock
    )
for point in found["power"]:
    print(f"{float(point.attenuation):4g} dB: {float(point):7.2f} dBm")
found.to_dataframe().to_csv("sweep.csv")  # found["power"].plot() draws it
