"""A whole station within a test: every device of its file emulated, at places of the test's own."""

from __future__ import annotations

import shutil
from dataclasses import replace
from typing import TYPE_CHECKING

import tokaido.hal as hal
from tokaido.emulators.bench import bench_from_station

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from contextlib import ExitStack
    from pathlib import Path

    from tokaido.emulators.bench import Bench
    from tokaido.hal import Clock, TraceRecord


def emulated_bench(
    described: hal.Station, *, seed: int, speed: float, wire_end: str, directory: Path, clock: Clock
) -> Bench:
    """Return a bench with every device of a station file.

    Raises:
        ConfigurationError: With every mistake in the file; or a device of it would not be emulated.
    """
    bench = bench_from_station(
        described,
        at_resources=False,
        wire_end=wire_end,
        seed=seed,
        speed=speed,
        secrets="seeded",
        directory=directory,
        clock=clock,
    )
    real = [name for name in described.devices if name not in bench.devices]
    if real:
        bench.close()
        raise hal.ConfigurationError(
            f"station {described.name}: {', '.join(real)} would be the real device",
            remedy="Give the file a table [bench], or each device a table [devices.NAME.emulator]",
        )
    return bench


def station_on(
    bench: Bench,
    described: hal.Station,
    stack: ExitStack,
    *,
    directory: Path,
    clock: Clock,
    nonces: Callable[[int], bytes],
    note: Callable[[str, TraceRecord], None],
) -> hal.Station:
    """Return a station whose devices are those on the bench, with leases in a folder that `stack` removes.

    It is closed by `stack` too, and asks for no safe state then: a fault may be in its way, and nobody is in danger.
    """
    leases = directory / "leases"
    stack.callback(shutil.rmtree, leases, ignore_errors=True)
    lease_files = sorted({link.lease_file for link in described.links.values() if link.lease_file is not None})
    moved = {file: leases / str(number) / file.name for number, file in enumerate(lease_files)}
    for file in moved.values():
        file.parent.mkdir(parents=True)
    station = hal.Station(
        described.name,
        {name: _at(entry, bench.devices[name].resources) for name, entry in described.devices.items()},
        on_exit=described.on_exit,
        links={
            name: replace(link, lease_file=moved[link.lease_file]) if link.lease_file is not None else link
            for name, link in described.links.items()
        },
        interlocks=described.interlocks,
        bench=described.bench,
        clock=clock,
        nonces=nonces,
    )
    station.trace = noted(station, note)

    def close() -> None:
        station.on_exit = "keep"
        station.close()

    stack.callback(close)
    return station


def noted(station: hal.Station, note: Callable[[str, TraceRecord], None]) -> Callable[[TraceRecord], None]:
    """Return what notes the records of a station's devices under their names."""
    names = {
        f"{resource.kind}:{resource.address}": entry.name
        for entry in station.devices.values()
        for resource in entry.resources.values()
    }
    return lambda record: note(names.get(record.transport, record.transport), record)


def _at(entry: hal.DeviceEntry, resources: Mapping[str, object]) -> hal.DeviceEntry:
    """Return an entry at other resources; a port that the file leaves out stays left out."""
    places = {port: hal.Resource.parse(str(resources[port])) for port in entry.resources if port in resources}
    return replace(entry, resources=places)
