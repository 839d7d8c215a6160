"""The key blocks of a unit, from their birth to their commit."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, NamedTuple

from tokaido.emulators.units._digest import digest_of_block
from tokaido.hal import KeyMaterial

if TYPE_CHECKING:
    from tokaido.hal import KeyBlockInfo

CAPACITY = 64
"""Key blocks that may wait; with these no new block is begun."""
REMEMBERED = 1000
"""How much of what hosts said is remembered."""

Name = tuple[str, int]
"""Session and number of a block."""


@dataclass(slots=True)
class _Waiting:
    info: KeyBlockInfo
    key: KeyMaterial
    digest: str = field(repr=False)
    """Of the key that distillation verified; kept apart from it and never worked out again."""
    acked: bool = field(default=False)


class Offer(NamedTuple):
    """A block as it is offered to a host."""

    info: KeyBlockInfo
    key: KeyMaterial
    digest: str


class KeyStore:
    """Blocks that wait to be drawn, oldest first, and the names of those that were committed."""

    def __init__(self) -> None:
        self._waiting: dict[Name, _Waiting] = {}
        self._committed: set[Name] = set()
        self._locked: dict[Name, _Waiting] = {}
        self.told: deque[tuple[str, str, int]] = deque(maxlen=REMEMBERED)
        """What hosts said of blocks, oldest first: "ack" or "commit", session, number."""

    @property
    def waiting(self) -> int:
        """Number of blocks that wait to be drawn or committed."""
        return len(self._waiting)

    @property
    def committed(self) -> int:
        """Number of blocks that were committed."""
        return len(self._committed)

    @property
    def locked(self) -> int:
        """Number of blocks in quarantine."""
        return len(self._locked)

    @property
    def full(self) -> bool:
        """Whether no new block may be begun."""
        return self.waiting >= CAPACITY

    def add(self, info: KeyBlockInfo, key: KeyMaterial) -> None:
        """Keep a block that both boxes accepted."""
        self._waiting[info.session, info.number] = _Waiting(info, key, digest_of_block(info, key))

    def alter(self) -> None:
        """Alter one byte of the oldest block that waits, as a memory that fails would."""
        for block in list(self._waiting.values())[:1]:
            altered = bytearray(block.key.reveal())
            altered[len(altered) // 2] ^= 1
            block.key = KeyMaterial(altered, insecure=block.key.insecure)

    def lock_away(self, name: Name) -> None:
        """Put a block that waits into quarantine, where nobody can draw it."""
        if name in self._waiting:
            self._locked[name] = self._waiting.pop(name)

    def oldest(self, count: int) -> list[tuple[KeyBlockInfo, KeyMaterial]]:
        """Return the oldest uncommitted blocks, at most `count`."""
        return [(block.info, block.key) for block in list(self._waiting.values())[:count]]

    def offers(self, count: int) -> list[Offer]:
        """Return the oldest uncommitted blocks with their digests, at most `count`."""
        return [Offer(block.info, block.key, block.digest) for block in list(self._waiting.values())[:count]]

    def altered(self, count: int) -> list[Name]:
        """Return which of the oldest uncommitted blocks, at most `count`, have another key than they were born with."""
        oldest = list(self._waiting.items())[:count]
        return [name for name, block in oldest if digest_of_block(block.info, block.key) != block.digest]

    def digest(self, name: Name) -> str:
        """Return the digest of a block that waits, or an empty text for any other."""
        return self._waiting[name].digest if name in self._waiting else ""

    def ack(self, name: Name) -> Literal["acked", "committed"] | None:
        """Note that a block arrived; None when there never was one of this name."""
        if name not in self._waiting and name not in self._committed:
            return None
        self.told.append(("ack", *name))
        if name in self._committed:
            return "committed"
        self._waiting[name].acked = True
        return "acked"

    def commit(self, name: Name) -> Literal["committed", "not acked"] | None:
        """Overwrite a block that was acknowledged; None when there never was one of this name."""
        if name not in self._waiting and name not in self._committed:
            return None
        self.told.append(("commit", *name))
        if name in self._committed:
            return "committed"
        if not self._waiting[name].acked:
            return "not acked"
        self._waiting.pop(name).key.wipe()
        self._committed.add(name)
        return "committed"

    def release_locked(self) -> None:
        """Erase the blocks in quarantine."""
        for block in self._locked.values():
            block.key.wipe()
        self._locked.clear()

    def erase(self) -> None:
        """Erase every block; the names of committed ones stay."""
        for block in self._waiting.values():
            block.key.wipe()
        self._waiting.clear()
        self.release_locked()
