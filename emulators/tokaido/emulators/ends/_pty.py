"""A stream port on a pseudo-terminal, published by a symbolic link that keeps its name."""

from __future__ import annotations

import contextlib
import os
import select
import tty
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tokaido.emulators.ends._end import End, SharedModel
from tokaido.emulators.ends._wire import BITS_PER_BYTE
from tokaido.hal import NS_PER_S

if TYPE_CHECKING:
    from tokaido.emulators._fault_kinds import Direction
    from tokaido.emulators._faults import Faults
    from tokaido.emulators._model import DeviceModel
    from tokaido.hal import Clock

MAX_QUEUED: Final = 256 * 1024
"""Bytes that wait for a reader; later ones are lost, as on a line without a listener."""
_CHUNK: Final = 65536
_PACE_STEP_NS: Final = 1_000_000


class Pacer:
    """Lets bytes pass at the rate of a serial line, by deadlines that do not drift.

    Args:
        baud: Bits per second.
    """

    def __init__(self, baud: int) -> None:
        self._byte_ns = BITS_PER_BYTE * NS_PER_S / baud
        self._free_ns = 0.0

    def passed(self, waiting: int, now_ns: int) -> int:
        """Return how many of the bytes that wait have passed by now, and count them as passed."""
        if waiting == 0:
            return 0
        if self._free_ns == 0.0:
            self._free_ns = float(now_ns)
        count = min(int((now_ns - self._free_ns) / self._byte_ns), waiting)
        self._free_ns = 0.0 if count == waiting else self._free_ns + count * self._byte_ns
        return count

    def due_s(self, waiting: int) -> float:
        """Return how long until it is worth asking again, in s."""
        return min(max(self._byte_ns, _PACE_STEP_NS), waiting * self._byte_ns) / NS_PER_S


class PtyEnd(End):
    """Carries the stream port `control` on a pseudo-terminal.

    The link is replaced in one step, so a client that opens it finds either the old terminal or the new one. One slave
    descriptor stays open here, so a client that leaves hangs nothing up. A pseudo-terminal itself takes no time, at
    any baud rate; with `pace_baud` what the unit sends trickles in steps of 1 ms, and each line that is sent to it
    arrives when a serial line would have carried its last byte.

    Args:
        shared: The model.
        link: Name of the symbolic link to the terminal; it is made, and removed by `close`.
        faults: Faults on this wire.
        clock: Times the delays of the faults.
        impostor: The other box that answers under the fault `wrong_id`.
        pace_baud: Bits per second of a serial line; None for one that takes no time.
    """

    def __init__(
        self,
        shared: SharedModel,
        link: Path,
        *,
        faults: Faults,
        clock: Clock,
        impostor: DeviceModel,
        pace_baud: int | None = None,
    ) -> None:
        super().__init__(shared, "control", faults, clock, impostor, pace_baud=pace_baud)
        self._pacer = None if pace_baud is None else Pacer(pace_baud)
        self.link = link
        self._master = -1
        self._slave = -1
        self._queue = bytearray()

    @property
    def plugged(self) -> bool:
        """Whether the terminal is there."""
        return self._master >= 0

    def _open(self) -> None:
        master, slave = os.openpty()
        try:
            tty.setraw(slave)
            os.set_blocking(master, False)
            self._publish(self.link, os.ttyname(slave))
        except BaseException:
            os.close(master)
            os.close(slave)
            raise
        self._master, self._slave = master, slave
        self.rewired = True

    def _shut(self) -> None:
        if not self.plugged:
            return
        master, slave = self._master, self._slave
        self._master = self._slave = -1
        self.rewired = True
        with contextlib.suppress(OSError):
            if self.link.readlink() == Path(os.ttyname(slave)):  # and not what somebody else put there since
                self.link.unlink()
        os.close(master)
        os.close(slave)
        self._queue.clear()

    def move(self, link: Path) -> None:
        """Appear under another name from now on; a program that has it open keeps it."""

        def order() -> None:
            if self.plugged:
                self._publish(link, os.ttyname(self._slave))
                with contextlib.suppress(OSError):
                    self.link.unlink()
            self.link = link

        self._order(order)

    @staticmethod
    def _publish(link: Path, terminal: str) -> None:
        temporary = link.with_name(f".{link.name}.{os.getpid()}.new")
        temporary.unlink(missing_ok=True)
        temporary.symlink_to(terminal)
        temporary.replace(link)

    def _unplug_now(self) -> None:
        self._shut()
        self._replug_ns = None
        self._lose_what_is_on_its_way()

    def _replug_now(self) -> None:
        self._replug_ns = None
        if not self.plugged:
            self._open()

    def _descriptors(self) -> dict[int, int]:
        if not self.plugged:
            return {}
        return {self._master: select.EPOLLIN | (select.EPOLLOUT if self._queue and self._pacer is None else 0)}

    def _next_due_s(self) -> float:
        due_s = super()._next_due_s()
        return min(due_s, self._pacer.due_s(len(self._queue))) if self._queue and self._pacer is not None else due_s

    def _arrived(self) -> list[list[bytes]]:
        if not self.plugged:
            return []
        if self._queue:
            self._write()
        try:
            data = os.read(self._master, _CHUNK)
        except (BlockingIOError, OSError):
            return []
        return [[piece] for piece in data.splitlines(keepends=True)]

    def _give(self, model: DeviceModel, piece: list[bytes]) -> None:
        model.receive("control", piece[0])

    def _take(self, model: DeviceModel) -> list[list[bytes]]:
        data = model.take("control")
        return [[piece] for piece in data.splitlines(keepends=True)] if data else []

    def _paced(self, direction: Direction) -> bool:
        return direction == "to_unit"

    def _emit(self, piece: list[bytes]) -> None:
        if self.plugged:
            self._queue += piece[0][: MAX_QUEUED - len(self._queue)]
            self._write()

    def _write(self) -> None:
        try:
            ready = len(self._queue)
            if self._pacer is not None:
                ready = self._pacer.passed(ready, self._clock.monotonic_ns())
            while ready > 0:
                written = os.write(self._master, self._queue[: min(ready, 4096)])
                del self._queue[:written]
                ready -= written
        except OSError:  # nobody reads, so the terminal is full
            return
