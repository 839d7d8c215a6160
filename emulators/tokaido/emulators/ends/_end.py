"""A wire with a thread of its own, which opens a port to the outside and carries what comes."""

from __future__ import annotations

import queue
import threading
from abc import abstractmethod
from typing import TYPE_CHECKING

from tokaido.emulators.ends._wire import POLL_S, SharedModel, Wire
from tokaido.hal import ClosedError

if TYPE_CHECKING:
    from collections.abc import Callable

    from tokaido.emulators._fault_kinds import FaultPort
    from tokaido.emulators._faults import Faults
    from tokaido.emulators._model import DeviceModel
    from tokaido.hal import Clock

__all__ = ["POLL_S", "End", "SharedModel"]


class End(Wire):
    """A thread that carries one port of a shared model. Its arguments are those of `Wire`."""

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
        while not done.wait(0.05):
            if not self._thread.is_alive():
                raise ClosedError("this wire end is closed")

    def _live(self) -> None:
        try:
            try:
                self._open()
            except BaseException as error:  # noqa: BLE001 - raised again where the end is started
                self._failure = error
                return
            finally:
                self._started.set()
            while not self._closing.is_set():
                self._round()
        finally:
            self._shut()

    def _round(self) -> None:
        while not self._orders.empty():
            action, done = self._orders.get()
            action()
            done.set()
        self._replug_when_due()
        if self._hangs():
            self._closing.wait(POLL_S)
            return
        for piece in self._wait(self._next_due_s()):
            self._meet("to_unit", piece)
        self._exchange()

    # --- what each end does its own way -----------------------------------------------------------------------------

    @abstractmethod
    def _open(self) -> None:
        """Open the port, in the end's own thread."""

    @abstractmethod
    def _shut(self) -> None:
        """Close the port, in the end's own thread."""

    @abstractmethod
    def _wait(self, timeout_s: float) -> list[list[bytes]]:
        """Wait for what comes from outside, and return it in pieces."""
