"""Many days of drift at once, of one link or several, with loops and realignments: what the light meets, by cell.

The laws are those of _drift.py, the ranges of the loops those of _loops.py, and the limits of the units those of
_day.py. Error rates are expected ones: counts are not drawn.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from ._day import DEGRADED_S, LOOK_S, QBER_FINE, QBER_HIGH, RATE_LOW, off_gate_nepers
from ._drift import DAY_S, DriftSettings, drawn_spell, settled
from ._loops import LoopSettings, dark_count_scale, efficiency_scale

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Flags = NDArray[np.bool_]

CELL_S: Final = 600.0
"""Time that a cell stands for: what the light meets is a mean over it."""
STEP_S: Final = LOOK_S
STEPS: Final = round(DAY_S / STEP_S)
CELLS: Final = round(DAY_S / CELL_S)
PER_CELL: Final = STEPS // CELLS


EXCESS_DB: Final = tuple(0.5 * half for half in range(-6, 41))
"""Loss over that of a link in order for which `DriftingLink.qber` stands."""
IN_ORDER: Final = EXCESS_DB.index(0.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class DriftingLink:
    """What drifts, and what stands against it."""

    settings: DriftSettings
    entropy: tuple[int, ...]
    """Seeds the link."""
    qber: tuple[float, ...]
    """Error rate of what is detected in the key basis, at each loss of `EXCESS_DB`."""
    polarisation: bool = True
    """Whether the receiver minds polarisation."""
    gate_width_ps: float = math.inf
    """Full width of the gates at half maximum; inf: they are always open."""
    block_s: float = 0.0
    """How long a block takes: a realignment ends the open one without key. inf or 0: there are no blocks."""
    realign_s: float = 40.0
    """How long a realignment takes."""


@dataclass(frozen=True, slots=True)
class LinkDays:
    """Days of a link, from that of number `first` on."""

    link: DriftingLink
    first: int
    days: int


@dataclass(frozen=True, slots=True, eq=False)
class DriftedDays:
    """What the light of a link met. Arrays of shape (days, cells) are means over a cell, as far as it was in limits."""

    excess_db: Floats
    """Loss over that of the link in order: of the fibre, beside the gates, of warm detectors. Shape (days, cells)."""
    contrast: Floats
    """Of the interference, over that of the link in order. Shape (days, cells)."""
    dark_count_scale: Floats
    """Shape (days, cells)."""
    keyed: Flags
    """Whether a step belongs to a block that is finished, and is within the limits of the units, (days, steps)."""
    realignments: NDArray[np.int64]
    """Of each day, shape (days,)."""


def drifted_days(spans: Sequence[LinkDays], loops: LoopSettings | None = None) -> list[DriftedDays]:
    """Return days of links, each as it is whatever days are asked for with it.

    Every day has a random generator of its own, spawned from the link's. The loss at every midnight is drawn by the
    link's, by exact steps of a day, and the path of a day is one that leads from midnight to midnight. The actuator of
    the phase servo is drawn from its stationary distribution at midnight, and so are wind and detectors. Polarisation
    and gates begin the day aligned.
    """
    loops = loops if loops is not None else LoopSettings()
    worlds = [_World(span, loops) for span in spans]
    lit, fine, contrast, dimming, realignments = _lived(worlds, loops)
    ends = np.cumsum([span.days for span in spans])
    found: list[DriftedDays] = []
    for world, end in zip(worlds, ends.tolist(), strict=True):
        own = slice(end - world.span.days, end)
        dimmed = -10 * np.log10(_mean(np.exp(-dimming[:, own]), fine[:, own]))
        found.append(
            DriftedDays(
                (world.excess_db + dimmed).T,
                _mean(contrast[:, own], fine[:, own]).T,
                dark_count_scale(world.deviation_k).T,
                _finished(lit[:, own].T, world.span.link.block_s) & fine[:, own].T,
                realignments[own],
            )
        )
    return found


# --- what drifts ------------------------------------------------------------------------------------------------------


class _World:
    """What drifts in the days of one link. Time is on the first axis of arrays, days on the second."""

    def __init__(self, span: LinkDays, loops: LoopSettings) -> None:
        self.span = span
        s, numbers = span.link.settings, range(span.first, span.first + span.days)
        root = list(span.link.entropy)
        rngs = [np.random.default_rng(np.random.SeedSequence(root, spawn_key=(number,))) for number in numbers]
        self.deviation_k = _deviations(s, loops, rngs)
        """Temperature of the detectors against their set point, by cell."""
        losses = _losses(s, np.random.default_rng(np.random.SeedSequence(root)), span.first, rngs)
        self.excess_db = losses - 10 * np.log10(np.maximum(efficiency_scale(self.deviation_k), 1e-10))
        """Loss over that of the link in order, by cell."""
        self.walks = s.walked(_normals(rngs, STEPS), STEP_S)
        """How the free phase walks, by step."""
        self.stretch = np.zeros(span.days)
        """The servo's actuator at midnight: of a walk that begins again at 0 wherever it comes to its end."""
        if s.phase_walk_rad:
            reach = loops.phase_range_rad
            self.stretch = np.array([rng.triangular(-reach, 0.0, reach) for rng in rngs])
        jumps = np.array([rng.poisson(_expected_jumps(s, rng), STEPS) for rng in rngs]).T
        self.turns = _normals(rngs, STEPS) * s.polarisation_jump_rad * np.sqrt(jumps)
        """How the polarisation turns, by step."""
        if not span.link.polarisation:
            self.turns[:] = 0.0
        self.delay_ps = np.array([s.thermal_delay_ps(round(step * STEP_S * 1e9)) for step in range(STEPS + 1)])
        """At midnight, and after each step of every day."""


def _normals(rngs: Sequence[np.random.Generator], number: int) -> Floats:
    """Return standard normal numbers, shape (number, days)."""
    return np.array([rng.standard_normal(number) for rng in rngs]).T


def _losses(s: DriftSettings, rng: np.random.Generator, first: int, rngs: Sequence[np.random.Generator]) -> Floats:
    """Return the loss at the begin of every cell, shape (cells, days), against its mean."""
    normals = rng.standard_normal(first + len(rngs) + 1).tolist()
    midnights = [normals[0] * s.loss_sigma_db]
    for normal in normals[1:]:
        midnights.append(settled(midnights[-1], normal, s.loss_sigma_db, DAY_S / s.loss_time_s))
    path = np.empty((CELLS + 1, len(rngs)))
    path[0] = midnights[first:-1]
    for cell, drawn in enumerate(_normals(rngs, CELLS)):
        path[cell + 1] = settled(path[cell], drawn, s.loss_sigma_db, CELL_S / s.loss_time_s)
    # The end is known. It moves the way there by the share that both have in common, as in every Gaussian process.
    gone = np.arange(CELLS + 1) * CELL_S / s.loss_time_s
    share = np.exp(-gone[::-1]) * np.expm1(-2 * gone) / math.expm1(-2 * gone[-1])
    bridged: Floats = path + share[:, None] * (midnights[first + 1 :] - path[-1])
    return bridged[:-1]


def _deviations(s: DriftSettings, loops: LoopSettings, rngs: Sequence[np.random.Generator]) -> Floats:
    """Return the temperature of the detectors against their set point, shape (cells, days)."""
    drawn = _normals(rngs, CELLS)
    noise = s.detector_sigma_k * drawn
    for cell in range(1, CELLS):
        noise[cell] = settled(noise[cell - 1], drawn[cell], s.detector_sigma_k, CELL_S / s.detector_time_s)
    room = [s.room_deviation_k(round((cell + 0.5) * CELL_S * 1e9)) for cell in range(CELLS)]
    return np.array([loops.detector_deviation_k(here) for here in room])[:, None] + noise


def _expected_jumps(s: DriftSettings, rng: np.random.Generator) -> Floats:
    """Return how many jumps of the polarisation the wind of a day makes in each step on average, shape (steps,)."""
    calm_hz, gusty_hz = (s.jump_rate_hz(gusty=gusty) for gusty in (False, True))
    if not s.gust_rate_hz:
        return np.full(STEPS, calm_hz * STEP_S)
    windy = s.gust_rate_hz * s.gust_length_s
    gusty = bool(rng.random() < windy / (1 + windy))
    times, blown = [0.0], [0.0]
    while times[-1] < DAY_S:
        spell = drawn_spell(rng, s, gusty=gusty)
        times.append(times[-1] + spell)
        blown.append(blown[-1] + spell * gusty)
        gusty = not gusty
    gusts: Floats = np.diff(np.interp(np.arange(STEPS + 1) * STEP_S, times, blown)).clip(0.0, STEP_S)
    return (STEP_S - gusts) * calm_hz + gusts * gusty_hz


# --- what is done against it ------------------------------------------------------------------------------------------


def _lived(worlds: Sequence[_World], loops: LoopSettings) -> tuple[Flags, Flags, Floats, Floats, NDArray[np.int64]]:
    """Return light, light within limits, contrast and dimming in nepers, each of shape (steps, days), and realignments.

    What loops and units do is what `Loops` and `simulate_day` do. The days of all links are side by side.
    """

    def each(values: Sequence[float]) -> Floats:
        return np.repeat(np.array(values), [world.span.days for world in worlds])

    def beside(arrays: Sequence[Floats]) -> Floats:
        return np.concatenate(arrays, axis=1)

    links = [world.span.link for world in worlds]
    turns, walks = beside([world.turns for world in worlds]), beside([world.walks for world in worlds])
    delay_ps = beside([np.repeat(world.delay_ps[:, None], world.span.days, axis=1) for world in worlds])
    excess_db, stretch = beside([world.excess_db for world in worlds]), np.concatenate([w.stretch for w in worlds])
    table = np.repeat(np.array([link.qber for link in links]), [world.span.days for world in worlds], axis=0)
    in_order = np.array([_interpolated(table, here) for here in excess_db])
    # Units that are beyond the limit when all is in order would align for ever; the plan has them run.
    limit = np.maximum(QBER_HIGH, table[:, IN_ORDER] + QBER_HIGH - QBER_FINE)
    lower, gate_width_ps = limit - (QBER_HIGH - QBER_FINE), each([link.gate_width_ps for link in links])
    realign = each([max(round(link.realign_s / STEP_S), 1) for link in links]).astype(np.int64)
    track_every, degraded = max(round(loops.track_every_s / STEP_S), 1), round(DEGRADED_S / STEP_S) + 1
    days = len(stretch)
    (lit, fine), (contrasts, dimmings) = np.empty((2, STEPS, days), bool), np.empty((2, STEPS, days))
    turned, phase, gates_ps, origin_ps = np.zeros(days), np.zeros(days), np.zeros(days), delay_ps[0].copy()
    free, astray, strayed, high = np.zeros((4, days), bool)  # servo, scan and controller without lock; many errors
    best = np.full(days, -math.inf)  # contrast, since the last alignment
    bad_for, dark_for, realignments = np.zeros((3, days), np.int64)
    for step in range(STEPS):
        light = dark_for == 0
        busy = not light.all()
        lit[step] = light
        turned += turns[step]
        stretch += walks[step] if not busy else np.where(light, walks[step], 0.0)
        free |= np.abs(stretch) > loops.phase_range_rad
        if free.any():
            phase = np.where(free, phase + walks[step], 0.0)
        offset_ps = delay_ps[step + 1] - origin_ps - gates_ps
        contrast = contrasts[step] = np.cos(2 * turned) * np.cos(phase)
        dimming = dimmings[step] = off_gate_nepers(offset_ps, gate_width_ps)
        errors = in_order[step // PER_CELL]
        if astray.any():
            dimmed = _interpolated(table, excess_db[step // PER_CELL] + dimming * (10 / math.log(10)))
            errors = np.where(astray, dimmed, errors)
        qber = 0.5 - (0.5 - errors) * contrast  # exactly so, since errors are 1/2 without contrast
        high = (qber > limit) | (high & (qber >= lower))
        bad = high | (dimming > -math.log(RATE_LOW))
        np.logical_and(light, ~bad, out=fine[step])
        if step % track_every == track_every - 1:
            running = fine[step]
            astray |= running & (np.abs(offset_ps) > loops.delay_window_ps)
            gates_ps = np.where(running & ~astray, gates_ps + offset_ps, gates_ps)
            astray |= np.abs(gates_ps) >= loops.delay_range_ps
            np.clip(gates_ps, -loops.delay_range_ps, loops.delay_range_ps, out=gates_ps)
            best = np.where(running, np.maximum(best, contrast), best)
            worse = running & ~strayed & ((0.5 - errors) * (best - contrast) > loops.qber_rise)
            if worse.any():
                strayed |= worse & (
                    np.abs(turned - math.pi * np.rint(turned / math.pi)) > loops.polarisation_capture_rad
                )
                turned[worse & ~strayed] = 0.0
        if busy or bad.any():
            bad_for = np.where(bad & light, bad_for + 1, 0)
            aligned = dark_for == 1
            begun = bad_for >= degraded
            dark_for = np.where(begun, realign, np.maximum(dark_for - 1, 0))
            bad_for[begun] = 0
            realignments += begun
            for state in (turned, phase, gates_ps):
                state[aligned] = 0.0
            for lost in (free, astray, strayed, high):
                lost[aligned] = False
            stretch[aligned] -= 2 * math.pi * np.rint(stretch[aligned] / (2 * math.pi))
            origin_ps[aligned], best[aligned] = delay_ps[step + 1][aligned], -math.inf
        else:
            bad_for[:] = 0
    return lit, fine, contrasts, dimmings, realignments


def _interpolated(table: Floats, excess_db: Floats) -> Floats:
    """Return error rates at a loss, each from its row of a table over `EXCESS_DB`."""
    place = np.clip((excess_db - EXCESS_DB[0]) / (EXCESS_DB[1] - EXCESS_DB[0]), 0.0, len(EXCESS_DB) - 1.001)
    below, rows = place.astype(np.int64), np.arange(len(table))
    share = place - below
    interpolated: Floats = table[rows, below] * (1 - share) + table[rows, below + 1] * share
    return interpolated


def _mean(values: Floats, fine: Flags) -> Floats:
    """Return means of fine steps over cells, shape (cells, days); 1 where none was fine."""
    counts = fine.reshape(CELLS, PER_CELL, -1).sum(axis=1)
    sums = np.zeros(counts.shape)
    for step in range(PER_CELL):  # one after the other: the order in which numpy adds would depend on the shape
        sums += np.where(fine[step::PER_CELL], values[step::PER_CELL], 0.0)
    means: Floats = np.divide(sums, counts, out=np.ones_like(sums), where=counts > 0)
    return means


def _finished(lit: Flags, block_s: float) -> Flags:
    """Return which steps belong to finished blocks, shape (days, steps): a realignment ends the open one without key.

    The first block of a day begins at midnight, and the last one is finished on the day after.
    """
    finished = lit.copy()
    if not 0 < block_s < math.inf:
        return finished
    for day, steps in enumerate(lit):
        turns = np.flatnonzero(np.diff(steps.astype(np.int8), prepend=0))
        for begin, end in zip(turns[::2].tolist(), turns[1::2].tolist(), strict=False):
            kept = math.floor((end - begin) * STEP_S / block_s) * block_s
            finished[day, begin + math.floor(kept / STEP_S) : end] = False
    return finished
