"""The two kinds of detectors: what an alignment sets, and what they make of their bias."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

    from tokaido.emulators.nec._commands import Detectors

WIRE_CENTRE_UA: Final = 13.0
"""Bias at which a nanowire has half of its greatest efficiency, uA (assumed)."""
WIRE_WIDTH_UA: Final = 1.1
"""How steeply its efficiency rises there, uA (assumed)."""
WIRE_LATCHES_UA: Final = 22.0
"""Bias above which a nanowire stays resistive and counts nothing, uA (assumed)."""
DIODE_PER_VOLT: Final = 0.02
"""What a volt of excess bias adds to the efficiency of a photodiode (assumed)."""
DIODE_AT_MOST: Final = 0.32
LEAST: Final = 1e-3
"""A lower efficiency counts as none."""


@dataclass(frozen=True, slots=True)
class DetectorKind:
    """Detectors of one kind. Biases in uA or V, temperatures in K or degC, times in s, rates in 1/s."""

    letter: str
    """Last letter of the receiver's model."""
    optics: str
    """Name of the preset that says what a receiver with such detectors is built of."""
    working_bias: float
    working_efficiency: float
    dark_rate: float
    warmup_limit_s: float
    temperature_limit: float
    """Deviation from the set point beyond which `DET_TEMP` comes."""
    runaway: float
    """How far the fault of a runaway temperature drives a detector off its set point."""
    efficiency_at: Callable[[float], float]


def wire_efficiency(bias_ua: float) -> float:
    """Return the efficiency of a nanowire: it rises, saturates around 18 uA, and is 0 where the wire latches."""

    def rise(bias: float) -> float:
        return 1 / (1 + math.exp((WIRE_CENTRE_UA - bias) / WIRE_WIDTH_UA))

    if bias_ua > WIRE_LATCHES_UA:
        return 0.0
    efficiency = 0.5 * rise(bias_ua) / rise(18.0)
    return efficiency if efficiency >= LEAST else 0.0


def diode_efficiency(bias_v: float) -> float:
    """Return the efficiency of a photodiode: 0 below breakdown, then 0.02 more with every volt."""
    efficiency = 0.15 + DIODE_PER_VOLT * (bias_v - 62.0)
    return min(efficiency, DIODE_AT_MOST) if efficiency >= LEAST else 0.0


KINDS: Final[dict[Detectors, DetectorKind]] = {
    "nanowire": DetectorKind("S", "nec-sspd", 18.0, 0.5, 100.0, 12 * 3600.0, 0.3, 1.0, wire_efficiency),
    "avalanche": DetectorKind("A", "nec-apd", 62.0, 0.15, 3750.0, 600.0, 2.0, 5.0, diode_efficiency),
}
"""Both kinds; efficiencies and dark counts are those of their presets."""
