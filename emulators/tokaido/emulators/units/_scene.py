"""A unit in any state at once, for who wants to try one state of one unit: its peer, key and light are imagined."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Protocol

from tokaido.emulators.units._states import ALIGNING, RUNNING_STATES, State

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tokaido.emulators.units._blocks import Blocks
    from tokaido.emulators.units._links import UnitLink
    from tokaido.emulators.units._peer import Peer
    from tokaido.emulators.units._thermal import Body


class StagedUnit(Protocol):
    """What a scene needs of the unit that is put into it."""

    ALIGNMENT: ClassVar[Mapping[str, float]]
    PSK_BYTES: ClassVar[int]
    aligned: bool
    warmed: bool
    blocks: Blocks
    peer: Peer

    @property
    def secret(self) -> Callable[[int], bytes]:
        """Where secret bytes come from."""
        ...

    def bodies(self) -> tuple[Body, ...]:
        """Everything whose temperature must settle."""
        ...

    def imagine_light(self) -> None:
        """Suppose light that suits every state."""
        ...

    def load_psk(self, key: bytes, link: UnitLink | None = None) -> None:
        """Take the pre-shared key of a link, by default of the one in force."""
        ...

    def make_safe(self) -> None:
        """Take the safe state, whatever the state."""
        ...

    def arm(self) -> None:
        """Leave the safe state."""
        ...

    def step_done(self, step: str) -> None:
        """Take over what a step of the alignment found."""
        ...

    def begin_alignment(self, state: State, goal: State) -> None:
        """Enter ALIGN or REALIGN, to go on to `goal`."""
        ...

    def enter(self, state: State) -> None:
        """Enter a state."""
        ...


def prepare(unit: StagedUnit, wanted: State) -> None:
    """Put a unit into a state, temperatures settled, with an imagined peer, key and light that suit it."""
    for body in unit.bodies():
        body.settle()
    unit.warmed = wanted not in (State.OFF, State.SELFTEST, State.WARMUP, State.ZEROIZE)
    unit.peer.imagined = True
    unit.imagine_light()
    if wanted in (*ALIGNING, State.STANDBY, *RUNNING_STATES):
        unit.load_psk(unit.secret(unit.PSK_BYTES))
    unit.make_safe()
    if wanted in (State.STANDBY, *RUNNING_STATES):
        unit.arm()
        for step in unit.ALIGNMENT:
            unit.step_done(step)
        unit.aligned = True
    if wanted in ALIGNING:
        unit.begin_alignment(wanted, State.RUN if wanted is State.REALIGN else State.STANDBY)
    else:
        unit.enter(wanted)
    if wanted in RUNNING_STATES:
        unit.blocks.imagine_session()
