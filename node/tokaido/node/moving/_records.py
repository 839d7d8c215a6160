"""What a node notes of a move of a link between two sites, so that the next leader can go on."""

from __future__ import annotations

from enum import Enum
from typing import Final, TypeAlias

import msgspec

from tokaido.hal import ProtocolError

Joined: TypeAlias = tuple[tuple[str, tuple[tuple[int, int], ...]], ...]
"""Pairs of input and output, by switch."""


class Stage(Enum):
    """How far a move is noted to be, at one of its ends."""

    BEGUN = "begun"
    """The unit may be dark; no switch was touched."""
    SWITCHING = "switching"
    """Switches may move. Both units are dark."""
    MOVED = "moved"
    """The follower's switches join the new path, read back."""
    FINISHING = "finishing"
    """Both halves are moved, and the leader asks the follower to note that the move is finished."""
    RETURNING = "returning"
    """Switches go back to what they joined before."""
    BACK = "back"
    """The follower's switches are back; its unit is dark."""
    CANCELLING = "cancelling"
    """No switch moves any more. The leader's end is as it was before, and the follower is to be told."""
    FINISHED = "finished"
    CANCELLED = "cancelled"


ENDED: Final = frozenset({Stage.FINISHED, Stage.CANCELLED})


class Before(msgspec.Struct, frozen=True, kw_only=True):
    """How one end was when a move of it began."""

    unit: str
    """Serial number of the unit."""
    selected: tuple[str, str]
    """Peer and path of the link that the unit was set to."""
    joined: Joined
    """Which of the link's pairs each switch joined."""
    ran: bool = False
    """Whether the unit exchanged keys."""
    parking: tuple[str, str] = ("", "")
    """Peer and path of the link that a receiver waits on, apart from the transmitter."""


class MoveRecord(msgspec.Struct, frozen=True, kw_only=True):
    """The last move of one link, as one of its two nodes notes it."""

    link: str
    move: bytes
    """Its id, drawn by the leader."""
    token: int
    """The leader's fencing token."""
    path: str
    """Where it is moved to."""
    leads: bool
    stage: Stage
    peer: str = ""
    """Serial number of the unit at the other end."""
    before: Before | None = None
    """None: nothing of this end was touched, or will be."""
    why: str = ""
    """Why it is not finished."""
    by: str = ""
    """Who ordered it."""
    accounted: bool = False
    """Whether its end is in the audit log."""

    @property
    def ended(self) -> bool:
        """Whether it is over at this end."""
        return self.stage in ENDED


_ENCODER: Final = msgspec.msgpack.Encoder()
_DECODER: Final = msgspec.msgpack.Decoder(MoveRecord)


def packed(record: MoveRecord) -> bytes:
    """Return a record as the store keeps it."""
    return _ENCODER.encode(record)


def unpacked(data: bytes) -> MoveRecord:
    """Return the record that the store kept.

    Raises:
        ProtocolError: It is none that this release knows.
    """
    try:
        return _DECODER.decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise ProtocolError(f"the store has a move that is none: {error}") from None
