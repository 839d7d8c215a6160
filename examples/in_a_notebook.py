"""Show devices as tables, and readings as a data frame, cell by cell: python examples/in_a_notebook.py [FILE.toml]."""

# %% Open a station. In a notebook, the last line of a cell shows what it names as a table
import sys
from pathlib import Path

import pandas as pd

import tokaido.hal as hal
from tokaido.emulators import EmulatedStation

LAB = Path(__file__).with_name("lab.toml")
station = hal.Station.from_file(sys.argv[1]) if sys.argv[1:] else EmulatedStation.from_file(LAB)
alice = station.device("alice", hal.Transmitter)
alice

# %% What it tells now, as a data frame, and as a page to send to somebody
readings = alice.telemetry()
frame = pd.DataFrame({path: reading.record() for path, reading in readings.items()}).T
print(frame.loc[["laser_power", "laser_temperature", "attenuation"], ["value", "unit", "quality"]])
Path("alice.html").write_text(readings._repr_html_(), encoding="utf-8")

# %% The end
station.close()
