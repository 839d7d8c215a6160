"""The receiver's end of distillation: it announces, asks and corrects."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, ClassVar, Final, assert_never

import numpy as np

from tokaido.emulators.distillation._amplification import verification_tag
from tokaido.emulators.distillation._codec import (
    pack_bits,
    pack_positions,
    pack_slots,
    unpack_bits,
    unpack_labels,
)
from tokaido.emulators.distillation._detector_watch import DetectorWatch
from tokaido.emulators.distillation._distiller import Distiller, check_qber
from tokaido.emulators.distillation._frames import CorrectedFrame, QberEstimate
from tokaido.emulators.distillation._messages import (
    FROM_RECEIVER,
    LARGEST_ANNOUNCEMENT,
    PROTOCOL_VERSION,
    SEED_BYTES,
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
    encode,
)
from tokaido.emulators.distillation._planning import DetectionRate
from tokaido.emulators.distillation._reconciliation import BlockQuestion, PositionQuestion, block_positions
from tokaido.emulators.distillation._results import AbortReason, BlockAbortError
from tokaido.emulators.distillation._session import TAGS_PER_BLOCK, Phase
from tokaido.emulators.distillation._settings import FACTOR, frame_bounds
from tokaido.emulators.distillation._settlement import count_intensities, finite_key, triple
from tokaido.emulators.distillation._sift_kernels import select, sift_got
from tokaido.emulators.distillation._sifting import Detections, PlannedBlock

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from tokaido.emulators.distillation._settings import DistillationSettings
    from tokaido.emulators.optics import ReceiverRecord
    from tokaido.hal.authentication import AuthenticationPool

MOST_WAITING: Final = 2
"""Blocks that may be over and not yet distilled when another one is planned: the pulses of the meantime are lost."""
_LONGEST_MARGIN: Final = 1 << 40


class ReceiverDistiller(Distiller):
    """Bob: holds what he detected, announces it, corrects his bits to hers, and releases first.

    See `Distiller` for its use. `add` takes the detections in the order of their slots.
    """

    _end: ClassVar[str] = "receiver"
    _direction: ClassVar[Direction] = FROM_RECEIVER

    def __init__(
        self,
        settings: DistillationSettings,
        pool: AuthenticationPool,
        *,
        secret: Callable[[int], bytes] = os.urandom,
    ) -> None:
        self._rate = DetectionRate()
        self._margin = 0
        self._estimate = QberEstimate()
        self._pairs = 1
        super().__init__(settings, pool, secret=secret)

    def add(self, record: ReceiverRecord, until: int | None = None, *, sub_channels: int = 1) -> None:
        """Take further detections: slots int64[n] ascending, and basis and bit uint8[n].

        `until` is the first slot that is not over yet; default: the one after the record's last. `sub_channels` take
        turns with the slots and have a pair of detectors each, which is watched for itself. Their number counts from
        the next block on.

        Raises:
            RangeError: The arrays differ in length, the slots do not ascend, or one is not below `until`.
        """
        if not self._closed:
            if sub_channels != self._pairs:
                self._pairs = sub_channels
                if not self._counts.n:
                    self._watch = DetectorWatch(sub_channels)
            before = self._calendar.over
            self._calendar.add(record.slots, (record.basis, record.bit), until)
            in_key = record.slots.size - int(np.count_nonzero(record.basis))
            self._rate.note(self._calendar.over - before, record.slots.size, in_key)
            self._attempt(self._proceed)

    def _reset(self) -> None:
        super()._reset()
        self._announced: Detections | None = None
        self._sifting: PlannedBlock | None = None
        self._last_announced = 0
        self._watch = DetectorWatch(self._pairs)
        self._labels: list[NDArray[np.uint8]] = []
        self._in_flight: dict[int, CorrectedFrame] = {}
        self._corrected = 0
        self._next_frame = 0

    @property
    def awaiting_peer(self) -> bool:
        """Whether the peer must speak next; if it does not for long, the owner calls `abort`."""
        return super().awaiting_peer or (self._announced is not None and not self._closed)

    def _erase(self) -> None:
        super()._erase()
        for frame in self._in_flight.values():
            frame.corrector.wipe()

    @property
    def _expected_qber(self) -> float:
        return self._estimate.value

    @property
    def _expected_bits(self) -> float:
        return self._rate.expected_bits

    def _take_plan(self, plan: BlockPlan, data: bytes) -> None:  # noqa: ARG002
        raise BlockAbortError(AbortReason.OUT_OF_ORDER, "a transmitter does not send BlockPlan")

    def _opens(self, message: AnyMessage) -> bool:  # noqa: ARG002 - only a transmitter follows
        return False

    def _proceed(self) -> None:
        if not self._session or self._closed:
            return
        for planned in self._calendar.blocks():
            if planned.detections > planned.most:
                text = (
                    f"{planned.detections} detections are too many for a block of about {self.settings.block_bits} bit"
                )
                planned.refuse(BlockAbortError(AbortReason.TOO_LARGE, text))
        block = self._calendar.get(self._block)
        if block is not None and block.refused is not None:
            raise block.refused
        self._plan_ahead()
        if block is None or self._phase is not Phase.SIFTING or self._sifting is not None:
            return
        if self._calendar.over >= block.end:
            if self._authenticator.pool.remaining_tags < TAGS_PER_BLOCK:
                raise self._starved()
            self._sifting = block
            self._last_announced = block.first - 1
            self._announce()

    def _plan_ahead(self) -> None:
        """Say which slots the next blocks have, early enough for the transmitter to hear of each before it sends it."""
        calendar = self._calendar
        earliest = calendar.over + calendar.longest_step + self._margin
        while calendar.planned_to < earliest + calendar.longest_step:
            blocks = calendar.blocks()
            waiting = sum(block.end <= calendar.over for block in blocks)
            if waiting >= MOST_WAITING or any(block.refused is not None for block in blocks):
                return
            planned = self._rate.plan(self.settings.block_bits)
            if planned is None:
                return
            number = blocks[-1].number + 1 if blocks else self._block
            first = max(calendar.planned_to, earliest)
            data = encode(BlockPlan(PROTOCOL_VERSION, self._session, number, FROM_RECEIVER, 0, first, planned[0]))
            block = PlannedBlock(number, first, planned[0], data, planned[1], calendar.over)
            calendar.enter(block)
            self._outbox.append(data)
            if number == self._block:
                self._begin(block)

    def _end_block(self, reason: AbortReason, text: str, *, by_peer: bool) -> None:
        block = self._calendar.get(self._block)
        if block is not None and by_peer and reason is AbortReason.PLANNED_LATE:
            taken = self._calendar.over - block.said_at
            self._margin = min(max(2 * self._margin, taken) + self._calendar.longest_step, _LONGEST_MARGIN)
        super()._end_block(reason, text, by_peer=by_peer)

    def _announce(self) -> None:
        """Announce the next portion of the block, or begin to correct it after the last."""
        part = None if self._sifting is None else self._sifting.next_portion(LARGEST_ANNOUNCEMENT)
        if part is None:
            self._start()
            return
        self._announced = part
        distances, wide = pack_slots(part.slots, self._last_announced)
        self._last_announced = int(part.slots[-1])
        check_bits = select(part.bit, part.basis)
        self._send(Announcement, distances, wide, pack_bits(part.basis), pack_bits(check_bits))

    def _on(self, message: AnyMessage) -> None:
        match message:
            case SiftResult():
                self._require(Phase.SIFTING, message)
                self._sift(message)
            case ParityAnswer():
                self._require(Phase.CORRECTING, message)
                self._correct(message)
            case VerifyTag():
                self._require(Phase.CORRECTING, message)
                self._compare(message)
            case Amplify():
                self._require(Phase.AMPLIFYING, message)
                self._prepare(message)
            case TranscriptTag():
                self._require(Phase.TAGGING, message)
                self._verify_transcript(message)
                self._amplify(self._seed)
                self._send_transcript_tag()
                self._phase = Phase.ACCEPTING
            case Accept():
                self._require(Phase.ACCEPTING, message)
                self._verify_accept(message)
                self._send_accept()
                self._release()
            case (
                BlockPlan()
                | Announcement()
                | BlockStart()
                | ParityRequest()
                | BisectRequest()
                | VerifyRequest()
                | FrameDone()
            ):
                raise BlockAbortError(AbortReason.OUT_OF_ORDER, f"a transmitter does not send {type(message).__name__}")
            case Hello() | Abort():
                raise BlockAbortError(AbortReason.OUT_OF_ORDER, f"a {type(message).__name__} within a block")
            case _:
                assert_never(message)

    def _sift(self, result: SiftResult) -> None:
        if self._announced is None:
            raise BlockAbortError(AbortReason.OUT_OF_ORDER, "a sift result came without announcement")
        slots, basis, bit = self._announced.slots, self._announced.basis, self._announced.bit
        keep = unpack_bits(result.keep, basis.size)
        key_bits, check_bits = sift_got(basis, bit, keep)
        labels = unpack_labels(result.intensities, key_bits.size + check_bits.size)
        key_labels, check_labels = labels[: key_bits.size], labels[key_bits.size :]
        errors = unpack_bits(result.check_bits, check_bits.size) != check_bits
        self._announced = None
        if self._watch.pairs == 1:
            self._watch.count_pair(key_bits, check_bits)
        else:
            kept = np.flatnonzero(keep != 0)
            self._watch.count(slots.take(kept), basis.take(kept), bit.take(kept))
        self._counts.add_sifted(key_labels, check_labels, errors)
        self._parts.append(key_bits)
        self._labels.append(key_labels)
        self._totals.sifted_bits += key_bits.size
        self._announce()

    def _start(self) -> None:
        self._totals.qber_check, self._totals.checked = self._counts.qber_check, self._block
        self._totals.ones_share = self._watch.ones_share
        self._rate.learn(self._counts.n, self._sifting.detections if self._sifting is not None else 0)
        self._watch.check(self.settings.detector_ratio)
        self._check_size()
        self._join_parts()
        self._intensity = np.concatenate(self._labels)
        self._labels.clear()
        self._bounds = frame_bounds(self.settings, self._bits.size)
        self._permutation_seed = self._secret(SEED_BYTES)
        self._estimate.learn_check(int(self._counts.check_errors.sum()), self._counts.check_total)
        pool = self._authenticator.pool
        triples = self._counts.sifted_triples()
        self._send(BlockStart, *triples, self._permutation_seed, pool.segments, pool.next_segment)
        self._phase = Phase.CORRECTING
        for _ in range(min(self.settings.frames_in_flight, len(self._bounds))):
            self._open_frame()

    def _check_size(self) -> None:
        """End a block that can give no key before any effort and before any leak, and say why."""
        self._check_bits()
        at_best = finite_key(self.settings, self._counts, 0)
        try:
            self._check_key(at_best.bits, at_best.reason)
        except BlockAbortError as error:
            if self._counts.n * FACTOR >= self.settings.block_bits:
                raise
            text = (
                f"{self._counts.n} sifted bits came where about {self.settings.block_bits} were aimed at: {error.what}"
            )
            raise BlockAbortError(AbortReason.TOO_SMALL, text) from None

    def _open_frame(self) -> None:
        number = self._next_frame
        self._next_frame += 1
        frame = CorrectedFrame.open(
            self._bits,
            number,
            self._bounds[number],
            schedule=self.settings.schedule,
            qber=self._estimate.value,
            seed=self._permutation_seed,
        )
        self._in_flight[number] = frame
        self._ask(frame)

    def _ask(self, frame: CorrectedFrame) -> None:
        frame.question = frame.corrector.question()
        match frame.question:
            case BlockQuestion(number, size):
                self._send(ParityRequest, frame.number, number, size)
            case PositionQuestion(number, positions):
                self._send(BisectRequest, frame.number, number, pack_positions(positions))
            case None:
                frame.verifying = True
                self._send(VerifyRequest, frame.number)

    def _correct(self, answer: ParityAnswer) -> None:
        frame = self._current(answer.frame)
        match frame.question:
            case BlockQuestion(number, size):
                expected = block_positions(number, size, frame.size).size
            case PositionQuestion(_, positions):
                expected = positions.size
            case None:
                raise BlockAbortError(AbortReason.OUT_OF_ORDER, "parities came without a question")
        if answer.count != expected:
            raise BlockAbortError(AbortReason.MALFORMED_MESSAGE, f"{answer.count} parities came, not {expected}")
        parities = unpack_bits(answer.parities, answer.count)
        self._leak.parities += parities.size
        frame.corrector.answer(parities)
        in_flight = sum(other.corrector.error_count for other in self._in_flight.values())
        check_qber(self._corrected + in_flight, self._bits.size, self.settings.qber_abort)
        self._ask(frame)

    def _compare(self, message: VerifyTag) -> None:
        frame = self._current(message.frame)
        if not frame.verifying:
            raise BlockAbortError(AbortReason.OUT_OF_ORDER, "a verification tag came without request")
        frame.verifying = False
        frame.verifications += 1
        self._leak.verifications += 1
        if verification_tag(frame.corrector.bits, message.hash_key) == message.tag:
            self._finish_frame(frame)
            return
        self._totals.verification_failures += 1
        if frame.verifications > self.settings.max_extra_passes:
            raise BlockAbortError(
                AbortReason.VERIFICATION_FAILED,
                f"frame {frame.number} still differs after {self.settings.max_extra_passes} extra passes",
            )
        frame.corrector.add_pass()
        self._ask(frame)

    def _finish_frame(self, frame: CorrectedFrame) -> None:
        start, end = frame.bounds
        self._estimate.learn_frame(frame.corrector.error_count, frame.size)
        errors = count_intensities(self._intensity[start:end][frame.corrector.corrected == 1])
        self._counts.key_errors += errors
        self._corrected += frame.corrector.error_count
        frame.corrector.wipe()
        del self._in_flight[frame.number]
        self._send(FrameDone, frame.number, triple(errors), frame.leak)
        if self._next_frame < len(self._bounds):
            self._open_frame()
        elif not self._in_flight:
            self._frames_over()
            self._phase = Phase.AMPLIFYING

    def _current(self, frame: int) -> CorrectedFrame:
        if frame not in self._in_flight:
            raise BlockAbortError(AbortReason.OUT_OF_ORDER, f"frame {frame} is not open")
        return self._in_flight[frame]

    def _prepare(self, message: Amplify) -> None:
        self._leaks = message.leak, self._leak.bits
        if message.leak != self._leak.bits:
            raise BlockAbortError(
                AbortReason.LEAK_MISMATCH, f"the transmitter counted {message.leak} bit of leak, we {self._leak.bits}"
            )
        self._agree_length()
        if message.output_bits != self._output_bits:
            raise BlockAbortError(
                AbortReason.LENGTH_MISMATCH, f"the transmitter wants {message.output_bits} bit, not {self._output_bits}"
            )
        self._seed = unpack_bits(message.seed, self._bits.size - 1)
        self._agree_segment(message.next_segment, message.segments)
        self._phase = Phase.TAGGING
