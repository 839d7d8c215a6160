"""Commands that come over the bus: who gives them, whether in time, whether before, and what comes of them."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Annotated, Any, Final

import msgspec
from msgspec import Meta

from tokaido.hal import NS_PER_S, SYSTEM_CLOCK, TokaidoError
from tokaido.hal.transports import CurveClient
from tokaido.node.endpoint._carrying_out import failure_of
from tokaido.node.endpoint._messages import AnyCommand, refusal
from tokaido.node.events._messages import CommandId, Name
from tokaido.node.events._signed import opened
from tokaido.node.events._subjects import name_of
from tokaido.node.operation import Peer

if TYPE_CHECKING:
    from collections.abc import Callable

    from tokaido.hal import Clock
    from tokaido.node.endpoint import Desk
    from tokaido.node.events._outgoing import Outgoing
    from tokaido.node.events._settings import EventsSettings
    from tokaido.node.operation import Operations
    from tokaido.node.store import CommandRow, SqliteStore, StoreThread

LOG: Final = logging.getLogger("tokaido.node.events")
LONGEST_S: Final = 300.0
"""How far ahead a deadline may be."""
AHEAD_S: Final = 30.0
"""How far the clock of the person may be ahead of the node's."""
REMEMBERED_S: Final = 86_400.0
"""For how long an id is known after its deadline."""
MOST: Final = 32
"""Commands that are under way at once."""


class Command(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a person orders."""

    id: CommandId
    network: Name
    node: Name
    issued_utc_s: float
    deadline_utc_s: Annotated[float, Meta(ge=0, le=1e11)]
    order: AnyCommand


_decoder: Final = msgspec.json.Decoder(Command)
_answers: Final = msgspec.json.Decoder(dict[str, Any])
_encode: Final[Callable[[object], bytes]] = msgspec.json.Encoder().encode


class Commands:
    """Carries out the commands of one node.

    Args:
        settings: What its file says of the bus; its operators are those of now.
        desk: Says what role an order takes.
        operations: Carries orders out.
        outgoing: Makes the answers.
        store: Returns the thread of the store, if it is open.
        clock: Where time comes from.
    """

    def __init__(
        self,
        settings: EventsSettings,
        desk: Desk,
        operations: Operations,
        outgoing: Outgoing,
        store: Callable[[], StoreThread | None],
        *,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self.settings = settings
        self._desk = desk
        self._operations = operations
        self._outgoing = outgoing
        self._store = store
        self.posted: Callable[[int], None] = lambda _: None
        """Told how many answers were put into the outbox; the bus sets it."""
        self._clock = clock
        self._under_way: set[str] = set()

    async def hear(self, subject: str, payload: bytes) -> None:
        """Take what came at a subject of commands; its answer goes into the outbox."""
        if len(self._under_way) >= MOST:
            LOG.warning("a command was left: %d are under way", MOST)
            return
        try:
            signed = await asyncio.to_thread(opened, payload, self.settings.tls, self._clock)
            command = _decoder.decode(signed.body)
        except (TokaidoError, msgspec.MsgspecError, ValueError, RecursionError) as error:
            LOG.warning("a command at %s was not taken: %s", subject, error)
            return
        meant = (signed.who, self._outgoing.subjects.network, self._outgoing.node)
        if meant != (name_of(subject.rpartition(".")[2]), command.network, command.node):
            LOG.warning("a command of %s at %s was not taken: it is for %s", signed.who, subject, command.node)
            return
        if command.id in self._under_way:
            return  # it will be answered
        self._under_way.add(command.id)
        try:
            await self._take(signed.who, command)
        except TokaidoError as error:
            LOG.warning("a command of %s was left: %s", signed.who, error)
        finally:
            self._under_way.discard(command.id)

    async def _take(self, who: str, command: Command) -> None:
        store = self._store()
        if store is None:
            LOG.warning("a command of %s was left: the store is closed", who)
            return
        now_s = self._now_s()
        until_s = max(command.deadline_utc_s, now_s) + REMEMBERED_S

        def begin(store: SqliteStore) -> CommandRow | None:
            return store.records.begin_command(command.id, who, now_s=now_s, until_s=until_s)

        before = await store.call(begin)
        if before is not None and before.by == who:
            again = _OUTCOME_UNKNOWN if before.answer is None else _answers.decode(before.answer)
            await self._tell(store, who, command.id, again, again=True)
            return
        if before is not None:
            taken = refusal("REFUSED", "somebody else gave a command of that id", "Draw another id")
            await self._tell(store, who, command.id, taken, again=True)
            return
        reply = _untimely(command, self._now_s())  # now, since the store may have taken its time
        if reply is None:
            reply = await self._carry_out(who, command)
        await self._tell(store, who, command.id, reply)

    def _now_s(self) -> float:
        return self._clock.utc_ns() / NS_PER_S

    async def _carry_out(self, who: str, command: Command) -> dict[str, Any]:
        client = CurveClient(b"", who, self.settings.operators.get(who, frozenset()))
        judged = self._desk.judge(client, command.order)
        if isinstance(judged, dict):
            return judged
        peer = Peer(0, -1, who, "bus, by certificate")
        return self._desk.outcome(await failure_of(self._operations, judged, peer))

    async def _tell(
        self, store: StoreThread, who: str, identifier: str, reply: dict[str, Any], *, again: bool = False
    ) -> None:
        post = self._outgoing.answer(who, identifier, reply, again=again)

        def write(store: SqliteStore) -> None:
            records = store.records

            def work() -> None:
                if not again:
                    records.answer_command(identifier, _encode(reply))
                records.post(post.subject, post.payload, post.state)

            records.together(work)

        await store.call(write)
        self.posted(1)


def _untimely(command: Command, now_s: float) -> dict[str, Any] | None:
    """Return why a command does not come in its time; None: it does."""
    late_s = now_s - command.deadline_utc_s
    if late_s > 0:
        return refusal(
            "LATE", f"the command came {late_s:.3g} s after its deadline", "Give a new one if it still holds"
        )
    if command.issued_utc_s > now_s + AHEAD_S:
        what = f"the command was given {command.issued_utc_s - now_s:.3g} s ahead of the node's clock"
        return refusal("TOO_EARLY", what, "Set the clocks")
    if command.deadline_utc_s > now_s + LONGEST_S:
        return refusal("TOO_EARLY", f"the deadline is more than {LONGEST_S:g} s ahead", "Give a nearer one")
    return None


_OUTCOME_UNKNOWN: Final = refusal(
    "UNKNOWN_OUTCOME", "the node ended before the command did", "Look at what is in force"
)
