"""Serving a device that is somewhere else on a pseudo-terminal: the recorder's and the replay's front."""

from __future__ import annotations

import contextlib
import math
import os
import select
import tempfile
import threading
import tty
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol, Self

from tokaido.emulators._plugs import make_room
from tokaido.hal import SYSTEM_CLOCK, ConfigurationError, Deadline, TransportError

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from tokaido.emulators.transcripts._recorder import Recorder
    from tokaido.emulators.transcripts._replay import ReplayPort
    from tokaido.hal.transports import RawStream

_CHUNK: Final = 65_536
_SLICE_S: Final = 0.005
"""How long the loop waits for one side before it looks at the other, in s."""


class Device(Protocol):
    """What stands behind the terminal."""

    def write(self, data: bytes) -> None:
        """Take bytes of the host."""
        ...

    def read(self, seconds: float) -> bytes:
        """Return what the device says within `seconds`, perhaps nothing."""
        ...


class Recorded:
    """A device on a serial line, with everything that passes written down.

    Args:
        stream: The way to the device, open.
        recorder: What writes it down.
    """

    def __init__(self, stream: RawStream, recorder: Recorder) -> None:
        self._stream = stream
        self._recorder = recorder

    def write(self, data: bytes) -> None:
        """Pass bytes on to the device."""
        self._recorder.sent(data)
        self._stream.write(data)

    def read(self, seconds: float) -> bytes:
        """Return what the device says within `seconds`, perhaps nothing."""
        data = self._stream.read(seconds)
        if data:
            self._recorder.received(data)
        return data


class Replayed:
    """A device of a transcript."""

    def __init__(self, port: ReplayPort) -> None:
        self._port = port

    def write(self, data: bytes) -> None:
        """Give the transcript what the host sends."""
        self._port.write(data)

    def read(self, seconds: float) -> bytes:
        """Return what the transcript answers within `seconds`, perhaps nothing."""
        return self._port.read() if self._port.ready(seconds) else b""


class Terminal:
    """A pseudo-terminal that leads to a device, under a link that is there while it is served.

    Args:
        device: What stands behind it.
        link: Name of the link; default: `control` in a new folder, which is removed in the end.

    Raises:
        ConfigurationError: There is something of that name, or there can be none.
    """

    def __init__(self, device: Device, link: Path | None = None) -> None:
        self._device = device
        self._stack = contextlib.ExitStack()
        if link is None:
            link = Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix="tokaido-"))) / "control"
        self.link = link.absolute()
        """Where hosts find it."""
        try:
            self._open()
        except BaseException:
            self._stack.close()
            raise

    @property
    def resource(self) -> str:
        """What a driver opens."""
        return f"serial:{self.link}"

    def serve(self, seconds: float = math.inf, *, stopping: Callable[[], bool] = lambda: False) -> None:
        """Carry bytes both ways for `seconds`, or until `stopping` says so.

        Raises:
            TransportError: The device is gone.
        """
        deadline = None if math.isinf(seconds) else Deadline(SYSTEM_CLOCK, seconds)
        poller = select.poll()
        poller.register(self._master, select.POLLIN)
        while not stopping() and not (deadline is not None and deadline.passed):
            if poller.poll(_SLICE_S * 1000):
                with contextlib.suppress(BlockingIOError):
                    self._device.write(os.read(self._master, _CHUNK))
            if data := self._device.read(_SLICE_S):
                self._say(data)

    def _say(self, data: bytes) -> None:
        """Send to the host; a terminal that nobody reads loses what does not fit, as a serial line does."""
        with contextlib.suppress(BlockingIOError):
            while data:
                data = data[os.write(self._master, data) :]

    def _open(self) -> None:
        self._master, slave = os.openpty()  # the slave stays open, so that a host that leaves hangs nothing up
        self._stack.callback(os.close, self._master)
        self._stack.callback(os.close, slave)
        tty.setraw(slave)
        os.set_blocking(self._master, False)
        name = os.ttyname(slave)
        make_room(self.link, self._stack)
        try:
            self.link.unlink(missing_ok=True)  # left behind by a process that was killed
            self.link.symlink_to(name)
        except OSError as error:
            raise ConfigurationError(f"{self.link} cannot be made: {error.strerror}") from error
        self._stack.callback(self._unlink, name)

    def _unlink(self, name: str) -> None:
        with contextlib.suppress(OSError):
            if str(self.link.readlink()) == name:
                self.link.unlink()

    def close(self) -> None:
        """Take the terminal and its link away. May be called again."""
        self._stack.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class Served:
    """A terminal that a thread serves while the context lasts; what went wrong is raised at the end."""

    def __init__(self, terminal: Terminal) -> None:
        self.terminal = terminal
        """What is served."""
        self._stopping = threading.Event()
        self._error: TransportError | None = None
        self._thread = threading.Thread(target=self._run, name="transcript terminal", daemon=True)

    def _run(self) -> None:
        try:
            self.terminal.serve(stopping=self._stopping.is_set)
        except TransportError as error:
            self._error = error

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopping.set()
        self._thread.join()
        self.terminal.close()
        if self._error is not None and error is None:
            raise self._error
