"""Topology files: what they say, and every mistake in them, each with its line or key and what to do."""

from __future__ import annotations

import datetime
import re
from typing import TYPE_CHECKING, Any, Final

from tokaido.hal import ConfigurationError
from tokaido.hal.files import path_of
from tokaido.hal.tables import Check, Mistakes, number, of_kind, parsed, whole
from tokaido.node.topology._topology import MOST_NODES, Topology, TopologyLink, TopologyNode, TopologyPair

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

LONGEST: Final = 1 << 22
"""Most bytes of a topology file."""
MOST_PARALLEL: Final = 64
"""Most links between two nodes: so many fit into a HELLO of TNP1."""
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_WHAT_A_NAME_IS: Final = "1 to 64 of A-Z a-z 0-9 . _ -, not first . _ or -"
_URL: Final = re.compile(r"https://[^/?#@\s]+(:\d+)?/?")


def read_topology(path: str | Path) -> Topology:
    """Return what a topology file says, signed or not. No signature is looked at: nodes take `read_signed`.

    Raises:
        ConfigurationError: With every mistake in it.
    """
    path = path_of(path, "the topology file")
    return topology_from_text(decoded(read_bytes(path), path), path)


def topology_from_text(text: str, path: Path | None = None) -> Topology:
    """Return what the text of a topology file says.

    Args:
        text: All of it.
        path: Where it comes from, for errors.

    Raises:
        ConfigurationError: With every mistake in it.
    """
    where = "the topology file" if path is None else f"the topology file {path}"
    tables = parsed(text, where)
    mistakes = Mistakes(text)
    found = _read(mistakes, tables)
    if mistakes or found is None:
        count = f"{len(mistakes)} mistake{'s' if len(mistakes) > 1 else ''}"
        raise ConfigurationError(f"{where} has {count}", mistakes=tuple(mistakes))
    return found


def read_bytes(path: Path) -> bytes:
    """Return what is in a topology file.

    Raises:
        ConfigurationError: It cannot be read, or is too long.
    """
    try:
        with path.open("rb") as file:
            data = file.read(LONGEST + 1)
    except OSError as error:
        raise ConfigurationError(f"the topology file {path} cannot be read: {error.strerror}") from error
    if len(data) > LONGEST:
        raise ConfigurationError(f"the topology file {path} has more than {LONGEST} bytes")
    return data


def decoded(data: bytes, path: Path | None) -> str:
    """Return the text in the bytes of a topology file.

    Raises:
        ConfigurationError: It is not UTF-8.
    """
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ConfigurationError(
            f"the topology file {path or ''} is not UTF-8: {error}", remedy="Save it as UTF-8"
        ) from error


def _read(mistakes: Mistakes, tables: Mapping[str, Any]) -> Topology | None:
    mistakes.only((), tables, ("topology", "nodes", "links", "pairs", "applications"))
    head = mistakes.checked("topology", mistakes.table((), tables, "topology"), _HEAD)
    for key in ("network", "serial", "valid_from"):
        if key not in head and key not in tables.get("topology", {}):
            mistakes.note(("topology", key), f"is missing; it must be {_HEAD[key].must_be}")
    if "valid_from" in head and "valid_until" in head and head["valid_until"] <= head["valid_from"]:
        mistakes.note(("topology", "valid_until"), f"must be later than valid_from, {head['valid_from']}")
    nodes = _nodes(mistakes, tables)
    known = _Known(mistakes, nodes)
    links = _links(mistakes, tables, known)
    pairs = _pairs(mistakes, tables, known)
    applications = _applications(mistakes, tables, known)
    if mistakes:
        return None
    return Topology(
        network=head["network"],
        serial=head["serial"],
        valid_from=head["valid_from"],
        valid_until=head.get("valid_until"),
        nodes=nodes,
        links=links,
        pairs=pairs,
        applications=applications,
    )


def _nodes(mistakes: Mistakes, tables: Mapping[str, Any]) -> dict[str, TopologyNode]:
    entries = mistakes.table((), tables, "nodes")
    if not 1 <= len(entries) <= MOST_NODES:
        mistakes.note(("nodes",), f"must be 1 to {MOST_NODES} tables [nodes.NAME], not {len(entries)}")
    found: dict[str, TopologyNode] = {}
    at: dict[str, str] = {}
    for name in entries:
        where = ("nodes", name)
        table = mistakes.table(("nodes",), entries, name)
        entry = mistakes.checked(f"nodes.{name}", table, _NODE)
        if not _NAME.fullmatch(name):
            mistakes.note(where, f"{name!r} cannot be the name of a node: {_WHAT_A_NAME_IS}")
        if "url" not in table:
            mistakes.note(where, "url is missing: where its peers reach it, https://HOST:PORT")
        if ("latitude" in table) != ("longitude" in table):
            mistakes.note(where, "must have both latitude and longitude, or neither")
        url = entry.get("url", "").rstrip("/")
        if url and url in at:
            mistakes.note((*where, "url"), f"is that of node {at[url]}, too")
        at.setdefault(url, name)
        found[name] = TopologyNode(name, **{"url": "", **entry})
    return found


class _Known:
    """All that a file says of nodes must be of nodes that are there."""

    def __init__(self, mistakes: Mistakes, nodes: Mapping[str, TopologyNode]) -> None:
        self._mistakes = mistakes
        self._nodes = nodes

    def node(self, where: tuple[str, ...], name: str) -> bool:
        """Return whether there is such a node; note it if not."""
        if name in self._nodes:
            return True
        nodes = sorted(self._nodes)
        have = ", ".join(nodes[:12]) + (f" and {len(nodes) - 12} more" if len(nodes) > 12 else "")
        self._mistakes.note(where, f"there is no node {name!r}; the file has {have or 'none'}")
        return False

    def ends(self, where: tuple[str, ...], table: Mapping[str, Any], entry: dict[str, Any]) -> tuple[str, str] | None:
        """Return the two nodes that a table names as its ends; note what is wrong with them."""
        if "ends" not in table:
            self._mistakes.note(where, f"ends is missing; it must be {_ENDS.must_be}")
        if "ends" not in entry:
            return None
        one, other = entry.pop("ends")
        place = (*where, "ends")
        if one == other:
            self._mistakes.note(place, f"must be two nodes, and both are {one!r}")
            return None
        right = [self.node(place, name) for name in (one, other)]
        return (one, other) if all(right) else None


def _links(mistakes: Mistakes, tables: Mapping[str, Any], known: _Known) -> dict[str, TopologyLink]:
    entries = mistakes.table((), tables, "links")
    found: dict[str, TopologyLink] = {}
    between: dict[frozenset[str], int] = {}
    for name in entries:
        table = mistakes.table(("links",), entries, name)
        entry = mistakes.checked(f"links.{name}", table, _LINK)
        if not _NAME.fullmatch(name):
            mistakes.note(("links", name), f"{name!r} cannot be the name of a link: {_WHAT_A_NAME_IS}")
        if ends := known.ends(("links", name), table, entry):
            found[name] = TopologyLink(name, ends, **entry)
            joined = frozenset(ends)
            between[joined] = between.get(joined, 0) + 1
            if between[joined] == MOST_PARALLEL + 1:
                mistakes.note(("links", name), f"is one too many: two nodes have at most {MOST_PARALLEL} links")
    return found


def _pairs(mistakes: Mistakes, tables: Mapping[str, Any], known: _Known) -> tuple[TopologyPair, ...]:
    entries = tables.get("pairs", [])
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        mistakes.note(("pairs",), "must be tables [[pairs]]")
        return ()
    found: dict[frozenset[str], TopologyPair] = {}
    for number_, table in enumerate(entries):
        where = f"pairs[{number_}]"
        entry = mistakes.checked(where, table, _PAIR)
        if ends := known.ends((where,), table, entry):
            if frozenset(ends) in found:
                mistakes.note((where,), f"{' and '.join(ends)} are a pair already: each pair stands once")
            found[frozenset(ends)] = TopologyPair(ends, **entry)
    return tuple(found.values())


def _applications(mistakes: Mistakes, tables: Mapping[str, Any], known: _Known) -> dict[str, str]:
    entries = mistakes.table((), tables, "applications")
    found: dict[str, str] = {}
    for name in entries:
        table = mistakes.table(("applications",), entries, name)
        entry = mistakes.checked(f"applications.{name}", table, {"node": _TEXT})
        if not name:
            mistakes.note(("applications",), "the id of an application is empty")
        if "node" not in table:
            mistakes.note(("applications", name), "node is missing: the node that serves it")
        elif "node" in entry and known.node(("applications", name, "node"), entry["node"]):
            found[name] = entry["node"]
    return found


def _is_moment(value: object) -> bool:
    return isinstance(value, datetime.datetime) and value.utcoffset() is not None and 1970 <= value.year < 9999


def _are_ends(value: object) -> bool:
    return isinstance(value, list) and len(value) == 2 and all(isinstance(one, str) for one in value)


_TEXT: Final = Check(lambda value: isinstance(value, str) and bool(value), "text in quotes")
_MOMENT: Final = Check(_is_moment, "a date and time with its offset, such as 2026-11-01T09:00:00+09:00")
_ENDS: Final = Check(_are_ends, 'the names of two nodes, such as ["tokyo", "odawara"]')
_HEAD: Final = {
    "network": Check(
        lambda value: isinstance(value, str) and bool(_NAME.fullmatch(value)), f"a name: {_WHAT_A_NAME_IS}"
    ),
    "serial": Check(whole(1, (1 << 63) - 1), "a whole number from 1, which rises with each issue"),
    "valid_from": _MOMENT,
    "valid_until": _MOMENT,
}
_NODE: Final = {
    "url": Check(lambda value: isinstance(value, str) and bool(_URL.fullmatch(value)), '"https://HOST:PORT"'),
    "site": Check(of_kind(str), "text in quotes"),
    "latitude": Check(number(-90, 90), "degrees, -90 to 90"),
    "longitude": Check(number(-180, 180), "degrees, -180 to 180"),
    "km_post": Check(number(-1e5, 1e5), "a number of km"),
}
_LINK: Final = {"ends": _ENDS, "length_km": Check(number(0, 1e5), "a number of km, at least 0")}
_PAIR: Final = {
    "ends": _ENDS,
    "stock": Check(whole(0, 1_000_000), "a whole number of keys, 0 to 1000000"),
    "routes": Check(lambda value: type(value) is int and value in (1, 2), "1 or 2"),
}
