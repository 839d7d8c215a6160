"""What happens to a node's core: everything that comes from outside of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from tokaido.node.messages import ANY_HOPS

if TYPE_CHECKING:
    from tokaido.hal import KeyBlockInfo, KeyMaterial
    from tokaido.node.core._settings import CoreSettings
    from tokaido.node.messages import Envelope


@dataclass(frozen=True, slots=True)
class Started:
    """The core runs: the first event of its life."""


@dataclass(frozen=True, slots=True)
class Tick:
    """Time has come to what `NodeCore.wake_s` said. It may come at any other time, too."""


@dataclass(frozen=True, slots=True)
class Drawn:
    """A source gave a block. Answered, once, by `CommitDraw` or `LeaveDraw` with the same number."""

    draw: int
    link: str
    info: KeyBlockInfo
    key: KeyMaterial
    """The core wipes it."""


@dataclass(frozen=True, slots=True)
class NotFetched:
    """A source did not give the block that `Fetch` asked for, and never will."""

    link: str
    session: str
    number: int
    why: str


@dataclass(frozen=True, slots=True)
class Committed:
    """What a `Commit` wrote is durable. `loaded` has what it asked for, in order."""

    token: int
    loaded: tuple[KeyMaterial, ...] = ()


@dataclass(frozen=True, slots=True)
class CommitFailed:
    """The store cannot be written, or lacks what was to be loaded. The core is of no more use: start another one."""

    token: int
    why: str


@dataclass(frozen=True, slots=True)
class Received:
    """A neighbour asks. Answered, once, by `Answer` with the same number; its carrier waits no longer than it likes."""

    exchange: int
    neighbour: str
    envelope: Envelope


@dataclass(frozen=True, slots=True)
class Answered:
    """A neighbour answered what `Send` told it."""

    token: int
    envelope: Envelope


@dataclass(frozen=True, slots=True)
class Unanswered:
    """No answer came, and none will be handed in any more. Whether the neighbour acted is unknown."""

    token: int
    why: str


@dataclass(frozen=True, slots=True)
class EncKeys:
    """An application of this node asks for keys that it will share. Answered, once, by `Keys` or `Refusal`."""

    request: int
    master: str
    slaves: tuple[str, ...]
    number: int
    size: int
    """In bits."""
    max_age_s: float | None = None
    """Oldest age of a key that is wanted, since it was relayed; None: any."""
    hops: tuple[int, int] = ANY_HOPS
    """Fewest and most hops that a key may have gone."""
    routes: int = 1
    """2: keys that are sums of two, over node-disjoint routes."""


@dataclass(frozen=True, slots=True)
class DecKeys:
    """An application of this node asks for keys by their ids. Answered, once, by `Keys` or `Refusal`."""

    request: int
    slave: str
    master: str
    key_ids: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Abandoned:
    """The application left before it was answered. The request is answered all the same, and nobody hears it."""

    request: int


@dataclass(frozen=True, slots=True)
class Undelivered:
    """The keys of an answer did not reach the application that asked for them."""

    request: int
    key_ids: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Reconfigured:
    """The node's file was read again."""

    settings: CoreSettings


@dataclass(frozen=True, slots=True)
class RelayingSet:
    """Relay from now on, or no more: no relay is started, and none is taken from neighbours."""

    on: bool


@dataclass(frozen=True, slots=True)
class Drain:
    """The node is to end: no new key is relayed or supplied, what runs is finished."""


Event: TypeAlias = (
    Started
    | Tick
    | Drawn
    | NotFetched
    | Committed
    | CommitFailed
    | Received
    | Answered
    | Unanswered
    | EncKeys
    | DecKeys
    | Abandoned
    | Undelivered
    | Reconfigured
    | RelayingSet
    | Drain
)
