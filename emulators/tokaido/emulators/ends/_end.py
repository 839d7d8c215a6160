"""A wire with a thread of its own, which opens a port to the outside and carries what comes."""

from __future__ import annotations

import math
import queue
import threading
from abc import abstractmethod
from typing import TYPE_CHECKING

from tokaido.emulators.ends._shared import POLL_S, SharedModel, Waker, on_the_wall, tells_of_output
from tokaido.emulators.ends._wire import Wire
from tokaido.hal import ClosedError

if TYPE_CHECKING:
    from collections.abc import Callable

    from tokaido.emulators._fault_kinds import FaultPort
    from tokaido.emulators._faults import Faults
    from tokaido.emulators._model import DeviceModel
    from tokaido.hal import Clock

__all__ = ["End", "SharedModel"]


class End(Wire):
    """A thread that carries one port of a shared model. Its arguments are those of `Wire`.

    It sleeps until bytes come from outside, until something on the way or the model is due, or until another
    thread that touched the model leaves something to carry.
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
        self._started = threading.Event()
        self._failure: BaseException | None = None
        self._orders: queue.SimpleQueue[tuple[Callable[[], None], threading.Event]] = queue.SimpleQueue()
        self._tells = tells_of_output(type(shared.model), port)
        self._waker: Waker | None = None  # while the thread lives
        self._asleep = False
        self._until_ns = math.inf  # when the model was due as this thread went to sleep
        self.rounds = 0
        """How often the thread has looked for something to do."""
        name = f"{type(self).__name__}-{shared.model.serial_number}"
        self._thread = threading.Thread(target=self._live, name=name, daemon=True)

    def start(self) -> None:
        """Open the port and begin to carry.

        Raises:
            OSError: The port could not be opened.
        """
        self._thread.start()
        self._started.wait()
        if self._failure is not None:
            self._thread.join()
            raise self._failure

    def close(self) -> None:
        """Close the port and end the thread. May be called again."""
        self._closing.set()
        self._rouse()
        if self._thread.is_alive() and self._thread is not threading.current_thread():
            self._thread.join()

    def unplug(self) -> None:
        """Pull the plug: bytes on their way are lost."""
        self._order(self._unplug_now)

    def replug(self) -> None:
        """Put the plug back; a port that is plugged in stays as it is."""
        self._order(self._replug_now)

    # --- the thread -------------------------------------------------------------------------------------------------

    def _order(self, action: Callable[[], None]) -> None:
        if not self._thread.is_alive():
            raise ClosedError("this wire end is closed")
        done = threading.Event()
        self._orders.put((action, done))
        self._rouse()
        while not done.wait(0.05):
            if not self._thread.is_alive():
                raise ClosedError("this wire end is closed")

    def _live(self) -> None:
        try:
            try:
                self._waker = Waker()
                self._watch(self._waker.fd)
                self._open()
                self._shared.add_sleeper(self)
            except BaseException as error:  # noqa: BLE001 - raised again where the end is started
                self._failure = error
                return
            finally:
                self._started.set()
            while not self._closing.is_set():
                self._round()
        finally:
            self._shared.remove_sleeper(self)
            self._shut()
            with self._shared.lock:
                waker, self._waker = self._waker, None
            if waker is not None:
                waker.close()

    def _round(self) -> None:
        self.rounds += 1
        while not self._orders.empty():
            action, done = self._orders.get()
            action()
            done.set()
        self._replug_when_due()
        if self._hangs():
            if self._shared.keeps_time(self):
                with self._shared.lock:
                    self._shared.catch_up()
            self._closing.wait(POLL_S)
            return
        pieces = self._wait(self._fall_asleep())
        self._asleep = False
        for piece in pieces:
            self._meet("to_unit", piece)
        self._exchange()

    # --- sleep ------------------------------------------------------------------------------------------------------

    def _fall_asleep(self) -> float | None:
        """Return for how many s the thread may sleep; None: until it is woken. From now on others wake it."""
        shared = self._shared
        with shared.lock:
            if self._waker is not None:
                self._waker.clear()
            self._asleep = True
            self._until_ns = math.inf
            if self._closing.is_set() or not self._orders.empty() or self._has_work():
                return 0.0
            pause_s = self._next_due_s()
            due_ns = self._model_due_ns()
            if due_ns is not None:
                self._until_ns = due_ns
                pause_s = min(pause_s, shared.wall_s(due_ns))
            if self._output_waits() is None or not on_the_wall(self._clock):
                pause_s = min(pause_s, POLL_S)
        return None if pause_s == math.inf else pause_s

    def must_wake(self) -> bool:
        """Whether the thread sleeps and there is something for it to do now. Call it under the lock."""
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
        """Let the thread look at once. Call it under the lock."""
        if self._waker is not None:
            self._waker.set()

    def _rouse(self) -> None:
        with self._shared.lock:
            self.wake()

    # --- what each end does its own way -----------------------------------------------------------------------------

    @abstractmethod
    def _open(self) -> None:
        """Open the port, in the end's own thread."""

    @abstractmethod
    def _shut(self) -> None:
        """Close the port, in the end's own thread."""

    @abstractmethod
    def _watch(self, waker: int) -> None:
        """Wait for this descriptor too from now on; called once, in the end's own thread, before `_open`."""

    @abstractmethod
    def _wait(self, timeout_s: float | None) -> list[list[bytes]]:
        """Wait for what comes from outside, for ever with None, and return it in pieces. A waker ends it too."""
