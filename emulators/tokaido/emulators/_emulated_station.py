"""A station whose devices are emulated within the program that uses it."""

from __future__ import annotations

import tempfile
from contextlib import ExitStack
from dataclasses import replace
from os import urandom
from pathlib import Path
from typing import TYPE_CHECKING, Self

import tokaido.hal as hal
from tokaido.emulators._stepped import SteppedClock
from tokaido.emulators.bench import Order, bench_from_station

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

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
        if speed is None and isinstance(clock, SteppedClock):
            speed = 1.0
        with ExitStack() as stack:
            leases = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="tokaido-leases-", dir=directory)))
            self.emulation: Bench = stack.enter_context(
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
            """The bench that the devices stand on: `station.emulation.order("cut", "A")`."""
            real = [name for name in described.devices if name not in self.emulation.devices]
            if real:
                raise hal.ConfigurationError(
                    f"station {described.name}: {', '.join(real)} would be the real device",
                    remedy="Give the file a table [bench], or each device a table [devices.NAME.emulator]",
                )
            models = {name: device.model for name, device in self.emulation.devices.items()}
            for at_s, order in (events or {}).items():
                Order(order.split()).check(self.emulation.fibres, models)
                self.emulation.at(at_s, *order.split())
            super().__init__(
                described.name,
                {name: self._emulated(entry) for name, entry in described.devices.items()},
                on_exit=described.on_exit,
                links=_links(described, leases),
                interlocks=described.interlocks,
                alarm_hooks=described.alarm_hooks,
                bench=described.bench,
                server=described.server,
                folder=described.folder,
                clock=clock,
                nonces=nonces,
            )
            self.emulation.step(1)  # ns: there is light when the first question comes
            self.emulation.start()
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

    def _emulated(self, entry: hal.DeviceEntry) -> hal.DeviceEntry:
        """Return an entry at the emulated device; a port that the file leaves out stays left out."""
        places: Mapping[str, object] = self.emulation.devices[entry.name].resources
        resources = {port: hal.Resource.parse(str(places[port])) for port in entry.resources if port in places}
        return replace(entry, resources=resources)

    def close(self) -> None:
        """Close the devices as `hal.Station` does, and then what emulates them. May be called again.

        Raises:
            TokaidoError: A device could not be brought to its safe state.
        """
        with self._emulated_for:
            super().close()


def _links(described: hal.Station, leases: Path) -> dict[str, hal.LinkEntry]:
    """Return the links of a station with leases of their own, which those share that shared a file."""
    files = sorted({link.lease_file for link in described.links.values() if link.lease_file is not None})
    moved = {file: leases / f"{number}-{file.name}" for number, file in enumerate(files)}
    return {
        name: link if link.lease_file is None else replace(link, lease_file=moved[link.lease_file])
        for name, link in described.links.items()
    }
