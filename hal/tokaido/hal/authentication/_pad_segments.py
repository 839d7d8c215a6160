"""One stretch of one-time pads in memory, cut into two halves: one per direction."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

PAD_BYTES: Final = 16
"""Length of one pad s, of one tag, and of the hash key r, in bytes."""
OFFSET_BITS: Final = 32
"""An index is the number of a segment and, in so many bits below it, the offset of a pad in its half."""


@dataclass(slots=True)
class Segment:
    """One stretch of pads that both ends hold: the first half is the transmitter's, the second half the receiver's."""

    number: int
    buffer: bytearray
    pads: int
    """Pads per direction."""
    own_base: int
    peer_base: int
    own_next: int = 0
    peer_next: int = 0
    shared: bool = False
    """Whether the peer said, under a tag, that it holds this segment too."""

    @property
    def own_left(self) -> int:
        """Unspent pads of this end."""
        return self.pads - self.own_next

    @property
    def left(self) -> int:
        """Unspent pads of both ends."""
        return 2 * self.pads - self.own_next - self.peer_next

    def index(self, offset: int) -> int:
        """Return the index of the pad at `offset`, in either direction."""
        return self.number << OFFSET_BITS | offset

    def take(self) -> tuple[int, bytes]:
        """Return the offset and the bytes of the next own pad, which is erased here."""
        offset, start = self.own_next, self.own_base + self.own_next * PAD_BYTES
        pad = bytes(self.buffer[start : start + PAD_BYTES])
        self.drop_own(offset + 1)
        return offset, pad

    def peek(self, offset: int) -> bytes:
        """Return a pad of the peer, without spending it."""
        start = self.peer_base + offset * PAD_BYTES
        return bytes(self.buffer[start : start + PAD_BYTES])

    def drop_own(self, up_to: int) -> None:
        """Erase the pads of this end below an offset."""
        self._erase(self.own_base, self.own_next, up_to)
        self.own_next = up_to

    def drop_peer(self, up_to: int) -> None:
        """Erase the pads of the peer below an offset."""
        self._erase(self.peer_base, self.peer_next, up_to)
        self.peer_next = up_to

    def _erase(self, base: int, first: int, up_to: int) -> None:
        size = (up_to - first) * PAD_BYTES
        self.buffer[base + first * PAD_BYTES : base + first * PAD_BYTES + size] = bytes(size)

    def wipe(self) -> None:
        """Overwrite all pads."""
        self.buffer[:] = bytes(len(self.buffer))
