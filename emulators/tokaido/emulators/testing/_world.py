"""What one test has: a clock, a bench or a real station, devices that are open, and what passed on their wires."""

from __future__ import annotations

import random
import threading
from collections import deque
from contextlib import ExitStack
from os import urandom
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast

import tokaido.hal as hal
from tokaido.emulators._stepped import SteppedClock
from tokaido.emulators.bench import Bench

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tokaido.emulators._launch import Emulator
    from tokaido.hal import Clock

D = TypeVar("D", bound=hal.Device)
KEPT_RECORDS: Final = 200
"""Records of the wires that are kept to be shown with a failure."""


class World:
    """The surroundings of one test. Use it as a context manager.

    Args:
        seed: Decides everything that is random and no secret, and the secrets as well: such keys are marked insecure.
        station: A real station instead of emulated devices.
        in_thread: Whether emulated time passes in a thread, `speed` times as fast as time on the wall, instead of by
            waiting (`SteppedClock`): for tests with threads or processes of their own.
        speed: Emulated seconds per second with `in_thread`.
        directory: Where consoles, key files and state appear.
    """

    def __init__(
        self,
        *,
        seed: int,
        directory: Path,
        station: hal.Station | None = None,
        in_thread: bool = False,
        speed: float = 20.0,
    ) -> None:
        self.seed = seed
        """Decides what is random."""
        self.station = station
        """The real station; None if everything is emulated."""
        real = station is not None or in_thread
        self.clock: Clock = hal.SYSTEM_CLOCK if real else SteppedClock()
        """The clock to give to devices, and to wait by."""
        self.directory = directory
        """Where consoles, key files and state are."""
        self.records: deque[str] = deque(maxlen=KEPT_RECORDS)
        """The last records of the wires, of all devices."""
        self.failing: Callable[[str], None] = _unsupported
        """Called with what only an emulator can do when it is asked of a real station; raises."""
        self._in_thread = in_thread
        self._speed = speed
        self._stack = ExitStack()
        self._bench: Bench | None = None
        self._started = False
        self._lock = threading.Lock()
        self._sources: dict[str, random.Random] = {}

    # --- the bench ----------------------------------------------------------------------------------------------------

    @property
    def bench(self) -> Bench:
        """The bench of this test; it is made when it is first asked for."""
        if self.station is not None:
            self.failing("a bench is emulated")
        if self._bench is None:
            speed = self._speed if self._in_thread else 1.0
            self._bench = self._stack.enter_context(
                Bench(seed=self.seed, speed=speed, secrets="seeded", directory=self.directory, clock=self.clock)
            )
        return self._bench

    def start(self) -> None:
        """Let time pass on the bench."""
        if not self._started:
            self._started = True
            self.bench.start()

    def emulate(self, name: str, driver: str, **options: Any) -> Emulator:
        """Put a device on the bench, unless it stands there."""
        if name in self.bench.devices:
            return self.bench.devices[name]
        return self.bench.device(name, driver, **options)

    # --- devices ------------------------------------------------------------------------------------------------------

    def open(self, role: Callable[..., D], name: str, driver: str = "", *, timeout: float = 2.0) -> D:
        """Open a device of the station or of the bench by its name; it is closed when the test ends.

        Args:
            role: Its role.
            name: Its name on the bench or in the station.
            driver: Name of its driver, for a device of the bench.
            timeout: Deadline of one exchange in s.
        """
        if self.station is not None:
            return self.station.device(name, role)
        emulator = self.bench.devices[name]
        device = cast("type[hal.Device]", role).open(
            driver,
            name=name,
            clock=self.clock,
            nonces=self.nonces(name),
            timeout=timeout,
            trace=self._note(name),
            **emulator.resources,
        )
        self._stack.callback(device.close)
        return cast("D", device)

    def nonces(self, name: str) -> Callable[[int], bytes]:
        """Return what to give to `hal.Device.open` beside the clock, so that the seed repeats what a driver sends.

        Each name has a stream of its own, which goes on when a device is opened again. On a real station it is the
        operating system's.
        """
        if self.station is not None:
            return urandom
        return self._sources.setdefault(name, random.Random(f"{self.seed}/{name}/nonces")).randbytes

    def _note(self, name: str) -> Callable[[hal.TraceRecord], None]:
        def note(record: hal.TraceRecord) -> None:
            with self._lock:
                self.records.append(
                    f"{record.monotonic_ns / hal.NS_PER_S:12.6f} {name} {record.direction} {record.text}"
                )

        return note

    # --- the end ------------------------------------------------------------------------------------------------------

    def close(self) -> None:
        """Close every device and the bench. May be called again."""
        self._stack.close()

    def __enter__(self) -> World:
        if self.station is not None:
            self._stack.enter_context(self.station)
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _unsupported(what: str) -> None:
    raise hal.UnsupportedError(f"{what}, and this station is real")
