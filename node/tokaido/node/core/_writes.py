"""What a node's store keeps: the durable facts, the changes of them, and what is there at a start.

Offsets are in bytes from the beginning of a half.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tokaido.hal import KeyMaterial

BlockName: TypeAlias = tuple[str, str, int]
"""Link, session and number: the common name of a block at both ends."""


@dataclass(frozen=True, slots=True)
class Block:
    """What is public about a block in the store."""

    link: str
    session: str
    number: int
    size: int
    """In bytes; the first half has `size // 2` of them."""
    own: int = 0
    """How far the own half was ever leased: durable before the range is used."""
    granted: int = 0
    """How far the neighbour's half was ever granted: durable before the neighbour is told."""
    passed: int = 0
    """How far the neighbour's half was ever received or given up."""
    told: int = 0
    """The highest mark that the neighbour ever told of its own half."""
    key_ids: tuple[str, ...] = ()
    """Ids by which the neighbour's source fetches it; empty for units."""
    insecure: bool = False
    emulated: bool = False
    own_half: int = 0
    """Which half this node owns: 0 for the first, 1 for the second. The store destroys what lies below `own` in that
    half, once it was loaded, and below `passed` in the other one."""

    @property
    def name(self) -> BlockName:
        """The common name."""
        return self.link, self.session, self.number


@dataclass(frozen=True, slots=True)
class PutBlock:
    """A new block. If the store has or ever had one of that name since it was made, nothing happens."""

    block: Block
    key: KeyMaterial = field(repr=False)


@dataclass(frozen=True, slots=True)
class SetMarks:
    """Marks of a block rise; a lower one than that in the store is not taken. None: stays."""

    name: BlockName
    own: int | None = None
    granted: int | None = None
    passed: int | None = None
    told: int | None = None


@dataclass(frozen=True, slots=True)
class DropBlock:
    """Destroy a block: overwritten and deleted."""

    name: BlockName


@dataclass(frozen=True, slots=True)
class Batch:
    """Keys of one relay: pair keys between this node and the one at the other end of the route."""

    relay: bytes
    neighbour: str
    """The node at the other end."""
    started_here: bool
    """Whether this node started the relay, and so owns the keys."""
    count: int
    route: tuple[str, ...]
    """The nodes that it passed, from its start to its end."""
    ready: bool
    """Whether the other end holds it and, where the pair confirms, has confirmed it."""
    taken: int = 0
    """So many of its keys, from the first, are in no stock any more."""
    born_s: float = 0.0
    """When it was relayed, in s of the node's own age."""
    insecure: bool = False
    emulated: bool = False
    """Whether key of emulated units was a pad on its way."""

    @property
    def hops(self) -> int:
        """Links that it passed."""
        return len(self.route) - 1


@dataclass(frozen=True, slots=True)
class PutBatch:
    """A new batch, with its keys."""

    batch: Batch
    cells: KeyMaterial = field(repr=False)


@dataclass(frozen=True, slots=True)
class SetBatch:
    """A batch becomes ready, or keys of it leave the stock. `taken` only rises."""

    relay: bytes
    ready: bool | None = None
    taken: int | None = None


@dataclass(frozen=True, slots=True)
class DropBatch:
    """Destroy what is left of a batch."""

    relay: bytes


@dataclass(frozen=True, slots=True)
class SupplyRow:
    """One key of applications, at its owner or at its peer."""

    key_id: bytes
    neighbour: str
    started_here: bool
    """Whether this node is its owner."""
    master: str
    slaves: tuple[str, ...]
    """At the owner all of them; at the peer those that have not fetched it yet."""
    size: int
    """In bits."""
    cells: tuple[tuple[bytes, int, int], ...]
    """Relay, first and count; as many keys as `size` asks for."""
    max_age_s: float
    born_s: float
    hops: int
    insecure: bool = False
    emulated: bool = False
    others: tuple[tuple[bytes, int, int], ...] = ()
    """Those of a second route, as many again; empty: the key went one."""

    @property
    def routes(self) -> int:
        """How many routes the key went."""
        return 2 if self.others else 1


@dataclass(frozen=True, slots=True)
class PutSupply:
    """A new supply. The key is there at the peer; the owner keeps none (it is in the answer that is on its way)."""

    row: SupplyRow
    key: KeyMaterial | None = field(repr=False)


@dataclass(frozen=True, slots=True)
class Delivered:
    """A slave gets the key: it does so once. With its last slave the key is destroyed."""

    key_id: bytes
    slave: str


@dataclass(frozen=True, slots=True)
class DropSupply:
    """Destroy a supply."""

    key_id: bytes


@dataclass(frozen=True, slots=True)
class Count:
    """Counters of a link in bits, or of a pair of nodes in keys, grow by so much (an amount may be negative)."""

    of: str
    """`link:NAME` or `pair:NODE`."""
    amounts: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class SetNeighbour:
    """What this node told a neighbour, and was told by it. Both only rise."""

    neighbour: str
    mark: int | None = None
    """How many durable changes concern the neighbour."""
    told: int | None = None
    """The highest mark that it told."""


@dataclass(frozen=True, slots=True)
class Post:
    """A message for the bus goes into the outbox. No core makes one: what stands by adds it to a core's commit."""

    subject: str
    payload: bytes
    state: str = "waiting"
    """Of the outbox: which messages may be dropped when there are too many."""


Write: TypeAlias = (
    PutBlock
    | SetMarks
    | DropBlock
    | PutBatch
    | SetBatch
    | DropBatch
    | PutSupply
    | Delivered
    | DropSupply
    | Count
    | SetNeighbour
    | Post
)


@dataclass(frozen=True, slots=True)
class Range:
    """A range of a half of a block that is to be loaded: `[begin, end)` in bytes."""

    name: BlockName
    half: int
    """0 for the first half, 1 for the second."""
    begin: int
    end: int


@dataclass(frozen=True, slots=True)
class NeighbourMarks:
    """Marks of one neighbour."""

    mark: int = 0
    told: int = 0


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All that a core starts from. Keys of blocks stay in the store until they are loaded."""

    blocks: tuple[Block, ...] = ()
    batches: tuple[tuple[Batch, KeyMaterial], ...] = ()
    """With the keys that are still in stock; the taken ones are zero."""
    supplies: tuple[tuple[SupplyRow, KeyMaterial | None], ...] = ()
    counters: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    neighbours: Mapping[str, NeighbourMarks] = field(default_factory=dict)
    ended: Mapping[tuple[str, str], tuple[tuple[int, int], ...]] = field(default_factory=dict)
    """By link and session, the numbers of blocks that were there and were dropped, as ranges from first to last: a
    source may offer one of them again."""
    age_s: float = 0.0
    """The node's own age when the store was closed, in s: it goes on from there."""
