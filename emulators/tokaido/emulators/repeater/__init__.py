"""The emulated repeater: a node's own core with neighbours, units by calculation, and its control endpoint."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tokaido.emulators.repeater._model import RepeaterModel
from tokaido.hal.lazy import lazily

__all__ = ["RepeaterModel", "RepeaterOnBus"]

if TYPE_CHECKING:
    from tokaido.emulators.repeater._on_bus import RepeaterOnBus
else:
    __getattr__, __dir__ = lazily(__name__, {"RepeaterOnBus": "tokaido.emulators.repeater._on_bus"}, __all__)
