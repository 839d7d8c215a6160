"""The way back of a move that failed: everything as it was, or said device by device what is not."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tokaido.hal._errors import DeviceTimeoutError
from tokaido.hal.roles._unit_values import RUNNING, UnitState

if TYPE_CHECKING:
    from collections.abc import Callable

    from tokaido.hal.stations._moves import Ends, Move


class Rollback:
    """Brings units and switches back to what they were when a move began.

    Switches move only while the units are known to be dark and parted. If that cannot be reached they are left, and the
    units stay parted: dark, each waiting for the other on a link that the other is not set to.
    """

    def __init__(self, move: Move, ends: Ends) -> None:
        self._move = move
        self._ends = ends
        self.unrestored: dict[str, str] = {}
        """What could not be brought back, by device."""
        self.restarted: bool | None = None
        """Whether keys are exchanged again; None if they were not exchanged before."""
        self.why_not_restarted = ""

    def run(self) -> None:
        """Bring back what was touched. Raises nothing of the devices': see `unrestored`."""
        move = self._move
        if not move.touched:
            self.restarted = True if self._ends.ran else None
            return
        bright = self._darken()
        if not move.switching or self._switch_back(bright):
            for end in reversed(tuple(self._ends)):
                _try(self.unrestored, end.unit.name, end.restore_selection)
        else:
            self._stay_parted(bright)
        if self._ends.ran:
            self._restart()

    def _darken(self) -> dict[str, str]:
        """Bring both units to their safe state, parted if they could meet; return by device why one may be bright."""
        move, ends = self._move, self._ends
        problems: dict[str, str] = {}
        for end in ends:  # a failure here is asked about again below
            _try({}, end.unit.name, end.orders.make_safe)
        if move.lighting:  # the receiver first: once it waits elsewhere, nobody sends the transmitter on to ALIGN
            _try(problems, ends.receiver.unit.name, ends.park)
            _try(problems, ends.transmitter.unit.name, ends.take_target, ends.transmitter)
        if move.switching:
            for end in ends:
                _try(problems, end.unit.name, end.orders.check_dark)
        return problems

    def _switch_back(self, bright: dict[str, str]) -> bool:
        """Return whether all switches join what they joined before."""
        if bright:
            failed: dict[str, str] = {}
            for end in self._ends:
                failed |= end.unlike_before(f"it was not moved, since {' and '.join(bright)} may not be dark")
        else:
            errors = self._ends.reroute(*(end.joined for end in self._ends))
            failed = {name: str(error) for name, error in errors.items()}
        self.unrestored |= failed
        return not failed

    def _stay_parted(self, bright: dict[str, str]) -> None:
        for end in self._ends:
            before, now = end.selected, end.wanted
            if end.unit.name in bright:
                self.unrestored[end.unit.name] = bright[end.unit.name]
            elif (before.peer, before.path) != now:
                self.unrestored[end.unit.name] = (
                    f"stays dark, set to {now[0] or 'any unit'} over {now[1] or 'any path'}, "
                    f"since the switches are not as they were"
                )

    def _restart(self) -> None:
        move, ends = self._move, self._ends
        self.restarted = False
        if self.unrestored:
            self.why_not_restarted = "not everything is as it was"
            return
        try:
            ends.wait_for_light(move.light_timeout)
        except DeviceTimeoutError as error:
            self.why_not_restarted = f"{error}; the units align by themselves when light comes"
            return
        except Exception as error:  # noqa: BLE001 - told in words: the error of the move is the one to raise
            self.why_not_restarted = str(error)
            return
        problems: dict[str, str] = {}
        self.restarted = (
            _try(problems, "", ends.wait_for_states, frozenset({UnitState.STANDBY}), move.align_timeout)
            and all(_try(problems, "", end.orders.start) for end in ends)
            and _try(problems, "", ends.wait_for_states, RUNNING, move.start_timeout)
        )
        self.why_not_restarted = problems.get("", "")


def _try(problems: dict[str, str], name: str, act: Callable[..., object], *arguments: object) -> bool:
    """Do one thing, whatever becomes of the others; note under `name` why it failed."""
    try:
        act(*arguments)
    except Exception as error:  # noqa: BLE001 - one device's failure must not leave the others as they are
        problems[name] = str(error)
        return False
    return True
