"""The receiver's end of distillation: it announces, asks and corrects."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, ClassVar, assert_never

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
    SEED_BYTES,
    Abort,
    Accept,
    Amplify,
    Announcement,
    AnyMessage,
    BisectRequest,
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
from tokaido.emulators.distillation._reconciliation import BlockQuestion, PositionQuestion, block_positions
from tokaido.emulators.distillation._results import AbortReason, BlockAbortError
from tokaido.emulators.distillation._session import TAGS_PER_BLOCK, Phase
from tokaido.emulators.distillation._settings import frame_bounds
from tokaido.emulators.distillation._settlement import count_intensities, finite_key, triple
from tokaido.emulators.distillation._sifting import RawData

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from tokaido.emulators.distillation._settings import DistillationSettings
    from tokaido.emulators.optics import ReceiverRecord
    from tokaido.hal.authentication import AuthenticationPool

LARGEST_ANNOUNCEMENT = 1 << 17
SMALLEST_ANNOUNCEMENT = 1 << 10


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
        self._raw = RawData(3)
        self._estimate = QberEstimate()
        self._pairs = 1
        super().__init__(settings, pool, secret=secret)

    def add(self, record: ReceiverRecord, *, sub_channels: int = 1) -> None:
        """Take further detections: slots int64[n] ascending, and basis and bit uint8[n].

        `sub_channels` take turns with the slots and have a pair of detectors each, which is watched for itself. Their
        number counts from the next block on.

        Raises:
            RangeError: The arrays differ in length, or the slots do not ascend.
        """
        if not self._closed:
            if sub_channels != self._pairs:
                self._pairs = sub_channels
                if not self._counts.n:
                    self._watch = DetectorWatch(sub_channels)
            self._raw.add(record.slots, record.basis, record.bit)
            self._attempt(self._proceed)

    def _reset(self) -> None:
        super()._reset()
        self._announced: tuple[NDArray[np.int64], NDArray[np.uint8], NDArray[np.uint8]] | None = None
        self._watch = DetectorWatch(self._pairs)
        self._labels: list[NDArray[np.uint8]] = []
        self._in_flight: dict[int, CorrectedFrame] = {}
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

    def _opens(self, message: AnyMessage) -> bool:  # noqa: ARG002 - only a transmitter follows
        return False

    def _proceed(self) -> None:
        if self._session and not self._closed and self._phase is Phase.SIFTING and self._announced is None:
            self._announce()

    def _announce(self) -> None:
        if not self._sent and self._authenticator.pool.remaining_tags < TAGS_PER_BLOCK:
            self._give_up(self._starved())
            return
        missing = self.settings.block_bits - self._counts.n
        previous = self._raw.consumed
        chunk = self._raw.take_first(min(max(missing, SMALLEST_ANNOUNCEMENT), LARGEST_ANNOUNCEMENT))
        if chunk is None:
            return
        slots, basis, bit = chunk
        self._announced = chunk
        distances, wide = pack_slots(slots, previous)
        check_bits = bit.take(np.flatnonzero(basis == 1))
        self._send(Announcement, previous, distances, wide, pack_bits(basis), pack_bits(check_bits))

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
            case Announcement() | BlockStart() | ParityRequest() | BisectRequest() | VerifyRequest() | FrameDone():
                raise BlockAbortError(AbortReason.OUT_OF_ORDER, f"a transmitter does not send {type(message).__name__}")
            case Hello() | Abort():
                raise BlockAbortError(AbortReason.OUT_OF_ORDER, f"a {type(message).__name__} within a block")
            case _:
                assert_never(message)

    def _sift(self, result: SiftResult) -> None:
        if self._announced is None:
            raise BlockAbortError(AbortReason.OUT_OF_ORDER, "a sift result came without announcement")
        slots, basis, bit = self._announced
        keep = unpack_bits(result.keep, basis.size)
        key_at, check_at = np.flatnonzero(keep > basis), np.flatnonzero(keep & basis == 1)
        labels = unpack_labels(result.intensities, key_at.size + check_at.size)
        key_labels, check_labels = labels[: key_at.size], labels[key_at.size :]
        errors = unpack_bits(result.check_bits, check_at.size) != bit.take(check_at)
        self._announced = None
        kept = np.flatnonzero(keep)
        self._watch.count(slots.take(kept), basis.take(kept), bit.take(kept))
        self._counts.add_sifted(key_labels, check_labels, errors)
        self._parts.append(bit.take(key_at))
        self._labels.append(key_labels)
        self._totals.sifted_bits += self._parts[-1].size
        if self._counts.n < self.settings.block_bits:
            self._announce()
        else:
            self._start()

    def _start(self) -> None:
        self._totals.qber_check = self._counts.qber_check
        self._totals.ones_share = self._watch.ones_share
        self._watch.check(self.settings.detector_ratio)
        at_best = finite_key(self.settings, self._counts, 0)
        self._check_key(at_best.bits, at_best.reason)  # before any effort, and before any leak
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
        check_qber(int(self._counts.key_errors.sum()) + in_flight, self._counts.n, self.settings.qber_abort)
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
