"""How figures are taken: sides in turn in one run, wall time and CPU time, a median and its spread."""

from __future__ import annotations

import statistics
import time
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence


class Figure(NamedTuple):
    """One row of the table."""

    name: str
    value: float
    unit: str
    goal: str = ""
    low: float | None = None
    """Lower quartile of the rounds; None: the figure was taken once."""
    high: float | None = None
    """Upper quartile of the rounds."""


class Spread(NamedTuple):
    """Median and quartiles."""

    median: float
    low: float
    high: float

    def figure(self, name: str, unit: str, goal: str = "") -> Figure:
        """Return the row of the table."""
        return Figure(name, self.median, unit, goal, self.low, self.high)


def spread(values: Iterable[float]) -> Spread:
    """Return median and quartiles of at least two values."""
    low, median, high = statistics.quantiles(values, n=4, method="inclusive")
    return Spread(median, low, high)


class Side:
    """What one of several sides took: for each round the mean of its calls, in us of wall and of this process's CPU."""

    def __init__(self) -> None:
        self.wall: list[float] = []
        self.cpu: list[float] = []

    def over(self, other: Side) -> Spread:
        """Return how many times the other's wall time this side took, round by round."""
        return spread(ours / theirs for ours, theirs in zip(self.wall, other.wall, strict=True))

    def cpu_over(self, other: Side) -> Spread:
        """Return how many us of this process's CPU a call took more than the other's, round by round.

        The peer's process has its own CPU, so a cost of ours shows here that a busy peer on the same core would hide.
        """
        return spread(ours - theirs for ours, theirs in zip(self.cpu, other.cpu, strict=True))


def in_turns(calls: Sequence[Callable[[], object]], *, rounds: int = 60, repeats: int = 100) -> list[Side]:
    """Return what each call took. Sides take turns, and every round begins with another one."""
    sides = [Side() for _ in calls]
    for turn in range(rounds):
        for number in range(len(calls)):
            at = (turn + number) % len(calls)
            call = calls[at]
            call()
            cpu, wall = time.process_time_ns(), time.perf_counter_ns()
            for _ in range(repeats):
                call()
            sides[at].wall.append((time.perf_counter_ns() - wall) / 1000 / repeats)
            sides[at].cpu.append((time.process_time_ns() - cpu) / 1000 / repeats)
    return sides


def show(figures: Iterable[Sequence[object]]) -> None:
    """Print figures as rows."""
    for row in figures:
        print(line(Figure(*row)), flush=True)  # type: ignore[arg-type]


def line(figure: Figure) -> str:
    """Return one row of the table."""
    between = "" if figure.low is None or figure.high is None else f"{figure.low:.3g} to {figure.high:.3g}"
    return f"{figure.name:<66} {f'{figure.value:.3g} {figure.unit}'.strip():>16} {between:>16} {figure.goal:>18}"
