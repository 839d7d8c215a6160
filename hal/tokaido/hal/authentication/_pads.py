"""The pool of one-time pads between two ends: what is spent, what comes in, and what is kept back."""

from __future__ import annotations

import hashlib
import hmac
import os
import threading
from collections import Counter, deque
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, Literal

from tokaido.hal._errors import AuthenticationError, ConfigurationError, KeyMaterialError
from tokaido.hal.authentication._pad_marks import NO_MARKS, PadLedgerError, PadMarks
from tokaido.hal.authentication._pad_segments import OFFSET_BITS, PAD_BYTES, Segment

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable

    from tokaido.hal._keys import KeyMaterial

WINDOW: Final = 64
"""How many pads ahead of the expected one a verified tag may jump."""
MAX_TRIES: Final = 16
"""Wrong tags that one pad is tried against before it is refused for good."""
PADS_PER_BLOCK: Final = 2
"""Pads that each end spends on a block."""
SHARES: Final = (0, 2, 32, 0)
"""Pads per direction that both ends cut from an accepted block, by the last two bits of its segment's number."""
_SEGMENTS_AHEAD: Final = 64
_HASH_KEY_BYTES: Final = 2 * PAD_BYTES  # one r per direction, at the head of the pre-shared key


@dataclass(frozen=True, slots=True)
class PadBudget:
    """What a pool keeps back, and when it asks for fresh key; in pads per direction. All 0: nothing, and never."""

    reserve: int = 0
    """Pads at the end of the pre-shared key that only proofs spend, and one block after a proof (`open_reserve`)."""
    low: int = 0
    """Below so many spendable pads the pool asks for `SHARES[2]` of a block."""
    full: int = 0
    """Below so many it asks for `SHARES[1]`."""


NO_BUDGET: Final = PadBudget()


@dataclass(frozen=True, slots=True)
class PadCounts:
    """Where the bits of a pool came from and went, both directions together.

    The bits that came are those that went and those that are left. What a unit had spent before a
    restart counts as spent; the hash keys are left out.
    """

    preshared: int
    replenished: int
    spent: int
    discarded: int
    """Fresh key that only one end held, wiped."""
    remaining: int


class AuthenticationPool:
    """One end's share of the one-time pads between a transmitter and a receiver.

    The pre-shared key starts with two hash keys r, one per direction; all that follows, and every later replenishment,
    is cut into two fixed halves, transmitter to receiver and receiver to transmitter, so the ends can never spend the
    same pad. A pad is named by an index, `segment << 32 | offset`; segment 0 is the pre-shared key. An end spends the
    pads of a segment in ascending order: fresh key that both ends are known to hold first, then the pre-shared key.

    `persist` is called with new marks **before** a pad beyond the marks is handed out. A mark is `batch` pads ahead, so
    that a restart wastes a batch at most and spends no pad twice; when `persist` raises, nothing is spent. Marks only
    rise, and a fork of the process can neither spend pads nor move marks.

    **Replenishment.** The end that accepts a block calls `replenish` with the number that both ends agreed for it,
    the greater of their `next_segment`. Its last two bits say how much of the block's key the needier end asks for
    (`SHARES`), and so both cut off the same share (`claim`), which becomes the segment `number | 3`.

    Args:
        pre_shared: At least `needed_bytes(1)` bytes; the same at both ends. It is wiped.
        end: Which end of the QKD link this pool serves.
        persist: Stores marks durably.
        resume: The marks last stored, after a restart from the same pre-shared key.
        batch: How many pads are reserved at a time.
        budget: What is kept back, and when to ask for fresh key.

    Raises:
        ConfigurationError: The pre-shared key is too short for one block.
    """

    def __init__(
        self,
        pre_shared: KeyMaterial,
        *,
        end: Literal["transmitter", "receiver"],
        persist: Callable[[PadMarks], None] | None = None,
        resume: PadMarks = NO_MARKS,
        batch: int = 1,
        budget: PadBudget = NO_BUDGET,
    ) -> None:
        needed = self.needed_bytes(1)
        if len(pre_shared) < needed:
            raise ConfigurationError(
                f"the pre-shared key has {len(pre_shared)} bytes and {needed} bytes are needed for one block",
                remedy=f"Load at least {needed} bytes, the same at both ends; 1024 bytes start a link comfortably",
            )
        self.end: Final = end
        self.insecure = pre_shared.insecure
        self.tags_spent = 0
        """Tags that this end has made since the pool was opened."""
        self._lock = threading.RLock()
        self._process = os.getpid()
        self._refused = ""
        self._persist = persist
        self._marks = resume
        self._batch = batch
        self._budget = budget
        self._failures: Counter[int] = Counter()
        self._segments: dict[int, Segment] = {}
        self._claims: deque[int] = deque()
        self._discarded_pads = 0
        self._seal_key = _seal_key(pre_shared)
        hash_keys, rest = pre_shared.split(_HASH_KEY_BYTES)
        with hash_keys, hash_keys.reveal() as view:
            keys = bytearray(view[:PAD_BYTES]), bytearray(view[PAD_BYTES:])
        self._own_hash_key, self._peer_hash_key = keys if end == "transmitter" else (keys[1], keys[0])
        first = self._append(rest, 0)
        first.shared = True
        self._preshared = first
        self._replenished_pads = 0
        self._limit = max(first.pads - budget.reserve, 0)
        self._free = max(1, resume.segment + 1)
        first.drop_own(min(resume.own, first.pads))
        first.drop_peer(min(resume.peer, first.pads))
        self._forget_spent()

    @staticmethod
    def needed_bytes(blocks: int) -> int:
        """Return the pre-shared bytes that authenticate `blocks` blocks: two tags per direction and block."""
        return _HASH_KEY_BYTES + blocks * 4 * PAD_BYTES

    @property
    def remaining_bits(self) -> int:
        """Unspent bits of both directions, the reserve included."""
        with self._lock:
            return 8 * PAD_BYTES * sum(segment.left for segment in self._segments.values())

    @property
    def remaining_tags(self) -> int:
        """Messages of blocks that this end can still authenticate: without the reserve."""
        with self._lock:
            fresh = sum(segment.own_left for segment in self._segments.values() if segment.number)
            return fresh + max(0, self._limit - self._preshared.own_next)

    @property
    def counts(self) -> PadCounts:
        """Where the bits came from and went."""
        with self._lock:
            bits, pads = 8 * PAD_BYTES, 2 * self._preshared.pads + self._replenished_pads
            remaining = self.remaining_bits
            return PadCounts(
                preshared=bits * 2 * self._preshared.pads,
                replenished=bits * self._replenished_pads,
                spent=bits * (pads - self._discarded_pads) - remaining,
                discarded=bits * self._discarded_pads,
                remaining=remaining,
            )

    @property
    def segments(self) -> tuple[int, ...]:
        """Numbers of the segments held, ascending."""
        with self._lock:
            return tuple(sorted(self._segments))

    @property
    def next_segment(self) -> int:
        """Number for the next block: larger than any this end ever had, and in its last two bits what it asks for."""
        with self._lock:
            tags = self.remaining_tags
            wanted = 2 if tags < self._budget.low else 1 if tags < self._budget.full else 0
            return -(-self._free // 4) * 4 + wanted

    def replenish(self, key: KeyMaterial, segment: int | None = None) -> None:
        """Append pads from fresh key, the same at both ends, as the `segment` that both ends agreed. Wipes `key`.

        Raises:
            KeyMaterialError: The key has no whole pad per direction, or the number was used before.
        """
        with self._lock:
            number = self.next_segment if segment is None else segment
            if number < self._free:
                raise KeyMaterialError(f"authentication segment {number} was used before")
            self._replenished_pads += 2 * self._append(key, number).pads
            self._free = (number | 3) + 1
            self._claims.append(number)

    def claim(self, key: KeyMaterial) -> KeyMaterial | None:
        """Cut off what was agreed for the pools from the key of the oldest block not yet claimed; return the rest.

        Returns:
            The rest, which is all of it if nothing was agreed, or None if nothing is left of it.
        """
        with self._lock:
            number = self._claims.popleft() if self._claims else 0
            pair = 2 * PAD_BYTES
            share = min(SHARES[number & 3] * pair, len(key) // pair * pair)
            if not share:
                return key
            head, rest = key.split(share)
            self._replenished_pads += 2 * self._append(head, number | 3).pads
            return rest if len(rest) else None

    def forget_claims(self) -> None:
        """Claim nothing of blocks that ended: a new session begins, and what is handed over belongs to it."""
        with self._lock:
            self._claims.clear()

    # --- what the two ends tell each other ----------------------------------------------------------------------------

    @property
    def heard(self) -> int:
        """How many pads of the peer's pre-shared half this end knows to be spent: what it tells the peer."""
        with self._lock:
            return self._preshared.peer_next

    def hear(self, heard: int) -> None:
        """Take in how many pads of this end the peer knows to be spent, as its seal says.

        Raises:
            PadLedgerError: They are more than this end ever spent, so its ledger went back to an older state. From now
                on no pad is spent: the next tag would be the second one under its pad.
        """
        with self._lock:
            spent = self._preshared.own_next
            if heard > spent and not self._refused:
                self._refused = (
                    f"the peer has seen {heard} one-time pads of this end, whose ledger knows of {spent}: it went back"
                )
            self._check_usable()

    def seal(self, said: bytes) -> bytes:
        """Return 32 bytes that show the peer who said this, at the cost of no pad.

        An HMAC under a key that is derived from the pre-shared one: secure against whatever can be computed, not
        against everything as a tag is. It is for words that only stop what would be unsafe.
        """
        return self._sealed(self.end, said)

    def check_seal(self, said: bytes, seal: bytes) -> None:
        """Check a seal of the peer.

        Raises:
            AuthenticationError: It is wrong: the peer has another pre-shared key, or somebody else spoke.
        """
        other = "receiver" if self.end == "transmitter" else "transmitter"
        if not hmac.compare_digest(self._sealed(other, said), seal):
            raise AuthenticationError("the seal is wrong: the two ends have different pre-shared keys")

    def _sealed(self, end: str, said: bytes) -> bytes:
        return hmac.new(self._seal_key, f"{end}|".encode() + said, hashlib.sha256).digest()

    # --- segments -----------------------------------------------------------------------------------------------------

    def open_reserve(self) -> None:
        """Let one block be authenticated from the reserve if nothing else is left: both ends just proved themselves."""
        with self._lock:
            first = self._preshared
            if self.remaining_tags < PADS_PER_BLOCK:
                self._limit = min(first.pads, max(self._limit, first.own_next) + PADS_PER_BLOCK)

    def discard_unshared(self, held_by_peer: Iterable[int]) -> int:
        """Wipe segments that the peer said under a tag not to hold, and return their number.

        A key block that only one end accepted leaves a segment there; its pads would be wasted, one block each.
        """
        with self._lock:
            held = set(held_by_peer)
            unshared = set(self._segments) - held
            for number in unshared:
                segment = self._segments.pop(number)
                self._discarded_pads += segment.left
                segment.drop_own(segment.pads)
                segment.drop_peer(segment.pads)
            for segment in self._segments.values():
                segment.shared = True
            return len(unshared)

    def close(self) -> None:
        """Overwrite all pads and both hash keys. May be called again.

        What was reserved and not spent is lost: a mark never goes back. A fork overwrites its own copy only.
        """
        with self._lock:
            first, was_open = self._preshared, bool(self._segments)
            heard = replace(self._marks, peer=max(self._marks.peer, first.peer_next))
            for segment in (first, *self._segments.values()):
                segment.wipe()
            self._segments.clear()
            first.own_next = first.peer_next = first.pads
            for key in (self._own_hash_key, self._peer_hash_key, self._seal_key):
                key[:] = bytes(len(key))
            if was_open and self._process == os.getpid() and self._persist is not None and heard != self._marks:
                with suppress(KeyMaterialError):  # it may lag
                    self._persist(heard)

    def __repr__(self) -> str:
        return f"<AuthenticationPool {self.end} {self.remaining_bits} bit left>"

    def _append(self, key: KeyMaterial, number: int) -> Segment:
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
        self._segments[number] = Segment(number, buffer, pads, own, peer)
        return self._segments[number]

    def _spend(self, proof_for: Collection[int] | None = None) -> tuple[int, bytes]:
        """Advance the pointer, durably, then return the index and the one-time key r || s of the pad it left."""
        with self._lock:
            self._check_usable()
            segment = self._choose(proof_for)
            self._reserve(segment, segment.own_next)
            offset, pad = segment.take()
            self._forget_spent()
            self.tags_spent += 1
            return segment.index(offset), bytes(self._own_hash_key) + pad

    def _check_usable(self) -> None:
        if self._process != os.getpid():
            raise PadLedgerError(
                f"process {self._process} has these one-time pads, and this is a fork of it",
                remedy="Open the ledger again in this process; the other one can spend no more then",
            )
        if self._refused:
            raise PadLedgerError(self._refused, remedy="Load a new pre-shared key at both ends")

    def _choose(self, proof_for: Collection[int] | None) -> Segment:
        """Return where the next pad comes from; a proof's from what its taker holds: after a restart segment 0."""
        first = self._preshared
        fresh = [self._segments[number] for number in self.segments if number and self._segments[number].own_left]
        if proof_for is not None:
            for segment in (*(segment for segment in fresh if segment.number in proof_for), first):
                if segment.own_left:
                    return segment
        shared = [segment for segment in fresh if segment.shared]
        if shared and proof_for is None:
            return shared[0]
        if first.own_next < self._limit:
            return first
        if fresh and proof_for is None:
            return fresh[0]
        raise KeyMaterialError(
            "no authentication pad is left in this direction", remedy="Load a new pre-shared key at both ends"
        )

    def _reserve(self, segment: Segment, offset: int) -> None:
        """Store marks beyond this pad, unless those that are stored lie beyond it already."""
        marks, first = self._marks, self._preshared
        if self._persist is None or (segment.number <= marks.segment if segment.number else offset < marks.own):
            return
        if segment.number:
            marks = replace(marks, segment=segment.number + _SEGMENTS_AHEAD)
        else:
            marks = replace(marks, own=min(offset + self._batch, first.pads))
        marks = replace(marks, peer=max(marks.peer, first.peer_next))
        self._persist(marks)
        self._marks = marks

    def _expected(self, index: int) -> bytes:
        """Return the peer's one-time key at `index` without spending it.

        Raises:
            AuthenticationError: The index is unknown, was used, lies outside the window, or was tried too often.
        """
        number, offset = index >> OFFSET_BITS, index & ((1 << OFFSET_BITS) - 1)
        with self._lock:
            try:
                self._check_usable()
            except PadLedgerError as error:
                raise AuthenticationError(error.what) from None
            segment = self._segments.get(number)
            if segment is None or not segment.peer_next <= offset < segment.pads:
                raise AuthenticationError(f"authentication pad {number}:{offset} is unknown or was used")
            if offset - segment.peer_next >= WINDOW:
                raise AuthenticationError(f"authentication pad {number}:{offset} is more than {WINDOW} pads ahead")
            if self._failures[index] >= MAX_TRIES:
                raise AuthenticationError(f"authentication pad {number}:{offset} was tried {MAX_TRIES} times")
            return bytes(self._peer_hash_key) + segment.peek(offset)

    def _settle(self, index: int, verified: bool) -> None:
        """Note a wrong tag, or jump past a pad that verified: it and the earlier ones of its segment are spent."""
        with self._lock:
            number, offset = index >> OFFSET_BITS, index & ((1 << OFFSET_BITS) - 1)
            if not verified:
                self._failures[index] += 1
            elif number in self._segments:
                self._segments[number].drop_peer(max(offset + 1, self._segments[number].peer_next))
                self._failures.clear()
                self._forget_spent()

    def _forget_spent(self) -> None:
        for number, segment in list(self._segments.items()):
            if not segment.left:
                del self._segments[number]


def _seal_key(pre_shared: KeyMaterial) -> bytearray:
    with pre_shared.reveal() as view:
        key = bytearray(view)
    try:
        return bytearray(hmac.new(key, b"tokaido pad seal", hashlib.sha256).digest())
    finally:
        key[:] = bytes(len(key))
