"""What both ends of distillation share: sessions, sequence, transcripts, authentication, and the end of a block.

The final exchange, with the authentication put off to the end of the block (compare arXiv:2601.17960):

    transmitter                                   receiver
    Amplify, TranscriptTag  ------------------->  verifies, amplifies
    verifies, amplifies     <-------------------  TranscriptTag
    Accept                  ------------------->  verifies, releases its key
    verifies, releases      <-------------------  Accept

Whoever sends last cannot know whether it arrived. A transmitter whose Accept is not answered therefore quarantines the
block: its key is erased and the block is reported, since the receiver may have released the same key.
"""

from __future__ import annotations

import math
import os
from abc import ABC, abstractmethod
from enum import Enum, auto
from typing import TYPE_CHECKING, Any, ClassVar, Final, TypeVar

import numpy as np

from tokaido.emulators.distillation._amplification import toeplitz_hash
from tokaido.emulators.distillation._codec import MessageError
from tokaido.emulators.distillation._messages import (
    FROM_RECEIVER,
    FROM_TRANSMITTER,
    PROTOCOL_VERSION,
    SESSION_NONCE_BYTES,
    TAG_BYTES,
    Abort,
    Accept,
    AnyMessage,
    Direction,
    Hello,
    TranscriptTag,
    decode,
    encode,
)
from tokaido.emulators.distillation._permutation import permutation_digest
from tokaido.emulators.distillation._results import (
    AbortedBlock,
    AbortReason,
    BlockAbortError,
    BlockResult,
    DistillationStatistics,
    QuarantinedBlock,
)
from tokaido.emulators.distillation._settlement import BlockCounts, Totals, Transcript, accepted_block
from tokaido.hal._authenticator import AuthenticationPool, OneTimeAuthenticator
from tokaido.hal._errors import AuthenticationError, ConfigurationError, KeyMaterialError
from tokaido.hal._keys import KeyMaterial

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from tokaido.emulators.distillation._settings import DistillationSettings

M = TypeVar("M")
TAGS_PER_BLOCK: Final = 2
"""One-time tags that each end spends on a block: the transcript's and the accept's."""


class Phase(Enum):
    """How far the open block is."""

    SIFTING = auto()
    CORRECTING = auto()
    AMPLIFYING = auto()
    TAGGING = auto()
    ACCEPTING = auto()


class Distiller(ABC):
    """One end of distillation: data and messages in, messages and results out. It knows no socket, thread or clock.

    Hand it raw data with `add` and the peer's messages, complete and in order, with `receive`; after either, carry
    `outgoing()` to the peer and collect `results()`. What the peer sends never raises: it ends as an `AbortedBlock`.
    A lost message stalls the block, and only the owner has a clock: it calls `abort(AbortReason.TIMED_OUT, ...)`.

    Args:
        settings: The same at both ends.
        pool: This end's authentication pads. It outlives the session.
        secret: Source of secret and of unpredictable public bytes. Anything but `os.urandom` marks keys `insecure`.

    Raises:
        ConfigurationError: The pool belongs to the other end.
    """

    _end: ClassVar[str]
    _direction: ClassVar[Direction]

    def __init__(
        self,
        settings: DistillationSettings,
        pool: AuthenticationPool,
        *,
        secret: Callable[[int], bytes] = os.urandom,
    ) -> None:
        if pool.end != self._end:
            raise ConfigurationError(f"a {self._end} needs its own authentication pool, not that of the {pool.end}")
        self.settings: Final = settings
        self._authenticator = OneTimeAuthenticator(pool)
        self._secret = secret
        self._insecure = secret is not os.urandom
        self._outbox: list[bytes] = []
        self._results: list[BlockResult] = []
        self._totals = Totals()
        self._nonce = secret(SESSION_NONCE_BYTES)
        self._session = b""
        self._peer_hello = b""
        self._closed = False
        self._block = 0
        self._reasons: dict[int, AbortReason] = {}
        self._last_released: tuple[int, int] | None = None
        self._reset()
        self._hello = encode(
            Hello(PROTOCOL_VERSION, b"", 0, self._direction, 0, self._nonce, settings, permutation_digest())
        )
        self._outbox.append(self._hello)
        if pool.remaining_tags < TAGS_PER_BLOCK:
            self._give_up(self._starved())

    # --- what the owner calls ---------------------------------------------------------------------------------------

    @property
    def session(self) -> str:
        """Identifier of the session as hex, empty until both ends have said hello."""
        return self._session.hex()

    @property
    def closed(self) -> bool:
        """Whether the session is over; start a new one with new objects and the same pool."""
        return self._closed

    def receive(self, message: bytes) -> None:
        """Take one message of the peer."""
        if self._closed:
            return
        try:
            self._take(message)
        except BlockAbortError as abort:
            self._give_up(abort)
        except MessageError as error:
            self._give_up(BlockAbortError(AbortReason.MALFORMED_MESSAGE, error.what))
        except KeyMaterialError as error:
            self._give_up(BlockAbortError(AbortReason.AUTH_KEY_EXHAUSTED, error.what, session=True))

    def outgoing(self) -> list[bytes]:
        """Return the messages for the peer, in order, and forget them."""
        messages, self._outbox = self._outbox, []
        return messages

    def results(self) -> list[BlockResult]:
        """Return the blocks that ended since the last call."""
        results, self._results = self._results, []
        return results

    def abort(self, reason: AbortReason, text: str) -> None:
        """Give up the open block, erase its data and tell the peer."""
        if not self._closed:
            self._give_up(BlockAbortError(reason, text))

    def close(self, text: str = "the session was stopped") -> None:
        """End the session, erase the open block and tell the peer. May be called again."""
        if not self._closed:
            self._give_up(BlockAbortError(AbortReason.STOPPED, text, session=True))

    @property
    def statistics(self) -> DistillationStatistics:
        """Telemetry of this end."""
        totals = self._totals
        return DistillationStatistics(
            block=self._block,
            fill=min(self._counts.n / self.settings.block_bits, 1.0),
            sifted_bits=totals.sifted_bits,
            qber_key=totals.qber_key,
            qber_check=self._counts.qber_check if self._counts.check_total else totals.qber_check,
            efficiency=totals.efficiency,
            leaked_bits=totals.leaked_bits,
            key_bits=totals.key_bits,
            accepted=totals.accepted,
            aborted=totals.aborted,
            quarantined=totals.quarantined,
            verification_failures=totals.verification_failures,
            auth_bits_remaining=self._authenticator.pool.remaining_bits,
            eps_total=totals.eps_total,
        )

    def __repr__(self) -> str:
        return f"<{type(self).__name__} session {self.session or 'not open'} block {self._block}>"

    # --- messages ---------------------------------------------------------------------------------------------------

    @abstractmethod
    def _on(self, message: AnyMessage) -> None:
        """Take a message of the open block, of this session and in sequence."""

    @abstractmethod
    def _opens(self, message: AnyMessage) -> bool:
        """Whether this message may open a later block."""

    @abstractmethod
    def _proceed(self) -> None:
        """Do what can be done now that the session or the block is new, or data came."""

    def _erase(self) -> None:
        """Overwrite the key bits of the open block."""
        for array in (*self._parts, self._bits, self._key):
            array.fill(0)

    def _reset(self) -> None:
        """Begin a block with nothing in it."""
        self._phase = Phase.SIFTING
        self._counts = BlockCounts()
        self._sent = 0
        self._heard = 0
        self._transcript = Transcript()
        self._parts: list[NDArray[np.uint8]] = []
        self._bits: NDArray[np.uint8] = np.empty(0, np.uint8)
        self._key: NDArray[np.uint8] = np.empty(0, np.uint8)
        self._leak = 0
        self._verifications = 0
        self._output_bits = 0
        self._tags: dict[int, bytes] = {}
        self._peer_segments: tuple[int, ...] = ()
        self._agreed_segment = 0

    def _take(self, data: bytes) -> None:
        message = decode(data)
        if message.direction == self._direction:
            if isinstance(message, Abort):  # our own abort, reflected: answering would never end
                return
            raise BlockAbortError(AbortReason.OUT_OF_ORDER, "a message came back to its sender")
        if isinstance(message, Hello):
            self._take_hello(message, data)
        elif isinstance(message, Abort):
            self._take_abort(message)
        elif message.session != self._session:
            if not self._session:
                raise BlockAbortError(AbortReason.OUT_OF_ORDER, "the peer's HELLO is missing", session=True)
        elif message.version != PROTOCOL_VERSION:
            raise BlockAbortError(AbortReason.MALFORMED_MESSAGE, "another protocol version within a session")
        elif message.block < self._block:
            if message.block in self._reasons:  # the peer missed our abort
                self._send_abort(message.block, self._reasons[message.block], "this block was given up")
        else:
            if message.block > self._block:
                self._follow(message)
            if message.sequence != self._heard:
                raise BlockAbortError(
                    AbortReason.OUT_OF_ORDER, f"message {message.sequence} came instead of {self._heard}"
                )
            self._heard += 1
            if not isinstance(message, TranscriptTag | Accept):
                self._transcript.add(message.direction, data)
            self._on(message)

    def _take_hello(self, hello: Hello, data: bytes) -> None:
        if self._session:
            if data != self._peer_hello:
                raise BlockAbortError(AbortReason.OUT_OF_ORDER, "a second, different HELLO came")
            return
        differences = self.settings.differences(hello.settings)
        if hello.version != PROTOCOL_VERSION:
            differences.append(f"protocol version ({PROTOCOL_VERSION}, {hello.version})")
        if hello.permutation_digest != permutation_digest():
            differences.append("permutation digest")
        if differences:
            text = "the settings of the two ends differ: " + ", ".join(differences)
            raise BlockAbortError(AbortReason.SETTINGS_MISMATCH, text, session=True)
        self._peer_hello = data
        ordered = (self._nonce, hello.nonce) if self._direction == FROM_TRANSMITTER else (hello.nonce, self._nonce)
        self._session = b"".join(ordered)
        self._proceed()

    def _take_abort(self, abort: Abort) -> None:
        if abort.session not in (self._session, b""):
            return
        text = "".join(c if c.isprintable() else "?" for c in abort.text)
        if not abort.session or abort.block == self._block:
            self._end_block(abort.reason, text, by_peer=True)
            self._closed = self._closed or not abort.session
            self._proceed()
        elif self._last_released is not None and abort.block == self._last_released[0]:
            number, bits = self._last_released
            self._last_released = None
            self._totals.quarantined += 1
            self._results.append(QuarantinedBlock(self.session, number, bits, abort.reason, text, released=True))

    def _follow(self, message: AnyMessage) -> None:
        if not self._opens(message):
            raise BlockAbortError(AbortReason.OUT_OF_ORDER, f"a message of block {message.block} came early")
        if self._heard or self._sent:
            self._end_block(AbortReason.PEER_MOVED_ON, "the peer opened another block", by_peer=False)
        self._block = message.block

    def _header(self) -> tuple[int, bytes, int, int, int]:
        return PROTOCOL_VERSION, self._session, self._block, self._direction, self._sent

    def _send(self, kind: Callable[..., Any], *fields: object) -> None:
        """Encode a message, number it, enter it into the transcript and put it into the outbox."""
        message = kind(*self._header(), *fields)
        data = encode(message)
        self._sent += 1
        if not isinstance(message, TranscriptTag | Accept):
            self._transcript.add(self._direction, data)
        self._outbox.append(data)

    def _send_abort(self, block: int, reason: AbortReason, text: str, *, session: bool = False) -> None:
        name = b"" if session else self._session
        self._outbox.append(encode(Abort(PROTOCOL_VERSION, name, block, self._direction, 0, reason, text[:300])))

    def _require(self, phase: Phase, message: AnyMessage) -> None:
        if self._phase is not phase:
            raise BlockAbortError(
                AbortReason.OUT_OF_ORDER, f"a {type(message).__name__} came while {self._phase.name.lower()}"
            )

    # --- the end of a block -----------------------------------------------------------------------------------------

    def _starved(self) -> BlockAbortError:
        left = self._authenticator.pool.remaining_tags
        return BlockAbortError(
            AbortReason.AUTH_KEY_EXHAUSTED, f"{left} authentication pads are left and a block needs 2", session=True
        )

    def _give_up(self, abort: BlockAbortError) -> None:
        over = abort.session or not self._session
        self._send_abort(self._block, abort.reason, abort.what, session=over)
        self._end_block(abort.reason, abort.what, by_peer=False)
        self._closed = over
        if not over:
            self._proceed()

    def _end_block(self, reason: AbortReason, text: str, *, by_peer: bool) -> None:
        if self._phase is Phase.ACCEPTING and self._direction == FROM_TRANSMITTER:
            self._totals.quarantined += 1
            self._results.append(
                QuarantinedBlock(self.session, self._block, self._output_bits, reason, text, released=False)
            )
        else:
            self._totals.aborted += 1
            self._results.append(AbortedBlock(self.session, self._block, reason, text, by_peer))
        self._reasons = {self._block: reason}
        self._block += 1
        self._erase()
        self._reset()

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

    def _release(self, leak_alice: int, leak_bob: int) -> None:
        """Report the key, feed the authentication pool from its head, and open the next block."""
        insecure = self._insecure or self._authenticator.pool.insecure
        key = KeyMaterial(np.packbits(self._key).data, insecure=insecure)
        pool = self._authenticator.pool
        pool.discard_unshared(self._peer_segments)
        if self.settings.replenish_bits:
            head, key = key.split(self.settings.replenish_bits // 8)
            pool.replenish(head, segment=self._agreed_segment)
        authenticated = sum(map(len, self._transcript_parts(self._direction)))
        block = accepted_block(
            self.settings,
            self._counts,
            key,
            session=self.session,
            number=self._block,
            output_bits=self._output_bits,
            leaks=(leak_alice, leak_bob),
            verifications=self._verifications,
            authenticated_bytes=(authenticated, len(self._accept_parts(0)[0]) + 2 * TAG_BYTES),
        )
        self._totals.add(block)
        self._results.append(block)
        self._last_released = block.number, block.key.bits
        self._reasons = {}
        self._block += 1
        self._erase()
        self._reset()
        if pool.remaining_tags < TAGS_PER_BLOCK:
            self._give_up(self._starved())
        else:
            self._proceed()

    def _agree_segment(self, peer_next: int, peer_segments: tuple[int, ...]) -> None:
        self._agreed_segment = max(self._authenticator.pool.next_segment, peer_next)
        self._peer_segments = peer_segments

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
