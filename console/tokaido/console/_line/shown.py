"""What the parts of a demonstration have in common: the line that runs, and what came of it so far."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from tokaido.console._demo_deliveries import deliver

if TYPE_CHECKING:
    from collections.abc import Collection

    import tokaido.hal as hal
    from tokaido.console._demo_deliveries import Application, Delivery
    from tokaido.console._line.described import Described
    from tokaido.console._line.run import LineRun
    from tokaido.console._line.view import LineView
    from tokaido.console._line.watch import Seen

AT_ONCE: Final = 64
"""Keys that an application asks for at a time, where it wants many."""


@dataclass(slots=True)
class Shown:
    """A line that runs, and what came of it so far."""

    described: Described
    run: LineRun
    view: LineView
    deadline: hal.Deadline
    nonce: bytes
    applications: dict[str, Application] = field(default_factory=dict)
    """By site."""
    deliveries: list[Delivery] = field(default_factory=list)
    first_key_s: float = 0.0

    @property
    def run_ends(self) -> tuple[str, str]:
        """The sites of the bank and the hospital: those of the first pair."""
        first, last = self.described.ends
        return first.name, last.name

    @property
    def integrity(self) -> str:
        """How far both ends of the first pair prove that they hold the same keys, as the node of one says."""
        first, last = (self.applications[name] for name in self.run_ends)
        return str(first.client.status(last.sae).status_extension.get("tokaido_integrity"))

    def route(self, seen: Seen, node: str, other: str) -> tuple[str, ...]:
        """Return the route that the next keys go from one node to another; empty: there is none."""
        status = seen.nodes.get(node)
        return next((tuple(pair.route) for pair in status.pairs if pair.neighbour == other), ()) if status else ()

    def wait_until_run(self, sites: Collection[str], deadline: hal.Deadline) -> None:
        """Wait until every span of some sites was seen to make key, if not all at once."""
        left = {span.name for span in self.described.spans if not set(sites).isdisjoint(span.ends)}

        def none_left(seen: Seen) -> bool:
            left.difference_update([span for span in left if seen.runs(span)])
            return not left

        self.run.watch.wait_for(f"the spans of {', '.join(sites)} make key", none_left, deadline)

    def wait_for_keys(self, deadline: hal.Deadline) -> None:
        """Wait until both ends of the first pair have keys that they may give."""
        first, last = self.run_ends

        def enough(seen: Seen) -> bool:
            self.run.check()
            known = self.run.watch.last_route(first, last) and self.run.watch.last_route(last, first)
            return bool(known) and min(seen.ready(first, last), seen.ready(last, first)) >= self.described.wanted

        self.run.watch.wait_for(f"keys are ready at {first} and {last}", enough, deadline)

    def acknowledge(self, site: str) -> None:
        """Acknowledge the alarms of a node whose cause is gone, as the person who ran a drill."""
        control = self.run.control(site)
        for alarm in control.status().alarms:
            if alarm.latched and not alarm.lasts and not alarm.acknowledged_by:
                control.acknowledge(alarm.code, alarm.of, note="a drill")

    def use_stock_up(self, master: str, slave: str, deadline: hal.Deadline) -> None:
        """Fetch as many keys as are ready at one end, so that those that come next are new."""
        left = self.run.watch.wait_for("another look", lambda _: True, deadline).ready(master, slave)
        while left > 0:
            left -= len(self.fetch(master, slave, min(left, AT_ONCE)))

    def fetch(self, master: str, slave: str, number: int = 1, size: int = 256) -> list[Delivery]:
        """Have the application of one site ask for keys, and that of another one fetch them; all is kept on record."""
        ends = self.applications[master], self.applications[slave]
        found = list(deliver(*ends, (number, size), self.nonce, lambda: self.run.watch.last_route(master, slave)))
        self.deliveries += found
        return found
