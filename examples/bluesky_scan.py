"""Scan an attenuator and read a power meter behind it, with Bluesky: `python examples/bluesky_scan.py lab.toml`."""

import sys
from typing import Any

from bluesky import RunEngine
from bluesky.callbacks import LiveTable
from bluesky.plans import scan

import tokaido.hal as hal
from tokaido.lab.bluesky import DeviceReader, MovableValue


def run(engine: RunEngine, station: hal.Station, *, settle_s: float = 0.2) -> None:
    """Scan from 0 to 20 dB."""
    voa = MovableValue(station.device("voa", hal.VariableAttenuator), "attenuation", name="voa", settle_s=settle_s)
    pm = DeviceReader(station.device("pm", hal.PowerMeter), ["power"], name="pm")
    table: Any = LiveTable(["voa", "pm_power", "pm_power_quality"])
    engine(scan([pm], voa, 0, 20, 11), table)


if __name__ == "__main__":
    run(RunEngine(), hal.Station.from_file(sys.argv[1]))
