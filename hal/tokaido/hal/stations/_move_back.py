"""The way back of a move that failed: everything as it was, or said device by device what is not."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tokaido.hal._errors import DeviceTimeoutError
from tokaido.hal.roles._unit_values import RUNNING, UnitState

if TYPE_CHECKING:
    from collections.abc import Callable

    from tokaido.hal.stations._move_orders import Maps, Orders
    from tokaido.hal.stations._moves import Move


class Rollback:
    """Brings units and switches back to what they were when a move began.

    Switches move only while the units are known to be dark and parted. If that cannot be reached they are left, and the
    units stay parted: dark, each waiting for the other on a link that the other is not set to.
    """

    def __init__(self, move: Move, orders: Orders) -> None:
        self._move = move
        self._orders = orders
        self.unrestored: dict[str, str] = {}
        """What could not be brought back, by device."""
        self.restarted: bool | None = None
        """Whether keys are exchanged again; None if they were not exchanged before."""
        self.why_not_restarted = ""

    def run(self) -> None:
        """Bring back what was touched. Raises nothing of the devices': see `unrestored`."""
        move = self._move
        if not move.touched:
            self.restarted = True if move.ran else None
            return
        bright = self._darken()
        if not move.switching or self._switch_back(bright):
            for unit, selection in reversed(list(zip(move.units, move.selected, strict=True))):
                _try(self.unrestored, unit.name, self._orders.select, unit, selection.peer, selection.path)
        else:
            self._stay_parted(bright)
        if move.ran:
            self._restart()

    def _darken(self) -> dict[str, str]:
        """Bring both units to their safe state, parted if they could meet; return by device why one may be bright."""
        move, orders = self._move, self._orders
        problems: dict[str, str] = {}
        for unit in move.units:  # a failure here is asked about again below
            _try({}, unit.name, orders.order, unit.apply_safe_state)
        if move.lighting:  # the receiver first: once it waits elsewhere, nobody sends the transmitter on to ALIGN
            _try(problems, move.units[1].name, move.park, orders)
            _try(problems, move.units[0].name, move.take_target, orders, 0)
        if move.switching:
            for unit in move.units:
                _try(problems, unit.name, orders.check_dark, unit)
        return problems

    def _switch_back(self, bright: dict[str, str]) -> bool:
        """Return whether all switches join what they joined before."""
        move, orders = self._move, self._orders
        failed: dict[str, str] = {}
        if bright:
            for name, before in move.joined.items():
                found: Maps = {}
                if _try(failed, name, lambda name=name, found=found: found.update({name: orders.own(name)})) and (
                    found[name] != before
                ):
                    failed[name] = (
                        f"joins {found[name]} of the link's pairs and joined {before}; it was not moved, "
                        f"since {' and '.join(bright)} may not be dark"
                    )
        else:
            failed = {name: str(error) for name, error in orders.reroute(move.joined).items()}
        self.unrestored |= failed
        return not failed

    def _stay_parted(self, bright: dict[str, str]) -> None:
        move = self._move
        for unit, before, now in zip(
            move.units, move.selected, ((move.serials[1], move.to), move.parking), strict=True
        ):
            if unit.name in bright:
                self.unrestored[unit.name] = bright[unit.name]
            elif (before.peer, before.path) != now:
                self.unrestored[unit.name] = (
                    f"stays dark, set to {now[0] or 'any unit'} over {now[1] or 'any path'}, "
                    f"since the switches are not as they were"
                )

    def _restart(self) -> None:
        move, orders = self._move, self._orders
        self.restarted = False
        if self.unrestored:
            self.why_not_restarted = "not everything is as it was"
            return
        try:
            orders.wait_for_light(move.light_timeout)
        except DeviceTimeoutError as error:
            self.why_not_restarted = f"{error}; the units align by themselves when light comes"
            return
        except Exception as error:  # noqa: BLE001 - told in words: the error of the move is the one to raise
            self.why_not_restarted = str(error)
            return
        problems: dict[str, str] = {}
        self.restarted = (
            _try(problems, "", orders.wait_for_states, frozenset({UnitState.STANDBY}), move.align_timeout)
            and all(_try(problems, "", orders.start, unit) for unit in move.units)
            and _try(problems, "", orders.wait_for_states, RUNNING, move.start_timeout)
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
