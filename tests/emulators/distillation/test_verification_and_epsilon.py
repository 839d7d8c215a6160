"""A verification tag is compared whole, and the claim about authentication covers every tag of both ends."""

from __future__ import annotations

from fractions import Fraction

import msgspec
import pytest

from tokaido.emulators.distillation import AbortReason, AcceptedBlock
from tokaido.emulators.distillation._messages import (
    Accept,
    AnyMessage,
    Hello,
    TranscriptTag,
    VerifyTag,
    decode,
)
from tokaido.emulators.distillation._settlement import block_ledger
from tokaido.hal.authentication import forgery_bound
from tokaido_testing.distillation import SMALL, distil, feed, pair, raw_data

TAG_BYTES = 16
FRAMES = msgspec.structs.replace(SMALL, frame_bits=3_000, max_extra_passes=2)
"""At least one frame for each byte of a tag."""


def test_one_wrong_bit_in_any_byte_of_a_verification_tag_is_a_failure() -> None:
    garbled: list[int] = []

    def garble(direction: int, data: bytes, message: AnyMessage) -> list[bytes]:
        if not isinstance(message, VerifyTag) or message.frame in garbled:
            return [data]
        garbled.append(message.frame)
        tag = bytearray(message.tag)
        tag[message.frame % TAG_BYTES] ^= 1 << message.frame % 8
        return [msgspec.msgpack.encode(msgspec.structs.replace(message, tag=bytes(tag)))]

    alice, bob = pair(FRAMES)
    records = raw_data(60_000, 0.01, settings=FRAMES, seed=3)
    outcome = feed(alice, bob, records, garble)
    frames = len(garbled)
    assert frames >= TAG_BYTES
    assert sorted(garbled) == list(range(frames))
    assert bob.statistics.verification_failures == frames  # not one of them passed
    tags = [m for _, data in outcome.messages if isinstance(m := decode(data), VerifyTag)]
    assert len({tag.hash_key for tag in tags}) == len(tags) == 2 * frames
    for results in (outcome.alice, outcome.bob):  # repaired, and yet the transcripts differ
        assert [getattr(result, "reason", None) for result in results] == [AbortReason.AUTH_MISMATCH]


def bound(length: int) -> Fraction:
    """Return what a forgery of `length` bytes passes with at most: 8 ceil(L/16) / 2^106 (Bernstein 2005)."""
    return Fraction(8 * -(-length // TAG_BYTES), 2**106)


@pytest.mark.parametrize(("length", "pieces"), [(1, 1), (16, 1), (17, 2), (160, 10), (161, 11)])
def test_the_bound_of_a_forgery_is_the_paper_s(length: int, pieces: int) -> None:
    assert forgery_bound(length) == pieces * 8 / 2**106 == float(bound(length))


@pytest.mark.parametrize(("transcript", "acceptance"), [(16, 16), (100_000, 90), (7, 1_000_000)])
def test_both_ends_tags_of_transcript_and_acceptance_are_in_the_claim(transcript: int, acceptance: int) -> None:
    ledger = block_ledger(SMALL, 60_000, 1, (transcript, acceptance))
    assert ledger.authentication == pytest.approx(
        float(2 * bound(transcript) + 2 * bound(acceptance)), rel=1e-12, abs=0
    )


def test_a_block_claims_for_authentication_what_its_messages_on_the_wire_amount_to() -> None:
    outcome = distil(SMALL, raw_data(60_000, 0.01))
    block = outcome.alice[0]
    assert isinstance(block, AcceptedBlock)
    hellos: dict[int, bytes] = {}  # the last of each end
    spoken: list[bytes] = []
    for direction, data in outcome.messages:
        message = decode(data)
        if isinstance(message, Hello):
            hellos[direction] = data
        elif message.block == 0 and not isinstance(message, TranscriptTag | Accept):
            spoken.append(data)
    # every message stands behind its length, each of the three lists behind its count, all in 8 bytes
    head = b"tokaido distillation transcript|" + bytes.fromhex(block.session) + b"|0|0|"
    transcript = len(head) + 3 * 8 + sum(8 + len(data) for data in (*hellos.values(), *spoken))
    acceptance = len(
        b"tokaido distillation accept|" + bytes.fromhex(block.session) + b"|0|0|%d|" % block.output_bits
    ) + 2 * TAG_BYTES  # fmt: skip
    claim = float(2 * bound(transcript) + 2 * bound(acceptance))
    assert block.eps.authentication == pytest.approx(claim, rel=1e-12, abs=0)
