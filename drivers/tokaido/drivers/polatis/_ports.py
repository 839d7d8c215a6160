"""How the switch counts and lists its ports, and what it says of them: docs/protocols/polatis.md, sections 2 and 3."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from tokaido.hal import NoDataError, ProtocolError, RangeError, Side, SwitchPort, SwitchSize
from tokaido.hal.driver import decode, whole_in
from tokaido.hal.wire.scpi import decode_channels, encode_channels

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_TWO_LISTS = re.compile(r"\s*(\([^()]*\))\s*,\s*(\([^()]*\))\s*")


def number_of(port: SwitchPort, size: SwitchSize) -> int:
    """Return the number that the switch knows a port by: outputs follow the inputs.

    Raises:
        RangeError: There is no such port.
    """
    last = size.inputs if port.side is Side.INPUT else size.outputs
    if not 1 <= port.number <= last:
        raise RangeError(f"there is no port {port}", remedy=f"That side has 1 to {last}; nothing was sent")
    return port.number if port.side is Side.INPUT else size.inputs + port.number


def port_of(number: int, size: SwitchSize) -> SwitchPort:
    """Return the port that the switch knows by a number.

    Raises:
        ProtocolError: There is none.
    """
    if not 1 <= number <= size.inputs + size.outputs:
        raise ProtocolError(f"port {number} of 1 to {size.inputs + size.outputs}")
    return SwitchPort(Side.INPUT, number) if number <= size.inputs else SwitchPort(Side.OUTPUT, number - size.inputs)


def all_ports(size: SwitchSize) -> list[SwitchPort]:
    """Return every port, in the order of the switch."""
    return [port_of(number, size) for number in range(1, size.inputs + size.outputs + 1)]


def encode_ports(ports: Iterable[SwitchPort], size: SwitchSize) -> str:
    """Return a list of ports: `(@1,2,25)`."""
    return encode_channels(number_of(port, size) for port in ports)


def encode_pairs(pairs: Mapping[int, int], size: SwitchSize) -> str:
    """Return a map as two lists of equal length: `(@1,2),(@25,26)`."""
    inputs = (SwitchPort(Side.INPUT, number) for number in pairs)
    outputs = (SwitchPort(Side.OUTPUT, number) for number in pairs.values())
    return f"{encode_ports(inputs, size)},{encode_ports(outputs, size)}"


def decode_pairs(text: str, size: SwitchSize) -> dict[int, int]:
    """Return the map that two lists describe.

    Raises:
        ProtocolError: They describe none.
    """
    lists = _TWO_LISTS.fullmatch(text)
    if lists is None:
        raise ProtocolError(f"not two lists of ports: {text[:60]!r}")
    sources = [port_of(number, size) for number in decode_channels(lists[1])]
    targets = [port_of(number, size) for number in decode_channels(lists[2])]
    if len(sources) != len(targets) or len(set(sources)) != len(sources) or len(set(targets)) != len(targets):
        raise ProtocolError(f"two lists that pair nothing: {text[:60]!r}")
    if {port.side for port in sources} - {Side.INPUT} or {port.side for port in targets} - {Side.OUTPUT}:
        raise ProtocolError(f"a pair that is not an input and an output: {text[:60]!r}")
    return {source.number: target.number for source, target in zip(sources, targets, strict=True)}


def decode_fields(text: str, count: int) -> list[str]:
    """Return the fields of `(D,E,F)`.

    Raises:
        ProtocolError: There are not `count` of them.
    """
    fields = [field.strip() for field in text.strip().removeprefix("(").removesuffix(")").split(",")]
    if len(fields) != count or not all(fields):
        raise ProtocolError(f"{count} values were to come: {text[:60]!r}")
    return fields


def decode_powers(text: str, count: int) -> list[float | str]:
    """Return the powers in dBm of `(-12.3,-60.0)`; why there is none for a port whose field holds none.

    Raises:
        ProtocolError: There are not `count` of them.
    """
    powers: list[float | str] = []
    for field in decode_fields(text, count):
        try:
            powers.append(decode(float, field, "power"))
        except (ProtocolError, NoDataError) as error:
            powers.append(error.what)
    return powers


def decode_peer(text: str, size: SwitchSize) -> SwitchPort | None:
    """Return the port that `"18"` names; a free port is `""` or `"0"`.

    Raises:
        ProtocolError: There is no such port.
        ValueError: It is not a number.
    """
    number = whole_in(text.strip('" ') or "0")
    return port_of(number, size) if number else None
