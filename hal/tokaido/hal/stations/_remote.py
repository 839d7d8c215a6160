"""A station whose ports a device server has: docs/protocols/device-server.md."""

from __future__ import annotations

from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from tokaido.hal._clock import SYSTEM_CLOCK, Clock, Deadline
from tokaido.hal._device import Device
from tokaido.hal._errors import ConfigurationError, LeaseHeldError, TransportError
from tokaido.hal._line_device import LineDevice
from tokaido.hal._numbers import real
from tokaido.hal.sharing._connection import ServerConnection
from tokaido.hal.sharing._messages import AnyAsk, Describe, HeldDevice, Holders, Reply, ServedInterlock
from tokaido.hal.sharing._served import HOLD_S, ServedTransport
from tokaido.hal.stations._entries import (
    AmplifierInterlockEntry,
    AnyInterlockEntry,
    DeviceEntry,
    HalfLinkEntry,
    InterlockEntry,
    LinkEntry,
)
from tokaido.hal.stations._served_leases import ServedLeases
from tokaido.hal.stations._station import Station
from tokaido.hal.transports._resources import Resource

if TYPE_CHECKING:
    from collections.abc import Container, Generator, Iterator, Mapping

TIMEOUT_S = 2.0
"""Deadline of a request to the server that concerns no device, in s."""


class RemoteStation(Station):
    """The devices of a device server, by the same roles as at their ports; `Station.connect` returns one.

    Its interlocks are those of the server's station. The server enforces them; they are asked here first, so that an
    order of several commands is refused before any. Leaving it changes nothing in the devices,
    but for those that it holds: they are released.
    """

    def __init__(
        self, server: Resource, *, keys: Mapping[str, str] | None = None, timeout: float = TIMEOUT_S, clock: Clock
    ) -> None:
        self._timeout_s = real(timeout, "timeout")
        self._server = ServerConnection(server, clock=clock, timeout_s=self._timeout_s)
        self._clock = clock
        try:
            told = self._asked(Describe(), "describe")
            self.why_not = {device.name: device.why_not for device in told.devices if device.why_not}
            """Devices of the server's station that it does not serve, and why."""
            entries = {
                device.name: DeviceEntry(
                    name=device.name,
                    driver=device.driver,
                    resources={"control": _served(server, device.name), **_keys_of(device.name, keys or {})},
                    serial_number=device.serial_number,
                    timeout=device.timeout,
                )
                for device in told.devices
                if not device.why_not
            }
            if unknown := set(keys or {}) - set(entries):
                raise ConfigurationError(f"the server has no device {', '.join(sorted(unknown))}")
            links = {
                one.name: LinkEntry(
                    one.name,
                    one.transmitter,
                    one.receiver,
                    paths=one.paths,
                    receiver_switches=tuple(one.receiver_switches),
                )
                for one in told.links
            }
            half_links = {
                one.name: HalfLinkEntry(one.name, one.unit, one.neighbour, one.peer, one.paths)
                for one in told.half_links
            }
            interlocks = [interlock for one in told.interlocks for interlock in _interlock_of(one, entries)]
        except BaseException:
            self._server.close()
            raise
        super().__init__(
            told.station,
            entries,
            on_exit="keep",
            links=links,
            half_links=half_links,
            interlocks=interlocks,
            clock=clock,
        )

    def entry(self, name: str) -> DeviceEntry:
        """Return what the server's station says of a device.

        Raises:
            ConfigurationError: The server has none of that name, or does not serve it.
        """
        if name in self.why_not:
            raise ConfigurationError(
                f"{name} is not served: {self.why_not[name]}", remedy="Use it where its port is, beside the server"
            )
        return super().entry(name)

    def holders(self) -> tuple[HeldDevice, ...]:
        """Return who holds which device.

        Raises:
            TransportError: The server could not be asked.
        """
        return tuple(self._asked(Holders(), "holders").holders)

    def acquire(self, name: str, why: str, *, seconds: float = HOLD_S, take_over: bool = False) -> int:
        """Hold a device, alone, and return the fencing token. Commands renew the hold for as long again.

        Args:
            name: Of the device.
            why: What for; other clients are told.
            seconds: How long, unless it is renewed.
            take_over: Whether to take it from another client that holds it; `why` must say something then.

        Raises:
            LeaseHeldError: Another client holds it: `holder` and `remaining_s` say who and how long still.
            RefusedError: This client may only look.
            TransportError: The server could not be asked.
        """
        return self._transport_of(name).acquire(why, seconds=seconds, take_over=take_over)

    def release(self, name: str) -> None:
        """Hold a device no more. A hold that was lost stays with its new holder.

        Raises:
            TransportError: The server could not be asked; the hold ends by itself.
        """
        self._transport_of(name).release()

    @contextmanager
    def held(self, name: str, why: str, *, seconds: float = HOLD_S, take_over: bool = False) -> Generator[int]:
        """Hold a device within a `with` block, and give the fencing token.

        Raises:
            LeaseHeldError: As `acquire`.
        """
        token = self.acquire(name, why, seconds=seconds, take_over=take_over)
        try:
            yield token
        finally:
            self.release(name)

    @contextmanager
    def visit(self, name: str) -> Iterator[Device]:
        """Give a device within a `with` block, as `Station.visit` does; what it was held for is released."""
        was_open = name in self._open or name in self._visited
        with super().visit(name) as device:
            try:
                yield device
            finally:
                if not was_open:
                    _release(device)

    def _leases_of(self, entry: LinkEntry | HalfLinkEntry) -> ServedLeases:
        return ServedLeases(entry, {name: self._transport_of(name) for name in entry.devices}, self._asked)

    def close(self) -> None:
        """Release what is held, and disconnect; changes nothing in the devices."""
        try:
            for device in tuple(self._open.values()):
                _release(device)
            super().close()
        finally:
            self._server.close()

    def _transport_of(self, name: str) -> ServedTransport:
        transport = self.device(name, LineDevice if name in self.devices else Device).transport
        if not isinstance(transport, ServedTransport):
            raise ConfigurationError(f"{name} is not reached over the server")
        return transport

    def _asked(self, message: AnyAsk, what: str) -> Reply:
        reply = self._server.ask(message, what, Deadline(self._clock, self._timeout_s))
        if not reply.ok:
            raise reply.raised()
        return reply


def connect(
    server: str, *, keys: Mapping[str, str] | None = None, timeout: float = TIMEOUT_S, clock: Clock = SYSTEM_CLOCK
) -> RemoteStation:
    """Return the station of a device server; see `Station.connect`."""
    return RemoteStation(Resource.parse(server), keys=keys, timeout=timeout, clock=clock)


def _release(device: Device) -> None:
    transport = device.transport
    if isinstance(transport, ServedTransport) and transport.fencing_token:
        with suppress(TransportError, LeaseHeldError):  # the hold ends by itself
            transport.release()


def _served(server: Resource, device: str) -> Resource:
    return Resource("served", server.address, {**server.options, "device": device})


def _interlock_of(told: ServedInterlock, devices: Container[str]) -> list[AnyInterlockEntry]:
    """Return the interlock, to be asked here too; not one whose devices only the server can ask."""
    if not all(name in devices for name in (told.switch or told.amplifier, *told.receivers.values(), *told.reached)):
        return []
    if told.amplifier:
        return [AmplifierInterlockEntry(told.name, told.amplifier, tuple(told.reached))]
    return [InterlockEntry(told.name, told.switch, frozenset(told.classical_inputs), told.receivers)]


def _keys_of(device: str, keys: Mapping[str, str]) -> dict[str, Resource]:
    return {"keys": Resource.parse(keys[device])} if device in keys else {}
