"""Applications of simulated nodes: they ask for keys, leave, ask twice, and ask for those of others."""

from __future__ import annotations

from functools import partial
from itertools import count
from typing import TYPE_CHECKING

from tokaido.node.core import Abandoned, DecKeys, EncKeys, Keys, Reason, Refusal, Undelivered

if TYPE_CHECKING:
    from tokaido.node.core import SuppliedKey
    from tokaido.node.simulation._node import SimulatedNode
    from tokaido.node.simulation._world import World

TRIES: int = 5
"""How often a slave asks again after it was told to."""


class Applications:
    """All applications."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._numbers = count(1)
        self._open: dict[tuple[str, int, int], EncKeys | DecKeys] = {}
        self._tries: dict[int, int] = {}

    def ask(self) -> None:
        """Have some application ask for keys, and again later."""
        world = self._world
        world.later(world.random.expovariate(1 / world.scenario.request_every_s), self.ask)
        ends = list(world.random.choice(world.scenario.sharing))
        world.random.shuffle(ends)
        node, other = world.nodes[ends[0]], ends[1]
        slaves = world.random.choice([(f"{other}-1",), (f"{other}-2",), (f"{other}-1", f"{other}-2")])
        master = f"{node.name}-{world.random.randint(1, 2)}"
        size = world.random.choice([256, 256, 256, 128, 512, 264, 1000])
        routes = 2 if world.random.random() < world.scenario.two_routes else 1
        number = world.random.randint(1, 3)
        self._ask(node, EncKeys(next(self._numbers), master, slaves, number, size, routes=routes))

    def answered(self, node: SimulatedNode, answer: Keys | Refusal) -> None:
        """Take what an application is told."""
        world = self._world
        asked = self._open.pop((node.name, node.life, answer.request), None)
        if asked is None:
            world.observer.blame("a request is answered once", repr(answer.request))
            return
        if isinstance(answer, Refusal):
            world.observer.seen[f"{type(asked).__name__} {answer.reason.value}"] += 1
            if answer.cut_nodes:
                world.observer.seen[f"cut nodes: {', '.join(answer.cut_nodes)}"] += 1
            if isinstance(asked, EncKeys):
                self._refused(asked, node.asked_for.pop(answer.request, ()))
            elif answer.reason is Reason.STARTING and self._tries.pop(asked.request, 0) < TRIES:
                again = DecKeys(next(self._numbers), asked.slave, asked.master, asked.key_ids)
                self._tries[again.request] = self._tries.get(asked.request, 0) + 1
                world.later(1.0, partial(self._ask, node, again))
            return
        if isinstance(asked, EncKeys):
            node.asked_for.pop(answer.request, None)
            routes = max(asked.routes, world.scenario.routes)
            world.observer.master_got(asked.master, self._node_of(asked.slaves[0]).known, answer.keys, routes)
            if not world.dies(node, "keys given to a master"):
                self._tell_slaves(asked, answer.keys)
        else:
            world.observer.slave_got(node.name, node.store, asked.slave, answer.keys)
            world.dies(node, "keys given to a slave")
        if node.core is not None and world.random.random() < world.chances.undelivered:
            undelivered = Undelivered(answer.request, tuple(key.key_id for key in answer.keys))
            world.after(0.0, node, partial(world.handle, node, undelivered))
        for key in answer.keys:
            key.key.wipe()

    def _ask(self, node: SimulatedNode, event: EncKeys | DecKeys) -> None:
        world = self._world
        if node.core is None:
            return
        self._open[node.name, node.life, event.request] = event
        if world.random.random() < world.chances.left:
            world.after(world.random.expovariate(100.0), node, partial(world.handle, node, Abandoned(event.request)))
        world.handle(node, event)

    def _tell_slaves(self, asked: EncKeys, keys: tuple[SuppliedKey, ...]) -> None:
        """Tell the slaves the ids, and others who should not have them, too."""
        world, other = self._world, self._node_of(asked.slaves[0])
        ids = tuple(key.key_id for key in keys)
        for slave in asked.slaves:
            if world.random.random() < 0.95:
                self._fetch_later(other, slave, asked.master, ids)
        if world.random.random() < world.chances.intruder:
            slave = f"{other.name}-{world.random.randint(1, 2)}"
            self._fetch_later(other, slave, asked.master, ids[:1])

    def _refused(self, asked: EncKeys, ids: tuple[bytes, ...]) -> None:
        """See an application refused; a slave that heard of the ids all the same may try."""
        self._world.observer.refused(ids)
        if ids and self._world.random.random() < self._world.chances.intruder:
            self._fetch_later(self._node_of(asked.slaves[0]), asked.slaves[0], asked.master, ids)

    def _node_of(self, application: str) -> SimulatedNode:
        return self._world.nodes[self._world.scenario.applications[application]]

    def _fetch_later(self, node: SimulatedNode, slave: str, master: str, ids: tuple[bytes, ...]) -> None:
        late = self._world.random.random() < 0.1
        delay_s = self._world.random.uniform(0.0, 25.0) if late else self._world.random.expovariate(10.0)
        self._world.later(delay_s, partial(self._ask, node, DecKeys(next(self._numbers), slave, master, ids)))
