"""A stream port within the process: no socket, no thread; the caller carries the bytes and calls the model."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Final

from tokaido.emulators.ends._service import ServiceRequest
from tokaido.emulators.ends._shared import POLL_S, SharedModel
from tokaido.emulators.ends._wire import Wire
from tokaido.hal import NS_PER_S, ConfigurationError

if TYPE_CHECKING:
    from tokaido.emulators._faults import Faults
    from tokaido.emulators._model import DeviceModel
    from tokaido.hal import Clock

MAX_QUEUED: Final = 16 * 1024 * 1024
"""Bytes that wait for a client that does not read; later ones are lost."""
VISA_SCHEME: Final = "visa://"
"""What the names of VISA instruments begin with among all that is emulated in the process."""
_lock = threading.Lock()
_present: dict[str, InProcessEnd] = {}


class UnpluggedError(OSError):
    """The emulated device is unplugged, or its emulator has ended."""


class InProcessEnd(Wire):
    """Carries the stream port `control` to clients in this process, under a name.

    Safe to use from any thread: everything happens under the model's one lock. Waiting is left to the clock, so with a
    clock that jumps a timeout takes no time.

    Args:
        shared: The model.
        name: Name to be found under, such as `emu://TKTX0001` or `TCPIP0::VOA-1::INST0::INSTR`.
        faults: Faults on this wire.
        clock: Times waits, and the delays of the faults.
        impostor: The other box that answers under the fault `wrong_id`.
        pace_baud: Bits per second of a serial line; None for one that takes no time.
    """

    def __init__(
        self,
        shared: SharedModel,
        name: str,
        *,
        faults: Faults,
        clock: Clock,
        impostor: DeviceModel,
        pace_baud: int | None = None,
    ) -> None:
        super().__init__(shared, "control", faults, clock, impostor, pace_baud=pace_baud)
        self.name = name
        """What it is found under."""
        self.received: bytearray = bytearray()
        """What the model has sent and nobody has read. Hold `lock` to touch it."""
        self.lock = shared.lock
        """The one lock around the model."""
        self.plugged = False
        """Whether it is there for clients."""
        self.connections = 0
        """How often it was plugged in; a client of an earlier time has lost its device."""
        self.requests = 0
        """How often service was requested, as far as anybody has looked."""
        self._service = ServiceRequest(shared.model)
        self._wake = threading.Event()

    # --- life -------------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Appear under the name.

        Raises:
            ConfigurationError: Another device has this name.
        """
        with _lock:
            if _present.setdefault(self.name.upper(), self) is not self:
                raise ConfigurationError(f"there is another emulated device at {self.name}", remedy="Take another name")
        self._replug_now()

    def close(self) -> None:
        """Vanish. May be called again."""
        with _lock:
            if _present.get(self.name.upper()) is self:
                del _present[self.name.upper()]
        self.unplug()

    def unplug(self) -> None:
        """Pull the plug: bytes on their way are lost."""
        with self.lock:
            self._unplug_now()
            self._replug_ns = None
        self._wake.set()

    def replug(self) -> None:
        """Put the plug back; a port that is plugged in stays as it is."""
        with self.lock:
            self._replug_now()

    def _unplug_now(self) -> None:
        self.plugged = False
        self.received.clear()
        self._lose_what_is_on_its_way()

    def _replug_now(self) -> None:
        self._replug_ns = None
        if not self.plugged:
            self.plugged = True
            self.connections += 1

    # --- what a client does -----------------------------------------------------------------------------------------

    def connect(self) -> int:
        """Return which connection this is, to be given to every call.

        Raises:
            UnpluggedError: It is unplugged.
        """
        with self.lock:
            self._replug_when_due()
            if not self.plugged:
                raise UnpluggedError(2, "there is no such device", self.name)
            return self.connections

    def hang_up(self) -> None:
        """Lose what is on its way and what nobody read: the last client of a connection is gone. A line keeps it."""
        with self.lock:
            self._lose_what_is_on_its_way()
            self.received.clear()

    def write(self, data: bytes, connection: int) -> None:
        """Send bytes to the device.

        Raises:
            UnpluggedError: It is unplugged, or was since this connection was made.
        """
        with self.lock:
            self._check(connection)
            if self._straight():
                self._shared.catch_up()
                model = self._shared.model
                model.receive("control", data)
                if reply := model.take("control"):
                    self._arrive(reply)
                return
            for line in data.splitlines(keepends=True):
                if self.plugged:
                    self._meet("to_unit", [line])
            self._pump()

    def arrived(self, connection: int) -> bytearray:
        """Return what had arrived at the last look, without a new one; the caller holds `lock` and takes from it.

        Raises:
            UnpluggedError: It is unplugged, or was since this connection was made.
        """
        self._check(connection)
        return self.received

    def poll(self, connection: int) -> bytearray:
        """Return what has arrived by now; the caller holds `lock` and takes from it.

        Raises:
            UnpluggedError: It is unplugged, or was since this connection was made.
        """
        self._replug_when_due()
        self._check(connection)
        if self._straight():
            self._shared.catch_up()
            self._arrive(self._shared.model.take("control"))
        else:
            self._pump()
            self._check(connection)
        return self.received

    def wait(self, seconds: float) -> None:
        """Wait until something may have arrived, `seconds` at most; the caller does not hold `lock`."""
        with self.lock:
            seconds = min(seconds, self._pause_s())
            self._wake.clear()
        self._clock.wait(seconds, self._wake)

    def wake(self) -> None:
        """Let everybody who waits look again."""
        self._wake.set()

    def monotonic_ns(self) -> int:
        """Return the time of the clock in ns."""
        return self._clock.monotonic_ns()

    # --- what a message client does besides -------------------------------------------------------------------------

    def serial_poll(self, connection: int) -> int:
        """Return the status byte with RQS in bit 6, and end the service request (IEEE 488.2, 11.3.2.1)."""
        with self.lock:
            self.service_requested(connection)
            return self._service.poll(message_available=bool(self.received))

    def service_requested(self, connection: int) -> bool:
        """Return whether the device requests service for a reason that is new since somebody looked."""
        with self.lock:
            request = self._service.new_request(message_available=bool(self.poll(connection)))
            self.requests += request is not None
            return request is not None

    def clear(self, connection: int) -> None:
        """Clear the device: what it was told and did not do, and what it said (IEEE 488.2, 5.8)."""
        with self.lock:
            self._check(connection)
            self._lose_what_is_on_its_way()
            self._shared.catch_up()
            self._shared.model.clear_device()
            self.received.clear()
        self._wake.set()

    def trigger(self, connection: int) -> None:
        """Trigger the device."""
        with self.lock:
            self._check(connection)
            self._shared.catch_up()
            self._shared.model.trigger()

    def unterminated(self, connection: int) -> None:
        """Tell the device that a client waited for a reply that nothing had asked for (IEEE 488.2, 6.3.2.2)."""
        with self.lock:
            self._check(connection)
            if not self._shared.model.occupied:
                self._shared.model.query_error(-420)

    # --- within -----------------------------------------------------------------------------------------------------

    def _check(self, connection: int) -> None:
        if not self.plugged or connection != self.connections:
            raise UnpluggedError(5, "the emulated device is unplugged", self.name)

    def _straight(self) -> bool:
        """Whether nothing is in the way: no fault, no delay, no slow line."""
        return (
            self._pace_baud is None
            and self._hang is None
            and not len(self._faults)
            and not self._delayed["to_unit"]
            and not self._delayed["from_unit"]
        )

    def _pump(self) -> None:
        if not self._hangs():
            self._exchange()

    def _pause_s(self) -> float:
        if self._hang is not None:  # pieces that come due are carried afterwards
            return max(min(POLL_S, (self._hang[1] - self._clock.monotonic_ns()) / NS_PER_S), 1e-6)
        return max(min(POLL_S, self._next_due_s(), self._shared.due_s()), 1e-6)

    def _arrive(self, data: bytes) -> None:
        if data:
            self.received += data[: max(MAX_QUEUED - len(self.received), 0)]
            if not self._wake.is_set():
                self._wake.set()

    def _give(self, model: DeviceModel, piece: list[bytes]) -> None:
        model.receive("control", piece[0])

    def _take(self, model: DeviceModel) -> list[list[bytes]]:
        return [[line] for line in model.take("control").splitlines(keepends=True)]

    def _emit(self, piece: list[bytes]) -> None:
        self._arrive(piece[0])


def find_in_process(name: str) -> InProcessEnd | None:
    """Return the emulated device of this name, in any case of its letters."""
    with _lock:
        return _present.get(name.upper())


def in_process_names(prefix: str = "") -> list[str]:
    """Return the names of the emulated devices in this process that begin with `prefix`."""
    with _lock:
        return sorted(end.name for end in _present.values() if end.name.startswith(prefix))
