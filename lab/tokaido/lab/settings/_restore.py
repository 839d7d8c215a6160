"""The restore itself: steps in their order, refusals tried again, and everything read back in the end."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tokaido.hal import InterlockError, RefusedError, StateError, TokaidoError
from tokaido.hal.driver import shown
from tokaido.lab.settings._changes import Change, RestoreError
from tokaido.lab.settings._slots import BRIGHTENING, DIMMING, slots_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tokaido.hal import Device
    from tokaido.lab.settings._plan import Step


def carry_out(steps: Sequence[Step], on_set: Callable[[Change], None] | None) -> None:
    """Take these steps, turn by turn, and read every setting back.

    Raises:
        StateError: A device is in a state that does not allow one of them; nothing was sent.
        RestoreError: One of them failed; it says what was set and what was not.
    """
    for step in steps:
        if step.change.hindrance:
            raise StateError(
                f"{step.change.path}: {step.change.hindrance}; nothing was sent",
                code="STATE",
                device=step.device.name,
                remedy="Bring it there, for example by stopping it",
            )
    done: list[Step] = []
    for turn in range(DIMMING, BRIGHTENING + 1):
        _take([step for step in steps if step.turn == turn], steps, done, on_set)
    _verify(steps)


def _take(
    pending: list[Step], steps: Sequence[Step], done: list[Step], on_set: Callable[[Change], None] | None
) -> None:
    """Take the steps of one turn. What a device refuses beside other settings of the turn is tried again after them."""
    while pending:
        again: list[Step] = []
        refusals: list[RefusedError] = []
        for step in pending:
            try:
                step.slot.set(step.wanted)
            except TokaidoError as error:
                if not isinstance(error, RefusedError) or isinstance(error, (StateError, InterlockError)):
                    raise _failed(step, steps, done, error) from error
                refusals.append(error)
                again.append(step)
                continue
            done.append(step)
            if on_set is not None:
                on_set(step.change)
        if len(again) == len(pending):
            raise _failed(again[0], steps, done, refusals[0]) from refusals[0]
        pending = again


def _failed(step: Step, steps: Sequence[Step], done: Sequence[Step], error: TokaidoError) -> RestoreError:
    left = tuple(other.change for other in steps if other not in done and other is not step)
    made = tuple(other.change for other in done)
    return RestoreError(
        f"{step.change} failed: {error.what}. Set before it: {_named(made)}. Not set: {_named(left)}",
        done=made,
        failed=step.change,
        left=left,
        device=step.device.name,
        remedy=error.remedy or "Remove the cause and restore again: settings that are in force already are left alone",
    )


def _verify(steps: Sequence[Step]) -> None:
    """Read everything back together, since one setting may have changed another."""
    made = tuple(step.change for step in steps)
    devices: dict[Device, list[Step]] = {}
    for step in steps:
        devices.setdefault(step.device, []).append(step)
    for device, of_device in devices.items():
        try:
            slots = slots_of(device)
        except TokaidoError as error:
            raise RestoreError(
                f"everything was set, and could not be read back together ({error.what})",
                done=made,
                failed=None,
                left=(),
                device=device.name,
                remedy="Compare the settings with the device again",
            ) from error
        for step in of_device:
            now = slots[step.change.path].present if step.change.path in slots else None
            if now is None or not step.slot.same(step.wanted, now):
                raise RestoreError(
                    f"{step.change} was set, and {shown(now, step.change.unit)} is in force after the others were",
                    done=tuple(change for change in made if change is not step.change),
                    failed=step.change,
                    left=(),
                    device=device.name,
                    remedy="Another setting, or another program, changed it: compare the settings with the device",
                )


def _named(changes: Sequence[Change]) -> str:
    return ", ".join(f"{change.device} {change.path}" for change in changes) or "nothing"
