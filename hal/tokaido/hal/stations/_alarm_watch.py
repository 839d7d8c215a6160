"""The alarms of all devices of a station as one iterator: a thread for each device, so that none holds up another."""

from __future__ import annotations

import threading
import weakref
from collections import deque
from functools import partial
from typing import TYPE_CHECKING, Final, Self

from tokaido.hal._clock import Deadline
from tokaido.hal._errors import RangeError
from tokaido.hal._numbers import real
from tokaido.hal._watchdog import in_the_background
from tokaido.hal.roles._alarms import Severity
from tokaido.hal.stations._alarm_looks import CHANGES_LOST, DeviceLooks, StationAlarm
from tokaido.hal.stations._hook_queue import HookQueue

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from types import TracebackType

    from tokaido.hal._clock import Clock
    from tokaido.hal._device import Device
    from tokaido.hal.stations._alarm_hooks import AlarmHook

KEPT_ALARMS: Final = 10_000
"""Alarms that wait for a loop that is slow; the oldest go first, and it is told how many."""
SHORTEST_POLL_S: Final = 0.01
LONGEST_WAIT_S: Final = 3600.0
CLOSING_S: Final = 5.0
"""How long closing waits for threads: a device that is being opened, hooks that have alarms to tell."""


class _Board:
    """Where the threads of the devices put alarms, and the loop takes them."""

    def __init__(self, station: str, clock: Clock, queues: list[HookQueue]) -> None:
        self.stopped = threading.Event()
        self.clock = clock
        self._station = station
        self._queues = queues
        self._news = threading.Event()
        self._lock = threading.Lock()
        self._alarms: deque[StationAlarm] = deque()
        self._dropped = 0

    def put(self, alarms: Iterable[StationAlarm]) -> None:
        """Hand alarms on to the hooks and to the loop; waits for neither."""
        for alarm in alarms:
            for queue in self._queues:
                queue.put(alarm)
            with self._lock:
                if len(self._alarms) >= KEPT_ALARMS:
                    self._alarms.popleft()
                    self._dropped += 1
                self._alarms.append(alarm)
            self._news.set()

    def stop(self) -> None:
        """End the threads and the loop."""
        self.stopped.set()
        self._news.set()

    def next(self, timeout_s: float | None) -> StationAlarm | None:
        """Return the next alarm; None when none came for `timeout_s`, or after the end."""
        deadline = Deadline(self.clock, LONGEST_WAIT_S if timeout_s is None else timeout_s)
        while True:
            with self._lock:
                if self._dropped:
                    dropped, self._dropped = self._dropped, 0
                    text = f"{dropped} alarms were dropped: the loop that takes them is too slow"
                    return StationAlarm(
                        self._station, "", CHANGES_LOST, Severity.WARNING, True, self.clock.utc_ns(), text
                    )
                if self._alarms:
                    return self._alarms.popleft()
                self._news.clear()
            if self.stopped.is_set() or (timeout_s is not None and deadline.passed):
                return None
            self.clock.wait(LONGEST_WAIT_S if timeout_s is None else deadline.remaining_s, self._news)


class AlarmWatch:
    """The alarms of a station, as they come: `for alarm in station.alarms():`. `Station.alarms` makes it.

    It ends with the station, with `close`, or when none came for the time that was given.
    """

    def __init__(
        self,
        station: str,
        devices: Mapping[str, Callable[[], Device]],
        *,
        timeout: float | None,
        poll: float,
        hooks: Iterable[AlarmHook],
        clock: Clock,
    ) -> None:
        self._timeout_s = None if timeout is None else Deadline(clock, real(timeout, "timeout")).timeout_s
        poll_s = real(poll, "poll")
        if not SHORTEST_POLL_S <= poll_s <= LONGEST_WAIT_S:
            raise RangeError(f"poll must lie in {SHORTEST_POLL_S:g} to {LONGEST_WAIT_S:g} s, not {poll!r}")
        self._queues = [HookQueue(hook, clock) for hook in hooks]
        self._board = _Board(station, clock, self._queues)
        self._threads = [
            threading.Thread(
                target=partial(_watch, self._board, DeviceLooks(station, name, reach, clock), poll_s),
                name=f"tokaido-alarms-{name}",
                daemon=True,
            )
            for name, reach in devices.items()
        ]
        self._end = weakref.finalize(self, _end, self._board, self._queues)
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """End the loop and the threads, and wait for none of them. A hook that is running goes on to its end."""
        self._end()

    def close(self) -> None:
        """End the loop and the threads. Hooks have 5 s together to tell what waits; the rest is dropped and logged."""
        self.stop()
        deadline = Deadline(self._board.clock, CLOSING_S)
        for thread in (*self._threads, *(queue.thread for queue in self._queues)):
            if thread is not threading.current_thread():
                thread.join(deadline.remaining_s)
        for queue in self._queues:
            queue.give_up()

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> StationAlarm:
        alarm = self._board.next(self._timeout_s)
        if alarm is None:
            self.stop()
            raise StopIteration
        return alarm

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _watch(board: _Board, looks: DeviceLooks, poll_s: float) -> None:
    """Look at one device until the end; it renews no watchdog: the program that commands does."""
    with in_the_background():
        while not board.stopped.is_set():
            alarms = looks.look()
            if board.stopped.is_set():
                return  # an error is one of closing
            board.put(alarms)
            board.clock.wait(poll_s, board.stopped)


def _end(board: _Board, queues: list[HookQueue]) -> None:
    board.stop()
    for queue in queues:
        queue.end()
