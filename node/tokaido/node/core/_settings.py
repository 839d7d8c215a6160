"""What a node's core is told: who its neighbours are, which applications there are, and how much it keeps."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tokaido.hal import KeyMaterial
    from tokaido.node.topology import RoutePair

    Cost: TypeAlias = Callable[[str, str], float]
    """What a hop from one node to the next costs: more than 0; infinite if it cannot be used."""
    Ways: TypeAlias = Callable[[str, Cost], tuple[str, ...] | None]
    """Gives the best route from this node to another one, None if there is none."""
    DisjointWays: TypeAlias = Callable[[str, Cost], RoutePair]
    """Gives two node-disjoint routes from this node to another one, or why there are none."""


@dataclass(frozen=True, slots=True)
class LinkSettings:
    """One link to a neighbour."""

    name: str
    fetches: bool = False
    """Whether this end fetches its blocks by the ids that the neighbour's HAVE carries."""


@dataclass(frozen=True, slots=True)
class NeighbourSettings:
    """One node that keys are shared with, or relayed over."""

    name: str
    links: tuple[LinkSettings, ...]
    """None: it is reached over others."""
    confirm_key: KeyMaterial | None = field(default=None, repr=False)
    """The pair's pre-shared end-to-end key; None: relays are trusted."""
    stock: int = 4096
    """How many keys this node keeps ready for the pair, as their owner."""
    batch: int = 64
    """Most keys in one relay."""
    in_flight: int = 4
    """Most relays over one route that wait for an answer."""
    routes: Literal[1, 2] = 1
    """2: all keys for applications are sums of two, over node-disjoint routes."""


@dataclass(frozen=True, slots=True)
class Quota:
    """How much an application may take. None: no limit."""

    rate: float | None = None
    """Keys of 256 bit a second, on average."""
    burst: int | None = None
    """Keys of 256 bit at once, and so the most in one request; None: what 10 s bring."""
    share: float = 1.0
    """Of the stock of a pair: what it takes leaves the rest of `NeighbourSettings.stock` to others."""


@dataclass(frozen=True, slots=True)
class ApplicationSettings:
    """One application (SAE)."""

    name: str
    """Its SAE id."""
    node: str
    """The node that serves it."""
    quota: Quota = Quota()


@dataclass(frozen=True, slots=True)
class CoreSettings:
    """All of it."""

    node: str
    neighbours: Mapping[str, NeighbourSettings]
    applications: Mapping[str, ApplicationSettings]
    ways: Ways | None = None
    """Gives routes to nodes without a common link, and around links that fail; None: nobody gives any."""
    disjoint: DisjointWays | None = None
    """Gives two of them for keys of two routes; None: there are no such keys."""
    emulation: bool = False
    """Whether keys that protect nothing (seeded ones) are taken."""
    lease: int = 1 << 16
    """Bytes that one GRANT asks for."""
    supply_age_s: float = 3600.0
    """After so long a supply that was not fetched is an orphan."""
    batch_age_s: float = 86400.0
    """After so long keys in stock are burned."""
    answer_s: float = 2.0
    """How long a neighbour may take to answer."""
    key_size: int = 256
    """Default size of an application's key in bits."""
    min_key_size: int = 64
    max_key_size: int = 8192
    max_keys: int = 128
    """Most keys in one request."""
    max_slaves: int = 8
    """Most further slaves in one request; all of them at one node."""
