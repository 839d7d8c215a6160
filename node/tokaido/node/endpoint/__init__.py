"""The control endpoint of a node, for machines: TRN1 over ZeroMQ under CURVE (docs/protocols/repeater.md).

`Desk` answers, without any I/O: the daemon has it behind a socket, and the emulated repeater behind its wire end.
"""

from __future__ import annotations

from tokaido.node.endpoint._desk import About, Desk, Managed, Order, Role
from tokaido.node.endpoint._server import ControlEndpoint
from tokaido.node.endpoint._settings import EndpointSettings, ListedClient
from tokaido.node.endpoint._values import state_of

__all__ = [
    "About",
    "ControlEndpoint",
    "Desk",
    "EndpointSettings",
    "ListedClient",
    "Managed",
    "Order",
    "Role",
    "state_of",
]
