"""What nodes say to each other: TNP1, as docs/protocols/node.md has it.

Offsets, sizes and lengths are in bytes unless a name says bits. Every message is a frozen record; `encode` and `decode`
are the only way to and from the wire, and `decode` refuses what is not exactly a message.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final, TypeAlias

import msgspec
from msgspec import Meta

from tokaido.hal import ProtocolError

if TYPE_CHECKING:
    from collections.abc import Sequence

VERSION: Final = 1
MAX_BODY: Final = 1 << 20
"""Longest body in bytes."""
MAX_BLOCKS: Final = 1000
"""Most blocks in one HAVE or DEAD."""
CELL: Final = 32
"""Bytes of a relayed key."""
TAG_KEY: Final = 32
"""Bytes of pad that the tag of a RELAY costs."""
MAX_BATCH: Final = 64
"""Most keys in one RELAY."""
MAX_HOPS: Final = 16
"""Most hops of a route."""
ANY_HOPS: Final = 1, MAX_HOPS
"""Fewest and most hops of any route."""

Name: TypeAlias = Annotated[str, Meta(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
"""Name of a node or a link."""
Text: TypeAlias = Annotated[str, Meta(max_length=256)]
Id: TypeAlias = Annotated[bytes, Meta(min_length=16, max_length=16)]
"""A run, a relay or a key: 16 bytes."""
Whole: TypeAlias = Annotated[int, Meta(ge=0, le=(1 << 48) - 1)]
Route: TypeAlias = Annotated[tuple[Name, ...], Meta(min_length=2, max_length=MAX_HOPS + 1)]
"""The nodes that a key passes, from its start to its end."""
Hop: TypeAlias = Annotated[int, Meta(ge=0, lt=MAX_HOPS)]
"""Which hop of a route: 0 for the first."""
Count: TypeAlias = Annotated[int, Meta(ge=1, le=MAX_BATCH)]
"""Keys in one relay."""
Tag: TypeAlias = Annotated[bytes, Meta(min_length=16, max_length=16)]
Mac: TypeAlias = Annotated[bytes, Meta(min_length=32, max_length=32)]


class _Message(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="type"):
    """A message, written as a map whose member `type` names it."""


class Ok(_Message, frozen=True, tag="OK"):
    """The message was heard, and needs no other answer."""


class Refused(_Message, frozen=True, tag="REFUSED"):
    """The message was not acted upon."""

    why: Text
    """One of the words of section 9."""
    what: Text = ""
    node: Annotated[str, Meta(max_length=64)] = ""
    """Which node of a route refused; empty: the one that answers."""


class Hello(_Message, frozen=True, tag="HELLO"):
    """Who speaks, in which run, and how far its store is (section 2)."""

    node: Name
    mark: Whole
    links: Annotated[tuple[Name, ...], Meta(max_length=64)]
    told: Whole = 0
    """The highest mark that the receiver ever told the sender."""
    went_back: bool = False
    """Whether the sender knows that its own store went back in time before this run."""
    version: Whole = VERSION


class HaveBlock(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """One block that a node holds."""

    session: Text
    number: Whole
    size: Whole
    insecure: bool = False
    """Whether it was made with seeded secrets."""
    key_ids: Annotated[tuple[Text, ...], Meta(max_length=4096)] = ()


class Have(_Message, frozen=True, tag="HAVE"):
    """Blocks of one link that the sender holds (section 3)."""

    link: Name
    whole: bool
    more: bool
    blocks: Annotated[tuple[HaveBlock, ...], Meta(max_length=MAX_BLOCKS)]


class DeadBlock(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """One block that is out."""

    link: Name
    session: Text
    number: Whole
    why: Text


class Dead(_Message, frozen=True, tag="DEAD"):
    """What the sender no longer holds or wants (section 3)."""

    blocks: Annotated[tuple[DeadBlock, ...], Meta(max_length=MAX_BLOCKS)] = ()
    relays: Annotated[tuple[Id, ...], Meta(max_length=MAX_BLOCKS)] = ()
    supplies: Annotated[tuple[Id, ...], Meta(max_length=MAX_BLOCKS)] = ()


class Grant(_Message, frozen=True, tag="GRANT"):
    """The owner of a half asks for a range of it (section 4)."""

    link: Name
    session: Text
    number: Whole
    mark: Whole
    wanted: Whole


class Granted(_Message, frozen=True, tag="GRANTED"):
    """The range that the owner may spend; empty if nothing is left."""

    link: Name
    session: Text
    number: Whole
    begin: Whole
    end: Whole


class Lease(_Message, frozen=True, tag="LEASE"):
    """Is the way free for a batch of so many keys? (section 5)"""

    relay: Id
    route: Route
    hop: Hop
    count: Annotated[int, Meta(ge=0, le=MAX_BATCH)]
    """0: the lease for the relay is not needed."""


class Leased(_Message, frozen=True, tag="LEASED"):
    """From here to the end of the route, each node has set aside what the relay costs."""

    relay: Id
    insecure: bool = False
    """Whether key of one of these links was made with seeded secrets."""
    emulated: bool = False
    """Whether key of one of these links comes from emulated units."""


class Relay(_Message, frozen=True, tag="RELAY"):
    """A batch of keys under pads of one lease (section 5)."""

    relay: Id
    route: Route
    hop: Hop
    link: Name
    session: Text
    number: Whole
    offset: Whole
    length: Whole
    count: Count
    insecure: bool
    """Whether key of this link, or of one before it, was made with seeded secrets."""
    emulated: bool
    """Whether key of this link, or of one before it, comes from emulated units."""
    ciphertext: Annotated[bytes, Meta(min_length=CELL, max_length=CELL * MAX_BATCH)]
    tag: Tag

    def transcript(self) -> bytes:
        """Return what the tag is over: everything that the message says but the tag."""
        return _ENCODER.encode(("TNP1 RELAY", *msgspec.structs.astuple(self)[:-1]))


class Relayed(_Message, frozen=True, tag="RELAYED"):
    """The batch is held at the end of its route, durably."""

    relay: Id


class Confirm(_Message, frozen=True, tag="CONFIRM"):
    """The start, or the end in its answer, proves which keys it holds (section 6)."""

    relay: Id
    mac: Mac


class Cells(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """Successive keys of one batch."""

    relay: Id
    first: Annotated[int, Meta(ge=0, lt=MAX_BATCH)]
    count: Annotated[int, Meta(ge=1, le=MAX_BATCH)]


class SupplyItem(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """One key of applications, made up of cells."""

    key_id: Id
    master: Text
    slaves: Annotated[tuple[Text, ...], Meta(min_length=1, max_length=64)]
    size: Annotated[int, Meta(ge=1, le=8 * CELL * 1024)]
    """In bits."""
    cells: Annotated[tuple[Cells, ...], Meta(min_length=1, max_length=1024)]
    max_age_s: Annotated[float, Meta(gt=0, le=1e9)]
    others: Annotated[tuple[Cells, ...], Meta(max_length=1024)] = ()
    """Those of a second route, which are added; empty: the key went one."""


class Supply(_Message, frozen=True, tag="SUPPLY"):
    """The owner gives keys to applications of both ends (section 7)."""

    supplies: Annotated[tuple[SupplyItem, ...], Meta(min_length=1, max_length=1024)]


class Supplied(_Message, frozen=True, tag="SUPPLIED"):
    """The supplies are durable at the peer."""

    key_ids: Annotated[tuple[Id, ...], Meta(max_length=1024)]


Message: TypeAlias = (
    Ok
    | Refused
    | Hello
    | Have
    | Dead
    | Grant
    | Granted
    | Lease
    | Leased
    | Relay
    | Relayed
    | Confirm
    | Supply
    | Supplied
)


class Envelope(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What one POST carries, and its answer."""

    run: Id
    to: Annotated[bytes, Meta(max_length=16)]
    n: Whole
    body: Message


_ENCODER: Final = msgspec.msgpack.Encoder()
_DECODER: Final = msgspec.msgpack.Decoder(Envelope)


def encode(envelope: Envelope) -> bytes:
    """Return the bytes of an envelope."""
    return _ENCODER.encode(envelope)


def decode(data: bytes | bytearray | memoryview) -> Envelope:
    """Return the envelope that `data` is.

    Raises:
        ProtocolError: It is none, or longer than `MAX_BODY`.
    """
    if len(data) > MAX_BODY:
        raise ProtocolError(f"a message of {len(data)} bytes is longer than {MAX_BODY}")
    try:
        return _DECODER.decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, OverflowError) as error:
        raise ProtocolError(f"not a message of TNP1: {error}") from None


def confirm_transcript(end: str, relay: bytes, route: Sequence[str], keys: bytes) -> bytes:
    """Return what the mac of a CONFIRM is over (section 6); `end` is "start" or "end"."""
    return _ENCODER.encode((f"TNP1 CONFIRM {end}", relay, tuple(route), keys))
