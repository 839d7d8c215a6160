"""A model that several threads share: its lock, the time that it lives in, and who must know when it was touched."""

from __future__ import annotations

import math
import threading
from typing import TYPE_CHECKING, Final, Protocol

from tokaido.emulators._unstarved import UnstarvedClock
from tokaido.hal import NS_PER_S, SYSTEM_CLOCK, Clock

if TYPE_CHECKING:
    from tokaido.emulators._model import DeviceModel

POLL_S: Final = 0.01
"""How often a wire end looks at a model that cannot tell whether it has something to say, s on the wall."""


class Sleeper(Protocol):
    """A wire end that is looked at when something comes, or when somebody wakes it."""

    wants_lock: bool
    """Whether the model was held by another thread when this end was to look at it."""

    def must_wake(self) -> bool:
        """Whether it sleeps and there is something for it to do now. Call it under the lock."""
        ...

    def wake(self) -> None:
        """Let it look at once. Call it under the lock."""
        ...


class ModelLock:
    """A lock that its holder may take again. A thread that leaves it wakes the wire ends that have something to do,
    and those that found it taken: they never wait for it, since one thread serves all of them.
    """

    __slots__ = ("_lock", "acquire", "sleepers")

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self.acquire: Final = self._lock.acquire
        """As that of `threading.RLock`."""
        self.sleepers: tuple[Sleeper, ...] = ()
        """Wire ends that may have to be woken."""

    def release(self) -> None:
        """Release it, as often as it was acquired."""
        try:
            for sleeper in self.sleepers:
                if sleeper.must_wake():
                    sleeper.wake()
        finally:
            self._lock.release()
        for sleeper in self.sleepers:
            if sleeper.wants_lock:  # seen after it was let go, or else the one that wants it has seen that
                sleeper.wake()

    def __enter__(self) -> ModelLock:
        self.acquire()
        return self

    def __exit__(self, *_: object) -> None:
        if self.sleepers:
            self.release()
        else:
            self._lock.release()


class SharedModel:
    """A model, the one lock around it, and the time that it lives in.

    Args:
        model: The device model.
        clock: Drives the model; None when somebody else advances it.
        speed: Emulated ns per ns of the clock.
    """

    def __init__(self, model: DeviceModel, *, clock: Clock | None = None, speed: float = 1.0) -> None:
        self.model = model
        self.lock = ModelLock()
        """The one lock. A thread that leaves it wakes the wire ends that have something to do now."""
        self._clock = clock
        self._speed = speed
        self._start_ns = clock.monotonic_ns() if clock is not None else 0
        self._origin_ns = model.now_ns

    def catch_up(self) -> None:
        """Advance the model to the present, if the clock drives it. Call it under the lock."""
        if self._clock is not None:
            to_ns = self._origin_ns + int((self._clock.monotonic_ns() - self._start_ns) * self._speed)
            self.model.advance(max(to_ns, self.model.now_ns))

    def time_now_ns(self) -> int:
        """Return the time of the model at this moment of the clock; it is not advanced."""
        if self._clock is None:
            return self.model.now_ns
        return self._origin_ns + int((self._clock.monotonic_ns() - self._start_ns) * self._speed)

    def run_at(self, speed: float) -> None:
        """Let time pass at another speed from now on. Call it under the lock."""
        if self._clock is not None:
            self.catch_up()
            self._start_ns, self._origin_ns = self._clock.monotonic_ns(), self.model.now_ns
        self._speed = speed
        for sleeper in self.lock.sleepers:
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
            self.lock.sleepers += (sleeper,)

    def remove_sleeper(self, sleeper: Sleeper) -> None:
        """Wake it no more; the next one lets time pass."""
        with self.lock:
            self.lock.sleepers = tuple(other for other in self.lock.sleepers if other is not sleeper)
            for other in self.lock.sleepers:
                other.wake()

    def keeps_time(self, sleeper: Sleeper) -> bool:
        """Whether this wire end lets time pass when the model is due."""
        return self.lock.sleepers[:1] == (sleeper,)


def tells_of_output(model: type[DeviceModel], port: str) -> bool:
    """Whether `has_output` of a class can be trusted: no class below the one that has it sends in another way."""
    sends = "take_messages" if port in model.MESSAGE_PORTS else "take"
    for one in model.__mro__:
        if "has_output" in vars(one):
            return True
        if sends in vars(one):
            return False
    return False


def on_the_wall(clock: Clock) -> bool:
    """Whether a clock goes with the operating system's, in which a thread sleeps; any other one is looked at often."""
    return clock is SYSTEM_CLOCK or isinstance(clock, UnstarvedClock)
