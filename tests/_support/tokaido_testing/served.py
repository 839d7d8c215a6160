"""A device server around devices that something else emulates."""

from __future__ import annotations

import tempfile
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import zmq

import tokaido.hal as hal
from tokaido.emulators.bench import bench_from_station
from tokaido.hal.transports import load_curve_public, load_curve_secret
from tokaido.lab.sharing import DeviceServer, Listed, Role
from tokaido_testing.patience import patient

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from contextlib import AbstractContextManager

CLIENTS = {"ann": Role.OPERATOR, "ben": Role.OPERATOR, "eve": Role.MAINTENANCE, "vic": Role.VIEWER}


def station_of(devices: Mapping[str, tuple[str, str]], more: str = "") -> hal.Station:
    """Return a station of these devices: driver and control resource by name."""
    tables = (
        f"[devices.{name}]\ndriver = {driver!r}\ncontrol = {control!r}\n" for name, (driver, control) in devices.items()
    )
    return hal.Station.from_text("".join(tables) + more)


def create_keys(folder: Path) -> None:
    """Make the keys of a server and its clients."""
    for name in ("server", *CLIENTS):
        hal.create_curve_keys(folder, name)


def server_of(
    station: hal.Station, folder: Path, *, fresh_s: float = 0.1, endpoint: str = "tcp://127.0.0.1:0"
) -> DeviceServer:
    """Return a server of a station, with the keys in a folder."""
    return DeviceServer(
        station,
        endpoint=endpoint,
        server_key_file=folder / "server.key_secret",
        clients={name: Listed(folder / f"{name}.key", role) for name, role in CLIENTS.items()},
        lease_file=folder / "leases.sqlite",
        fresh_s=fresh_s,
    )


def address(server: DeviceServer, folder: Path, client: str = "ann") -> str:
    """Return where a client finds the server, for `Station.connect`."""
    return f"zmq:{server.endpoint}?server_key_file={folder}/server.key&client_key_file={folder}/{client}.key_secret"


def through_a_server(driver: str) -> Callable[[Mapping[str, str]], AbstractContextManager[dict[str, str]]]:
    """Return what puts a server between a conformance suite's driver and its device."""

    @contextmanager
    def between(resources: Mapping[str, str]) -> Iterator[dict[str, str]]:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            create_keys(folder)
            with server_of(
                station_of({"box": (driver, resources["control"])}),
                folder,
                fresh_s=0.0,  # so that every fault meets something
            ) as server:
                served = address(server, folder).replace("zmq:", "served:", 1) + "&device=box"
                yield {**resources, "control": served}

    return between


def say(server: DeviceServer, folder: Path, client: str, **body: object) -> dict[str, Any]:
    """Send one request as it is, with the key of a client and no driver, and return the reply."""
    pair = load_curve_secret(folder / f"{client}.key_secret")
    with zmq.Context() as context, context.socket(zmq.DEALER) as socket:
        socket.linger = 0
        socket.curve_serverkey = load_curve_public(folder / "server.key")
        socket.curve_publickey, socket.curve_secretkey = pair.public, pair.secret
        socket.connect(server.endpoint)
        socket.send(b"12345678" + msgspec.msgpack.encode(body))
        assert socket.poll(round(patient(5) * 1000)), body
        told: dict[str, Any] = msgspec.msgpack.decode(socket.recv()[8:])
        return told


TWO_PATHS = Path(__file__).parents[3] / "examples" / "two_paths.toml"


@contextmanager
def served_link(folder: Path, *, speed: float = 200.0, without: str = "", more: str = "") -> Iterator[DeviceServer]:
    """Serve the link `field` with its two paths, emulated fast, as the example has it but for a text, and `more`."""
    create_keys(folder)
    (folder / "keys").mkdir()
    text = TWO_PATHS.read_text(encoding="utf-8").replace(without or "\0", "")
    described = hal.Station.from_text(text, base=folder)
    with bench_from_station(described, at_resources=False, seed=1, speed=speed, directory=folder) as bench:
        bench.start()
        devices = {
            name: replace(entry, resources={"control": hal.Resource.parse(bench.devices[name].resources["control"])})
            for name, entry in described.devices.items()
        }
        told = hal.Station.from_text(text + more, base=folder)  # its half-links lead to sites that are not emulated
        station = hal.Station(
            told.name, devices, links=told.links, half_links=told.half_links, on_exit="keep", folder=folder
        )
        with server_of(station, folder) as server:
            yield server
