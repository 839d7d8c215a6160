"""LEASE and RELAY in the middle of a route: keys are opened, sealed for the next hop, and never stored (TNP1, 5)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import msgspec

from tokaido.node.core._pads import pad_length, seal
from tokaido.node.core._spending import Spending, answer_within_s
from tokaido.node.core._ways import free_lease
from tokaido.node.messages import MAX_BATCH, Leased, Message, Refused, Relay, Relayed
from tokaido.node.messages import Lease as LeaseQuestion

if TYPE_CHECKING:
    from collections.abc import Callable

    from tokaido.hal import KeyMaterial
    from tokaido.node.core._blocks import Blocks
    from tokaido.node.core._context import Context
    from tokaido.node.core._state import Lease, LinkState, Neighbour
    from tokaido.node.core._writes import Write

RESERVED_S: Final = 15.0
"""How long a part of a lease is set aside for a relay."""
READY: Final = 4
"""Full relays of others for which leases are kept at hand."""


@dataclass(slots=True)
class _Reserved:
    """What is set aside for one relay."""

    question: LeaseQuestion
    before: str
    after: Neighbour
    link: LinkState
    lease: Lease
    until_s: float


class Transit:
    """Relays of others that go through this node."""

    def __init__(self, context: Context, blocks: Blocks, spending: Spending) -> None:
        self._context = context
        self._blocks = blocks
        self._spending = spending
        self._reserved: dict[bytes, _Reserved] = {}

    def wanted(self, neighbour: Neighbour) -> int:
        """Return how many bytes of leases are to be at hand for relays of others to a neighbour."""
        with_links = sum(bool(other.links) for other in self._context.neighbours.values())
        passes = self._context.settings.ways is not None and with_links > 1 and neighbour.links
        return READY * pad_length(MAX_BATCH) if passes else 0

    def refusal(self, before: Neighbour, route: tuple[str, ...], hop: int) -> str:
        """Return why a message of a hop is none of this node's, nothing if it is."""
        place = hop + 1
        if len(set(route)) < len(route) or place >= len(route):
            return "route"
        return "" if (route[hop], route[place]) == (before.name, self._context.settings.node) else "route"

    def lease(self, exchange: int, before: Neighbour, question: LeaseQuestion) -> None:
        """Set aside what a relay costs here, and ask the next hop to do so."""
        context = self._context
        after = context.neighbours.get(question.route[question.hop + 2])
        if after is None or not after.links:
            context.refuse(exchange, "route", "there is no link to that node")
            return
        if question.relay in self._reserved:
            context.refuse(exchange, "relay")
            return
        place = free_lease(after, pad_length(question.count))
        if not after.up or place is None:
            context.refuse(exchange, "lease" if after.up else "lost")
            return
        link, lease = place
        self._spending.reserve(lease, pad_length(question.count))
        until_s = context.now_s + RESERVED_S
        reserved = self._reserved[question.relay] = _Reserved(question, before.name, after, link, lease, until_s)
        block = lease.block

        def heard(answer: Message | None) -> None:
            if isinstance(answer, Leased) and answer.relay == question.relay:
                if self._reserved.get(question.relay) is reserved:
                    marks = block.insecure or answer.insecure, block.emulated or answer.emulated
                    context.answer(exchange, Leased(relay=question.relay, insecure=marks[0], emulated=marks[1]))
                else:
                    context.refuse(exchange, "lease")
                return
            self._release(question.relay)
            self._pass_refusal(exchange, after, answer)

        onward = LeaseQuestion(relay=question.relay, route=question.route, hop=question.hop + 1, count=question.count)
        within_s = answer_within_s(context.settings.answer_s, question.route, onward.hop)
        context.send(after, onward, heard, within_s)

    def give_back(self, before: Neighbour, question: LeaseQuestion) -> None:
        """Free what was set aside for a relay that was given up, and tell the next hop."""
        reserved = self._reserved.get(question.relay)
        if reserved is not None and (reserved.before, reserved.question.route) == (before.name, question.route):
            self._release(question.relay)
        if question.hop + 2 < len(question.route):
            after = self._context.neighbours.get(question.route[question.hop + 2])
            if after is not None and after.links and after.up:
                onward = msgspec.structs.replace(question, hop=question.hop + 1)
                self._context.send(after, onward, lambda _: None)

    def forward(
        self, exchange: int, before: Neighbour, relay: Relay, keys: KeyMaterial
    ) -> tuple[list[Write], Callable[[], None]]:
        """Seal keys for the next hop; return what is to be durable first, and what is to be done then."""
        context, reserved = self._context, self._reserved.get(relay.relay)
        if reserved is None or not self._fits(reserved, before, relay):
            keys.wipe()
            return [], lambda: context.refuse(exchange, "lease")
        del self._reserved[relay.relay]
        after, block, hop = reserved.after, reserved.lease.block, relay.hop + 1
        begin, pad, writes = self._spending.take(reserved.link, reserved.lease, relay.count)
        link, session, number = block.name
        blank = msgspec.structs.replace(
            relay,
            hop=hop,
            link=link,
            session=session,
            number=number,
            offset=begin,
            insecure=relay.insecure or block.insecure,
            emulated=relay.emulated or block.emulated,
        )
        sealed = seal(pad, keys, blank)
        keys.wipe()
        run = after.run

        def heard(answer: Message | None) -> None:
            self._spending.done(block)
            if isinstance(answer, Relayed) and answer.relay == relay.relay:
                context.answer(exchange, Relayed(relay=relay.relay))
                return
            if isinstance(answer, Refused) and not answer.node:
                self._spending.refused(after, reserved.link, block, answer.why)
            self._pass_refusal(exchange, after, answer)

        def durable() -> None:
            if after.up and after.run == run:
                context.send(after, sealed, heard, answer_within_s(context.settings.answer_s, relay.route, hop))
            else:
                heard(None)

        return writes, durable

    def expire(self) -> None:
        """Give back what was set aside and not used in time."""
        while self._reserved:
            relay, reserved = next(iter(self._reserved.items()))
            if self._context.now_s < reserved.until_s:
                return
            self._release(relay)

    def wake_s(self) -> float:
        """Return when `expire` is next needed."""
        return next((reserved.until_s for reserved in self._reserved.values()), float("inf"))

    def _fits(self, reserved: _Reserved, before: Neighbour, relay: Relay) -> bool:
        question = reserved.question
        same = (question.route, question.hop, question.count) == (relay.route, relay.hop, relay.count)
        return same and reserved.before == before.name and reserved.lease.alive and reserved.after.up

    def _release(self, relay: bytes) -> None:
        reserved = self._reserved.pop(relay, None)
        if reserved is not None:
            self._spending.release(reserved.lease, pad_length(reserved.question.count))

    def _pass_refusal(self, exchange: int, after: Neighbour, answer: Message | None) -> None:
        if isinstance(answer, Refused):
            self._context.refuse(exchange, answer.why, answer.what, node=answer.node or after.name)
        else:
            self._context.refuse(exchange, "lost", node=self._context.settings.node)
