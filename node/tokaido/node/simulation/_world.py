"""The world of simulated nodes: time, chance, and death at every step that has a name."""

from __future__ import annotations

import heapq
import random
from collections import Counter
from functools import partial
from itertools import count
from typing import TYPE_CHECKING

from tokaido.node import core as c
from tokaido.node.simulation._applications import Applications
from tokaido.node.simulation._disks import Disks
from tokaido.node.simulation._network import Network
from tokaido.node.simulation._node import SimulatedNode
from tokaido.node.simulation._observer import BrokenRuleError, Observer
from tokaido.node.simulation._scenario import Chances, Scenario, settings_of
from tokaido.node.simulation._sources import Source, made

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from tokaido.node.store import MemoryStore


class World:
    """Nodes, and everything around them.

    Args:
        seed: All chance comes from it.
        scenario: What there is; default: two nodes with short times.
        chances: How bad it is.
        kills_each: A node dies so often, if it can, at each step that has a name; counted in `killed`.
        told_early: Names of commits that are told to be durable before they are: breaks a rule on purpose.
        believes_supplied: Whether SUPPLY counts as answered when it is sent: breaks a rule on purpose.
        observer: Who watches; default: one that raises `BrokenRuleError`.
    """

    def __init__(
        self,
        seed: int,
        *,
        scenario: Scenario | None = None,
        chances: Chances | None = None,
        kills_each: int = 0,
        told_early: Collection[str] = (),
        believes_supplied: bool = False,
        observer: Observer | None = None,
    ) -> None:
        self.seed = seed
        self.scenario = scenario or Scenario()
        self.chances = chances or Chances()
        self.kills_each = kills_each
        self.observer = observer or Observer()
        self.random = random.Random(seed)
        self.now_s = 0.0
        self.steps = 0
        """Events that cores have handled."""
        self.reached: Counter[str] = Counter()
        """How often each named step was reached."""
        self.killed: Counter[str] = Counter()
        """How often a node died at it."""
        self.alarms: list[tuple[float, str, str]] = []
        """When, at which node, and which code."""
        self.rollbacks: list[tuple[float, str, str]] = []
        """When, at which node, and of which other one."""
        self._order = count()
        self._due: list[tuple[float, int, Callable[[], None]]] = []
        self._blocks: Counter[str] = Counter()
        settings = settings_of(self.scenario)
        self.nodes = {name: SimulatedNode(settings[name], Source()) for name in settings}
        self._network = Network(self, believes_supplied=believes_supplied)
        self._disks = Disks(self, told_early)
        self._applications = Applications(self)
        for node in self.nodes.values():
            self._start(node)
        for link in self.scenario.links:
            self._make_block(link)
        self._applications.ask()

    def run(self, steps: int) -> None:
        """Let the world go on until cores have handled so many more events."""
        end = self.steps + steps
        while self.steps < end:
            self._next()

    def run_for(self, seconds: float) -> None:
        """Let the world go on for so long, in its own time."""
        end_s = self.now_s + seconds
        while self._due[0][0] <= end_s:
            self._next()

    def blame(self, rule: str, detail: str = "") -> None:
        """Note that a rule is broken, as the observer does, and in which world."""
        try:
            self.observer.blame(rule, detail)
        except BrokenRuleError as error:
            error.add_note(f"World(seed={self.seed}) after {self.steps} steps, at {self.now_s:.6f} s")
            raise

    def copy(self, node: str) -> MemoryStore:
        """Return a copy of the disk of a node."""
        return self.nodes[node].store.copy()

    def restore(self, name: str, copy: MemoryStore) -> set[str]:
        """Kill a node and give it the copy of its disk back; return the other nodes that have to notice."""
        self.observer.seen["restored"] += 1
        node = self.nodes[name]
        noticing: set[str] = set()
        for peer in node.settings.neighbours:
            told, mark = self.nodes[peer].store.neighbours.get(name), copy.neighbours.get(peer)
            if told is not None and told.told > (0 if mark is None else mark.mark):
                noticing.add(peer)
            else:
                self.observer.forgive(name, peer)
        self.kill(node)
        node.store = copy.copy()
        return noticing

    def kill(self, node: SimulatedNode) -> None:
        """Kill a node, and start it again a little later."""
        node.die()
        life = node.life
        self.later(self.random.uniform(0.01, 3.0), lambda: self._start(node) if node.life == life else None)

    def dies(self, node: SimulatedNode, step: str) -> bool:
        """Reach a step that has a name, and say whether the node dies there."""
        self.reached[step] += 1
        wanted = self.killed[step] < self.kills_each and self.random.random() < 0.2
        if not wanted and self.random.random() >= self.chances.kill:
            return False
        self.killed[step] += 1
        self.kill(node)
        return True

    def later(self, delay_s: float, act: Callable[[], None]) -> None:
        """Do something later."""
        heapq.heappush(self._due, (self.now_s + delay_s, next(self._order), act))

    def after(self, delay_s: float, node: SimulatedNode, act: Callable[[], None]) -> None:
        """Do something later, if the node still lives this life."""
        life = node.life
        self.later(delay_s, lambda: act() if node.life == life else None)

    def handle(self, node: SimulatedNode, event: c.Event) -> None:
        """Hand an event to a core, and carry out what it wants."""
        core, life = node.core, node.life
        if core is None:
            return
        self.steps += 1
        for action in core.handle(event, self.now_s):
            self._carry_out(node, event, action)
            if node.life != life:
                return
        self.observer.counted(core.status())
        self._wake(node, core)

    def _carry_out(self, node: SimulatedNode, event: c.Event, action: c.Action) -> None:
        match action:
            case c.Commit(writes=writes):
                if isinstance(event, c.EncKeys):
                    rows = [write.row for write in writes if isinstance(write, c.PutSupply)]
                    node.asked_for[event.request] = tuple(row.key_id for row in rows)
                self._disks.commit(node, action)
            case c.Send():
                self._network.send(node, action)
            case c.Answer():
                self._network.answer(node, action)
            case c.CommitDraw(draw):
                if node.source.name_of(draw) not in node.stored:
                    self.observer.blame("a block is durable before its source erases it")
                node.source.committed(draw)
                self.dies(node, "block erased at its source")
            case c.Keys() | c.Refusal():
                self._applications.answered(node, action)
            case c.Raise(code=code, of=of):
                self.alarms.append((self.now_s, node.name, code))
                if code == "STORE_ROLLBACK":
                    self.rollbacks.append((self.now_s, node.name, of))
                    self.observer.went_back(node.name, of)
            case _:
                pass

    def _next(self) -> None:
        self.now_s, _, act = heapq.heappop(self._due)
        try:
            act()
        except Exception as error:
            error.add_note(f"World(seed={self.seed}) after {self.steps} steps, at {self.now_s:.6f} s")
            raise

    def _start(self, node: SimulatedNode) -> None:
        node.start(self.now_s, self.random)
        self.handle(node, c.Started())
        for name in node.source.offered:
            self.after(self.random.random(), node, partial(self._draw, node, name))

    def _wake(self, node: SimulatedNode, core: c.NodeCore) -> None:
        wake_s = core.wake_s
        if wake_s < node.tick_at_s:
            node.tick_at_s = wake_s
            self.after(max(wake_s - self.now_s, 0.0), node, partial(self._tick, node, core, wake_s))

    def _tick(self, node: SimulatedNode, core: c.NodeCore, due_s: float) -> None:
        if node.tick_at_s != due_s:
            return
        node.tick_at_s = float("inf")
        if core.wake_s > self.now_s:
            self._wake(node, core)
            return
        life = node.life
        self.handle(node, c.Tick())
        if node.life == life and core.wake_s <= self.now_s:
            self.observer.blame("a tick does what is due", f"{core.wake_s} at {self.now_s}")

    def _make_block(self, link: str) -> None:
        """Have the units of a link make a block, and hand it to their nodes."""
        self.later(self.random.expovariate(1 / self.scenario.block_every_s), partial(self._make_block, link))
        name, *keys = made(self.random, self.scenario, self.chances, link, self._blocks[link])
        self._blocks[link] += 1
        for end, key in zip(self.scenario.links[link], keys, strict=True):
            node = self.nodes[end]
            if key is not None:
                node.source.offered[name] = key
                self.observer.drawn(node.name, name, key)
                late = self.random.random() < self.chances.late
                delay_s = self.random.uniform(0.0, 10.0) if late else self.random.expovariate(20.0)
                self.later(delay_s, partial(self._draw, node, name))
                if self.random.random() < self.chances.offered_again:
                    self.later(self.random.uniform(0.0, 20.0), partial(self._draw, node, name))

    def _draw(self, node: SimulatedNode, name: c.BlockName) -> None:
        if node.core is not None and name in node.source.offered:
            self.handle(node, node.source.draw(name))
