"""The server: which PVs there are, where it listens, and one thread a device that reads."""

from __future__ import annotations

import logging
import re
import threading
from ipaddress import AddressValueError, IPv4Address
from typing import TYPE_CHECKING, Any, Final, Self

from tokaido.hal import (
    SYSTEM_CLOCK,
    Clock,
    ConfigurationError,
    Device,
    DeviceError,
    NotConnectedError,
    Quality,
    Reading,
    Station,
    TokaidoError,
)
from tokaido.hal.driver import Measured, Setting
from tokaido.lab.epics._pvs import MAJOR, NO_ALARM, Pv

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from types import TracebackType

PORT: Final = 5075
SEARCH_PORT: Final = 5076
PUT_THREADS: Final = 4
PREFIX: Final = re.compile(r"[A-Za-z0-9_:;<>+-]+")
CONNECTED: Final = "connected"

logger = logging.getLogger("tokaido.lab.epics")


class PvServer:
    """Publishes the values of a station's devices as PVs: `PREFIX:voa:attenuation`, `PREFIX:bob:detectors:0:bias`.

    Each device is opened in a thread of its own and read every `period_s`, bulk first. Its PVs appear when it first
    answers; `PREFIX:voa:connected` is there from the start. PVs carry values, states and flags: no key is one of them.

    pvAccess neither encrypts nor proves who asks: everybody who reaches the port reads everything, and sets what is
    `writable`. That is why it must be asked for by name (ADR 12).

    Args:
        station: The devices. What its interlocks forbid, a put cannot do. It stays open when the server ends.
        insecure_pvaccess: True, to say that this is known.
        interface: IPv4 address of this machine where it listens; default: the loopback interface.
        port: TCP port; 0 takes a free one.
        search_port: UDP port where clients search for names; 0 takes a free one.
        prefix: What names begin with; default: the station's name.
        writable: Which settings can be put, as `voa.attenuation`, `*.wavelength`; default: none.
        period_s: How often each device is read, in s.
        clock: Where time comes from.

    Raises:
        ConfigurationError: It was not said that this is known, or an option is wrong.
        NotConnectedError: The address or the port cannot be bound.
    """

    def __init__(
        self,
        station: Station,
        *,
        insecure_pvaccess: bool,
        interface: str = "127.0.0.1",
        port: int = PORT,
        search_port: int = SEARCH_PORT,
        prefix: str = "",
        writable: Iterable[str] = (),
        period_s: float = 1.0,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        from p4p.server import StaticProvider  # noqa: PLC0415  # pyright: ignore[reportMissingImports]
        from p4p.util import ThreadedWorkQueue  # noqa: PLC0415  # pyright: ignore[reportMissingImports]

        self.prefix = prefix or station.name
        """What names begin with."""
        self._patterns = _checked(
            station,
            insecure=insecure_pvaccess,
            interface=interface,
            ports=(port, search_port),
            prefix=self.prefix,
            writable=tuple(writable),
            period_s=period_s,
        )
        self.station = station
        self.clock = clock
        self.period_s = period_s
        self._conf = {
            "EPICS_PVAS_INTF_ADDR_LIST": interface,
            "EPICS_PVAS_SERVER_PORT": str(port),
            "EPICS_PVAS_BROADCAST_PORT": str(search_port),
            "EPICS_PVAS_BEACON_ADDR_LIST": interface,
            "EPICS_PVAS_AUTO_BEACON_ADDR_LIST": "NO",
        }
        self._provider: Any = StaticProvider(f"tokaido-{id(self)}")
        self.queue: Any = ThreadedWorkQueue("pv-put", workers=PUT_THREADS, maxsize=0, daemon=True)
        self._server: Any = None
        self._closing = threading.Event()
        self._opening = threading.Lock()
        self._devices = [Published(self, name) for name in station.devices]

    # --- what a caller does -------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Begin to listen and to read.

        Raises:
            NotConnectedError: The address or the port cannot be bound.
        """
        from p4p.server import Server  # noqa: PLC0415  # pyright: ignore[reportMissingImports]

        where = f"{self._conf['EPICS_PVAS_INTF_ADDR_LIST']}:{self._conf['EPICS_PVAS_SERVER_PORT']}"
        try:
            self._server = Server(providers=[self._provider], conf=self._conf, useenv=False)
        except RuntimeError as error:
            raise NotConnectedError(f"pvAccess cannot listen at {where}: {error}") from error
        asked, got = self._conf["EPICS_PVAS_SERVER_PORT"], self.client_conf["EPICS_PVA_SERVER_PORT"]
        if asked not in ("0", got):  # the library takes another port where one is taken
            self._server.stop()
            self._server = None
            raise NotConnectedError(f"pvAccess cannot listen at {where}: the port is taken", remedy="Name another one")
        self.queue.start()
        for device in self._devices:
            device.thread.start()

    def close(self) -> None:
        """End it; changes nothing in the devices. May be called again."""
        if self._closing.is_set():
            return
        self._closing.set()
        if self._server is not None:
            self._server.stop()
            self.queue.stop()
            for device in self._devices:
                device.thread.join()
        for device in self._devices:
            device.end()

    @property
    def client_conf(self) -> Mapping[str, str]:
        """What a client on this machine needs to reach it: `p4p.client.thread.Context(conf=..., useenv=False)`."""
        found: dict[str, str] = self._server.conf()
        return {name: text for name, text in found.items() if name.startswith("EPICS_PVA_")}

    @property
    def endpoint(self) -> str:
        """Where it listens, such as `127.0.0.1:5075`: what `EPICS_PVA_NAME_SERVERS` takes."""
        return f"{self._conf['EPICS_PVAS_INTF_ADDR_LIST']}:{self.client_conf['EPICS_PVA_SERVER_PORT']}"

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # --- what its devices need ----------------------------------------------------------------------------------------

    def open(self, name: str) -> Device:
        """Return a device of the station; one is opened at a time."""
        with self._opening:
            return self.station.device(name, Device)

    def writes(self, name: str, path: str) -> bool:
        """Return whether a setting can be put."""
        return any(pattern.fullmatch(f"{name}.{path}") for pattern in self._patterns)

    def publish(self, name: str, pv: Pv) -> None:
        """Let clients find a PV."""
        self._provider.add(f"{self.prefix}:{name}:{pv_path(pv.path)}", pv.shared)

    def wait(self) -> bool:
        """Wait for the next reading, and return whether the server ends instead."""
        return self.clock.wait(self.period_s, self._closing) or self._closing.is_set()


class Published:
    """One device of a server."""

    def __init__(self, server: PvServer, name: str) -> None:
        self._server = server
        self._name = name
        self._device: Device | None = None
        self._lock = threading.Lock()
        self._pvs: dict[str, Pv] = {}
        self._connected = Pv(CONNECTED, _CONNECTED, None, server.queue)
        server.publish(name, self._connected)
        self.thread = threading.Thread(target=self._live, name=f"pvs of {name}", daemon=True)

    def _live(self) -> None:
        while True:
            try:
                self.refresh()
            except Exception as error:  # a thread that ends would leave the last values standing as if they were good
                logger.exception("reading %s failed in the server", self._name)
                self._lost(f"the server failed: {error}")
            if self._server.wait():
                return

    def refresh(self) -> None:
        """Read everything and publish it."""
        with self._lock:
            try:
                if self._device is None:
                    self._device = self._server.open(self._name)
                readings = self._readings(self._device)
            except TokaidoError as error:
                self._lost(str(error))
                return
            found = not self._pvs
            if found:
                self._pvs = {path: self._pv(self._device, path) for path in readings}
            for path, pv in self._pvs.items():
                pv.post(readings[path])
                if found:  # with its first value
                    self._server.publish(self._name, pv)
            self._connected.say(True, NO_ALARM, "", self._server.clock.utc_ns())

    def _readings(self, device: Device) -> dict[str, Reading[Any]]:
        readings: dict[str, Reading[Any]] = dict(device.telemetry())
        for name, query in device.queries().items():
            if query.command is None:
                continue
            told, quality, why = None, Quality.GOOD, ""
            try:
                told = device.ask(query)
            except DeviceError as error:
                quality, why = Quality.BAD, str(error)
            readings[name] = Reading(told, "", self._server.clock.utc_ns(), 0.0, quality, error=why)
        return readings

    def _pv(self, device: Device, path: str) -> Pv:
        if path in (asked := device.queries()):
            return Pv(path, asked[path], None, self._server.queue)
        owner, value = device.find(path)
        if not isinstance(value, Setting) or not self._server.writes(self._name, path):
            return Pv(path, value, None, self._server.queue)
        setting: Setting[Any] = value

        def put(to: Any) -> None:
            owner.write(setting, to)
            logger.info("%s.%s was set to %r over pvAccess", self._name, path, to)
            self.refresh()

        return Pv(path, value, put, self._server.queue)

    def _lost(self, why: str) -> None:
        now_ns = self._server.clock.utc_ns()
        self._connected.say(False, MAJOR, why, now_ns)
        for pv in self._pvs.values():
            pv.post_lost(why, now_ns)

    def end(self) -> None:
        """Close the PVs."""
        for pv in (self._connected, *self._pvs.values()):
            pv.shared.close(destroy=True)


_CONNECTED: Final = Measured(bool, None)


def pv_path(path: str) -> str:
    """Return the path of a value as part of a PV's name: `detectors:0:bias`, since a dot begins a field there."""
    return path.replace("[", ":").replace("]", "").replace(".", ":")


def _checked(
    station: Station,
    *,
    insecure: bool,
    interface: str,
    ports: tuple[int, ...],
    prefix: str,
    writable: tuple[str, ...],
    period_s: float,
) -> tuple[re.Pattern[str], ...]:
    """Return what can be put.

    Raises:
        ConfigurationError: With every mistake.
    """
    if insecure is not True:
        raise ConfigurationError(
            "pvAccess has neither encryption nor proof of who asks: all who reach the port read all values",
            remedy="If this network is yours alone, say so: insecure_pvaccess=True, or --insecure-pvaccess",
        )
    mistakes: list[str] = []
    try:
        if IPv4Address(interface).is_unspecified:
            mistakes.append(f"interface {interface} is every network of this machine: name the address of one")
    except AddressValueError:
        mistakes.append(f"interface {interface!r} is not an IPv4 address, such as 127.0.0.1")
    mistakes += [f"there is no port {port}: it is 0 to 65535" for port in ports if not 0 <= port <= 65535]
    if not PREFIX.fullmatch(prefix):
        mistakes.append(f"prefix {prefix!r} is not made of A-Z a-z 0-9 _ : ; < > + -")
    if not 0.05 <= period_s <= 3600:
        mistakes.append(f"a period of {period_s!r} s: it is 0.05 to 3600")
    for pattern in writable:
        if not any(_pattern(pattern.partition(".")[0]).fullmatch(name) for name in station.devices):
            mistakes.append(f"writable {pattern!r} names no device; there are {', '.join(station.devices)}")
        elif "." not in pattern and pattern != "*":
            mistakes.append(f"writable {pattern!r} names no setting, such as {pattern}.attenuation or {pattern}.*")
    if mistakes:
        raise ConfigurationError(f"station {station.name} cannot be published", mistakes=tuple(mistakes))
    return tuple(_pattern(pattern) for pattern in writable)


def _pattern(text: str) -> re.Pattern[str]:
    return re.compile(re.escape(text).replace(r"\*", ".*"))
