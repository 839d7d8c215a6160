"""Signed topologies over the bus: docs/protocols/events.md, section 5."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final, Literal

import msgspec
from msgspec import Meta

from tokaido.hal import ConfigurationError, ProtocolError
from tokaido.node.topology import topology_from_signed

if TYPE_CHECKING:
    from pathlib import Path

    from tokaido.node.topology import Topology

MAX_FILE: Final = 700_000
"""Longest file, in bytes; a hub takes messages of 1 MiB."""


class TopologyFile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A signed topology file as a message."""

    network: str
    serial: int
    file: Annotated[str, Meta(max_length=MAX_FILE)]
    type: Literal["topology"] = "topology"


_decoder: Final = msgspec.json.Decoder(TopologyFile)


def message_of(data: bytes, public_key: Path, network: str) -> tuple[Topology, bytes]:
    """Return what a signed file says, and the message that carries it.

    Args:
        data: The file.
        public_key: File of the public key of who signs.
        network: Name of the network on the bus.

    Raises:
        AuthenticationError: The signature is missing or wrong.
        ConfigurationError: With every mistake in the file; or it is too long.
    """
    topology = topology_from_signed(data, public_key)
    if len(data) > MAX_FILE:
        raise ConfigurationError(
            f"the topology has {len(data)} bytes; {MAX_FILE} go over the bus", remedy="Send it by hand"
        )
    message = TopologyFile(network=network, serial=topology.serial, file=data.decode())
    return topology, msgspec.json.encode(message)


def take_topology(payload: bytes, network: str, in_force: Topology, public_key: Path) -> bytes | None:
    """Return the file of a topology that came over the bus; None if it is not newer than the one in force.

    Args:
        payload: The message.
        network: Name of the network on the bus.
        in_force: The one that the node takes now.
        public_key: File of the public key of who signs.

    Raises:
        ProtocolError: It is not such a message.
        AuthenticationError: The signature is missing or wrong.
        ConfigurationError: It is one of another network, or has mistakes.
    """
    try:
        message = _decoder.decode(payload)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise ProtocolError(f"not a topology: {error}") from None
    data = message.file.encode()
    topology = topology_from_signed(data, public_key)
    if message.network != network or topology.network != in_force.network:
        raise ConfigurationError(f"a topology of {topology.network}, and this node is one of {in_force.network}")
    return data if topology.serial > in_force.serial else None
