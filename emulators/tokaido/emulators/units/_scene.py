"""A unit in any state at once, for who wants to try one state of one unit: its peer, key and light are imagined."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tokaido.emulators.units._states import ALIGNING, RUNNING_STATES, State

if TYPE_CHECKING:
    from tokaido.emulators.units._unit import UnitModel


def prepare(unit: UnitModel, wanted: State) -> None:
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
