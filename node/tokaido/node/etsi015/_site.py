"""What a node's status does not say and its files do, and the ids that all is known by."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final
from uuid import UUID, uuid5

from tokaido.hal import ConfigurationError, Receiver, Transmitter, load_driver

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tokaido.hal import Station
    from tokaido.node.node_file import NodeFile

NAMESPACE: Final = UUID("bf6b70c5-f3dd-5f40-a5ce-c64e646b3fa8")
"""Of all ids (UUID version 5, RFC 9562): itself that of the URL `urn:tokaido:etsi015`."""


@dataclass(frozen=True, slots=True)
class Site:
    """A node and its devices."""

    node: str
    network: str = ""
    """Name of the network; empty: the node has no topology."""
    version: str = ""
    neighbours: Mapping[str, str] = field(default_factory=dict)
    """Name of the node at the other end, by link."""
    drivers: Mapping[str, str] = field(default_factory=dict)
    """By device."""
    roles: Mapping[str, str] = field(default_factory=dict)
    """`TRANSMITTER` or `RECEIVER`, by device."""
    switches: Mapping[str, str] = field(default_factory=dict)
    """The one optical switch that a device is joined to, by device."""

    @classmethod
    def of(cls, file: NodeFile, station: Station | None, *, version: str = "") -> Site:
        """Return the site of a node file and its station.

        Raises:
            ConfigurationError: A driver of it is not there.
        """
        halves = () if station is None else tuple(station.half_links.values())
        devices = {half.unit for half in halves} | set(file.sources.values())
        drivers = {} if station is None else {name: station.entry(name).driver for name in sorted(devices)}
        return cls(
            node=file.name,
            network="" if file.network is None else file.network.topology.network,
            version=version,
            neighbours={link: name for name, entry in file.neighbours.items() for link in entry.links},
            drivers=drivers,
            roles={name: role for name, driver in drivers.items() if (role := _role(driver))},
            switches={half.unit: half.switches[0] for half in halves if len(half.switches) == 1},
        )

    def node_id(self, node: str = "") -> str:
        """Return the `qkdn_id` of a node; default: this one."""
        return self._id("node", node or self.node)

    def link_id(self, link: str, neighbour: str) -> str:
        """Return the `qkdl_id` of a link, the same at both ends."""
        return self._id("link", *sorted((self.node, neighbour)), link)

    def pair_id(self, neighbour: str) -> str:
        """Return the `qkdl_id` of the virtual link to a node that keys are relayed to, the same at both ends."""
        return self._id("pair", *sorted((self.node, neighbour)))

    def application_id(self, application: str) -> str:
        """Return the `app_id` of an application."""
        return self._id("application", application)

    def interface_id(self, device: str) -> int:
        """Return the `qkdi_id` of a unit: the first 32 bits of a UUID of its name."""
        return UUID(self._id("interface", self.node, device)).int >> 96

    def _id(self, *names: str) -> str:
        return str(uuid5(NAMESPACE, "/".join((self.network, *names))))


def _role(driver: str) -> str:
    for role, name in ((Transmitter, "TRANSMITTER"), (Receiver, "RECEIVER")):
        try:
            load_driver(driver, role)
        except ConfigurationError:
            continue
        return name
    return ""
