"""The command `emulate`: the devices of station files, at exactly the places that the files name."""

from __future__ import annotations

from contextlib import ExitStack, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tokaido.hal as hal
from tokaido.console._emulate_orders import Orders
from tokaido.console._output import print_facts, print_json, tell, try_to_tell
from tokaido.console._signals import terminated_as_interrupt

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tokaido.emulators import Bench
    from tokaido.hal import LinkEntry


def run_emulation(
    paths: Sequence[Path],
    seconds: float | None,
    seed: int | None = None,
    back_door: Path | None = None,
    *,
    as_json: bool = False,
) -> None:
    """Serve station files until Ctrl-C, SIGTERM or SIGHUP, or for `seconds`; `seed` overrules that of the files.

    Orders are taken from standard input, and at a Unix socket `back_door` if one is named.

    Raises:
        ConfigurationError: With every mistake in a file, or why they do not fit together; nothing was started.
    """
    from tokaido.emulators import bench_from_station, join_stations  # noqa: PLC0415 - numpy, ZeroMQ, when first needed

    stations = [hal.Station.from_file(path) for path in paths]
    joined = join_stations(*stations)
    station = joined.station
    with terminated_as_interrupt():
        try:
            absent = {file for file in _key_files(station) if not file.exists()}
            with bench_from_station(station, for_others=True, seed=seed) as bench, ExitStack() as taken:
                made = sorted(file for file in absent if file.exists())
                bench.on_order = partial(_tell_order, as_json=as_json)
                orders = taken.enter_context(Orders(bench, back_door, as_json=as_json))
                bench.start()
                if as_json:
                    print_json(_facts(station, bench, made, back_door), compact=True)
                else:
                    _tell(station, bench, made)
                    emulated = (
                        f"{path}#{name}"
                        for path, described in zip(paths, stations, strict=True)
                        for name in described.devices
                        if joined.names[described.name][name] in bench.devices
                    )
                    _tell_how_to_go_on(next(emulated), bench, back_door)
                _wait(orders, seconds)
        except KeyboardInterrupt:
            pass
    try_to_tell("ended; nothing is left behind but the CURVE keys", {"event": "ended"}, as_json=as_json)


def _tell_order(emulated_s: float, order: str, *, as_json: bool) -> None:
    with suppress(OSError, ValueError):  # the terminal is gone
        facts = {"event": "order", "emulated_s": emulated_s, "order": order}
        tell(f"{emulated_s:.3f} s: {order}", facts, as_json=as_json)


def _wait(orders: Orders, seconds: float | None) -> None:
    deadline = None if seconds is None else hal.Deadline(hal.SYSTEM_CLOCK, seconds)
    while deadline is None or not deadline.passed:
        orders.listen(0.5 if deadline is None else min(0.5, deadline.remaining_s))


def _key_files(station: hal.Station) -> set[Path]:
    """Return the secret key files that a station names, of devices and of hosts."""
    return {
        Path(file).with_suffix(".key_secret")
        for entry in station.devices.values()
        for resource in entry.resources.values()
        for key, file in resource.options.items()
        if key in ("server_key_file", "client_key_file")
    }


def _tell(station: hal.Station, bench: Bench, made: list[Path]) -> None:
    """Tell a person what is emulated and where."""
    for file in made:
        print(f"made CURVE keys {file.with_suffix('.key')} and {file.name}")
    for name, emulator in bench.devices.items():
        entry = station.devices[name]
        print(f"device {name}: {emulator.serial_number}, {entry.driver}")
        print_facts([(port, f"{place.kind}:{place.address}") for port, place in entry.resources.items()])
    for name, fibre in bench.fibres.items():
        print(f"fibre {name}: {fibre.fibre.length_km:g} km, {fibre.loss_db:g} dB")
    for link in _emulated_links(station):
        units = link.transmitter, link.receiver
        print(f"link {link.name}: settings {_settings_of(link)}")
        facts = [("from, to", ", ".join(units))]
        for way in link.paths or ("-",):
            key = (
                "loaded into both units" if _loads_key(link) else f"{bench.preshared_key(*units, way)}, for both units"
            )
            facts.append(("pre-shared key" if way == "-" else f"pre-shared key, path {way}", key))
        print_facts(facts)


def _tell_how_to_go_on(device: str, bench: Bench, back_door: Path | None) -> None:
    """Tell a person what to do with it; `device` is one that is emulated, as on a command line."""
    from tokaido.emulators.bench import USAGE  # noqa: PLC0415

    print(f"seed of light and noise: {bench.seed}; --seed {bench.seed} repeats it")
    print(f"Ctrl-C ends it. In another terminal: tokaido read '{device}'")
    if back_door is not None:
        print(f"Orders are taken at the socket {back_door}")
    print(f"Orders are taken here: {USAGE}", flush=True)


def _facts(station: hal.Station, bench: Bench, made: list[Path], back_door: Path | None) -> dict[str, Any]:
    """Return the same for a program."""
    return {
        "event": "emulated",
        "station": station.name,
        "seed": bench.seed,
        "devices": {
            name: {
                "serial_number": emulator.serial_number,
                "driver": station.devices[name].driver,
                "resources": {
                    port: f"{place.kind}:{place.address}" for port, place in station.devices[name].resources.items()
                },
            }
            for name, emulator in bench.devices.items()
        },
        "fibres": {
            name: {"length_km": fibre.fibre.length_km, "loss_db": fibre.loss_db} for name, fibre in bench.fibres.items()
        },
        "links": {
            link.name: {
                "transmitter": link.transmitter,
                "receiver": link.receiver,
                "settings": _settings_of(link),
                "preshared_key_loaded": _loads_key(link),
                "preshared_key_files": {}
                if _loads_key(link)
                else {
                    way: str(bench.preshared_key(link.transmitter, link.receiver, way)) for way in link.paths or ("-",)
                },
            }
            for link in _emulated_links(station)
        },
        "curve_keys_made": [str(file) for file in made],
        "back_door": None if back_door is None else str(back_door),
    }


def _emulated_links(station: hal.Station) -> list[LinkEntry]:
    return [link for link in station.links.values() if station.bench or link.emulator]


def _settings_of(link: LinkEntry) -> str:
    return str(link.emulator.get("settings", "short-block"))


def _loads_key(link: LinkEntry) -> bool:
    return bool(link.emulator.get("load_preshared_key", False))
