"""The pad of a RELAY: a one-time key for its tag, and a one-time pad for its keys (TNP1, section 5)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tokaido.hal import KeyMaterial
from tokaido.node.messages import CELL, TAG_KEY, Relay

if TYPE_CHECKING:
    from collections.abc import Callable


def pad_length(count: int) -> int:
    """Return how many bytes of link key a batch of so many keys costs."""
    return TAG_KEY + CELL * count


def seal(pad: KeyMaterial, keys: KeyMaterial, message: Callable[[bytes, bytes], Relay]) -> Relay:
    """Return the message, given its ciphertext and tag, that carries keys under a pad. The pad is wiped."""
    from cryptography.hazmat.primitives.poly1305 import Poly1305  # noqa: PLC0415 - loads OpenSSL

    with pad, pad.reveal() as stream, keys.reveal() as plain:
        ciphertext = _added(plain, stream[TAG_KEY:])
        tag = Poly1305.generate_tag(bytes(stream[:TAG_KEY]), message(ciphertext, bytes(16)).transcript())
    return message(ciphertext, tag)


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
