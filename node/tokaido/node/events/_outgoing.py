"""What a node has to tell the bus: its events and its telemetry as messages, each with an id of its own."""

from __future__ import annotations

import os
from itertools import count
from math import isfinite
from typing import TYPE_CHECKING, Any, Final

from tokaido.hal import NS_PER_S, SYSTEM_CLOCK
from tokaido.node.core._writes import DropBatch, Post, PutBatch, SetBatch
from tokaido.node.endpoint import state_of
from tokaido.node.events._messages import (
    MOST_MEMBERS,
    ActDone,
    Alarm,
    Answer,
    LinkState,
    Message,
    NeighbourState,
    PairState,
    RelayState,
    Telemetry,
    encode,
    short,
)
from tokaido.node.events._subjects import Subjects

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from tokaido.hal import Clock
    from tokaido.node.core._writes import Write
    from tokaido.node.events._settings import EventsSettings
    from tokaido.node.operation import Event, Events, LinkLine, NodeStatus, PairLine

TELEMETRY: Final = "telemetry"
RELAY: Final = "relay"
DROPPED_FIRST: Final = (TELEMETRY, RELAY)
"""States of messages in the outbox that may be dropped, in this order; those that wait in another one never are."""
AT_ONCE: Final = 500


class Outgoing:
    """Makes messages, without any I/O. Use it in the node's loop.

    Args:
        settings: What its file says of the bus.
        node: Its name.
        events: What happened in this run.
        serial: Returns the serial of the topology in force; 0: there is none.
        clock: Where time comes from.
    """

    def __init__(
        self,
        settings: EventsSettings,
        node: str,
        events: Events,
        *,
        serial: Callable[[], int] = lambda: 0,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self.subjects = Subjects(settings.network)
        self.node = node
        self.waiting = 0
        """Messages in the outbox; the one that empties it keeps this."""
        self.dropped = 0
        """Messages that it had no room for."""
        self.settings = settings
        self._events = events
        self._serial = serial
        self._clock = clock
        self.run = os.urandom(8).hex()
        """Names this run in the ids of messages."""
        self._numbers = count(1)
        self._told = 0
        self._due_ns = clock.monotonic_ns()
        self._back: list[Post] = []

    def take(self, status: Callable[[], NodeStatus]) -> list[Post]:
        """Return what has come up since the last time, to be written into the outbox.

        Args:
            status: Returns the node's status, if it is time for telemetry.
        """
        posts, self._back = self._back, []
        while True:
            events, lost = self._events.since(self._told, AT_ONCE)
            self.dropped += lost
            if not events:
                break
            posts += [self._of_event(event) for event in events]
            self._told = events[-1].sequence
        now_ns = self._clock.monotonic_ns()
        if now_ns >= self._due_ns:
            self._due_ns = max(self._due_ns + round(self.settings.every_s * NS_PER_S), now_ns)
            posts.append(self._telemetry(status()))
        return posts

    def give_back(self, posts: Sequence[Post]) -> None:
        """Take back what could not be written; telemetry is old by then."""
        self._back = [*(post for post in posts if post.state not in DROPPED_FIRST), *self._back]

    def answer(self, who: str, command: str, reply: dict[str, Any], *, again: bool = False) -> Post:
        """Return the answer to a command."""
        message = Answer(
            **self._head(),
            command=command,
            by=who,
            ok=reply["ok"],
            error=reply.get("error", ""),
            text=short(reply.get("text", "")),
            remedy=short(reply.get("remedy", "")),
            again=again,
        )
        return Post(self.subjects.answer(self.node, who), encode(message))

    def relays(self, writes: Iterable[Write]) -> list[Post]:
        """Return what writes of a core tell of relayed batches. No key of theirs is looked at."""
        found: list[Post] = []
        for write in writes:
            match write:
                case PutBatch(batch=batch):
                    told: dict[str, Any] = {
                        "relay": batch.relay.hex(),
                        "state": "ready" if batch.ready else "put",
                        "neighbour": batch.neighbour,
                        "route": batch.route,
                        "keys": batch.count,
                        "started_here": batch.started_here,
                    }
                case SetBatch(relay=relay, ready=True):
                    told = {"relay": relay.hex(), "state": "ready"}
                case DropBatch(relay=relay):
                    told = {"relay": relay.hex(), "state": "dropped"}
                case _:
                    continue
            found.append(self._post(RELAY, RelayState(**self._head(), **told), RELAY))
        return found

    # --- messages -----------------------------------------------------------------------------------------------------

    def _head(self) -> dict[str, Any]:
        return {
            "network": self.subjects.network,
            "node": self.node,
            "id": f"{self.run}-{next(self._numbers)}",
            "utc_s": self._clock.utc_ns() / NS_PER_S,
        }

    def _post(self, kind: str, message: Message, state: str = "waiting") -> Post:
        return Post(self.subjects.of(self.node, kind), encode(message), state)

    def _of_event(self, event: Event) -> Post:
        head: dict[str, Any] = {**self._head(), "utc_s": event.utc_s}
        if event.kind == "act":
            return self._post("act", ActDone(**head, by=short(event.by), what=short(event.text)))
        alarm = Alarm(
            **head,
            change=event.kind,  # type: ignore[arg-type] # pyright: ignore[reportArgumentType] # its other kinds
            code=short(event.code),
            of=short(event.of),
            severity=event.severity or "",
            text=short(event.text),
            by=short(event.by),
        )
        return self._post("alarm", alarm)

    def _telemetry(self, status: NodeStatus) -> Post:
        message = Telemetry(
            **self._head(),
            level=status.level,
            headline=short(status.headline),
            state=state_of(status),
            up_s=round(status.up_s, 3),
            relaying=status.relaying,
            emulation=status.emulation,
            alarms=len(status.alarms),
            worst=short(status.alarms[0].code) if status.alarms else "",
            topology=self._serial(),
            waiting=self.waiting,
            dropped=self.dropped,
            links=tuple(map(_link, status.links[:MOST_MEMBERS])),
            pairs=tuple(map(_pair, status.pairs[:MOST_MEMBERS])),
            neighbours=tuple(NeighbourState(name=one.name, up=one.up) for one in status.neighbours[:MOST_MEMBERS]),
        )
        return self._post("telemetry", message, TELEMETRY)


def _link(link: LinkLine) -> LinkState:
    return LinkState(
        name=link.name,
        neighbour=link.neighbour,
        state=link.state,
        phase=link.phase,
        running=link.running,
        qber=_finite(link.qber),
        secret_key_rate=_finite(link.secret_key_rate),
        stock_bits=max(link.stock_bits, 0),
    )


def _pair(pair: PairLine) -> PairState:
    return PairState(
        neighbour=pair.neighbour,
        ready=pair.ready,
        target=pair.target,
        in_flight=pair.in_flight,
        held=pair.held,
        demand=_finite(pair.demand) or 0.0,
    )


def _finite(value: float | None) -> float | None:
    return value if value is not None and isfinite(value) else None
