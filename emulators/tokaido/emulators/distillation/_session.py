"""One session of two distilling ends: hello, block and message numbers, aborts. Block contents are `Distiller`'s."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from enum import Enum, auto
from typing import TYPE_CHECKING, Any, ClassVar, Final

from tokaido.emulators.distillation._codec import MessageError
from tokaido.emulators.distillation._messages import (
    FROM_RECEIVER,
    FROM_TRANSMITTER,
    PROTOCOL_VERSION,
    SESSION_NONCE_BYTES,
    Abort,
    Accept,
    AnyMessage,
    BlockPlan,
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
    QuarantinedBlock,
)
from tokaido.emulators.distillation._settlement import Totals, Transcript
from tokaido.emulators.distillation._sifting import Calendar, PlannedBlock
from tokaido.hal import ConfigurationError, KeyMaterialError
from tokaido.hal.authentication import AuthenticationPool, OneTimeAuthenticator

if TYPE_CHECKING:
    from collections.abc import Callable

    from tokaido.emulators.distillation._settings import DistillationSettings

TAGS_PER_BLOCK: Final = 2
"""One-time tags that each end spends on a block: the transcript's and the accept's."""


class Phase(Enum):
    """How far the open block is."""

    SIFTING = auto()
    CORRECTING = auto()
    AMPLIFYING = auto()
    TAGGING = auto()
    ACCEPTING = auto()


class Session(ABC):
    """The public face of one end, and the order of its messages. `Distiller` says how it is used."""

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
        self._insecure = secret is not os.urandom or pool.insecure
        self._outbox: list[bytes] = []
        self._results: list[BlockResult] = []
        self._totals = Totals()
        self._calendar = Calendar()
        self._nonce = secret(SESSION_NONCE_BYTES)
        self._session = b""
        self._peer_hello = b""
        self._closed = False
        self._block = 0
        self._reasons: dict[int, AbortReason] = {}
        self._last_released: tuple[int, int] | None = None
        self._reset()
        self._hello = encode(
            Hello(
                *(PROTOCOL_VERSION, b"", 0, self._direction, 0),
                *(self._nonce, settings, permutation_digest(), self._insecure),
            )
        )
        self._outbox.append(self._hello)
        if pool.remaining_tags < TAGS_PER_BLOCK:
            self._give_up(self._starved())

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
        self._attempt(lambda: self._take(message))

    def outgoing(self) -> list[bytes]:
        """Return the messages for the peer, in order, and forget them."""
        messages, self._outbox = self._outbox, []
        return messages

    def results(self) -> list[BlockResult]:
        """Return the blocks that ended since the last call."""
        results, self._results = self._results, []
        return results

    @property
    def awaiting_peer(self) -> bool:
        """Whether the peer must speak next; if it does not for long, the owner calls `abort`."""
        return not self._closed and (not self._session or self._phase is not Phase.SIFTING)

    def abort(self, reason: AbortReason, text: str) -> None:
        """Give up the open block, erase its data and tell the peer."""
        if not self._closed:
            self._give_up(BlockAbortError(reason, text))

    def interrupt(self, text: str) -> None:
        """Give up the block whose pulses are being sent, if there is one: light was away. Later ones stay as said."""
        over = self._calendar.over
        for block in self._calendar.blocks():
            if block.first <= over < block.end:
                block.refuse(BlockAbortError(AbortReason.STOPPED, text))
        self._attempt(self._proceed)

    def close(self, text: str = "the session was stopped") -> None:
        """End the session, erase the open block, drop all raw data and tell the peer. May be called again.

        This is what a stop, or a move of the optical switch, does: no block spans two paths.
        """
        if not self._closed:
            self._give_up(BlockAbortError(AbortReason.STOPPED, text, session=True))

    def __repr__(self) -> str:
        return f"<{type(self).__name__} session {self.session or 'not open'} block {self._block}>"

    # --- for subclasses ---------------------------------------------------------------------------------------------

    @abstractmethod
    def _on(self, message: AnyMessage) -> None:
        """Take a message of the open block, of this session and in sequence."""

    @abstractmethod
    def _take_plan(self, plan: BlockPlan, data: bytes) -> None:
        """Take word of the slots of this block or a later one."""

    @abstractmethod
    def _opens(self, message: AnyMessage) -> bool:
        """Whether this message may open a later block."""

    @abstractmethod
    def _proceed(self) -> None:
        """Do what can be done now that the session or the block is new, or data came."""

    @abstractmethod
    def _erase(self) -> None:
        """Overwrite the key bits of the open block."""

    def _reset(self) -> None:
        """Begin a block with nothing in it."""
        self._phase = Phase.SIFTING
        self._sent = 0
        self._heard = 0
        self._transcript = Transcript()
        self._output_bits = 0
        plan = self._calendar.get(self._block)
        if plan is not None:
            self._begin(plan)

    def _begin(self, plan: PlannedBlock) -> None:
        """Begin the open block's messages with its plan, which the receiver sent."""
        self._transcript.add(FROM_RECEIVER, plan.message)
        if self._direction == FROM_RECEIVER:
            self._sent = 1
        else:
            self._heard = 1

    def _turn_to(self, block: int) -> None:
        """Open another block."""
        self._block = block
        self._erase()
        self._calendar.forget_before(block)
        self._reset()

    # --- messages ---------------------------------------------------------------------------------------------------

    def _attempt(self, act: Callable[[], None]) -> None:
        """Do something that may end the block or the session."""
        if self._closed:
            return
        try:
            act()
        except BlockAbortError as abort:
            self._give_up(abort)
        except MessageError as error:
            self._give_up(BlockAbortError(AbortReason.MALFORMED_MESSAGE, error.what))
        except KeyMaterialError as error:
            self._give_up(BlockAbortError(AbortReason.AUTH_KEY_EXHAUSTED, error.what, session=True))

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
            # Traffic of an earlier session is ignored, and so is any before the peer's HELLO.
            if self._session and self._peer_share(message.session) == self._peer_share(self._session):
                raise BlockAbortError(AbortReason.OUT_OF_ORDER, "our HELLO was altered on its way", session=True)
        elif message.version != PROTOCOL_VERSION:
            raise BlockAbortError(AbortReason.MALFORMED_MESSAGE, "another protocol version within a session")
        elif isinstance(message, BlockPlan) and message.block >= self._block:
            self._take_plan(message, data)
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

    def _peer_share(self, session: bytes) -> bytes:
        first, second = session[:SESSION_NONCE_BYTES], session[SESSION_NONCE_BYTES:]
        return second if self._direction == FROM_TRANSMITTER else first

    def _take_hello(self, hello: Hello, data: bytes) -> None:
        if self._session:
            if data != self._peer_hello:  # an abort would end its new session too
                self._end_block(AbortReason.PEER_MOVED_ON, "the peer began a new session", by_peer=True)
                self._end_session()
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
        self._insecure = self._insecure or hello.insecure
        ordered = (self._nonce, hello.nonce) if self._direction == FROM_TRANSMITTER else (hello.nonce, self._nonce)
        self._session = b"".join(ordered)
        self._outbox.append(self._hello)  # again: the peer may have started after the first one
        self._proceed()

    def _take_abort(self, abort: Abort) -> None:
        if abort.session not in (self._session, b""):
            return
        text = "".join(c if c.isprintable() else "?" for c in abort.text)
        if not abort.session or abort.block == self._block:
            self._end_block(abort.reason, text, by_peer=True)
            if not abort.session:
                self._end_session()
            else:
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
        self._turn_to(message.block)

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

    # --- the end of a block without key -----------------------------------------------------------------------------

    def _starved(self) -> BlockAbortError:
        left = self._authenticator.pool.remaining_tags
        text = f"{left} authentication pads are left and a block needs {TAGS_PER_BLOCK}"
        return BlockAbortError(AbortReason.AUTH_KEY_EXHAUSTED, text, session=True)

    def _give_up(self, abort: BlockAbortError) -> None:
        over = abort.session or not self._session
        self._send_abort(self._block, abort.reason, abort.what, session=over)
        self._end_block(abort.reason, abort.what, by_peer=False)
        if over:
            self._end_session()
        else:
            self._attempt(self._proceed)

    def _end_session(self) -> None:
        self._closed = True
        self._calendar.clear()

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
        self._turn_to(self._block + 1)
