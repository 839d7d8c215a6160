"""A bench as a station describes it: every emulated device at exactly its resources, joined by the table `bench`."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from tokaido.emulators._plugs import allowed_ends
from tokaido.emulators.bench._bench import Bench
from tokaido.emulators.bench._joined_stations import join_stations
from tokaido.emulators.bench._station_tables import StationPlan, TableReader
from tokaido.emulators.units import Refusal
from tokaido.hal import SYSTEM_CLOCK, Clock, ConfigurationError, create_curve_keys

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tokaido.emulators._secrets import Secrets
    from tokaido.emulators.bench._station_tables import EmulatedLink
    from tokaido.hal import Station


def bench_from_station(
    station: Station,
    *,
    for_others: bool = False,
    at_resources: bool = True,
    wire_end: str = "",
    seed: int | None = None,
    speed: float | None = None,
    secrets: Secrets = "os",
    directory: Path | str | None = None,
    clock: Clock = SYSTEM_CLOCK,
) -> Bench:
    """Return a bench with the devices of a station at exactly their resources. It is not started yet.

    A station with a table `bench` is emulated whole: every device of it, and every link. Of one without, those devices
    are that have a table `emulator` or belong to a link that has one, and such a link is one fibre, named after it.
    What the tables may say stands in docs/reference/cli.md. CURVE key files that are absent are made, and stay.

    Of stations with half-links, those of both ends are emulated together: `bench_from_station(join_stations(one,
    other).station)`.

    Args:
        station: The station; its devices need not be open, nor are they opened.
        for_others: Whether other programs are to open the devices; a place within this process is a mistake then.
        at_resources: False for devices at places that are free, whatever the station says: `bench.devices[name]` has
            the resources of each, and with a stepped clock they are within the process.
        wire_end: What carries the control ports of the devices that have such an end; with `at_resources` False only.
        seed: Decides everything that is random and no secret, whatever the file says. Default: what the file says, or
            else a new one for every run, or 0 if secrets are "seeded".
        speed: Emulated seconds per second, whatever the file says. Default: what the file says.
        secrets: "os", or "seeded" for keys that are the same in every run and marked insecure.
        directory: Where consoles and key files appear that have no place in the file; one that is removed by default.
        clock: The wall clock, or a `SteppedClock`.

    Raises:
        ConfigurationError: With every mistake in the tables, each with its place; nothing was started.
    """
    station = join_stations(station).station if station.half_links else station
    reader = TableReader(station, for_others=for_others, at_resources=at_resources)
    plan, mistakes = reader.plan(), reader.mistakes
    if station.bench or not mistakes:
        _rehearse(plan, mistakes)
    if mistakes:
        count = len(mistakes)
        raise ConfigurationError(
            f"station {station.name} cannot be emulated; it has {count} mistake{'s' if count > 1 else ''}",
            mistakes=tuple(mistakes),
        )
    bench = Bench(
        seed=plan.seed if seed is None else seed,
        speed=plan.speed if speed is None else speed,
        secrets=secrets,
        directory=directory,
        clock=clock,
    )
    try:
        _build(plan, bench, wire_end)
    except BaseException:
        bench.close()
        raise
    return bench


def _build(plan: StationPlan, bench: Bench, wire_end: str) -> None:
    for name, device in plan.devices.items():
        with _told(f"devices.{name}"):
            for file in device.key_files:
                if not file.exists():
                    create_curve_keys(file.parent, file.stem)
            bench.device(
                name,
                device.driver,
                serial_number=device.serial_number,
                resources=device.resources,
                warm=device.warm,
                wire_end=wire_end if wire_end in allowed_ends(device.model) else None,
                model_options=device.options,
            )
    _lay(plan, bench, None)
    for where, (source, to, channel) in plan.cables:
        with _told(where):
            bench.cable(source, to, channel=channel)
    for at_s, order in plan.events:
        bench.at(at_s, *order.words)
    loaded: set[tuple[str, str, str]] = set()
    for link in plan.links:
        units = link.transmitter, link.receiver
        with _told(f"links.{link.name}"):
            bench.set_up(*units, preset=link.settings, block_bits=link.block_bits)
            for path in link.paths or ("-",):
                load = link.load_preshared_key and (*units, path) not in loaded
                bench.preshared_key(*units, path, load=load)
                loaded.add((*units, path))


def _lay(plan: StationPlan, bench: Bench, mistakes: list[str] | None) -> None:
    """Put the optics on a bench on which the devices stand."""
    for name, fibre in plan.fibres.items():
        with _told(f"{plan.fibres_at}.{name}", mistakes):
            bench.fibre(name, **fibre)
    for name, panel in plan.panels.items():
        with _told(f"bench.panels.{name}", mistakes):
            bench.panel(name, **panel)
    for name, multiplexer in plan.multiplexers.items():
        with _told(f"bench.multiplexers.{name}", mistakes):
            bench.multiplexer(name, **multiplexer)
    for name, laser in plan.lasers.items():
        with _told(f"bench.lasers.{name}", mistakes):
            bench.laser(name, **laser)
    for where, join in plan.joins:
        if any(port.partition(".")[0] in plan.unread for port in join[:2]):
            continue  # which is a mistake already
        with _told(where, mistakes):
            bench.join(*join)


@contextmanager
def _told(where: str, mistakes: list[str] | None = None) -> Iterator[None]:
    """Note a mistake with its place, or raise it with its place if nobody notes it."""
    try:
        yield
    except (ConfigurationError, Refusal) as error:
        text = str(error)
        if isinstance(error, ConfigurationError) and "unjoin" in error.remedy:  # no remedy for who writes a file
            text = error.what
        if mistakes is None:
            raise ConfigurationError(f"{where}: {text}") from error
        mistakes.append(f"{where}: {text}")


# --- the rehearsal: the same bench without wires, on which nothing can be left behind --------------------------------


def _rehearse(plan: StationPlan, mistakes: list[str]) -> None:
    """Build the optics of a plan in thought, and see that light can take every path of every link."""
    with Bench() as bench:
        for name, device in plan.devices.items():
            with _told(f"devices.{name}", mistakes):
                bench.add(name, device.model)
        _lay(plan, bench, mistakes)
        if mistakes:
            return
        for link in plan.links:
            for path in link.paths:
                mistakes += _obstacles(bench, link, path)


def _obstacles(bench: Bench, link: EmulatedLink, path: str) -> list[str]:
    """Return why light of a link's transmitter does not come to its receiver over a path."""
    needs = link.paths[path]
    where = f"links.{link.name}.paths.{path}"
    elements = bench.elements
    obstacles = [(name, element.pretend(needs.get(name, ()))) for name, element in elements.items()]
    for name, obstacle in obstacles:
        if obstacle:
            return [f"{where}.{name}: {obstacle}"]
    way = bench.trace(link.transmitter)
    last = way.end.partition(".")[0]
    if way.unit == link.receiver or (elements[last].stands_as_told and last not in needs):
        return []  # a device that the path does not name stands as somebody else wants it
    where_to = f"comes to {way.unit}" if way.unit else way.reason
    return [f"{where}: light of {link.transmitter} does not come to {link.receiver}: {where_to}"]
