"""For how long each link gave keys, for how long it did not, and for how long people worked at it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, NamedTuple

from tokaido.hal import NS_PER_S, SYSTEM_CLOCK
from tokaido.node.store import ServiceRow

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from tokaido.hal import Clock

WRITTEN_EVERY_S: Final = 60.0
"""How often the times are written down: a node that dies loses no more, and counts it as down."""


class LinkNow(NamedTuple):
    """How one link is now."""

    link: str
    running: bool
    """Whether it exchanges keys, as far as this end knows."""
    maintained: bool
    """Whether a person has taken it."""


@dataclass(frozen=True, slots=True)
class Availability:
    """What was measured of one link, in s."""

    up_s: float
    down_s: float
    """That of a node that did not run, too."""
    maintenance_s: float

    @property
    def ratio(self) -> float | None:
        """The part of all time but maintenance in which it gave keys; None: nothing was measured yet."""
        measured_s = self.up_s + self.down_s
        return self.up_s / measured_s if measured_s > 0 else None


class ServiceTimes:
    """Adds up the time of each link.

    Args:
        keep: Takes rows that are to be durable.
        clock: Where time comes from.
    """

    def __init__(self, keep: Callable[[tuple[ServiceRow, ...]], object], *, clock: Clock = SYSTEM_CLOCK) -> None:
        self._keep = keep
        self._clock = clock
        self._rows: dict[str, ServiceRow] = {}
        self._looked_s: float | None = None
        self._written_s = self._now_s()

    def restore(self, rows: Iterable[ServiceRow], maintained: Mapping[str, float]) -> None:
        """Take up the times of an earlier life of the node. Since then its links were down, or maintained.

        Args:
            rows: As they were written last.
            maintained: When maintenance ends, by link, in s since 1970-01-01 UTC; 0: it has no end.
        """
        now_s = self._utc_s()
        for row in rows:
            gap_s = max(now_s - row.at_s, 0.0)  # a clock that was set back adds nothing
            until_s = maintained.get(row.link)
            held_s = 0.0 if until_s is None else gap_s if not until_s else min(max(until_s - row.at_s, 0.0), gap_s)
            self._rows[row.link] = replace(
                row, down_s=row.down_s + gap_s - held_s, maintenance_s=row.maintenance_s + held_s, at_s=now_s
            )

    def look(self, links: Iterable[LinkNow]) -> None:
        """Count the time since the last look for what each link is now; call it every second."""
        now_s, utc_s = self._now_s(), self._utc_s()
        passed_s = 0.0 if self._looked_s is None else now_s - self._looked_s
        self._looked_s = now_s
        for link, running, maintained in links:
            row = self._rows.get(link) or ServiceRow(link, 0.0, 0.0, 0.0, utc_s)
            up_s = passed_s if running and not maintained else 0.0
            held_s = passed_s if maintained else 0.0
            self._rows[link] = ServiceRow(
                link,
                row.up_s + up_s,
                row.down_s + passed_s - up_s - held_s,
                row.maintenance_s + held_s,
                utc_s,
            )
        if now_s - self._written_s >= WRITTEN_EVERY_S:
            self.write()

    def write(self) -> None:
        """Write the times down."""
        self._written_s = self._now_s()
        self._keep(tuple(self._rows.values()))

    def all(self) -> dict[str, Availability]:
        """Return what was measured, by link."""
        return {row.link: Availability(row.up_s, row.down_s, row.maintenance_s) for row in self._rows.values()}

    def _now_s(self) -> float:
        return self._clock.monotonic_ns() / NS_PER_S

    def _utc_s(self) -> float:
        return self._clock.utc_ns() / NS_PER_S
