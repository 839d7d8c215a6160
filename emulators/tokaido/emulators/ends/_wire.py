"""What happens on the way between a client and a model: faults, delays, a line's pace, a pulled plug. No thread yet."""

from __future__ import annotations

import math
import threading
from abc import ABC, abstractmethod
from collections import deque
from typing import TYPE_CHECKING, Final

from tokaido.emulators._fault_kinds import Direction, Fate, FaultPort
from tokaido.emulators._faults import Fault, Faults, fate
from tokaido.emulators.ends._shared import SharedModel
from tokaido.hal import NS_PER_S, Clock

if TYPE_CHECKING:
    from tokaido.emulators._model import DeviceModel

BITS_PER_BYTE: Final = 10
"""On a serial line: a start bit, 8 data bits, a stop bit."""


class Wire(ABC):
    """Carries one port of a shared model in pieces, each of which may meet faults.

    Args:
        shared: The model.
        port: Which of its ports.
        faults: Faults on this wire.
        clock: Times the delays of the faults.
        impostor: The other box that answers under the fault `wrong_id`.
        pace_baud: Bits per second of a serial line; None for one that takes no time.
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
        self._shared = shared
        self._port: Final = port
        self._faults = faults
        self._clock = clock
        self._impostor = impostor
        self._pace_baud = pace_baud
        self._closing = threading.Event()
        self._delayed: dict[Direction, deque[tuple[int, Fate, list[bytes]]]] = {
            "to_unit": deque(),
            "from_unit": deque(),
        }
        self._overtaken: dict[Direction, tuple[Fate, list[list[bytes]]]] = {}
        self._line_free_ns: dict[Direction, int] = {"to_unit": 0, "from_unit": 0}
        self._hang: tuple[Fault, float] | None = None
        self._replug_ns: float | None = None
        self._blocked = False  # whether a piece waits for the model to finish something

    # --- one round --------------------------------------------------------------------------------------------------

    def _replug_when_due(self) -> None:
        if self._replug_ns is not None and self._clock.monotonic_ns() >= self._replug_ns:
            self._replug_now()

    def _hangs(self) -> bool:
        """Whether nothing is carried now."""
        if self._hang is None:
            return False
        fault, until_ns = self._hang
        if self._clock.monotonic_ns() < until_ns and not fault.removed:
            return True
        self._hang = None
        return False

    def _exchange(self) -> None:
        """Deliver what is due, let time pass, and deliver what the model says to it."""
        self._deliver_due("to_unit")
        with self._shared.lock:
            self._shared.catch_up()
        self._collect()
        self._deliver_due("from_unit")
        if self._delayed["to_unit"] and self._hang is None:  # what waited for the model to finish something
            self._deliver_due("to_unit")

    def _next_due_s(self) -> float:
        """Return after how many s something on the way is due, or the plug; infinite if nothing is."""
        now_ns = self._clock.monotonic_ns()
        due_s = [math.inf]
        if self._replug_ns is not None:
            due_s.append(max(self._replug_ns - now_ns, 0) / NS_PER_S)
        for direction, pieces in self._delayed.items():
            if pieces and not (direction == "to_unit" and pieces[0][0] <= now_ns and self._shared.model.occupied):
                due_s.append(max(pieces[0][0] - now_ns, 0) / NS_PER_S)
        return min(due_s)

    def _meet(self, direction: Direction, piece: list[bytes]) -> None:
        """Let a piece meet the faults; deliver the rest of it, now or later, in order."""
        content = self._content(piece)
        struck = self._faults.strike(self._port, direction, b"\x00".join(content))
        result = fate(content, struck, self._faults.random, self._port) if struck else Fate([(0.0, content)])
        now_ns = self._clock.monotonic_ns()
        parts = [(delay_s, self._rebuilt(piece, frames)) for delay_s, frames in result.parts]
        overtaken = self._overtaken.pop(direction, None)
        if result.waits and overtaken is None:
            self._overtaken[direction] = result, [part for _, part in parts]
            return
        self._send_off(direction, result, parts, now_ns)
        if overtaken is not None:
            self._send_off(direction, overtaken[0], [(0.0, part) for part in overtaken[1]], now_ns)
        if result.comes_back:
            back = [(delay_s, self._rebuilt(piece, frames)) for delay_s, frames in result.comes_back]
            self._send_off("from_unit", Fate([]), back, now_ns)
        if result.hang is not None:
            self._hang = result.hang, now_ns + result.hang.seconds * NS_PER_S
        if result.unplug_s is not None:
            self._unplug_now()
            self._replug_ns = now_ns + result.unplug_s * NS_PER_S

    def _send_off(self, direction: Direction, of: Fate, parts: list[tuple[float, list[bytes]]], now_ns: int) -> None:
        """Put pieces on their way, each after its delay in s and behind those that are on it."""
        waiting = self._delayed[direction]
        for delay_s, piece in parts:
            due_ns = now_ns + round(delay_s * NS_PER_S) + self._line_ns(direction, self._content(piece), now_ns)
            waiting.append((max(due_ns, waiting[-1][0]) if waiting else due_ns, of, piece))

    def _line_ns(self, direction: Direction, frames: list[bytes], now_ns: int) -> int:
        """Return how long the line takes, in ns, until the last bit of these bytes has passed."""
        if self._pace_baud is None or not self._paced(direction):
            return 0
        bits = sum(map(len, frames)) * BITS_PER_BYTE
        free_ns = max(self._line_free_ns[direction], now_ns) + bits * NS_PER_S // self._pace_baud
        self._line_free_ns[direction] = free_ns
        return free_ns - now_ns

    def _paced(self, _direction: Direction) -> bool:
        """Whether the pieces of this direction wait here for the line; an end may pace bytes by itself."""
        return True

    def _deliver_due(self, direction: Direction) -> None:
        waiting = self._delayed[direction]
        if direction == "to_unit":
            self._blocked = False
        while waiting and self._hang is None and waiting[0][0] <= self._clock.monotonic_ns():
            if direction == "from_unit":
                self._emit(waiting.popleft()[2])
                continue
            with self._shared.lock:
                self._shared.catch_up()
                if not self._may_mix():
                    self._collect()  # what answers to an earlier piece
                if not self._may_give(waiting[0][2]):
                    self._blocked = True
                    return
                _, result, frames = waiting.popleft()
                for name in result.provokes:
                    self._shared.model.add_fault(name)
                target = self._impostor if result.wrong_id else self._shared.model
                self._give(target, frames)
                if result.wrong_id or not self._may_mix():
                    self._collect_from(target)

    def _collect(self) -> None:
        with self._shared.lock:
            self._collect_from(self._shared.model)

    def _collect_from(self, target: DeviceModel) -> None:
        for piece in self._take(target):
            self._meet("from_unit", piece)

    def _lose_what_is_on_its_way(self) -> None:
        for waiting in self._delayed.values():
            waiting.clear()
        self._overtaken.clear()

    # --- what each end does its own way -----------------------------------------------------------------------------

    def _may_give(self, _piece: list[bytes]) -> bool:
        """Whether the model may have this piece yet; called under the lock."""
        return True

    def _may_mix(self) -> bool:
        """Whether replies to several pieces may be collected at once: there is only one asker."""
        return True

    def _content(self, piece: list[bytes]) -> list[bytes]:
        """Return the part of a piece that faults may touch."""
        return piece

    def _rebuilt(self, _piece: list[bytes], content: list[bytes]) -> list[bytes]:
        """Return a piece with its content replaced."""
        return content

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
