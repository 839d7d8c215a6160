"""NODE.toml: what one node is told, and every mistake in it, each with its line or key and what to do."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

from tokaido.hal import ConfigurationError, KeyEnd, KeyMaterial, KeySource, Station, load_driver
from tokaido.hal.files import read_believed
from tokaido.hal.tables import Check, Mistakes, number, of_kind, parsed, read, whole
from tokaido.node._network_tables import NAME, NeighbourEntry, NetworkTables, TopologyEntry
from tokaido.node.core import ApplicationSettings, CoreSettings, LinkSettings, NeighbourSettings
from tokaido.node.endpoint import EndpointSettings
from tokaido.node.events import EventsSettings, check_node_name
from tokaido.node.operation import ExpirySettings, PresharedSettings
from tokaido.node.supervision import SupervisionSettings
from tokaido.node.tls import TlsFiles
from tokaido.node.topology import best_route, route_pair

if TYPE_CHECKING:
    from collections.abc import Mapping

HOLD_OFF_S: Final = 2.0
CONFIRM_BYTES: Final = 32
TABLES: Final = (
    "node",
    "topology",
    "store",
    "tls",
    "listen",
    "links",
    "neighbours",
    "applications",
    "keys",
    "supervision",
    "endpoint",
    "events",
    "alarms",
    "preshared_keys",
)
_FIXED: Final = (
    *("name", "station", "emulation", "store", "wrapping_key", "neighbours_at", "applications_at", "skip_at"),
    *("metrics_at", "metrics_readers", "state_at", "state_readers", "control", "sources", "fetching", "endpoint"),
    "custodians_at",
)
_TEXT: Final = Check(lambda value: isinstance(value, str) and bool(value), "text in quotes")


@dataclass(frozen=True, slots=True)
class Address:
    """Where somebody listens."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class NodeFile:
    """What a node file says. `NodeFile.read` makes it."""

    path: Path | None
    name: str
    station: Path
    """The station file of this site."""
    emulation: bool
    """Whether keys of seeded units are taken, which the command line must allow, too."""
    on_exit: Literal["keep", "safe"]
    store: Path
    wrapping_key: Path | str
    """A file of mode 0600, or the name of a systemd credential."""
    tls: TlsFiles
    neighbours_at: Address
    applications_at: Address | None
    skip_at: Address | None
    metrics_at: Address | Path | None
    """A path: a Unix socket, mode 0600."""
    metrics_readers: tuple[str, ...]
    """Names of the certificates that may read metrics at an address."""
    control: Path
    """Unix socket, mode 0600."""
    neighbours: Mapping[str, NeighbourEntry]
    """All nodes that keys are shared with or relayed over."""
    applications: Mapping[str, ApplicationSettings]
    fetching: frozenset[str]
    """Links whose source is a slave's end: it fetches blocks by the ids that the neighbour tells."""
    sources: Mapping[str, str]
    """Devices that are the key sources of links, by link, where they are not units of half-links."""
    keys: Mapping[str, Any]
    supervision: SupervisionSettings = field(default_factory=SupervisionSettings)
    network: TopologyEntry | None = None
    """The topology that the node takes; None: its neighbours are all that it knows."""
    endpoint: EndpointSettings | None = None
    """The control endpoint for machines; None: there is none."""
    events: EventsSettings | None = None
    """Its way to the bus; None: it has none."""
    hold_off_s: float = HOLD_OFF_S
    """How long the cause of an alarm lasts before it is told."""
    expiry: ExpirySettings = field(default_factory=ExpirySettings)
    state_at: Address | None = None
    """Where its state is read, as ETSI GS QKD 015 has it."""
    state_readers: tuple[str, ...] = ()
    """Names of the certificates that may."""
    preshared: PresharedSettings = field(default_factory=PresharedSettings)
    """Who may enter components of pre-shared keys, and how old such keys may get."""

    @property
    def custodians_at(self) -> Path | None:
        """Unix socket for custodians of pre-shared keys; None: there is none."""
        return self.preshared.socket

    @classmethod
    def read(cls, path: Path) -> NodeFile:
        """Return what a node file says, checked together with its station file.

        Raises:
            ConfigurationError: With every mistake in it.
        """
        text, tables = read(path, "the node file")
        return _Reader(text, path.resolve().parent).file(tables, path)

    @classmethod
    def from_text(cls, text: str, base: Path) -> NodeFile:
        """Return what the text of a node file says; files in it are relative to `base`.

        Raises:
            ConfigurationError: With every mistake in it.
        """
        return _Reader(text, base).file(parsed(text, "the node file"), None)

    def core_settings(self) -> CoreSettings:
        """Return what the core is told; the confirm keys are read.

        Raises:
            ConfigurationError: A key file cannot be used.
        """
        return CoreSettings(
            node=self.name,
            neighbours={
                name: NeighbourSettings(
                    name,
                    tuple(LinkSettings(link, link in self.fetching) for link in entry.links),
                    None if entry.confirm_key_file is None else _confirm_key(entry.confirm_key_file),
                    entry.stock,
                    entry.batch,
                    routes=entry.routes,
                )
                for name, entry in self.neighbours.items()
            },
            applications=self.applications,
            ways=None if self.network is None else partial(best_route, self.network.topology, self.name),
            disjoint=None if self.network is None else partial(route_pair, self.network.topology, self.name),
            emulation=self.emulation,
            **self.keys,
        )

    def needs_restart(self, other: NodeFile) -> tuple[str, ...]:
        """Return which keys differ between this file and `other` that only a restart can change."""
        found = [key for key in _FIXED if getattr(self, key) != getattr(other, key)]
        if self.supervision.poll_s != other.supervision.poll_s:
            found.append("supervision.poll_s")
        links = {name: (entry.url, entry.links) for name, entry in self.neighbours.items()}
        if links != {name: (entry.url, entry.links) for name, entry in other.neighbours.items()}:
            found.append("neighbours (their urls and links)")
        mine, theirs = ({} if one is None else one.fixed for one in (self.events, other.events))
        return (*found, *(["events"] if mine != theirs else ()))


def control_socket(path: Path) -> Path:
    """Return where the node of a file listens for operators, whatever mistakes the rest of the file has by now.

    Args:
        path: A node file, or a control socket itself.

    Raises:
        ConfigurationError: It cannot be read, or says no such place.
    """
    if path.is_socket():
        return path
    _, tables = read(path, "the node file")
    listen = tables.get("listen", {})
    default = f"{_name(tables)}.sock"
    control = listen.get("control", default) if isinstance(listen, dict) else default
    if not isinstance(control, str) or not control:
        raise ConfigurationError(f"the node file {path} names no control socket: listen.control is {control!r}")
    return path.resolve().parent / control


def custodians_socket(path: Path) -> Path:
    """Return where the node of a file listens for custodians of pre-shared keys.

    Args:
        path: A node file, or a socket itself.

    Raises:
        ConfigurationError: It cannot be read, or names no custodians.
    """
    if path.is_socket():
        return path
    _, tables = read(path, "the node file")
    table = tables.get("preshared_keys")
    if not isinstance(table, dict) or not table.get("custodians"):
        raise ConfigurationError(
            f"the node file {path} names no custodians of pre-shared keys",
            remedy='Name them: custodians = ["ann", "bob"] in a table [preshared_keys]',
        )
    return path.resolve().parent / str(table.get("socket", f"{_name(tables)}-custodians.sock"))


def _name(tables: Mapping[str, Any]) -> str:
    head = tables.get("node", {})
    return str(head.get("name", "node")) if isinstance(head, dict) else "node"


def store_files(path: Path) -> tuple[Path, Path | str]:
    """Return where the store of a node is, and the file of its wrapping key or the name of its credential.

    Mistakes elsewhere in the file do not matter; no key file or credential: an empty text.

    Raises:
        ConfigurationError: The node file cannot be read, or names no store.
    """
    _, tables = read(path, "the node file")
    store = tables.get("store")
    place = store.get("path") if isinstance(store, dict) else None
    if not isinstance(store, dict) or not isinstance(place, str) or not place:
        raise ConfigurationError(f"the node file {path} names no store", remedy="Name the store's own file")
    base = path.resolve().parent
    key_file, credential = store.get("key_file"), store.get("credential")
    return base / place, base / key_file if isinstance(key_file, str) else str(credential or "")


def _confirm_key(path: Path) -> KeyMaterial:
    data = read_believed(path, "end-to-end key", longest=CONFIRM_BYTES + 1, closed=0o077)
    if len(data) != CONFIRM_BYTES:
        raise ConfigurationError(
            f"the end-to-end key file {path} has {'more than ' if len(data) > CONFIRM_BYTES else ''}"
            f"{min(len(data), CONFIRM_BYTES)} bytes, and {CONFIRM_BYTES} are wanted",
            remedy=f"Make one, and bring it to both nodes: head -c {CONFIRM_BYTES} /dev/random",
        )
    return KeyMaterial(data)


class _Reader:
    def __init__(self, text: str, base: Path) -> None:
        self._base = base
        self._mistakes = Mistakes(text)

    def file(self, tables: Mapping[str, Any], path: Path | None) -> NodeFile:
        mistakes = self._mistakes
        mistakes.only((), tables, TABLES)
        head = self._table(tables, "node", {"name": _TEXT, "station": _TEXT, "emulation": _FLAG, "on_exit": _EXIT})
        name = self._needed("node", head, "name", "node")
        if not NAME.fullmatch(name):
            mistakes.note(("node", "name"), f"{name!r} is not a name: 1 to 64 of A-Z a-z 0-9 . _ -, not first . _ or -")
        store = self._table(tables, "store", {"path": _TEXT, "key_file": _TEXT, "credential": _TEXT})
        if ("key_file" in store) == ("credential" in store):
            mistakes.note(("store",), "must have one of key_file (mode 0600) and credential (of systemd)")
        tls = self._table(tables, "tls", {"certificate": _TEXT, "key": _TEXT, "authority": _TEXT, "revoked": _TEXT})
        for key in ("certificate", "key", "authority"):
            self._needed("tls", tls, key, "node.pem")
        texts: tuple[str, ...] = ("neighbours", "applications", "skip", "metrics", "control", "state")
        listen = self._table(
            tables, "listen", dict.fromkeys(texts, _TEXT) | {"metrics_readers": _NAMES, "state_readers": _NAMES}
        )
        metrics = listen.get("metrics", "")
        to_socket = metrics.startswith("unix:")
        addresses = {
            key: self._address(key, listen[key])
            for key in ("neighbours", "applications", "skip", "state", *(() if to_socket else ("metrics",)))
            if key in listen
        }
        readers = tuple(listen.get("metrics_readers", ()))
        if "metrics" in addresses and not readers:
            mistakes.note(("listen", "metrics"), "needs metrics_readers: names of the certificates that may read them")
        elif readers and "metrics" not in addresses:
            mistakes.note(("listen", "metrics_readers"), "is for metrics at HOST:PORT alone")
        if ("state" in listen) != bool(listen.get("state_readers")):
            mistakes.note(("listen",), "state goes with state_readers: names of the certificates that may read it")
        neighbours_at = addresses.get("neighbours")
        if "neighbours" not in listen:
            mistakes.note(("listen",), "neighbours is missing: where neighbours connect, such as 192.0.2.1:8471")
        station = self._station(self._needed("node", head, "station", "station.toml"))
        links, fetching, sources = self._links(tables, station)
        network_tables = NetworkTables(mistakes, tables, self._base, name, links)
        network = network_tables.topology()
        neighbours = network_tables.neighbours(network)
        files = TlsFiles(
            certificate=self._base / tls.get("certificate", ""),
            key=self._base / tls.get("key", ""),
            authority=self._base / tls.get("authority", ""),
            revoked=self._base / tls["revoked"] if "revoked" in tls else None,
        )
        alarms = self._table(tables, "alarms", _ALARMS)
        expiry = ExpirySettings(
            **{name.removeprefix("certificate_"): days for name, days in alarms.items() if name != "hold_off_s"}
        )
        found = NodeFile(
            path=path,
            name=name,
            station=self._base / head.get("station", ""),
            emulation=head.get("emulation", False),
            on_exit=head.get("on_exit", "keep"),
            store=self._base / self._needed("store", store, "path", "keys.sqlite"),
            wrapping_key=self._base / store["key_file"] if "key_file" in store else store.get("credential", ""),
            tls=files,
            neighbours_at=neighbours_at or Address("", 0),
            applications_at=addresses.get("applications"),
            skip_at=addresses.get("skip"),
            metrics_at=self._base / metrics.removeprefix("unix:") if to_socket else addresses.get("metrics"),
            metrics_readers=readers,
            control=self._base / listen.get("control", f"{name}.sock"),
            neighbours=neighbours,
            applications=network_tables.applications(neighbours, network),
            fetching=fetching,
            sources=sources,
            keys=self._table(tables, "keys", _KEYS),
            hold_off_s=alarms.get("hold_off_s", HOLD_OFF_S),
            expiry=expiry,
            state_at=addresses.get("state"),
            state_readers=tuple(listen.get("state_readers", ())),
            supervision=replace(
                SupervisionSettings(), **self._table(tables, "supervision", SupervisionSettings.checks())
            ),
            network=network,
            endpoint=EndpointSettings.read(mistakes, tables, self._base),
            events=EventsSettings.read(mistakes, tables, self._base, files),
            preshared=PresharedSettings.read(mistakes, tables, self._base, name),
        )
        if found.events is not None:
            check_node_name(mistakes, name)
        if mistakes:
            where = "the node file" if path is None else f"the node file {path}"
            raise ConfigurationError(
                f"{where} has {len(mistakes)} mistake{'s' if len(mistakes) > 1 else ''}: " + "; ".join(mistakes),
                mistakes=tuple(mistakes),
            )
        return found

    def _table(self, tables: Mapping[str, Any], key: str, keys: Mapping[str, Check]) -> dict[str, Any]:
        return self._mistakes.checked(key, self._mistakes.table((), tables, key), keys)

    def _needed(self, table: str, found: Mapping[str, Any], key: str, example: str) -> str:
        if key not in found:
            self._mistakes.note((table,), f'{key} is missing, such as {key} = "{example}"')
        return str(found.get(key, ""))

    def _address(self, key: str, text: str) -> Address:
        host, _, port = text.rpartition(":")
        if not host or not port.isascii() or not port.isdigit() or not 0 <= int(port) <= 65535:
            self._mistakes.note(("listen", key), f"must be HOST:PORT, not {text!r}")
            return Address("", 0)
        return Address(host.strip("[]"), int(port))

    def _station(self, name: str) -> Station | None:
        if not name:
            return None
        try:
            return Station.from_file(self._base / name)
        except ConfigurationError as error:
            for mistake in error.mistakes or (str(error),):
                self._mistakes.note(("node", "station"), mistake)
            return None

    def _links(
        self, tables: Mapping[str, Any], station: Station | None
    ) -> tuple[dict[str, str], frozenset[str], dict[str, str]]:
        """Return the neighbour of each link, which links fetch their blocks, and the sources that are named here."""
        found = {} if station is None else {name: half.neighbour for name, half in station.half_links.items()}
        sources: dict[str, str] = {}
        fetching: set[str] = set()
        for name, table in self._mistakes.table((), tables, "links").items():
            where = f"links.{name}"
            if not NAME.fullmatch(name) or not isinstance(table, dict):
                self._mistakes.note(("links", name), "must be a table [links.NAME] with source and neighbour")
                continue
            entry = self._mistakes.checked(where, table, {"source": _TEXT, "neighbour": _TEXT})
            if name in found:
                self._mistakes.note(("links", name), "is a half-link of the station file already")
            if "source" not in entry or "neighbour" not in entry:
                self._mistakes.note(("links", name), "needs source (a device of the station) and neighbour")
                continue
            found[name] = entry["neighbour"]
            sources[name] = entry["source"]
            if station is not None and self._key_end(name, entry["source"], station) is KeyEnd.SLAVE:
                fetching.add(name)
        return found, frozenset(fetching), sources

    def _key_end(self, link: str, source: str, station: Station) -> KeyEnd | None:
        where = "links", link, "source"
        if source not in station.devices:
            self._mistakes.note(where, f"there is no device {source!r}; the station has {', '.join(station.devices)}")
            return None
        entry = station.entry(source)
        try:
            return load_driver(entry.driver, KeySource).key_end_of(entry.resources)
        except ConfigurationError as error:
            self._mistakes.note(where, f"{source!r} cannot give keys: {error}")
            return None


_NAMES: Final = Check(
    lambda value: isinstance(value, list) and all(isinstance(one, str) and one for one in value),
    'a list of names, such as ["prometheus"]',
)
_FLAG: Final = Check(of_kind(bool), "true or false")
_EXIT: Final = Check(lambda value: value in ("keep", "safe"), '"keep" or "safe"')
_DAYS: Final = Check(number(0, 3650), "a number of days, 0 to 3650")
_ALARMS: Final = {
    "hold_off_s": Check(number(0, 3600), "a number of seconds, 0 to 3600"),
    "certificate_days": _DAYS,
    "certificate_urgent_days": _DAYS,
}
_KEYS: Final = {
    "lease": Check(whole(64, 1 << 24), "a whole number of bytes, 64 to 16777216"),
    "supply_age_s": Check(number(1, 1e9), "a number of seconds, at least 1"),
    "batch_age_s": Check(number(1, 1e9), "a number of seconds, at least 1"),
    "answer_s": Check(number(0.05, 60), "a number of seconds, 0.05 to 60"),
    "key_size": Check(lambda value: whole(8, 262144)(value) and value % 8 == 0, "bits, a multiple of 8, 8 to 262144"),  # type: ignore[operator]
    "min_key_size": Check(whole(8, 262144), "a whole number of bits, 8 to 262144"),
    "max_key_size": Check(whole(8, 262144), "a whole number of bits, 8 to 262144"),
    "max_keys": Check(whole(1, 1024), "a whole number of keys, 1 to 1024"),
    "max_slaves": Check(whole(0, 63), "a whole number of applications, 0 to 63"),
}
