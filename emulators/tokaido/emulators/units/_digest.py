"""The digest of a key block, as docs/protocols/toshiba.md says in section 10."""

from __future__ import annotations

import hashlib
import hmac
import struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tokaido.hal import KeyBlockInfo, KeyMaterial

NONE = "-"


def digest_of_block(info: KeyBlockInfo, key: KeyMaterial) -> str:
    """Return the digest of a block, 64 hexadecimal digits."""
    eps = struct.pack(">d", info.eps).hex()
    label = f"{info.serial_number}\n{info.session}\n{info.number}\n{info.bits}\n{info.method}\n{info.bound}\n{eps}\n"
    label += f"{int(info.insecure)}\n{int(info.emulated)}\n{info.peer or NONE}\n{info.path or NONE}"
    with key.reveal() as view:
        return _hmac(label, view)


def digest_of_preshared_key(serial_number: str, peer: str, path: str, key: bytes) -> str:
    """Return the digest that a host states with the pre-shared key of a link; names that are not said are "-"."""
    return _hmac(f"load_psk\n{serial_number}\n{peer or NONE}\n{path or NONE}", key)


def _hmac(label: str, key: bytes | memoryview) -> str:
    return hmac.new(label.encode(), key, hashlib.sha256).hexdigest()
