"""The daemon: one asyncio process that runs the core, the store, the devices and the listeners of a node."""

from __future__ import annotations

from tokaido.node.daemon._daemon import NodeDaemon

__all__ = ["NodeDaemon"]
