"""How many pulses the next block has: the one choice that the receiver makes of what it detected before."""

from __future__ import annotations

import math
from typing import Final

from tokaido.emulators.distillation._messages import MOST_PULSES
from tokaido.emulators.distillation._settings import FACTOR

ENOUGH_CLICKS: Final = 1000
"""Detections that a first block is planned by; fewer for blocks of few bits."""
_SPARE_CLICKS: Final = 10_000


class DetectionRate:
    """What the receiver's detections promise.

    A plan is said while an earlier block is still being sent, so nothing may enter it that depends on the bases of that
    block: it takes the detections of either basis together, and what sifting left of blocks that are over. For the
    first plan the receiver looks at its own bases in slots that are in no block.
    """

    def __init__(self) -> None:
        self._kept = 0.0  # share of detections that sifting leaves as key bits
        self._pulses: int | None = None
        self._earlier = (0, 0)
        self._slots = self._clicks = self._in_key = 0
        self.expected_bits = 0.0
        """Sifted key bits that all detections since the first plan promise."""

    def note(self, slots: int, clicks: int, in_key: int) -> None:
        """Take the clicks of so many slots, and how many of them are in the key basis."""
        self._slots += slots
        self._clicks += clicks
        self._in_key += in_key if self._pulses is None else 0
        self.expected_bits += clicks * self._kept

    def learn(self, sifted: int, clicks: int) -> None:
        """Take what sifting left of the clicks of a block that is over."""
        if clicks >= ENOUGH_CLICKS:
            self._kept = sifted / clicks

    def plan(self, bits: int) -> tuple[int, float] | None:
        """Return the pulses of a block of about so many sifted key bits, and the detections that are too many for it.

        None while too little was detected to tell.
        """
        slots, clicks = self._earlier[0] + self._slots, self._earlier[1] + self._clicks
        if self._pulses is None:
            if clicks < min(ENOUGH_CLICKS, bits // 10):
                return None
            self._kept = max((self._in_key / clicks) ** 2, 1 / clicks)  # as if both ends chose their bases alike
        bits_per_pulse = clicks * self._kept / slots if slots else 0.0
        wanted = bits / bits_per_pulse if bits_per_pulse else math.inf
        lowest, highest = 1, MOST_PULSES
        if self._pulses is not None:
            lowest, highest = max(self._pulses // FACTOR, 1), min(self._pulses * FACTOR, MOST_PULSES)
        self._pulses = math.ceil(min(max(wanted, lowest), highest))
        if self._clicks >= ENOUGH_CLICKS:
            self._earlier = self._slots, self._clicks
            self._slots = self._clicks = 0
        return self._pulses, FACTOR * clicks / max(slots, 1) * self._pulses + _SPARE_CLICKS
