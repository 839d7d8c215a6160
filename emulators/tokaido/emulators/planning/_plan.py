"""The plan of a line: its links, who gets how many keys, and what single failures do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tokaido.emulators.planning._demands import Allocation, is_met
from tokaido.emulators.planning._routes import edge
from tokaido.emulators.planning._spans import plan_links

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tokaido.emulators.planning._demands import DemandPlan, Failure
    from tokaido.emulators.planning._line import Line
    from tokaido.emulators.planning._spans import LinkPlan


@dataclass(frozen=True, slots=True)
class LinePlan:
    """What a line gives. `plan_line` makes it."""

    line: Line
    links: Mapping[str, LinkPlan]
    demands: tuple[DemandPlan, ...]
    failures: tuple[Failure, ...]
    left: Mapping[tuple[str, str], float]
    """Keys of 256 bits a second that no demand takes, between two adjacent sites: all their links together."""

    @property
    def lacking(self) -> tuple[str, ...]:
        """What the line lacks, in sentences; none: all links work and all demands are met."""
        links = [f"link {name}: {plan.path.why}" for name, plan in self.links.items() if not plan.works]
        demands = [
            f"{' to '.join(plan.demand.ends)}: {plan.granted.why or f'{plan.granted.rate:.3g} keys/s'} "
            f"of {plan.demand.rate:g}"
            if not plan.granted.why
            else f"{' to '.join(plan.demand.ends)}: {plan.granted.why}"
            for plan in self.demands
            if not plan.met
        ]
        return (*links, *demands)

    def left_beside(self, link: str) -> float:
        """Return the keys a second that no demand takes between the ends of a link."""
        return self.left[edge(*self.links[link].link.ends)]

    def cuts(self, demand: int) -> tuple[Failure, ...]:
        """Return the failures after which a demand gets nothing. Those of its own ends are not among them."""
        return tuple(
            failure for failure in self.failures if demand in failure.effects and not failure.effects[demand].rate > 0
        )

    def shortens(self, demand: int) -> tuple[Failure, ...]:
        """Return the failures after which a demand that is met gets something, and less than it asks for."""
        plan = self.demands[demand]
        return tuple(
            failure
            for failure in self.failures
            if plan.met
            and demand in failure.effects
            and failure.effects[demand].rate > 0
            and not is_met(plan.demand, failure.effects[demand])
        )

    def availability(self, demand: int) -> float:
        """Return the share of the time in which a demand gets keys, as far as single failures decide.

        Failures are taken to be independent, and two at a time to be as rare as they are for good parts: the share is
        that of the time in which neither end has failed, nor anything that cuts the demand by itself.
        """
        plan = self.demands[demand]
        if not plan.granted.rate > 0:
            return 0.0
        share = 1.0
        for site in plan.demand.ends:
            share *= self.line.sites[site].availability
        for failure in self.cuts(demand):
            share *= failure.availability
        return share


def plan_line(line: Line) -> LinePlan:
    """Return what a line gives: every link, every demand, and every single failure."""
    links = plan_links(line)
    allocation = Allocation(line, links)
    return LinePlan(line, links, allocation.demands, allocation.failures(), allocation.left)
