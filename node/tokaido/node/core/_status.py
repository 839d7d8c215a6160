"""What a node's core tells of itself: counters, stocks, neighbours. No key, and no id of one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class LinkStatus:
    """Key of one link, in bits: `drawn` is the sum of all others."""

    name: str
    neighbour: str
    drawn: int
    stored: int
    """In blocks: neither leased nor passed."""
    leased: int
    """Granted to this node, and not spent yet."""
    spent_pad: int
    spent_tag: int
    discarded: Mapping[str, int]
    """By reason: `lease` (forfeited by a restart), `gap` (granted or passed and never used), `tail` (too short),
    `dead`, `mismatch`."""
    blocks: int
    common: int
    """Blocks that the neighbour holds, too."""
    asking: bool
    """Whether a GRANT is open."""

    @property
    def adds_up(self) -> bool:
        """Whether every bit is somewhere, once."""
        spent = self.spent_pad + self.spent_tag
        return self.drawn == self.stored + self.leased + spent + sum(self.discarded.values())


@dataclass(frozen=True, slots=True)
class PairStatus:
    """Keys of 256 bit of one pair of nodes."""

    neighbour: str
    ready: int
    """Can be supplied by this node."""
    in_flight: int
    """Relayed by this node, and not ready yet."""
    held: int
    """In stock for the neighbour, who owns them."""
    counters: Mapping[str, int]
    """What was done with them; `Counters` says what adds up."""
    demand: float
    """Keys a second that applications asked for lately."""
    target: int
    """So many are to be ready."""
    integrity: str
    """`confirmed end to end` or `relays trusted`."""
    route: tuple[str, ...] = ()
    """The route that the next relay goes, from this node on; empty: there is none now."""
    routes: int = 1
    """How many routes each key for applications goes."""
    ready_over_two: int = 0
    """Keys of two routes that can be made of those that are ready; 0 where nobody wants such keys."""
    disjoint: tuple[tuple[str, ...], ...] = ()
    """The two routes of such keys, where they are wanted; empty: they are not, or there are none."""
    cut_nodes: tuple[str, ...] = ()
    """Nodes that every route passes, where such keys are wanted."""

    @property
    def hops(self) -> int:
        """Of the route that the next key goes, of the longer one if it goes two; 0: there is none now."""
        routes = self.disjoint if self.routes == 2 else (self.route,)
        return max((len(route) - 1 for route in routes if route), default=0)

    @property
    def supplied_ready(self) -> int:
        """Keys that an application can get that asks for nothing else."""
        return self.ready_over_two if self.routes == 2 else self.ready

    @property
    def taken(self) -> int:
        """Keys that left the stock for applications."""
        return self.counters.get("taken", 0)

    @property
    def adds_up(self) -> bool:
        """Whether every key is somewhere, once."""
        counted = self.counters
        burned = sum(amount for name, amount in counted.items() if name.startswith("burned:"))
        dropped = sum(amount for name, amount in counted.items() if name.startswith("dropped:"))
        own = self.ready + self.in_flight + self.taken + burned
        return counted.get("born", 0) == own and counted.get("held", 0) == (
            self.held + counted.get("supplied", 0) + dropped
        )


@dataclass(frozen=True, slots=True)
class NeighbourStatus:
    """How things stand with one neighbour."""

    name: str
    known: bool
    """Whether its present run is known, and that its store did not go back in time."""
    up: bool
    """Whether it answered what it was asked last."""
    silent_s: float
    """For how long nothing was heard."""
    run: str
    """The first digits of its run; empty: never heard."""


@dataclass(frozen=True, slots=True)
class NodeStatus:
    """All of it."""

    node: str
    draining: bool
    failed: bool
    """Whether the store failed: start another core."""
    links: Mapping[str, LinkStatus]
    pairs: Mapping[str, PairStatus]
    neighbours: Mapping[str, NeighbourStatus]
    relaying: bool = True
    """Whether it starts relays, and takes those of its neighbours."""
