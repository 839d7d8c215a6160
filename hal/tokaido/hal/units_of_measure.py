"""Units of measure as this project writes them: the text beside a value, `unit="dBm"`. Any other text is as good.

Symbols follow the SI brochure where ASCII allows it; rates count what they count (`bit/s`, `1/s`, `photon/pulse`).
"""

from __future__ import annotations

import math
from typing import Final

NONE: Final = ""
"""Of a pure number: a fraction, a word, a flag."""
DBM: Final = "dBm"
DB: Final = "dB"
DEGREE_CELSIUS: Final = "degC"
KELVIN: Final = "K"
AMPERE: Final = "A"
MILLIAMPERE: Final = "mA"
MICROAMPERE: Final = "uA"
VOLT: Final = "V"
NANOMETRE: Final = "nm"
HERTZ: Final = "Hz"
PER_SECOND: Final = "1/s"
SECOND: Final = "s"
NANOSECOND: Final = "ns"
PICOSECOND: Final = "ps"
RADIAN: Final = "rad"
DEGREE: Final = "deg"
BIT: Final = "bit"
BIT_PER_SECOND: Final = "bit/s"
PHOTON_PER_PULSE: Final = "photon/pulse"


def to_dbm(watts: float) -> float:
    """Return a power in W as dBm, its level over 1 mW.

    Raises:
        ValueError: The power is not above 0 W.
    """
    if not 0 < watts < math.inf:
        raise ValueError(f"{watts!r} W has no level in dBm")
    return 10 * math.log10(watts) + 30


def to_watts(dbm: float) -> float:
    """Return a power in dBm as W."""
    return float(10 ** ((dbm - 30) / 10))
