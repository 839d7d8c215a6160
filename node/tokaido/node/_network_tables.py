"""Tables topology, neighbours and applications of a node file: whom a node shares keys with, and over whom."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple

from tokaido.hal import AuthenticationError, ConfigurationError
from tokaido.hal.tables import Check, number, whole
from tokaido.node.core import ApplicationSettings, Quota
from tokaido.node.topology import Topology, read_signed

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from tokaido.hal.tables import Mistakes

NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_TEXT: Final = Check(lambda value: isinstance(value, str) and bool(value), "text in quotes")


@dataclass(frozen=True, slots=True)
class NeighbourEntry:
    """One neighbour."""

    name: str
    url: str
    """Where its listener for neighbours is: `https://HOST:PORT`."""
    links: tuple[str, ...]
    """None: keys for it go over others."""
    confirm_key_file: Path | None
    stock: int
    batch: int
    routes: Literal[1, 2]
    """2: all keys for applications are sums of two, over node-disjoint routes."""


@dataclass(frozen=True, slots=True)
class TopologyEntry:
    """Which topology a node takes, and what it says."""

    file: Path
    public_key: Path
    """Of who signs it."""
    topology: Topology


@dataclass(frozen=True, slots=True)
class NetworkTables:
    """Reads these tables of the file of node `name`, whose links lead to `links`; notes every mistake.

    Args:
        mistakes: Where they are noted.
        tables: Of the file.
        base: Folder that files are relative to.
        name: Of the node.
        links: The neighbour of each link.
    """

    mistakes: Mistakes
    tables: Mapping[str, Any]
    base: Path
    name: str
    links: Mapping[str, str]

    def topology(self) -> TopologyEntry | None:
        """Return the topology, if there is one and this node and its links stand in it."""
        if "topology" not in self.tables:
            return None
        table = self.mistakes.checked(
            "topology", self.mistakes.table((), self.tables, "topology"), {"file": _TEXT, "public_key": _TEXT}
        )
        for key, example in (("file", "line.signed.toml"), ("public_key", "topology.pub")):
            if key not in table:
                self.mistakes.note(("topology",), f'{key} is missing, such as {key} = "{example}"')
        if len(table) < 2:
            return None
        entry = self._signed(self.base / table["file"], self.base / table["public_key"])
        return entry if entry is not None and self._stands_in(entry.topology) else None

    def neighbours(self, network: TopologyEntry | None) -> dict[str, NeighbourEntry]:
        """Return all nodes that this one speaks with: those of the file, and those that the topology adds."""
        found: dict[str, NeighbourEntry] = {}
        entries = self.mistakes.table((), self.tables, "neighbours")
        known = {} if network is None else self._peers(network.topology)
        for key in dict.fromkeys((*entries, *known)):
            where = ("neighbours", key)
            entry = self.mistakes.checked(
                f"neighbours.{key}", self.mistakes.table(("neighbours",), entries, key), _NEIGHBOUR
            )
            if not NAME.fullmatch(key) or key == self.name:
                self.mistakes.note(where, f"{key!r} cannot be the name of a neighbour")
            by_topology = known.get(key, _Peer("", 4096, 1))
            url = entry.get("url", by_topology.url)
            if not re.fullmatch(r"https://[^/?#@\s]+(:\d+)?/?", url):
                self.mistakes.note((*where, "url"), f"must be https://HOST:PORT, not {url!r}")
            file = entry.get("confirm_key_file")
            own = tuple(link for link, neighbour in self.links.items() if neighbour == key)
            found[key] = NeighbourEntry(
                key,
                url,
                own,
                None if file is None else self.base / file,
                entry.get("stock", by_topology.stock),
                entry.get("batch", 64),
                entry.get("routes", by_topology.routes),
            )
            if entry.get("routes") == 2 and "topology" not in self.tables:
                self.mistakes.note((*where, "routes"), "needs a table [topology]: without it no second route is known")
            if not own and key not in known:
                self.mistakes.note(where, "no link of the station file or of [links] leads there, nor does a topology")
        for link, neighbour in self.links.items():
            if neighbour not in found:
                self.mistakes.note(
                    ("neighbours",), f"link {link} leads to {neighbour}, and there is no table [neighbours.{neighbour}]"
                )
        return found

    def applications(
        self, neighbours: Mapping[str, NeighbourEntry], network: TopologyEntry | None
    ) -> dict[str, ApplicationSettings]:
        """Return all applications: those of the topology, and those of the file."""
        elsewhere = {} if network is None else network.topology.applications
        found = {sae: ApplicationSettings(sae, node) for sae, node in elsewhere.items()}
        entries = self.mistakes.table((), self.tables, "applications")
        for key in entries:
            table = self.mistakes.table(("applications",), entries, key)
            where = f"applications.{key}"
            entry = self.mistakes.checked(where, {k: v for k, v in table.items() if k != "quota"}, {"node": _TEXT})
            quota = self.mistakes.checked(
                f"{where}.quota", self.mistakes.table(("applications", key), table, "quota"), _QUOTA
            )
            node = entry.get("node", elsewhere.get(key, self.name))
            if elsewhere.get(key, node) != node:
                self.mistakes.note(("applications", key, "node"), f"is {elsewhere[key]} by the topology")
            elif node != self.name and node not in neighbours:
                self.mistakes.note(
                    ("applications", key, "node"), f"{node!r} is neither this node nor one of its neighbours or pairs"
                )
            if quota and node != self.name:
                self.mistakes.note(("applications", key, "quota"), "belongs to the file of the node that serves it")
            found[key] = ApplicationSettings(key, node, Quota(**quota))
        return found

    def _signed(self, file: Path, key: Path) -> TopologyEntry | None:
        try:
            return TopologyEntry(file, key, read_signed(file, key))
        except (ConfigurationError, AuthenticationError) as error:
            mistakes = error.mistakes if isinstance(error, ConfigurationError) else ()
            for mistake in mistakes or (str(error),):
                self.mistakes.note(("topology", "file"), mistake)
            return None

    def _stands_in(self, topology: Topology) -> bool:
        if self.name not in topology.nodes:
            self.mistakes.note(("topology", "file"), f"has no node {self.name}")
            return False
        for link, neighbour in self.links.items():
            entry = topology.links.get(link)
            if entry is None or set(entry.ends) != {self.name, neighbour}:
                there = f"no link {link}" if entry is None else f"link {link} from {entry.ends[0]} to {entry.ends[1]}"
                self.mistakes.note(
                    ("topology", "file"), f"has {there}; by the station file it leads from {self.name} to {neighbour}"
                )
        return True

    def _peers(self, topology: Topology) -> dict[str, _Peer]:
        """Return the neighbours of this node, and the other ends of its pairs."""
        peers = {
            neighbour: _Peer(topology.nodes[neighbour].url, 0, 1)
            for neighbour in self.links.values()
            if neighbour in topology.nodes
        }
        for pair in topology.pairs:
            if self.name in pair.ends:
                (other,) = set(pair.ends) - {self.name}
                peers[other] = _Peer(topology.nodes[other].url, pair.stock, pair.routes)
        return peers


class _Peer(NamedTuple):
    """What a topology says of a node that this one speaks with."""

    url: str
    stock: int
    routes: Literal[1, 2]


_NEIGHBOUR: Final = {
    "url": _TEXT,
    "confirm_key_file": _TEXT,
    "stock": Check(whole(0, 1_000_000), "a whole number of keys, 0 to 1000000"),
    "batch": Check(whole(1, 64), "a whole number of keys, 1 to 64"),
    "routes": Check(lambda value: type(value) is int and value in (1, 2), "1 or 2"),
}
_QUOTA: Final = {
    "rate": Check(number(0), "keys of 256 bit a second, at least 0"),
    "burst": Check(whole(1), "a whole number of keys of 256 bit, at least 1"),
    "share": Check(number(0, 1), "a share of the stock, 0 to 1"),
}
