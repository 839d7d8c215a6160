"""Days of drift on every link of a line: cut into link-days that anybody can work off, in any order."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeAlias

import numpy as np

from tokaido.emulators.optics import (
    EXCESS_DB,
    DriftingLink,
    LinkDays,
    LoopSettings,
    drift_settings,
    drifted_days,
)
from tokaido.emulators.planning._blocks import expected_block, under, works
from tokaido.emulators.units import UnitModel
from tokaido.hal import RangeError, emulators

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from numpy.typing import NDArray

    from tokaido.emulators.optics import DriftedDays, DriftSettings
    from tokaido.emulators.planning._line import Line, UnitClass
    from tokaido.emulators.planning._plan import LinePlan

LINK_DAYS: Final = 64
"""Link-days that are worked off at once, side by side. Results do not depend on it."""
LOSS_STEP_DB: Final = 0.05
"""Conditions are rounded before a rate is calculated for them: each once, and not for every cell."""
ERROR_STEP: Final = 0.0005
DARK_STEP: Final = 0.02


@dataclass(frozen=True, slots=True)
class SweptLink:
    """One link of a sweep."""

    name: str
    units: UnitClass
    loss_db: float
    """Of its path in order."""
    drifting: DriftingLink


@dataclass(frozen=True, slots=True)
class LinkSpan:
    """Days of one link."""

    link: SweptLink
    first: int
    """Number of the first day, from 0."""
    days: int


@dataclass(frozen=True, slots=True, eq=False)
class SpanResult:
    """What became of the days of one link."""

    secret_bps: NDArray[np.float64]
    """Rate of blocks that are finished, under the conditions of each cell; shape (days, cells)."""
    qber: NDArray[np.float64]
    """Error rate of the key basis, shape (days, cells)."""
    keyed: NDArray[np.uint8]
    """Bits: whether each step belongs to a finished block with key; shape (days, steps / 8)."""
    realignments: NDArray[np.int64]
    """Of each day."""


Chunk: TypeAlias = tuple[LinkSpan, ...]
Worker: TypeAlias = "Callable[[Sequence[Chunk]], Iterable[Sequence[SpanResult]]]"
"""Works off chunks, and returns their results in the same order."""


def swept_links(plan: LinePlan, seed: int, drift: DriftSettings | None = None) -> list[SweptLink]:
    """Return the links of a plan with their path in use; those whose fibre is dead are left out.

    Args:
        plan: Of the line.
        seed: Decides the drift. A link keeps its drift when others come or go: its name seeds it, too.
        drift: How every link drifts; default: as the file says of its fibre.
    """
    return [
        _swept(plan.line, name, link.path.fibre, seed, drift)
        for name, link in plan.links.items()
        if not plan.line.fibres[link.path.fibre].dead
    ]


def _swept(line: Line, name: str, fibre: str, seed: int, drift: DriftSettings | None) -> SweptLink:
    units, loss_db = line.units[line.links[name].units], line.loss_db(name, fibre)
    length_km = line.fibres[fibre].fibre.length_km
    receiver = _receiver(units.vendor)
    drifting = DriftingLink(
        settings=drift or drift_settings(line.fibres[fibre].drift, length_km=length_km),
        entropy=(seed, *name.encode()),
        qber=tuple(expected_block(units, max(loss_db + excess, 0.0)).qber for excess in EXCESS_DB),
        gate_width_ps=getattr(units.parameters, "gate_width_ps", math.inf),
        block_s=expected_block(units, loss_db).block_s,
        polarisation=receiver is None or "POL" in receiver.ALIGNMENT,
        **({} if receiver is None else {"realign_s": sum(receiver.ALIGNMENT.values())}),
    )
    return SweptLink(name, units, loss_db, drifting)


def _receiver(vendor: str) -> type[UnitModel] | None:
    """Return the emulated receiver of a family; None if it has none that is built of our parts."""
    name = f"{vendor}.receiver"
    found = next((entry.load() for entry in emulators() if vendor and entry.name == name), None)
    return found if isinstance(found, type) and issubclass(found, UnitModel) else None


def chunks_of(links: Sequence[SweptLink], days: int) -> list[Chunk]:
    """Return the link-days of a sweep in chunks of so many; which they are depends on the sweep alone.

    Raises:
        RangeError: There are no days.
    """
    if days < 1:
        raise RangeError(f"a sweep cannot have {days} days", remedy="Give 1 or more")
    chunks: list[list[LinkSpan]] = []
    room = 0
    for link in links:
        day = 0
        while day < days:
            if not room:
                chunks.append([])
                room = LINK_DAYS
            some = min(room, days - day)
            chunks[-1].append(LinkSpan(link, day, some))
            day, room = day + some, room - some
    return [tuple(chunk) for chunk in chunks]


def in_process(chunks: Sequence[Chunk]) -> Iterable[Sequence[SpanResult]]:
    """Work chunks off one after the other."""
    return map(work_off, chunks)


def work_off(chunk: Chunk) -> list[SpanResult]:
    """Return what becomes of the link-days of a chunk: of these alone, whatever else is in it."""
    drifted = drifted_days([LinkDays(span.link.drifting, span.first, span.days) for span in chunk], LoopSettings())
    return [_result(span.link, days) for span, days in zip(chunk, drifted, strict=True)]


def _result(link: SweptLink, days: DriftedDays) -> SpanResult:
    """Return rates and error rates under the conditions of every cell, each calculated once for equal conditions."""
    conditions = np.stack(
        [
            np.rint(days.excess_db / LOSS_STEP_DB),
            np.rint((1 - days.contrast) / 2 / ERROR_STEP),
            np.rint((days.dark_count_scale - 1) / DARK_STEP),
        ],
        axis=-1,
    )
    unique, where = np.unique(conditions.reshape(-1, 3), axis=0, return_inverse=True)
    figures = np.array([_figures(link, *row) for row in unique.tolist()])[where.reshape(days.contrast.shape)]
    secret_bps, qber = figures[..., 0], figures[..., 1]
    per_cell = days.keyed.shape[1] // secret_bps.shape[1]
    keyed = days.keyed & np.repeat(secret_bps > 0, per_cell, axis=1)
    return SpanResult(secret_bps, qber, np.packbits(keyed, axis=1), days.realignments)


def _figures(link: SweptLink, loss: float, errors: float, dark: float) -> tuple[float, float]:
    """Return secret bits a second and error rate under conditions in whole steps; by the rule of the plan."""
    contrast = max(1 - 2 * ERROR_STEP * errors, 0.0) if errors else 1.0
    units = under(link.units, contrast, 1 + DARK_STEP * dark if dark else 1.0)
    loss_db = max(link.loss_db + LOSS_STEP_DB * loss, 0.0) if loss else link.loss_db
    block = expected_block(units, loss_db)
    counts = block.secret_bps > 0 and works(units, loss_db)
    return block.secret_bps if counts else 0.0, block.qber
