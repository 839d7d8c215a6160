"""The machine's time without that in which it did not let this process run: the clock of suites on busy machines."""

from __future__ import annotations

import os
import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Final

from tokaido.hal import NS_PER_S, SYSTEM_CLOCK

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping

    from tokaido.hal import Clock

TICK_S: Final = 0.01
"""How often it looks, in s."""
LATEST_NS: Final = 20_000_000
"""What may pass between two looks, in ns; what is more, the machine did not let it look."""
LEAST: Final = 0.1
"""What passes at the least, as a fraction of the machine's time, so that every wait ends."""
TASKS: Final = "/proc/self/task"
"""Where Linux says of every thread how long it ran, and how long it could have run and was not let."""


class UnstarvedClock:
    """A clock that goes with the machine's, and hardly at all while threads of this process wait for a processor.

    A deadline by this clock says how long a driver and an emulated device of the same process take, whatever else the
    machine does. Where Linux tells nothing of threads, only pauses of the whole process count as such waits.

    Args:
        machine: The clock of the machine.
        waited_ns: Tells of every thread of this process how long it waited for a processor so far, in ns.
    """

    def __init__(self, machine: Clock = SYSTEM_CLOCK, waited_ns: Callable[[], Mapping[str, int]] | None = None) -> None:
        self._machine = machine
        self._ask = waited_ns or _waited_ns
        self._lock = threading.Lock()
        self._last_ns = self._now_ns = self._base_ns = machine.monotonic_ns()
        self._waited_ns: Mapping[str, int] = self._ask()

    def monotonic_ns(self) -> int:
        """Return the time in ns; its zero has no meaning."""
        with self._lock:
            return self._read(self._machine.monotonic_ns())

    def utc_ns(self) -> int:
        """Return the time of day in ns since 1970-01-01 UTC, as the machine says it."""
        return self._machine.utc_ns()

    def wait(self, seconds: float, event: threading.Event | None = None) -> bool:
        """Wait `seconds` of this clock, or less if `event` is set; return whether it is set."""
        until_ns = self.monotonic_ns() + round(seconds * NS_PER_S)
        while (left_ns := until_ns - self.monotonic_ns()) > 0:
            if self._machine.wait(left_ns / NS_PER_S, event):
                return True
        return event is not None and event.is_set()

    def look(self) -> None:
        """Count the time since the last look."""
        waited_ns = self._ask()
        longest_ns = max((waited_ns[one] - self._waited_ns.get(one, 0) for one in waited_ns), default=0)
        self._waited_ns = waited_ns
        with self._lock:
            now_ns = self._machine.monotonic_ns()
            passed_ns = now_ns - self._last_ns
            counted_ns = max(min(passed_ns, LATEST_NS) - longest_ns, round(LEAST * passed_ns))
            self._base_ns += counted_ns
            self._last_ns = now_ns

    def _read(self, now_ns: int) -> int:
        self._now_ns = max(self._now_ns, self._base_ns + min(now_ns - self._last_ns, LATEST_NS))
        return self._now_ns


def _waited_ns() -> dict[str, int]:
    """Return of every thread of this process how long it waited for a processor so far, in ns."""
    waited_ns = {}
    with suppress(OSError):
        for thread in os.listdir(TASKS):  # noqa: PTH208 - a path of each would cost more than all the rest
            with suppress(OSError, ValueError, IndexError), open(f"{TASKS}/{thread}/schedstat", "rb") as told:  # noqa: PTH123
                waited_ns[thread] = int(told.read().split()[1])
    return waited_ns


class _Shared:
    """The one clock of a process, which somebody looks by while anybody has it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._users = 0
        self._clock = UnstarvedClock()
        self._ending = threading.Event()
        self._looker: threading.Thread | None = None

    @contextmanager
    def lent(self) -> Generator[UnstarvedClock]:
        with self._lock:
            self._users += 1
            if self._looker is None:
                self._clock, self._ending = UnstarvedClock(), threading.Event()
                self._looker = threading.Thread(
                    target=_look_on, args=(self._clock, self._ending), name="unstarved clock", daemon=True
                )
                self._looker.start()
            clock = self._clock
        try:
            yield clock
        finally:
            with self._lock:
                self._users -= 1
                looker = self._looker if not self._users else None
                if looker is not None:
                    self._ending.set()
                    self._looker = None
            if looker is not None:
                looker.join()


def _look_on(clock: UnstarvedClock, ending: threading.Event) -> None:
    while not SYSTEM_CLOCK.wait(TICK_S, ending):
        clock.look()


unstarved: Final = _Shared().lent
"""A context with the clock; a thread of its own looks how late the machine is while any such context is open."""
