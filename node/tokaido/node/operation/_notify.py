"""What systemd is told (sd_notify(3)), and whether it may be told that the node lives."""

from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING, Final

from tokaido.hal import SYSTEM_CLOCK

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from tokaido.hal import Clock

SEND_S: Final = 0.5
"""How long systemd may take to make room for a message."""


class Notifier:
    """Tells systemd how the node does; without a systemd it tells nobody.

    Args:
        environment: Has NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID if there is one.
        clock: Where time comes from.
    """

    def __init__(self, environment: Mapping[str, str] = os.environ, *, clock: Clock = SYSTEM_CLOCK) -> None:
        address = environment.get("NOTIFY_SOCKET", "")
        self._address = f"\0{address[1:]}" if address.startswith("@") else address
        self._clock = clock
        self._last = ""
        interval, process = environment.get("WATCHDOG_USEC", ""), environment.get("WATCHDOG_PID", str(os.getpid()))
        self.watchdog_s: float | None = None
        """How long systemd waits for a sign of life; None: it waits for none."""
        if interval.isdecimal() and process == str(os.getpid()):
            self.watchdog_s = int(interval) / 1e6

    def ready(self, status: str) -> None:
        """The node listens."""
        self.tell("READY=1", f"STATUS={_line(status)}")

    def reloading(self) -> None:
        """The node reads its file again; `ready` says that it has."""
        self.tell("RELOADING=1", f"MONOTONIC_USEC={self._clock.monotonic_ns() // 1000}")

    def stopping(self) -> None:
        """The node drains."""
        self.tell("STOPPING=1", "STATUS=draining")

    def status(self, status: str) -> None:
        """A line for `systemctl status`; told if it is a new one."""
        if status != self._last:
            self._last = status
            self.tell(f"STATUS={_line(status)}")

    def alive(self) -> None:
        """The node lives: call it only when `devices_answer` says so."""
        self.tell("WATCHDOG=1")

    def tell(self, *assignments: str) -> None:
        """Send assignments. One that does not arrive is not worth an end of the node."""
        if not self._address:
            return
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as door:
            door.settimeout(SEND_S)
            try:
                door.sendto("\n".join(assignments).encode(), self._address)
            except OSError:
                return


def devices_answer(told: Iterable[tuple[float, float]]) -> bool:
    """Return whether the node proved that it lives: an exchange with a device came to its end lately.

    An exchange that ended in a time-out counts, too: a unit that is off is not a reason to end a node that serves keys
    from its stock. A node none of whose threads comes back from its device hangs.

    Args:
        told: Of each device, how long ago its thread told that it answers, or that it does not, and how long that may
            take, in s: the age of `LinkEnd.heard_s`, and `LinkEnd.mute_s`.
    """
    ages = tuple(told)
    return not ages or any(age <= most for age, most in ages)


def _line(text: str) -> str:
    return " ".join(text.split())[:500]
