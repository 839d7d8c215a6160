"""The Polatis matrix switch over SCPI: docs/protocols/polatis.md."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, ClassVar, Final

import tokaido.hal as hal
from tokaido.drivers.polatis._ports import (
    all_ports,
    decode_fields,
    decode_pairs,
    decode_peer,
    decode_powers,
    encode_pairs,
    encode_ports,
    number_of,
)
from tokaido.hal.driver import Codec, ScpiCodec, ScpiDevice, ScpiDialect
from tokaido.hal.wire.scpi import decode_channels

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

LIGHTS: Final = re.compile(r":OXC:SWIT:(CONN:ADD|CONN:ONLY|PORT:ENAB) ([^;\r\n]*)")
DARKENS: Final = re.compile(r":OXC:(?:SWIT:(?:CONN:SUB|PORT:DIS)|BOOT:MODE) [^;\r\n]*|:OXC:SWIT:DISC:ALL")
"""The commands of this driver that may bring light to a port, and those that cannot."""
MONITORS_PER_QUERY: Final = 256
PORTS: Final = re.compile(" *[0-9]{1,4} *")
"""A number of ports that is believed; the largest switch has 576."""
PORT_STATES: Final = {"D": hal.PortState.DISABLED, "E": hal.PortState.ENABLED, "F": hal.PortState.FAILED}
BOOT_MODES: Final = {
    "DARK": hal.BootMode.DARK,
    "REST": hal.BootMode.RESTORE,
    "AUT": hal.BootMode.AUTOSAVE,
    "AUTO": hal.BootMode.AUTOSAVE,
}
"""By the first four letters of a reply, which may come in the short or the long form."""
VENDORS: Final = re.compile(r"polatis|huber *\+ *suhner", re.IGNORECASE)
SIZE_IN_MODEL: Final = re.compile(r"-([0-9]{1,4})x([0-9]{1,4})-", re.IGNORECASE)


class LinesOfASwitch(ScpiCodec):
    """SCPI of a switch that takes CR LF on every line, whichever it ends its own lines with."""

    def with_line_end(self, line_end: str) -> ScpiCodec:
        """Return the codec for a switch that ends its lines so."""
        return ScpiCodec(ScpiDialect(command_end="\r\n", reply_end=line_end[-1]))


class MatrixSwitch(hal.OpticalSwitch, ScpiDevice):
    """A Polatis matrix switch over SCPI: TCP port 5025, or a serial line at 38400 baud."""

    resource_kinds: ClassVar[Mapping[str, frozenset[str]]] = {"control": frozenset({"serial", "visa"})}
    serial_line: ClassVar[Mapping[str, str]] = {"baudrate": "38400"}
    protocol: ClassVar[str] = "Polatis SCPI"
    capabilities = frozenset(hal.SwitchCapability)

    # --- the map ------------------------------------------------------------------------------------------------------

    def connections(self) -> dict[int, int]:
        """Get the whole map: output by input, in one query."""
        size = self.size()
        return self._read(":OXC:SWIT:CONN:STAT?", lambda text: decode_pairs(text, size))

    def peer(self, port: hal.SwitchPort) -> hal.SwitchPort | None:
        """Get the port that a port is joined to, or None if it is free."""
        size = self.size()
        question = f":OXC:SWIT:CONN:PORT? {number_of(port, size)}"
        return self._read(question, lambda text: decode_peer(text, size))

    def _add(self, pairs: Mapping[int, int]) -> None:
        self._command(f":OXC:SWIT:CONN:ADD {encode_pairs(pairs, self.size())}")

    def _remove(self, pairs: Mapping[int, int]) -> None:
        self._command(f":OXC:SWIT:CONN:SUB {encode_pairs(pairs, self.size())}")

    def _replace(self, pairs: Mapping[int, int]) -> None:
        self._command(f":OXC:SWIT:CONN:ONLY {encode_pairs(pairs, self.size())}" if pairs else ":OXC:SWIT:DISC:ALL")

    def joins(self, text: str) -> Mapping[int, int] | None:
        """Return the new pairs of `CONN:ADD` and `CONN:ONLY`, and those at the ports of `PORT:ENAB`."""
        if DARKENS.fullmatch(text):
            return {}
        ordered = LIGHTS.fullmatch(text)
        if ordered is None:
            return None
        size, present = self.size(), self.connections()
        try:
            if ordered[1] != "PORT:ENAB":
                return {i: o for i, o in decode_pairs(ordered[2], size).items() if present.get(i) != o}
            numbers = decode_channels(ordered[2])
        except (ValueError, hal.ProtocolError):
            return None
        return {i: o for i, o in present.items() if i in numbers or size.inputs + o in numbers}

    # --- ports --------------------------------------------------------------------------------------------------------

    def port_states(self) -> dict[hal.SwitchPort, hal.PortState]:
        """Get the state of every port, in one query."""
        ports = all_ports(self.size())
        return dict(zip(ports, self._states("", len(ports)), strict=True))

    def set_port_enabled(self, port: hal.SwitchPort, enabled: bool, *, force: str = "") -> None:
        """Open or close the shutter of one port, and read its state back. Interlocks watch over opening."""
        listed = encode_ports([port], self.size())
        if enabled and self._interlocks:
            on_side = 0 if port.side is hal.Side.INPUT else 1
            joined = {pair[0]: pair[1] for pair in self.connections().items() if pair[on_side] == port.number}
            self._check_interlocks(joined, force)
        command = f":OXC:SWIT:PORT:{'ENAB' if enabled else 'DIS'} {listed}"
        self._command(command)
        wanted = hal.PortState.ENABLED if enabled else hal.PortState.DISABLED
        self._read_back(lambda: self._states(f" {listed}", 1)[0], wanted, f"the state of {port}", command)

    def port_powers(self) -> dict[hal.SwitchPort, hal.Reading[float]]:
        """Get the power in dBm at every output, at most 256 of them in one query; BAD where the switch has none.

        Raises:
            UnsupportedError: This model has no monitors.
        """
        size = self.size()
        self._require(hal.SwitchCapability.POWER_MONITORS)
        outputs = [port for port in all_ports(size) if port.side is hal.Side.OUTPUT]
        return {
            port: reading
            for start in range(0, len(outputs), MONITORS_PER_QUERY)
            for port, reading in self._powers(outputs[start : start + MONITORS_PER_QUERY])
        }

    def _powers(self, ports: list[hal.SwitchPort]) -> Iterator[tuple[hal.SwitchPort, hal.Reading[float]]]:
        question = f":PMON:POW? {encode_ports(ports, self.size())}"
        powers = self._read(question, lambda text: decode_powers(text, len(ports)))
        utc_ns = self._clock.utc_ns()
        for port, power in zip(ports, powers, strict=True):
            value, error = (None, power) if isinstance(power, str) else (power, "")
            quality = hal.Quality.BAD if error else hal.Quality.GOOD
            yield port, hal.Reading(value=value, unit="dBm", utc_ns=utc_ns, age_s=0.0, quality=quality, error=error)

    def _states(self, listed: str, count: int) -> list[hal.PortState]:
        return self._read(
            f":OXC:SWIT:PORT:STAT?{listed}", lambda text: [PORT_STATES[field] for field in decode_fields(text, count)]
        )

    # --- after power loss ---------------------------------------------------------------------------------------------

    def boot_mode(self) -> hal.BootMode:
        """Get which map the switch will have after power came back."""
        return self._read(":OXC:BOOT:MODE?", lambda text: BOOT_MODES[text.strip('"').upper()[:4]])

    def set_boot_mode(self, mode: hal.BootMode) -> None:
        """Choose it, and read it back."""
        word = next(word for word, meant in BOOT_MODES.items() if meant is mode)
        self._command(f":OXC:BOOT:MODE {word}")
        self._read_back(self.boot_mode, mode, "the boot mode", f":OXC:BOOT:MODE {word}")

    # --- who it is ----------------------------------------------------------------------------------------------------

    _size: hal.SwitchSize | None = None

    def size(self) -> hal.SwitchSize:
        """Get the numbers of inputs and outputs, as the switch gave them at the last opening."""
        while self._size is None:
            self._control.open()
        return self._size

    def _codec(self) -> Codec:
        if self._on_serial_line:
            return LinesOfASwitch(ScpiDialect(command_end="\r\n", reply_end="\r"))
        return LinesOfASwitch(ScpiDialect(command_end="\n", reply_end="\n"))

    def _learn(self, found: hal.Identity) -> None:
        """Check that it is a Polatis of one size, and read away errors that are not ours."""
        said = self._query(":OXC:SWIT:SIZE?") if VENDORS.search(found.vendor) else ""
        numbers = [int(field) for field in said.split(",") if PORTS.fullmatch(field)]
        if len(numbers) != 2 or min(numbers) < 1:
            raise self._wrong(f"found {found.vendor} {found.model}, size {said[:20]!r}, which is not a Polatis switch")
        size = hal.SwitchSize(*numbers)
        in_model = SIZE_IN_MODEL.search(found.model)
        if in_model and (int(in_model[1]), int(in_model[2])) != (size.inputs, size.outputs):
            raise self._wrong(f"its product code is {found.model} and its size {said}")
        self._size = size
        if found.model.upper().startswith("I-OST"):  # what this one model lacks, of what its family has
            self.capabilities = type(self).capabilities - {hal.SwitchCapability.POWER_MONITORS}
        self._forget_errors()

    def _wrong(self, what: str) -> hal.WrongDeviceError:
        return hal.WrongDeviceError(what, device=self.name, remedy="Check the cabling and the resource")
