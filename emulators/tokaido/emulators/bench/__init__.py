"""The bench: emulated fibres, switches and units joined so that light really follows the switch."""

from tokaido.emulators.bench._elements import Band, FibreOnBench
from tokaido.emulators.bench._graph import CONNECTOR_LOSS_DB, Graph, Join
from tokaido.emulators.bench._path import Hop, LightPath

__all__ = ["CONNECTOR_LOSS_DB", "Band", "FibreOnBench", "Graph", "Hop", "Join", "LightPath"]
