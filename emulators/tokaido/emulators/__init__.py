"""Emulated devices: models, their wire ends, faults, and the bench that joins them with emulated optics.

Nothing here is imported before it is used, so `import tokaido.emulators` is cheap.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tokaido.emulators._faults import KINDS, Fault, Faults
    from tokaido.emulators._launch import Emulator, InstrumentEmulator, launch
    from tokaido.emulators._link import QkdLink
    from tokaido.emulators._model import DeviceModel
    from tokaido.emulators._plugs import WIRE_ENDS
    from tokaido.emulators.bench import Bench
    from tokaido.emulators.bench._from_station import bench_from_station
    from tokaido.emulators.scpi._model import Dialect, Parameters, ScpiError, ScpiModel, command

__all__ = [
    "KINDS",
    "WIRE_ENDS",
    "Bench",
    "DeviceModel",
    "Dialect",
    "Emulator",
    "Fault",
    "Faults",
    "InstrumentEmulator",
    "Parameters",
    "QkdLink",
    "ScpiError",
    "ScpiModel",
    "bench_from_station",
    "command",
    "launch",
]

_HOMES = {
    "Bench": "bench",
    "bench_from_station": "bench._from_station",
    "KINDS": "_faults",
    "Fault": "_faults",
    "Faults": "_faults",
    "Emulator": "_launch",
    "launch": "_launch",
    "QkdLink": "_link",
    "DeviceModel": "_model",
    "WIRE_ENDS": "_plugs",
    "InstrumentEmulator": "_launch",
    "Dialect": "scpi",
    "Parameters": "scpi",
    "ScpiError": "scpi",
    "ScpiModel": "scpi",
    "command": "scpi",
}


def __getattr__(name: str) -> object:
    """Import a public name when it is first used (PEP 562)."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module  # noqa: PLC0415 - with the name that it is for

    value: object = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
