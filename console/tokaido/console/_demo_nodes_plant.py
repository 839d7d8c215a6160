"""What the scenarios `pair` and `chain` run on: files of a line of sites in a folder, with a test authority."""

from __future__ import annotations

import os
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import tokaido.hal as hal
from tokaido.console._demo_ports import free_ports

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from tokaido.emulators.demonstrations import Demonstration
    from tokaido.node import TlsFiles
    from tokaido.node.client import KeyClient

STOCK: Final = {"pair": 512, "chain": 64}
"""Keys that both ends keep ready for each other."""
WANTED: Final = {"pair": 64, "chain": 16}
"""Keys in stock with which the applications begin."""
SPEED: Final = 100
"""As fast as the machine can."""
PLACES: Final = {
    "pair": (("otemachi", "bank"), ("koganei", "hospital")),
    "chain": (("nagoya", "bank"), ("maibara", ""), ("kyoto", ""), ("osaka", ""), ("kobe", "hospital")),
}
"""Of each scenario its sites, in order: the node and its application."""


@dataclass(frozen=True, slots=True)
class Site:
    """One site: a node, its units, and an application, if it has one."""

    name: str
    sae: str
    node: Path
    station: Path
    url: str
    """Where the node serves applications."""
    neighbours_url: str
    control: Path
    """Where it tells of itself."""


@dataclass(frozen=True, slots=True)
class Span:
    """A link between two sites that follow each other."""

    name: str
    ends: tuple[str, str]
    vendor: str
    style: str
    serial_numbers: tuple[str, str]
    """Of the transmitter, at the first end, and of the receiver."""
    length_km: float
    loss_db: float


@dataclass(frozen=True, slots=True)
class Plant:
    """All sites, and the links between them."""

    scenario: str
    folder: Path
    sites: tuple[Site, ...]
    spans: tuple[Span, ...]
    protocols: str

    @property
    def ends(self) -> tuple[Site, Site]:
        """The sites of both applications."""
        return self.sites[0], self.sites[-1]

    @property
    def wanted_stock(self) -> int:
        """Keys in stock with which the applications begin."""
        return WANTED[self.scenario]

    def files(self, site: Site) -> TlsFiles:
        """Return the certificate of a site's application."""
        from tokaido.node.pki import files_of  # noqa: PLC0415 - OpenSSL, when first needed

        return files_of(self.folder / "pki", f"sae-{site.sae}")

    def client(self, site: Site) -> KeyClient:
        """Return a client of a site's node, for its application."""
        from tokaido.node.client import KeyClient  # noqa: PLC0415

        return KeyClient(site.url, self.files(site))


def build(scenario: str, folder: Path, vendors: Sequence[str], seed: int) -> Plant:
    """Write the files of all sites; spans take the vendors in turn.

    Raises:
        ConfigurationError: A family is not there, or its control ports are of a kind that cannot be emulated here.
    """
    from tokaido.emulators.demonstrations import demonstration  # noqa: PLC0415 - numpy, when first needed
    from tokaido.node.pki import issue  # noqa: PLC0415
    from tokaido.node.store import new_wrapping_key  # noqa: PLC0415

    places = PLACES[scenario]
    names = [name for name, _ in places]
    issue(folder / "pki", nodes=dict.fromkeys(names, ()), saes=[sae for _, sae in places if sae])
    ports = iter(free_ports(6 * len(places)))
    sites = tuple(_site(folder, name, sae, ports) for name, sae in places)
    shown = [demonstration(vendors[number % len(vendors)]) for number in range(len(places) - 1)]
    spans = tuple(_span(names, number, vendors[number % len(vendors)], one) for number, one in enumerate(shown))
    stations = {name: f'[station]\nname = "{name}"\non_exit = "keep"\n' for name in names}
    for span in spans:
        for place in (0, 1):
            stations[span.ends[place]] += _half(folder, span, place, (next(ports), next(ports)), seed)
    for site in sites:
        site.station.write_text(stations[site.name], encoding="utf-8")
        new_wrapping_key(folder / f"{site.name}.key")
    if len(sites) > 2:
        _sign_topology(folder, sites, spans, STOCK[scenario])
    for site in sites:
        site.node.write_text(_node_file(folder, site, sites, STOCK[scenario]), encoding="utf-8")
    protocols = " ".join(dict.fromkeys(one.protocols for one in shown))
    return Plant(scenario=scenario, folder=folder, sites=sites, spans=spans, protocols=protocols)


def _site(folder: Path, name: str, sae: str, ports: Iterator[int]) -> Site:
    return Site(
        name=name,
        sae=sae,
        node=folder / f"{name}.toml",
        station=folder / f"{name}-station.toml",
        url=f"https://127.0.0.1:{next(ports)}",
        neighbours_url=f"https://127.0.0.1:{next(ports)}",
        control=folder / f"{name}.sock",
    )


def _span(names: Sequence[str], number: int, vendor: str, shown: Demonstration) -> Span:
    fibre = shown.fibres[0] if shown.field_link is None else shown.field_link.fibre
    ends = names[number], names[number + 1]
    return Span(
        name=f"{ends[0]}-{ends[1]}",
        ends=ends,
        vendor=vendor,
        style=shown.style,
        serial_numbers=(f"TKDEMO{2 * number + 1}", f"TKDEMO{2 * number + 2}"),
        length_km=fibre.length_km,
        loss_db=fibre.total_loss_db,
    )


def _half(folder: Path, span: Span, place: int, ports: tuple[int, int], seed: int) -> str:
    """Return the unit and the half-link of one end of a span: the transmitter (0) or the receiver (1)."""
    unit, role = (("alice", "transmitter"), ("bob", "receiver"))[place]
    here, there = span.ends[place], span.ends[1 - place]
    driver = f"{span.vendor}.{role}"
    emulated = (
        f"emulator = {{ length_km = {span.length_km}, loss_db = {span.loss_db:.6g}, "
        'settings = "short-block", load_preshared_key = true }'
    )
    keys = f"server_key_file=keys/{here}-{unit}.key&client_key_file=keys/{here}.key_secret"
    return f"""
[devices.{unit}]
driver = "{driver}"
serial_number = "{span.serial_numbers[place]}"
timeout = 15
control = "{_control(driver, folder / f"{here}-{unit}", ports[0])}"
keys = "zmq:tcp://127.0.0.1:{ports[1]}?{keys}"
emulator = {{ warm = true, speed = {SPEED}, seed = {seed} }}

[links.{span.name}]
unit = "{unit}"
neighbour = "{there}"
{emulated if place == 0 else ""}
"""


def _node_file(folder: Path, site: Site, sites: Sequence[Site], stock: int) -> str:
    applications = f'applications = "{site.url.removeprefix("https://")}"' if site.sae else ""
    return f"""[node]
name = "{site.name}"
station = "{site.station.name}"

[store]
path = "{site.name}.sqlite"
key_file = "{site.name}.key"

[tls]
certificate = "pki/node-{site.name}.pem"
key = "pki/node-{site.name}.key"
authority = "pki/ca.pem"
revoked = "pki/crl.pem"

[listen]
neighbours = "{site.neighbours_url.removeprefix("https://")}"
{applications}
control = "{site.control.name}"

{_network(folder, site, sites, stock)}"""


def _network(folder: Path, site: Site, sites: Sequence[Site], stock: int) -> str:
    """Return the tables that say with whom a node shares keys."""
    if len(sites) == 2:
        (other,) = (one for one in sites if one is not site)
        return f"""[neighbours.{other.name}]
url = "{other.neighbours_url}"
stock = {stock}

[applications]
{site.sae} = {{ node = "{site.name}" }}
{other.sae} = {{ node = "{other.name}" }}
"""
    topology = '[topology]\nfile = "line.signed.toml"\npublic_key = "signing/topology.pub"\n'
    if not site.sae:
        return topology
    (other,) = (one for one in sites if one.sae and one is not site)
    key = folder / "end-to-end.key"
    if not key.exists():  # a person brings it to both ends
        descriptor = os.open(key, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(secrets.token_bytes(32))
    return f'{topology}\n[neighbours.{other.name}]\nconfirm_key_file = "{key.name}"\n'


def _sign_topology(folder: Path, sites: Sequence[Site], spans: Sequence[Span], stock: int) -> None:
    from tokaido.node.topology import new_signing_key, sign  # noqa: PLC0415 - OpenSSL, when first needed

    lines = ['[topology]\nnetwork = "chain"\nserial = 1\nvalid_from = 2026-01-01T00:00:00Z\n']
    lines += [f'[nodes.{site.name}]\nurl = "{site.neighbours_url}"\n' for site in sites]
    lines += [
        f'[links.{span.name}]\nends = ["{span.ends[0]}", "{span.ends[1]}"]\nlength_km = {span.length_km:.6g}\n'
        for span in spans
    ]
    lines.append(f'[[pairs]]\nends = ["{sites[0].name}", "{sites[-1].name}"]\nstock = {stock}\n')
    lines.append("[applications]\n" + "".join(f'{one.sae} = {{ node = "{one.name}" }}\n' for one in sites if one.sae))
    (folder / "line.toml").write_text("\n".join(lines), encoding="utf-8")
    private, _ = new_signing_key(folder / "signing")
    sign(folder / "line.toml", private, folder / "line.signed.toml")


def _control(driver: str, place: Path, port: int) -> str:
    kinds = hal.load_driver(driver, hal.Unit).resource_kinds["control"]
    if "serial" in kinds:
        return f"serial:{place}?baudrate=115200"
    if "visa" in kinds:
        return f"visa:TCPIP::127.0.0.1::{port}::SOCKET"
    raise hal.ConfigurationError(f"control ports of the kind {', '.join(kinds)} are not emulated by this scenario")
