"""A station's values as EPICS PVs over pvAccess, by the extra `epics`. docs/how-to/epics.md."""

from __future__ import annotations

from tokaido.lab.epics._server import PvServer

__all__ = ["PvServer"]
