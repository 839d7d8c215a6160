"""What a plan of a large network takes: 1,000 sites in a ring, 500 chords between random ones, and 100 demands.

All of it: what every link gives, all demands, and what the failure of each link, fibre and site does. Every third
demand asks for two routes; losses are random, so that no two links have the same rate.
CPU time of this process, which other work on the machine does not lengthen as it does wall time.
"""

from __future__ import annotations

import random
import time
from typing import TYPE_CHECKING

from measuring import Figure, spread

if TYPE_CHECKING:
    from tokaido.emulators.planning import Line

SITES, CHORDS, DEMANDS, TURNS = 1000, 500, 100, 3


def measure() -> list[Figure]:
    from tokaido.emulators.planning import plan_line

    taken: list[float] = []
    for seed in range(TURNS):
        line = _line(random.Random(seed))
        began = time.process_time_ns()
        plan = plan_line(line)
        taken.append((time.process_time_ns() - began) / 1e9)
        if len(plan.demands) != DEMANDS or sum(one.met for one in plan.demands) < DEMANDS // 2:
            raise RuntimeError("most demands are not met: that is another problem than the one to be measured")
    what = f"a plan of {SITES} sites, {SITES + CHORDS} links and {DEMANDS} demands, every failure included"
    return [spread(taken).figure(what, "s", "<= 10 s")]


def _line(rng: random.Random) -> Line:
    from tokaido.emulators.optics import Fibre, preset
    from tokaido.emulators.planning import Demand, Line, LineFibre, LineLink, Site, UnitClass

    names = [f"n{number:03}" for number in range(SITES)]
    ends = [(names[number - 1], name) for number, name in enumerate(names)]
    ends += [(one, other) for one, other in (rng.sample(names, 2) for _ in range(CHORDS))]
    fibres: dict[str, LineFibre] = {}
    links: dict[str, LineLink] = {}
    for number, pair in enumerate(ends):
        name = f"l{number}"
        fibres[name] = LineFibre(name, pair, Fibre(length_km=50.0, loss_db=rng.uniform(8, 24)))
        links[name] = LineLink(name, pair, "u", (name,))
    parameters = preset("nec-sspd", settings="short-block", channel_loss_db=0.0)
    units = {"u": UnitClass("u", "nec-sspd", "short-block", parameters, "nec", 2, 0.05)}
    demands = []
    for number in range(DEMANDS):
        one, other = rng.sample(names, 2)
        demands.append(Demand((one, other), rng.uniform(1, 20), 1 if number % 3 else 2))
    sites = {name: Site(name, name) for name in names}
    return Line("ring", "ring", "", sites, fibres, {}, units, links, tuple(demands))
