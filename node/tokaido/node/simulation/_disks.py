"""The disks of simulated nodes: commits become durable a little later, several at once, in their order."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from tokaido.hal import KeyMaterial
from tokaido.node.core import Commit, Committed, PutBatch, PutBlock, PutSupply
from tokaido.node.simulation import _steps
from tokaido.node.store import StoreError

if TYPE_CHECKING:
    from collections.abc import Collection

    from tokaido.node.core import Write
    from tokaido.node.simulation._node import SimulatedNode
    from tokaido.node.simulation._world import World

RATE: float = 200.0
"""Transactions a second, on average."""
UNTRUE_S: float = 2.0
"""How long at most a commit is not durable that was told to be."""


class Disks:
    """Carries commits out."""

    def __init__(self, world: World, told_early: Collection[str]) -> None:
        self._world = world
        self._told_early = frozenset(told_early)

    def commit(self, node: SimulatedNode, commit: Commit) -> None:
        """Take a commit, to be carried out soon."""
        world = self._world
        name = _steps.of_commit(commit)
        early = name in self._told_early
        node.commits.append(_with_own_keys(commit) if early else commit)
        if early:
            (loaded,) = node.store.copy().commit([commit])
            world.after(0.0, node, partial(self._tell, node, commit, loaded))
        if not world.dies(node, f"before commit: {name}") and not node.turn_due:
            node.turn_due = True
            delay_s = world.random.uniform(0.0, UNTRUE_S) if early else world.random.expovariate(RATE)
            world.after(delay_s, node, partial(self._turn, node))

    def _turn(self, node: SimulatedNode) -> None:
        """Carry out some commits in one transaction, and tell the core of each."""
        world = self._world
        node.turn_due = False
        chosen = node.commits[: world.random.randint(1, len(node.commits))]
        del node.commits[: len(chosen)]
        node.store.age_s = world.now_s
        try:
            loaded = node.store.commit(chosen)
        except StoreError as error:
            world.observer.blame("a core asks its store for what is there", str(error))
            world.kill(node)
            return
        for write in (write for commit in chosen for write in commit.writes):
            if isinstance(write, PutBlock):
                node.stored.add(write.block.name)
            elif isinstance(write, PutSupply) and not write.row.started_here:
                node.known.add(write.row.key_id)
        world.observer.stored(node.name, node.store)
        if any(world.dies(node, f"after commit: {_steps.of_commit(commit)}") for commit in chosen):
            return
        for commit, keys in zip(chosen, loaded, strict=True):
            if _steps.of_commit(commit) not in self._told_early:
                world.after(0.0, node, partial(self._tell, node, commit, keys))
        if node.commits:
            node.turn_due = True
            world.after(world.random.expovariate(RATE), node, partial(self._turn, node))

    def _tell(self, node: SimulatedNode, commit: Commit, keys: tuple[KeyMaterial, ...]) -> None:
        world, life = self._world, node.life
        world.handle(node, Committed(commit.token, keys))
        if node.life == life:
            world.dies(node, f"commit told: {_steps.of_commit(commit)}")


def _with_own_keys(commit: Commit) -> Commit:
    """Return the same commit with copies of its keys, which the core wipes as soon as it is told."""
    writes: list[Write] = []
    for write in commit.writes:
        match write:
            case PutBlock(block, key):
                writes.append(PutBlock(block, KeyMaterial(key.reveal())))
            case PutBatch(batch, cells):
                writes.append(PutBatch(batch, KeyMaterial(cells.reveal())))
            case PutSupply(row, key) if key is not None:
                writes.append(PutSupply(row, KeyMaterial(key.reveal())))
            case _:
                writes.append(write)
    return replace(commit, writes=tuple(writes))
