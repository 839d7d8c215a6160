"""Interlocks between devices: no classical light onto a single-photon receiver that is not shuttered."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tokaido.hal._errors import ConfigurationError, InterlockError, TokaidoError

if TYPE_CHECKING:
    from tokaido.hal._device import Device
    from tokaido.hal._roles import Receiver
    from tokaido.hal._switch import OpticalSwitch

logger = logging.getLogger("tokaido.hal.interlock")

KEYS = ("switch", "classical_inputs", "single_photon_outputs")

Mistake = Callable[[tuple[str, ...], str], None]
"""Notes what is wrong with the key at a path of the station file."""
Reach = Callable[[str], AbstractContextManager["Receiver"]]
"""Gives a receiver of the station by name, for as long as its shutter is read."""


@dataclass(frozen=True, slots=True)
class LightInterlock:
    """No classical power onto a single-photon port: declared once, enforced where the command is given."""

    name: str
    classical_inputs: frozenset[int]
    """Inputs that may carry classical light."""
    shuttered: Mapping[int, Callable[[], bool]]
    """For each output that leads to a single-photon receiver, whether that receiver is shuttered now. One that raises a
    `TokaidoError` cannot tell, which counts as not shuttered."""

    def check(self, switch: str, pairs: Mapping[int, int], force: str) -> None:
        """Let these pairs of `switch` pass, or pass them for the reason `force`, which is logged.

        Raises:
            InterlockError: One of them would bring classical light onto a single-photon receiver.
        """
        for source, target in pairs.items():
            is_shuttered = self.shuttered.get(target)
            if source not in self.classical_inputs or is_shuttered is None:
                continue
            why = "that is not shuttered"
            try:
                if is_shuttered():
                    continue
            except TokaidoError as error:
                why = f"whose shutter cannot be read and so counts as open ({error})"
            what = (
                f"input {source} may carry classical light and output {target} leads to a single-photon receiver {why}"
            )
            if not force.strip():
                raise InterlockError(
                    f"interlock {self.name}: {what}; nothing was sent",
                    device=switch,
                    remedy="Close the receiver's shutter, or force it with a reason",
                )
            logger.warning("%s: interlock %s FORCED (%s): %s", switch, self.name, force, what)


@dataclass(frozen=True, slots=True)
class InterlockEntry:
    """A table `interlocks.NAME` of a station file."""

    name: str
    switch: str
    """The switch of this station that it binds."""
    classical_inputs: frozenset[int]
    """Inputs that may carry classical light."""
    receivers: Mapping[int, str]
    """The receiver of this station that each single-photon output leads to."""

    def bind(self, switch: OpticalSwitch, reach: Reach) -> None:
        """Let `switch` enforce it from now on.

        Raises:
            ConfigurationError: The switch has no such ports, so that the file protects nothing.
        """
        size = switch.size()
        mistakes = [
            f"interlocks.{self.name}.classical_inputs: there is no input {number}; it has 1 to {size.inputs}"
            for number in sorted(self.classical_inputs)
            if number > size.inputs
        ]
        mistakes += [
            f"interlocks.{self.name}.single_photon_outputs: there is no output {number}; it has 1 to {size.outputs}"
            for number in sorted(self.receivers)
            if number > size.outputs
        ]
        if mistakes:
            raise ConfigurationError(f"an interlock does not fit {switch.name}", mistakes=tuple(mistakes))
        shuttered = {output: _shutter_of(name, reach) for output, name in self.receivers.items()}
        switch.add_interlock(LightInterlock(self.name, self.classical_inputs, shuttered))


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
    from tokaido.hal._roles import Receiver  # noqa: PLC0415 - not needed without interlocks
    from tokaido.hal._switch import OpticalSwitch  # noqa: PLC0415 - which needs this module

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
            mistake((*path, key), f"{device} is no {role.__name__}; name one that is")
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
            mistake((*path, "single_photon_outputs"), f"{number!r} is no output; outputs are counted from 1")
            continue
        if int(number) in receivers:
            mistake((*path, "single_photon_outputs"), f"output {int(number)} is named twice; keep one of them")
        receivers[int(number)] = checked("single_photon_outputs", device, Receiver)
    return InterlockEntry(name, switch, frozenset(inputs), receivers)


def _shutter_of(name: str, reach: Reach) -> Callable[[], bool]:
    from tokaido.hal._roles import Shutter  # noqa: PLC0415 - not needed without interlocks

    def is_shuttered() -> bool:
        with reach(name) as receiver:
            return receiver.shutter is Shutter.CLOSED

    return is_shuttered
