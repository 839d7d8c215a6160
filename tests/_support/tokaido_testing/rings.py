"""A ring of nodes whose first and third share keys, with all that is needed to see what each node sees."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import tokaido.node.core as c
from tokaido.node.messages import CELL, TAG_KEY, Envelope, Message, Relay, Supply, SupplyItem
from tokaido.node.simulation import Scenario
from tokaido_testing.nodes import TwoNodes

if TYPE_CHECKING:
    from collections.abc import Iterable

RING = ("odawara", "numazu", "mishima", "kobe")
"""odawara and mishima share keys: over numazu, and over kobe."""
FAR = ("odawara", "mishima")


class Ring(TwoNodes):
    """Nodes of a ring, or of a line, whose link keys and messages are written down."""

    def __init__(self, *, nodes: tuple[str, ...] = RING, closed: bool = True, far: tuple[str, str] = FAR, **more: Any):
        more = {"stock": 16, "batch": 8, "lease": 2048, "supply_age_s": 200.0, "batch_age_s": 2000.0, **more}
        super().__init__(Scenario(nodes=nodes, closed=closed, pairs=(far,), **more))
        self.blocks: dict[tuple[str, str, int], bytes] = {}
        self.seen: list[tuple[str, Message]] = []
        """Sender and body of each message."""
        self.lost: tuple[type, ...] = ()
        """Messages that never arrive."""
        self.between = self._note
        self.start()

    def fill(self, number: int = 0, *, links: Iterable[str] | None = None) -> None:
        """Give links a block, and let relays go."""
        for link in self.scenario.links if links is None else links:
            key = self.blocks[link, "s", number] = os.urandom(16_000)
            for name in self.scenario.links[link]:
                self.draw(name, number, key, link=link)
        self.wait(3.0)

    def ask_for(self, routes: int = 1, number: int = 1, size: int = 256) -> c.Keys | c.Refusal:
        """Ask odawara for keys to share with mishima."""
        return self.enc("odawara", slaves=("mishima-1",), number=number, size=size, routes=routes)

    def fetch(self, ids: tuple[bytes, ...]) -> c.Keys | c.Refusal:
        return self.dec(ids, "mishima", slave="mishima-1", master="odawara-1")

    def pair_of(self, name: str = "odawara") -> c.PairStatus:
        found = self.cores[name].status().pairs[FAR[1] if name == FAR[0] else FAR[0]]
        assert found.adds_up
        return found

    def relays(self) -> list[tuple[str, Relay]]:
        return [(sender, body) for sender, body in self.seen if isinstance(body, Relay)]

    def opened_by(self, name: str) -> set[bytes]:
        """Return all keys that a node sees that opens whatever goes over its own links."""
        found: set[bytes] = set()
        for sender, relay in self.relays():
            if name in relay.route[relay.hop : relay.hop + 2]:
                block = self.blocks[relay.link, relay.session, relay.number]
                first = 0 if sender == min(relay.route[relay.hop : relay.hop + 2]) else len(block) // 2
                pad = block[first + relay.offset + TAG_KEY : first + relay.offset + relay.length]
                keys = bytes(a ^ b for a, b in zip(relay.ciphertext, pad, strict=True))
                found |= {keys[at : at + CELL] for at in range(0, len(keys), CELL)}
        return found

    def supplied(self) -> list[SupplyItem]:
        return [item for _, body in self.seen if isinstance(body, Supply) for item in body.supplies]

    def _note(self, sender: str, envelope: Envelope) -> Envelope | None:
        self.seen.append((sender, envelope.body))
        return None if isinstance(envelope.body, self.lost) else envelope


def filled(**more: Any) -> Ring:
    nodes = Ring(**more)
    nodes.fill()
    return nodes


def xor(one: bytes, other: bytes) -> bytes:
    return bytes(a ^ b for a, b in zip(one, other, strict=True))
