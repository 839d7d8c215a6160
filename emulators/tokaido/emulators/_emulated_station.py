"""Stations whose devices are emulated within the program that uses them."""

from __future__ import annotations

import tempfile
from contextlib import ExitStack
from dataclasses import replace
from os import urandom
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import tokaido.hal as hal
from tokaido.emulators._stepped import SteppedClock
from tokaido.emulators.bench import Order, bench_from_station, join_stations

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from types import TracebackType

    from tokaido.emulators._secrets import Secrets
    from tokaido.emulators.bench import Bench


class EmulatedStation(hal.Station):
    """A station as a file describes it, with every device emulated at a place of its own.

    `EmulatedStation.from_file("lab.toml")` stands where `hal.Station.from_file("lab.toml")` will: serial ports,
    addresses and files that the file names are not touched. What the file says for `tokaido emulate` holds here, too.

    Time passes while somebody waits by `clock`: a driver for its answer, the program by `station.clock.wait(60)`. It
    takes none of yours, and is for one thread. Where a program has several, give `clock=hal.SYSTEM_CLOCK`.

    Args:
        described: The station as its file has it.
        clock: Where time comes from; default: a new `SteppedClock`.
        nonces: Source of n unpredictable bytes, as `hal.Station` takes it.
        seed: Decides everything that is random and no secret. Default: what the file says, or else a new one.
        speed: Emulated seconds per second. Default: 1 with a `SteppedClock`, otherwise what the file says.
        secrets: "os", or "seeded" for keys that are the same in every run and marked insecure.
        events: Orders by the emulated second at which they are carried out, beside those of the file:
            `{60: "cut A"}`.
        wire_end: What carries the control ports of the devices that have such an end.
        directory: Folder in which consoles, key files and leases appear; one that is removed by default.

    Raises:
        ConfigurationError: With every mistake in the tables; a device would not be emulated; an event is not an order.
    """

    def __init__(
        self,
        described: hal.Station,
        *,
        clock: hal.Clock | None = None,
        nonces: Callable[[int], bytes] = urandom,
        seed: int | None = None,
        speed: float | None = None,
        secrets: Secrets = "os",
        events: Mapping[float, str] | Mapping[int, str] | None = None,
        wire_end: str = "",
        directory: Path | str | None = None,
    ) -> None:
        clock = SteppedClock() if clock is None else clock
        with ExitStack() as stack:
            emulation = _emulated(
                described,
                stack,
                clock=clock,
                seed=seed,
                speed=speed,
                secrets=secrets,
                events=events,
                wire_end=wire_end,
                directory=directory,
            )
            self.emulation: Bench = emulation
            """The bench that the devices stand on: `station.emulation.order("cut", "A")`."""
            names = {name: name for name in described.devices}
            leases = _folder_of_leases(stack, directory)
            super().__init__(
                described.name,
                _devices(described, emulation, names),
                links=_links(described, leases),
                half_links=_half_links(described, leases),
                clock=clock,
                nonces=nonces,
                **_kept(described),
            )
            _begin(emulation)
            self._emulated_for = stack.pop_all()

    @classmethod
    def from_file(
        cls,
        path: str | Path,
        *,
        clock: hal.Clock | None = None,
        nonces: Callable[[int], bytes] = urandom,
        seed: int | None = None,
        speed: float | None = None,
        events: Mapping[float, str] | Mapping[int, str] | None = None,
    ) -> Self:
        """Emulate the station of a file. Close it, or use it as a context manager.

        Args:
            path: The file.
            clock: As the class takes it, and so are all others.
            nonces: See there.
            seed: See there.
            speed: See there.
            events: See there.

        Raises:
            ConfigurationError: With every mistake in it.
        """
        described = hal.Station.from_file(path)
        return cls(described, clock=clock, nonces=nonces, seed=seed, speed=speed, events=events)

    @classmethod
    def from_text(
        cls,
        text: str,
        *,
        source: str = "station",
        base: Path | None = None,
        clock: hal.Clock | None = None,
        nonces: Callable[[int], bytes] = urandom,
    ) -> Self:
        """Emulate the station of a file's text.

        Raises:
            ConfigurationError: With every mistake in it.
        """
        return cls(hal.Station.from_text(text, source=source, base=base), clock=clock, nonces=nonces)

    def close(self) -> None:
        """Close the devices as `hal.Station` does, and then what emulates them. May be called again.

        Raises:
            TokaidoError: A device could not be brought to its safe state.
        """
        with self._emulated_for:
            super().close()


class EmulatedStations:
    """Several stations whose half-links meet, emulated together: the units of both ends, and the span between them.

    ```python
    with EmulatedStations.from_files("otemachi.toml", "koganei.toml") as (otemachi, koganei):
        print(otemachi.half_link("field").status(keys_left=False))
    ```

    Each is a `hal.Station` as its own file describes it, with its devices at places of their own; they share light,
    classical channels and time. For stations that are used by other programs: `tokaido emulate`.

    Args:
        described: The stations as their files have them. Their half-links name each other's `[station] name`; the table
            `bench`, and the table `emulator` of each link, stand in one of the files.
        clock: Where time comes from, as `EmulatedStation` takes it, and so are all others.
        nonces: See there.
        seed: See there.
        speed: See there.
        secrets: See there.
        events: See there.
        wire_end: See there.
        directory: See there.

    Raises:
        ConfigurationError: With every reason why they do not fit together, or every mistake in the tables.
    """

    def __init__(
        self,
        *described: hal.Station,
        clock: hal.Clock | None = None,
        nonces: Callable[[int], bytes] = urandom,
        seed: int | None = None,
        speed: float | None = None,
        secrets: Secrets = "os",
        events: Mapping[float, str] | Mapping[int, str] | None = None,
        wire_end: str = "",
        directory: Path | str | None = None,
    ) -> None:
        clock = SteppedClock() if clock is None else clock
        joined = join_stations(*described)
        with ExitStack() as stack:
            self.emulation = _emulated(
                joined.station,
                stack,
                clock=clock,
                seed=seed,
                speed=speed,
                secrets=secrets,
                events=events,
                wire_end=wire_end,
                directory=directory,
            )
            """The bench that all devices stand on, under the names of `join_stations`."""
            stations: list[hal.Station] = []
            for one in described:
                leases = _folder_of_leases(stack, directory)
                station = hal.Station(
                    one.name,
                    _devices(one, self.emulation, joined.names[one.name]),
                    links=_links(one, leases),
                    half_links=_half_links(one, leases),
                    clock=clock,
                    nonces=nonces,
                    **_kept(one),
                )
                stack.callback(station.close)
                stations.append(station)
            self.stations = tuple(stations)
            """The stations, in the order in which they were given."""
            self.clock = clock
            """Where time comes from: `stations.clock.wait(60)`."""
            _begin(self.emulation)
            self._emulated_for = stack.pop_all()

    @classmethod
    def from_files(
        cls,
        *paths: str | Path,
        clock: hal.Clock | None = None,
        nonces: Callable[[int], bytes] = urandom,
        seed: int | None = None,
        speed: float | None = None,
        events: Mapping[float, str] | Mapping[int, str] | None = None,
    ) -> Self:
        """Emulate the stations of several files. Close it, or use it as a context manager.

        Args:
            paths: The files.
            clock: As the class takes it, and so are all others.
            nonces: See there.
            seed: See there.
            speed: See there.
            events: See there.

        Raises:
            ConfigurationError: With every mistake in the first file that has one, or why they do not fit together.
        """
        described = [hal.Station.from_file(path) for path in paths]
        return cls(*described, clock=clock, nonces=nonces, seed=seed, speed=speed, events=events)

    def __iter__(self) -> Iterator[hal.Station]:
        return iter(self.stations)

    def close(self) -> None:
        """Close the stations, and then what emulates them. May be called again.

        Raises:
            TokaidoError: A device could not be brought to its safe state.
        """
        self._emulated_for.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _emulated(
    described: hal.Station,
    stack: ExitStack,
    *,
    clock: hal.Clock,
    seed: int | None,
    speed: float | None,
    secrets: Secrets,
    events: Mapping[float, str] | Mapping[int, str] | None,
    wire_end: str,
    directory: Path | str | None,
) -> Bench:
    """Return a bench with every device of a station, not begun yet; `stack` closes it."""
    if speed is None and isinstance(clock, SteppedClock):
        speed = 1.0
    bench = stack.enter_context(
        bench_from_station(
            described,
            at_resources=False,
            wire_end=wire_end,
            seed=seed,
            speed=speed,
            secrets=secrets,
            directory=directory,
            clock=clock,
        )
    )
    real = [name for name in described.devices if name not in bench.devices]
    if real:
        raise hal.ConfigurationError(
            f"station {described.name}: {', '.join(real)} would be the real device",
            remedy="Give the file a table [bench], or each device a table [devices.NAME.emulator]",
        )
    models = {name: device.model for name, device in bench.devices.items()}
    for at_s, order in (events or {}).items():
        Order(order.split()).check(bench.fibres, models)
        bench.at(at_s, *order.split())
    return bench


def _begin(bench: Bench) -> None:
    bench.step(1)  # ns: there is light when the first question comes
    bench.start()


def _devices(described: hal.Station, bench: Bench, names: Mapping[str, str]) -> dict[str, hal.DeviceEntry]:
    """Return the devices of a station at their emulated places; a port that the file leaves out stays left out.

    Args:
        described: The station.
        bench: What emulates them.
        names: What each is called there.
    """
    found: dict[str, hal.DeviceEntry] = {}
    for name, entry in described.devices.items():
        places: Mapping[str, object] = bench.devices[names[name]].resources
        resources = {port: hal.Resource.parse(str(places[port])) for port in entry.resources if port in places}
        found[name] = replace(entry, resources=resources)
    return found


def _kept(described: hal.Station) -> dict[str, Any]:
    """Return what an emulated station has as its file describes it."""
    return {
        "on_exit": described.on_exit,
        "interlocks": described.interlocks,
        "alarm_hooks": described.alarm_hooks,
        "bench": described.bench,
        "server": described.server,
        "folder": described.folder,
    }


def _folder_of_leases(stack: ExitStack, directory: Path | str | None) -> Path:
    return Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="tokaido-leases-", dir=directory)))


def _links(described: hal.Station, leases: Path) -> dict[str, hal.LinkEntry]:
    """Return the links of a station with leases of their own, which those share that shared a file."""
    moved = _lease_files(described, leases)
    return {name: replace(link, lease_file=moved(link.lease_file)) for name, link in described.links.items()}


def _half_links(described: hal.Station, leases: Path) -> dict[str, hal.HalfLinkEntry]:
    """Return the same for its half-links."""
    moved = _lease_files(described, leases)
    return {name: replace(end, lease_file=moved(end.lease_file)) for name, end in described.half_links.items()}


def _lease_files(described: hal.Station, leases: Path) -> Callable[[Path | None], Path | None]:
    links: list[hal.LinkEntry | hal.HalfLinkEntry] = [*described.links.values(), *described.half_links.values()]
    files = sorted({link.lease_file for link in links if link.lease_file is not None})
    moved = {file: leases / f"{number}-{file.name}" for number, file in enumerate(files)}
    return lambda file: None if file is None else moved[file]
