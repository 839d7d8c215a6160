"""Time on the bench: a thread that takes steps of emulated time, and what it tells of it."""

from __future__ import annotations

import threading
from collections import deque
from typing import TYPE_CHECKING, Final, NamedTuple

from tokaido.hal import NS_PER_S

if TYPE_CHECKING:
    from collections.abc import Callable

    from tokaido.hal import Clock

MAX_STEP_NS: Final = 200_000_000
"""Longest step of emulated time: what the machine cannot keep up with makes emulated time slower, not coarser."""
PUMP_S: Final = 0.05
"""Wall time after which messages wait for the next step, so that the boxes' own time goes on."""
AHEAD_NS: Final = 2_000_000_000
"""Emulated time that may pass while messages wait; then it creeps until distillation has caught up."""
CREEP_NS: Final = 5_000_000
"""Longest step of emulated time while it creeps; the boxes' consoles and waiting draws go on."""
BUSY_S: Final = 0.005
"""Wall time from one step to the next while keys are exchanged, and"""
IDLE_S: Final = 0.02
"""while they are not."""
_SHORTEST_S: Final = 0.0005


class Passed(NamedTuple):
    """What one step came to."""

    now_ns: int
    """Emulated time after it."""
    behind_ns: int
    """Emulated time since the last step after which no message waited."""
    busy: bool
    """Whether keys are exchanged."""


class Pace:
    """Emulated time, in steps by hand or by a thread that keeps `speed` emulated seconds per second if it can.

    Args:
        take_step: Lets some ns of emulated time pass, giving messages so many s on the wall (None: all they need).
        clock: The wall clock.
        speed: Emulated seconds per second.
        name: Of the thread.
    """

    def __init__(
        self, take_step: Callable[[int, float | None], Passed], *, clock: Clock, speed: float, name: str
    ) -> None:
        self.speed_wanted = speed
        """Emulated seconds per second; another one holds from the next step."""
        self.failure: Exception | None = None
        """What ended the thread before its time."""
        self._take_step = take_step
        self._clock = clock
        self._name = name
        self._now_ns = 0
        self._shown: tuple[int, int, int, float] | None = None
        """Emulated time, at which wall time, how far it may go on from there, and how fast."""
        self._told_ns = 0
        self._telling = threading.Lock()
        self._wall_ns = 0
        self._recent: deque[tuple[int, int]] = deque(maxlen=64)
        self._closing = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def emulated_ns(self) -> int:
        """Emulated time in ns. Between two steps of the thread it goes on with the wall clock."""
        with self._telling:
            now_ns = self._now_ns
            if self._shown is not None:
                now_ns, wall_ns, longest_ns, speed = self._shown
                now_ns += min(int((self._clock.monotonic_ns() - wall_ns) * speed), longest_ns)
            self._told_ns = max(self._told_ns, now_ns)
            return self._told_ns

    @property
    def wall_s(self) -> float:
        """Time that the thread has run, in s."""
        return self._wall_ns / NS_PER_S

    @property
    def speed(self) -> float:
        """Emulated seconds per second, over the last steps."""
        recent = list(self._recent)
        if len(recent) < 2 or recent[-1][0] == recent[0][0]:
            return 0.0
        return (recent[-1][1] - recent[0][1]) / (recent[-1][0] - recent[0][0])

    @property
    def running(self) -> bool:
        """Whether the thread was started."""
        return self._thread is not None

    def start(self) -> None:
        """Start the thread; one that runs goes on."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """End the thread. May be called again."""
        self._closing.set()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join()
        self._shown = None

    def step(self, step_ns: int, pump_s: float | None) -> Passed:
        """Take one step."""
        passed = self._take_step(step_ns, pump_s)
        self._now_ns = passed.now_ns
        return passed

    def _run(self) -> None:
        try:
            self._take_steps()
        except Exception as error:
            self.failure = error
            raise

    def _take_steps(self) -> None:
        last_ns = start_ns = self._clock.monotonic_ns()
        longest_ns = MAX_STEP_NS
        speed = self.speed_wanted
        busy = False
        while not self._closing.is_set():
            now_ns = self._clock.monotonic_ns()
            step_ns = min(int((now_ns - last_ns) * speed), longest_ns)
            last_ns = now_ns
            if step_ns > 0:
                passed = self.step(step_ns, PUMP_S)
                busy = passed.busy
                longest_ns = CREEP_NS if passed.behind_ns > AHEAD_NS else MAX_STEP_NS
            speed = self.speed_wanted
            self._shown = self._now_ns, now_ns, longest_ns, speed
            self._wall_ns = self._clock.monotonic_ns() - start_ns
            self._recent.append((self._wall_ns, self._now_ns))
            rest_s = min(BUSY_S if busy else IDLE_S, 0.9 * MAX_STEP_NS / NS_PER_S / speed)
            spent_s = (self._clock.monotonic_ns() - now_ns) / NS_PER_S
            self._clock.wait(max(rest_s - spent_s, _SHORTEST_S), self._closing)
