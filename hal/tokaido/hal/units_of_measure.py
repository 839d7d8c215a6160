"""Units of measure as this project writes them: the text beside a value, `unit="dBm"`. Any other text is as good.

Symbols follow the SI brochure where ASCII allows it; rates count what they count (`bit/s`, `1/s`, `photon/pulse`).
"""

from __future__ import annotations

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
BIT: Final = "bit"
BIT_PER_SECOND: Final = "bit/s"
PHOTON_PER_PULSE: Final = "photon/pulse"
