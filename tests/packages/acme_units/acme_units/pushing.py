"""A transmitter that pushes its keys, as its driver sees it: against the public faces of `tokaido.hal` alone.

Each key comes once, on a PUB socket, as the frames topic, header (MessagePack), CRC-32 of the header, key.
"""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

import msgspec

import tokaido.hal as hal
from tokaido.hal.driver import PushedBlock, PushedKeys
from tokaido.hal.structs import learn

from .drivers import AcmeUnit, Transmitter

if TYPE_CHECKING:
    from collections.abc import Iterator


class Header(msgspec.Struct):
    uuid: str
    sequence: int
    serial_number: str
    session: str
    number: int
    bits: int
    method: str
    bound: str
    eps: float
    insecure: bool
    emulated: bool
    digest: str


class AcmePush(PushedKeys):
    topic = b"key"

    def _unpack(self, frames: list[bytes]) -> PushedBlock | None:
        _, packed, checksum, key = frames
        if int.from_bytes(checksum, "big") != zlib.crc32(packed):
            raise ValueError("the header was altered")
        said = msgspec.msgpack.decode(packed, type=Header)
        info = hal.KeyBlockInfo(
            said.session,
            said.number,
            said.bits,
            said.method,
            said.bound,
            said.eps,
            said.insecure,
            said.emulated,
            serial_number=said.serial_number,
        )
        return PushedBlock(info, key, said.sequence, said.digest)


class PushingTransmitter(Transmitter):
    capabilities = AcmeUnit.capabilities | {hal.Capability.PUSHED_KEYS}

    _pushed: AcmePush | None = None

    def close(self) -> None:
        if self._pushed is not None:
            self._pushed.close()
        super().close()

    def load_preshared_key(self, key: hal.KeyMaterial, *, peer: str = "", path: str = "") -> None:
        raise hal.UnsupportedError("a pre-shared key is loaded at the front panel", device=self.name)

    def key_blocks(self, timeout: float, *, limit: int | None = None) -> Iterator[hal.KeyBlock]:
        if self._pushed is None:
            self._pushed = AcmePush(
                self._resources["keys"],
                self.name,
                self.identity().serial_number,
                clock=self._clock,
                timeout_s=self._timeout_s,
            )
        return self._pushed.key_blocks(timeout, limit)

    def telemetry_stream(self, interval: float, timeout: float) -> Iterator[hal.TelemetryEvent]:
        raise hal.UnsupportedError("this unit has no telemetry stream", device=self.name)


learn(Header)
