"""The files of a line in a folder: of every site a node and a station, of every span its emulation; an authority."""

from __future__ import annotations

import os
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import tokaido.hal as hal
from tokaido.console._demo_ports import control_of, free_ports

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from tokaido.node import TlsFiles

ENDS: Final = ("transmitter", "receiver")
_PORTS_A_SITE: Final = 2
_PORTS_A_SPAN: Final = 6


@dataclass(frozen=True, slots=True)
class Site:
    """One site: a node, and an application, if it has one."""

    name: str
    title: str
    application: str = ""
    latitude: float | None = None
    longitude: float | None = None
    km_post: float | None = None


@dataclass(frozen=True, slots=True)
class Fibre:
    """A fibre of a span."""

    name: str
    length_km: float
    loss_db: float


@dataclass(frozen=True, slots=True)
class Span:
    """A QKD link between two sites, over one fibre or by switches over one of several."""

    name: str
    ends: tuple[str, str]
    """The sites of the transmitter and of the receiver."""
    family: str
    """Of the units: there are drivers and emulators FAMILY.transmitter and FAMILY.receiver."""
    settings: str
    fibres: tuple[Fibre, ...]
    switches: tuple[str, str] = ("", "")
    """Driver of the switch at either end; empty: there is none."""
    options: tuple[str, str] = ("", "")
    """Of the emulated unit at either end, in TOML: `sub_channels = 2`; empty: as delivered."""
    block_bits: int | None = None
    """Key-basis bits of a block; None: what the settings are for."""

    @property
    def paths(self) -> tuple[str, ...]:
        """Names of its paths, those of its fibres, where a switch chooses among them."""
        return tuple(fibre.name for fibre in self.fibres) if any(self.switches) else ()

    def device(self, place: int) -> str:
        """Return what the unit of an end is called at its site: the transmitter's (0) or the receiver's (1)."""
        return f"{('alice', 'bob')[place]}-{self.ends[1 - place]}"

    def switch(self, place: int) -> str:
        """Return what the switch of an end is called at its site."""
        return f"switch-{self.ends[1 - place]}"

    def branches(self, place: int) -> bool:
        """Whether the switch of an end has one input alone, so that light of the fibres comes in by its outputs."""
        return not self.switches[place].startswith("polatis.")

    def on_bench(self, place: int, name: str) -> str:
        """Return what a device of an end is called on the bench, where two sites are joined."""
        return name if name != self._names(1 - place).get(name) else f"{self.ends[place]}-{name}"

    def _names(self, place: int) -> Mapping[str, str]:
        names = [self.device(place), *([self.switch(place)] if self.switches[place] else ())]
        return dict(zip(names, names, strict=True))


@dataclass(frozen=True, slots=True)
class Pair:
    """Two nodes for whom keys are kept."""

    ends: tuple[str, str]
    stock: int
    routes: int = 1
    confirmed: bool = True
    """Whether both ends have a key with which they prove what they hold; without one they trust the relays."""


@dataclass(frozen=True, slots=True)
class NodeFiles:
    """Where one node is found."""

    site: Site
    node: Path
    station: Path
    applications: str
    """URL at which it serves applications; empty: it serves none."""
    neighbours: str
    control: Path


@dataclass(frozen=True, slots=True)
class SpanFiles:
    """Where the emulation of one span is found."""

    span: Span
    stations: tuple[Path, Path]
    back_door: Path
    serial_numbers: tuple[str, str]


@dataclass(frozen=True, slots=True)
class Plant:
    """All of it."""

    folder: Path
    nodes: Mapping[str, NodeFiles]
    spans: Mapping[str, SpanFiles]
    pairs: tuple[Pair, ...]

    def certificate(self, application: str) -> TlsFiles:
        """Return the files of an application's certificate."""
        from tokaido.node.pki import files_of  # noqa: PLC0415 - OpenSSL, when first needed

        return files_of(self.folder / "pki", f"sae-{application}")


def build(folder: Path, sites: Sequence[Site], spans: Sequence[Span], pairs: Sequence[Pair], seed: int) -> Plant:
    """Write all files; no name of a file or port is anybody else's.

    Args:
        folder: It is there, and is this plant's alone.
        sites: Every site.
        spans: Every span, between two of the sites.
        pairs: For whom keys are kept, between two of the sites.
        seed: Of light and noise.
    """
    from tokaido.node.pki import issue  # noqa: PLC0415 - OpenSSL, when first needed
    from tokaido.node.store import new_wrapping_key  # noqa: PLC0415

    issue(
        folder / "pki",
        nodes=dict.fromkeys((site.name for site in sites), ()),
        saes=[site.application for site in sites if site.application],
    )
    ports = iter(free_ports(_PORTS_A_SITE * len(sites) + _PORTS_A_SPAN * len(spans)))
    nodes = {site.name: _node_files(folder, site, ports) for site in sites}
    stations = {site.name: [_station(site.name)] for site in sites}
    written: dict[str, SpanFiles] = {}
    for number, span in enumerate(spans):
        files = _span_files(folder, span, number)
        written[span.name] = files
        for place, end in enumerate(span.ends):
            half = _half(folder, span, place, files.serial_numbers, (next(ports), next(ports), next(ports)))
            stations[end].append(half)
            bench = _bench(span, seed + number) if place == 0 else ""
            files.stations[place].write_text(f"{_station(end)}{half}{bench}", encoding="utf-8")
    for site in sites:
        nodes[site.name].station.write_text("".join(stations[site.name]), encoding="utf-8")
        new_wrapping_key(folder / f"{site.name}.key")
        hal.create_curve_keys(folder / "keys", site.name)  # here, since several emulations would make them at once
    _sign_topology(folder, nodes, spans, pairs)
    keys = _end_to_end_keys(folder, pairs)
    for name, files_of_node in nodes.items():
        files_of_node.node.write_text(_node_file(files_of_node, keys.get(name, {})), encoding="utf-8")
    return Plant(folder, nodes, written, tuple(pairs))


def _node_files(folder: Path, site: Site, ports: Iterator[int]) -> NodeFiles:
    first, second = next(ports), next(ports)
    return NodeFiles(
        site=site,
        node=folder / f"{site.name}.toml",
        station=folder / f"{site.name}-station.toml",
        applications=f"https://127.0.0.1:{first}" if site.application else "",
        neighbours=f"https://127.0.0.1:{second}",
        control=folder / f"{site.name}.sock",
    )


def _span_files(folder: Path, span: Span, number: int) -> SpanFiles:
    return SpanFiles(
        span=span,
        stations=(folder / f"span-{span.name}-a.toml", folder / f"span-{span.name}-b.toml"),
        back_door=folder / f"span-{span.name}.sock",
        serial_numbers=(f"TKLINE{2 * number + 1:02}", f"TKLINE{2 * number + 2:02}"),
    )


# --- station files ----------------------------------------------------------------------------------------------------


def _station(name: str) -> str:
    return f'[station]\nname = "{name}"\non_exit = "keep"\n'


def _half(folder: Path, span: Span, place: int, serials: tuple[str, str], ports: tuple[int, int, int]) -> str:
    """Return the devices and the half-link of one end, for the node and for the emulation alike."""
    here, there = span.ends[place], span.ends[1 - place]
    unit = span.device(place)
    driver = f"{span.family}.{ENDS[place]}"
    control = control_of(driver, folder / f"{here}-{unit}", ports[0], "?baudrate=115200")
    options = f", {span.options[place]}" if span.options[place] else ""
    lines = [
        f"""
[devices.{unit}]
driver = "{driver}"
serial_number = "{serials[place]}"
timeout = 15
control = "{control}"
keys = "zmq:tcp://127.0.0.1:{ports[1]}?server_key_file=keys/{here}-{unit}.key&client_key_file=keys/{here}.key_secret"
emulator = {{ warm = true{options} }}
"""
    ]
    if span.switches[place]:
        lines.append(_switch(folder, span, place, ports[2]))
    lines.append(
        f"""
[links.{span.name}]
unit = "{unit}"
neighbour = "{there}"
peer = "{serials[1 - place]}"
"""
    )
    if span.paths:
        lines.append(f'lease_file = "{here}-{span.name}-leases.sqlite"\n')
    if place == 0:
        block = "" if span.block_bits is None else f"block_bits = {span.block_bits}, "
        lines.append(f'emulator = {{ settings = "{span.settings}", {block}load_preshared_key = true }}\n')
    if span.paths:
        lines.append(f"\n[links.{span.name}.paths]\n")
        lines += [f"{path} = {_needs(span, place, number)}\n" for number, path in enumerate(span.paths, 1)]
    return "".join(lines)


def _switch(folder: Path, span: Span, place: int, port: int) -> str:
    driver, name = span.switches[place], span.switch(place)
    control = control_of(driver, folder / f"{span.ends[place]}-{name}", port)
    table = {"polatis": "{ inputs = 4, outputs = 4 }", "dicon": "{ channels = 4 }"}.get(driver.partition(".")[0], "{}")
    return f"""
[devices.{name}]
driver = "{driver}"
timeout = 15
control = "{control}"
emulator = {table}
"""


def _needs(span: Span, place: int, number: int) -> str:
    """Return what a path needs of an end's switch: its own output at the transmitter, its own input at the receiver."""
    if not span.switches[place]:
        return "{}"
    pair = f"[1, {number}]" if place == 0 or span.branches(place) else f"[{number}, 1]"
    return f"{{ {span.switch(place)} = [{pair}] }}"


def _bench(span: Span, seed: int) -> str:
    """Return the optics between both ends, connectors without loss: the fibres' losses have it in them."""
    units = [span.on_bench(place, span.device(place)) for place in (0, 1)]
    names = [span.on_bench(place, span.switch(place)) for place in (0, 1)]
    joins: list[tuple[str, str]] = []
    if span.switches[0]:
        joins.append((units[0], f"{names[0]}.in1"))
    if span.switches[1]:
        joins.append((f"{names[1]}.{'in' if span.branches(1) else 'out'}1", units[1]))
    side = "out" if span.branches(1) else "in"
    for number, fibre in enumerate(span.fibres, 1):
        joins.append((f"{names[0]}.out{number}" if span.switches[0] else units[0], f"{fibre.name}.a"))
        joins.append((f"{fibre.name}.b", f"{names[1]}.{side}{number}" if span.switches[1] else units[1]))
    listed = "".join(f'    ["{first}", "{second}", 0.0],\n' for first, second in joins)
    fibres = "".join(
        f"{fibre.name} = {{ length_km = {fibre.length_km:.6g}, loss_db = {fibre.loss_db:.6g} }}\n"
        for fibre in span.fibres
    )
    return f"\n[bench]\nseed = {seed}\nspeed = 100\njoins = [\n{listed}]\n\n[bench.fibres]\n{fibres}"


# --- node files -------------------------------------------------------------------------------------------------------


def _node_file(files: NodeFiles, keys: Mapping[str, str]) -> str:
    name = files.site.name
    applications = f'applications = "{files.applications.removeprefix("https://")}"\n' if files.applications else ""
    known = "".join(f'\n[neighbours.{other}]\nconfirm_key_file = "{file}"\n' for other, file in keys.items())
    return f"""[node]
name = "{name}"
station = "{files.station.name}"

[store]
path = "{name}.sqlite"
key_file = "{name}.key"

[tls]
certificate = "pki/node-{name}.pem"
key = "pki/node-{name}.key"
authority = "pki/ca.pem"
revoked = "pki/crl.pem"

[listen]
neighbours = "{files.neighbours.removeprefix("https://")}"
{applications}control = "{files.control.name}"

[topology]
file = "line.signed.toml"
public_key = "signing/topology.pub"
{known}"""


def _end_to_end_keys(folder: Path, pairs: Sequence[Pair]) -> dict[str, dict[str, str]]:
    """Make the keys with which both ends of a pair prove what they hold, as a person would who brings them there."""
    made: dict[str, dict[str, str]] = {}
    for pair in pairs:
        if not pair.confirmed:
            continue
        file = folder / f"{pair.ends[0]}-{pair.ends[1]}-confirm.key"
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as opened:
            opened.write(secrets.token_bytes(32))
        for place in (0, 1):
            made.setdefault(pair.ends[place], {})[pair.ends[1 - place]] = file.name
    return made


def _sign_topology(folder: Path, nodes: Mapping[str, NodeFiles], spans: Sequence[Span], pairs: Sequence[Pair]) -> None:
    from tokaido.node.topology import new_signing_key, sign  # noqa: PLC0415 - OpenSSL, when first needed

    lines = ['[topology]\nnetwork = "tokaido-line"\nserial = 1\nvalid_from = 2026-01-01T00:00:00Z\n']
    for name, files in nodes.items():
        site = files.site
        where = {"latitude": site.latitude, "longitude": site.longitude, "km_post": site.km_post}
        lines.append(
            f'[nodes.{name}]\nurl = "{files.neighbours}"\nsite = "{site.title}"\n'
            + "".join(f"{key} = {value:.6g}\n" for key, value in where.items() if value is not None)
        )
    lines += [
        f'[links.{span.name}]\nends = ["{span.ends[0]}", "{span.ends[1]}"]\n'
        f"length_km = {span.fibres[0].length_km:.6g}\n"
        for span in spans
    ]
    lines += [
        f'[[pairs]]\nends = ["{pair.ends[0]}", "{pair.ends[1]}"]\nstock = {pair.stock}\nroutes = {pair.routes}\n'
        for pair in pairs
    ]
    served = [files.site for files in nodes.values() if files.site.application]
    lines.append("[applications]\n" + "".join(f'{one.application} = {{ node = "{one.name}" }}\n' for one in served))
    (folder / "line.toml").write_text("\n".join(lines), encoding="utf-8")
    private, _ = new_signing_key(folder / "signing")
    sign(folder / "line.toml", private, folder / "line.signed.toml")
