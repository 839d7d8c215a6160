"""Nodes of a line are killed at every named step of theirs: whatever is relayed over them stays right."""

from __future__ import annotations

import random
import time
from collections import Counter
from pathlib import Path

import pytest

from tokaido_testing.chaos_line import LONG, ChaosLine, killed_while_connecting, seed

LINE = ("nagoya", "maibara", "kyoto", "osaka")
KILLS = 400 if LONG else 16
KILLS_A_ROUND = 12
"""After so many all nodes are left alive until applications share keys again."""
AT_ONCE = 2
"""Of so many nodes each is to die at a step; the others live, so that relays go on."""
LIVES_S = 1.5
"""After so long a node is killed that has not come to its step."""
TRIES = 5
"""So often a node is told to die at a step, at most."""
NO_NAME = "at a moment of no name"

Place = tuple[str, str]
"""Node and step."""


class Killer:
    """Chooses who dies where, and counts."""

    def __init__(self, line: ChaosLine, draws: random.Random) -> None:
        self.line, self.draws = line, draws
        self.died: Counter[Place] = Counter()
        self.tried: Counter[Place] = Counter()
        self.lives: dict[str, tuple[str, float]] = {}

    def known(self, node: str) -> list[Place]:
        return [(node, step) for step in self.line.steps(node)]

    def doom(self, node: str) -> None:
        """Start a node that is to die at a step of its own, one at which it has died least."""
        known = self.known(node)
        fewest = min(self.died[place] + self.tried[place] for place in known)
        place = self.draws.choice([one for one in known if self.died[one] + self.tried[one] == fewest])
        self.tried[place] += 1
        self.line.start(node, step=place[1], occurrence=self.draws.choice((1, 1, 2, 5)))
        self.lives[node] = place[1], time.monotonic()

    def reap(self) -> None:
        """Start what died again, to live, and doom another node for each."""
        for node, (step, begun) in tuple(self.lives.items()):
            if not self.line.alive(node):
                assert self.line.reap(node) == -9, self.line.log(node)
                self.died[node, step] += 1
            elif time.monotonic() - begun > LIVES_S:
                self.line.kill(node)
                self.died[node, NO_NAME] += 1
            else:
                continue
            del self.lives[node]
            self.line.start(node)
            self.doom_another()

    def doom_another(self) -> None:
        node = self.draws.choice([one for one in self.line.nodes if one not in self.lives])
        self.line.kill(node)
        self.doom(node)

    def unsaid(self) -> list[Place]:
        """Return where nodes have died less than three times, though they could have."""
        places = [place for node in self.line.nodes for place in self.known(node)]
        return [place for place in places if self.died[place] < 3 and self.tried[place] < TRIES]


@killed_while_connecting
@pytest.mark.thorough
@pytest.mark.timeout(3600)
def test_kills_at_every_step_of_every_node_of_a_line(tmp_path: Path) -> None:
    draws = random.Random(seed())
    with ChaosLine(tmp_path, LINE) as line:
        for node in LINE:
            line.start(node)
        for node in LINE:
            line.wait_ready(node)
        line.start_applications(draws.getrandbits(32))
        line.wait_for_shared(20, within_s=60)
        killer, back_s = Killer(line, draws), []
        died = killer.died
        while died.total() < KILLS or (LONG and killer.unsaid()):
            told = died.total()
            killer.lives.clear()
            for _ in range(AT_ONCE):
                killer.doom_another()
            while died.total() < told + KILLS_A_ROUND:
                time.sleep(0.005)
                killer.reap()
            back_s.append(line.come_back(within_s=60))
            print(f"{died.total()} kills at {len(died)} steps, {line.deliveries.shared} keys at both ends", flush=True)
        line.check()
        assert [line.end(node) for node in LINE] == [0] * len(LINE)
    unnamed = sum(count for (_, step), count in died.items() if step == NO_NAME)
    places = [place for node in LINE for place in killer.known(node)]
    print(f"{died.total()} kills, {unnamed} of them at no named step; {line.deliveries.shared} keys at both ends")
    rare = {" ".join(place): died[place] for place in places if died[place] < 3}
    print(f"{len(places)} steps of {len(LINE)} nodes; less than three died, that often, at: {rare or 'none'}")
    print(f"{len(line.relays())} pads, none twice; back after {sorted(back_s)[len(back_s) // 2]:.2f} s (median)")
