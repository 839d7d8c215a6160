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
from tokaido.emulators.distillation._distiller import Distiller, check_qber
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
from tokaido.emulators.distillation._reconciliation import (
    BlockQuestion,
    Corrector,
    PositionQuestion,
    block_positions,
    block_sizes,
)
from tokaido.emulators.distillation._results import AbortReason, BlockAbortError
from tokaido.emulators.distillation._session import TAGS_PER_BLOCK, Phase
from tokaido.emulators.distillation._settings import frame_bounds
from tokaido.emulators.distillation._settlement import (
    VERIFICATION_BITS,
    count_intensities,
    finite_key,
    triple,
)
from tokaido.emulators.distillation._sifting import RawData

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from tokaido.emulators.distillation._reconciliation import Question
    from tokaido.emulators.distillation._settings import DistillationSettings
    from tokaido.emulators.optics import ReceiverRecord
    from tokaido.hal._authenticator import AuthenticationPool

LARGEST_ANNOUNCEMENT = 1 << 17
SMALLEST_ANNOUNCEMENT = 1 << 10
DEFAULT_QBER = 0.03
_ENOUGH_CHECK_BITS = 200  # detections from which the check basis gives a better first guess of the error rate


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
        self._estimate: float | None = None
        super().__init__(settings, pool, secret=secret)

    def add(self, record: ReceiverRecord) -> None:
        """Take further detections: slots int64[n] ascending, and basis and bit uint8[n].

        Raises:
            RangeError: The arrays differ in length, or the slots do not ascend.
        """
        if not self._closed:
            self._raw.add(record.slots, record.basis, record.bit)
            self._attempt(self._proceed)

    def _reset(self) -> None:
        super()._reset()
        self._announced: tuple[NDArray[np.uint8], NDArray[np.uint8]] | None = None
        self._labels: list[NDArray[np.uint8]] = []
        self._corrector: Corrector | None = None
        self._frames: list[tuple[int, int]] = []
        self._frame = 0
        self._asked: Question | None = None
        self._verifying = False

    @property
    def awaiting_peer(self) -> bool:
        """Whether the peer must speak next; if it does not for long, the owner calls `abort`."""
        return super().awaiting_peer or (self._announced is not None and not self._closed)

    def _erase(self) -> None:
        super()._erase()
        if self._corrector is not None:
            self._corrector.wipe()

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
        self._announced = basis, bit
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
                self._release(self._transmitter_leak, self._leak)
            case Announcement() | BlockStart() | ParityRequest() | BisectRequest() | VerifyRequest() | FrameDone():
                raise BlockAbortError(AbortReason.OUT_OF_ORDER, f"a transmitter does not send {type(message).__name__}")
            case Hello() | Abort():
                raise BlockAbortError(AbortReason.OUT_OF_ORDER, f"a {type(message).__name__} within a block")
            case _:
                assert_never(message)

    def _sift(self, result: SiftResult) -> None:
        if self._announced is None:
            raise BlockAbortError(AbortReason.OUT_OF_ORDER, "a sift result came without announcement")
        basis, bit = self._announced
        keep = unpack_bits(result.keep, basis.size)
        key_at, check_at = np.flatnonzero(keep > basis), np.flatnonzero(keep & basis == 1)
        labels = unpack_labels(result.intensities, key_at.size + check_at.size)
        key_labels, check_labels = labels[: key_at.size], labels[key_at.size :]
        errors = unpack_bits(result.check_bits, check_at.size) != bit.take(check_at)
        self._announced = None
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
        at_best = finite_key(self.settings, self._counts, 0)
        self._check_key(at_best.bits, at_best.reason)  # before any effort, and before any leak
        self._join_parts()
        self._intensity = np.concatenate(self._labels)
        self._labels.clear()
        self._frames = frame_bounds(self.settings, self._bits.size)
        self._permutation_seed = self._secret(SEED_BYTES)
        if self._estimate is None:
            enough = self._counts.check_total >= _ENOUGH_CHECK_BITS
            self._estimate = self._counts.qber_check if enough else DEFAULT_QBER
        pool = self._authenticator.pool
        triples = self._counts.sifted_triples()
        self._send(BlockStart, *triples, self._permutation_seed, pool.segments, pool.next_segment)
        self._phase = Phase.CORRECTING
        self._open_frame()

    def _open_frame(self) -> None:
        start, end = self._frames[self._frame]
        assert self._estimate is not None
        sizes = block_sizes(self.settings.schedule, end - start, self._estimate)
        self._corrector = Corrector(self._bits[start:end], sizes, self._permutation_seed, self._frame)
        self._attempts = 0
        self._ask()

    def _ask(self) -> None:
        self._asked = self._open_corrector.question()
        match self._asked:
            case BlockQuestion(number, size):
                self._send(ParityRequest, self._frame, number, size)
            case PositionQuestion(number, positions):
                self._send(BisectRequest, self._frame, number, pack_positions(positions))
            case None:
                self._verifying = True
                self._send(VerifyRequest, self._frame)

    def _correct(self, answer: ParityAnswer) -> None:
        match self._asked:
            case BlockQuestion(number, size):
                expected = block_positions(number, size, self._open_corrector.bits.size).size
            case PositionQuestion(_, positions):
                expected = positions.size
            case None:
                raise BlockAbortError(AbortReason.OUT_OF_ORDER, "parities came without a question")
        if answer.count != expected:
            raise BlockAbortError(AbortReason.MALFORMED_MESSAGE, f"{answer.count} parities came, not {expected}")
        self._leak += answer.count
        self._open_corrector.answer(unpack_bits(answer.parities, answer.count))
        errors = int(self._counts.key_errors.sum()) + self._open_corrector.error_count
        check_qber(errors, self._counts.n, self.settings.qber_abort)
        self._ask()

    def _compare(self, message: VerifyTag) -> None:
        if not self._verifying or message.frame != self._frame:
            raise BlockAbortError(AbortReason.OUT_OF_ORDER, "a verification tag came without request")
        self._verifying = False
        self._leak += VERIFICATION_BITS
        self._verifications += 1
        if verification_tag(self._open_corrector.bits, message.hash_key) == message.tag:
            self._finish_frame()
            return
        self._totals.verification_failures += 1
        self._attempts += 1
        if self._attempts > self.settings.max_extra_passes:
            raise BlockAbortError(
                AbortReason.VERIFICATION_FAILED,
                f"frame {self._frame} still differs after {self.settings.max_extra_passes} extra passes",
            )
        self._open_corrector.add_pass()
        self._ask()

    def _finish_frame(self) -> None:
        start, end = self._frames[self._frame]
        corrector = self._open_corrector
        self._estimate = corrector.error_count / (end - start)
        errors = count_intensities(self._intensity[start:end][corrector.corrected == 1])
        self._counts.key_errors += errors
        corrector.wipe()
        self._send(FrameDone, self._frame, triple(errors))
        self._frame += 1
        if self._frame < len(self._frames):
            self._open_frame()
            return
        self._totals.leaked_bits += self._leak
        self._totals.qber_key = self._counts.qber_key
        self._phase = Phase.AMPLIFYING

    @property
    def _open_corrector(self) -> Corrector:
        assert self._corrector is not None
        return self._corrector

    def _prepare(self, message: Amplify) -> None:
        if message.leak != self._leak:
            raise BlockAbortError(
                AbortReason.LEAK_MISMATCH, f"the transmitter counted {message.leak} bit of leak, we {self._leak}"
            )
        length = finite_key(self.settings, self._counts, self._leak)
        self._output_bits = self._check_key(length.bits, length.reason)
        if message.output_bits != self._output_bits:
            raise BlockAbortError(
                AbortReason.LENGTH_MISMATCH, f"the transmitter wants {message.output_bits} bit, not {self._output_bits}"
            )
        self._transmitter_leak = message.leak
        self._seed = unpack_bits(message.seed, self._bits.size - 1)
        self._agree_segment(message.next_segment, message.segments)
        self._phase = Phase.TAGGING
