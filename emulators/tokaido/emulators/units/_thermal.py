"""Temperatures that settle exponentially."""

from __future__ import annotations

import math

AMBIENT = 23.0
"""Temperature of the room, degC; a body that is told in K is given its own."""
OFF_TAU_S = 120.0
"""Time constant with which a body returns to the room's temperature when nothing regulates it, s."""


class Body:
    """Something with a temperature, a set point, and a time constant.

    Args:
        set_point: Temperature that it is regulated to, in degC or in K.
        tau_s: Time constant of the regulation, s.
        settled_within: Deviation that counts as in range: half of the operational limits.
        ambient: Temperature of the room on the same scale.
    """

    def __init__(self, set_point: float, tau_s: float, *, settled_within: float, ambient: float = AMBIENT) -> None:
        self.set_point = set_point
        self.tau_s = tau_s
        self.settled_within = settled_within
        self.ambient = ambient
        self.temperature = ambient
        self.offset = 0.0
        """What a fault adds to the set point."""
        self.stuck = False
        """Whether the regulation is dead."""

    @property
    def deviation(self) -> float:
        """Distance from the set point."""
        return self.temperature - self.set_point

    @property
    def in_range(self) -> bool:
        """Whether the temperature lies within its operational limits."""
        return abs(self.deviation) <= self.settled_within

    def settle(self) -> None:
        """Be where a unit that has long been on would be."""
        self.temperature = self.set_point

    def advance(self, seconds: float, *, regulated: bool) -> None:
        """Let `seconds` pass."""
        regulated = regulated and not self.stuck
        target = self.set_point + self.offset if regulated else self.ambient
        if self.temperature == target:
            return
        tau_s = self.tau_s if regulated else OFF_TAU_S
        self.temperature = target + (self.temperature - target) * math.exp(-seconds / tau_s)
