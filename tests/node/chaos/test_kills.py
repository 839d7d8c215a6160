"""Nodes are killed at every named step, and their applications never notice more than a refusal."""

from __future__ import annotations

import random
import shutil
import time
from collections import Counter
from pathlib import Path

import pytest

from tokaido_testing.chaos_line import LONG, NODES, ChaosLine, killed_while_connecting, seed

KILLS = 200 if LONG else 50
KILLS_A_ROUND = 10
"""After so many both nodes are left alive until they share keys again."""
LIVES_S = 0.8
"""After so long a node is killed that has not come to its step."""
NO_NAME = "at a moment of no name"
TOLD_S = 7.0
"""Longer than it takes until a node has told its neighbour how far its store is."""


@killed_while_connecting
@pytest.mark.thorough
@pytest.mark.timeout(3600)
def test_kills_at_every_step_reuse_no_pad_and_deliver_equal_keys(tmp_path: Path) -> None:
    draws = random.Random(seed())
    died: Counter[str] = Counter()
    back_s: list[float] = []
    with ChaosLine(tmp_path) as pair:
        for node in NODES:
            pair.start(node)
        for node in NODES:
            pair.wait_ready(node)
        pair.start_applications(draws.getrandbits(32))
        pair.wait_for_shared(50, within_s=30)
        tried: Counter[str] = Counter()
        lives: dict[str, tuple[str, float]] = {}

        def live(node: str) -> None:
            known = steps(pair)
            fewest = min(died[step] + tried[step] for step in known)
            step = draws.choice([name for name in known if died[name] + tried[name] == fewest])
            tried[step] += 1
            pair.start(node, step=step, occurrence=draws.choice((1, 1, 2, 5)))
            lives[node] = step, time.monotonic()

        while died.total() < KILLS or (LONG and unsaid(pair, died, tried)):
            back_s.append(pair.come_back())
            told = died.total()
            for node in NODES:
                pair.kill(node)
                live(node)
            while died.total() < told + KILLS_A_ROUND:
                time.sleep(0.005)
                for node, (step, begun) in tuple(lives.items()):
                    if not pair.alive(node):
                        assert pair.reap(node) == -9, pair.log(node)
                        died[step] += 1
                    elif time.monotonic() - begun > LIVES_S:
                        pair.kill(node)
                        died[NO_NAME] += 1
                    else:
                        continue
                    live(node)
            print(f"{died.total()} kills, {len(died)} steps, {pair.deliveries.shared} keys at both ends", flush=True)
        pair.come_back()
        pair.check()
        assert [pair.end(node) for node in NODES] == [0, 0]
    print(
        f"{died.total()} kills, {died[NO_NAME]} of them at no named step, the rest at {len(died) - 1}; "
        f"{pair.deliveries.shared} keys at both ends"
    )
    rare = {step: died[step] for step in steps(pair) if died[step] < 3}
    print(f"steps at which less than three died, that often: {rare or 'none'}; {len(pair.relays())} pads, none twice")
    print(f"back after {sorted(back_s)[len(back_s) // 2]:.2f} s (median), {max(back_s):.2f} s at most")


def steps(pair: ChaosLine) -> list[str]:
    """Return the named steps that a node has passed, whichever it was."""
    return sorted({step for node in pair.nodes for step in pair.steps(node)})


def unsaid(pair: ChaosLine, died: Counter[str], tried: Counter[str]) -> list[str]:
    """Return the steps at which nodes have died less than three times, though they could have."""
    return [step for step in steps(pair) if died[step] < 3 and tried[step] < 10]


@killed_while_connecting
@pytest.mark.thorough
@pytest.mark.timeout(300)
@pytest.mark.parametrize("restored", [1, 2])
def test_one_store_that_is_restored_reuses_nothing_and_two_of_them_do(tmp_path: Path, restored: int) -> None:
    draws = random.Random(seed())
    with ChaosLine(tmp_path) as pair:
        for node in NODES:
            pair.start(node)
        pair.start_applications(draws.getrandbits(32))
        pair.wait_for_shared(30, within_s=30)
        assert [pair.end(node) for node in NODES] == [0, 0]
        copies = {node: copy_of(tmp_path, node) for node in NODES}
        for node in NODES:
            pair.start(node)
        begun = time.monotonic()
        pair.wait_for_shared(60, within_s=30)
        while (
            time.monotonic() - begun < TOLD_S
        ):  # a store that goes back by less is not noticed: docs/protocols/node.md
            time.sleep(0.1)
        assert [pair.end(node) for node in NODES] == [0, 0]
        back = NODES[:restored]
        for node in back:
            for file in tmp_path.glob(f"{node}.sqlite*"):
                file.unlink()
            for file in copies[node].iterdir():
                shutil.copy(file, tmp_path / file.name)
        for node in NODES:
            pair.start(node)
        pair.wait_for_shared(40, within_s=30)
        for node in NODES:
            pair.kill(node)
        if restored == 1:
            pair.check()
            for node in NODES:
                assert "STORE_ROLLBACK" in (tmp_path / f"log-{node}").read_text()
        else:
            assert pair.reused(), "the observer is blind"


def copy_of(folder: Path, node: str) -> Path:
    copy = folder / f"copy-{node}"
    copy.mkdir()
    for file in folder.glob(f"{node}.sqlite*"):
        shutil.copy(file, copy / file.name)
    return copy
