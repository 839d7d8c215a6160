"""Sweep an attenuator and keep what a meter behind it reads: `python examples/qcodes_sweep.py lab.toml runs.db`."""

import sys
from typing import Any

from qcodes.dataset import do1d, initialise_or_create_database_at, load_or_create_experiment  # pyright: ignore[reportMissingImports]

import tokaido.hal as hal
from tokaido.lab.qcodes import DeviceInstrument


def sweep(station: hal.Station, database: str) -> Any:
    """Return the data set of one sweep from 0 to 20 dB."""
    initialise_or_create_database_at(database)
    load_or_create_experiment("attenuator", sample_name="fibre A")
    voa: Any = DeviceInstrument("voa", station.device("voa", hal.VariableAttenuator))
    pm: Any = DeviceInstrument("pm", station.device("pm", hal.PowerMeter))
    return do1d(voa.attenuation, 0, 20, 11, 0.2, pm.power)[0]


if __name__ == "__main__":
    print(sweep(hal.Station.from_file(sys.argv[1]), sys.argv[2]).to_pandas_dataframe())
