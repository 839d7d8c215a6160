"""What the two ends of a move want done, one thing at a time, and what came of it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from tokaido.node.moving._messages import MoveAnswer, MoveOrder
    from tokaido.node.moving._records import MoveRecord


class Deed(Enum):
    """What is done to the devices of this site. Each may be done again, and fails without harm."""

    LEASE = "take the lease"
    """Done gives the fencing token."""
    CHECK = "check"
    """Nothing is touched; done gives a `Before`."""
    DARKEN = "make dark"
    """A leader's unit is then set to the new path."""
    SWITCH = "switch"
    """A follower's unit is first set apart from the leader's."""
    BACK = "switch back"
    FINISH = "take the new path"
    RESTORE = "take the path before"


@dataclass(frozen=True, slots=True)
class Write:
    """Make a record durable, in place of the one before."""

    record: MoveRecord


@dataclass(frozen=True, slots=True)
class Act:
    """Do something to the devices of this site."""

    deed: Deed
    record: MoveRecord | None = None
    """What it is of; None: of the order that was heard."""


@dataclass(frozen=True, slots=True)
class Ask:
    """Give the follower an order. Done gives its answer."""

    order: MoveOrder


@dataclass(frozen=True, slots=True)
class Reply:
    """Answer the leader."""

    answer: MoveAnswer


@dataclass(frozen=True, slots=True)
class Wait:
    """Wait a little, then ask again what is to be done."""


Action: TypeAlias = Write | Act | Ask | Reply | Wait


@dataclass(frozen=True, slots=True)
class Done:
    """It was done."""

    value: Any = None


@dataclass(frozen=True, slots=True)
class Failed:
    """It was not done, or nobody knows."""

    why: str


Outcome: TypeAlias = Done | Failed
