"""What a restore will do, in its order, checked before anything is sent."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tokaido.hal import ConfigurationError, TokaidoError
from tokaido.hal.driver import encode
from tokaido.lab.settings._changes import Change
from tokaido.lab.settings._slots import Slot, slots_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from enum import Enum

    from tokaido.hal import Device
    from tokaido.hal.driver import Plain
    from tokaido.lab.settings._settings import DeviceSettings


@dataclass(frozen=True, slots=True)
class Step:
    """One setting that will be set."""

    device: Device
    change: Change
    slot: Slot
    wanted: Plain
    turn: int


def differences(name: str, slots: Mapping[str, Slot], saved: DeviceSettings) -> Iterator[Change]:
    """Yield where a device that has these settings now differs from what was saved, in the device's own order."""
    for path in (*slots, *(path for path in saved.values if path not in slots)):
        slot, wanted = slots.get(path), saved.values.get(path)
        present = slot.present if slot is not None else None
        if slot is not None and present is not None and wanted is not None and _same(slot, wanted, present):
            continue
        if present is not None or wanted is not None:
            yield Change(name, path, present, wanted, slot.unit if slot is not None else "")


def plan(devices: Mapping[Device, DeviceSettings], *, other_device: bool) -> list[Step]:
    """Return the steps that restore these settings, those that make less light first.

    Raises:
        ConfigurationError: With everything that is wrong: another device, or what a device does not take.
    """
    mistakes: list[str] = []
    steps: list[Step] = []
    for device, saved in devices.items():
        if not other_device:
            strange = _strange(device, saved)
            mistakes += strange
            if strange:
                continue
        slots = slots_of(device)
        states: dict[type[Enum], Enum] = {}
        for change in differences(device.name, slots, saved):
            if change.saved is None:
                continue
            slot = slots.get(change.path)
            if slot is None:
                mistakes.append(f"{device.name} has no setting {change.path}")
                continue
            try:
                slot.check(change.saved)
            except TokaidoError as error:
                mistakes.append(f"{device.name}, {change.path}: {error.what}")
                continue
            hindered = Change(
                change.device, change.path, change.present, change.saved, change.unit, _hindrance(device, slot, states)
            )
            steps.append(Step(device, hindered, slot, change.saved, slot.turn(change.saved)))
    if mistakes:
        raise ConfigurationError("the settings cannot be restored; nothing was sent", mistakes=tuple(mistakes))
    return sorted(steps, key=lambda step: step.turn)


def _same(slot: Slot, wanted: Plain, present: Plain) -> bool:
    try:
        return slot.same(wanted, present)
    except TokaidoError:  # what the setting does not even take
        return False


def _strange(device: Device, saved: DeviceSettings) -> list[str]:
    """Return why a device is not the one that was saved, as sentences; none if it is."""
    identity = device.identity()
    pairs = {
        "driver": (saved.driver, device.driver),
        "model": (saved.model, identity.model),
        "serial number": (saved.serial_number, identity.serial_number),
    }
    return [
        f"{device.name}: the settings are those of {what} {was}, and its {what} is {is_now}"
        for what, (was, is_now) in pairs.items()
        if was != is_now
    ]


def _hindrance(device: Device, slot: Slot, states: dict[type[Enum], Enum]) -> str:
    """Return why the state of a device does not allow a setting; empty if it does, or nothing is declared."""
    if not slot.states:
        return ""
    kind = type(next(iter(slot.states)))
    if kind not in states:
        query = next((query for query in device.queries().values() if query.kind is kind), None)
        if query is None:
            return ""
        states[kind] = device.ask(query)
    if states[kind] in slot.states:
        return ""
    allowed = ", ".join(encode(state) for state in kind if state in slot.states)
    return f"{device.name} is in {encode(states[kind])}, and it can be set in {allowed}"
