"""Many worlds, one after the other: the long form of the chaos tests."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from tokaido.node.simulation._scenario import Chances
from tokaido.node.simulation._world import World

if TYPE_CHECKING:
    from collections.abc import Callable

    from tokaido.node.simulation._scenario import Scenario

NOTICE_S = 60.0
"""How long both ends have, in simulated time, to notice that a store went back."""


@dataclass(slots=True)
class Tally:
    """What happened in a campaign in which no rule was broken."""

    worlds: int = 0
    steps: int = 0
    """Events that cores handled."""
    seconds: float = 0.0
    """Simulated time."""
    seen: Counter[str] = field(default_factory=Counter)
    """What the observers saw: relays, keys given, and so on."""
    reached: Counter[str] = field(default_factory=Counter)
    """How often each named step was reached."""
    killed: Counter[str] = field(default_factory=Counter)
    """How often a node died at it."""
    noticed: int = 0
    """How many restored copies both ends noticed: all that they have to."""


def restore_one(world: World, steps: int) -> bool:
    """Restore a copy of one node's disk that is so many steps old; return whether it had to be noticed.

    Raises:
        BrokenRuleError: It was not noticed at both ends, or a rule was broken.
    """
    name = world.random.choice(list(world.nodes))
    copy = world.copy(name)
    world.run(steps)
    since_s = world.now_s
    noticing = world.restore(name, copy)
    wanted = {frozenset((name, peer)): {name, peer} for peer in noticing}
    while any(wanted.values()):
        if world.now_s > since_s + NOTICE_S:
            lacking = [f"{sorted(pair)}: {sorted(nodes)}" for pair, nodes in wanted.items() if nodes]
            world.blame("both ends notice that a store went back", f"{name} was restored; not noticed: {lacking}")
            break
        world.run_for(1.0)
        for time_s, node, of in world.rollbacks:
            if time_s >= since_s and frozenset((node, of)) in wanted:
                wanted[frozenset((node, of))].discard(node)
    return bool(noticing)


def campaign(
    seed: int,
    steps: int,
    *,
    scenario: Scenario | None = None,
    chances: Chances | None = None,
    kill: float = 0.001,
    kills_each: int = 0,
    steps_each: int = 10_000,
    tell: Callable[[Tally], None] | None = None,
) -> Tally:
    """Run worlds, of seeds that follow each other, until their cores have handled so many events.

    Each has weather, deaths at steps that have a name, and a node that is restored from a copy once.

    Args:
        seed: Of the first world.
        steps: How many events cores handle, in all worlds together.
        scenario: What there is in a world; default: two nodes with short times.
        chances: How bad it is, but for deaths.
        kill: Chance that a node dies at a named step.
        kills_each: How often a node dies at each named step, in all worlds together, if it can.
        steps_each: Events in one world.
        tell: Is told after each world.

    Raises:
        BrokenRuleError: A rule was broken; a note says in which world.
    """
    tally = Tally()
    while tally.steps < steps:
        world = World(seed, scenario=scenario, chances=replace(chances or Chances(), kill=kill), kills_each=kills_each)
        world.killed.update(tally.killed)
        end = min(steps_each, steps - tally.steps)
        world.run(end // 2)
        tally.noticed += restore_one(world, world.random.choice([50, 300, 1000]))
        world.run(max(end - world.steps, 0))
        tally.worlds, tally.steps, tally.seconds = (
            tally.worlds + 1,
            tally.steps + world.steps,
            tally.seconds + world.now_s,
        )
        tally.seen.update(world.observer.seen)
        tally.reached.update(world.reached)
        tally.killed = world.killed
        seed += 1
        if tell is not None:
            tell(tally)
    return tally
