"""The devices of one place, as a TOML file and as an object."""

from __future__ import annotations

import threading
import weakref
from collections import defaultdict
from contextlib import ExitStack, contextmanager
from functools import partial
from os import urandom
from typing import TYPE_CHECKING, Any, Self, TypeVar, cast

from tokaido.hal._clock import SYSTEM_CLOCK, Clock
from tokaido.hal._device import Device
from tokaido.hal._errors import ClosedError, ConfigurationError, TokaidoError
from tokaido.hal._near import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from pathlib import Path
    from types import TracebackType

    from tokaido.hal._device import OnExit
    from tokaido.hal.stations._alarm_hooks import AlarmHook
    from tokaido.hal.stations._alarm_watch import AlarmWatch
    from tokaido.hal.stations._entries import AnyInterlockEntry, DeviceEntry, HalfLinkEntry, LinkEntry
    from tokaido.hal.stations._half_links import HalfLink
    from tokaido.hal.stations._leases import Leases
    from tokaido.hal.stations._links import Link
    from tokaido.hal.stations._remote import RemoteStation
    from tokaido.hal.transports._trace import TraceRecord

D = TypeVar("D", bound=Device)


class Station:
    """The devices of one place. Each is opened on first use and closed with the station.

    A station file has a table `station` (`name`, and `on_exit` = "safe" or "keep") and a table `devices.NAME` for each
    device (`driver`, `control`, `keys`, `serial_number`, `timeout`). Files named in resources are taken relative to it.
    A table `devices.NAME.calibrations.VALUE` (`unit`, `offset` or `points`, `outside`, `date`, `source`, `valid_until`)
    corrects a value of a device, for all who use it by this station.
    A table `interlocks.NAME` (`switch`, `classical_inputs`, `single_photon_outputs`) keeps classical light from a
    receiver that is not shuttered: the switch joins none to it, and it does not open onto what is joined; one with
    `amplifier` and `receivers` keeps an amplifier off while one of them is open, and them shut while it is on. A table
    `links.NAME` (`transmitter`, `receiver`, `lease_file`, and a table `paths.PATH` with a list of [input, output] for
    each switch) makes a QKD link, which `link` returns; one with `unit` and `neighbour` makes one end of a link to
    another node, which `half_link` returns. Tables `[[alarms.hooks]]` (`program`, `web` or `mail`) make what may be
    told of alarms: `alarms(hooks=station.alarm_hooks)`. Tables `bench` and `server` are for its emulator and its device
    server.
    """

    def __init__(
        self,
        name: str,
        devices: Mapping[str, DeviceEntry],
        *,
        on_exit: OnExit = "safe",
        links: Mapping[str, LinkEntry] | None = None,
        half_links: Mapping[str, HalfLinkEntry] | None = None,
        interlocks: Iterable[AnyInterlockEntry] = (),
        alarm_hooks: Iterable[AlarmHook] = (),
        bench: Mapping[str, Any] | None = None,
        server: Mapping[str, Any] | None = None,
        folder: Path | None = None,
        clock: Clock = SYSTEM_CLOCK,
        nonces: Callable[[int], bytes] = urandom,
    ) -> None:
        self.name = name
        self.devices = dict(devices)
        self.on_exit: OnExit = on_exit
        self.links = dict(links or {})
        """The whole QKD links, as the tables `links` declare them; `link` returns one with its devices."""
        self.half_links = dict(half_links or {})
        """The ends of links to other nodes, as the tables `links` declare them; `half_link` returns one."""
        self.interlocks = tuple(interlocks)
        """Bound to their switches and receivers when these are opened."""
        self.alarm_hooks = tuple(alarm_hooks)
        """What the file's tables `[[alarms.hooks]]` declare, for `alarms`; nothing is told before it is given there."""
        self.bench = dict(bench or {})
        """The table `bench`, unread: the optics, for the emulator of this station."""
        self.server = dict(server or {})
        """The table `server`, unread: for the device server of this station."""
        self.folder = folder
        """Where the file is that it was read from: what its tables name is taken relative to that."""
        self.trace: Callable[[TraceRecord], None] | None = None
        """Called with every record of the control transport of each device that is opened from now on."""
        self._clock = clock
        self._nonces = nonces
        self._open: dict[str, Device] = {}
        self._visited: dict[str, Device] = {}
        self._looked_at: dict[str, Device] = {}  # opened for their alarms alone, so that no safe state is due
        self._locks = defaultdict(threading.RLock, {name: threading.RLock() for name in self.devices})  # for openings
        self._closings = 0
        self._watches: weakref.WeakSet[AlarmWatch] = weakref.WeakSet()

    @property
    def clock(self) -> Clock:
        """Where time comes from, for the station and its devices: what sweeps, logs and loops wait by."""
        return self._clock

    @classmethod
    def from_file(
        cls, path: str | Path, *, clock: Clock = SYSTEM_CLOCK, nonces: Callable[[int], bytes] = urandom
    ) -> Self:
        """Read a station file.

        Args:
            path: The file.
            clock: Where time comes from, for the station and its devices.
            nonces: Source of n unpredictable bytes, none of them secret, as `Device.open` takes it.

        Raises:
            ConfigurationError: With every mistake in it, each with its line or key and what to do.
        """
        from tokaido.hal.files import path_of  # noqa: PLC0415 - for files only
        from tokaido.hal.tables import read  # noqa: PLC0415

        path = path_of(path, "the station file")
        text, _ = read(path, "the station file")
        return cls.from_text(text, source=str(path), base=path.parent, clock=clock, nonces=nonces)

    @classmethod
    def from_text(
        cls,
        text: str,
        *,
        source: str = "station",
        base: Path | None = None,
        clock: Clock = SYSTEM_CLOCK,
        nonces: Callable[[int], bytes] = urandom,
    ) -> Self:
        """Read a station from the text of its file.

        Raises:
            ConfigurationError: With every mistake in it.
        """
        from tokaido.hal.stations._station_file import StationReader  # noqa: PLC0415 - for files only
        from tokaido.hal.tables import parsed  # noqa: PLC0415 - for files only

        reader = StationReader(text, base)
        station = reader.station(parsed(text, source))
        if reader.mistakes:
            count = len(reader.mistakes)
            raise ConfigurationError(
                f"{source} has {count} mistake{'s' if count > 1 else ''}", mistakes=tuple(reader.mistakes)
            )
        return cls(
            station.name,
            station.devices,
            on_exit=station.on_exit,
            links=station.links,
            half_links=station.half_links,
            interlocks=station.interlocks,
            alarm_hooks=station.alarm_hooks,
            bench=station.bench,
            server=station.server,
            folder=base,
            clock=clock,
            nonces=nonces,
        )

    @staticmethod
    def connect(
        server: str, *, keys: Mapping[str, str] | None = None, timeout: float = 2.0, clock: Clock = SYSTEM_CLOCK
    ) -> RemoteStation:
        """Return the station of a device server, whose devices others use too: the same roles, the same errors.

        Args:
            server: Where it is: `zmq:tcp://lab-host:5570?server_key_file=lab.key&client_key_file=me.key_secret`.
            keys: By device, the resource of a unit's key channel, which no server carries.
            timeout: Deadline of a request to the server that concerns no device, in s.
            clock: Where time comes from.

        Raises:
            ConfigurationError: The resource or a key file is wrong.
            AuthenticationError: The server does not know our key, or is another one.
            TransportError: It could not be reached.
        """
        from tokaido.hal.stations._remote import connect  # noqa: PLC0415 - for those who share

        return connect(server, keys=keys, timeout=timeout, clock=clock)

    def entry(self, name: str) -> DeviceEntry:
        """Return what the file says of a device.

        Raises:
            ConfigurationError: The station has none of that name.
        """
        if name not in self.devices:
            raise ConfigurationError(
                f"station {self.name} has no device {name!r}",
                remedy=f"{did_you_mean(name, self.devices)}It has {', '.join(self.devices) or 'none'}",
            )
        return self.devices[name]

    def device(self, name: str, role: Callable[..., D]) -> D:
        """Return a device, opened on first use, as its role: `station.device("alice", hal.Transmitter)`.

        Raises:
            ConfigurationError: The station has none of that name, or it fills another role.
            TransportError: It could not be reached.
        """
        entry = self.entry(name)
        with self._locks[name]:
            device = self._open.get(name) or self._looked_at.pop(name, None) or self._opened(entry)
            self._open[name] = device
        if not isinstance(role, type) or not isinstance(device, role):
            raise ConfigurationError(f"{name} is a {type(device).__name__}, not a {getattr(role, '__name__', role)}")
        return cast("D", device)

    def forget(self, name: str) -> None:
        """Close a device if it is open. Its next use opens it again, and may find another box there.

        Raises:
            ConfigurationError: The station has none of that name.
        """
        self.entry(name)
        with self._locks[name]:
            for held in (self._open, self._looked_at):
                if (device := held.pop(name, None)) is not None:
                    device.close()

    def link(self, name: str) -> Link:
        """Return a whole QKD link with its units and switches, opened on first use: `station.link("field")`.

        Raises:
            ConfigurationError: The station has none of that name, or one end of it alone: see `half_link`.
            TransportError: A device of it could not be reached.
        """
        from tokaido.hal.stations._station_links import link_of  # noqa: PLC0415 - roles, which only links need

        return link_of(self, name, self._leases_of)

    def half_link(self, name: str) -> HalfLink:
        """Return this station's end of a QKD link, its devices opened on first use: `station.half_link("field")`.

        Raises:
            ConfigurationError: The station has none of that name, or has both ends of it.
            TransportError: A device of it could not be reached.
        """
        from tokaido.hal.stations._station_links import half_link_of  # noqa: PLC0415 - roles, which only links need

        return half_link_of(self, name, self._leases_of)

    def _leases_of(self, entry: LinkEntry | HalfLinkEntry) -> Leases | None:  # noqa: ARG002 - for a station of a device server
        """Return what gives the leases of a link; None: the file that its entry names."""
        return None

    def alarms(self, *, timeout: float | None = None, poll: float = 1.0, hooks: Iterable[AlarmHook] = ()) -> AlarmWatch:
        """Watch the alarms of all devices: `for alarm in station.alarms():`.

        Each device has a thread of its own, so that one that hangs holds up no other. An alarm that is active at the
        beginning comes as raised. Changes come from what a device announces or logs, and from a comparison with its
        active alarms at each look, so that none goes untold that stands or ended while a device could not be reached.
        One that came and went meanwhile is counted by a `CHANGES_LOST`, if the device tells. A device that does not
        answer is told as `NOT_ANSWERING`, and so is its return; of a switch, and of what else has no alarms, this is
        all.

        The devices that are open are used as they are; others are opened, and not brought to their safe state in the
        end. Do not call `alarm_events` yourself meanwhile: each announcement is given once. Looking renews no watchdog.

        Args:
            timeout: End when none came for so long, in s; default: with the station.
            poll: How long to leave each device alone between two looks, in s.
            hooks: What else is told of each: `station.alarm_hooks`, or hooks of your own. Each has its own thread.

        Raises:
            RangeError: `poll` does not lie in 0.01 to 3600 s.
        """
        from tokaido.hal.stations._alarm_watch import AlarmWatch  # noqa: PLC0415 - for those who watch

        devices = {name: partial(self._device_to_look_at, name, self._closings) for name in self.devices}
        watch = AlarmWatch(self.name, devices, timeout=timeout, poll=poll, hooks=hooks, clock=self._clock)
        self._watches.add(watch)
        return watch

    def _device_to_look_at(self, name: str, closings: int) -> Device:
        with self._locks[name]:
            if closings != self._closings:
                raise ClosedError(f"station {self.name} was closed")
            device = self._open.get(name) or self._looked_at.get(name)
            if device is None:
                device = self._looked_at[name] = self._opened(self.devices[name])
            return device

    def _opened(self, entry: DeviceEntry) -> Device:
        device = Device.open(
            entry.driver,
            name=entry.name,
            serial_number=entry.serial_number,
            timeout=entry.timeout,
            clock=self._clock,
            nonces=self._nonces,
            trace=self.trace,
            on_exit="keep",  # the station applies the safe states
            calibrations=entry.calibrations,
            **entry.resources,
        )
        try:
            for interlock in self.interlocks:
                interlock.bind(device, self.visit)
        except BaseException:
            device.close()
            raise
        return device

    @contextmanager
    def visit(self, name: str) -> Iterator[Device]:
        """Give a device within a `with` block: as it is open, or opened for this alone and left as it is.

        One that was only looked at must not be brought to its safe state when the station is closed.

        Raises:
            ConfigurationError: The station has none of that name.
            TransportError: It could not be reached.
        """
        device = self._near_at_hand(name)
        if device is not None:
            yield device
            return
        entry = self.entry(name)
        with self._locks[name]:
            device = self._near_at_hand(name)
            if device is not None:
                yield device
                return
            with self._opened(entry) as visited:
                self._visited[name] = visited  # for interlocks, which visit it meanwhile
                try:
                    yield visited
                finally:
                    self._visited.pop(name, None)  # another thread may visit it, too

    def _near_at_hand(self, name: str) -> Device | None:
        return self._open.get(name) or self._looked_at.get(name) or self._visited.get(name)

    def close(self) -> None:
        """Close the devices that were opened, each after its safe state if the station says so; end all watches.

        Every device gets its turn; what failed is raised together in the end.

        Raises:
            TokaidoError: A device could not be brought to its safe state.
        """
        failed: list[str] = []
        self._closings += 1
        with ExitStack() as stack:
            for watch in tuple(self._watches):
                watch.stop()
                stack.callback(watch.close)
            for name in self.devices:
                with self._locks[name]:  # what a watch was just opening is closed, too
                    if (watched := self._looked_at.pop(name, None)) is not None:
                        stack.callback(watched.close)
            while self._open:
                name, device = self._open.popitem()
                stack.callback(device.close)
                if self.on_exit == "safe":
                    try:
                        device.apply_safe_state()
                    except TokaidoError as error:
                        failed.append(f"{name}: {error}")
        if failed:
            raise TokaidoError(
                "not every device is known to be in its safe state: " + "; ".join(failed),
                remedy="Look at them; a unit with a lease goes there by itself",
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _repr_html_(self) -> str:
        """Return what a notebook shows; nothing is opened."""
        from tokaido.hal._html import of_station  # noqa: PLC0415 - for notebooks

        return of_station(self)
