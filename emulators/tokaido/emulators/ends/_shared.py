"""A model that several threads share: its lock, the time that it lives in, and who must know when it was touched."""

from __future__ import annotations

import math
import os
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Final, Protocol

from tokaido.hal import NS_PER_S, SYSTEM_CLOCK, Clock

if TYPE_CHECKING:
    from collections.abc import Callable

    from tokaido.emulators._model import DeviceModel

POLL_S: Final = 0.01
"""How often a wire end looks at a model that cannot tell whether it has something to say, s on the wall."""


class ModelLock:
    """A lock that its holder may take again. A thread that leaves it lets others know what became of the model.

    Args:
        leaving: Called before the lock is released, every time.
    """

    __slots__ = ("_leaving", "_lock", "acquire")

    def __init__(self, leaving: Callable[[], None]) -> None:
        self._leaving = leaving
        self._lock = threading.RLock()
        self.acquire: Final = self._lock.acquire
        """As that of `threading.RLock`."""

    def release(self) -> None:
        """Release it, as often as it was acquired."""
        try:
            self._leaving()
        finally:
            self._lock.release()

    def __enter__(self) -> ModelLock:
        self._lock.acquire()
        return self

    def __exit__(self, *_: object) -> None:
        self.release()


class Sleeper(Protocol):
    """A wire end whose thread sleeps until something comes, or until somebody wakes it."""

    def must_wake(self) -> bool:
        """Whether it sleeps and there is something for it to do now. Call it under the lock."""
        ...

    def wake(self) -> None:
        """Let it look at once. Call it under the lock."""
        ...


class SharedModel:
    """A model, the one lock around it, and the time that it lives in.

    Args:
        model: The device model.
        clock: Drives the model; None when somebody else advances it.
        speed: Emulated ns per ns of the clock.
    """

    def __init__(self, model: DeviceModel, *, clock: Clock | None = None, speed: float = 1.0) -> None:
        self.model = model
        self.lock = ModelLock(self._left)
        """The one lock. A thread that leaves it wakes the wire ends that have something to do now."""
        self._clock = clock
        self._speed = speed
        self._start_ns = clock.monotonic_ns() if clock is not None else 0
        self._origin_ns = model.now_ns
        self._sleepers: tuple[Sleeper, ...] = ()

    def catch_up(self) -> None:
        """Advance the model to the present, if the clock drives it. Call it under the lock."""
        if self._clock is not None:
            passed_ns = self._clock.monotonic_ns() - self._start_ns
            self.model.advance(max(self._origin_ns + int(passed_ns * self._speed), self.model.now_ns))

    def run_at(self, speed: float) -> None:
        """Let time pass at another speed from now on. Call it under the lock."""
        if self._clock is not None:
            self.catch_up()
            self._start_ns, self._origin_ns = self._clock.monotonic_ns(), self.model.now_ns
        self._speed = speed
        for sleeper in self._sleepers:
            sleeper.wake()

    def due_s(self) -> float:
        """Return after how many s on the wall the model is to be advanced; infinite if nobody waits for it."""
        due_ns = self.model.due_ns()
        return math.inf if due_ns is None else self.wall_s(due_ns)

    def wall_s(self, due_ns: int) -> float:
        """Return after how many s on the wall the model is to be advanced that is due at `due_ns` of its own time."""
        if self._clock is None:
            return math.inf
        passed_ns = self._clock.monotonic_ns() - self._start_ns
        due_s = max((due_ns - self._origin_ns) / self._speed - passed_ns, 0) / NS_PER_S
        return max(due_s, self.model.MAY_WAIT_S)

    # --- who sleeps ---------------------------------------------------------------------------------------------------

    @property
    def timed(self) -> bool:
        """Whether the clock drives the model."""
        return self._clock is not None

    def add_sleeper(self, sleeper: Sleeper) -> None:
        """Wake a wire end from now on. The first one also lets time pass when the model is due."""
        with self.lock:
            self._sleepers += (sleeper,)

    def remove_sleeper(self, sleeper: Sleeper) -> None:
        """Wake it no more; the next one lets time pass."""
        with self.lock:
            self._sleepers = tuple(other for other in self._sleepers if other is not sleeper)
            for other in self._sleepers:
                other.wake()

    def keeps_time(self, sleeper: Sleeper) -> bool:
        """Whether this wire end lets time pass when the model is due."""
        return bool(self._sleepers) and self._sleepers[0] is sleeper

    def _left(self) -> None:
        for sleeper in self._sleepers:
            if sleeper.must_wake():
                sleeper.wake()


class Waker:
    """A descriptor that can be read once somebody has set it, so that a thread can wait for it among others."""

    def __init__(self) -> None:
        self.fd: Final = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._set = False

    def set(self) -> None:
        """Let it be readable."""
        if not self._set:
            self._set = True
            os.eventfd_write(self.fd, 1)

    def clear(self) -> None:
        """Let it not be readable any more."""
        if self._set:
            self._set = False
            with suppress(BlockingIOError):
                os.eventfd_read(self.fd)

    def close(self) -> None:
        """Close the descriptor; it must not be set afterwards."""
        os.close(self.fd)


def on_the_wall(clock: Clock) -> bool:
    """Whether a clock goes with the operating system's, in which a thread sleeps; any other one is looked at often."""
    return clock is SYSTEM_CLOCK
