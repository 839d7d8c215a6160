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
from ._drift import Drift, DriftKind, DriftSettings, drift_settings
from ._expectation import Met, drawn_counts
from ._finite_key import KeyLength
from ._link_rate import block_pulses
from ._loops import Loops, LoopSettings, dark_count_scale, efficiency_scale
from ._lucamarini import AnyBound, LucamariniKey

if TYPE_CHECKING:
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

_LOOK_S: Final = 10.0
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
    """What became of a link. Arrays have one element a step, shape (steps,); time 0 is midnight."""

    step_s: float
    time_s: NDArray[np.float64]
    """Begin of each step."""
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
    """RUN, DEGRADED or REALIGN."""
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
    def seconds(self) -> float:
        """How long it was, in s."""
        return self.time_s.size * self.step_s

    @property
    def secret_bits(self) -> int:
        """Key of the whole day."""
        return sum(block.key.bits for block in self.blocks)

    def share(self, state: LinkState) -> float:
        """Return the fraction of the time that the link was in a state."""
        return float(np.mean(self.state == state))


def simulate_day(
    params: LinkParameters,
    *,
    drift: DriftSettings | DriftKind = "buried",
    loops: LoopSettings | None = None,
    seconds: float = 86_400.0,
    step_s: float = 1.0,
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
        seed: Decides drift and counts.
        pulses_per_block: Pulses of a block, rounded to whole steps; default: what the parameters say
            (`block_pulses`).
        realign_s: How long a realignment takes: 40 s, the sum of the steps of a Toshiba-style unit.
        method: "lim" or "lucamarini", as in `link_rate`; that of the parameters if it is one of them, or else "lim".
        bound: Of the analysis, as in `link_rate`; default: "chernoff" with "lim", "gaussian" with "lucamarini".

    Raises:
        ValueError: A time is not possible, or a block is shorter than a step.
    """
    for name, value in (("seconds", seconds), ("step_s", step_s), ("realign_s", realign_s)):
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
    return day.live(steps)


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
        self._look_steps = max(round(_LOOK_S / step_s), 1)
        self._state: LinkState = "RUN"
        self._since_s = 0.0
        self._tracked_s = 0.0
        self._seen: list[NDArray[np.int64]] = []  # counts since the last small correction
        self._reference = 0.0
        self._degrading = False
        self._open: list[tuple[int, NDArray[np.int64]]] = []  # steps of the open block
        self._aborted = False
        self._blocks: list[DayBlock] = []
        self._alarms: list[DayAlarm] = []
        self._active: dict[str, float] = {}

    def live(self, steps: int) -> DayOfLink:
        world = np.empty((5, steps))
        counts = np.zeros((steps, 2, 2, 3), np.int64)
        states = np.empty(steps, "<U8")
        for begin in range(0, steps, self._look_steps):
            end = min(begin + self._look_steps, steps)
            states[begin:end] = self._state
            for step in range(begin, end):
                world[:, step] = self._pass()
            if self._state == "REALIGN":
                self._end_realignment(end)
                continue
            counts[begin:end] = self._count(world[:, begin:end])
            for step in range(begin, end):
                self._open.append((step, counts[step]))
                if len(self._open) == self._steps_per_block:
                    self._end_block()
            self._look(counts[begin:end].sum(axis=0), end)
        return self._told(world, counts, states)

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
        off_gate = delay_ps * _FWHM_OVER_SIGMA / self._params.gate_width_ps
        met = Met(
            transmission=10 ** (-loss_db / 10) * np.exp(-(off_gate**2) / 2) * efficiency_scale(deviation_k),
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
            self._open.clear()
            return
        if (self._state == "DEGRADED") != out_of_limits:
            self._enter("DEGRADED" if out_of_limits else "RUN", now_s)
        self._seen.append(counts)
        if self._state == "RUN" and now_s - self._tracked_s >= self._loops.settings.track_every_s:
            self._loops.track(_error_rate(sum(self._seen, np.zeros_like(counts))[0]))
            self._tracked_s = now_s
            self._seen.clear()

    def _end_realignment(self, step: int) -> None:
        now_s = step * self._step_s
        if now_s - self._since_s < self._realign_s:
            return
        self._loops.realign()
        self._reference, self._degrading, self._aborted, self._tracked_s = 0.0, False, False, now_s
        self._seen.clear()
        for code in ("RATE_LOW", "QBER_ABORT"):
            self._follow(code, False, now_s)
        self._enter("RUN", now_s)

    def _end_block(self) -> None:
        first, last = self._open[0][0], self._open[-1][0]
        begin_s, now_s = first * self._step_s, (last + 1) * self._step_s
        counts = np.sum([counts for _, counts in self._open], axis=0)
        self._open.clear()
        qber, key = _error_rate(counts[0]), self._settle.key(counts)
        if qber > QBER_ABORT:  # units go to SECURITY_HOLD; here somebody acknowledges it at once
            self._aborted = True
            self._follow("QBER_ABORT", True, now_s)
            key = replace(key, bits=0)
        self._follow("NO_KEY", not key.bits, now_s)
        sifted = int(counts[: self._settle.keyed_bases, 0].sum())
        self._blocks.append(DayBlock(begin_s, now_s, sifted, qber, _error_rate(counts[1]), key))

    def _enter(self, state: LinkState, now_s: float) -> None:
        self._state, self._since_s = state, now_s

    def _follow(self, code: str, cause: bool, now_s: float) -> None:
        if cause:
            self._active.setdefault(code, now_s)
        elif code in self._active:
            self._alarms.append(DayAlarm(code, self._active.pop(code), now_s, lasts=False))

    # --- the end ----------------------------------------------------------------------------------------------------

    def _told(self, world: NDArray[np.float64], counts: NDArray[np.int64], states: NDArray[np.str_]) -> DayOfLink:
        steps, settle = states.size, self._settle
        end_s = steps * self._step_s
        self._alarms += [DayAlarm(code, begin_s, end_s, lasts=True) for code, begin_s in self._active.items()]
        secret = np.zeros(steps)
        for block in self._blocks:
            steps_of = slice(round(block.begin_s / self._step_s), round(block.end_s / self._step_s))
            secret[steps_of] = block.key.bits / (block.end_s - block.begin_s)
        return DayOfLink(
            step_s=self._step_s,
            time_s=np.arange(steps, dtype=np.float64) * self._step_s,
            loss_db=self._params.channel_loss_db + world[0],
            phase_error_rad=world[1],
            polarisation_error_rad=world[2],
            delay_offset_ps=world[3],
            detector_deviation_k=world[4],
            qber_z=_rates(counts[:, 0]),
            qber_x=_rates(counts[:, 1]),
            sifted_key_rate=counts[:, : settle.keyed_bases, 0].sum(axis=(1, 2)) / self._step_s,
            secret_key_rate=secret,
            state=states,
            alarms=tuple(sorted(self._alarms, key=lambda alarm: alarm.begin_s)),
            blocks=tuple(self._blocks),
            pulses_per_block=self._steps_per_block * self._pulses,
            method=settle.nothing.method,
            bound=settle.nothing.bound,
            eps=settle.nothing.eps,
            secure_against=settle.nothing.secure_against,
        )


def _error_rate(counts: NDArray[np.int64]) -> float:
    """Return the error rate of counts of shape (2, 3): detections and errors, by intensity."""
    detected, wrong = counts.sum(axis=1).tolist()
    return wrong / detected if detected else math.nan


def _rates(counts: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the error rates of counts of shape (steps, 2, 3)."""
    detected, wrong = counts.sum(axis=2).T
    rates = np.full(detected.size, math.nan)
    np.divide(wrong, detected, out=rates, where=detected > 0)
    return rates
