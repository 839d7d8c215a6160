"""What both ends of distillation share: sessions, sequence, transcripts, authentication, and the end of a block.

The final exchange, with the authentication put off to the end of the block (compare arXiv:2601.17960):

    transmitter                                   receiver
    Amplify, TranscriptTag  ------------------->  verifies, amplifies
    verifies, amplifies     <-------------------  TranscriptTag
    Accept                  ------------------->  verifies, releases its key
    verifies, releases      <-------------------  Accept

The end that sends last cannot know whether its message arrived. A transmitter whose Accept is not answered
therefore quarantines the block: its key is erased and the block is reported, since the receiver may have released the
same key.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from typing import TYPE_CHECKING

import numpy as np

from tokaido.emulators.distillation._amplification import toeplitz_hash
from tokaido.emulators.distillation._ledger import LedgeredKey
from tokaido.emulators.distillation._messages import (
    FROM_RECEIVER,
    FROM_TRANSMITTER,
    TAG_BYTES,
    Accept,
    TranscriptTag,
)
from tokaido.emulators.distillation._results import AbortReason, BlockAbortError, DistillationStatistics
from tokaido.emulators.distillation._session import TAGS_PER_BLOCK, Session
from tokaido.emulators.distillation._settings import FACTOR
from tokaido.emulators.distillation._settlement import BlockCounts, Leak, accepted_block, block_ledger, finite_key
from tokaido.hal import AuthenticationError, KeyMaterial

if TYPE_CHECKING:
    from numpy.typing import NDArray


class Distiller(Session):
    """One end of distillation: data and messages in, messages and results out. It knows no socket, thread or clock.

    Hand it raw data with `add` and the peer's messages, complete and in order, with `receive`; after either, carry
    `outgoing()` to the peer and collect `results()`. What the peer sends never raises: it ends as an `AbortedBlock`.
    `add` also says which slots are over, and is the only clock: the receiver says of each block which slots it has
    before the first of them is sent, and neither end speaks of any of them before the last is over. A transmitter is
    told of slots no later than its receiver, since light comes after it was sent.
    A lost message stalls the block, and only the owner has a clock: it calls `abort(AbortReason.TIMED_OUT, ...)`.

    Args:
        settings: The same at both ends.
        pool: This end's authentication pads. It outlives the session.
        secret: Source of secret and of unpredictable public bytes. Anything but `os.urandom`, at either end, marks the
            keys of both `insecure`.

    Raises:
        ConfigurationError: The pool belongs to the other end.
    """

    @property
    def statistics(self) -> DistillationStatistics:
        """Telemetry of this end."""
        totals = self._totals
        return DistillationStatistics(
            block=self._block,
            fill=self._fill,
            sifted_bits=totals.sifted_bits,
            expected_bits=self._expected_bits,
            qber_key=totals.qber_key,
            qber_check=self._counts.qber_check if self._counts.check_total else totals.qber_check,
            ones_share=totals.ones_share,
            checked_block=totals.checked,
            checked_qber=totals.qber_check,
            corrected_block=totals.corrected,
            efficiency=totals.efficiency,
            leaked_bits=totals.leaked_bits,
            key_bits=totals.key_bits,
            accepted=totals.accepted,
            aborted=totals.aborted,
            quarantined=totals.quarantined,
            verification_failures=totals.verification_failures,
            auth_bits_remaining=self._authenticator.pool.remaining_bits,
            eps_total=totals.eps.total,
            repairs=totals.repairs,
            qber_estimate=self._expected_qber,
        )

    @property
    def _fill(self) -> float:
        plan = self._calendar.get(self._block)
        return 0.0 if plan is None else min(max(self._calendar.over - plan.first, 0) / plan.pulses, 1.0)

    @property
    @abstractmethod
    def _expected_bits(self) -> float: ...

    @property
    def _expected_qber(self) -> float:
        return math.nan

    def _erase(self) -> None:
        """Overwrite the key bits of the open block."""
        for array in (*self._parts, self._bits, self._key):
            array.fill(0)

    def _reset(self) -> None:
        super()._reset()
        self._counts = BlockCounts()
        self._parts: list[NDArray[np.uint8]] = []
        self._bits: NDArray[np.uint8] = np.empty(0, np.uint8)
        self._key: NDArray[np.uint8] = np.empty(0, np.uint8)
        self._leak = Leak()
        self._leaks = 0, 0
        self._bounds: list[tuple[int, int]] = []
        self._tags: dict[int, bytes] = {}
        self._peer_segments: tuple[int, ...] = ()
        self._agreed_segment = 0

    def _transcript_parts(self, direction: int) -> list[bytes]:
        ordered = self._hello, self._peer_hello
        if self._direction == FROM_RECEIVER:
            ordered = self._peer_hello, self._hello
        return self._transcript.parts(self._session, self._block, direction, ordered)

    def _accept_parts(self, direction: int) -> list[bytes]:
        head = b"tokaido distillation accept|%b|%d|%d|%d|" % (self._session, self._block, direction, self._output_bits)
        return [head, self._tags[FROM_TRANSMITTER], self._tags[FROM_RECEIVER]]

    def _send_transcript_tag(self) -> None:
        index, tag = self._authenticator.tag(self._transcript_parts(self._direction))
        self._tags[self._direction] = tag
        self._send(TranscriptTag, index, tag)

    def _verify_transcript(self, message: TranscriptTag) -> None:
        self._verify(message, self._transcript_parts(message.direction))
        self._tags[message.direction] = message.tag

    def _send_accept(self) -> None:
        self._send(Accept, *self._authenticator.tag(self._accept_parts(self._direction)))

    def _verify_accept(self, message: Accept) -> None:
        self._verify(message, self._accept_parts(message.direction))

    def _verify(self, message: TranscriptTag | Accept, parts: list[bytes]) -> None:
        try:
            self._authenticator.verify(message.index, parts, message.tag)
        except AuthenticationError as error:
            raise BlockAbortError(AbortReason.AUTH_MISMATCH, error.what) from None

    def _join_parts(self) -> None:
        """Make one array of the sifted key bits, and erase the parts."""
        self._bits = np.concatenate(self._parts)
        for part in self._parts:
            part.fill(0)
        self._parts.clear()

    def _amplify(self, seed: NDArray[np.uint8]) -> None:
        """Replace the corrected bits by the privacy-amplified ones."""
        self._key = toeplitz_hash(self._bits, seed, self._output_bits)
        self._bits.fill(0)

    def _frames_over(self) -> None:
        """Note that error correction is over."""
        self._totals.leaked_bits += self._leak.bits
        self._totals.qber_key, self._totals.corrected = self._counts.qber_key, self._block

    def _agree_length(self) -> None:
        """Work out the length of the key, from what both ends know."""
        length = finite_key(self.settings, self._counts, self._leak.disclosed(self.settings))
        self._output_bits = self._check_key(length.bits, length.reason)

    def _release(self) -> None:
        """Report the key, feed the authentication pool from its head, and open the next block."""
        insecure = self._insecure or self._authenticator.pool.insecure
        authenticated = sum(map(len, self._transcript_parts(self._direction)))
        eps = block_ledger(
            self.settings,
            self._counts.n,
            self._leak.verifications,
            (authenticated, len(self._accept_parts(0)[0]) + 2 * TAG_BYTES),
        )
        whole = LedgeredKey(KeyMaterial(np.packbits(self._key).data, insecure=insecure), eps)
        pool = self._authenticator.pool
        plan = self._calendar.get(self._block)
        pool.discard_unshared(self._peer_segments)
        if self.settings.replenish_bits:
            head, whole = whole.cut(self.settings.replenish_bits // 8)
            pool.replenish(head.key, segment=self._agreed_segment)
        block = accepted_block(
            self.settings,
            self._counts,
            whole.key,
            whole.eps,
            session=self.session,
            number=self._block,
            slots=(plan.first, plan.pulses) if plan is not None else (0, 0),
            output_bits=self._output_bits,
            leak=self._leak,
            leaks=self._leaks,
            eps_before=self._totals.eps,
        )
        self._totals.add(block)
        self._results.append(block)
        self._last_released = block.number, block.key.bits
        self._reasons = {}
        self._turn_to(self._block + 1)
        if pool.remaining_tags < TAGS_PER_BLOCK:
            self._give_up(self._starved())
        else:
            self._proceed()

    def _agree_segment(self, peer_next: int, peer_segments: tuple[int, ...]) -> None:
        self._agreed_segment = max(self._authenticator.pool.next_segment, peer_next)
        self._peer_segments = peer_segments

    def _check_bits(self) -> None:
        """End a block that is far bigger than it was aimed at. Nothing of it is taken: a block is never cut."""
        n, aim = self._counts.n, self.settings.block_bits
        if n > FACTOR * aim:
            text = f"{n} sifted bits came where about {aim} were aimed at"
            raise BlockAbortError(AbortReason.TOO_LARGE, text)

    def _check_key(self, length: int, reason: str) -> int:
        """Return the length of the key in bits, rounded down to whole bytes.

        Raises:
            BlockAbortError: There is none, or not more than authentication takes from it.
        """
        whole = length - length % 8
        if whole <= self.settings.replenish_bits:
            why = reason or f"{whole} bit are not more than the {self.settings.replenish_bits} bit for authentication"
            raise BlockAbortError(AbortReason.NO_KEY, f"no key: {why}")
        return whole


def check_qber(errors: int, n: int, limit: float) -> None:
    """Raise a `BlockAbortError` if more than `limit * n` errors were found; exactly that many are allowed."""
    if errors > math.floor(limit * n + 1e-9):
        raise BlockAbortError(
            AbortReason.QBER_TOO_HIGH, f"{errors} errors in {n} bit: the error rate is above {limit:.3f}"
        )
