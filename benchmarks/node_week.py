"""How much faster than real time, by CPU time, two nodes supervise an emulated link: their device loops and supervisors in one thread.

Both stations of `examples/` on one bench, units reached through their drivers in the process, a stepped clock. The
nodes bring the units to keys and draw every block; cores, stores and TLS are left out. Run it by
`python benchmarks/node_week.py`.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

from measuring import Figure, show

import tokaido.hal as hal
from tokaido.emulators import EmulatedStations
from tokaido.emulators.optics import preset
from tokaido.node.supervision import DeviceLoop, LinkEnd, Source, SupervisionSettings, Supervisor

if TYPE_CHECKING:
    from tokaido.node.core import Clear, Fetch, Raise
    from tokaido.node.supervision import UnitOrder

EXAMPLES = Path(__file__).parents[1] / "examples"
FILES = EXAMPLES / "otemachi.toml", EXAMPLES / "koganei.toml"
WEEK_S = 7 * 86_400.0
GOAL_S = 120.0
HOUR_S = 3600.0
MEASURED_S = 120.0


@dataclass
class Site:
    """What a node does with its end, without core and store."""

    station: hal.Station
    poll_s: float
    blocks: int = 0
    loop: DeviceLoop = field(init=False)
    end: LinkEnd = field(init=False)

    def __post_init__(self) -> None:
        [(name, entry)] = self.station.half_links.items()
        settings = SupervisionSettings(poll_s=self.poll_s, no_key_s=HOUR_S)
        one = Supervisor(name, entry.unit, settings, random=Random(1).random)
        self.end = LinkEnd(one, self, self.age_s)
        source = Source(self.station, entry.unit, entry, holder=f"node {self.station.name}")
        self.end.device = self.loop = DeviceLoop(source, self.end.hear, poll_s=self.poll_s, clock=self.station.clock)

    def age_s(self) -> float:
        return self.station.clock.monotonic_ns() / 1e9

    def block_offered(self, end: LinkEnd, draw: int, block: hal.KeyBlock) -> None:
        self.blocks += 1
        block.key.wipe()
        end.settle(draw, None)

    def not_fetched(self, end: LinkEnd, action: Fetch, why: str) -> None:
        raise AssertionError(why)

    def attempt(self, end: LinkEnd, order: UnitOrder) -> None:
        end.give(order)

    def alarm(self, action: Raise | Clear) -> None:
        pass


def measure() -> list[Figure]:
    """Return the rows of the table."""
    figures = []
    for poll_s in (1.0, 10.0):
        with EmulatedStations.from_files(*FILES, seed=1) as both:
            parameters = preset("t12", settings="short-block", channel_loss_db=14.5)
            both.emulation.set_up("alice", "bob", parameters, block_bits=1_000_000)
            sites = [Site(station, poll_s) for station in both]
            for site in sites:
                [entry] = site.station.half_links.values()
                site.station.half_link("field").switches["switch"].connect(*entry.paths["A"]["switch"][0])
            _live(sites, poll_s, lambda: min(site.blocks for site in sites) > 0)
            begin_s, drawn = sites[0].age_s(), sites[0].blocks
            nodes_s, all_s = _live(sites, poll_s, lambda: sites[0].age_s() - begin_s > MEASURED_S)
            passed_s, drawn = sites[0].age_s() - begin_s, sites[0].blocks - drawn
        name = f"a link that runs, read every {poll_s:g} s"
        figures += [
            Figure(f"{name}: emulated over CPU time", passed_s / all_s, "x", f">= {WEEK_S / GOAL_S:.0f} x"),
            Figure(f"{name}: a week of it", WEEK_S / passed_s * all_s / 60, "min", f"<= {GOAL_S / 60:g} min"),
            Figure(f"{name}: a week of both nodes and drivers alone", WEEK_S / passed_s * nodes_s / 60, "min"),
            Figure(f"{name}: blocks an hour, each end", drawn * HOUR_S / passed_s, "/h"),
        ]
    return figures


def _live(sites, step_s, until) -> tuple[float, float]:
    """Turn until something is so; return what the turns of the nodes took of the wall time, and all of it."""
    clock, nodes_s, begun = sites[0].station.clock, 0.0, time.process_time()
    while not until():
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
