"""A stream port on a pseudo-terminal, published by a symbolic link that keeps its name."""

from __future__ import annotations

import contextlib
import os
import select
import tty
from typing import TYPE_CHECKING, Final

from tokaido.emulators.ends._end import End, SharedModel

if TYPE_CHECKING:
    from pathlib import Path

    from tokaido.emulators._faults import Faults
    from tokaido.emulators._model import DeviceModel
    from tokaido.hal._clock import Clock

MAX_QUEUED: Final = 256 * 1024
"""Bytes that wait for a reader; what comes after is lost, as on a line that nobody listens to."""
_CHUNK: Final = 65536


class PtyEnd(End):
    """Carries the stream port `control` on a pseudo-terminal.

    The link is replaced in one step, so a client that opens it finds either the old terminal or the new one. One slave
    descriptor stays open here, so a client that leaves hangs nothing up.

    Args:
        shared: The model.
        link: Name of the symbolic link to the terminal; it is made, and removed by `close`.
        faults: Faults on this wire.
        clock: Times the delays of the faults.
        impostor: The other box that answers under the fault `wrong_id`.
    """

    def __init__(self, shared: SharedModel, link: Path, *, faults: Faults, clock: Clock, impostor: DeviceModel) -> None:
        super().__init__(shared, "control", faults, clock, impostor)
        self.link: Final = link
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
            temporary = self.link.with_name(f".{self.link.name}.{os.getpid()}.{slave}")
            temporary.symlink_to(os.ttyname(slave))
            temporary.replace(self.link)
        except BaseException:
            os.close(master)
            os.close(slave)
            raise
        self._master, self._slave = master, slave

    def _shut(self) -> None:
        if not self.plugged:
            return
        master, slave = self._master, self._slave
        self._master = self._slave = -1
        with contextlib.suppress(OSError):
            self.link.unlink()
        os.close(master)
        os.close(slave)
        self._queue.clear()

    def _unplug_now(self) -> None:
        self._shut()
        self._replug_ns = None
        self._lose_what_is_on_its_way()

    def _replug_now(self) -> None:
        self._replug_ns = None
        if not self.plugged:
            self._open()

    def _wait(self, timeout_s: float) -> list[list[bytes]]:
        if not self.plugged:
            self._closing.wait(timeout_s)
            return []
        readable, writable, _ = select.select([self._master], [self._master] if self._queue else [], [], timeout_s)
        if writable:
            self._write()
        if not readable:
            return []
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

    def _emit(self, piece: list[bytes]) -> None:
        if self.plugged:
            self._queue += piece[0][: MAX_QUEUED - len(self._queue)]
            self._write()

    def _write(self) -> None:
        try:
            while self._queue:
                written = os.write(self._master, self._queue[:4096])
                del self._queue[:written]
        except OSError:  # nobody reads, so the terminal is full
            return
