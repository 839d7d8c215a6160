"""An attack that a monitor sees begins in the middle of a block: nothing that it met is counted, at any step."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import pytest

from tokaido.emulators.optics import DetectorBlinding, TrojanHorse
from tokaido_testing.pairs import FAMILIES, Pair

if TYPE_CHECKING:
    from collections.abc import Callable

    from tokaido.emulators.optics import Conditions

    class Shot(Protocol):
        """Pulses of one step, and what they meet in each sub-channel."""

        @property
        def conditions(self) -> list[Conditions]: ...


ATTACKS: dict[str, tuple[Callable[[Pair], None], int, str]] = {
    "blinding": (lambda pair: pair.link.add_eavesdropper(DetectorBlinding()), 1, "DETECTOR_BLINDING"),
    "Trojan horse": (lambda pair: pair.link.add_eavesdropper(TrojanHorse()), 1, "TROJAN_LIGHT"),
    "seeding": (lambda pair: pair.tx.add_fault("laser_seeding"), 0, "PHOTON_NUMBER"),
    "lost power": (lambda pair: pair.tx.add_fault("laser_power_loss"), 0, "LASER_POWER"),
}
"""What begins, which unit has the monitor, and the alarm."""


class Watched:
    """A running pair, and what its pulses met while they were counted."""

    def __init__(self, family: str) -> None:
        self.pair = Pair(family)
        self.attacked = 0
        """Steps in which pulses were counted that an attack had met."""
        sessions: Any = self.pair.bench._sessions
        expose = sessions.expose

        def note(shots: list[Shot], from_ns: int, step_ns: int) -> None:
            for shot in shots:
                met = any(isinstance(c.eavesdropper, DetectorBlinding | TrojanHorse) for c in shot.conditions)
                self.attacked += met or abs(self.pair.tx.excess_light_db(0)) > 0.2
            expose(shots, from_ns, step_ns)

        sessions.expose = note
        self.pair.start()
        self.pair.until(lambda: None not in (self.pair.tx.session_id, self.pair.rx.session_id), 5, 50_000_000)

    def counts_nothing_of_the_attack(self, step_ns: int, unit: int, alarm: str) -> None:
        """Let time pass, and expect the alarm, no more blocks, and no counted pulse that the attack met."""
        blocks = self.pair.blocks
        self.pair.pass_time(max(3 * step_ns, 600_000_000) / 1e9, step_ns)
        assert self.pair.alarms[unit] == {alarm}
        assert self.attacked == 0
        assert self.pair.blocks == blocks
        assert self.pair.tx.session_id is self.pair.rx.session_id is None


@pytest.mark.parametrize(
    ("family", "attack", "step_s"),
    [
        *((family, attack, 0.2) for family in FAMILIES for attack in ATTACKS),
        *(("toshiba", attack, step_s) for attack in ("blinding", "seeding") for step_s in (0.05, 1.0)),
    ],
)
def test_of_an_attack_that_begins_in_the_middle_of_a_block_no_bit_is_accepted(
    family: str, attack: str, step_s: float
) -> None:
    watched = Watched(family)
    begin, unit, alarm = ATTACKS[attack]
    watched.pair.pass_time(0.15, 50_000_000)
    begin(watched.pair)
    watched.counts_nothing_of_the_attack(round(step_s * 1e9), unit, alarm)


@pytest.mark.parametrize("attack", [name for name in ATTACKS if name in ("blinding", "Trojan horse")])
def test_an_attack_that_begins_while_the_bench_looks_around_is_met_by_the_next_step(
    attack: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An eavesdropper holds no lock of the bench: what the monitors did not see must not meet the pulses of a step."""
    watched = Watched("toshiba")
    begin, unit, alarm = ATTACKS[attack]
    rx: Any = watched.pair.rx
    looked = rx.watch_light

    def just_after() -> None:
        looked()
        begin(watched.pair)

    with monkeypatch.context() as patched:
        patched.setattr(rx, "watch_light", just_after)
        watched.pair.pass_time(0.1)
    assert watched.attacked == 0
    assert watched.pair.exposed > 0
    watched.counts_nothing_of_the_attack(100_000_000, unit, alarm)
