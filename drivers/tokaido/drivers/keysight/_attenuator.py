"""The Keysight N7751A and N7761A over SCPI: docs/protocols/keysight.md."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, ClassVar, Final

import tokaido.hal as hal
from tokaido.hal.driver import (
    Answer,
    ScpiDevice,
    decode,
    measured,
    setting,
    unsupported,
)
from tokaido.hal.units_of_measure import to_dbm

if TYPE_CHECKING:
    from collections.abc import Mapping

VENDORS: Final = re.compile(r"keysight|agilent", re.IGNORECASE)
MODELS: Final = re.compile(r"N77[56]1[A-Z]", re.IGNORECASE)
"""Boxes of one attenuator."""
LARGER: Final = re.compile(r"N77(?:52|62|64|66|68)[A-Z]", re.IGNORECASE)
ATTENUATION: Final = ":INP1:ATT"
OFFSET: Final = ":INP1:OFFS"
WAVELENGTH: Final = ":INP1:WAV"
SHUTTER: Final = ":OUTP1:STAT"
POWER: Final = ":READ1:POW"
QUESTIONS: Final = {
    ATTENUATION: f"{ATTENUATION}?;{OFFSET}?",
    WAVELENGTH: f"{WAVELENGTH}?",
    SHUTTER: f"{SHUTTER}?",
    POWER: f":OUTP1:POW:UN?;{POWER}?",
}
DBM, WATT = 0, 1
"""Units of measure as the box numbers them."""


class Attenuator(hal.VariableAttenuator, ScpiDevice):
    """A Keysight N7751A or N7761A: one attenuator, 0 to 40 dB, with a shutter and a power monitor."""

    resource_kinds: ClassVar[Mapping[str, frozenset[str]]] = {"control": frozenset({"visa"})}
    protocol: ClassVar[str] = "Keysight N77xx SCPI"
    capabilities = frozenset({hal.AttenuatorCapability.WAVELENGTH, hal.AttenuatorCapability.POWER_MONITOR})

    attenuation = setting(float, ATTENUATION, unit="dB", range=(0, 40), resolution=0.005)
    """Control what the filter takes away, 0 to 40 dB, whatever offset the box adds to its own display."""
    blocked = setting(bool, SHUTTER, words=("1", "0"))
    """Control the shutter; the box says whether it is open."""
    wavelength = setting(float, WAVELENGTH, unit="nm", range=(1260, 1640), resolution=0.001)
    """Control the wavelength that the filter is calibrated for, 1260 to 1640 nm."""
    insertion_loss = unsupported(float, "no command of the box tells it")
    """Not here: no command tells it."""
    output_power = measured(float, POWER, unit="dBm")
    """Measure the power behind the attenuator; no data where the box counts in W and sees none."""

    def _learn(self, found: hal.Identity) -> None:
        """Check that it is a box of one attenuator, and read away errors that are not ours."""
        if not VENDORS.search(found.vendor) or not MODELS.fullmatch(found.model):
            several = " has several attenuators, and this driver drives one" if LARGER.fullmatch(found.model) else ""
            raise hal.WrongDeviceError(
                f"found {found.vendor} {found.model},{several or ' which this driver does not know'}",
                device=self.name,
                remedy="It drives an N7751A or N7761A; check the resource",
            )
        self._forget_errors()

    # --- values as the box writes them --------------------------------------------------------------------------------

    def _ask(self, command: str) -> Answer:
        return Answer(self._read(QUESTIONS[command], DECODERS[command]))

    def _order(self, command: str, text: str) -> Answer:
        if command == ATTENUATION:
            offset_db = self._read(f"{OFFSET}?", lambda reply: decode(float, reply, "offset"))
            text = f"{float(text) + offset_db:.10g}"
        return super()._order(command, f"{text}NM" if command == WAVELENGTH else text)


def _numbers(reply: str, count: int, name: str) -> list[float]:
    """Return the numbers that answer the queries of one message."""
    fields = reply.split(";")
    if len(fields) != count:
        raise hal.ProtocolError(f"{count} answers were to come: {reply[:60]!r}")
    return [decode(float, field.strip(), name) for field in fields]


def _attenuation(reply: str) -> str:
    factor_db, offset_db = _numbers(reply, 2, "attenuation")
    return f"{factor_db - offset_db:.6f}"


def _wavelength(reply: str) -> str:
    return f"{decode(float, reply, 'wavelength') * 1e9:.6f}"


def _shutter(reply: str) -> str:
    word = reply.removeprefix("+")
    if word not in ("0", "1"):
        raise ValueError(f"the shutter is 0 or 1, not {reply[:20]!r}")
    return word


def _power(reply: str) -> str:
    unit, power = _numbers(reply, 2, "output_power")
    if unit == DBM:
        return repr(power)
    if unit != WATT:
        raise hal.ProtocolError(f"there is no unit of power {unit:g}")
    if power <= 0:
        raise hal.NoDataError(
            f"output_power: {power!r} W has no level in dBm; there is no light to measure", code=reply[:40]
        )
    return repr(to_dbm(power))


DECODERS: Final = {ATTENUATION: _attenuation, WAVELENGTH: _wavelength, SHUTTER: _shutter, POWER: _power}
"""What makes of a reply the text of a value."""
