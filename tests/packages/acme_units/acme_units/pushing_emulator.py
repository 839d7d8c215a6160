"""The transmitter that pushes its keys, as a device model."""

from __future__ import annotations

import hashlib
import hmac
import struct
import uuid
import zlib
from typing import TYPE_CHECKING, Any

import msgspec

from .emulators import AliceModel

if TYPE_CHECKING:
    import tokaido.hal as hal

MOST = 64


class PushingAliceModel(AliceModel):
    """It keeps no block: what nobody hears is gone."""

    MODEL = "ALICE-P"
    PUSHES = True

    def __init__(self, serial_number: str | None = None, **options: Any) -> None:
        super().__init__(serial_number, **options)
        self._pushed: list[tuple[bytes, list[bytes]]] = []
        self._sequence = 0

    def add_key_block(self, info: hal.KeyBlockInfo, key: hal.KeyMaterial) -> None:
        self._sequence += 1
        eps = struct.pack(">d", info.eps).hex()
        facts = [info.serial_number, info.session, info.number, info.bits, info.method, info.bound, eps]
        label = "\n".join(map(str, [*facts, int(info.insecure), int(info.emulated), "-", "-"]))
        with key.reveal() as view:
            digest = hmac.new(label.encode(), view, hashlib.sha256).hexdigest()
            data = bytes(view)
        header = {
            "uuid": str(uuid.uuid5(uuid.NAMESPACE_OID, f"{info.session}/{info.number}")),
            "sequence": self._sequence,
            "serial_number": info.serial_number,
            "session": info.session,
            "number": info.number,
            "bits": info.bits,
            "method": info.method,
            "bound": info.bound,
            "eps": info.eps,
            "insecure": info.insecure,
            "emulated": info.emulated,
            "digest": digest,
        }
        packed = msgspec.msgpack.encode(header)
        self._pushed = [*self._pushed[-MOST:], (b"", [b"key", packed, struct.pack(">I", zlib.crc32(packed)), data])]

    def take_messages(self) -> list[tuple[bytes, list[bytes]]]:
        pushed, self._pushed = self._pushed, []
        return pushed
