"""The Thorlabs OSW12-E and OSW22-E: docs/protocols/thorlabs.md."""

from __future__ import annotations

import re
from contextlib import suppress
from os import urandom
from typing import TYPE_CHECKING, ClassVar, Final

import tokaido.hal as hal
from tokaido.hal.driver import Codec, LineDevice, SilentCodec, measured, query, whole_in

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

MAPS: Final[dict[str, dict[int, dict[int, int]]]] = {
    "OSW12": {1: {1: 1}, 2: {1: 2}},
    "OSW22": {1: {1: 1, 2: 2}, 2: {1: 2, 2: 1}},
}
"""The map in each state."""
ERROR: Final = r"(?:command )?error\b\s*(?P<code>[0-9]+)?"
"""How the switch tells an error: `Error nn,text`."""
FIRMWARE: Final = re.compile(r"(\S.*?)[\s,]+((?:V|FW)?\s*[0-9]+(?:\.[0-9]+)+)", re.IGNORECASE)


class OswSwitch(hal.OpticalSwitch, LineDevice):
    """A Thorlabs OSW12-E or OSW22-E on its serial line. It has two maps; `replace` goes from one to the other."""

    resource_kinds: ClassVar[Mapping[str, frozenset[str]]] = {"control": frozenset({"serial", "visa"})}
    serial_line: ClassVar[Mapping[str, str]] = {"baudrate": "115200", "rtscts": "1"}
    protocol: ClassVar[str] = "Thorlabs OSW-E"
    settle_timeout: float = 3.0
    assumed_model: ClassVar[str] = ""
    """OSW12 or OSW22, for a box whose `I?` names neither."""

    state = query(int, "S")
    """Get the state, 1 or 2. The first answer after a change may be stale."""
    board_type = measured(str, "T")
    """Get the type code of the board."""

    def identity(self) -> hal.Identity:
        """Get model and firmware. The box tells no serial number."""
        text = self._read("I?", _name)
        found = FIRMWARE.fullmatch(text)
        model, firmware = (found[1], found[2]) if found else (text, "")
        return hal.Identity(vendor="Thorlabs", model=model, serial_number="", firmware=firmware)

    def size(self) -> hal.SwitchSize:
        """Get the size that goes with the model."""
        pairs = self._maps()[1]
        return hal.SwitchSize(len(pairs), 2)

    def connections(self) -> dict[int, int]:
        """Get the map of the state."""
        maps = self._maps()
        return dict(self._read("S?", lambda text: maps[whole_in(text)]))

    def _add(self, pairs: Mapping[int, int]) -> None:  # noqa: ARG002 - every input has an output: none is ever free
        raise self._lacks(hal.SwitchCapability.DISCONNECT)

    def _remove(self, pairs: Mapping[int, int]) -> None:  # noqa: ARG002 - as above
        raise self._lacks(hal.SwitchCapability.DISCONNECT)

    def _replace(self, pairs: Mapping[int, int]) -> None:
        maps = self._maps()
        for state, wanted in maps.items():
            if wanted == pairs:
                with suppress(hal.OutcomeUnknownError):  # the map that is read back decides
                    self._command(f"S {state}")
                return
        raise hal.UnsupportedError(
            f"this switch has no map {dict(pairs)}",
            device=self.name,
            remedy=f"It has {maps[1]} and {maps[2]}; nothing was sent",
        )

    def joins(self, text: str) -> Mapping[int, int] | None:
        """Return the map of the state that `S <state>` orders."""
        ordered = re.fullmatch("S ([12])", text)
        return self._maps()[int(ordered[1])] if ordered else None

    # --- opening ------------------------------------------------------------------------------------------------------

    _model = ""

    def __init__(
        self,
        resources: Mapping[str, hal.Resource],
        *,
        name: str = "",
        serial_number: str = "",
        timeout_s: float = 1.0,
        clock: hal.Clock = hal.SYSTEM_CLOCK,
        nonces: Callable[[int], bytes] = urandom,
    ) -> None:
        if serial_number:
            raise hal.ConfigurationError(
                f"{name}: a Thorlabs OSW tells no serial number, so {serial_number!r} could not be checked",
                remedy="Leave serial_number out, and name the port by it: serial:/dev/serial/by-id/...",
            )
        super().__init__(resources, name=name, timeout_s=timeout_s, clock=clock, nonces=nonces)

    def _codec(self) -> Codec:
        return SilentCodec("S?", str.isdecimal, command_end="\n", complaint=ERROR)

    def _learn(self, found: hal.Identity) -> None:
        named = re.search("OSW[12]2", found.model.upper())
        model = named[0] if named else self.assumed_model
        if model not in MAPS:
            raise hal.WrongDeviceError(
                f"the answer to I? is {found.model[:60]!r}, which names neither OSW12 nor OSW22",
                device=self.name,
                remedy='Check the cabling; if it is one, say which: OswSwitch.assumed_model = "OSW12"',
            )
        self._model = model

    def _maps(self) -> dict[int, dict[int, int]]:
        if not self._model:
            self._control.open()
        return MAPS[self._model]


def _name(text: str) -> str:
    """Return who the box says it is; a bare number is the late answer to another question."""
    if text.isdigit():
        raise ValueError(f"a name was asked for, and {text} came")
    return text
