"""The interlocks of the server's station, for every client that gives an order."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tokaido.hal import (
    SYSTEM_CLOCK,
    AmplifierInterlockEntry,
    Clock,
    Deadline,
    DeviceTimeoutError,
    InterlockEntry,
    InterlockError,
)
from tokaido.hal.sharing import ServedInterlock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from contextlib import AbstractContextManager

    from tokaido.hal import Device
    from tokaido.hal.driver import LineDevice


class Guard:
    """Asks the interlocks before a command is sent, and lets no other device of theirs be ordered meanwhile.

    So nothing changes at the other end between the question and the order.

    Args:
        interlocks: Of the station.
        reach: Gives a device of the station by name, for as long as it is asked something.
        clock: Where time comes from.
    """

    def __init__(
        self,
        interlocks: Sequence[InterlockEntry | AmplifierInterlockEntry],
        reach: Callable[[str], AbstractContextManager[Device]],
        *,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self._interlocks = tuple(interlocks)
        self._reach = reach
        self._clock = clock
        self._turn = threading.Lock()
        self._names = {name for interlock in interlocks for name in _devices_of(interlock)}

    def bind(self, device: Device) -> None:
        """Let a device that the server opened ask its interlocks.

        Raises:
            ConfigurationError: An interlock does not fit it.
        """
        for interlock in self._interlocks:
            interlock.bind(device, self._reach)

    @contextmanager
    def order(self, device: LineDevice, text: str, *, force: str, remedy: str, within_s: float) -> Iterator[float]:
        """Give the time in s that is left for a command, within a `with` block in which it may be sent.

        Args:
            device: To be commanded.
            text: What it is told.
            force: Why interlocks may be overruled; it is logged. Empty: they may not.
            remedy: What to tell who would force it and may not; empty: what the interlock says.
            within_s: How long this may take, the command included, in s.

        Raises:
            InterlockError: An interlock objects; nothing was sent.
            DeviceTimeoutError: No time was left for it; nothing was sent.
        """
        if device.name not in self._names:
            yield within_s
            return
        deadline = Deadline(self._clock, within_s)
        if not self._turn.acquire(timeout=within_s):
            raise self._too_late(device, text)
        try:
            try:
                device.check_text(text, force=force)
            except InterlockError as error:
                error.remedy = remedy or error.remedy
                raise
            if deadline.passed:
                raise self._too_late(device, text)
            yield deadline.remaining_s
        finally:
            self._turn.release()

    def told(self) -> list[ServedInterlock]:
        """Return what clients are told of them."""
        return [
            ServedInterlock(one.name, one.switch, sorted(one.classical_inputs), dict(one.receivers))
            if isinstance(one, InterlockEntry)
            else ServedInterlock(one.name, amplifier=one.amplifier, reached=list(one.receivers))
            for one in self._interlocks
        ]

    @staticmethod
    def _too_late(device: LineDevice, text: str) -> DeviceTimeoutError:
        return DeviceTimeoutError(
            "the devices of its interlocks took until the deadline; nothing was sent",
            device=device.name,
            command=text,
            remedy="Give the call more time, and see that they answer",
        )


def _devices_of(interlock: InterlockEntry | AmplifierInterlockEntry) -> tuple[str, ...]:
    if isinstance(interlock, InterlockEntry):
        return interlock.switch, *interlock.receivers.values()
    return interlock.amplifier, *interlock.receivers
