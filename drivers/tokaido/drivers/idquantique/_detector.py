"""The ID Quantique ID120 over SCPI: docs/protocols/idquantique.md."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, ClassVar, Final

import tokaido.hal as hal
from tokaido.hal.driver import Answer, Codec, LineDevice, SilentCodec, decode, measured, query, setting, unsupported

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

VENDOR: Final = re.compile(r"id\s*q(?:uantique)?(?:\s+sa)?", re.IGNORECASE)
MODEL: Final = re.compile(r"ID120.*", re.IGNORECASE)
RUN: Final = "REG:RUN"
BIAS: Final = "BIAS:VOLTAGE"
DEAD_TIME: Final = "DEADTIME:TIME"
COUNTING_TIME: Final = "COUNTERS:INTEGRATION_TIME"
TEMPERATURE: Final = "REG:MEASURED_TEMP"
TARGET: Final = "REG:TEMP_SET_POINT"
SCALES: Final = {BIAS: 1e6, DEAD_TIME: 1e-3, COUNTING_TIME: 1e3, TEMPERATURE: 1e3, TARGET: 1e3}
"""What a value is multiplied by for the box, which counts whole uV, us, ms and thousandths of a degree."""
NO_GATE: Final = "the ID120 is free running"
NOT_KNOWN: Final = "no command of the box tells it"


class Detector(hal.SinglePhotonDetector, LineDevice):
    """An ID Quantique ID120: a cooled photodiode that is free running, with bias, dead time and a counter."""

    resource_kinds: ClassVar[Mapping[str, frozenset[str]]] = {"control": frozenset({"serial", "visa"})}
    serial_line: ClassVar[Mapping[str, str]] = {"baudrate": "115200"}
    protocol: ClassVar[str] = "ID120 SCPI"
    capabilities = frozenset(
        {
            hal.PhotonDetectorCapability.BIAS,
            hal.PhotonDetectorCapability.COUNTING_TIME,
            hal.PhotonDetectorCapability.COOLING,
        }
    )

    enabled = setting(bool, RUN, words=("FALSE", "TRUE"))
    """Control whether it runs."""
    bias = setting(float, BIAS, unit="V", range=(0, 250), resolution=0.08)
    """Control the bias, 0 to 250 V in steps of 80 mV."""
    dead_time = setting(float, DEAD_TIME, unit="ns", range=(40_000, 1_000_000_000), resolution=40_000)
    """Control the dead time, 40 us to 1 s in steps of 40 us."""
    count_rate = measured(float, "COUNTERS:DETECTION_FREQ", unit="1/s")
    """Measure the clicks per second over the last counting time."""
    counting_time = setting(float, COUNTING_TIME, unit="s", range=(0.2, 100), resolution=0.2)
    """Control how long clicks are counted, 0.2 to 100 s in steps of 0.2 s."""
    temperature = measured(float, TEMPERATURE, unit="degC")
    """Measure the temperature of the photodiode."""
    target_temperature = setting(float, TARGET, unit="degC", range=(-50, -10), resolution=1)
    """Control the temperature that the photodiode is cooled to, -50 to -10 degC in steps of 1 degC."""
    efficiency = unsupported(float, NOT_KNOWN)
    """Not here: the bias sets it, and no command tells it."""
    mode = unsupported(hal.DetectionMode, NO_GATE)
    """Not here: it is free running."""
    dark_count_rate = unsupported(float, NOT_KNOWN)
    """Not here: cover it and read `count_rate`."""

    bias_error = query(bool, "BIAS:ERROR_STATUS")
    """Ask whether the box says that its bias is wrong."""
    counts = measured(int, "COUNTERS:DETECTION_COUNT", unit="")
    """Measure the clicks of the last counting time."""

    def identity(self) -> hal.Identity:
        """Ask `*IDN?` who it is: vendor, model, serial number and firmware, or as `identity_fields` says."""
        return self._read("*IDN?", self._named)

    def apply_safe_state(self) -> None:
        """Take the bias away, then stop it: without bias nothing clicks, whatever the box makes of its being stopped.

        Raises:
            TokaidoError: The bias could not be taken away. It was told to stop all the same.
        """
        try:
            self.write_uncalibrated(type(self).bias, 0.0)
        finally:
            self.enabled = False

    def _codec(self) -> Codec:
        return SilentCodec(f"{RUN}?", WORDS.__contains__, command_end="\r\n")

    def _learn(self, found: hal.Identity) -> None:
        if not VENDOR.fullmatch(found.vendor) or not MODEL.fullmatch(found.model):
            raise hal.WrongDeviceError(
                f"found {found.vendor} {found.model}, which is not an ID120",
                device=self.name,
                remedy="Check the resource; an ID120 that tells who it is in other words needs identity= behind it",
            )

    # --- values as the box writes them ----------------------------------------------------------------------------

    def _ask(self, command: str) -> Answer:
        return Answer(self._read(f"{command}?", DECODERS.get(command, _as_it_is)))

    def _order(self, command: str, text: str) -> Answer:
        scale = SCALES.get(command)
        return super()._order(command, text if scale is None else str(round(float(text) * scale)))


WORDS: Final = frozenset({"FALSE", "TRUE"})


def _flag(reply: str) -> str:
    if reply.upper() not in WORDS:
        raise hal.ProtocolError(f"TRUE or FALSE was to come: {reply[:40]!r}")
    return reply.upper()


def _status(reply: str) -> str:
    return "1" if _flag(reply) == "TRUE" else "0"


def _scaled(command: str) -> Callable[[str], str]:
    scale = SCALES[command]
    return lambda reply: f"{decode(float, reply, command) / scale:.9f}"


def _as_it_is(reply: str) -> str:
    return reply


DECODERS: Final[dict[str, Callable[[str], str]]] = {
    RUN: _flag,
    "BIAS:ERROR_STATUS": _status,
    **{command: _scaled(command) for command in SCALES},
}
"""What makes of a reply the text of a value; default: the reply as it is."""
