"""FiberLabs desktop amplifiers on their serial line: docs/protocols/fiberlabs.md."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, ClassVar, Final

import tokaido.hal as hal
from tokaido.hal.driver import (
    NOT_MINE,
    Answer,
    Codec,
    LineCodec,
    LineDevice,
    NotMine,
    Request,
    decode,
    measured,
    setting,
    unsupported,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

VENDOR: Final = re.compile("fiber ?labs", re.IGNORECASE)
MODES: Final = {"0": hal.AmplifierMode.CONSTANT_POWER, "1": hal.AmplifierMode.CONSTANT_CURRENT}
ALARMS: Final = {
    1: hal.AmplifierAlarm.OUTPUT_LOW,
    2: hal.AmplifierAlarm.PUMP_CURRENT,
    4: hal.AmplifierAlarm.INPUT_LOST,
    8: hal.AmplifierAlarm.TEMPERATURE,
}
MODE: Final = "SETMOD,1"


class AmplifierCodec(LineCodec):
    """Lines of which each is answered by one: by values alone, or behind the words that were sent."""

    def __init__(self, line_end: str = "\r") -> None:
        super().__init__(line_end, max_frame=256, marker="*IDN?")

    def with_line_end(self, line_end: str) -> AmplifierCodec:
        """Return the codec for a box that ends its lines so."""
        return AmplifierCodec(line_end[-1])

    def request(self, text: str, *, repeatable: bool) -> Request[bytes, str]:
        """Return the request for a line. Its value is the answer without the word and the channel of a question."""
        plain = super().request(text, repeatable=repeatable)
        word = text.partition(",")[0]
        head = "" if word.startswith(("MON", "*")) else f"{text if repeatable else word},"

        def accept(frame: bytes) -> str | NotMine:
            line = plain.accept(frame)
            if line is NOT_MINE:
                return NOT_MINE
            if line.startswith("??"):
                raise hal.RefusedError(f"the amplifier says {line!r}", code=line[2:], command=text)
            if line.startswith("!!"):
                raise hal.DeviceError(f"the amplifier says {line!r}", code=line[2:], command=text)
            line = line.replace(", ", ",")
            return line.removeprefix(head) if line.upper().startswith(head) else NOT_MINE

        return Request(text, plain.payload, accept, repeatable=repeatable)


class Amplifier(hal.OpticalAmplifier, LineDevice):
    """A FiberLabs desktop amplifier with one pump, or the first pump of several."""

    resource_kinds: ClassVar[Mapping[str, frozenset[str]]] = {"control": frozenset({"serial"})}
    serial_line: ClassVar[Mapping[str, str]] = {"baudrate": "9600"}
    protocol: ClassVar[str] = "FiberLabs RS-232"
    capabilities = frozenset(hal.AmplifierCapability) - {hal.AmplifierCapability.CONSTANT_GAIN}

    enabled = setting(bool, "ACTIVE")
    """Control whether the pump emits."""
    mode = setting(hal.AmplifierMode, MODE)
    """Control whether power or current is held. A change switches the output off."""
    target_gain = unsupported(float, "it holds power or current")
    """Not here: it has no mode that holds the gain."""
    target_power = setting(float, "SETALC,1", unit="dBm", range=(-20, 33), resolution=0.1)
    """Control the output power of the mode CONSTANT_POWER, in steps of 0.1 dB."""
    target_current = setting(float, "SETACC,1", unit="mA", range=(0, 2000), resolution=1)
    """Control the pump current of the mode CONSTANT_CURRENT, in steps of 1 mA."""
    output_power = measured(float, "MONOUT", unit="dBm")
    """Measure the power at output 1; no data where the box says N/A."""
    input_power = measured(float, "MONIN", unit="dBm")
    """Measure the power at input 1; no data where the box says N/A."""
    pump_current = measured(float, "MONLDC,1", unit="mA")
    """Measure the current of pump 1."""

    @classmethod
    def asks(cls, text: str) -> bool:
        """Return whether a text is one of the questions: with a value behind it, the same word is an order."""
        return text in {"ALMSTAT", "*IDN?", *(value.command for value in cls.values().values())}

    def switches_on(self, text: str) -> bool:
        """Return whether a text may switch the pump on: any but `ACTIVE,0` and the settings of mode and targets."""
        settings = [
            value.command for value in type(self).values().values() if value.writable and value.name != "enabled"
        ]
        return text != "ACTIVE,0" and not any(re.fullmatch(f"{word},[0-9.+-]+", text) for word in settings if word)

    def alarms(self) -> frozenset[hal.AmplifierAlarm]:
        """Get the alarms that stand now."""
        return self._read("ALMSTAT", _alarms)

    def identity(self) -> hal.Identity:
        """Get vendor, model, serial number and firmware."""
        return self._read("*IDN?", self._named)

    def _codec(self) -> Codec:
        return AmplifierCodec()

    def _learn(self, found: hal.Identity) -> None:
        if not VENDOR.search(found.vendor):
            raise hal.WrongDeviceError(
                f"found {found.vendor} {found.model}, which is not a FiberLabs amplifier",
                device=self.name,
                remedy="Check the cabling and the resource",
            )

    def _ask(self, command: str) -> Answer:
        text = self._read(command, _first if command.startswith("MONOUT") or command == "MONIN" else str)
        if command == MODE:
            if text not in MODES:
                raise hal.ProtocolError(f"there is no mode {text[:20]!r}", device=self.name, command=command)
            return Answer(MODES[text].value)
        return Answer(text)

    def _order(self, command: str, text: str) -> Answer:
        if command == MODE:
            text = next(word for word, mode in MODES.items() if mode.value == text)
        elif command == "SETALC,1":
            text = f"{float(text):.1f}"
        elif command == "SETACC,1":
            text = f"{float(text):.0f}"
        self._command(f"{command},{text}")
        try:
            return self._ask(command)
        except hal.WrongDeviceError:
            raise
        except hal.TransportError as error:
            what = "a command was sent and the value could not be read after it"
            raise hal.OutcomeUnknownError.unread(what, error, device=self.name, command=command) from error


def _first(text: str) -> str:
    """Return the field of path 1."""
    field = text.split(",", maxsplit=1)[0].strip()
    if field == "N/A":
        raise hal.NoDataError("the amplifier has no such monitor: N/A", code=field)
    decode(float, field, "power")
    return field


def _alarms(text: str) -> frozenset[hal.AmplifierAlarm]:
    if not re.fullmatch("[0-9A-Fa-f]{1,4}", text):
        raise ValueError(f"alarms are hexadecimal digits, not {text[:20]!r}")
    bits = int(text, 16)
    return frozenset(alarm for bit, alarm in ALARMS.items() if bits & bit)
