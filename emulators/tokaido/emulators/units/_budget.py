"""What a unit does not spend of its authentication key: a reserve for restarts, and attempts beyond so many an hour."""

from __future__ import annotations

from typing import Final

from tokaido.hal.authentication import PADS_PER_BLOCK, PadBudget

RESTARTS: Final = 16
"""Restarts that the reserve of a pre-shared key is for."""
BATCH: Final = 4
"""Pads that are reserved at a time, and so what a restart costs: a proof, one block, and one pad over."""
LOW_BLOCKS: Final = 16
"""With authentication key for fewer blocks the alarm comes, and fresh key goes to the pool before it is offered."""
FULL_BLOCKS: Final = 31
"""With fewer a pool asks for a share of each block: it is what 4096 bytes hold beside the reserve."""
BUDGET: Final = PadBudget(reserve=RESTARTS * BATCH, low=LOW_BLOCKS * PADS_PER_BLOCK, full=FULL_BLOCKS * PADS_PER_BLOCK)
"""The budget of every link of a unit."""
ATTEMPTS_PER_HOUR: Final = 16
"""Attempts that may fail within an hour: proofs that the peer did not answer, blocks that spent pads for no key."""
HOUR_NS: Final = 3_600_000_000_000


class Attempts:
    """The attempts that cost authentication key and came to nothing, since the unit came up."""

    def __init__(self) -> None:
        self._made: dict[int, int] = {}
        self._last = 0

    def left(self, now_ns: int) -> int:
        """Return how many more may be made now."""
        if not self._made:
            return ATTEMPTS_PER_HOUR
        for number in [number for number, made_ns in self._made.items() if now_ns - made_ns >= HOUR_NS]:
            del self._made[number]
        return max(0, ATTEMPTS_PER_HOUR - len(self._made))

    def note(self, now_ns: int) -> int:
        """Count one that is made now, and return its number."""
        self._last += 1
        self._made[self._last] = now_ns
        return self._last

    def forgive(self, number: int) -> None:
        """Count one no longer: it succeeded."""
        self._made.pop(number, None)
