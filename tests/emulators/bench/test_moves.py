"""Light that follows the switch: what running links make of it, stepped by hand."""

from __future__ import annotations

import random
from collections import defaultdict
from typing import TYPE_CHECKING

import pytest

from tokaido.emulators.bench import LightPath
from tokaido.emulators.bench._lighting import Lighting
from tokaido.emulators.bench._quantum_path import QuantumPath
from tokaido_testing.bench import ALIGNING_NS, LOSS_DB, Yard

if TYPE_CHECKING:
    from tokaido.emulators.units import Session

STRAIGHT = {1: 1, 2: 2}
CROSSED = {1: 2, 2: 1}


@pytest.fixture
def yard() -> Yard:
    return Yard().run()


def test_two_links_over_two_switches_make_keys_of_their_own(yard: Yard) -> None:
    yard.until(lambda: all(unit.store.waiting for unit in yard.units.values()), 5)
    keys = {name: yard.draw(name) for name in yard.units}
    assert keys["alice"] == keys["bob"]
    assert keys["carol"] == keys["dave"]
    assert not set(keys["alice"].values()) & set(keys["carol"].values())


def test_the_loss_of_the_path_is_what_the_receiver_measures(yard: Yard) -> None:
    path = yard.bench.path("alice", "bob")
    assert path is not None
    assert [hop.element for hop in path.hops if hop.element != "join"] == ["west", "A", "east"]
    told = [yard.switches[where].light_path(1) for where in ("west", "east")]
    assert path.loss_db == pytest.approx(LOSS_DB + sum(loss for _, loss in filter(None, told)) + 4 * 0.3)
    assert float(yard.receivers["bob"].reading("channel_loss").value) == pytest.approx(path.loss_db, abs=0.1)
    assert float(yard.receivers["bob"].reading("clock_power").value) == pytest.approx(-1 - path.loss_db, abs=0.1)


def test_a_move_to_another_fibre_ends_the_session_and_makes_the_link_align_anew(yard: Yard) -> None:
    first = yard.units["alice"].session_id
    yard.switch("west", CROSSED)
    yard.switch("east", CROSSED)
    yard.pass_time(0.1)
    assert yard.states["bob"] == yard.states["dave"] == "REALIGN"
    assert yard.units["bob"].session_id is None
    yard.pass_time(0.5)
    assert yard.units["alice"].session_id is None
    yard.until(lambda: yard.units["alice"].session_id is not None, 60, ALIGNING_NS)
    assert yard.units["alice"].session_id != first
    path = yard.bench.path("alice", "bob")
    assert path is not None
    assert path.id == "B"
    yard.until(lambda: yard.units["bob"].store.waiting > 0, 5)
    assert yard.draw("alice") == yard.draw("bob")


def test_a_move_to_nowhere_darkens_the_link_and_leaves_the_other_alone(yard: Yard) -> None:
    yard.pass_time(0.1)
    sessions = {name: unit.session_id for name, unit in yard.units.items()}
    yard.switch("west", {2: 2})
    yard.pass_time(1.2)
    assert yard.bench.path("alice", "bob") is None
    assert "LOS" in yard.alarms("bob")
    assert yard.receivers["bob"].incoming is None
    assert yard.units["dave"].session_id == yard.units["carol"].session_id == sessions["carol"]
    assert yard.alarms("dave") == set()
    yard.switch("west", STRAIGHT)
    yard.until(lambda: yard.states["bob"] == "RUN", 5)
    assert yard.units["bob"].session_id == sessions["bob"]


def test_light_of_the_wrong_transmitter_never_gets_through_delay(yard: Yard) -> None:
    yard.switch("east", CROSSED)
    yard.pass_time(40, ALIGNING_NS)
    for name in ("bob", "dave"):
        assert yard.states[name] == "REALIGN"
        assert yard.units[name].step == "DELAY"
        assert yard.units[name].session_id is None
    assert yard.receivers["bob"].incoming is not None
    assert yard.receivers["bob"].incoming.source == "TKTX0002"


def test_a_receiver_without_a_key_for_its_transmitter_has_no_session() -> None:
    yard = Yard()
    yard.units["bob"].links.erase()
    yard.switch("west", STRAIGHT)
    yard.switch("east", STRAIGHT)
    yard.pass_time(90, ALIGNING_NS)
    assert (yard.states["alice"], yard.states["bob"]) == ("AUTH", "AUTH")
    assert yard.states["carol"] == yard.states["dave"] == "STANDBY"
    assert yard.units["alice"].session_id is yard.units["bob"].session_id is None


def test_a_switch_that_was_elsewhere_between_two_looks_makes_the_clock_slip(yard: Yard) -> None:
    """Two messages that come within one step: bob's light was dave's for a moment."""
    switch = yard.switches["east"]
    shared = yard.bench._by_hand[1]
    assert shared.model is switch
    session = yard.units["bob"].session_id
    for pairs in (CROSSED, STRAIGHT):
        yard.switch("east", pairs)
        switch.advance(switch.now_ns + 30_000_000)
        shared.catch_up()
    assert yard.bench.path("alice", "bob") is not None
    yard.bench.step(50_000_000)
    assert yard.states["bob"] == "REALIGN"
    assert yard.units["bob"].session_id != session


def test_a_path_that_was_never_followed_is_anyhow_until_the_receiver_aligns() -> None:
    yard = Yard()
    seen: list[tuple[bool, float]] = []
    yard.switch("west", STRAIGHT)
    yard.switch("east", STRAIGHT)
    yard.until(lambda: yard.receivers["bob"].incoming is not None, 10)
    assert yard.states["bob"] == "ALIGN"
    path = yard.bench._receivers["bob"].path
    assert isinstance(path, QuantumPath)
    seen.append((path.numbered, abs(path.drift.delay_offset_ps)))
    yard.until(lambda: yard.states["bob"] == "STANDBY", 60, ALIGNING_NS)
    seen.append((path.numbered, abs(path.drift.delay_offset_ps)))
    yard.switch("west", CROSSED)
    yard.switch("east", CROSSED)
    yard.pass_time(0.2)
    yard.switch("west", STRAIGHT)
    yard.switch("east", STRAIGHT)
    yard.pass_time(0.2)
    assert yard.bench._receivers["bob"].path is path
    seen.append((path.numbered, abs(path.drift.delay_offset_ps)))
    assert [numbered for numbered, _ in seen] == [False, True, False]
    assert seen[0][1] > 100 > seen[1][1]
    assert seen[2][1] > 100


# --- random moves ------------------------------------------------------------------------------------------------


class Witness:
    """Notes over which fibres the exposures of each session really went, whatever the bench says."""

    def __init__(self, yard: Yard) -> None:
        self._yard = yard
        self._sessions: dict[str, Session] = {}
        self._paths: dict[str, set[str]] = defaultdict(set)
        self.exposures = 0
        yard.bench.on_exposure = self._note

    def _note(self, token: str, _path: str, _pulses: int) -> None:
        for name, unit in self._yard.transmitters.items():
            session = unit.blocks.session
            if session is not None and session.token == token:
                self._sessions[token] = session
                self._paths[token].add("+".join(self._yard.bench.trace(name).fibres))
                self.exposures += 1

    @property
    def paths(self) -> dict[str, set[str]]:
        """The fibres of each session, by the id that its keys are named by."""
        return {self._sessions[token].id or token: found for token, found in self._paths.items()}


def move_about(yard: Yard, moves: int, seed: int) -> tuple[Witness, dict[str, dict[tuple[str, int], str]]]:
    """Move the switches at random under running links, and return what was exposed and every key that came out."""
    chance = random.Random(seed)
    witness = Witness(yard)
    keys: dict[str, dict[tuple[str, int], str]] = {name: {} for name in yard.units}
    maps = [STRAIGHT, CROSSED, {1: 1}, {2: 2}, {1: 2}, {2: 1}]
    for _ in range(moves):
        both = chance.choice(maps[:2]) if chance.random() < 0.6 else None
        for where in ("west", "east"):
            yard.switch(where, both or chance.choice(maps))
        for _ in range(chance.randrange(1, 4)):
            yard.bench.step(chance.randrange(1_000_000, 60_000_000))
        if both and chance.random() < 0.7:  # long enough to align, and for a block or two
            for _ in range(100):
                if all(unit.session_id for unit in yard.units.values()):
                    break
                yard.bench.step(ALIGNING_NS)
            yard.pass_time(chance.uniform(0.25, 0.5), 50_000_000)
        for name in yard.units:
            keys[name] |= yard.draw(name)
    return witness, keys


def spanning(witness: Witness, keys: dict[str, dict[tuple[str, int], str]]) -> set[str]:
    """Return the sessions with accepted blocks whose pulses came over more than one path."""
    accepted = {session for found in keys.values() for session, _ in found}
    assert accepted <= witness.paths.keys()
    return {session for session in accepted if len(witness.paths[session]) != 1}


@pytest.mark.timeout(120)
@pytest.mark.parametrize("moves", [14, pytest.param(100, marks=pytest.mark.thorough)])
def test_no_block_spans_two_paths_and_no_key_is_one_sided_under_random_moves(yard: Yard, moves: int) -> None:
    witness, keys = move_about(yard, moves, seed=1)
    assert spanning(witness, keys) == set()
    assert keys["alice"] == keys["bob"]
    assert keys["carol"] == keys["dave"]
    assert not set(keys["alice"].values()) & set(keys["carol"].values())
    assert "SECURITY_HOLD" not in yard.states.values()
    assert witness.exposures > 3 * moves
    assert {path for found in witness.paths.values() for path in found} == {"A", "B"}
    assert min(len(found) for found in keys.values()) > 0.15 * moves
    assert min(len({session for session, _ in found}) for found in keys.values()) > 0.05 * moves


@pytest.mark.timeout(120)
def test_the_test_above_goes_red_without_the_slip_rule(monkeypatch: pytest.MonkeyPatch) -> None:
    """A bench that takes all paths for one: the clock never slips, and sessions go on over another fibre."""
    monkeypatch.setattr(LightPath, "id", property(lambda _: "A"))
    monkeypatch.setattr(Lighting, "slip", lambda *_: None)
    yard = Yard().run()
    assert spanning(*move_about(yard, 6, seed=1))


def test_the_same_seed_makes_the_same_keys_whatever_moves() -> None:
    stories = [move_about(Yard(seed=9).run(), 2, seed=10)[1] for _ in range(2)]
    assert stories[0] == stories[1]
    assert stories[0]["bob"]
