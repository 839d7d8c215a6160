"""Key channels that only push: key blocks come unasked over ZeroMQ PUB and SUB, and nobody acknowledges one."""

from __future__ import annotations

import itertools
import logging
from abc import ABC, abstractmethod
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Final

from tokaido.hal._clock import Clock, Deadline
from tokaido.hal._errors import ProtocolError
from tokaido.hal._key_digests import block_digest
from tokaido.hal._keys import KeyBlock, KeyBlockInfo, KeyMaterial
from tokaido.hal._secret_frames import SecretZmqTransport, wipe

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tokaido.hal.transports._resources import Resource

LISTENING_S: Final = 1.0
REMEMBERED: Final = 64
"""Blocks whose names are kept, so that one that is carried twice is handed out once."""
BEAT_MS: Final = 1000
"""How often the connection is tried: a unit that only sends may be silent because it is gone."""

logger = logging.getLogger("tokaido.hal.keys")


@dataclass(frozen=True, slots=True)
class PushedBlock:
    """What one message of a unit that pushes says."""

    info: KeyBlockInfo
    key: bytes = field(repr=False)
    """The key as it came, in a frame that is overwritten afterwards."""
    sequence: int | None = None
    """What counts the blocks that the unit pushes, one by one; None if it does not count."""
    digest: str = field(default="", repr=False)
    """What the unit states of key and facts (docs/protocols/toshiba.md, section 10); empty if it states nothing."""


class _Subscriber(SecretZmqTransport):
    queued = 1000

    def __init__(self, resource: Resource, topic: bytes, *, clock: Clock, timeout_s: float) -> None:
        super().__init__(resource, clock=clock, timeout_s=timeout_s)
        self._topic = topic

    def _make_socket(self) -> Any:
        import zmq  # noqa: PLC0415 - loaded by those who use it

        socket: Any = zmq.Context.instance().socket(zmq.SUB)
        socket.setsockopt(zmq.SUBSCRIBE, self._topic)
        socket.setsockopt(zmq.HEARTBEAT_IVL, BEAT_MS)
        socket.setsockopt(zmq.HEARTBEAT_TIMEOUT, 3 * BEAT_MS)
        return socket

    def _salvage(self) -> None:
        """Hand on what came before the connection ended: nobody sends it again."""
        if self._socket is not None:
            self._hand_on_waiting(0.0)


class PushedKeys(ABC):
    """Takes the key blocks that one unit pushes.

    A driver says what a message is, in `_unpack`. What comes while nobody draws waits here, up to what ZeroMQ queues. A
    block that was lost or altered is not sent again: the next one says how many are missing (`KeyBlock.lost`).
    """

    topic: ClassVar[bytes] = b""
    """What the first frame of a message with a key begins with."""

    @abstractmethod
    def _unpack(self, frames: list[bytes]) -> PushedBlock | None:
        """Return the block that a message carries, or None for one that carries none.

        The frames are overwritten when the message was dealt with. A `ValueError`, a `LookupError` or a `ProtocolError`
        says that it is not a message of this protocol: it is dropped, and the gap is told.
        """

    def __init__(self, resource: Resource, device: str, serial_number: str, *, clock: Clock, timeout_s: float) -> None:
        self._device = device
        self._serial_number = serial_number
        self._clock = clock
        self._waiting: deque[KeyBlock] = deque()
        self._recent: deque[tuple[str, str, int]] = deque(maxlen=REMEMBERED)
        self._sequence: int | None = None
        self._dropped = 0
        self._connection = 0
        self._transport = _Subscriber(resource, self.topic, clock=clock, timeout_s=timeout_s)
        self._transport.device = device
        self._transport.unsolicited = self._arrived

    def open(self) -> None:
        """Subscribe: what the unit pushes from now on is kept.

        Raises:
            TransportError: The unit cannot be reached.
        """
        self._transport.open()

    def close(self) -> None:
        """Disconnect, and overwrite the blocks that nobody took. May be called again."""
        self._transport.close()
        while self._waiting:
            self._waiting.popleft().key.wipe()

    def key_blocks(self, timeout: float, limit: int | None) -> Iterator[KeyBlock]:
        """Hand out the blocks that came, oldest first, until none comes for `timeout` s or `limit` were handed out."""
        for _ in range(limit) if limit is not None else itertools.count():
            self._wait(timeout)
            if not self._waiting:
                return
            yield self._waiting.popleft()

    def _wait(self, timeout: float) -> None:
        deadline = Deadline(self._clock, timeout)
        while not self._waiting:
            self._transport.listen(min(deadline.remaining_s, LISTENING_S))
            if deadline.passed:
                return

    # --- what arrives, with the transport's lock held -----------------------------------------------------------------

    def _arrived(self, frames: list[bytes]) -> None:
        try:
            pushed = self._unpack(frames)
            if pushed is not None and pushed.info.serial_number == self._serial_number:
                self._take(pushed)
        except (ValueError, LookupError, RecursionError, ProtocolError):
            self._drop("a message that is not a block")
        finally:
            wipe(frames)

    def _take(self, pushed: PushedBlock) -> None:
        info = pushed.info
        if info.name in self._recent:
            return
        key = KeyMaterial(pushed.key, insecure=info.insecure)
        if not len(key) or key.bits != info.bits or (pushed.digest and block_digest(info, key) != pushed.digest):
            key.wipe()
            self._drop("a block that was altered")
            return
        lost = self._lost_before(pushed.sequence)
        if lost != 0:
            count = "an unknown number of" if lost is None else lost
            logger.warning("%s: %s blocks were lost before %s/%d", self._device, count, info.session, info.number)
        self._recent.append(info.name)
        self._waiting.append(KeyBlock(info, key, _nothing, lost))

    def _drop(self, what: str) -> None:
        self._dropped += 1
        logger.warning("%s: %s was dropped", self._device, what)

    def _lost_before(self, sequence: int | None) -> int | None:
        """Return how many blocks are missing before this one, or None if nobody can know."""
        last, self._sequence = self._sequence, sequence
        dropped, self._dropped = self._dropped, 0
        before, self._connection = self._connection, self._transport.generation
        if sequence is not None and last is not None:
            return sequence - last - 1 if sequence > last else None  # a unit that began again counts from 1
        return dropped if before in (0, self._connection) else None


def _nothing() -> None:
    """Commit a pushed block: the unit has forgotten it already."""
