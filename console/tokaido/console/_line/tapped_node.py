"""A node whose operator is not to be trusted: it looks at every key that passes, as anybody can who runs one.

It runs the node as it is, and notes the digest of all key material that the node overwrites. Only digests leave it,
under a nonce that the environment gives; keys of 256 bit are what applications get.
"""

from __future__ import annotations

import json
import os
import queue
import threading
from typing import Final

import tokaido.hal as hal

NONCE: Final = "TOKAIDO_DRILL_NONCE"
KEY_BYTES: Final = 32


def tapped_node() -> int:
    """Run `tokaido` with the arguments of this program, and print the digest of each key that passed."""
    from tokaido.console import main as command  # noqa: PLC0415

    nonce = bytes.fromhex(os.environ[NONCE])
    seen: queue.SimpleQueue[str] = queue.SimpleQueue()
    wipe = hal.KeyMaterial.wipe

    def look_and_wipe(key: hal.KeyMaterial) -> None:
        if not key.wiped and len(key) and not len(key) % KEY_BYTES and len(key) <= 64 * KEY_BYTES:
            with key.reveal() as view:
                for begin in range(0, len(view), KEY_BYTES):
                    piece = hal.KeyMaterial(view[begin : begin + KEY_BYTES])
                    seen.put(piece.digest(nonce))
                    wipe(piece)
        wipe(key)

    hal.KeyMaterial.wipe = look_and_wipe  # type: ignore[assignment,method-assign]
    threading.Thread(target=_tell, args=(seen,), daemon=True).start()
    return command()


def _tell(seen: queue.SimpleQueue[str]) -> None:
    while True:
        print(json.dumps({"event": "saw", "digest": seen.get()}), flush=True)
