"""What a node's core wants done: everything that leaves it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from tokaido.hal import KeyMaterial, Severity
    from tokaido.node.core._writes import Range, Write
    from tokaido.node.messages import Envelope


@dataclass(frozen=True, slots=True)
class Commit:
    """Make the writes durable, all or none, after all earlier ones; then load, and tell `Committed`.

    Commits are carried out in the order in which they were given; several may share one transaction. The core wipes
    the keys of the writes once they are durable.
    """

    token: int
    writes: tuple[Write, ...]
    loads: tuple[Range, ...] = ()


@dataclass(frozen=True, slots=True)
class Send:
    """Ask a neighbour, once, and tell `Answered` or `Unanswered` within `within_s`."""

    token: int
    neighbour: str
    envelope: Envelope
    within_s: float


@dataclass(frozen=True, slots=True)
class Answer:
    """Answer what a neighbour asked."""

    exchange: int
    envelope: Envelope


@dataclass(frozen=True, slots=True)
class CommitDraw:
    """The block is durable: tell its source that it may erase it."""

    draw: int


@dataclass(frozen=True, slots=True)
class LeaveDraw:
    """The block was not taken: leave it to its source."""

    draw: int
    why: str


@dataclass(frozen=True, slots=True)
class Fetch:
    """Have the link's source fetch a block that the neighbour holds; `Drawn` or `NotFetched` tells the outcome."""

    link: str
    session: str
    number: int
    key_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SuppliedKey:
    """One key for an application."""

    key_id: bytes
    key: KeyMaterial
    """The application's carrier wipes it."""
    hops: int
    """1 where master and slave are at neighbouring nodes."""
    emulated: bool = False
    """Whether key of emulated units was a pad on its way: it protects nothing."""
    routes: int = 1
    """2: it is the sum of two keys whose routes have no node in the middle in common."""


@dataclass(frozen=True, slots=True)
class Keys:
    """The keys that an application asked for, all of them."""

    request: int
    keys: tuple[SuppliedKey, ...]


class Reason(Enum):
    """Why an application gets no key."""

    UNKNOWN_APPLICATION = "unknown_application"
    """No route leads to an application of that name, or it is none of this node's."""
    NOT_NAMED = "not_named"
    """The application is not a slave of one of the keys."""
    NOT_FOUND = "not_found"
    """One or more keys are not here, or not any more."""
    NO_KEY = "no_key"
    """Not enough key is in stock."""
    PEER_SILENT = "peer_silent"
    """The other key manager did not confirm; the keys were burned."""
    QUOTA = "quota"
    """The application is over its quota."""
    REQUEST = "request"
    """The request breaks a rule of the protocol that carries it, or insists on what cannot be met."""
    SIZE = "size"
    """A number or size that is never served."""
    ROUTE = "route"
    """No key in stock went so few or so many hops, or there are no two node-disjoint routes."""
    TOO_OLD = "too_old"
    """No key in stock is as fresh as was asked."""
    STARTING = "starting"
    """The node has not heard the other key manager since it started."""
    DRAINING = "draining"
    """The node is ending."""
    STORE = "store"
    """The store cannot be written."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """An application gets no key."""

    request: int
    reason: Reason
    what: str
    """For people; it names no key."""
    retry_after_s: float | None = None
    cut_nodes: tuple[str, ...] = ()
    """Nodes that every route passes, where two node-disjoint ones were wanted."""


@dataclass(frozen=True, slots=True)
class Raise:
    """Something is wrong. Raised again while it lasts, it is the same alarm."""

    code: str
    severity: Severity
    of: str
    """What it is about: a link or a neighbour."""
    text: str
    latched: bool = False
    """Whether it stays until a person has acknowledged it."""


@dataclass(frozen=True, slots=True)
class Clear:
    """It is no longer wrong."""

    code: str
    of: str


Action: TypeAlias = Commit | Send | Answer | CommitDraw | LeaveDraw | Fetch | Keys | Refusal | Raise | Clear
