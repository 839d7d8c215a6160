"""Lines for tests of plans: small random ones, whose every way is found by trying, with rates that are exact."""

from __future__ import annotations

import random
from itertools import combinations, pairwise
from typing import TYPE_CHECKING, Literal

from tokaido.emulators.optics import Fibre, preset
from tokaido.emulators.planning import Demand, Line, LineFibre, LineLink, Site, UnitClass

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

Route = tuple[str, ...]
Hop = frozenset[str]
LOSSES_DB = (4.0, 7.0, 10.0, 13.0, 16.0, 90.0)
"""Of links; the last one gives no key."""


def units(name: str = "u") -> UnitClass:
    """Return nanowire units that no emulation limits."""
    return UnitClass(name, "nec-sspd", "short-block", preset("nec-sspd", settings="short-block", channel_loss_db=0.0))


def line_of(
    links: Mapping[str, tuple[str, str, tuple[float, ...]]], demands: tuple[Demand, ...], sites: tuple[str, ...] = ()
) -> Line:
    """Return a line of links with two ends and the loss of each of their fibres in dB."""
    names = dict.fromkeys([*sites, *(end for one, other, _ in links.values() for end in (one, other))])
    fibres: dict[str, LineFibre] = {}
    found: dict[str, LineLink] = {}
    for name, (one, other, losses) in links.items():
        own = [f"{name}-{number}" for number in range(len(losses))]
        for fibre, loss in zip(own, losses, strict=True):
            fibres[fibre] = LineFibre(fibre, (one, other), Fibre(length_km=loss * 5, loss_db=loss))
        found[name] = LineLink(name, (one, other), "u", tuple(own))
    return Line(
        "test", "test", "", {name: Site(name, name) for name in names}, fibres, {}, {"u": units()}, found, demands
    )


def random_line(seed: int, most_sites: int = 12) -> Line:
    """Return a line of 3 to so many sites, with parallel links, spare fibres, links without key, and some demands."""
    rng = random.Random(seed)
    names = [chr(ord("a") + number) for number in range(rng.randint(3, most_sites))]
    links: dict[str, tuple[str, str, tuple[float, ...]]] = {}
    for number in range(rng.randint(len(names) - 1, len(names) + 6)):
        one, other = rng.sample(names, 2)
        losses = tuple(rng.choice(LOSSES_DB) for _ in range(rng.choice((1, 1, 2))))
        links[f"l{number}"] = (one, other, losses)
    demands = tuple(_demand(rng, names) for _ in range(rng.randint(1, 4)))
    return line_of(links, demands, tuple(names))


def _demand(rng: random.Random, names: list[str]) -> Demand:
    one, other = rng.sample(names, 2)
    routes: Literal[1, 2] = 2 if rng.random() < 0.5 else 1
    return Demand((one, other), rng.choice((1.0, 300.0, 3000.0, 20000.0)), routes)


def routes_by_trying(rates: Mapping[Hop, float], start: str, end: str) -> list[Route]:
    """Return every loop-free way over edges that carry something."""

    def onwards(way: Route) -> Iterator[Route]:
        if way[-1] == end:
            yield way
            return
        for hop, rate in rates.items():
            if rate > 0 and way[-1] in hop:
                (there,) = hop - {way[-1]}
                if there not in way:
                    yield from onwards((*way, there))

    return sorted(onwards((start,)))


def width(rates: Mapping[Hop, float], route: Route) -> float:
    """Return what the narrowest hop of a way carries."""
    return min(rates[frozenset(hop)] for hop in pairwise(route))


def widest_by_trying(rates: Mapping[Hop, float], demand: Demand) -> float:
    """Return the most keys a second that a demand could get by itself."""
    ways = routes_by_trying(rates, *demand.ends)
    if demand.routes == 1:
        return max((width(rates, way) for way in ways), default=0.0)
    pairs = [
        min(width(rates, one), width(rates, other))
        for one, other in combinations(ways, 2)
        if not set(one[1:-1]) & set(other[1:-1])
    ]
    return max(pairs, default=0.0)
