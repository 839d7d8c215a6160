"""The SCPI side of a matrix switch: ports 1 to N are inputs, N+1 to N+M outputs, and a map joins them one to one."""

from __future__ import annotations

import ipaddress
import re
from typing import TYPE_CHECKING, ClassVar, Final, Literal

from tokaido.emulators.polatis._crossconnect import CrossConnect
from tokaido.emulators.scpi import Dialect, ErrorQueue, Parameters, ScpiError, ScpiModel, Status, command
from tokaido.hal import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from tokaido.emulators._model import BenchSpot
    from tokaido.emulators._secrets import Secrets

SETTLING_NS: Final = 25_000_000
"""How long a new path is dark, and how long `*OPC?` waits for it, in ns."""
MAX_PORTS: Final = 640
MAX_MONITORS: Final = 256
"""Most ports that one query of power monitors may name."""
BOOT_MODES: Final = {"DARK": "DARK", "RESTore": "REST", "AUTosave": "AUT"}

PortName = tuple[str, int]


SERIAL_ENDS = ("pty", "emu", "asrl")


class MatrixSwitchModel(ScpiModel):
    """A Polatis-style N x M matrix switch.

    What its manual leaves open is an option. `SUB` of a pair that is not joined changes nothing and is not an error;
    choosing the boot mode RESTore saves the map of that moment. A mode behind the lists of `ADD` and `SUB` is taken and
    changes nothing.

    Args:
        serial_number: The third field of `*IDN?`.
        seed: Decides the loss of each path.
        secrets: It has none.
        inputs: N.
        outputs: M.
        product: The second field of `*IDN?`; a product I-OST has no power monitors.
        firmware: The fourth field of `*IDN?`.
        on_conflict: What `ADD` does to a port that is taken: "error" refuses with -221, "steal" parts it first.
        unconnected: What `PORT?` says of a free port: `""` or `"0"`.
        input_detectors: Whether inputs have power monitors too.
        failed_power: What the monitor of a failed port says, such as 9.91E37 or NAN; empty: the power that is there.
        boot_mode: DARK, RESTORE or AUTOSAVE.
        min_gap: Time in s that must lie between two messages; one that comes sooner is lost.
        replies: Whether the queries of one message are answered in one line, joined by semicolons, or in a line each.
        terminator: What ends a reply; by default CR on a serial line, as one source says, and CR LF elsewhere.

    Raises:
        ConfigurationError: An option does not fit.
    """

    SERIAL_NUMBER: ClassVar[str] = "002414"
    FAULTS = ("stuck",)
    dialect = Dialect(error_format='{code}, "{text}"', terminator=b"\r\n")
    wire_ends = ("tcp", "visa", "hislip", "pty", "emu", "asrl")
    BAUD_RATE = 38400

    def __init__(
        self,
        serial_number: str | None = None,
        *,
        seed: int = 0,
        secrets: Secrets = "os",  # noqa: ARG002 - every model takes it
        inputs: int = 16,
        outputs: int = 16,
        product: str = "OST-{inputs}x{outputs}-LU1-DMHNS",
        firmware: str = "6.5.2.18",
        on_conflict: Literal["error", "steal"] = "error",
        unconnected: Literal["", "0"] = "",
        input_detectors: bool = False,
        failed_power: str = "",
        boot_mode: Literal["DARK", "RESTORE", "AUTOSAVE"] = "AUTOSAVE",
        min_gap: float = 0.0,
        terminator: str | None = None,
        replies: Literal["joined", "lines"] = "joined",
    ) -> None:
        modes = {mode.upper(): short for mode, short in BOOT_MODES.items()}
        if not (1 <= inputs <= MAX_PORTS and 1 <= outputs <= MAX_PORTS and boot_mode in modes and min_gap >= 0):
            raise ConfigurationError(f"there is no {inputs}x{outputs} switch with {boot_mode=} and {min_gap=}")
        if (
            on_conflict not in ("error", "steal")
            or unconnected not in ("", "0")
            or replies not in ("joined", "lines")
            or not set(terminator or "") <= set("\r\n")
        ):
            raise ConfigurationError(
                f"there is no switch with {on_conflict=}, {unconnected=}, {replies=} and {terminator=}"
            )
        self.inputs = inputs
        self.outputs = outputs
        self.product = product.format(inputs=inputs, outputs=outputs)
        self.firmware = firmware
        self.on_conflict = on_conflict
        self.unconnected = unconnected
        self.input_detectors = input_detectors
        self.failed_power = failed_power
        self.boot_mode = modes[boot_mode]
        self.networks = ['IP="192.168.1.1" Gateway="0.0.0.0" Mask="255.255.255.0" Broadcast="192.168.1.255"'] * 2
        serial = self.SERIAL_NUMBER if serial_number is None else serial_number
        self.optics = CrossConnect(inputs, outputs, seed=f"{seed}/{serial}/loss", settling_ns=SETTLING_NS)
        """The light inside: put light in with `optics.light_dbm`, break ports with `optics.failed`."""
        self._saved: dict[int, int] = {}
        self._min_gap_ns = round(min_gap * 1e9)
        self._last_ns = -self._min_gap_ns
        self._terminator = terminator
        super().__init__(serial, seed=seed)
        if replies == "lines":
            self.reply_separator = "\r\n"

    # --- light and power --------------------------------------------------------------------------------------------

    def take_place(self, spot: BenchSpot) -> None:
        """Be a switch on a bench."""
        spot.switch(self)

    def light_path(self, input: int) -> tuple[int, float] | None:  # noqa: A002 - the word users type
        """Return the output (from 1) that an input's light leaves by now and the loss in dB, or None while dark."""
        return self.optics.light_path(input, self.now_ns)

    def note_light(self, powers_dbm: Mapping[str, float]) -> None:
        """Take note of the light that enters by the inputs, for the monitors: power in dBm by port, `in1` to `inN`."""
        lit = {port.removeprefix("in"): dbm for port, dbm in powers_dbm.items() if port.startswith("in")}
        self.optics.light_dbm = {int(number): dbm for number, dbm in lit.items()}

    def power_cycle(self) -> None:
        """Take the power away and give it back: the boot mode decides which map is there afterwards."""
        kept = {"DARK": {}, "REST": self._saved, "AUT": self.optics.pairs}[self.boot_mode]
        self.clear_device()
        self.status = Status(ErrorQueue(self.dialect))
        self.optics.make({}, self.now_ns)
        self.optics.disabled.clear()
        self.optics.make(kept, self.now_ns)

    # --- ScpiModel --------------------------------------------------------------------------------------------------

    def reset(self) -> None:
        """Part every pair and open every shutter."""
        self._change({})
        self.optics.open(frozenset(self.optics.disabled), self.now_ns)

    def identity(self) -> str:
        """Return vendor, product, serial number, firmware."""
        return f"Polatis,{self.product},{self.serial_number},{self.firmware}"

    def receive(self, port: str, data: bytes) -> None:
        """Take bytes; a message that comes too soon after another is lost."""
        if self._min_gap_ns:
            if self.now_ns - self._last_ns < self._min_gap_ns:
                return
            if data.endswith((b"\n", b"\r")):
                self._last_ns = self.now_ns
        super().receive(port, data)

    has_output = ScpiModel.has_output

    def take(self, port: str) -> bytes:
        """Return, once, the replies that wait."""
        sent = super().take(port)
        ending = self._terminator or ("\r" if self.wire_end in SERIAL_ENDS else "\r\n")
        return sent if not sent or ending == "\r\n" else sent.replace(b"\r\n", ending.encode("ascii"))

    # --- the map ----------------------------------------------------------------------------------------------------

    @command(":OXC:SWITch:SIZE?")
    def _ask_size(self, _: Parameters) -> str:
        return f"{self.inputs},{self.outputs}"

    @command(":OXC:SWITch:CONNect:ADD", 2, 3)
    def _add(self, p: Parameters) -> None:
        wanted = self._pairs(p)
        present = self.optics.pairs
        taken = {o: i for i, o in present.items()}
        for i, o in wanted.items():
            if present.get(i, o) == o and taken.get(o, i) == i:
                continue
            if self.on_conflict == "error":
                raise ScpiError(-221, f"port {i if i in present else o + self.inputs} is connected")
        kept = {i: o for i, o in present.items() if i not in wanted and o not in wanted.values()}
        self._change({**kept, **wanted})

    @command(":OXC:SWITch:CONNect:ONLY", 2)
    def _only(self, p: Parameters) -> None:
        self._change(self._pairs(p))

    @command(":OXC:SWITch:CONNect:SUB", 2, 3)
    def _sub(self, p: Parameters) -> None:
        inputs = p.channels(0, 1, self.inputs)
        outputs = self._outputs(p)
        if outputs and len(outputs) != len(inputs):
            raise ScpiError(-224, "lists of different length")
        present = self.optics.pairs
        gone = set(zip(inputs, outputs, strict=True)) if outputs else {(i, present.get(i, 0)) for i in inputs}
        self._change({i: o for i, o in present.items() if (i, o) not in gone})

    @command(":OXC:SWITch:DISConnect:ALL")
    def _disconnect_all(self, _: Parameters) -> None:
        self._change({})

    @command(":OXC:SWITch:CONNect:STATe?")
    def _ask_map(self, _: Parameters) -> str:
        pairs = self.optics.pairs
        return f"{_list(pairs)},{_list([o + self.inputs for o in pairs.values()])}"

    @command(":OXC:SWITch:CONNect:PORT?", 1)
    def _ask_peer(self, p: Parameters) -> str:
        port = p.whole(0, 1, self.inputs + self.outputs)
        pairs = self.optics.pairs
        peers = {**{i: o + self.inputs for i, o in pairs.items()}, **{o + self.inputs: i for i, o in pairs.items()}}
        return f'"{peers.get(port, self.unconnected)}"'

    def _pairs(self, p: Parameters) -> dict[int, int]:
        inputs, outputs = p.channels(0, 1, self.inputs), self._outputs(p)
        if len(inputs) != len(outputs):
            raise ScpiError(-224, "lists of different length")
        if len(set(inputs)) != len(inputs) or len(set(outputs)) != len(outputs):
            raise ScpiError(-221, "a port stands twice")
        return dict(zip(inputs, outputs, strict=True))

    def _outputs(self, p: Parameters) -> tuple[int, ...]:
        found = p.channels(1, self.inputs + 1, self.inputs + self.outputs)
        return tuple(port - self.inputs for port in found)

    def _change(self, pairs: Mapping[int, int]) -> None:
        present = self.optics.pairs
        new = {i: o for i, o in pairs.items() if present.get(i) != o}
        if any(("in", i) in self.optics.failed or ("out", o) in self.optics.failed for i, o in new.items()):
            raise ScpiError(-240, "failed port")
        if "stuck" in self.provoked and dict(pairs) != present:
            raise ScpiError(-240, "switch core")
        if self.optics.make(pairs, self.now_ns):
            self.begin_operation(SETTLING_NS)

    # --- ports ------------------------------------------------------------------------------------------------------

    @command(":OXC:SWITch:PORT:STATe?", 0, 1)
    def _ask_states(self, p: Parameters) -> str:
        failed, disabled = self.optics.failed, self.optics.disabled
        states = ("F" if port in failed else "D" if port in disabled else "E" for port in self._ports(p))
        return f"({','.join(states)})"

    @command(":OXC:SWITch:PORT:DISable", 1)
    def _disable(self, p: Parameters) -> None:
        self.optics.shut(self._working(p))

    @command(":OXC:SWITch:PORT:ENABle", 1)
    def _enable_ports(self, p: Parameters) -> None:
        if self.optics.open(self._working(p), self.now_ns):
            self.begin_operation(SETTLING_NS)

    @command(":PMON:POWer?", 1)
    def _ask_powers(self, p: Parameters) -> str:
        if self.product.startswith("I-OST"):
            raise ScpiError(-113, "PMON")
        ports = self._ports(p)
        if len(ports) > MAX_MONITORS:
            raise ScpiError(-222, f"more than {MAX_MONITORS} ports")
        if not self.input_detectors and any(side == "in" for side, _ in ports):
            raise ScpiError(-222, "inputs have no monitors")
        return f"({','.join(map(self._power, ports))})"

    def _power(self, port: PortName) -> str:
        if self.failed_power and port in self.optics.failed:
            return self.failed_power
        return f"{self.optics.power_dbm(*port, self.now_ns):.1f}"

    def _working(self, p: Parameters) -> Collection[PortName]:
        ports = self._ports(p)
        if self.optics.failed.intersection(ports):
            raise ScpiError(-240, "failed port")
        return ports

    def _ports(self, p: Parameters) -> list[PortName]:
        every = range(1, self.inputs + self.outputs + 1)
        numbers = p.channels(0, 1, self.inputs + self.outputs) if len(p) else every
        return [("in", n) if n <= self.inputs else ("out", n - self.inputs) for n in numbers]

    # --- the box ----------------------------------------------------------------------------------------------------

    @command(":OXC:BOOT:MODE?")
    def _ask_boot_mode(self, _: Parameters) -> str:
        return self.boot_mode

    @command(":OXC:BOOT:MODE", 1)
    def _set_boot_mode(self, p: Parameters) -> None:
        self.boot_mode = BOOT_MODES[p.choice(0, *BOOT_MODES)]
        if self.boot_mode == "REST":
            self._saved = self.optics.pairs

    @command(":SYSTem:COMMunicate:NETWork#:ADDRess?")
    def _ask_address(self, p: Parameters) -> str:
        return self.networks[p.suffix(0, 1, 2) - 1]

    @command(":SYSTem:COMMunicate:NETWork#:ADDRess", 1, 4)
    def _set_address(self, p: Parameters) -> None:
        number = p.suffix(0, 1, 2) - 1
        present = re.findall(r'"(.*?)"', self.networks[number])
        try:
            wanted = [str(ipaddress.IPv4Address(p.text(index))) for index in range(len(p))]
        except ValueError:
            raise ScpiError(-224, "not an IPv4 address") from None
        fields = zip(("IP", "Gateway", "Mask", "Broadcast"), wanted + present[len(wanted) :], strict=True)
        self.networks[number] = " ".join(f'{name}="{value}"' for name, value in fields)


def _list(numbers: Collection[int]) -> str:
    return f"(@{','.join(map(str, numbers))})"
