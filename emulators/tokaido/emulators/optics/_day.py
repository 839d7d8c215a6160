"""A day in the life of a link where only rates and alarms are wanted: counts are drawn by the step, not by the click.

Formulas are those of _rates.py and _finite_key.py, drift and loops those of the bench. What a unit does about its
figures follows its state machine in short: RUN, DEGRADED, REALIGN.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, Literal

import numpy as np

from ._block_keys import BlockKeys, DayMethod
from ._day_rows import Rows
from ._drift import Drift, DriftKind, DriftSettings, drift_settings
from ._expectation import Met, drawn_counts
from ._finite_key import KeyLength
from ._link_rate import block_pulses
from ._loops import Loops, LoopSettings, dark_count_scale, efficiency_scale
from ._lucamarini import AnyBound, LucamariniKey

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from ._parameters import LinkParameters

LinkState = Literal["RUN", "DEGRADED", "REALIGN"]

# As the units have them (units/_blocks.py, units/_states.py, distillation/_settings.py); a test compares.
QBER_HIGH: Final = 0.06
QBER_FINE: Final = 0.055
QBER_ABORT: Final = 0.11
RATE_LOW: Final = 0.1
RATE_FINE: Final = 0.2
DEGRADED_S: Final = 30.0

LOOK_S: Final = 10.0
_FWHM_OVER_SIGMA: Final = 2 * math.sqrt(2 * math.log(2))


@dataclass(frozen=True, slots=True)
class DayAlarm:
    """An alarm of a day, by the code that units give it."""

    code: str
    begin_s: float
    end_s: float
    """When it was cleared, or the end of the day."""
    lasts: bool
    """Whether it was still there at the end of the day."""


@dataclass(frozen=True, slots=True)
class DayBlock:
    """A block of a day that was finished, with a key or without."""

    begin_s: float
    end_s: float
    sifted_bits: int
    """n: detections in the keyed bases, all intensities."""
    qber_z: float
    qber_x: float
    """Error rates of the key and the check basis, all intensities; NaN where nothing was detected."""
    key: KeyLength | LucamariniKey


@dataclass(frozen=True, slots=True, eq=False)
class DayOfLink:
    """What became of a link. Arrays have one element a step, or one a row of steps: then means; time 0 is midnight."""

    seconds: float
    """How long it was, in s."""
    step_s: float
    """Time that an element of the arrays stands for; the last one may stand for less."""
    time_s: NDArray[np.float64]
    """Begin of each element."""
    loss_db: NDArray[np.float64]
    """Channel loss."""
    phase_error_rad: NDArray[np.float64]
    polarisation_error_rad: NDArray[np.float64]
    delay_offset_ps: NDArray[np.float64]
    detector_deviation_k: NDArray[np.float64]
    """Temperature of the detectors against their set point."""
    qber_z: NDArray[np.float64]
    qber_x: NDArray[np.float64]
    """Error rates of the key and the check basis, all intensities; NaN where nothing was sifted."""
    sifted_key_rate: NDArray[np.float64]
    """Detections of all intensities in the keyed bases (both with "lucamarini"), in bit/s."""
    secret_key_rate: NDArray[np.float64]
    """Key of the block that the step belongs to, over the time of that block, in bit/s; 0 where it was not finished."""
    state: NDArray[np.str_]
    """RUN, DEGRADED or REALIGN; at the begin of each element."""
    shares: Mapping[LinkState, float]
    """Fraction of the time that the link was in each state that occurred, steps counted."""
    alarms: tuple[DayAlarm, ...]
    """In order of their begin."""
    blocks: tuple[DayBlock, ...]
    """Those that were finished; a realignment ends the open one without a key."""
    pulses_per_block: float
    """Of each block, in whole steps."""
    method: str
    bound: str
    eps: float
    """Of every key: method and bound of its length, and the chance that it is not what it is said to be."""
    secure_against: str
    """What the method's proof lets an eavesdropper do: "general attacks", or "collective attacks" with Lucamarini."""

    @property
    def secret_bits(self) -> int:
        """Key of the whole day."""
        return sum(block.key.bits for block in self.blocks)

    def share(self, state: LinkState) -> float:
        """Return the fraction of the time that the link was in a state."""
        return self.shares.get(state, 0.0)


def simulate_day(
    params: LinkParameters,
    *,
    drift: DriftSettings | DriftKind = "buried",
    loops: LoopSettings | None = None,
    seconds: float = 86_400.0,
    step_s: float = 1.0,
    row_s: float | None = None,
    seed: int = 0,
    pulses_per_block: float | None = None,
    realign_s: float = 40.0,
    method: DayMethod | None = None,
    bound: AnyBound | None = None,
) -> DayOfLink:
    """Return a day of a link's life, thousands of times faster than it passes. The same seed gives the same day.

    Args:
        params: The link in order; its loss is that of midnight.
        drift: How it drifts, or the name of settings.
        loops: What the receiver does against it.
        seconds: How long.
        step_s: Drift is constant and counts are drawn for each step.
        row_s: Time that an element of the result's arrays stands for, in whole steps; default: a step. With 3600 s the
            arrays of a month need 60 kB and not 270 MB; totals, blocks and alarms are the same.
        seed: Decides drift and counts.
        pulses_per_block: Pulses of a block, rounded to whole steps; default: what the parameters say
            (`block_pulses`).
        realign_s: How long a realignment takes: 40 s, the sum of the steps of a Toshiba-style unit.
        method: "lim" or "lucamarini", as in `link_rate`; that of the parameters if it is one of them, or else "lim".
        bound: Of the analysis, as in `link_rate`; default: "chernoff" with "lim", "gaussian" with "lucamarini".

    Raises:
        ValueError: A time is not possible, or a block is shorter than a step.
    """
    row_s = step_s if row_s is None else row_s
    times = ("seconds", seconds), ("step_s", step_s), ("row_s", row_s), ("realign_s", realign_s)
    for name, value in times:
        if not 0 < value < math.inf:
            raise ValueError(f"{name} = {value!r} is not possible: give a finite time in s, > 0")
    pulses = params.clock_rate_hz * params.duty * step_s
    pulses_per_block = block_pulses(params) if pulses_per_block is None else pulses_per_block
    if not pulses / 2 <= pulses_per_block < math.inf:
        raise ValueError(f"pulses_per_block = {pulses_per_block!r} is less than a step has: give {pulses:g} at least")
    settings = drift if isinstance(drift, DriftSettings) else drift_settings(drift)
    steps = max(round(seconds / step_s), 1)
    steps_per_block = round(pulses_per_block / pulses)
    method = method or ("lucamarini" if params.rate_method == "lucamarini" else "lim")
    world, counting = (np.random.default_rng([seed, part]) for part in (0, 1))
    day = _Day(
        params,
        Loops(Drift(world, settings), loops),
        counting,
        step_s=step_s,
        steps_per_block=steps_per_block,
        realign_s=realign_s,
        settle=BlockKeys(params, method, bound, steps_per_block * pulses),
    )
    return day.live(steps, max(round(row_s / step_s), 1))


class _Day:
    """A link that lives through a day."""

    def __init__(
        self,
        params: LinkParameters,
        loops: Loops,
        rng: np.random.Generator,
        *,
        step_s: float,
        steps_per_block: int,
        realign_s: float,
        settle: BlockKeys,
    ) -> None:
        self._params = params
        self._loops = loops
        self._rng = rng
        self._step_s = step_s
        self._pulses = params.clock_rate_hz * params.duty * step_s
        self._steps_per_block = steps_per_block
        self._realign_s = realign_s
        self._settle = settle
        self._look_steps = max(round(LOOK_S / step_s), 1)
        self._state: LinkState = "RUN"
        self._since_s = 0.0
        self._tracked_s = 0.0
        self._seen = np.zeros((2, 2, 3), np.int64)  # counts since the last small correction
        self._reference = 0.0
        self._degrading = False
        self._open = np.zeros((2, 2, 3), np.int64)  # counts of the open block,
        self._open_steps = 0  # which has had so many steps
        self._spent: dict[LinkState, int] = {}
        self._aborted = False
        self._blocks: list[DayBlock] = []
        self._alarms: list[DayAlarm] = []
        self._active: dict[str, float] = {}

    def live(self, steps: int, steps_per_row: int) -> DayOfLink:
        self._rows = Rows(steps, steps_per_row, world=5)
        for begin in range(0, steps, self._look_steps):
            end = min(begin + self._look_steps, steps)
            self._spent[self._state] = self._spent.get(self._state, 0) + end - begin
            world = np.array([self._pass() for _ in range(begin, end)]).T
            self._rows.add(begin, world, self._state)
            if self._state == "REALIGN":
                self._end_realignment(end)
                continue
            counts = self._count(world)
            self._rows.add_counts(begin, counts)
            self._fill_blocks(begin, counts)
            self._look(counts.sum(axis=0), end)
        return self._told(steps, steps_per_row)

    # --- light ------------------------------------------------------------------------------------------------------

    def _pass(self) -> tuple[float, float, float, float, float]:
        loops, drift = self._loops, self._loops.drift
        loops.advance(self._step_s, light=self._state != "REALIGN")
        polarisation_rad = drift.polarisation_error_rad if loops.settings.polarisation else 0.0
        return (
            drift.loss_db,
            drift.phase_error_rad,
            polarisation_rad,
            drift.delay_offset_ps,
            loops.detector_deviation_k,
        )

    def _count(self, world: NDArray[np.float64]) -> NDArray[np.int64]:
        loss_db, phase_rad, polarisation_rad, delay_ps, deviation_k = world
        met = Met(
            transmission=10 ** (-loss_db / 10)
            * np.exp(-off_gate_nepers(delay_ps, self._params.gate_width_ps))
            * efficiency_scale(deviation_k),
            visibility=np.cos(phase_rad) * np.cos(2 * polarisation_rad),
            dark_count_scale=dark_count_scale(deviation_k),
        )
        return drawn_counts(self._params, met, self._pulses, self._rng)

    # --- what the unit does -----------------------------------------------------------------------------------------

    def _look(self, counts: NDArray[np.int64], step: int) -> None:
        """Compare the figures of the last seconds with their limits, as units do."""
        now_s = step * self._step_s
        sifted, qber = int(counts[0, 0].sum()), _error_rate(counts[0])
        self._reference = self._reference or sifted
        self._follow(
            "RATE_LOW", sifted < self._reference * (RATE_FINE if "RATE_LOW" in self._active else RATE_LOW), now_s
        )
        if qber > QBER_HIGH:
            self._degrading = True
            self._follow("QBER_HIGH", True, now_s)
        elif qber < QBER_FINE:
            self._degrading = False
            self._follow("QBER_HIGH", False, now_s)
        out_of_limits = self._degrading or "RATE_LOW" in self._active
        spent_s = now_s - self._since_s
        if self._aborted or (self._state == "DEGRADED" and out_of_limits and spent_s >= DEGRADED_S):
            self._enter("REALIGN", now_s)
            self._open[:], self._open_steps = 0, 0
            return
        if (self._state == "DEGRADED") != out_of_limits:
            self._enter("DEGRADED" if out_of_limits else "RUN", now_s)
        self._seen += counts
        if self._state == "RUN" and now_s - self._tracked_s >= self._loops.settings.track_every_s:
            self._loops.track(_error_rate(self._seen[0]))
            self._tracked_s = now_s
            self._seen[:] = 0

    def _end_realignment(self, step: int) -> None:
        now_s = step * self._step_s
        if now_s - self._since_s < self._realign_s:
            return
        self._loops.realign()
        self._reference, self._degrading, self._aborted, self._tracked_s = 0.0, False, False, now_s
        self._seen[:] = 0
        for code in ("RATE_LOW", "QBER_ABORT"):
            self._follow(code, False, now_s)
        self._enter("RUN", now_s)

    def _fill_blocks(self, begin: int, counts: NDArray[np.int64]) -> None:
        """Add steps to the open block, and end those that are full."""
        done = 0
        while done < len(counts):
            now = min(self._steps_per_block - self._open_steps, len(counts) - done)
            self._open += counts[done : done + now].sum(axis=0)
            self._open_steps += now
            done += now
            if self._open_steps == self._steps_per_block:
                self._end_block(begin + done)

    def _end_block(self, step: int) -> None:
        begin = step - self._steps_per_block
        begin_s, now_s = begin * self._step_s, step * self._step_s
        counts = self._open
        self._open, self._open_steps = np.zeros_like(counts), 0
        qber, key = _error_rate(counts[0]), self._settle.key(counts)
        if qber > QBER_ABORT:  # units go to SECURITY_HOLD; here somebody acknowledges it at once
            self._aborted = True
            self._follow("QBER_ABORT", True, now_s)
            key = replace(key, bits=0)
        self._follow("NO_KEY", not key.bits, now_s)
        sifted = int(counts[: self._settle.keyed_bases, 0].sum())
        self._blocks.append(DayBlock(begin_s, now_s, sifted, qber, _error_rate(counts[1]), key))
        self._rows.add_key(begin, step, key.bits)

    def _enter(self, state: LinkState, now_s: float) -> None:
        self._state, self._since_s = state, now_s

    def _follow(self, code: str, cause: bool, now_s: float) -> None:
        if cause:
            self._active.setdefault(code, now_s)
        elif code in self._active:
            self._alarms.append(DayAlarm(code, self._active.pop(code), now_s, lasts=False))

    # --- the end ----------------------------------------------------------------------------------------------------

    def _told(self, steps: int, steps_per_row: int) -> DayOfLink:
        rows, settle, step_s = self._rows, self._settle, self._step_s
        end_s = steps * step_s
        self._alarms += [DayAlarm(code, begin_s, end_s, lasts=True) for code, begin_s in self._active.items()]
        loss_db, phase_rad, polarisation_rad, delay_ps, deviation_k = rows.world
        return DayOfLink(
            seconds=end_s,
            step_s=steps_per_row * step_s,
            time_s=rows.first.astype(np.float64) * step_s,
            loss_db=self._params.channel_loss_db + loss_db,
            phase_error_rad=phase_rad,
            polarisation_error_rad=polarisation_rad,
            delay_offset_ps=delay_ps,
            detector_deviation_k=deviation_k,
            qber_z=rows.error_rates(0),
            qber_x=rows.error_rates(1),
            sifted_key_rate=rows.detections(settle.keyed_bases) / step_s,
            secret_key_rate=rows.key_bits / step_s,
            state=rows.state,
            shares={state: spent / steps for state, spent in self._spent.items()},
            alarms=tuple(sorted(self._alarms, key=lambda alarm: alarm.begin_s)),
            blocks=tuple(self._blocks),
            pulses_per_block=self._steps_per_block * self._pulses,
            method=settle.nothing.method,
            bound=settle.nothing.bound,
            eps=settle.nothing.eps,
            secure_against=settle.nothing.secure_against,
        )


def off_gate_nepers(offset_ps: NDArray[np.float64], gate_width_ps: float | NDArray[np.float64]) -> NDArray[np.float64]:
    """Return how much less efficient gates are for pulses so far off their middle, as -ln: dt^2 / 2 s^2."""
    off_gate = offset_ps * _FWHM_OVER_SIGMA / gate_width_ps
    return (off_gate**2) / 2


def _error_rate(counts: NDArray[np.int64]) -> float:
    """Return the error rate of counts of shape (2, 3): detections and errors, by intensity."""
    detected, wrong = counts.sum(axis=1).tolist()
    return wrong / detected if detected else math.nan
