"""The cryostat of superconducting nanowires: days of cold by a supply of its own (docs/protocols/nec.md section 3)."""

from __future__ import annotations

import math
from typing import Final

from tokaido.emulators.units import Body

BASE_K: Final = 2.2
ROOM_K: Final = 296.0
COOL_DOWN_S: Final = 6 * 3600.0
"""Time from room temperature to the set point, s."""
LAST_KELVINS: Final = 4.0
"""Below this temperature, in K, hardly any heat capacity is left, and the rest goes exponentially (assumed)."""
LAST_TAU_S: Final = 20.0
"""Time constant of that, s (assumed)."""
WARMING_TAU_S: Final = 3600.0
"""Time constant with which it warms up when its cooling stops, s (assumed)."""
_RATE_K_PER_S: Final = (ROOM_K - LAST_KELVINS) / (COOL_DOWN_S - LAST_TAU_S * math.log((LAST_KELVINS - BASE_K) / 0.1))


class Cryostat(Body):
    """Holds all nanowires of a receiver; its temperatures are in K. It is cold when the receiver is delivered.

    Whether the unit is powered is all the same to it; only the fault of its cooling (`stuck`) is not.
    """

    def __init__(self) -> None:
        super().__init__(BASE_K, LAST_TAU_S, settled_within=0.1, ambient=ROOM_K)
        self.settle()

    def advance(self, seconds: float, *, regulated: bool) -> None:  # noqa: ARG002 - it has a supply of its own
        """Let `seconds` pass: it warms up exponentially, and cools at a steady rate but for the last kelvins."""
        if self.stuck:
            self.temperature = ROOM_K + (self.temperature - ROOM_K) * math.exp(-seconds / WARMING_TAU_S)
            return
        above_s = max(self.temperature - LAST_KELVINS, 0.0) / _RATE_K_PER_S
        if above_s >= seconds:
            self.temperature -= seconds * _RATE_K_PER_S
            return
        target = self.set_point + self.offset
        start = min(self.temperature, LAST_KELVINS)
        self.temperature = target + (start - target) * math.exp(-(seconds - above_s) / LAST_TAU_S)
