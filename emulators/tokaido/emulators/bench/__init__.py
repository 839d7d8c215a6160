"""The bench: emulated fibres, switches and units joined so that light really follows the switch.

Nothing here is imported before it is used: tracing needs no numpy.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tokaido.hal.lazy import lazily

__all__ = [
    "CONNECTOR_LOSS_DB",
    "USAGE",
    "Band",
    "Beam",
    "Bench",
    "FibreOnBench",
    "Graph",
    "Hop",
    "Join",
    "JoinedStations",
    "LaserOnBench",
    "LightPath",
    "Order",
    "PulseInputs",
    "PulseSource",
    "SwitchModel",
    "bench_from_station",
    "join_stations",
]

if TYPE_CHECKING:
    from tokaido.emulators._light import Band, Beam, PulseInputs, PulseSource, SwitchModel
    from tokaido.emulators.bench._bench import Bench
    from tokaido.emulators.bench._elements import FibreOnBench
    from tokaido.emulators.bench._from_station import bench_from_station
    from tokaido.emulators.bench._graph import CONNECTOR_LOSS_DB, Graph, Join
    from tokaido.emulators.bench._joined_stations import JoinedStations, join_stations
    from tokaido.emulators.bench._laser import LaserOnBench
    from tokaido.emulators.bench._orders import USAGE, Order
    from tokaido.emulators.bench._path import Hop, LightPath
else:
    __getattr__, __dir__ = lazily(
        __name__,
        {
            "USAGE": "tokaido.emulators.bench._orders",
            "Order": "tokaido.emulators.bench._orders",
            "Bench": "tokaido.emulators.bench._bench",
            "Band": "tokaido.emulators._light",
            "Beam": "tokaido.emulators._light",
            "FibreOnBench": "tokaido.emulators.bench._elements",
            "LaserOnBench": "tokaido.emulators.bench._laser",
            "PulseInputs": "tokaido.emulators._light",
            "PulseSource": "tokaido.emulators._light",
            "SwitchModel": "tokaido.emulators._light",
            "bench_from_station": "tokaido.emulators.bench._from_station",
            "CONNECTOR_LOSS_DB": "tokaido.emulators.bench._graph",
            "Graph": "tokaido.emulators.bench._graph",
            "Join": "tokaido.emulators.bench._graph",
            "JoinedStations": "tokaido.emulators.bench._joined_stations",
            "join_stations": "tokaido.emulators.bench._joined_stations",
            "Hop": "tokaido.emulators.bench._path",
            "LightPath": "tokaido.emulators.bench._path",
        },
        __all__,
    )
