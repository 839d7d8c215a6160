"""Moves of a link between two sites: what each of its two nodes does, without any I/O, and to its devices."""

from __future__ import annotations

from tokaido.node.moving._actions import Act, Action, Ask, Deed, Done, Failed, Outcome, Reply, Wait, Write
from tokaido.node.moving._alarms import MOVE_STUCK, MOVE_STUCK_SEVERITY, MOVE_STUCK_TO_DO
from tokaido.node.moving._follower import Follower
from tokaido.node.moving._leader import Leader
from tokaido.node.moving._messages import (
    MAX_ORDER,
    Half,
    MoveAnswer,
    MoveOrder,
    Order,
    answer_of,
    encoded,
    order_of,
)
from tokaido.node.moving._records import ENDED, Before, MoveRecord, Stage, packed, unpacked
from tokaido.node.moving._site import Site

__all__ = [
    "ENDED",
    "MAX_ORDER",
    "MOVE_STUCK",
    "MOVE_STUCK_SEVERITY",
    "MOVE_STUCK_TO_DO",
    "Act",
    "Action",
    "Ask",
    "Before",
    "Deed",
    "Done",
    "Failed",
    "Follower",
    "Half",
    "Leader",
    "MoveAnswer",
    "MoveOrder",
    "MoveRecord",
    "Order",
    "Outcome",
    "Reply",
    "Site",
    "Stage",
    "Wait",
    "Write",
    "answer_of",
    "encoded",
    "order_of",
    "packed",
    "unpacked",
]
