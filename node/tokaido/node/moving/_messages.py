"""What two nodes say to each other in a move: docs/protocols/node.md, section 10."""

from __future__ import annotations

from enum import Enum
from typing import Annotated, Any, Final, TypeVar

import msgspec
from msgspec import Meta

from tokaido.hal import ProtocolError
from tokaido.hal.structs import learn
from tokaido.node.messages import Id, Name, Text

T = TypeVar("T")

MAX_ORDER: Final = 1 << 12
"""Longest order, and longest answer, in bytes."""


class Order(Enum):
    """What the leader wants of the follower."""

    PREPARE = "prepare"
    SWITCH = "switch"
    FINISH = "finish"
    BACK = "back"
    CANCEL = "cancel"


class Half(Enum):
    """How one half of a link stands in a move."""

    FREE = "free"
    """Nothing of this move was touched."""
    BEGUN = "begun"
    """It was touched; how it stands is not known."""
    DARK = "dark"
    SWITCHING = "switching"
    MOVED = "moved"
    RETURNING = "returning"
    BACK = "back"
    """As before, and dark."""
    FINISHED = "finished"
    CANCELLED = "cancelled"


class MoveOrder(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the leader says."""

    order: Order
    link: Name
    path: Annotated[str, Meta(min_length=1, max_length=24, pattern=r"^[A-Za-z0-9._-]+$")]
    move: Id
    token: Annotated[int, Meta(ge=0, le=(1 << 53) - 1)]
    unit: Text
    """Serial number of the transmitter."""
    selected: tuple[Text, Text]
    """Peer and path of the link that the transmitter was set to before."""


class MoveAnswer(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the follower answers."""

    half: Half
    why: Annotated[str, Meta(max_length=1000)] = ""
    """Empty: the order was carried out."""


_ENCODER: Final = msgspec.msgpack.Encoder()


def encoded(message: MoveOrder | MoveAnswer) -> bytes:
    """Return the bytes of an order or an answer."""
    return _ENCODER.encode(message)


def order_of(data: bytes) -> MoveOrder:
    """Return the order that `data` is.

    Raises:
        ProtocolError: It is none.
    """
    return _decoded(data, MoveOrder, "an order of a move")


def answer_of(data: bytes) -> MoveAnswer:
    """Return the answer that `data` is.

    Raises:
        ProtocolError: It is none.
    """
    return _decoded(data, MoveAnswer, "an answer to an order of a move")


def _decoded(data: bytes, kind: type[T], what: str) -> T:
    if len(data) > MAX_ORDER:
        raise ProtocolError(f"{what} has at most {MAX_ORDER} bytes, not {len(data)}")
    try:
        found: Any = msgspec.msgpack.decode(data, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise ProtocolError(f"not {what}: {error}") from None
    return found  # type: ignore[no-any-return]


learn(MoveOrder, MoveAnswer)
