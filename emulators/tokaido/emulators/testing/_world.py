"""What one test has: a clock, a bench or a station, devices that are open, and what passed on their wires."""

from __future__ import annotations

import random
import threading
from collections import deque
from contextlib import ExitStack
from os import urandom
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast

import tokaido.hal as hal
from tokaido.emulators._emulated_station import EmulatedStation
from tokaido.emulators._options import model_class
from tokaido.emulators._plugs import WIRE_ENDS, WITHIN, allowed_ends
from tokaido.emulators._stepped import SteppedClock
from tokaido.emulators.bench import Bench
from tokaido.emulators.testing._stations import noted

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

    There is one rule for time. With one thread, waiting is time (`SteppedClock`), and nothing sleeps. With several
    threads, time is real, or scaled by `speed`: so it is with `in_thread`, and on every wire end outside the process.

    Args:
        seed: Decides everything that is random and no secret, and the secrets as well: such keys are marked insecure.
        directory: Where consoles, key files and state appear.
        station: A real station instead of emulated devices.
        in_thread: Whether emulated time passes in a thread, `speed` times as fast as time on the wall, instead of by
            waiting: for tests with threads or processes of their own.
        speed: Emulated seconds per second where there are threads.
        wire_end: What carries the control ports of those emulated devices that have such an end, one of `WIRE_ENDS`;
            by default one within the process, or with `in_thread` the usual one of each device.

    Raises:
        ConfigurationError: There is no such wire end.
    """

    def __init__(
        self,
        *,
        seed: int,
        directory: Path,
        station: hal.Station | None = None,
        in_thread: bool = False,
        speed: float = 20.0,
        wire_end: str = "",
    ) -> None:
        if wire_end and wire_end not in WIRE_ENDS:
            raise hal.ConfigurationError(
                f"there is no wire end {wire_end!r}", remedy=f"Choose one of: {', '.join(WIRE_ENDS)}"
            )
        self.seed = seed
        """Decides what is random."""
        self.station = station
        """The station, real or emulated; None in a test of single devices and links."""
        self.real: Final = station is not None
        """Whether the station is real."""
        self._threads = in_thread or wire_end not in ("", *WITHIN)
        self.clock: Clock = hal.SYSTEM_CLOCK if self.real or self._threads else SteppedClock()
        """The clock to give to devices, and to wait by."""
        self.directory = directory
        """Where consoles, key files and state are."""
        self.records: deque[str] = deque(maxlen=KEPT_RECORDS)
        """The last records of the control ports, of all devices."""
        self.failing: Callable[[str], None] = _unsupported if self.real else _unfit
        """Called with what cannot be done, such as a fault on a real station; raises."""
        self._wire_end = wire_end
        self._speed = speed if self._threads else 1.0
        self._stack = ExitStack()
        self._bench: Bench | None = None
        self._started = False
        self._lock = threading.Lock()
        self._sources: dict[str, random.Random] = {}

    # --- the bench ----------------------------------------------------------------------------------------------------

    @property
    def bench(self) -> Bench:
        """The bench of this test; it is made when it is first asked for."""
        if self.real:
            self.failing("a bench is emulated")
        if self._bench is None:
            self._bench = self._stack.enter_context(
                Bench(seed=self.seed, speed=self._speed, secrets="seeded", directory=self.directory, clock=self.clock)
            )
        return self._bench

    def start(self) -> None:
        """Let time pass on the bench.

        Raises:
            ConfigurationError: No device on it has the wire end that was asked for.
        """
        if self._started:
            return
        self._check_wire_end()
        self._started = True
        self.bench.start()

    def _check_wire_end(self) -> None:
        devices = self.bench.devices
        if self._wire_end and devices and all(device.wire_end != self._wire_end for device in devices.values()):
            known = "; ".join(f"{name} has {', '.join(allowed_ends(one.model))}" for name, one in devices.items())
            raise hal.ConfigurationError(f"no device of this test has the wire end {self._wire_end!r}", remedy=known)

    def emulate(self, name: str, driver: str, **options: Any) -> Emulator:
        """Put a device on the bench, on the wire end of this test if it has it, unless the device stands there."""
        if name in self.bench.devices:
            return self.bench.devices[name]
        if self._wire_end in allowed_ends(cast("Any", model_class(driver))):
            options.setdefault("wire_end", self._wire_end)
        return self.bench.device(name, driver, **options)

    def emulate_station(self, file: str | Path) -> hal.Station:
        """Emulate every device of a station file and return the station; it is closed when the test ends.

        Devices and leases have places of the test's own, and the seed and the speed are the test's, whatever the file
        says; all else is as it says. A world has one station: the real one, or the first that was emulated.

        Raises:
            ConfigurationError: With every mistake in the file; or the bench has other devices already.
        """
        if self.station is not None:
            return self.station
        if self._bench is not None:
            raise hal.ConfigurationError(
                f"{file} cannot be emulated on a bench that has other devices", remedy="Ask for the station first"
            )
        station = EmulatedStation(
            hal.Station.from_file(file),
            seed=self.seed,
            speed=self._speed,
            secrets="seeded",
            wire_end=self._wire_end,
            directory=self.directory,
            clock=self.clock,
            nonces=self.nonces("station"),
        )
        self._stack.callback(_close_as_it_is, station)
        self._bench, self._started = station.emulation, True
        self._check_wire_end()
        station.trace = noted(station, self._note)
        self.station = station
        return self.station

    # --- devices ------------------------------------------------------------------------------------------------------

    def open(self, role: Callable[..., D], name: str, driver: str = "", *, timeout: float = 2.0) -> D:
        """Open a device of the station or of the bench by its name; it is closed when the test ends.

        Args:
            role: Its role.
            name: Its name on the bench or in the station.
            driver: Name of its driver, for a device of the bench.
            timeout: Deadline of one exchange in s.

        Raises:
            ConfigurationError: Time passes by waiting, and this is not the thread of the test.
        """
        if isinstance(self.clock, SteppedClock):
            self.clock.check_thread()
        if self.station is not None:
            return self.station.device(name, role)
        device = cast("type[hal.Device]", role).open(
            driver,
            name=name,
            clock=self.clock,
            nonces=self.nonces(name),
            timeout=timeout,
            trace=lambda record: self._note(name, record),
            **self.bench.devices[name].resources,
        )
        self._stack.callback(device.close)
        return cast("D", device)

    def nonces(self, name: str) -> Callable[[int], bytes]:
        """Return what to give to `hal.Device.open` beside the clock, so that the seed repeats what a driver sends.

        Each name has a stream of its own, which goes on when a device is opened again. On a real station it is the
        operating system's.
        """
        if self.real:
            return urandom
        return self._sources.setdefault(name, random.Random(f"{self.seed}/{name}/nonces")).randbytes

    def _note(self, name: str, record: hal.TraceRecord) -> None:
        with self._lock:
            self.records.append(f"{record.monotonic_ns / hal.NS_PER_S:12.6f} {name} {record.direction} {record.text}")

    # --- the end ------------------------------------------------------------------------------------------------------

    def close(self) -> None:
        """Close every device and the bench. May be called again."""
        self._stack.close()

    def __enter__(self) -> World:
        if self.station is not None:
            self.station.trace = noted(self.station, self._note)
            self._stack.enter_context(self.station)
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _close_as_it_is(station: EmulatedStation) -> None:
    """Close a station and ask for no safe state: a fault may be in its way, and nobody is in danger."""
    station.on_exit = "keep"
    station.close()


def _unsupported(what: str) -> None:
    raise hal.UnsupportedError(f"{what}, and this station is real")


def _unfit(what: str) -> None:
    raise hal.ConfigurationError(what, remedy="See docs/how-to/test-on-equipment.md")
