"""A wire that opens a port to the outside and carries what comes, in the one thread that serves all of them."""

from __future__ import annotations

import math
import os
from abc import abstractmethod
from contextlib import suppress
from typing import TYPE_CHECKING

from tokaido.emulators.ends import _loop
from tokaido.emulators.ends._shared import POLL_S, SharedModel, on_the_wall, tells_of_output
from tokaido.emulators.ends._wire import Wire
from tokaido.hal import ClosedError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tokaido.emulators._fault_kinds import FaultPort
    from tokaido.emulators._faults import Faults
    from tokaido.emulators._model import DeviceModel
    from tokaido.hal import Clock

__all__ = ["End", "SharedModel"]

BUSY_S = 0.05
"""How long to wait at most for a model that another thread holds, which says when it lets go, in s."""


class End(Wire):
    """Carries one port of a shared model. Its arguments are those of `Wire`.

    All ends of a process are served in one thread, which waits until bytes come from outside, until something on the
    way or the model is due, or until another thread that touched the model leaves something to carry. It never waits
    for a model that another thread holds: others would have to wait, too.
    """

    def __init__(
        self,
        shared: SharedModel,
        port: FaultPort,
        faults: Faults,
        clock: Clock,
        impostor: DeviceModel,
        *,
        pace_baud: int | None = None,
    ) -> None:
        super().__init__(shared, port, faults, clock, impostor, pace_baud=pace_baud)
        self._tells = tells_of_output(type(shared.model), port)
        self._loop: _loop.Loop | None = None  # while it is served
        self._muted = False
        self._asleep = False
        self._until_ns = math.inf  # when the model was due as it was last looked at
        self.wants_lock = False
        """Whether the model was held by another thread when this end was to look at it."""
        self.rewired = False
        """Whether descriptors were closed or opened since the last turn."""
        self.rounds = 0
        """How often it was looked for something to do."""

    def start(self) -> None:
        """Open the port and begin to carry.

        Raises:
            OSError: The port could not be opened.
        """
        failure: list[BaseException] = []

        def open_it() -> None:
            try:
                self._open()
                self._shared.add_sleeper(self)
                loop.add(self)
            except BaseException as error:  # noqa: BLE001 - raised again below
                failure.append(error)

        loop = self._loop = _loop.enter()
        loop.call(open_it)
        if failure:
            loop.call(self._shut_quietly)
            self._loop = None
            _loop.leave(loop)
            raise failure.pop()

    def close(self) -> None:
        """Close the port. May be called again."""
        self._closing.set()
        loop, self._loop = self._loop, None
        if loop is None or loop.process != os.getpid():
            return

        def leave() -> None:
            loop.remove(self)
            self.leave()

        loop.call(leave)
        _loop.leave(loop)

    def unplug(self) -> None:
        """Pull the plug: bytes on their way are lost."""
        self._order(self._unplug_now)

    def replug(self) -> None:
        """Put the plug back; a port that is plugged in stays as it is."""
        self._order(self._replug_now)

    def _order(self, action: Callable[[], None]) -> None:
        """Do something in the thread that serves this end."""
        loop = self._loop
        if loop is None or loop.process != os.getpid():
            raise ClosedError("this wire end is closed")
        failure: list[BaseException] = []

        def do() -> None:
            try:
                action()
            except BaseException as error:  # noqa: BLE001 - raised again below
                failure.append(error)
            self.rewired = True
            loop.wake(self)

        loop.call(do)
        if failure:
            raise failure.pop()

    # --- in the loop --------------------------------------------------------------------------------------------------

    def turn(self) -> float:
        """Carry what there is, and return after how many s to look again."""
        self.rounds += 1
        self._asleep = False
        self._replug_when_due()
        lock = self._shared.lock
        if self._hangs():
            self._muted = True
            if self._shared.keeps_time(self) and lock.acquire(blocking=False):
                try:
                    self._shared.catch_up()
                finally:
                    lock.release()
            return POLL_S
        if not lock.acquire(blocking=False):
            self.wants_lock = True  # from here on, who lets go of it tells us
            if not lock.acquire(blocking=False):
                self._muted = True
                return BUSY_S
        self.wants_lock = False
        self._muted = False
        try:
            for piece in self._arrived():
                self._meet("to_unit", piece)
            self._exchange()
            return self._pause_s()
        finally:
            lock.release()

    def interest(self) -> Mapping[int, int]:
        """Return for which descriptors to wait."""
        return {} if self._muted else self._descriptors()

    def leave(self) -> None:
        """Close the port: no turn follows."""
        self._shared.remove_sleeper(self)
        self._shut()

    def _shut_quietly(self) -> None:
        with suppress(Exception):  # a port that was not opened
            self._shut()

    # --- sleep ------------------------------------------------------------------------------------------------------

    def _pause_s(self) -> float:
        """Return for how many s there is nothing to do. From now on others wake it. Call it under the lock."""
        shared = self._shared
        self._asleep = True
        self._until_ns = math.inf
        if self._has_work():
            return 0.0
        pause_s = self._next_due_s()
        due_ns = self._model_due_ns()
        if due_ns is not None:
            self._until_ns = due_ns
            pause_s = min(pause_s, shared.wall_s(due_ns))
        if self._output_waits() is None or not on_the_wall(self._clock):
            pause_s = min(pause_s, POLL_S)
        return pause_s

    def must_wake(self) -> bool:
        """Whether it sleeps and there is something for it to do now. Call it under the lock."""
        if not self._asleep:
            return False
        if self._has_work():
            return True
        due_ns = self._model_due_ns()
        return due_ns is not None and due_ns < self._until_ns

    def _has_work(self) -> bool:
        """Whether the model has something to send, or can take what had to wait."""
        return bool(self._output_waits()) or (self._blocked and not self._shared.model.occupied)

    def _output_waits(self) -> bool | None:
        """Whether the model has something to send; None if that cannot be told."""
        return self._shared.model.has_output(self._port) if self._tells else None

    def _model_due_ns(self) -> int | None:
        """Return when this end has to let time pass, in ns of the model; None if it does not have to."""
        shared = self._shared
        return shared.model.due_ns() if shared.timed and shared.keeps_time(self) else None

    def wake(self) -> None:
        """Let it look at once."""
        loop = self._loop
        if loop is not None:
            self._asleep = False  # once is enough
            loop.wake(self)

    # --- what each end does its own way -----------------------------------------------------------------------------

    @abstractmethod
    def _open(self) -> None:
        """Open the port."""

    @abstractmethod
    def _shut(self) -> None:
        """Close the port."""

    @abstractmethod
    def _descriptors(self) -> dict[int, int]:
        """Return for which descriptors to wait, and for which events of `select.epoll`."""

    @abstractmethod
    def _arrived(self) -> list[list[bytes]]:
        """Return what has come from outside, in pieces, without waiting. Called under the lock."""
