"""The emulated repeater: a node's own core with neighbours, units by calculation, and its control endpoint."""

from tokaido.emulators.repeater._model import RepeaterModel

__all__ = ["RepeaterModel"]
