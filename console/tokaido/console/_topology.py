"""The commands `node topology`: what a planner wants to see of a network, and its signature."""

from __future__ import annotations

import datetime
from typing import TYPE_CHECKING, Any

import tokaido.hal as hal
from tokaido.console._output import number, print_json, print_table, tell
from tokaido.node import topology as library

if TYPE_CHECKING:
    from pathlib import Path

    from tokaido.node.topology import PairSurvey, Topology

LACKS = 3
"""Exit code of a topology that lacks what its pairs ask for, or is not valid now."""


def make_key(folder: Path, *, as_json: bool) -> None:
    """Make a key pair for signatures, and print its files.

    Raises:
        ConfigurationError: A file of it is there already.
    """
    private, public = library.new_signing_key(folder)
    tell(
        f"made {private}, which the person who signs keeps, and {public}, which every node gets",
        {"event": "made", "key": str(private), "public_key": str(public)},
        as_json=as_json,
    )


def sign(path: Path, key: Path, output: Path | None, *, as_json: bool) -> None:
    """Write a topology file with its signature.

    Raises:
        ConfigurationError: With every mistake in the file; or key or output cannot be used.
    """
    output = path.with_name(f"{path.stem}.signed.toml") if output is None else output
    topology = library.sign(path, key, output)
    tell(
        f"wrote {output}: {topology.network}, serial {topology.serial}, {_extent(topology)}",
        {"event": "signed", "file": str(output), "network": topology.network, "serial": topology.serial},
        as_json=as_json,
    )


def check(path: Path, public_key: Path | None, *, unsigned: bool, as_json: bool) -> int:
    """Print a topology and the routes of its pairs, and return the exit code that goes with it.

    Raises:
        AuthenticationError: The signature is missing or wrong.
        ConfigurationError: With every mistake in the file; or it is not said how it is to be verified.
    """
    if (public_key is None) != unsigned:
        raise hal.ConfigurationError(
            "a signature is verified with --public-key FILE, or not at all with --unsigned", remedy="Say one of them"
        )
    topology = library.read_topology(path) if public_key is None else library.read_signed(path, public_key)
    now = datetime.datetime.fromtimestamp(hal.SYSTEM_CLOCK.utc_ns() / hal.NS_PER_S, datetime.UTC)
    surveys = [library.survey_pair(topology, pair) for pair in topology.pairs]
    findings = _findings(topology, surveys, now)
    if as_json:
        print_json(_facts(topology, surveys, now, signed=not unsigned) | {"findings": findings})
    else:
        _page(topology, surveys, signed=not unsigned)
        for finding in findings:
            print(f"lacking: {finding}")
    return LACKS if findings else 0


def _findings(topology: Topology, surveys: list[PairSurvey], now: datetime.datetime) -> list[str]:
    found = [one.lack for one in surveys if one.lack]
    if not topology.valid_at(now):
        when = f"not valid now: it is so from {topology.valid_from}"
        found.insert(0, when if topology.valid_until is None else f"{when} to {topology.valid_until}")
    alone = [name for name in topology.nodes if len(topology.nodes) > 1 and not topology.neighbours(name)]
    return found + [f"no link leads to node {name}" for name in alone]


def _extent(topology: Topology) -> str:
    counts = ((topology.nodes, "node"), (topology.links, "link"), (topology.pairs, "pair"))
    return ", ".join(f"{len(some)} {word}{'' if len(some) == 1 else 's'}" for some, word in counts)


def _page(topology: Topology, surveys: list[PairSurvey], *, signed: bool) -> None:
    end = f" to {topology.valid_until}" if topology.valid_until else ""
    print(f"{topology.network}, serial {topology.serial}, valid from {topology.valid_from}{end}")
    print(f"{_extent(topology)}; {'its signature is good' if signed else 'its signature was not looked at'}")
    print_table(
        ("node", "where", "url", "neighbours"),
        [
            (node.name, _where(node.site, node.km_post), node.url, ", ".join(topology.neighbours(node.name)) or "-")
            for node in topology.nodes.values()
        ],
    )
    print_table(
        ("link", "from", "to", "km"),
        [(link.name, *link.ends, _km(link.length_km)) for link in topology.links.values()],
    )
    if topology.applications:
        print_table(("application", "served by"), list(topology.applications.items()))
    if surveys:
        print_table(
            ("pair", "stock", "routes", "hops", "km", "route", "second, node-disjoint route"),
            [
                (
                    " and ".join(one.pair.ends),
                    str(one.pair.stock),
                    str(one.pair.routes),
                    str(len(one.route) - 1) if one.route else "-",
                    _km(one.length_km),
                    " > ".join(one.route) or "none",
                    _second(one),
                )
                for one in surveys
            ],
        )


def _where(site: str, km_post: float | None) -> str:
    post = "" if km_post is None else f"km {number(km_post)}"
    return ", ".join(part for part in (site, post) if part) or "-"


def _km(length: float | None) -> str:
    return "-" if length is None else number(length)


def _second(survey: PairSurvey) -> str:
    if not survey.disjoint:
        return f"none: {survey.why.partition(': ')[2] or survey.why}"
    first, second = survey.disjoint
    way = " > ".join(second)
    return way if first == survey.route else f"{way}, beside {' > '.join(first)}"


def _facts(topology: Topology, surveys: list[PairSurvey], now: datetime.datetime, *, signed: bool) -> dict[str, Any]:
    return {
        "network": topology.network,
        "serial": topology.serial,
        "signature": "good" if signed else "not checked",
        "valid_from": topology.valid_from.isoformat(),
        "valid_until": topology.valid_until.isoformat() if topology.valid_until else None,
        "valid_now": topology.valid_at(now),
        "nodes": [
            {
                "name": node.name,
                "url": node.url,
                "site": node.site,
                "latitude": node.latitude,
                "longitude": node.longitude,
                "km_post": node.km_post,
                "neighbours": list(topology.neighbours(node.name)),
            }
            for node in topology.nodes.values()
        ],
        "links": [
            {"name": link.name, "ends": list(link.ends), "length_km": link.length_km}
            for link in topology.links.values()
        ],
        "applications": dict(topology.applications),
        "pairs": [
            {
                "ends": list(one.pair.ends),
                "stock": one.pair.stock,
                "routes": one.pair.routes,
                "route": list(one.route),
                "hops": len(one.route) - 1 if one.route else None,
                "length_km": one.length_km,
                "disjoint": [list(route) for route in one.disjoint],
                "cut_nodes": list(one.cut_nodes),
                "why": one.why,
            }
            for one in surveys
        ],
        "unreachable": [list(one.pair.ends) for one in surveys if not one.route],
    }
