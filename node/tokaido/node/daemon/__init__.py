"""The daemon: one asyncio process that runs the core, the store, the devices and the listeners of a node."""

from __future__ import annotations

from tokaido.hal import ConfigurationError

try:
    import aiohttp  # noqa: F401 - the rest needs it
except ModuleNotFoundError as error:
    raise ConfigurationError(
        "the node daemon needs aiohttp, which is not installed", remedy='pip install "tokaido[node]"'
    ) from error

from tokaido.node.daemon._daemon import NodeDaemon

__all__ = ["NodeDaemon"]
