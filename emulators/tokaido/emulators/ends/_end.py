"""What all wire ends share: the lock around a model, a thread, and the faults on the way."""

from __future__ import annotations

import queue
import threading
from abc import ABC, abstractmethod
from collections import deque
from typing import TYPE_CHECKING, Final

from tokaido.emulators._faults import Direction, Fate, Fault, Faults, Port, fate
from tokaido.hal._clock import NS_PER_S, Clock
from tokaido.hal._errors import ClosedError

if TYPE_CHECKING:
    from collections.abc import Callable

    from tokaido.emulators._model import DeviceModel

POLL_S: Final = 0.01
"""How often an idle end looks at its model, s on the wall."""


class SharedModel:
    """A model, the one lock around it, and the time that it lives in.

    Args:
        model: The device model.
        clock: Drives the model; None when somebody else advances it.
        speed: Emulated ns per ns of the clock.
    """

    def __init__(self, model: DeviceModel, *, clock: Clock | None = None, speed: float = 1.0) -> None:
        self.model = model
        self.lock = threading.RLock()
        self._clock = clock
        self._speed = speed
        self._start_ns = clock.monotonic_ns() if clock is not None else 0
        self._origin_ns = model.now_ns

    def catch_up(self) -> None:
        """Advance the model to the present, if the clock drives it. Call it under the lock."""
        if self._clock is not None:
            passed_ns = self._clock.monotonic_ns() - self._start_ns
            self.model.advance(max(self._origin_ns + int(passed_ns * self._speed), self.model.now_ns))


class End(ABC):
    """A thread that carries one port of a shared model."""

    def __init__(self, shared: SharedModel, port: Port, faults: Faults, clock: Clock, impostor: DeviceModel) -> None:
        self._shared = shared
        self._port: Final = port
        self._faults = faults
        self._clock = clock
        self._impostor = impostor
        self._closing = threading.Event()
        self._started = threading.Event()
        self._failure: BaseException | None = None
        self._orders: queue.SimpleQueue[tuple[Callable[[], None], threading.Event]] = queue.SimpleQueue()
        self._delayed: dict[Direction, deque[tuple[int, Fate, list[bytes]]]] = {
            "to_unit": deque(),
            "from_unit": deque(),
        }
        self._hang: tuple[Fault, float] | None = None
        self._replug_ns: float | None = None
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
        """Pull the plug: what was on its way is lost."""
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
            except BaseException as error:  # noqa: BLE001 - given to the one who started it
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
        now_ns = self._clock.monotonic_ns()
        if self._replug_ns is not None and now_ns >= self._replug_ns:
            self._replug_now()
        if self._hang is not None:
            fault, until_ns = self._hang
            if now_ns < until_ns and not fault.removed:
                self._closing.wait(POLL_S)
                return
            self._hang = None
        for piece in self._wait(self._next_due_s()):
            self._meet("to_unit", piece)
        self._deliver_due("to_unit")
        with self._shared.lock:
            self._shared.catch_up()
        self._collect()
        self._deliver_due("from_unit")

    def _next_due_s(self) -> float:
        now_ns = self._clock.monotonic_ns()
        due = [pieces[0][0] - now_ns for pieces in self._delayed.values() if pieces]
        return min([POLL_S, *(max(ns, 0) / NS_PER_S for ns in due)])

    def _meet(self, direction: Direction, piece: list[bytes]) -> None:
        """Let a piece meet the faults; what is left of it is delivered, now or later, in order."""
        content = self._content(piece)
        struck = self._faults.strike(self._port, direction, b"\x00".join(content))
        result = fate(content, struck, self._faults.random) if struck else Fate([(0.0, content)])
        now_ns = self._clock.monotonic_ns()
        waiting = self._delayed[direction]
        for delay_s, frames in result.parts:
            due_ns = now_ns + round(delay_s * NS_PER_S)
            waiting.append((max(due_ns, waiting[-1][0]) if waiting else due_ns, result, self._rebuilt(piece, frames)))
        if result.hang is not None:
            self._hang = result.hang, now_ns + result.hang.seconds * NS_PER_S
        if result.unplug_s is not None:
            self._unplug_now()
            self._replug_ns = now_ns + result.unplug_s * NS_PER_S

    def _deliver_due(self, direction: Direction) -> None:
        waiting = self._delayed[direction]
        while waiting and self._hang is None and waiting[0][0] <= self._clock.monotonic_ns():
            _, result, frames = waiting.popleft()
            if direction == "from_unit":
                self._emit(frames)
                continue
            with self._shared.lock:
                self._shared.catch_up()
                for name in result.provokes:
                    self._shared.model.provoke(name)
                target = self._impostor if result.wrong_id else self._shared.model
                self._give(target, frames)
                if result.wrong_id:
                    self._collect_from(target)

    def _collect(self) -> None:
        with self._shared.lock:
            pieces = self._take(self._shared.model)
        for piece in pieces:
            self._meet("from_unit", piece)

    def _collect_from(self, target: DeviceModel) -> None:
        for piece in self._take(target):
            self._meet("from_unit", piece)

    def _lose_what_is_on_its_way(self) -> None:
        for waiting in self._delayed.values():
            waiting.clear()

    # --- what each end does its own way -----------------------------------------------------------------------------

    def _content(self, piece: list[bytes]) -> list[bytes]:
        """Return the part of a piece that faults may touch."""
        return piece

    def _rebuilt(self, _piece: list[bytes], content: list[bytes]) -> list[bytes]:
        """Return a piece with its content replaced."""
        return content

    @abstractmethod
    def _open(self) -> None:
        """Open the port, in the end's own thread."""

    @abstractmethod
    def _shut(self) -> None:
        """Close the port, in the end's own thread."""

    @abstractmethod
    def _wait(self, timeout_s: float) -> list[list[bytes]]:
        """Wait for what comes from outside, and return it in pieces."""

    @abstractmethod
    def _give(self, model: DeviceModel, piece: list[bytes]) -> None:
        """Hand a piece to the model."""

    @abstractmethod
    def _take(self, model: DeviceModel) -> list[list[bytes]]:
        """Return the pieces that the model has to send."""

    @abstractmethod
    def _emit(self, piece: list[bytes]) -> None:
        """Send a piece to the outside."""

    @abstractmethod
    def _unplug_now(self) -> None:
        """Pull the plug."""

    @abstractmethod
    def _replug_now(self) -> None:
        """Put the plug back."""
