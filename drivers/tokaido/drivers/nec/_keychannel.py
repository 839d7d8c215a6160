"""The key channel, NQK1: one MessagePack map ahead of the payload. docs/protocols/nec.md, section 5."""

from __future__ import annotations

from typing import Any, ClassVar, TypeVar

import msgspec

import tokaido.hal as hal
from tokaido.hal.driver import KeyChannel
from tokaido.hal.structs import learn

H = TypeVar("H")


class _Numbered(msgspec.Struct):
    """What every header has, whatever else it has."""

    n: int


class NecKeyChannel(KeyChannel):
    """Draws key blocks, loads pre-shared keys and hears the telemetry stream."""

    protocol: ClassVar[str] = "NQK1"
    preshared_key_bytes = 4096
    max_offers = 16
    interval_range = 0.1, 60.0
    subscription_renewal_s = 10.0

    def _pack(self, number: int, header: dict[str, Any]) -> list[bytes]:
        return [msgspec.msgpack.encode({"n": number, **header})]

    def _unpack(self, frames: list[bytes]) -> tuple[int, bytes, list[bytes]]:
        header, *payload = frames
        try:
            return self._decode(header, _Numbered).n, header, payload
        except (ValueError, RecursionError) as error:
            raise hal.ProtocolError(f"a header that is none of this protocol: {error}") from None

    def _decode(self, header: bytes, kind: type[H]) -> H:
        return msgspec.msgpack.decode(header, type=kind)


learn(_Numbered)
