"""The table `interlocks.NAME` of a station file, and every mistake in it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tokaido.hal.roles._amplifier import OpticalAmplifier
from tokaido.hal.roles._switch import OpticalSwitch
from tokaido.hal.roles._units import Receiver
from tokaido.hal.stations._entries import AmplifierInterlockEntry, AnyInterlockEntry, InterlockEntry

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tokaido.hal._device import Device
    from tokaido.hal.tables import Mistakes

KEYS = ("switch", "classical_inputs", "single_photon_outputs")
AMPLIFIER_KEYS = ("amplifier", "receivers")


def device_named(
    where: tuple[str, ...],
    device: object,
    role: type,
    devices: Mapping[str, type[Device] | None],
    mistakes: Mistakes,
) -> str:
    """Return the name of a device of the station, noting if there is none of that name or it has another role."""
    if not isinstance(device, str) or device not in devices:
        mistakes.note(where, f"there is no device {device!r}; the station has {', '.join(devices) or 'none'}")
        return ""
    kind = devices[device]
    if kind is not None and not issubclass(kind, role):
        mistakes.note(where, f"{device} does not fill the role {role.__name__}; name one that does")
    return device


def read_interlock(
    name: str, table: Mapping[str, Any], devices: Mapping[str, type[Device] | None], mistakes: Mistakes
) -> AnyInterlockEntry:
    """Read a table `interlocks.NAME` of a switch or of an amplifier, noting every mistake in it.

    Args:
        name: Of the table.
        table: What it holds.
        devices: The devices of the station with their drivers, None where the driver itself is a mistake.
        mistakes: Where mistakes go.
    """
    path = ("interlocks", name)
    if "amplifier" in table and "switch" not in table:
        return _read_amplifier_interlock(name, table, devices, mistakes)
    mistakes.only(path, table, KEYS)
    for key in KEYS:
        if key not in table:
            mistakes.note(
                path,
                f"{key} is missing; an interlock has {', '.join(KEYS)}, or {' and '.join(AMPLIFIER_KEYS)}",
            )

    def checked(key: str, device: object, role: type) -> str:
        return device_named((*path, key), device, role, devices, mistakes)

    switch = checked("switch", table["switch"], OpticalSwitch) if "switch" in table else ""
    inputs = table.get("classical_inputs", [1])
    if not isinstance(inputs, list) or not inputs or not all(type(number) is int and number > 0 for number in inputs):
        mistakes.note((*path, "classical_inputs"), f"must be a list of inputs, such as [1, 2], not {inputs!r}")
        inputs = []
    outputs = table.get("single_photon_outputs", {"1": None})
    if not isinstance(outputs, dict) or not outputs:
        mistakes.note(
            (*path, "single_photon_outputs"), f'must name receivers by output, such as {{ 3 = "bob" }}, not {outputs!r}'
        )
        outputs = {}
    receivers: dict[int, str] = {}
    for number, device in outputs.items() if "single_photon_outputs" in table else ():
        if not (number.isascii() and number.isdigit() and int(number) > 0):
            mistakes.note((*path, "single_photon_outputs"), f"{number!r} is not an output; outputs are counted from 1")
            continue
        if int(number) in receivers:
            mistakes.note((*path, "single_photon_outputs"), f"output {int(number)} is named twice; keep one of them")
        receivers[int(number)] = checked("single_photon_outputs", device, Receiver)
    return InterlockEntry(name, switch, frozenset(inputs), receivers)


def _read_amplifier_interlock(
    name: str, table: Mapping[str, Any], devices: Mapping[str, type[Device] | None], mistakes: Mistakes
) -> AmplifierInterlockEntry:
    path = ("interlocks", name)
    mistakes.only(path, table, AMPLIFIER_KEYS)
    amplifier = device_named((*path, "amplifier"), table["amplifier"], OpticalAmplifier, devices, mistakes)
    receivers = table.get("receivers")
    if not isinstance(receivers, list) or not receivers:
        mistakes.note((*path, "receivers"), f'must list those that its light may reach, as ["bob"], not {receivers!r}')
        receivers = []
    found = [device_named((*path, "receivers"), device, Receiver, devices, mistakes) for device in receivers]
    return AmplifierInterlockEntry(name, amplifier, tuple(dict.fromkeys(found)))
