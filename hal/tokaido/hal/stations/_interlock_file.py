"""The table `interlocks.NAME` of a station file, and every mistake in it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from tokaido.hal.roles._switch import OpticalSwitch
from tokaido.hal.roles._units import Receiver
from tokaido.hal.stations._entries import InterlockEntry

if TYPE_CHECKING:
    from tokaido.hal._device import Device

KEYS = ("switch", "classical_inputs", "single_photon_outputs")

Mistake = Callable[[tuple[str, ...], str], None]
"""Notes what is wrong with the key at a path of the station file."""


def read_interlock(
    name: str, table: Mapping[str, Any], devices: Mapping[str, type[Device] | None], mistake: Mistake
) -> InterlockEntry:
    """Read a table `interlocks.NAME`, noting every mistake in it.

    Args:
        name: Of the table.
        table: What it holds.
        devices: The devices of the station with their drivers, None where the driver itself is a mistake.
        mistake: Where mistakes go.
    """
    path = ("interlocks", name)
    for key in table:
        if key not in KEYS:
            mistake((*path, key), f"unknown key; known are {', '.join(KEYS)}")
    for key in KEYS:
        if key not in table:
            mistake(path, f"{key} is missing; an interlock has {', '.join(KEYS)}")

    def checked(key: str, device: object, role: type) -> str:
        if not isinstance(device, str) or device not in devices:
            mistake((*path, key), f"there is no device {device!r}; the station has {', '.join(devices) or 'none'}")
            return ""
        kind = devices[device]
        if kind is not None and not issubclass(kind, role):
            mistake((*path, key), f"{device} does not fill the role {role.__name__}; name one that does")
        return device

    switch = checked("switch", table["switch"], OpticalSwitch) if "switch" in table else ""
    inputs = table.get("classical_inputs", [1])
    if not isinstance(inputs, list) or not inputs or not all(type(number) is int and number > 0 for number in inputs):
        mistake((*path, "classical_inputs"), f"must be a list of inputs, such as [1, 2], not {inputs!r}")
        inputs = []
    outputs = table.get("single_photon_outputs", {"1": None})
    if not isinstance(outputs, dict) or not outputs:
        mistake(
            (*path, "single_photon_outputs"), f'must name receivers by output, such as {{ 3 = "bob" }}, not {outputs!r}'
        )
        outputs = {}
    receivers: dict[int, str] = {}
    for number, device in outputs.items() if "single_photon_outputs" in table else ():
        if not (number.isascii() and number.isdigit() and int(number) > 0):
            mistake((*path, "single_photon_outputs"), f"{number!r} is not an output; outputs are counted from 1")
            continue
        if int(number) in receivers:
            mistake((*path, "single_photon_outputs"), f"output {int(number)} is named twice; keep one of them")
        receivers[int(number)] = checked("single_photon_outputs", device, Receiver)
    return InterlockEntry(name, switch, frozenset(inputs), receivers)
