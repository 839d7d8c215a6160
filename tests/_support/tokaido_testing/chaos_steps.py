"""Names of the steps at which nodes of the chaos tests die: one for each thing that happens to a core or comes of it.

A commit is named after what it makes durable, and a message as on the wire. `STEPS` has them all; a test says which of
them cannot come at a place, and why.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tokaido.node.core import (
    Answer,
    Answered,
    Commit,
    Committed,
    Count,
    Delivered,
    DropBatch,
    DropBlock,
    DropSupply,
    PutBatch,
    PutBlock,
    PutSupply,
    Received,
    Send,
    SetBatch,
    SetMarks,
    SetNeighbour,
)
from tokaido.node.messages import Grant, Lease

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from tokaido.node.core import Action, Event, Write
    from tokaido.node.messages import Message

QUESTIONS: Final = (
    *("HELLO", "HAVE", "DEAD", "GRANT", "GRANT of nothing", "LEASE", "LEASE given back"),
    *("RELAY", "CONFIRM", "SUPPLY"),
)
ANSWERS: Final = "HELLO", "OK", "GRANTED", "LEASED", "RELAYED", "CONFIRM", "SUPPLIED", "REFUSED"
COMMITS: Final = (
    *("started relay", "held keys", "block", "own mark", "too short halves", "granted mark", "passed on", "ready"),
    *("supply", "supplied", "delivered", "discarded mismatch", "discarded dead", "end of a block"),
    *(f"burned {why}" for why in ("restart", "refused", "lost", "confirm", "age", "rollback", "not held", "dead")),
    *(f"dropped {why}" for why in ("restart", "dead", "confirm", "age", "rollback")),
    *(f"supply {why}" for why in ("unconfirmed", "abandoned", "orphan", "ended", "rollback")),
    *("discarded lease", "passed on out of a gap", "undelivered"),
    *("forgotten", "emptied", "told", "mark", "load", "barrier"),
)
"""A commit that is for several of these is named after the first of them."""
EVENTS: Final = (
    *("Started", "Tick", "Drawn", "NotFetched", "CommitFailed", "Unanswered", "EncKeys", "DecKeys"),
    *("Abandoned", "Undelivered", "Reconfigured", "RelayingSet", "Drain"),
    *(f"Committed {name}" for name in COMMITS),
    *(f"Received {name}" for name in QUESTIONS),
    *(f"Answered {name}" for name in ANSWERS),
)
ACTIONS: Final = (
    *("CommitDraw", "LeaveDraw", "Fetch", "Keys", "Refusal", "Raise", "Clear"),
    *(f"Commit {name}" for name in COMMITS),
    *(f"Send {name}" for name in QUESTIONS),
    *(f"Answer {name}" for name in ANSWERS),
)
STEPS: Final = frozenset(
    [f"before {name}" for name in (*EVENTS, *ACTIONS)] + [f"after {name}" for name in ACTIONS],
)
"""Before an event is handed to a core, and before and after each action of it is carried out."""

NOWHERE: Final = {
    "Fetch": "no link is fed by key managers",
    "NotFetched": "no link is fed by key managers",
    "Abandoned": "who carries keys to applications lets each request end",
    "supply abandoned": "who carries keys to applications lets each request end",
    "burned dead": "nobody who holds keys for another says that they are dead",
}
"""What comes in no life of a node of the chaos tests, and why."""


class Names:
    """Names what happens to cores: what they are told of is named after what they wanted."""

    def __init__(self) -> None:
        self._commits: dict[tuple[int, int], str] = {}

    def of_action(self, core: int, action: Action) -> str:
        """Return the name of an action of a core, which has a number."""
        name = type(action).__name__
        match action:
            case Commit(token=token):
                purpose = self._commits[core, token] = of_commit(action)
                return f"{name} {purpose}"
            case Send(envelope=envelope) | Answer(envelope=envelope):
                return f"{name} {of_message(envelope.body)}"
            case _:
                return name

    def of_event(self, core: int, event: Event) -> str:
        """Return the name of what happened to a core."""
        name = type(event).__name__
        match event:
            case Committed(token=token):
                return f"{name} {self._commits.pop((core, token))}"
            case Answered(envelope=envelope) | Received(envelope=envelope):
                return f"{name} {of_message(envelope.body)}"
            case _:
                return name


def of_message(message: Message) -> str:
    """Return the name of a message."""
    name = type(message).__name__.upper()
    if isinstance(message, Grant) and not message.wanted:
        return f"{name} of nothing"
    return f"{name} given back" if isinstance(message, Lease) and not message.count else name


def of_commit(commit: Commit) -> str:
    """Return what a commit is for."""
    found = {name for write in commit.writes if (name := _of_write(write))} | {"load" if commit.loads else "barrier"}
    return next(name for name in COMMITS if name in found)


def _of_write(write: Write) -> str:
    match write:
        case PutBlock():
            return "block"
        case DropBlock():
            return "end of a block"
        case SetMarks(own=own, granted=granted, passed=passed):
            if own is not None:
                return "own mark" if passed is None else "too short halves"
            return "passed on" if granted is None else "granted mark"
        case PutBatch(batch):
            return "started relay" if batch.started_here else "held keys"
        case SetBatch(ready=ready):
            return "ready" if ready else "emptied"
        case PutSupply(row):
            return "supply" if row.started_here else "supplied"
        case Delivered():
            return "delivered"
        case DropBatch() | DropSupply():
            return "forgotten"
        case SetNeighbour(told=told):
            return "mark" if told is None else "told"
        case Count(amounts=amounts):
            return _of_count(amounts)
        case _:
            return ""


def _of_count(amounts: Mapping[str, int]) -> str:
    if "spent_pad" in amounts:
        return "passed on out of a gap"
    for name, amount in amounts.items():
        what, _, why = name.partition(":")
        if why and amount > 0:
            return f"{what} {why}"
    return "undelivered" if "undelivered" in amounts else ""


def without(steps: Iterable[str], names: Collection[str]) -> frozenset[str]:
    """Return the steps that have none of these in their name: an event, an action, a commit, a message, or a family.

    A commit that is `dropped age` is one of the family `dropped`.
    """
    return frozenset(step for step in steps if not _names_in(step) & set(names))


def _names_in(step: str) -> set[str]:
    _, event, *more = step.split(" ", 2)
    what = more[0] if more else ""
    return {event, what, what.partition(" ")[0]}
