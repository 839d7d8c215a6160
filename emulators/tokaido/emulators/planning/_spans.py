"""What each link of a line gives, why not if it gives nothing, and where repeaters must stand."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from tokaido.emulators.planning._blocks import LEAST_SHARE, expected_block, reach_db, works
from tokaido.hal import RangeError

if TYPE_CHECKING:
    from tokaido.emulators.planning._blocks import Block
    from tokaido.emulators.planning._line import Line, LineLink, UnitClass

RELAY_BITS: Final = 264
"""Most link bits that relaying takes for a key of 256 bits and a hop, in batches of 64 (docs/protocols/node.md)."""


@dataclass(frozen=True, slots=True)
class PathPlan:
    """One path of a link: a fibre, and the switches that it passes."""

    fibre: str
    length_km: float
    loss_db: float
    block: Block
    """What a block gives, a dead fibre's if it were not."""
    why: str
    """Why it makes no key that counts; empty: it does."""

    @property
    def works(self) -> bool:
        """Whether it makes key."""
        return not self.why

    @property
    def keys_per_s(self) -> float:
        """Keys of 256 bits a second that it can relay, if it works."""
        return self.block.secret_bps / RELAY_BITS if self.works else 0.0


@dataclass(frozen=True, slots=True)
class RepeaterPlan:
    """The least number of repeaters on one way, and where they stand: so that all spans lose equally much."""

    units: str
    length_km: float
    positions_km: tuple[float, ...]
    """From the first end; empty: none is needed."""
    span_db: float
    """Loss of each span, in dB."""
    reach_db: float
    """Loss at which the units still work, in dB."""
    secret_bps: float
    """Of each span."""


@dataclass(frozen=True, slots=True)
class LinkPlan:
    """One link."""

    link: LineLink
    paths: tuple[PathPlan, ...]
    """In the order of its fibres."""
    reach_db: float | None
    """Loss at which its units still work, in dB; None: at none. Only worked out for links that do not work."""
    repeaters: RepeaterPlan | None
    """Repeaters that would join its ends, where the loss is too much; None: none are needed, or none would help."""

    @property
    def path(self) -> PathPlan:
        """The path in use: the first that works, or else the first."""
        return next((path for path in self.paths if path.works), self.paths[0])

    @property
    def works(self) -> bool:
        """Whether it makes key."""
        return self.path.works

    @property
    def secret_bps(self) -> float:
        """Rate over the path in use in bit/s; 0.0 if none works."""
        return self.path.block.secret_bps if self.works else 0.0

    def keys_without(self, fibre: str) -> float:
        """Return the keys of 256 bits a second that it can relay when a fibre is dead."""
        return next((path.keys_per_s for path in self.paths if path.works and path.fibre != fibre), 0.0)

    @property
    def keys_per_s(self) -> float:
        """Keys of 256 bits a second that it can relay."""
        return self.path.keys_per_s


def plan_links(line: Line) -> dict[str, LinkPlan]:
    """Return what each link gives, by its name."""
    reaches: dict[str, float | None] = {}
    blocks: dict[tuple[str, float], tuple[Block, bool]] = {}

    def reach_of(units: UnitClass) -> float | None:
        if units.name not in reaches:
            reaches[units.name] = reach_db(units)
        return reaches[units.name]

    def block_of(units: UnitClass, loss_db: float) -> tuple[Block, bool]:
        if (units.name, loss_db) not in blocks:
            blocks[units.name, loss_db] = expected_block(units, loss_db), works(units, loss_db)
        return blocks[units.name, loss_db]

    def planned(link: LineLink) -> LinkPlan:
        units = line.units[link.units]
        paths: list[PathPlan] = []
        for name in link.fibres:
            fibre, loss_db = line.fibres[name], line.loss_db(link.name, name)
            block, enough = block_of(units, loss_db)
            why = "the fibre is dead" if fibre.dead else "" if enough else _too_far(units, block, reach_of(units))
            paths.append(PathPlan(name, fibre.fibre.length_km, loss_db, block, why))
        if any(path.works for path in paths):
            return LinkPlan(link, tuple(paths), None, None)
        reach, found = reach_of(units), None
        lit = next((line.fibres[name].fibre for name in link.fibres if not line.fibres[name].dead), None)
        if reach is not None and lit is not None and lit.length_km > 0:
            found = repeaters(
                units,
                lit.length_km,
                (lit.total_loss_db - lit.extra_loss_db) / lit.length_km,
                extra_db=lit.extra_loss_db,
                ends_db=(_switches_db(line, link, link.ends[0]), _switches_db(line, link, link.ends[1])),
                reach=reach,
            )
        return LinkPlan(link, tuple(paths), reach, found)

    return {name: planned(link) for name, link in line.links.items()}


def repeaters(
    units: UnitClass,
    length_km: float,
    db_per_km: float,
    *,
    extra_db: float = 0.0,
    ends_db: tuple[float, float] = (0.0, 0.0),
    reach: float | None = None,
) -> RepeaterPlan | None:
    """Return the least number of repeaters on a way and their places, or None if no number is enough.

    Args:
        units: Those at both ends of every span.
        length_km: Of the whole way.
        db_per_km: Loss of its fibre.
        extra_db: Loss of the connectors of each span.
        ends_db: Loss of the switches at the two ends of the way.
        reach: `reach_db(units)`, if it is known already.

    Raises:
        RangeError: A length or loss is negative or not finite.
    """
    for name, value in (("length", length_km), ("loss of a kilometre", db_per_km), ("extra loss", extra_db)):
        if not 0 <= value < math.inf:
            raise RangeError(f"the {name} cannot be {value!r}", remedy="Give a finite number, at least 0")
    reach = reach_db(units) if reach is None else reach
    whole_db = length_km * db_per_km + sum(ends_db)
    if reach is None or reach <= extra_db or max(ends_db) + extra_db > reach:
        return None
    spans = max(math.ceil(round(whole_db / (reach - extra_db), 9)), 1)
    span_db = whole_db / spans + extra_db
    places: list[float] = []
    for number in range(1, spans):
        lost_db = number * (span_db - extra_db) - ends_db[0]
        places.append(min(max(lost_db / db_per_km, 0.0), length_km) if db_per_km else 0.0)
    rate = expected_block(units, span_db).secret_bps
    return RepeaterPlan(units.name, length_km, tuple(places), span_db, reach, rate)


def _switches_db(line: Line, link: LineLink, site: str) -> float:
    """Return what the switches of a link cost at one of its ends."""
    return sum(line.switches[name].loss_db for name in link.switches if line.switches[name].site == site)


def _too_far(units: UnitClass, block: Block, reach: float | None) -> str:
    few = f"under {LEAST_SHARE:.0%} of a block gives none"
    what = "no key" if not block.secret_bps > 0 else f"too near to no key: {few}"
    return f"{what}, {units.name} units reach {'nothing' if reach is None else f'{reach:.1f} dB'}"
