"""How much is asked for lately."""

from __future__ import annotations

import math
from typing import Final

TIME_S: Final = 60.0
"""Over which time is averaged: what was asked for so long ago weighs 1/e."""


class Demand:
    """A rate, averaged over the last while."""

    def __init__(self) -> None:
        self._level = 0.0
        self._at_s = 0.0

    def add(self, amount: float, now_s: float) -> None:
        """Count what is asked for now."""
        self._level = self._level * self._weight(now_s) + amount
        self._at_s = now_s

    def rate(self, now_s: float) -> float:
        """Return the amount a second."""
        return self._level * self._weight(now_s) / TIME_S

    def _weight(self, now_s: float) -> float:
        return math.exp(-max(now_s - self._at_s, 0.0) / TIME_S)
