"""Thorlabs power meters of the PM100 family over SCPI: docs/protocols/thorlabs-pm100.md."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, ClassVar, Final

import tokaido.hal as hal
from tokaido.hal.driver import (
    Answer,
    Codec,
    ScpiCodec,
    ScpiDevice,
    ScpiDialect,
    decode,
    measured,
    real,
    setting,
)
from tokaido.hal.units_of_measure import to_dbm, to_watts

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

VENDOR: Final = re.compile("thorlabs", re.IGNORECASE)
MODELS: Final = re.compile(r"PM(?:100(?:A|D|USB)|101|102|103|400)[A-Z0-9-]*", re.IGNORECASE)
POWER: Final = ":MEAS:POW"
UNIT: Final = ":SENS:POW:UNIT"
RANGE: Final = ":SENS:POW:RANG:UPP"
AUTO: Final = ":SENS:POW:RANG:AUTO"
ZERO: Final = ":SENS:CORR:COLL:ZERO"
POLL_S: Final = 0.1
"""How often the meter is asked whether its zero adjustment has ended."""


class PowerMeter(hal.PowerMeter, ScpiDevice):
    """A Thorlabs PM100A, PM100D, PM100USB, PM101, PM102, PM103 or PM400 with its sensor."""

    resource_kinds: ClassVar[Mapping[str, frozenset[str]]] = {"control": frozenset({"serial", "visa"})}
    serial_line: ClassVar[Mapping[str, str]] = {"baudrate": "115200"}
    protocol: ClassVar[str] = "Thorlabs PM100 SCPI"
    capabilities = frozenset(hal.PowerMeterCapability)

    power = measured(float, POWER, unit="dBm")
    """Measure the power of the light that enters; no data in the dark, where the meter reads 0 W or less."""
    wavelength = setting(float, ":SENS:CORR:WAV", unit="nm", range=(185, 25_000), resolution=0.01)
    """Control the wavelength in nm; the sensor decides which ones there are."""
    averaging = setting(int, ":SENS:AVER:COUN", unit="", range=(1, 10_000))
    """Control how many samples of about 3 ms one reading is the mean of, 1 to 10000."""
    auto_range = setting(bool, AUTO)
    """Control whether the meter chooses its range by itself."""
    range_limit = measured(float, RANGE, unit="dBm")
    """Measure the upper end of the present range."""

    def set_range(self, power: float) -> float:
        """Hold the smallest range that takes `power` dBm, and return its upper end in dBm. Ends `auto_range`."""
        asked = real(power, "power")
        if not -200 <= asked <= 100:
            raise hal.RangeError(f"a range of {asked:g} dBm", device=self.name, remedy="Nothing was sent")
        self.auto_range = False
        command = f"{RANGE} {to_watts(asked):.6E}"
        self._command(command)
        try:
            limit = self.range_limit
        except hal.TransportError as error:
            raise hal.OutcomeUnknownError(
                f"a range was set and could not be read after it ({error.what})",
                device=self.name,
                command=command,
                remedy="It may or may not have been carried out: read range_limit, then decide",
            ) from error
        if limit < asked - 0.001:
            raise hal.DeviceError(
                f"a range for {asked:g} dBm was set, and the range ends at {limit:g} dBm",
                device=self.name,
                command=command,
                remedy="The sensor may have no such range at this wavelength",
            )
        return limit

    def zero(self) -> None:
        """Take what the sensor tells in the dark for zero. Cover the sensor first."""
        self._command(f"{ZERO}:INIT")
        deadline = hal.Deadline(self._clock, self.zero_timeout)
        while self._read(f"{ZERO}:STAT?", lambda text: decode(int, text, "state of the zero adjustment")):
            if deadline.passed:
                raise hal.DeviceError(
                    f"the zero adjustment still runs after {deadline.elapsed_s:.1f} s",
                    device=self.name,
                    command=f"{ZERO}:STAT?",
                    remedy=f'Cover the sensor; transport.command("{ZERO}:ABOR") ends it',
                )
            self._clock.wait(POLL_S)

    def _codec(self) -> Codec:
        return ScpiCodec(ScpiDialect(confirmation=""))

    def _learn(self, found: hal.Identity) -> None:
        """Check that it is a meter of this family, and read away errors that are not ours."""
        if not VENDOR.fullmatch(found.vendor) or not MODELS.fullmatch(found.model):
            raise hal.WrongDeviceError(
                f"found {found.vendor} {found.model}, which is not a power meter of the PM100 family",
                device=self.name,
                remedy="Check the resource; a PM16 or PM160 lacks commands that this driver needs",
            )
        self._forget_errors()

    # --- values as the meter writes them --------------------------------------------------------------------------

    def _ask(self, command: str) -> Answer:
        question, decoded = QUESTIONS.get(command, (f"{command}?", _as_it_is))
        return Answer(self._read(question, decoded))


def _level(watts: float, what: str) -> str:
    if watts <= 0:
        raise hal.NoDataError(
            f"{what}: the meter reads {watts!r} W, which has no level in dBm",
            code=repr(watts),
            remedy="There is no light; `zero` takes this for zero",
        )
    return repr(to_dbm(watts))


def _power(reply: str) -> str:
    unit, _, text = reply.partition(";")
    power = decode(float, text.strip(), "power")
    match unit.strip().upper():
        case "DBM":
            return repr(power)
        case "W":
            return _level(power, "power")
    raise hal.ProtocolError(f"a unit of power was to come, and W or DBM is one: {reply[:60]!r}")


def _range(reply: str) -> str:
    return _level(decode(float, reply, "range_limit"), "range_limit")


def _count(reply: str) -> str:
    count = decode(float, reply, "averaging")  # some meters write it as 1.000000E+01
    if count != int(count):
        raise hal.ProtocolError(f"averaging: {reply[:40]!r} is not a number of samples")
    return str(int(count))


def _as_it_is(reply: str) -> str:
    return reply


QUESTIONS: Final[dict[str, tuple[str, Callable[[str], str]]]] = {
    POWER: (f"{UNIT}?;{POWER}?", _power),
    RANGE: (f"{RANGE}?", _range),
    ":SENS:AVER:COUN": (":SENS:AVER:COUN?", _count),
}
"""What is asked for a value, and what makes of the reply its text; default: its command, as it is."""
