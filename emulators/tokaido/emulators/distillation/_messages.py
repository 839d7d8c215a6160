"""The classical messages of distillation: MessagePack arrays, one tagged type each.

Every message carries the protocol version, the session, the block, its direction and its sequence number in that
direction and block, so a tag over the ordered messages of a block covers all of them.
"""

from __future__ import annotations

from typing import Annotated, Final, Literal

import msgspec

from tokaido.emulators.distillation._codec import MessageError
from tokaido.emulators.distillation._results import AbortReason
from tokaido.emulators.distillation._settings import DistillationSettings

PROTOCOL_VERSION: Final = 3
Direction = Literal[0, 1]
FROM_TRANSMITTER: Final = 0
FROM_RECEIVER: Final = 1
SESSION_NONCE_BYTES: Final = 8
SEED_BYTES: Final = 32
TAG_BYTES: Final = 16
MAX_MESSAGE_BYTES: Final = 1 << 28
LARGEST_ANNOUNCEMENT: Final = 1 << 17
"""Detections in one announcement."""
MOST_PULSES: Final = 1 << 50

Count = Annotated[int, msgspec.Meta(ge=0, lt=1 << 62)]
Counts = tuple[Count, Count, Count]
Segments = Annotated[tuple[Count, ...], msgspec.Meta(max_length=1 << 16)]
Tag = Annotated[bytes, msgspec.Meta(min_length=TAG_BYTES, max_length=TAG_BYTES)]


class Message(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """The header that all messages share."""

    version: int
    session: Annotated[bytes, msgspec.Meta(max_length=2 * SESSION_NONCE_BYTES)]
    block: Count
    direction: Direction
    sequence: Count


class Hello(Message, frozen=True, tag="hello"):
    """Either end's first message: its share of the session identifier, its settings, a digest of its permutations,
    and whether its secrets are seeded."""

    nonce: Annotated[bytes, msgspec.Meta(min_length=SESSION_NONCE_BYTES, max_length=SESSION_NONCE_BYTES)]
    settings: DistillationSettings
    permutation_digest: Annotated[str, msgspec.Meta(max_length=64)]
    insecure: bool


class BlockPlan(Message, frozen=True, tag="plan"):
    """Receiver: the slots that a block will be made of, said before the first of them is sent.

    It is message 0 of its block and comes while earlier blocks are still being distilled.
    """

    first: Count
    pulses: Annotated[int, msgspec.Meta(ge=1, le=MOST_PULSES)]


class Announcement(Message, frozen=True, tag="announcement"):
    """Receiver, of a block whose last pulse is over: the slots of further detections, as distances from the last one
    that was announced (at first, from the slot before the block), their bases, and the bits of the check basis."""

    distances: Annotated[bytes, msgspec.Meta(max_length=2 * LARGEST_ANNOUNCEMENT)]
    wide_distances: Annotated[bytes, msgspec.Meta(max_length=8 * LARGEST_ANNOUNCEMENT)]
    bases: Annotated[bytes, msgspec.Meta(max_length=LARGEST_ANNOUNCEMENT // 8)]
    check_bits: Annotated[bytes, msgspec.Meta(max_length=LARGEST_ANNOUNCEMENT // 8)]


class SiftResult(Message, frozen=True, tag="sift"):
    """Transmitter: which detections have equal bases; their intensities, key basis first; the check bits."""

    keep: Annotated[bytes, msgspec.Meta(max_length=LARGEST_ANNOUNCEMENT // 8)]
    intensities: Annotated[bytes, msgspec.Meta(max_length=LARGEST_ANNOUNCEMENT // 4)]
    check_bits: Annotated[bytes, msgspec.Meta(max_length=LARGEST_ANNOUNCEMENT // 8)]


class BlockStart(Message, frozen=True, tag="start"):
    """Receiver: all detections of the block are sifted. Its counts, the permutation seed, and the authentication
    segments it holds."""

    key_detections: Counts
    check_detections: Counts
    check_errors: Counts
    seed: Annotated[bytes, msgspec.Meta(min_length=SEED_BYTES, max_length=SEED_BYTES)]
    segments: Segments
    next_segment: Count


class ParityRequest(Message, frozen=True, tag="blocks"):
    """Receiver: open a pass of a frame with this block size."""

    frame: Count
    number: Count
    size: Annotated[int, msgspec.Meta(ge=1, lt=1 << 32)]


class BisectRequest(Message, frozen=True, tag="bisect"):
    """Receiver: the prefix parities at these positions, please."""

    frame: Count
    number: Count
    positions: bytes


class ParityAnswer(Message, frozen=True, tag="parities"):
    """Transmitter: prefix parities of a frame in the order they were asked for. Every bit counts as leak."""

    frame: Count
    count: Count
    parities: bytes


class VerifyRequest(Message, frozen=True, tag="verify"):
    """Receiver: no pass of this frame shows a difference any more."""

    frame: Count


class VerifyTag(Message, frozen=True, tag="verify-tag"):
    """Transmitter: a fresh public hash key and the hash of its frame. The tag counts as leak."""

    frame: Count
    hash_key: Tag
    tag: Tag


class FrameDone(Message, frozen=True, tag="frame-done"):
    """Receiver: the frame is equal; the errors that were corrected, by intensity, and the leak that it counted."""

    frame: Count
    errors: Counts
    leak: Count


class Amplify(Message, frozen=True, tag="amplify"):
    """Transmitter: the seed of privacy amplification, the length of the key and the leak it counted."""

    seed: bytes
    output_bits: Count
    leak: Count
    segments: Segments
    next_segment: Count


class TranscriptTag(Message, frozen=True, tag="transcript-tag"):
    """Either end: the one-time tag over every message of the block before it, in both directions."""

    index: Count
    tag: Tag


class Accept(Message, frozen=True, tag="accept"):
    """Either end: the block is accepted, under a second one-time tag."""

    index: Count
    tag: Tag


class Abort(Message, frozen=True, tag="abort"):
    """Either end: the block, or with an empty session the whole session, is given up. Not authenticated."""

    reason: AbortReason
    text: Annotated[str, msgspec.Meta(max_length=300)]


AnyMessage = (
    Hello
    | BlockPlan
    | Announcement
    | SiftResult
    | BlockStart
    | ParityRequest
    | BisectRequest
    | ParityAnswer
    | VerifyRequest
    | VerifyTag
    | FrameDone
    | Amplify
    | TranscriptTag
    | Accept
    | Abort
)


_DECODER: Final[msgspec.msgpack.Decoder[AnyMessage]] = msgspec.msgpack.Decoder(AnyMessage)


def encode(message: AnyMessage) -> bytes:
    """Return the message as MessagePack."""
    return msgspec.msgpack.encode(message)


def decode(data: bytes) -> AnyMessage:
    """Return the message in `data`.

    Raises:
        MessageError: Anything else is in it.
    """
    if len(data) > MAX_MESSAGE_BYTES:
        raise MessageError(f"a message of {len(data)} bytes is too long")
    try:
        return _DECODER.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise MessageError(f"not a distillation message: {error}") from error
