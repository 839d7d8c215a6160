"""The key channel, TQK1: JSON headers behind an id of eight bytes. docs/protocols/toshiba.md, sections 8 to 11."""

from __future__ import annotations

from os import urandom
from typing import TYPE_CHECKING, Any, ClassVar, Final, TypeVar

import msgspec

import tokaido.hal as hal
from tokaido.hal.driver import EVENT, KeyChannel

if TYPE_CHECKING:
    from collections.abc import Callable

H = TypeVar("H")

_EVENT_ID: Final = bytes(8)


class ToshibaKeyChannel(KeyChannel):
    """Draws key blocks, loads pre-shared keys and hears the telemetry stream."""

    protocol: ClassVar[str] = "TQK1"
    preshared_key_bytes = 4096
    max_offers = 16
    interval_range = 0.1, 60.0
    subscription_renewal_s = 10.0

    def __init__(
        self,
        resource: hal.Resource,
        device: str,
        serial_number: str,
        *,
        clock: hal.Clock,
        timeout_s: float,
        nonces: Callable[[int], bytes] = urandom,
    ) -> None:
        super().__init__(resource, device, serial_number, clock=clock, timeout_s=timeout_s, nonces=nonces)
        self._prefix = nonces(4)  # no id is used twice by this host, nor by its next program

    def _pack(self, number: int, header: dict[str, Any]) -> list[bytes]:
        return [self._prefix + number.to_bytes(4, "big"), msgspec.json.encode(header)]

    def _unpack(self, frames: list[bytes]) -> tuple[int, bytes, list[bytes]] | None:
        if len(frames) < 2 or len(frames[0]) != len(_EVENT_ID):
            return None
        identifier, header, *payload = frames
        if identifier == _EVENT_ID:
            return EVENT, header, payload
        if not identifier.startswith(self._prefix):
            return None
        return int.from_bytes(identifier[4:], "big"), header, payload

    def _decode(self, header: bytes, kind: type[H]) -> H:
        return msgspec.json.decode(header, type=kind)
