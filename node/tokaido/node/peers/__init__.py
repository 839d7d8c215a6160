"""How envelopes travel between neighbouring nodes: HTTPS with mutual TLS. It needs the extra `node`."""

from __future__ import annotations

from tokaido.node.peers._client import Neighbour, Neighbours, UnansweredError, UnheardError
from tokaido.node.peers._server import MOVE_PATH, PATH, TYPE, BusyError, Hears, HearsMoves, peer_application

__all__ = [
    "MOVE_PATH",
    "PATH",
    "TYPE",
    "BusyError",
    "Hears",
    "HearsMoves",
    "Neighbour",
    "Neighbours",
    "UnansweredError",
    "UnheardError",
    "peer_application",
]
