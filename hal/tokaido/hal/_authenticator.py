"""Wegman-Carter authentication with one-time pads, and the pool that the pads come from.

A tag is Poly1305 under the key r || s (Bernstein 2005, FSE; RFC 8439, clause 2.5): a polynomial in r modulo
2^130 - 5, to which s is added modulo 2^128. With r secret and kept, and s fresh for every tag, this is the
Wegman-Carter construction: a forgery of L bytes passes with probability <= 8 ceil(L/16) / 2^106, whatever the forger
can compute.
"""

from __future__ import annotations

import hmac
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from tokaido.hal._errors import AuthenticationError, ConfigurationError, KeyMaterialError
from tokaido.hal._keys import KeyMaterial

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

PAD_BYTES: Final = 16
"""Length of one pad s, of one tag, and of the hash key r, in bytes."""
WINDOW: Final = 64
"""How many pads ahead of the expected one a verified tag may jump."""
MAX_TRIES: Final = 16
"""Wrong tags that one pad is tried against before it is refused for good."""
_HASH_KEY_BYTES: Final = 2 * PAD_BYTES  # one r per direction, at the head of the pre-shared key
_OFFSET_BITS: Final = 32


def forgery_bound(length: int) -> float:
    """Return the probability that a forged message of `length` bytes passes (Bernstein 2005, theorem 3.3)."""
    return 8 * -(-length // PAD_BYTES) / 2**106


@dataclass(slots=True)
class _Segment:
    """One stretch of pads that both ends hold: the first half is the transmitter's, the second half the receiver's."""

    number: int
    buffer: bytearray
    pads: int
    """Pads per direction."""
    own_base: int
    peer_base: int
    own_next: int = 0
    peer_next: int = 0

    def index(self, offset: int) -> int:
        return self.number << _OFFSET_BITS | offset

    def own_slice(self, offset: int) -> slice:
        return slice(self.own_base + offset * PAD_BYTES, self.own_base + (offset + 1) * PAD_BYTES)

    def peer_slice(self, offset: int) -> slice:
        return slice(self.peer_base + offset * PAD_BYTES, self.peer_base + (offset + 1) * PAD_BYTES)

    def drop_peer(self, up_to: int) -> None:
        first, last = self.peer_slice(self.peer_next).start, self.peer_slice(up_to).start
        self.buffer[first:last] = bytes(last - first)
        self.peer_next = up_to

    def wipe(self) -> None:
        self.buffer[:] = bytes(len(self.buffer))


class AuthenticationPool:
    """One end's share of the one-time pads between a transmitter and a receiver.

    The pre-shared key starts with two hash keys r, one per direction; all that follows, and every later replenishment,
    is cut into two fixed halves, transmitter to receiver and receiver to transmitter, so the ends can never spend the
    same pad. A pad is named by an index, `segment << 32 | offset`; segment 0 is the pre-shared key. An end spends its
    pads in ascending order. `persist` is called with the index of the first pad that was never spent **before** a pad
    is handed out, so a crash can waste a pad and cannot spend one twice; when it raises, the pad is lost and not used.

    Args:
        pre_shared: At least `needed_bytes(1)` bytes; the same at both ends. It is wiped.
        end: Which end of the QKD link this pool serves.
        persist: Stores the pointer durably.
        resume_at: The pointer last stored, after a restart from the same pre-shared key.

    Raises:
        ConfigurationError: The pre-shared key is too short for one block.
    """

    def __init__(
        self,
        pre_shared: KeyMaterial,
        *,
        end: Literal["transmitter", "receiver"],
        persist: Callable[[int], None] | None = None,
        resume_at: int = 0,
    ) -> None:
        needed = self.needed_bytes(1)
        if len(pre_shared) < needed:
            raise ConfigurationError(
                f"the pre-shared key has {len(pre_shared)} bytes and {needed} bytes are needed for one block",
                remedy=f"Load at least {needed} bytes, the same at both ends; 1024 bytes start a link comfortably",
            )
        self.end: Final = end
        self.insecure = pre_shared.insecure
        self._persist = persist
        self._failures: Counter[int] = Counter()
        self._segments: dict[int, _Segment] = {}
        self._next_segment = 0
        hash_keys, rest = pre_shared.split(_HASH_KEY_BYTES)
        with hash_keys, hash_keys.reveal() as view:
            keys = bytearray(view[:PAD_BYTES]), bytearray(view[PAD_BYTES:])
        self._own_hash_key, self._peer_hash_key = keys if end == "transmitter" else (keys[1], keys[0])
        self.replenish(rest, segment=0)
        self._skip_own(resume_at)

    @staticmethod
    def needed_bytes(blocks: int) -> int:
        """Return the pre-shared bytes that authenticate `blocks` blocks: two tags per direction and block."""
        return _HASH_KEY_BYTES + blocks * 4 * PAD_BYTES

    @property
    def remaining_bits(self) -> int:
        """Unspent bits of both directions."""
        return 8 * PAD_BYTES * sum(2 * s.pads - s.own_next - s.peer_next for s in self._segments.values())

    @property
    def remaining_tags(self) -> int:
        """Messages that this end can still authenticate."""
        return sum(s.pads - s.own_next for s in self._segments.values())

    @property
    def segments(self) -> tuple[int, ...]:
        """Numbers of the segments held, ascending."""
        return tuple(sorted(self._segments))

    @property
    def next_segment(self) -> int:
        """Smallest number that no segment of this end ever had."""
        return self._next_segment

    def replenish(self, key: KeyMaterial, segment: int | None = None) -> None:
        """Append pads from fresh key, the same at both ends, as the `segment` that both ends agreed. Wipes `key`.

        Raises:
            KeyMaterialError: The key has no whole pad per direction, or the number was used before.
        """
        number = self._next_segment if segment is None else segment
        if number < self._next_segment:
            raise KeyMaterialError(f"authentication segment {number} was used before")
        pads = len(key) // (2 * PAD_BYTES)
        if not pads:
            raise KeyMaterialError(
                f"{len(key)} bytes hold no pad per direction", remedy=f"Replenish with {2 * PAD_BYTES} bytes or more"
            )
        with key, key.reveal() as view:
            buffer = bytearray(view[: 2 * pads * PAD_BYTES])
        self.insecure = self.insecure or key.insecure
        halves = (0, pads * PAD_BYTES)
        own, peer = halves if self.end == "transmitter" else halves[::-1]
        self._segments[number] = _Segment(number, buffer, pads, own, peer)
        self._next_segment = number + 1

    def discard_unshared(self, held_by_peer: Iterable[int]) -> int:
        """Wipe segments that the peer does not hold, and return their number.

        A key block that only one end accepted leaves a segment there; its pads would be wasted, one block each.
        """
        unshared = set(self._segments) - set(held_by_peer)
        for number in unshared:
            self._segments.pop(number).wipe()
        return len(unshared)

    def close(self) -> None:
        """Overwrite all pads and both hash keys. May be called again."""
        for segment in self._segments.values():
            segment.wipe()
        self._segments.clear()
        for key in (self._own_hash_key, self._peer_hash_key):
            key[:] = bytes(len(key))

    def __repr__(self) -> str:
        return f"<AuthenticationPool {self.end} {self.remaining_bits} bit left>"

    def _spend(self) -> tuple[int, bytes]:
        """Advance the pointer, then return the index and the one-time key r || s of the pad it left."""
        for number in self.segments:
            segment = self._segments[number]
            if segment.own_next < segment.pads:
                break
        else:
            raise KeyMaterialError(
                "no authentication pad is left in this direction", remedy="Load a new pre-shared key at both ends"
            )
        offset = segment.own_next
        segment.own_next += 1
        place = segment.own_slice(offset)
        pad = bytes(segment.buffer[place])
        segment.buffer[place] = bytes(PAD_BYTES)
        self._forget_spent()
        if self._persist is not None:
            self._persist(segment.index(offset + 1))
        return segment.index(offset), bytes(self._own_hash_key) + pad

    def _expected(self, index: int) -> bytes:
        """Return the peer's one-time key at `index` without spending it.

        Raises:
            AuthenticationError: The index is unknown, was used, lies outside the window, or was tried too often.
        """
        number, offset = index >> _OFFSET_BITS, index & ((1 << _OFFSET_BITS) - 1)
        segment = self._segments.get(number)
        if segment is None or not segment.peer_next <= offset < segment.pads:
            raise AuthenticationError(f"authentication pad {number}:{offset} is unknown or was used")
        before = sum(s.pads - s.peer_next for s in self._segments.values() if s.number < number)
        if before + offset - segment.peer_next >= WINDOW:
            raise AuthenticationError(f"authentication pad {number}:{offset} is more than {WINDOW} pads ahead")
        if self._failures[index] >= MAX_TRIES:
            raise AuthenticationError(f"authentication pad {number}:{offset} was tried {MAX_TRIES} times")
        return bytes(self._peer_hash_key) + bytes(segment.buffer[segment.peer_slice(offset)])

    def _settle(self, index: int, verified: bool) -> None:
        """Note a wrong tag, or jump past a pad that verified: it and every earlier one of the peer are spent."""
        if not verified:
            self._failures[index] += 1
            return
        number, offset = index >> _OFFSET_BITS, index & ((1 << _OFFSET_BITS) - 1)
        for segment in self._segments.values():
            if segment.number <= number:
                segment.drop_peer(offset + 1 if segment.number == number else segment.pads)
        self._failures.clear()
        self._forget_spent()

    def _skip_own(self, index: int) -> None:
        number, offset = index >> _OFFSET_BITS, index & ((1 << _OFFSET_BITS) - 1)
        segment = self._segments[0]
        segment.own_next = min(segment.pads, segment.pads if number else offset)

    def _forget_spent(self) -> None:
        for number, s in list(self._segments.items()):
            if s.own_next == s.pads and s.peer_next == s.pads:
                del self._segments[number]


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
