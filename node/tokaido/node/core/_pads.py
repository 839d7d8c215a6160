"""The pad of a RELAY: a one-time key for its tag, and a one-time pad for its keys (TNP1, section 5)."""

from __future__ import annotations

import msgspec

from tokaido.hal import KeyMaterial
from tokaido.node.messages import CELL, TAG_KEY, Relay


def pad_length(count: int) -> int:
    """Return how many bytes of link key a batch of so many keys costs."""
    return TAG_KEY + CELL * count


def seal(pad: KeyMaterial, keys: KeyMaterial, blank: Relay) -> Relay:
    """Return a message with the ciphertext and the tag that carry keys under a pad. The pad is wiped."""
    from cryptography.hazmat.primitives.poly1305 import Poly1305  # noqa: PLC0415 - loads OpenSSL

    with pad, pad.reveal() as stream, keys.reveal() as plain:
        ciphertext = _added(plain, stream[TAG_KEY:])
        sealed = msgspec.structs.replace(blank, ciphertext=ciphertext)
        tag = Poly1305.generate_tag(bytes(stream[:TAG_KEY]), sealed.transcript())
    return msgspec.structs.replace(sealed, tag=tag)


def unseal(pad: KeyMaterial, message: Relay) -> KeyMaterial | None:
    """Return the keys that a message carries, None if its tag is wrong. The pad is wiped."""
    from cryptography.exceptions import InvalidSignature  # noqa: PLC0415 - loads OpenSSL
    from cryptography.hazmat.primitives.poly1305 import Poly1305  # noqa: PLC0415

    with pad, pad.reveal() as stream:
        try:
            Poly1305.verify_tag(bytes(stream[:TAG_KEY]), message.transcript(), message.tag)
        except InvalidSignature:
            return None
        return KeyMaterial(_added(message.ciphertext, stream[TAG_KEY:]), insecure=pad.insecure)


def _added(one: bytes | memoryview, other: bytes | memoryview) -> bytes:
    """Return the sum modulo 2, bit by bit."""
    return (int.from_bytes(one, "big") ^ int.from_bytes(other, "big")).to_bytes(len(one), "big")
