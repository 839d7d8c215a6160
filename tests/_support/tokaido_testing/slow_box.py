"""A box at the end of a plain line, in time that a test turns: it answers in order, and late."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from tokaido.hal import Resource, WrongDeviceError
from tokaido.hal.transports import LineCodec, StreamTransport
from tokaido_testing.toy_clock import ToyClock

if TYPE_CHECKING:
    from collections.abc import Callable

NS = 1_000_000_000


class SlowBox:
    """A port with a box behind it. It does one thing after the other: "V17?" -> "17", "IDN?" -> its serial number.

    Bytes under way come by the next opening too, as on a serial line.
    """

    is_line = True

    def __init__(self, clock: ToyClock | None = None) -> None:
        self.clock = clock or ToyClock()
        self.serial_number = "BOX1"
        self.latency_s: Callable[[], float] = lambda: 0.001
        """How long it takes over one question."""
        self.hears: Callable[[str], bool] = lambda _text: True
        """Whether a question reaches it."""
        self.says: Callable[[str], bool] = lambda _text: True
        """Whether its reply comes back."""
        self.asked: list[str] = []
        self.free_ns = 0
        """Until when it is busy."""
        self._coming: deque[tuple[int, bytes]] = deque()
        self._line = b""

    def stall(self, seconds: float) -> None:
        """Do nothing for a time, and answer afterwards."""
        self.free_ns = max(self.free_ns, self.clock.monotonic_ns() + round(seconds * NS))

    def ready(self, seconds: float) -> bool:
        now_ns = self.clock.monotonic_ns()
        due_ns = self._coming[0][0] if self._coming else now_ns + NS * 10**6
        wait_ns = min(due_ns - now_ns, round(seconds * NS))
        if wait_ns > 0:
            self.clock.wait(wait_ns / NS)
        return bool(self._coming) and self._coming[0][0] <= self.clock.monotonic_ns()

    def read(self) -> bytes:
        data = b""
        while self._coming and self._coming[0][0] <= self.clock.monotonic_ns():
            data += self._coming.popleft()[1]
        return data

    def write(self, data: bytes | memoryview) -> int:
        self._line += bytes(data)
        while b"\n" in self._line:
            line, self._line = self._line.split(b"\n", 1)
            text = line.decode()
            self.asked.append(text)
            if self.hears(text):
                self.free_ns = max(self.free_ns, self.clock.monotonic_ns()) + round(self.latency_s() * NS)
                if self.says(text):
                    said = self.serial_number if text == "IDN?" else text.strip("V?")
                    self._coming.append((self.free_ns, f"{said}\r\n".encode()))
        return len(data)

    def writable(self, seconds: float) -> None:
        """It takes everything."""

    def abandon(self) -> bool:
        return False

    def close(self) -> None:
        """The line stays what it is."""


class SlowBoxTransport(StreamTransport):
    """A way to the box; with a handshake, unless `greeting` is false."""

    def __init__(self, box: SlowBox, timeout_s: float, *, greeting: bool = True) -> None:
        super().__init__(Resource("serial", "box", {}), LineCodec(), clock=box.clock, timeout_s=timeout_s)
        self.box = box
        if greeting:
            self.on_open(self._greet)

    def _greet(self) -> None:
        found = self.exchange(self.codec.request("IDN?", repeatable=True))
        if found != "BOX1":
            raise WrongDeviceError(f"found {found}")

    def _dial(self, deadline: object) -> SlowBox:
        return self.box
