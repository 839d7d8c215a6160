"""One simulated node: a core, its store, and what is on its way between them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tokaido.node.core import NodeCore
from tokaido.node.store import MemoryStore

if TYPE_CHECKING:
    import random

    from tokaido.node.core import BlockName, Commit, CoreSettings
    from tokaido.node.simulation._sources import Source


class SimulatedNode:
    """A node that may die at any time; its store stays."""

    def __init__(self, settings: CoreSettings, source: Source) -> None:
        self.settings = settings
        self.name = settings.node
        self.source = source
        self.store = MemoryStore()
        self.core: NodeCore | None = None
        self.life = 0
        """Which life it is in: nothing that was on its way in an earlier one arrives."""
        self.commits: list[Commit] = []
        self.turn_due = False
        """Whether the store is about to carry commits out."""
        self.tick_at_s = float("inf")
        self.stored: set[BlockName] = set()
        """Blocks that were ever durable here."""
        self.known: set[bytes] = set()
        """Supplies of the other node that were ever durable here."""
        self.asked_for: dict[int, tuple[bytes, ...]] = {}
        """Ids of the keys that an open request is about."""

    def start(self, now_s: float, random_: random.Random) -> None:
        """Start a core from what the store has."""
        self.store.age_s = now_s
        self.core = NodeCore(self.settings, self.store.snapshot(), random_.randbytes(16), entropy=random_.randbytes)

    def die(self) -> None:
        """Lose all that is not durable."""
        self.life += 1
        self.core = None
        self.commits.clear()
        self.asked_for.clear()
        self.turn_due = False
        self.tick_at_s = float("inf")
