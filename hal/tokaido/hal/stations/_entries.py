"""What a station is made of, as its file declares it: devices, links, interlocks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

from tokaido.hal._errors import ConfigurationError
from tokaido.hal.roles._amplifier import OpticalAmplifier
from tokaido.hal.roles._interlocks import AmplifierInterlock, LightInterlock, PumpInterlock, ShutterInterlock
from tokaido.hal.roles._switch import OpticalSwitch
from tokaido.hal.roles._unit_values import RESTING, Shutter
from tokaido.hal.roles._units import Receiver

if TYPE_CHECKING:
    from pathlib import Path

    from tokaido.hal._calibrations import Calibration
    from tokaido.hal._device import Device
    from tokaido.hal.transports._resources import Resource

PortPairs = tuple[tuple[int, int], ...]
"""Input and output of each pair that a path needs on one switch."""
Paths = Mapping[str, Mapping[str, PortPairs]]
"""What each path of a link needs, by path and switch."""
Reach = Callable[[str], AbstractContextManager["Device"]]
"""Gives a device of the station by name, for as long as it is asked something."""


@dataclass(frozen=True, slots=True)
class DeviceEntry:
    """One device of a station: what is needed to open it."""

    name: str
    driver: str
    resources: Mapping[str, Resource]
    serial_number: str = ""
    """If given, any other box is refused."""
    timeout: float = 1.0
    """Deadline of one exchange, in s."""
    emulator: Mapping[str, Any] = field(default_factory=dict)
    """The table `emulator`, for the emulator of this station."""
    calibrations: Mapping[str, Calibration] = field(default_factory=dict)
    """The tables `calibrations.PATH`, by the path of the value that each corrects."""


@dataclass(frozen=True, slots=True)
class HalfLinkEntry:
    """A table `links.NAME` of a station file that names a `unit` and a `neighbour`: one end of a QKD link."""

    name: str
    unit: str
    """Name of the unit in the station."""
    neighbour: str
    """Name of the node that has the other end; empty for a half of a whole link."""
    peer: str = ""
    """Serial number of the unit at the other end; empty if the file does not say."""
    paths: Paths = field(default_factory=dict)
    """What each path needs of this site: pairs of input and output, by path and switch."""
    lease_file: Path | None = None
    """Where the leases are kept under which this end is ordered."""
    emulator: Mapping[str, Any] = field(default_factory=dict)
    """The table `emulator`, for the emulator of both ends."""

    @property
    def switches(self) -> tuple[str, ...]:
        """Names of the switches of this site that its paths lead over."""
        return _switches_of(self.paths)

    @property
    def devices(self) -> tuple[str, ...]:
        """Names of its devices: the unit, then the switches."""
        return self.unit, *self.switches

    @property
    def lease_names(self) -> tuple[str, ...]:
        """What is leased while it is ordered: the link and each of its devices here, in order."""
        return _lease_names(self.name, self.devices)


@dataclass(frozen=True, slots=True)
class LinkEntry:
    """A table `links.NAME` of a station file that names `transmitter` and `receiver`: a whole QKD link."""

    name: str
    transmitter: str
    """Name of the transmitter in the station."""
    receiver: str
    """Name of the receiver in the station."""
    paths: Paths = field(default_factory=dict)
    """What each path needs: pairs of input and output, by path and switch."""
    lease_file: Path | None = None
    """Where the leases are kept under which the link is moved."""
    emulator: Mapping[str, Any] = field(default_factory=dict)
    """The table `emulator`, for the emulator of this station."""
    receiver_switches: tuple[str, ...] = ()
    """Which of the switches stand at the receiver's end; the others are the transmitter's."""

    @property
    def switches(self) -> tuple[str, ...]:
        """Names of the switches that its paths lead over."""
        return _switches_of(self.paths)

    @property
    def devices(self) -> tuple[str, ...]:
        """Names of its devices: transmitter, receiver, then the switches."""
        return self.transmitter, self.receiver, *self.switches

    @property
    def lease_names(self) -> tuple[str, ...]:
        """What is leased while it is moved: the link and each of its devices, in order."""
        return _lease_names(self.name, self.devices)

    @property
    def halves(self) -> tuple[HalfLinkEntry, HalfLinkEntry]:
        """Both ends of it, the transmitter's first. Every path is one of both, whether an end has switches on it."""
        return self._half(self.transmitter, far=False), self._half(self.receiver, far=True)

    def _half(self, unit: str, *, far: bool) -> HalfLinkEntry:
        paths = {
            path: {switch: pairs for switch, pairs in needs.items() if (switch in self.receiver_switches) is far}
            for path, needs in self.paths.items()
        }
        return HalfLinkEntry(self.name, unit, "", paths=paths, lease_file=self.lease_file)


def _switches_of(paths: Paths) -> tuple[str, ...]:
    return tuple(next(iter(paths.values()), {}))


def _lease_names(link: str, devices: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(sorted({f"link.{link}", *(f"device.{name}" for name in devices)}))


@dataclass(frozen=True, slots=True)
class InterlockEntry:
    """A table `interlocks.NAME` of a station file that names a switch."""

    name: str
    switch: str
    """The switch of this station that it binds."""
    classical_inputs: frozenset[int]
    """Inputs that may carry classical light."""
    receivers: Mapping[int, str]
    """The receiver of this station that each single-photon output leads to."""

    def bind(self, device: Device, reach: Reach) -> None:
        """Let the device that was opened enforce it from now on, if it is the switch or a receiver of this interlock.

        Raises:
            ConfigurationError: The switch has no such ports, so that the file protects nothing.
        """
        if device.name == self.switch and isinstance(device, OpticalSwitch):
            self._bind_switch(device, reach)
        for output, name in self.receivers.items():
            if device.name == name and isinstance(device, Receiver):
                joined = _map_of(self.switch, reach)
                device.add_interlock(ShutterInterlock(self.name, self.classical_inputs, output, joined))

    def _bind_switch(self, switch: OpticalSwitch, reach: Reach) -> None:
        size = switch.size()
        mistakes = [
            f"interlocks.{self.name}.classical_inputs: there is no input {number}; it has 1 to {size.inputs}"
            for number in sorted(self.classical_inputs)
            if number > size.inputs
        ]
        mistakes += [
            f"interlocks.{self.name}.single_photon_outputs: there is no output {number}; it has 1 to {size.outputs}"
            for number in sorted(self.receivers)
            if number > size.outputs
        ]
        if mistakes:
            raise ConfigurationError(f"an interlock does not fit {switch.name}", mistakes=tuple(mistakes))
        shuttered = {output: _shutter_of(name, reach) for output, name in self.receivers.items()}
        switch.add_interlock(LightInterlock(self.name, self.classical_inputs, shuttered))


@dataclass(frozen=True, slots=True)
class AmplifierInterlockEntry:
    """A table `interlocks.NAME` of a station file that names an amplifier."""

    name: str
    amplifier: str
    """The amplifier of this station that it binds."""
    receivers: tuple[str, ...]
    """The receivers of this station that its light may reach."""

    def bind(self, device: Device, reach: Reach) -> None:
        """Let the device that was opened enforce it from now on, if it is the amplifier or one of the receivers."""
        if device.name == self.amplifier and isinstance(device, OpticalAmplifier):
            shuttered = {name: _shutter_of(name, reach) for name in self.receivers}
            device.add_interlock(AmplifierInterlock(self.name, shuttered))
        if device.name in self.receivers and isinstance(device, Receiver):
            device.add_interlock(PumpInterlock(self.name, self.amplifier, _emits(self.amplifier, reach)))


AnyInterlockEntry = InterlockEntry | AmplifierInterlockEntry
"""Any table `interlocks.NAME`."""


def _emits(name: str, reach: Reach) -> Callable[[], bool]:
    def is_enabled() -> bool:
        with reach(name) as device:
            return cast("OpticalAmplifier", device).enabled

    return is_enabled


def _shutter_of(name: str, reach: Reach) -> Callable[[], bool]:
    def is_shuttered() -> bool:
        with reach(name) as device:
            receiver = cast("Receiver", device)
            return receiver.state() in RESTING and receiver.shutter is Shutter.CLOSED

    return is_shuttered


def _map_of(name: str, reach: Reach) -> Callable[[], Mapping[int, int]]:
    def connections() -> Mapping[int, int]:
        with reach(name) as device:
            return cast("OpticalSwitch", device).connections()

    return connections
