"""The daemon: one asyncio process that runs the core, the store, the devices and the listeners of a node."""

from __future__ import annotations

from tokaido.node.daemon._daemon import NodeDaemon
from tokaido.node.daemon._sources import KeySources

__all__ = ["KeySources", "NodeDaemon"]
