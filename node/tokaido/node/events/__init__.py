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
    __getattr__, __dir__ = lazily(
        __name__,
        {
            "Bus": "tokaido.node.events._bus",
            "Tapped": "tokaido.node.events._bus",
            "NetworkClient": "tokaido.node.events._client",
            "Reader": "tokaido.node.events._client",
            "Commands": "tokaido.node.events._commands",
            "Connection": "tokaido.node.events._connection",
            "Stored": "tokaido.node.events._connection",
            "HubFile": "tokaido.node.events._hub",
            "HubServer": "tokaido.node.events._hub",
            "hub_configuration": "tokaido.node.events._hub",
            "ActDone": "tokaido.node.events._messages",
            "Alarm": "tokaido.node.events._messages",
            "Answer": "tokaido.node.events._messages",
            "LinkState": "tokaido.node.events._messages",
            "Message": "tokaido.node.events._messages",
            "NeighbourState": "tokaido.node.events._messages",
            "PairState": "tokaido.node.events._messages",
            "RelayState": "tokaido.node.events._messages",
            "Telemetry": "tokaido.node.events._messages",
            "decode": "tokaido.node.events._messages",
            "encode": "tokaido.node.events._messages",
            "Outgoing": "tokaido.node.events._outgoing",
            "Seen": "tokaido.node.events._seen",
            "EventsSettings": "tokaido.node.events._settings",
            "check_node_name": "tokaido.node.events._settings",
            "sign": "tokaido.node.events._signed",
            "Subjects": "tokaido.node.events._subjects",
            "take_topology": "tokaido.node.events._topologies",
            "NetworkView": "tokaido.node.events._view",
            "NodeView": "tokaido.node.events._view",
        },
        __all__,
    )
