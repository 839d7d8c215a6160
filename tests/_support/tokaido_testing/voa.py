"""An invented optical attenuator on the SCPI core, for tests of wire ends that need some instrument."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tokaido.emulators import InstrumentEmulator
from tokaido.emulators.ends import SharedModel
from tokaido.emulators.scpi import Parameters, ScpiError, ScpiModel, command
from tokaido.hal import SYSTEM_CLOCK

if TYPE_CHECKING:
    import threading


IDENTITY = "TOKAIDO,VOA-1,000001,1.0"


class Attenuator(ScpiModel):
    """One channel, 0 to 60 dB; a set settles for 25 ms."""

    wire_ends = ("tcp", "hislip", "visa", "pty", "emu", "asrl")
    FAULTS = ("stuck",)

    def reset(self) -> None:
        self.attenuation = 0.0
        self.mode = "FAST"
        self.name = ""
        self.channel_list: tuple[int, ...] = ()
        self.triggers = 0

    def identity(self) -> str:
        return f"TOKAIDO,VOA-1,{self.serial_number},1.0"

    @command("INPut#:ATTenuation", 1)
    def set_attenuation(self, p: Parameters) -> None:
        p.suffix(0, 1, 1)
        attenuation = p.number(0, 0.0, 60.0)
        if "stuck" in self.provoked:
            raise ScpiError(-240, "motor")
        self.attenuation = attenuation
        self.begin_operation(25_000_000)

    @command("INPut#:ATTenuation?")
    def ask_attenuation(self, p: Parameters) -> str:
        return f"{self.attenuation:.2f}"

    @command("INPut:MODE", 1)
    def set_mode(self, p: Parameters) -> None:
        self.mode = p.choice(0, "FAST", "SLOW").upper()

    @command("INPut:MODE?")
    def ask_mode(self, p: Parameters) -> str:
        return self.mode

    @command("INPut:NAME", 1)
    def set_name(self, p: Parameters) -> None:
        self.name = p.text(0)

    @command("INPut:NAME?")
    def ask_name(self, p: Parameters) -> str:
        escaped = self.name.replace('"', '""')
        return f'"{escaped}"'

    @command("INPut:CHANnels", 1)
    def set_channels(self, p: Parameters) -> None:
        self.channel_list = p.channels(0, 1, 8)

    @command("INPut:CHANnels?")
    def ask_channels(self, p: Parameters) -> str:
        return f"(@{','.join(map(str, self.channel_list))})"

    @command("DIAGnostic:TRACe?", 1)
    def ask_trace(self, p: Parameters) -> str:
        return "x" * p.whole(0, 0, 10_000_000)

    def trigger(self) -> None:
        self.triggers += 1


def launch_voa(wire_end: str | None = None, **options: Any) -> InstrumentEmulator:
    """Start the attenuator, as `launch` does with one that is installed."""
    clock = options.setdefault("clock", SYSTEM_CLOCK)
    model = Attenuator(options.pop("serial_number", None))
    shared = SharedModel(model, clock=clock)
    directory = options.pop("directory", None)
    return InstrumentEmulator(model, shared, directory, seed=3, wire_end=wire_end, **options)


class JumpingClock:
    """A clock on which every wait is over at once."""

    def __init__(self) -> None:
        self.now_ns = 0

    def monotonic_ns(self) -> int:
        return self.now_ns

    def utc_ns(self) -> int:
        return self.now_ns

    def wait(self, seconds: float, event: threading.Event | None = None) -> bool:
        self.now_ns += max(round(seconds * 1e9), 1)
        return event is not None and event.is_set()


def open_serial(voa: InstrumentEmulator) -> Any:
    import serial

    return serial.serial_for_url(voa.resources["control"].removeprefix("serial:").partition("?")[0], 115200, timeout=1)


def ask(voa: InstrumentEmulator, question: str) -> str:
    """Ask at a serial end."""
    with open_serial(voa) as line:
        line.write(question.encode() + b"\n")
        return str(line.read_until(b"\n").decode().strip())


def hislip_port(voa: InstrumentEmulator) -> int:
    return int(voa.resources["control"].partition("hislip0,")[2].partition("::")[0])
