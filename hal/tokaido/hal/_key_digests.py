"""Digests that go with keys over a key channel, so that an altered key is neither handed out nor loaded.

What they are of, and why they may be stated, is in docs/protocols/toshiba.md, section 10.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tokaido.hal._keys import KeyBlockInfo, KeyMaterial

NOBODY = "-"
"""How a message names the peer and the path of a link that has no names."""


def block_digest(info: KeyBlockInfo, key: KeyMaterial) -> str:
    """Return the digest of a block: of its key under all that is said of it."""
    facts = (
        info.serial_number,
        info.session,
        f"{info.number:d}",
        f"{info.bits:d}",
        info.method,
        info.bound,
        struct.pack(">d", info.eps).hex(),
        f"{info.insecure:d}",
        f"{info.emulated:d}",
        info.peer or NOBODY,
        info.path or NOBODY,
    )
    return _digest(key, *facts)


def preshared_digest(serial_number: str, peer: str, path: str, key: KeyMaterial) -> str:
    """Return the digest of a pre-shared key under the unit and the link that it is for."""
    return _digest(key, "load_psk", serial_number, peer or NOBODY, path or NOBODY)


def _digest(key: KeyMaterial, *words: str) -> str:
    return key.digest("\n".join(words).encode())
