"""Kills nodes of a line at their steps, each at those at which it has died least, until all of them were killed."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Final, NamedTuple

from tokaido.hal import TokaidoError
from tokaido_testing.patience import in_time

if TYPE_CHECKING:
    from tokaido_testing.chaos_line import ChaosLine

EACH: Final = 3
"""So often each node dies at each of its steps."""
MANY: Final = 30
"""While so many die in a round two nodes at once are mortal, so that relays go on over others; then all are."""
CHANCES: Final = 1.0, 0.5, 0.2
"""Of dying at a step, of which one is drawn for each life: not always the first time that it comes."""
ROUND_S: Final = 15.0
"""How long nodes are killed until all are left alive, and share keys again."""
FEW: Final = 12
"""In a round with fewer deaths what is left is rare, and needs a situation that brings it about."""
TRIES: Final = 4
"""So often a situation is brought about for a node, one time after the other."""
ENDS_S: Final = 10.0
"""How long a node may take to end in order."""

Place = tuple[str, str]
"""Node and step."""


class Situation(NamedTuple):
    """What brings rare steps about."""

    name: str
    words: tuple[str, ...]
    """Each of its steps has one of these in its name."""
    bring: Callable[[Killer, str], None]
    """Brings it about for a node that lacks such a step."""

    def has(self, step: str) -> bool:
        """Whether it brings a step about."""
        return any(word in step for word in self.words)


class Killer:
    """Chooses who dies where, and counts.

    Args:
        line: Its nodes and applications live.
        draws: Where chance comes from.
        steps: Those of each node.
    """

    def __init__(self, line: ChaosLine, draws: random.Random, steps: Mapping[str, frozenset[str]]) -> None:
        self.line, self.draws, self.steps = line, draws, steps
        self.died: Counter[Place] = Counter()
        self.unnamed = 0
        """Nodes that were killed at no step, but whenever it was."""
        self.back_s: list[float] = []
        """How long it took until applications shared keys again."""
        self._in_round = MANY
        self._begun_s = time.monotonic()
        self._mortal: dict[str, tuple[str, ...]] = {}

    # --- what is left to do -------------------------------------------------------------------------------------------

    def lacking(self, node: str, words: tuple[str, ...] = ("",)) -> list[str]:
        """Return the steps of a node at which it has not died often enough, those that have one of these words."""
        steps = self.steps[node]
        return [step for step in steps if self.died[node, step] < EACH and any(word in step for word in words)]

    def unexpected(self) -> list[Place]:
        """Return what nodes passed that is none of their steps."""
        return [(node, step) for node in self.line.nodes for step in self.line.steps(node) - self.steps[node]]

    @property
    def least(self) -> int:
        """How often, at least, each node died at each of its steps."""
        return min(self.died[node, step] for node, steps in self.steps.items() for step in steps)

    # --- lives --------------------------------------------------------------------------------------------------------

    def doom(self, node: str, words: tuple[str, ...] = ("",)) -> None:
        """Start a node that dies at a step that it lacks, of those that have one of these words; kill it first."""
        if node in self.line.pids:
            self.line.kill(node)
            self.unnamed += 1
        lacking = self.lacking(node, words)
        self._mortal[node] = words
        chance = self.draws.choice(CHANCES if words == ("",) else CHANCES[:2])
        self.line.start(node, doom={"steps": lacking, "chance": chance, "draws": self.draws.getrandbits(32)})

    def is_mortal(self, node: str) -> bool:
        """Whether a node lives that is to die."""
        self.watch(0.0)
        return node in self._mortal

    def reap(self) -> list[str]:
        """Note who died at which step, and return them."""
        dead = [node for node in self._mortal if not self.line.alive(node)]
        for node in dead:
            del self._mortal[node]
            status = self.line.reap(node)
            assert status in {0, -9}, self.line.log(node)  # 0: it was told to end in order
            if status:
                self.died[node, self.line.last_step(node)] += 1
        return dead

    def watch(self, seconds: float, *, again: bool = False) -> None:
        """Wait for mortal nodes to die; start them again, to live or, with `again`, to die of the same words."""
        end_s = time.monotonic() + seconds
        while True:
            words = dict(self._mortal)
            for node in self.reap():
                if again and self.lacking(node, words[node]):
                    self.doom(node, words[node])
                else:
                    self.line.start(node)
            if not self._mortal or time.monotonic() > end_s:
                return
            time.sleep(0.005)

    def spare(self) -> None:
        """Let those live that are to die, and did not."""
        self.watch(0.0)
        for node in self._mortal:
            self.line.kill(node)
            self.unnamed += 1
            self.line.start(node)
        self._mortal.clear()
        for node in self.line.nodes:
            self.line.wait_ready(node)

    def all_live(self) -> None:
        """Let all nodes live until applications share keys again."""
        self.watch(0.0)
        self.unnamed += len(self.line.pids)
        self._mortal.clear()
        self.back_s.append(self.line.come_back(within_s=60))

    def round(self) -> int:
        """Kill nodes again and again for a while, and return how many died at steps."""
        died = self.died.total()
        nodes = sorted(self.line.nodes, key=lambda node: len(self.lacking(node)) * self.draws.random(), reverse=True)
        for node in nodes[: 2 if self._in_round >= MANY else None]:
            if self.lacking(node):
                self.doom(node)
        self.watch(ROUND_S, again=True)
        self.all_live()
        self._in_round = self.died.total() - died
        return self._in_round

    # --- all of it ----------------------------------------------------------------------------------------------------

    def kill_all(self, situations: tuple[Situation, ...], within_s: float) -> None:
        """Kill nodes until each died often enough at each of its steps.

        Raises:
            AssertionError: A step does not come, or not in time.
        """
        while self.least < EACH:
            while self.round() >= FEW and self.least < EACH:
                self.tell()
            for situation in situations:
                lacking = [node for node in self.line.nodes * TRIES if self.lacking(node, situation.words)]
                for node in lacking:
                    if self.lacking(node, situation.words):
                        situation.bring(self, node)
                        self.spare()
                if lacking:
                    self.all_live()
                    self.tell(situation.name)
            left = {node: sorted(self.lacking(node)) for node in self.line.nodes}
            assert in_time(self._begun_s, within_s), left

    def conclusion(self) -> str:
        """Return what came of it, in three lines."""
        line, places = self.line, sum(map(len, self.steps.values()))
        back_s = sorted(self.back_s)
        return (
            f"{self.died.total()} kills at {places} steps of {len(line.nodes)} nodes, at least {self.least} at each, "
            f"and {self.unnamed} at moments of no name;\n"
            f"{line.deliveries.shared} keys at both ends, each the same; {len(line.relays())} pads, none twice;\n"
            f"back after {back_s[len(back_s) // 2]:.2f} s (median), {back_s[-1]:.2f} s at most"
        )

    def tell(self, after: str = "a round") -> None:
        """Say how far it is."""
        left = sum(max(EACH - self.died[node, step], 0) for node, steps in self.steps.items() for step in steps)
        print(
            f"{time.monotonic() - self._begun_s:.0f} s, {self.died.total()} kills, {left} to go, "
            f"{self.line.deliveries.shared} keys at both ends (after {after})",
            flush=True,
        )


# --- situations -------------------------------------------------------------------------------------------------------


def _ended_in_order(killer: Killer, node: str) -> None:
    killer.doom(node, ("Drain",))
    killer.line.wait_ready(node)
    killer.line.terminate(node)
    killer.watch(ENDS_S)


def _maintained(killer: Killer, node: str) -> None:
    killer.doom(node, ("RelayingSet",))
    killer.line.wait_ready(node)
    with suppress(TokaidoError):  # it died before it answered
        for on in (False, True):
            killer.line.control(node).set_relaying(on=on)
    killer.watch(1.0)


def _read_again(killer: Killer, node: str) -> None:
    killer.doom(node, ("Reconfigured",))
    killer.line.wait_ready(node)
    while killer.is_mortal(node):
        killer.line.hang_up(node)
        killer.watch(0.2)


def _failing_disk(killer: Killer, node: str) -> None:
    words = ("CommitFailed", "Raise", "Clear", "Refusal")
    killer.doom(node, words)
    killer.line.wait_ready(node)
    for _ in range(3):
        if killer.is_mortal(node):
            killer.line.fail_store(node)
            killer.watch(1.0)


def _left_alone(killer: Killer, node: str) -> None:
    """Have keys in stock, so that an application is given some that leaves."""
    line, words = killer.line, ("ndelivered",)
    line.resting.set()
    for _ in range(EACH * len(killer.lacking(node, words))):
        if not killer.lacking(node, words):
            break
        killer.doom(node, words)
        line.wait_ready(node)
        killer.watch(1.0)
        for _ in range(4):
            if killer.is_mortal(node):
                line.ask_and_leave(node)
                killer.watch(0.3)
    line.resting.clear()


def _put_back(killer: Killer, node: str) -> None:
    """Have all others be told of changes that the copy lacks: each start says how far a store is."""
    line = killer.line
    line.kill(node)
    line.copy_store(node)
    line.start(node)
    line.wait_for_shared(10, within_s=60)
    line.kill(node)
    line.start(node)
    line.wait_for_shared(4, within_s=60)
    time.sleep(1.0)
    line.kill(node)
    line.restore_store(node)
    for end in line.ends:
        killer.doom(end, ("rollback",))
    if node not in line.pids:
        line.start(node)
    killer.watch(6.0, again=True)


def _other_key(killer: Killer, node: str) -> None:
    line = killer.line
    before = line.new_confirm_key(node)
    for end in line.ends:
        killer.doom(end, (" confirm",))
    killer.watch(6.0, again=True)
    line.set_confirm_key(node, before)


def _sooner_old(killer: Killer, node: str) -> None:
    """Have one end burn keys sooner than the other: that which lacks such steps, or else the other one."""
    line = killer.line
    (other,) = set(line.ends) - {node}
    young, old = (node, other) if killer.lacking(node, (" age",)) else (other, node)
    line.set_batch_age(young, 1.0)
    killer.doom(young, (" age",))
    killer.doom(old, ("not held",))
    line.resting.set()  # so that keys in stock get old
    killer.watch(4.0, again=True)
    line.resting.clear()
    killer.watch(3.0, again=True)
    line.set_batch_age(young)


def _odd_blocks(killer: Killer, node: str) -> None:
    killer.line.set_odd_blocks(ODD_NOW)
    killer.doom(node, ODD_WORDS)
    killer.watch(6.0, again=True)
    killer.line.set_odd_blocks(None)


def _starting_again(killer: Killer, node: str) -> None:
    """Have relays come to nothing on their way, or at the end of it."""
    line = killer.line
    killer.doom(node, GONE_WORDS)
    for _ in range(8):
        other = killer.draws.choice([one for one in (*line.ends, line.beside(node)) if one != node])
        line.kill(other)
        killer.unnamed += 1
        line.start(other)
        line.wait_ready(other)
        killer.watch(1.0, again=True)


def _maintained_beside(killer: Killer, node: str) -> None:
    """Have a neighbour refuse relays for which it granted leases."""
    line, words = killer.line, ("burned refused",)
    other = line.beside(node)
    killer.doom(node, words)
    for on in (False, True) * 4:
        with suppress(TokaidoError):  # it does not answer in time
            line.control(other).set_relaying(on=on)
        killer.watch(1.0, again=True)


ODD_NOW: Final = 6
"""One block of so many is of each odd kind, while it lasts."""
ODD_WORDS: Final = ("mismatch", "discarded dead", "too short", "LeaveDraw", "barrier", "Raise", "Clear")
GONE_WORDS: Final = ("LEASE given back", "burned lost")
SITUATIONS: Final = (
    Situation("a node that is ended in order", ("Drain",), _ended_in_order),
    Situation("a node that is told to relay no more", ("RelayingSet",), _maintained),
    Situation("a node that reads its file again", ("Reconfigured",), _read_again),
    Situation("a store that fails", ("CommitFailed", "Raise", "Clear", "Refusal"), _failing_disk),
    Situation("an application that leaves", ("ndelivered",), _left_alone),
    Situation("a store that is put back", ("rollback",), _put_back),
    Situation("blocks that are not as they should be", ODD_WORDS, _odd_blocks),
    Situation("others that start again", GONE_WORDS, _starting_again),
    Situation("a neighbour that is told to relay no more", ("burned refused",), _maintained_beside),
    Situation("another end-to-end key", (" confirm",), _other_key),
    Situation("ends that keep keys in stock for different times", (" age", "not held"), _sooner_old),
)
