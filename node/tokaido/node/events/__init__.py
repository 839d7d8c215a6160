"""Nodes beyond one machine: events, telemetry, commands and topologies over NATS (docs/protocols/events.md).

Nothing of a node depends on it. The client library comes with `pip install "tokaido[events]"`, and is imported when
somebody first connects.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tokaido.hal.lazy import lazily

__all__ = [
    "ActDone",
    "Alarm",
    "Answer",
    "Bus",
    "Commands",
    "Connection",
    "EventsSettings",
    "HubFile",
    "HubServer",
    "LinkState",
    "Message",
    "NeighbourState",
    "NetworkClient",
    "NetworkView",
    "NodeView",
    "Outgoing",
    "PairState",
    "Reader",
    "RelayState",
    "Seen",
    "Stored",
    "Subjects",
    "Tapped",
    "Telemetry",
    "check_node_name",
    "decode",
    "encode",
    "hub_configuration",
    "sign",
    "take_topology",
]

if TYPE_CHECKING:
    from tokaido.node.events._bus import Bus, Tapped
    from tokaido.node.events._client import NetworkClient, Reader
    from tokaido.node.events._commands import Commands
    from tokaido.node.events._connection import Connection, Stored
    from tokaido.node.events._hub import HubFile, HubServer, hub_configuration
    from tokaido.node.events._messages import (
        ActDone,
        Alarm,
        Answer,
        LinkState,
        Message,
        NeighbourState,
        PairState,
        RelayState,
        Telemetry,
        decode,
        encode,
    )
    from tokaido.node.events._outgoing import Outgoing
    from tokaido.node.events._seen import Seen
    from tokaido.node.events._settings import EventsSettings, check_node_name
    from tokaido.node.events._signed import sign
    from tokaido.node.events._subjects import Subjects
    from tokaido.node.events._topologies import take_topology
    from tokaido.node.events._view import NetworkView, NodeView
else:
    _PLACES = {
        "_bus": ("Bus", "Tapped"),
        "_client": ("NetworkClient", "Reader"),
        "_commands": ("Commands",),
        "_connection": ("Connection", "Stored"),
        "_hub": ("HubFile", "HubServer", "hub_configuration"),
        "_messages": (
            *("ActDone", "Alarm", "Answer", "LinkState", "Message", "NeighbourState", "PairState", "RelayState"),
            *("Telemetry", "decode", "encode"),
        ),
        "_outgoing": ("Outgoing",),
        "_seen": ("Seen",),
        "_settings": ("EventsSettings", "check_node_name"),
        "_signed": ("sign",),
        "_subjects": ("Subjects",),
        "_topologies": ("take_topology",),
        "_view": ("NetworkView", "NodeView"),
    }
    __getattr__, __dir__ = lazily(
        __name__,
        {name: f"{__name__}.{module}" for module, names in _PLACES.items() for name in names},
        __all__,
    )
