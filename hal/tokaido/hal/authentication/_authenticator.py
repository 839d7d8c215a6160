"""Wegman-Carter authentication with one-time pads; the pool that they come from is in `_pads`.

A tag is Poly1305 under the key r || s (Bernstein 2005, FSE; RFC 8439, clause 2.5): a polynomial in r modulo
2^130 - 5, to which s is added modulo 2^128. With r secret and kept, and s fresh for every tag, this is the
Wegman-Carter construction: a forgery of L bytes passes with probability <= 8 ceil(L/16) / 2^106, whatever the forger
can compute.
"""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING, Final

from tokaido.hal._errors import AuthenticationError
from tokaido.hal.authentication._pad_segments import PAD_BYTES
from tokaido.hal.authentication._pads import MAX_TRIES, WINDOW, AuthenticationPool

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

__all__ = [
    "MAX_TRIES",
    "PAD_BYTES",
    "WINDOW",
    "AuthenticationPool",
    "OneTimeAuthenticator",
    "forgery_bound",
]


def forgery_bound(length: int) -> float:
    """Return the probability that a forged message of `length` bytes passes (Bernstein 2005, theorem 3.3)."""
    return 8 * -(-length // PAD_BYTES) / 2**106


class OneTimeAuthenticator:
    """Tags and verifies transcripts with one pad each from a pool."""

    def __init__(self, pool: AuthenticationPool) -> None:
        self.pool: Final = pool

    def tag(self, transcript: bytes | Iterable[bytes]) -> tuple[int, bytes]:
        """Return the index of the pad that was spent, and the 16-byte tag of a transcript (or of its parts, joined).

        Raises:
            KeyMaterialError: No pad is left in this direction.
        """
        index, key = self.pool._spend()
        return index, _poly1305(key, transcript)

    def prove(self, transcript: bytes, held_by_peer: Collection[int]) -> tuple[int, bytes]:
        """Tag a proof of identity, with a pad that the peer holds if it says so, or else one of the pre-shared key.

        What a peer says outside of a tag may be a lie; it costs one pad, and the proof fails.

        Raises:
            KeyMaterialError: No such pad is left in this direction.
        """
        index, key = self.pool._spend(held_by_peer)
        return index, _poly1305(key, transcript)

    def verify(self, index: int, transcript: bytes | Iterable[bytes], tag: bytes) -> None:
        """Check a tag of the peer; only a correct one spends its pad, and with it all earlier pads of the peer.

        Raises:
            AuthenticationError: The tag is wrong, or the pad is unknown, used, too far ahead or tried too often.
        """
        expected = _poly1305(self.pool._expected(index), transcript)
        verified = hmac.compare_digest(expected, tag)
        self.pool._settle(index, verified)
        if not verified:
            raise AuthenticationError("the authentication tag is wrong: the transcripts of the two ends differ")


def _poly1305(key: bytes, transcript: bytes | Iterable[bytes]) -> bytes:
    from cryptography.hazmat.primitives.poly1305 import Poly1305  # noqa: PLC0415 - loads OpenSSL, so only when needed

    if isinstance(transcript, bytes):
        return Poly1305.generate_tag(key, transcript)
    state = Poly1305(key)
    for part in transcript:
        state.update(part)
    return state.finalize()
