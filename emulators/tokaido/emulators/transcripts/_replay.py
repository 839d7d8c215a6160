"""A transcript as a way to reach a device: `replay:bug.toml`."""

from __future__ import annotations

import heapq
import itertools
from contextlib import suppress
from typing import TYPE_CHECKING, Final, cast

from tokaido.emulators._options import model_class
from tokaido.emulators.transcripts._file import Transcript
from tokaido.emulators.transcripts._script import ORDERS, Order, Script
from tokaido.hal import NS_PER_S, SYSTEM_CLOCK, Clock, ConfigurationError
from tokaido.hal.transports import Option, Port, StreamTransport, TransportKind

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tokaido.hal import Deadline
    from tokaido.hal.transports import Codec, Resource


class ReplayPort:
    """A stream whose other end is a script. It waits by the clock, so that a stepped clock makes waiting free.

    Args:
        script: What is answered.
        clock: Where time comes from.
        paced: Whether answers take the time that they took when they were recorded.
        greets: Whether what came before anything was sent comes now.
    """

    is_line = False

    def __init__(self, script: Script, clock: Clock, *, paced: bool = False, greets: bool = True) -> None:
        self.script = script
        self._clock = clock
        self._paced = paced
        self._counter = itertools.count()
        self._coming: list[tuple[int, int, bytes]] = []  # when in ns, order, bytes
        if greets:
            self._schedule(script.greeting)

    def ready(self, seconds: float) -> bool:
        """Wait up to `seconds` and return whether something can be read."""
        wait_s = min(seconds, self._due_s())
        if wait_s > 0:
            self._clock.wait(wait_s)
        return self._due_s() <= 0

    def read(self) -> bytes:
        """Return what has come by now, perhaps nothing."""
        data = b""
        while self._coming and self._due_s() <= 0:
            data += heapq.heappop(self._coming)[2]
        return data

    def write(self, data: bytes | memoryview) -> int:
        """Give the script what the host sends, and return its length."""
        self._schedule(self.script.take(bytes(data)))
        return len(data)

    def writable(self, seconds: float) -> None:
        """Return at once: a script takes everything."""

    def abandon(self) -> bool:
        """Return that nothing is left to throw away."""
        return False

    def close(self) -> None:
        """Forget what did not come yet; the place in the transcript stays."""
        self._coming.clear()

    def _schedule(self, answers: list[tuple[float, bytes]]) -> None:
        now_ns = self._clock.monotonic_ns()
        for delay_s, data in answers:
            due_ns = now_ns + round(delay_s * NS_PER_S) if self._paced else now_ns
            heapq.heappush(self._coming, (due_ns, next(self._counter), data))

    def _due_s(self) -> float:
        if not self._coming:
            return float("inf")
        return (self._coming[0][0] - self._clock.monotonic_ns()) / NS_PER_S


class ReplayTransport(StreamTransport):
    """A stream to the device of a transcript. A transport that is opened again goes on where it was.

    The file is read when the transport is made, so that no deadline has to cover it; a resource without an address
    waits for `answer_from`.

    Raises:
        ConfigurationError: The file cannot be read, or is not a transcript.
    """

    def __init__(
        self, resource: Resource, codec: Codec, *, clock: Clock = SYSTEM_CLOCK, timeout_s: float = 1.0
    ) -> None:
        super().__init__(resource, codec, clock=clock, timeout_s=timeout_s)
        self._replay: ReplayPort | None = None
        self._script = Script(Transcript())
        if resource.address:
            order = cast("Order", resource.options.get("order", "any"))
            self._script = script_of(Transcript.from_file(resource.address), order)

    def answer_from(self, script: Script) -> None:
        """Take the answers from `script`. Call it before the transport is opened."""
        self._script = script

    def unread(self) -> bytes:
        """Return what the device said by now and nobody read."""
        return bytes(self._buffer) + (b"" if self._replay is None else self._replay.read())

    def _dial(self, deadline: Deadline) -> Port:  # noqa: ARG002 - it is there
        paced = self.resource.options.get("pace") == "recorded"
        self._replay = ReplayPort(self._script, self.clock, paced=paced, greets=self._replay is None)
        return self._replay


def script_of(transcript: Transcript, order: Order = "any", *, missed: Callable[[bytes], None] | None = None) -> Script:
    """Return the script of a transcript, with the envelope of the driver's protocol where it has one."""
    envelope = None
    with suppress(ConfigurationError):  # a driver that is not installed here; then lines are compared as they are
        envelope = getattr(model_class(transcript.driver), "envelope", None)
    return Script(transcript, order=order, envelope=envelope() if envelope else None, missed=missed)


def _check(address: str, options: Mapping[str, str]) -> list[str]:  # noqa: ARG001 - a kind's form
    return [] if address else ["file: is missing; for example replay:bug.toml"]


def _serial_line(address: str, settings: Mapping[str, str]) -> dict[str, str] | None:  # noqa: ARG001 - a kind's form
    """Return no setting of a serial line, of which a file needs none, if the recorded host talked over one."""
    with suppress(ConfigurationError):  # which is told when the file is opened
        return {} if Transcript.from_file(address).serial_line else None
    return None


KIND: Final = TransportKind(
    name="replay",
    stream=ReplayTransport,
    options={
        "order": Option.one_of(*ORDERS, example="strict"),
        "line": Option.one_of("serial", "none", example="serial"),
        "pace": Option.one_of("none", "recorded", example="recorded"),
    },
    check=_check,
    serial_line=_serial_line,
    stands_for=frozenset({"serial", "visa"}),
)
