"""The transmitter's end of distillation. Its key bits steer no control flow."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, ClassVar, Final, assert_never

import numpy as np

from tokaido.emulators.distillation._amplification import verification_tag
from tokaido.emulators.distillation._codec import (
    pack_bits,
    pack_labels,
    unpack_bits,
    unpack_positions,
    unpack_slots,
)
from tokaido.emulators.distillation._distiller import Distiller, check_qber
from tokaido.emulators.distillation._frames import AnsweredFrame
from tokaido.emulators.distillation._messages import (
    FROM_TRANSMITTER,
    TAG_BYTES,
    Abort,
    Accept,
    Amplify,
    Announcement,
    AnyMessage,
    BisectRequest,
    BlockPlan,
    BlockStart,
    Direction,
    FrameDone,
    Hello,
    ParityAnswer,
    ParityRequest,
    SiftResult,
    TranscriptTag,
    VerifyRequest,
    VerifyTag,
)
from tokaido.emulators.distillation._reconciliation import block_positions
from tokaido.emulators.distillation._results import AbortReason, BlockAbortError
from tokaido.emulators.distillation._session import TAGS_PER_BLOCK, Phase
from tokaido.emulators.distillation._settings import frame_bounds
from tokaido.emulators.distillation._sift_kernels import select, sift_sent
from tokaido.emulators.distillation._sifting import PlannedBlock

if TYPE_CHECKING:
    from collections.abc import Callable

    from tokaido.emulators.distillation._settings import DistillationSettings
    from tokaido.emulators.optics import TransmitterRecord
    from tokaido.hal.authentication import AuthenticationPool

REGULAR_PASSES = 4
MOST_PLANNED: Final = 64
"""Blocks that the receiver may say the slots of before they are distilled."""


class TransmitterDistiller(Distiller):
    """Alice: holds what she prepared, answers the receiver's questions, chooses the privacy amplification.

    See `Distiller` for its use. `add` takes what she prepared for the slots that may have clicked, and no more: it
    must cover every slot that the receiver announces, and comes before the receiver has the slot.
    """

    _end: ClassVar[str] = "transmitter"
    _direction: ClassVar[Direction] = FROM_TRANSMITTER

    def __init__(
        self,
        settings: DistillationSettings,
        pool: AuthenticationPool,
        *,
        secret: Callable[[int], bytes] = os.urandom,
    ) -> None:
        self._bits_per_slot = self._promised = 0.0
        super().__init__(settings, pool, secret=secret)

    def add(self, record: TransmitterRecord, until: int | None = None) -> None:
        """Take further raw data: slots int64[n] ascending, and basis, bit and intensity uint8[n].

        `until` is the first slot that was not sent yet; default: the one after the record's last.

        Raises:
            RangeError: The arrays differ in length, the slots do not ascend, or one is not below `until`.
        """
        if not self._closed:
            before = self._calendar.over
            self._calendar.add(record.slots, (record.basis, record.bit, record.intensity), until)
            self._promised += (self._calendar.over - before) * self._bits_per_slot
            self._attempt(self._proceed)

    def _reset(self) -> None:
        super()._reset()
        self._sifting: PlannedBlock | None = None
        self._announced_to = -1
        self._in_flight: dict[int, AnsweredFrame] = {}
        self._next_frame = 0
        self._receiver_leak = 0

    def _erase(self) -> None:
        super()._erase()
        for frame in self._in_flight.values():
            frame.tables.wipe()

    @property
    def _expected_bits(self) -> float:
        return self._promised

    def _learn(self) -> None:
        """Note what came of the block's slots."""
        block = self._calendar.get(self._block)
        if block is not None:
            self._bits_per_slot = self._counts.n / block.pulses

    def _end_block(self, reason: AbortReason, text: str, *, by_peer: bool) -> None:
        if reason is AbortReason.TOO_SMALL:
            self._learn()
        super()._end_block(reason, text, by_peer=by_peer)

    def _opens(self, message: AnyMessage) -> bool:
        planned = self._calendar.get(message.block) is not None
        return planned and isinstance(message, Announcement) and message.sequence == 1

    def _take_plan(self, plan: BlockPlan, data: bytes) -> None:
        calendar = self._calendar
        if plan.sequence or plan.block >= self._block + MOST_PLANNED:
            raise BlockAbortError(
                AbortReason.OUT_OF_ORDER, f"word of block {plan.block} came while {self._block} is open"
            )
        block = PlannedBlock(plan.block, plan.first, plan.pulses, data)
        known = calendar.get(plan.block)
        if known is not None:
            known.refuse(BlockAbortError(AbortReason.OUT_OF_ORDER, "the slots of a block were said twice"))
        elif plan.first < calendar.over:
            text = f"the block begins with slot {plan.first} and {calendar.over} slots were sent"
            block.refuse(BlockAbortError(AbortReason.PLANNED_LATE, text))
        elif plan.first < calendar.planned_to:
            block.refuse(BlockAbortError(AbortReason.OUT_OF_ORDER, "slots were said to be of two blocks"))
        if known is None:
            calendar.enter(block)
            if plan.block == self._block:
                self._begin(block)
        self._proceed()

    def _proceed(self) -> None:
        block = self._calendar.get(self._block)
        if block is not None and block.refused is not None:
            raise block.refused

    def _on(self, message: AnyMessage) -> None:
        match message:
            case Announcement():
                self._require(Phase.SIFTING, message)
                self._sift(message)
            case BlockStart():
                self._require(Phase.SIFTING, message)
                self._start(message)
            case ParityRequest() | BisectRequest():
                self._require(Phase.CORRECTING, message)
                self._answer(message)
            case VerifyRequest():
                self._require(Phase.CORRECTING, message)
                self._tag_frame(message)
            case FrameDone():
                self._require(Phase.CORRECTING, message)
                self._finish_frame(message)
            case TranscriptTag():
                self._require(Phase.TAGGING, message)
                self._verify_transcript(message)
                self._amplify(self._seed)
                self._send_accept()
                self._phase = Phase.ACCEPTING
            case Accept():
                self._require(Phase.ACCEPTING, message)
                self._verify_accept(message)
                self._release()
            case BlockPlan() | SiftResult() | ParityAnswer() | VerifyTag() | Amplify() | Hello() | Abort():
                raise BlockAbortError(AbortReason.OUT_OF_ORDER, f"a receiver does not send {type(message).__name__}")
            case _:
                assert_never(message)

    def _open_sifting(self) -> PlannedBlock:
        """Return what was sent in the slots of the block, once they are over."""
        if self._sifting is not None:
            return self._sifting
        block = self._calendar.get(self._block)
        if block is None:
            raise BlockAbortError(AbortReason.OUT_OF_ORDER, "a block was announced whose slots were never said")
        if self._calendar.over < block.end:
            text = f"detections were announced after {self._calendar.over} slots; the block ends with {block.end - 1}"
            raise BlockAbortError(AbortReason.ANNOUNCED_EARLY, text)
        if self._authenticator.pool.remaining_tags < TAGS_PER_BLOCK:
            raise self._starved()
        self._announced_to = block.first - 1
        self._sifting = block
        return block

    def _sift(self, announcement: Announcement) -> None:
        block = self._open_sifting()
        slots = unpack_slots(announcement.distances, announcement.wide_distances, self._announced_to)
        if not slots.size:
            raise BlockAbortError(AbortReason.MALFORMED_MESSAGE, "an announcement is empty")
        receiver_basis = unpack_bits(announcement.bases, slots.size)
        receiver_bits = unpack_bits(announcement.check_bits, int(np.count_nonzero(receiver_basis)))
        sent = block.next_at(slots)
        if sent is None:
            raise BlockAbortError(AbortReason.COUNTS_MISMATCH, "the receiver announced a slot that is not in the block")
        self._announced_to = int(slots[-1])
        kept = sift_sent(sent.basis, sent.bit, sent.intensity, receiver_basis)
        theirs = select(receiver_bits, select(sent.basis, receiver_basis))
        self._counts.add_sifted(kept.key_labels, kept.check_labels, kept.check_bits != theirs)
        self._parts.append(kept.key_bits)
        self._totals.sifted_bits += kept.key_bits.size
        labels = np.concatenate((kept.key_labels, kept.check_labels))
        self._send(SiftResult, pack_bits(kept.keep), pack_labels(labels), pack_bits(kept.check_bits))

    def _start(self, start: BlockStart) -> None:
        if self._sifting is None:
            raise BlockAbortError(AbortReason.OUT_OF_ORDER, "correction began before detections were announced")
        if (start.key_detections, start.check_detections, start.check_errors) != self._counts.sifted_triples():
            raise BlockAbortError(AbortReason.COUNTS_MISMATCH, "the two ends counted different detections")
        self._check_bits()
        self._totals.qber_check, self._totals.checked = self._counts.qber_check, self._block
        self._learn()
        self._join_parts()
        self._permutation_seed = start.seed
        self._agree_segment(start.next_segment, start.segments)
        self._bounds = frame_bounds(self.settings, self._bits.size)
        self._phase = Phase.CORRECTING

    def _answer(self, request: ParityRequest | BisectRequest) -> None:
        frame = self._current(request.frame)
        tables = frame.tables
        if isinstance(request, ParityRequest):
            limit = REGULAR_PASSES + self.settings.max_extra_passes
            if request.number != tables.passes or request.number >= limit:
                raise BlockAbortError(AbortReason.OUT_OF_ORDER, f"pass {request.number} was opened out of order")
            tables.open_pass()
            positions = block_positions(request.number, request.size, frame.bits.size)
        else:
            if request.number >= tables.passes:
                raise BlockAbortError(AbortReason.OUT_OF_ORDER, f"pass {request.number} is not open")
            positions = unpack_positions(request.positions, frame.bits.size)
        frame.parities += positions.size
        self._leak.parities += positions.size
        if self._leak.bits > self._bits.size:
            raise BlockAbortError(AbortReason.NO_KEY, "error correction disclosed more bits than the block has")
        self._send(ParityAnswer, request.frame, positions.size, pack_bits(tables.parities(request.number, positions)))

    def _tag_frame(self, request: VerifyRequest) -> None:
        frame = self._current(request.frame)
        if frame.verifications > self.settings.max_extra_passes:
            raise BlockAbortError(AbortReason.VERIFICATION_FAILED, "the frame was verified too often")
        self._totals.verification_failures += bool(frame.verifications)
        frame.verifications += 1
        self._leak.verifications += 1
        hash_key = self._secret(TAG_BYTES)
        self._send(VerifyTag, request.frame, hash_key, verification_tag(frame.bits, hash_key))

    def _finish_frame(self, done: FrameDone) -> None:
        frame = self._current(done.frame)
        if not frame.verifications:
            raise BlockAbortError(AbortReason.OUT_OF_ORDER, "a frame ended without verification")
        if done.leak != frame.leak:
            raise BlockAbortError(
                AbortReason.LEAK_MISMATCH,
                f"the receiver counted {done.leak} bit of leak in frame {done.frame}, we {frame.leak}",
            )
        frame.tables.wipe()
        del self._in_flight[done.frame]
        self._receiver_leak += done.leak
        self._counts.key_errors += done.errors
        if (self._counts.key_errors > self._counts.key).any():
            raise BlockAbortError(AbortReason.COUNTS_MISMATCH, "more errors than bits were reported")
        check_qber(int(self._counts.key_errors.sum()), self._counts.n, self.settings.qber_abort)
        if self._next_frame == len(self._bounds) and not self._in_flight:
            self._offer()

    def _offer(self) -> None:
        """Choose the privacy amplification, and tag the transcript."""
        self._frames_over()
        self._leaks = self._leak.bits, self._receiver_leak
        self._agree_length()
        n = self._bits.size
        self._seed = np.unpackbits(np.frombuffer(self._secret(-(-(n - 1) // 8)), np.uint8))[: n - 1]
        pool = self._authenticator.pool
        seed = pack_bits(self._seed)
        self._send(Amplify, seed, self._output_bits, self._leak.bits, pool.segments, pool.next_segment)
        self._send_transcript_tag()
        self._phase = Phase.TAGGING

    def _current(self, number: int) -> AnsweredFrame:
        """Return a frame in flight; a message about the next one opens it, while not too many are."""
        room = len(self._in_flight) < self.settings.frames_in_flight
        if number == self._next_frame < len(self._bounds) and room:
            start, end = self._bounds[number]
            self._in_flight[number] = AnsweredFrame(self._bits[start:end], self._permutation_seed, number)
            self._next_frame += 1
        if number not in self._in_flight:
            raise BlockAbortError(AbortReason.OUT_OF_ORDER, f"frame {number} is not open")
        return self._in_flight[number]
