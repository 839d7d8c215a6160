"""Emulated devices: models, their wire ends, faults, and the bench that joins them with emulated optics.

Nothing here is imported before it is used, so `import tokaido.emulators` is cheap.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tokaido.hal.lazy import lazily

__all__ = [
    "KINDS",
    "WIRE_ENDS",
    "Bench",
    "BenchSpot",
    "DeviceModel",
    "Dialect",
    "EmulatedStation",
    "EmulatedStations",
    "Emulator",
    "Fault",
    "Faults",
    "InstrumentEmulator",
    "Parameters",
    "QkdLink",
    "ScpiError",
    "ScpiModel",
    "SteppedClock",
    "bench_from_station",
    "command",
    "join_stations",
    "launch",
]

if TYPE_CHECKING:
    from tokaido.emulators._emulated_station import EmulatedStation, EmulatedStations
    from tokaido.emulators._faults import KINDS, Fault, Faults
    from tokaido.emulators._launch import Emulator, InstrumentEmulator, launch
    from tokaido.emulators._link import QkdLink
    from tokaido.emulators._model import BenchSpot, DeviceModel
    from tokaido.emulators._plugs import WIRE_ENDS
    from tokaido.emulators._stepped import SteppedClock
    from tokaido.emulators.bench import Bench, bench_from_station, join_stations
    from tokaido.emulators.scpi import Dialect, Parameters, ScpiError, ScpiModel, command
else:
    __getattr__, __dir__ = lazily(
        __name__,
        {
            "EmulatedStation": "tokaido.emulators._emulated_station",
            "EmulatedStations": "tokaido.emulators._emulated_station",
            "KINDS": "tokaido.emulators._faults",
            "Fault": "tokaido.emulators._faults",
            "Faults": "tokaido.emulators._faults",
            "Emulator": "tokaido.emulators._launch",
            "InstrumentEmulator": "tokaido.emulators._launch",
            "launch": "tokaido.emulators._launch",
            "QkdLink": "tokaido.emulators._link",
            "BenchSpot": "tokaido.emulators._model",
            "DeviceModel": "tokaido.emulators._model",
            "WIRE_ENDS": "tokaido.emulators._plugs",
            "SteppedClock": "tokaido.emulators._stepped",
            "Bench": "tokaido.emulators.bench",
            "bench_from_station": "tokaido.emulators.bench",
            "join_stations": "tokaido.emulators.bench",
            "Dialect": "tokaido.emulators.scpi",
            "Parameters": "tokaido.emulators.scpi",
            "ScpiError": "tokaido.emulators.scpi",
            "ScpiModel": "tokaido.emulators.scpi",
            "command": "tokaido.emulators.scpi",
        },
        __all__,
    )
