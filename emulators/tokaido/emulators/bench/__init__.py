"""The bench: emulated fibres, switches and units joined so that light really follows the switch.

Nothing here is imported before it is used: tracing needs no numpy.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tokaido.emulators.bench._bench import Bench
    from tokaido.emulators.bench._elements import Band, FibreOnBench
    from tokaido.emulators.bench._graph import CONNECTOR_LOSS_DB, Graph, Join
    from tokaido.emulators.bench._path import Hop, LightPath

__all__ = ["CONNECTOR_LOSS_DB", "Band", "Bench", "FibreOnBench", "Graph", "Hop", "Join", "LightPath"]

_HOMES = {
    "Bench": "_bench",
    "Band": "_elements",
    "FibreOnBench": "_elements",
    "CONNECTOR_LOSS_DB": "_graph",
    "Graph": "_graph",
    "Join": "_graph",
    "Hop": "_path",
    "LightPath": "_path",
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
