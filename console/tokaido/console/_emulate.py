"""The command `emulate`: the devices of a station file, at exactly the places that the file names."""

from __future__ import annotations

from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import tokaido.hal as hal
from tokaido.console._emulate_orders import Orders
from tokaido.console._output import drop_output, print_facts
from tokaido.console._signals import terminated_as_interrupt

if TYPE_CHECKING:
    from tokaido.emulators import Bench


def run_emulation(path: Path, seconds: float | None, seed: int | None = None, back_door: Path | None = None) -> None:
    """Serve a station file until Ctrl-C, SIGTERM or SIGHUP, or for `seconds`; `seed` overrules that of the file.

    Orders are taken from standard input, and at a Unix socket `back_door` if one is named.

    Raises:
        ConfigurationError: With every mistake in the file; nothing was started.
    """
    from tokaido.emulators import bench_from_station  # noqa: PLC0415 - numpy and ZeroMQ, when first needed
    from tokaido.emulators.bench import USAGE  # noqa: PLC0415

    station = hal.Station.from_file(path)
    with terminated_as_interrupt():
        try:
            absent = {file for file in _key_files(station) if not file.exists()}
            with bench_from_station(station, for_others=True, seed=seed) as bench, ExitStack() as taken:
                for file in sorted(absent):
                    if file.exists():
                        print(f"made CURVE keys {file.with_suffix('.key')} and {file.name}")
                _tell(station, bench)
                bench.on_order = _tell_order
                orders = taken.enter_context(Orders(bench, back_door))
                bench.start()
                print(f"seed of light and noise: {bench.seed}; --seed {bench.seed} repeats it")
                print(f"Ctrl-C ends it. In another terminal: tokaido read '{path}#{next(iter(bench.devices))}'")
                if back_door is not None:
                    print(f"Orders are taken at the socket {back_door}")
                print(f"Orders are taken here: {USAGE}", flush=True)
                _wait(orders, seconds)
        except KeyboardInterrupt:
            pass
    try:
        print("ended; nothing is left behind but the CURVE keys", flush=True)
    except OSError:  # the terminal is gone
        drop_output()


def _tell_order(emulated_s: float, order: str) -> None:
    with suppress(OSError, ValueError):  # the terminal is gone
        print(f"{emulated_s:.3f} s: {order}", flush=True)


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


def _tell(station: hal.Station, bench: Bench) -> None:
    for name, emulator in bench.devices.items():
        entry = station.devices[name]
        print(f"device {name}: {emulator.serial_number}, {entry.driver}")
        print_facts([(port, f"{place.kind}:{place.address}") for port, place in entry.resources.items()])
    for name, fibre in bench.fibres.items():
        print(f"fibre {name}: {fibre.fibre.length_km:g} km, {fibre.loss_db:g} dB")
    for link in station.links.values():
        if not station.bench and not link.emulator:
            continue
        units = link.transmitter, link.receiver
        print(f"link {link.name}: settings {link.emulator.get('settings', 'short-block')}")
        facts = [("from, to", ", ".join(units))]
        loaded = link.emulator.get("load_preshared_key", False)
        for path in link.paths or ("-",):
            key = "loaded into both units" if loaded else f"{bench.preshared_key(*units, path)}, for both units"
            facts.append(("pre-shared key" if path == "-" else f"pre-shared key, path {path}", key))
        print_facts(facts)
