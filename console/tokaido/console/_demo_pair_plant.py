"""What the scenario `pair` runs on: files of two sites in a folder, with certificates of a test authority."""

from __future__ import annotations

import socket
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import tokaido.hal as hal

if TYPE_CHECKING:
    from pathlib import Path

    from tokaido.node import TlsFiles
    from tokaido.node.client import KeyClient

LINK: Final = "field"
STOCK: Final = 512
SPEED: Final = 100
"""As fast as the machine can."""
NAMES: Final = (("otemachi", "bank", "alice", "transmitter"), ("koganei", "hospital", "bob", "receiver"))
"""Of each site: the node, its application, its unit, and which end of the link that is."""


@dataclass(frozen=True, slots=True)
class Site:
    """One site: a node, a unit and an application."""

    name: str
    sae: str
    serial_number: str
    node: Path
    station: Path
    url: str
    """Where the node serves applications."""
    neighbours_url: str


@dataclass(frozen=True, slots=True)
class Plant:
    """Both sites and the link between them."""

    folder: Path
    sites: tuple[Site, Site]
    style: str
    protocols: str
    length_km: float
    loss_db: float
    link: str = LINK
    wanted_stock: int = 64

    def files(self, site: Site) -> TlsFiles:
        """Return the certificate of a site's application."""
        from tokaido.node.pki import files_of  # noqa: PLC0415 - OpenSSL, when first needed

        return files_of(self.folder / "pki", f"sae-{site.sae}")

    def client(self, site: Site) -> KeyClient:
        """Return a client of a site's node, for its application."""
        from tokaido.node.client import KeyClient  # noqa: PLC0415

        return KeyClient(site.url, self.files(site))


def build(folder: Path, vendor: str, seed: int) -> Plant:
    """Write the files of both sites.

    Raises:
        ConfigurationError: The family is not there, or its control ports are of a kind that cannot be emulated here.
    """
    from tokaido.emulators.demonstrations import demonstration  # noqa: PLC0415 - numpy, when first needed
    from tokaido.node.pki import issue  # noqa: PLC0415
    from tokaido.node.store import new_wrapping_key  # noqa: PLC0415

    shown = demonstration(vendor)
    fibre = shown.fibres[0] if shown.field_link is None else shown.field_link.fibre
    issue(folder / "pki", nodes={name: () for name, *_ in NAMES}, saes=[sae for _, sae, *_ in NAMES])
    ports = _free_ports(8)
    sites: list[Site] = []
    for number, (name, sae, unit, role) in enumerate(NAMES):
        own = ports[number::2]
        new_wrapping_key(folder / f"{name}.key")
        driver = f"{vendor}.{role}"
        site = Site(
            name=name,
            sae=sae,
            serial_number=f"TKDEMO{number + 1}",
            node=folder / f"{name}.toml",
            station=folder / f"{name}-station.toml",
            url=f"https://127.0.0.1:{own[0]}",
            neighbours_url=f"https://127.0.0.1:{own[1]}",
        )
        other = NAMES[1 - number]
        emulated = (
            f"emulator = {{ length_km = {fibre.length_km}, loss_db = {fibre.total_loss_db:.6g}, "
            'settings = "short-block", load_preshared_key = true }'
        )
        site.station.write_text(
            f"""[station]
name = "{name}"
on_exit = "keep"

[devices.{unit}]
driver = "{driver}"
serial_number = "{site.serial_number}"
timeout = 15
control = "{_control(driver, folder / unit, own[2])}"
keys = "zmq:tcp://127.0.0.1:{own[3]}?server_key_file=keys/{unit}.key&client_key_file=keys/{name}.key_secret"
emulator = {{ warm = true, speed = {SPEED}, seed = {seed} }}

[links.{LINK}]
unit = "{unit}"
neighbour = "{other[0]}"
{emulated if number == 0 else ""}
""",
            encoding="utf-8",
        )
        sites.append(site)
    for site, other_site in (sites, sites[::-1]):
        site.node.write_text(
            f"""[node]
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
applications = "{site.url.removeprefix("https://")}"
control = "{site.name}.sock"

[neighbours.{other_site.name}]
url = "{other_site.neighbours_url}"
stock = {STOCK}

[applications]
{site.sae} = {{ node = "{site.name}" }}
{other_site.sae} = {{ node = "{other_site.name}" }}
""",
            encoding="utf-8",
        )
    return Plant(
        folder=folder,
        sites=(sites[0], sites[1]),
        style=shown.style,
        protocols=shown.protocols,
        length_km=fibre.length_km,
        loss_db=fibre.total_loss_db,
    )


def _control(driver: str, place: Path, port: int) -> str:
    kinds = hal.load_driver(driver, hal.Unit).resource_kinds["control"]
    if "serial" in kinds:
        return f"serial:{place}?baudrate=115200"
    if "visa" in kinds:
        return f"visa:TCPIP::127.0.0.1::{port}::SOCKET"
    raise hal.ConfigurationError(f"control ports of the kind {', '.join(kinds)} are not emulated by this scenario")


def _free_ports(count: int) -> list[int]:
    with ExitStack() as stack:
        taken = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)]
        return [int(one.getsockname()[1]) for one in taken]
