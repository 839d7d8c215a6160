"""The DiCon 1xN module: docs/protocols/dicon.md."""

from __future__ import annotations

import re
from contextlib import suppress
from typing import TYPE_CHECKING, ClassVar

import tokaido.hal as hal
from tokaido.hal.driver import Codec, LineDevice, SilentCodec, query, whole_in

if TYPE_CHECKING:
    from collections.abc import Mapping

PARKED = 0
ORDER = re.compile("I1 ([0-9]{1,4})")
"""What joins the common port to a channel."""
CHANNELS = re.compile("[0-9]{1,4}")
"""A number of channels that is believed; the largest module has 100 or so."""


class Selector(hal.OpticalSwitch, LineDevice):
    """A DiCon 1xN module on its serial line: input 1, the common port, and outputs 1 to N, its channels."""

    resource_kinds: ClassVar[Mapping[str, frozenset[str]]] = {"control": frozenset({"serial", "visa"})}
    serial_line: ClassVar[Mapping[str, str]] = {"baudrate": "115200"}
    protocol: ClassVar[str] = "DiCon 1xN"
    settle_timeout: float = 3.0
    capabilities = frozenset({hal.SwitchCapability.DISCONNECT})

    channel = query(int, "I1")
    """Get the channel that the common port is joined to; 0 is parked."""

    def identity(self) -> hal.Identity:
        """Get the text of `ID?` as the model; serial number and firmware stand in it somewhere, or do not."""
        return hal.Identity(vendor="DiCon", model=self._read("ID?", _name), serial_number="", firmware="")

    def size(self) -> hal.SwitchSize:
        """Get 1 input and the number of channels, as `CF?` said at the last opening."""
        if not self._channels:
            self._control.open()
        return hal.SwitchSize(1, self._channels)

    def connections(self) -> dict[int, int]:
        """Get {1: channel}, or nothing if parked."""
        return self._read("I1?", self._map)

    def _add(self, pairs: Mapping[int, int]) -> None:
        self._replace(pairs)

    def _remove(self, pairs: Mapping[int, int]) -> None:  # noqa: ARG002 - there is one at most
        self._replace({})

    def _replace(self, pairs: Mapping[int, int]) -> None:
        with suppress(hal.OutcomeUnknownError):  # the map that is read back decides
            self._command(f"I1 {pairs[1]}" if pairs else "PK")

    def joins(self, text: str) -> Mapping[int, int] | None:
        """Return the pair of `I1 <channel>`, and none for `PK`."""
        ordered = ORDER.fullmatch(text)
        if ordered:
            return {1: int(ordered[1])} if int(ordered[1]) != PARKED else {}
        return {} if text == "PK" else None

    def _map(self, text: str) -> dict[int, int]:
        channel = whole_in(text)
        if not PARKED <= channel <= self._channels:
            raise hal.ProtocolError(f"channel {channel} of 1 to {self._channels}")
        return {1: channel} if channel != PARKED else {}

    # --- opening ------------------------------------------------------------------------------------------------------

    _channels = 0

    def _codec(self) -> Codec:
        return SilentCodec("I1?", str.isdecimal, command_end="\r")

    def _is_box(self, found: hal.Identity, serial_number: str) -> bool:
        return serial_number in found.model.replace(",", " ").split()

    def _learn(self, found: hal.Identity) -> None:
        text = self._query("CF?")
        _, comma, channels = text.partition(",")
        if not comma or not CHANNELS.fullmatch(channels.strip()) or int(channels) < 1:
            raise hal.WrongDeviceError(
                f"{found.model[:60]!r} answers {text[:60]!r} to CF?, which no DiCon 1xN module does",
                device=self.name,
                remedy="Check the cabling and the resource",
            )
        if self._channels not in (0, int(channels)):
            raise hal.WrongDeviceError(f"had {self._channels} channels and has {int(channels)}", device=self.name)
        self._channels = int(channels)


def _name(text: str) -> str:
    """Return who the box says it is; a bare number is the late answer to another question, an error is not a name."""
    if re.match(r"\W*(?:err(?:or)?\b|(?:unknown|invalid|bad)\b|$)", text, re.IGNORECASE):
        raise hal.DeviceError(f"the module says {text[:60]!r}", code=text[:60], command="ID?")
    if text.isdigit():
        raise ValueError(f"a name was asked for, and {text} came")
    return text
