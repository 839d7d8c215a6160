"""What a topology says: nodes, the links that join them, pairs that keep keys, and who serves which application."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal

from tokaido.hal import ConfigurationError
from tokaido.node.topology._adjacency import Adjacency

if TYPE_CHECKING:
    import datetime
    from collections.abc import Mapping

MOST_NODES: Final = 2000
"""Most nodes of a topology."""


@dataclass(frozen=True, slots=True)
class TopologyNode:
    """One node. All but name and url is for maps."""

    name: str
    url: str
    """Where its peers reach it: `https://HOST:PORT`."""
    site: str = ""
    latitude: float | None = None
    """In degrees, north positive."""
    longitude: float | None = None
    """In degrees, east positive."""
    km_post: float | None = None
    """In km, along a line that the network follows."""


@dataclass(frozen=True, slots=True)
class TopologyLink:
    """One QKD link."""

    name: str
    """As both nodes' station files call it."""
    ends: tuple[str, str]
    length_km: float | None = None
    """Of its fibre, in km."""


@dataclass(frozen=True, slots=True)
class TopologyPair:
    """Two nodes for whom keys are kept in stock."""

    ends: tuple[str, str]
    stock: int = 4096
    """Keys of 256 bit that each end keeps ready."""
    routes: Literal[1, 2] = 1
    """2: all keys are sums of two that went two node-disjoint routes."""


@dataclass(frozen=True, slots=True)
class Topology:
    """A network of nodes at one time. `read_signed` and `read_topology` make it.

    Raises:
        ConfigurationError: A link ends at a node that is not there, or twice at one.
    """

    network: str
    serial: int
    """Rises with each issue; a node never goes back to a lower one."""
    valid_from: datetime.datetime
    """With an offset."""
    valid_until: datetime.datetime | None
    """With an offset; None: there is no end."""
    nodes: Mapping[str, TopologyNode]
    links: Mapping[str, TopologyLink]
    pairs: tuple[TopologyPair, ...] = ()
    applications: Mapping[str, str] = field(default_factory=dict)
    """The node that serves each application, by SAE id."""
    adjacency: Adjacency = field(init=False, repr=False, compare=False)
    """For searches of routes."""

    def __post_init__(self) -> None:
        ends = {name: link.ends for name, link in self.links.items()}
        object.__setattr__(self, "adjacency", Adjacency(self.nodes, ends))

    def valid_at(self, moment: datetime.datetime) -> bool:
        """Return whether the topology may be used at a moment.

        Args:
            moment: With an offset.

        Raises:
            ConfigurationError: It has no offset.
        """
        if moment.utcoffset() is None:
            raise ConfigurationError(f"{moment} has no offset", remedy="Say which, such as datetime.now(datetime.UTC)")
        return self.valid_from <= moment and (self.valid_until is None or moment <= self.valid_until)

    def neighbours(self, node: str) -> tuple[str, ...]:
        """Return the names of the nodes next to a node, sorted.

        Raises:
            ConfigurationError: There is no such node.
        """
        names = self.adjacency.names
        return tuple(names[number] for number in self.adjacency.beside[self.adjacency.number(node)])

    def links_between(self, one: str, other: str) -> tuple[str, ...]:
        """Return the names of the links between two nodes; none if they are not adjacent.

        Raises:
            ConfigurationError: There is no such node.
        """
        return self.adjacency.links.get((self.adjacency.number(one), self.adjacency.number(other)), ())
