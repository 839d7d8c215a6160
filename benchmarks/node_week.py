"""How much faster than real time two nodes supervise emulated units: device loops and supervisors in one thread.

Both stations of `examples/` on one bench, units at rest that are reached through their drivers in the process, a
stepped clock; CPU time. Light and distillation are left out, whose speed `live_link` and `day` tell; so are cores,
stores and TLS. Run it by `python benchmarks/node_week.py`.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

import tokaido.hal as hal
from measuring import Figure, show
from tokaido.emulators import EmulatedStations
from tokaido.node.supervision import DeviceLoop, LinkEnd, Source, SupervisionSettings, Supervisor

if TYPE_CHECKING:
    from tokaido.node.core import Clear, Fetch, Raise
    from tokaido.node.supervision import UnitOrder

EXAMPLES = Path(__file__).parents[1] / "examples"
FILES = EXAMPLES / "otemachi.toml", EXAMPLES / "koganei.toml"
WEEK_S = 7 * 86_400.0
GOAL_S = 120.0
MEASURED_S = 1200.0


@dataclass
class Site:
    """What a node does with its end, without core and store."""

    station: hal.Station
    poll_s: float
    loop: DeviceLoop = field(init=False)
    end: LinkEnd = field(init=False)

    def __post_init__(self) -> None:
        [(name, entry)] = self.station.half_links.items()
        settings = SupervisionSettings(poll_s=self.poll_s, start=False)
        one = Supervisor(name, entry.unit, settings, random=Random(1).random)
        self.end = LinkEnd(one, self, self.age_s)
        source = Source(self.station, entry.unit, entry, holder=f"node {self.station.name}")
        self.end.device = self.loop = DeviceLoop(source, self.end.hear, poll_s=self.poll_s, clock=self.station.clock)

    def age_s(self) -> float:
        return self.station.clock.monotonic_ns() / 1e9

    def block_offered(self, end: LinkEnd, draw: int, block: hal.KeyBlock) -> None:
        block.key.wipe()
        end.settle(draw, None)

    def not_fetched(self, end: LinkEnd, action: Fetch, why: str) -> None:
        raise AssertionError(end.name, action, why)

    def attempt(self, end: LinkEnd, order: UnitOrder) -> None:
        end.give(order)

    def alarm(self, action: Raise | Clear) -> None:
        pass


def measure() -> list[Figure]:
    """Return the rows of the table."""
    figures = []
    for poll_s in (1.0, 10.0):
        with EmulatedStations.from_files(*FILES, seed=1) as both:
            sites = [Site(station, poll_s) for station in both]
            _live(sites, poll_s, 60.0)
            nodes_s, all_s = _live(sites, poll_s, MEASURED_S)
        name = f"two units at rest, read every {poll_s:g} s"
        figures += [
            Figure(f"{name}: emulated over CPU time", MEASURED_S / all_s, "x", f">= {WEEK_S / GOAL_S:.0f} x"),
            Figure(f"{name}: a week of it", WEEK_S / MEASURED_S * all_s / 60, "min", f"<= {GOAL_S / 60:g} min"),
            Figure(f"{name}: a week of nodes and drivers alone", WEEK_S / MEASURED_S * nodes_s / 60, "min"),
        ]
    return figures


def _live(sites: list[Site], step_s: float, for_s: float) -> tuple[float, float]:
    """Turn for so long; return the CPU time that the turns of the nodes took, and all of it."""
    clock, nodes_s, begun = sites[0].station.clock, 0.0, time.process_time()
    end_s = sites[0].age_s() + for_s
    while sites[0].age_s() < end_s:
        turning = time.process_time()
        for site in sites:
            site.loop.turn()
            if site.end.wake_s <= site.age_s():
                site.end.tick()
        nodes_s += time.process_time() - turning
        clock.wait(step_s / 2)
    return nodes_s, time.process_time() - begun


if __name__ == "__main__":
    show(measure())
