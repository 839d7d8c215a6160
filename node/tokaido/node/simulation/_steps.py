"""Names of the steps at which a node can die."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tokaido.node.core import (
    Commit,
    Delivered,
    DropBatch,
    DropBlock,
    DropSupply,
    PutBatch,
    PutBlock,
    PutSupply,
    SetBatch,
    SetMarks,
    SetNeighbour,
)

if TYPE_CHECKING:
    from tokaido.node.core import Write
    from tokaido.node.messages import Message


def of_commit(commit: Commit) -> str:
    """Return what a commit is for."""
    for write in sorted(commit.writes, key=lambda write: not isinstance(write, PutBatch)):
        name = _of_write(write)
        if name:
            return name
    if commit.loads:
        return "load a pad"
    told = any(isinstance(write, SetNeighbour) and write.told is not None for write in commit.writes)
    return "told" if told else "count" if commit.writes else "barrier"


def of_message(message: Message) -> str:
    """Return the name of a message, as it has it on the wire."""
    return type(message).__name__.upper()


def _of_write(write: Write) -> str:
    match write:
        case PutBlock():
            return "block"
        case DropBlock():
            return "end of a block"
        case SetMarks(own=own, granted=granted, passed=passed):
            if own is not None:
                return "own mark"
            return "granted mark" if granted is not None else "told mark" if passed is None else "passed on"
        case PutBatch(batch):
            return "started relay" if batch.started_here else "held keys"
        case SetBatch(ready=ready) if ready:
            return "ready"
        case PutSupply(row):
            return "supply" if row.started_here else "supplied"
        case Delivered():
            return "delivered"
        case SetBatch():
            return ""
        case DropBatch() | DropSupply():
            return "burned"
        case _:
            return ""
