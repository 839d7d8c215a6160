"""How envelopes travel between neighbouring nodes: HTTPS with mutual TLS. It needs the extra `node`."""

from __future__ import annotations

from tokaido.node.peers._client import Neighbour, Neighbours, UnansweredError
from tokaido.node.peers._server import PATH, TYPE, BusyError, Hears, peer_application

__all__ = ["PATH", "TYPE", "BusyError", "Hears", "Neighbour", "Neighbours", "UnansweredError", "peer_application"]
