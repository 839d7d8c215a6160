"""One thread for all wire ends of a process: it waits for what comes from outside, for what is due, and to be woken."""

from __future__ import annotations

import heapq
import itertools
import math
import os
import select
import threading
from collections import deque
from contextlib import suppress
from sys import exc_info
from typing import TYPE_CHECKING, Any, Final, Protocol

from tokaido.hal import NS_PER_S, SYSTEM_CLOCK

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

LONGEST_S: Final = 3600.0


class Attended(Protocol):
    """What the loop serves. Every method is called in its thread, and must not block."""

    rewired: bool
    """Whether descriptors were closed or opened since the last turn; the loop sets it back."""

    def turn(self) -> float:
        """Do what there is to do, and return after how many s to come again at the latest; infinite: when woken."""
        ...

    def interest(self) -> Mapping[int, int]:
        """Return for which descriptors to wait, and for which events of `select.epoll`."""
        ...

    def leave(self) -> None:
        """Close everything: no turn follows."""
        ...


class Loop:
    """Serves wire ends in a thread, from the first that comes to the last that goes."""

    def __init__(self) -> None:
        self.process: Final = os.getpid()
        """Whose loop it is: a fork has none."""
        self._epoll = select.epoll()
        self._waker = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._epoll.register(self._waker, select.EPOLLIN)
        self._interests: dict[Attended, dict[int, int]] = {}
        self._of: dict[int, Attended] = {}
        self._due: list[tuple[int, int, Attended]] = []
        self._due_ns: dict[Attended, int] = {}
        self._numbers = itertools.count()
        self._woken: deque[Attended] = deque()
        self._orders: deque[tuple[Callable[[], None], threading.Event]] = deque()
        self._signalled = False
        self._ending = False
        self._thread = threading.Thread(target=self._live, name="tokaido-ends", daemon=True)
        self._thread.start()

    @property
    def inside(self) -> bool:
        """Whether the caller is the loop itself."""
        return threading.current_thread() is self._thread

    def wake(self, end: Attended) -> None:
        """Give an end a turn soon. Safe to call from any thread."""
        self._woken.append(end)
        self._signal()

    def call(self, action: Callable[[], None]) -> None:
        """Have something done in the loop's thread, and return when it is done. It must raise nothing."""
        if self.inside:
            action()
            return
        done = threading.Event()
        self._orders.append((action, done))
        self._signal()
        done.wait()

    def add(self, end: Attended) -> None:
        """Serve an end from now on. Call it in the loop's thread."""
        self._interests[end] = {}
        self._woken.append(end)

    def remove(self, end: Attended) -> None:
        """Serve an end no more. Call it in the loop's thread."""
        for fd in self._interests.pop(end, ()):
            self._unregister(fd)
        self._due_ns.pop(end, None)

    def end(self) -> None:
        """End the thread: nobody needs it any more."""
        self._ending = True
        self._signal()
        if not self.inside:
            self._thread.join()

    # --- the thread ---------------------------------------------------------------------------------------------------

    def _signal(self) -> None:
        if not self._signalled:
            self._signalled = True
            with suppress(OSError):  # the loop has ended
                os.eventfd_write(self._waker, 1)

    def _live(self) -> None:
        try:
            while not self._ending:
                self._round()
        finally:
            self._epoll.close()
            os.close(self._waker)

    def _round(self) -> None:
        ends: dict[Attended, None] = {}
        for fd, _ in self._epoll.poll(self._pause_s()):
            if fd == self._waker:
                with suppress(BlockingIOError):
                    os.eventfd_read(self._waker)
                self._signalled = False
            elif (end := self._of.get(fd)) is not None:
                ends[end] = None
        while self._orders:
            action, done = self._orders.popleft()
            try:
                action()
            finally:
                done.set()
        for _ in range(len(self._woken)):
            ends[self._woken.popleft()] = None
        now_ns = SYSTEM_CLOCK.monotonic_ns()
        while self._due and self._due[0][0] <= now_ns:
            due_ns, _, end = heapq.heappop(self._due)
            if self._due_ns.get(end) == due_ns:
                ends[end] = None
        for end in ends:
            if end in self._interests:
                self._turn(end)

    def _pause_s(self) -> float:
        while self._due and self._due_ns.get(self._due[0][2]) != self._due[0][0]:
            heapq.heappop(self._due)  # another time was set since
        if self._woken or self._orders:
            return 0.0
        if not self._due:
            return LONGEST_S
        left_ns = self._due[0][0] - SYSTEM_CLOCK.monotonic_ns()
        return min(max(left_ns, 0) / NS_PER_S, LONGEST_S)

    def _turn(self, end: Attended) -> None:
        try:
            pause_s = end.turn()
            self._follow(end)
        except Exception:  # noqa: BLE001 - other ends go on; it is told as a thread's would be
            self.remove(end)
            with suppress(Exception):
                end.leave()
            kind, error, trace = exc_info()
            told: Any = (kind, error, trace, self._thread)
            threading.excepthook(threading.ExceptHookArgs(told))
            return
        if end not in self._interests:  # it left
            return
        if pause_s == math.inf:
            self._due_ns.pop(end, None)
            return
        due_ns = SYSTEM_CLOCK.monotonic_ns() + round(min(pause_s, LONGEST_S) * NS_PER_S)
        self._due_ns[end] = due_ns
        heapq.heappush(self._due, (due_ns, next(self._numbers), end))

    def _follow(self, end: Attended) -> None:
        """Wait for what the end is interested in now."""
        before = self._interests.get(end)
        if before is None:
            return
        if end.rewired:  # numbers of descriptors may stand for others now
            for fd in before:
                self._unregister(fd)
            before.clear()
            end.rewired = False
        now = end.interest()
        if now == before:
            return
        for fd in before.keys() - now.keys():
            self._unregister(fd)
        for fd, events in now.items():
            if fd not in before:
                self._epoll.register(fd, events)
                self._of[fd] = end
            elif before[fd] != events:
                self._epoll.modify(fd, events)
        self._interests[end] = dict(now)

    def _unregister(self, fd: int) -> None:
        self._of.pop(fd, None)
        with suppress(OSError, ValueError):  # it was closed
            self._epoll.unregister(fd)


_lock = threading.Lock()
_loop: Loop | None = None
_users = 0


def enter() -> Loop:
    """Return this process's loop, which runs until as many have left as have entered."""
    global _loop, _users  # noqa: PLW0603 - there is one in a process
    with _lock:
        if _loop is None or _loop.process != os.getpid():
            _loop, _users = Loop(), 0
        _users += 1
        return _loop


def leave(loop: Loop) -> None:
    """Need the loop no more; the last one ends it."""
    global _loop, _users  # noqa: PLW0603 - as above
    with _lock:
        if loop is not _loop or loop.process != os.getpid():
            return
        _users -= 1
        if _users:
            return
        _loop = None
    loop.end()


def _be_another_process() -> None:
    global _lock, _loop, _users
    _lock, _loop, _users = threading.Lock(), None, 0


os.register_at_fork(after_in_child=_be_another_process)
