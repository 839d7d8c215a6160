"""`emu://NAME`: an emulated serial port within the process, for `serial.serial_for_url`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from serial.serialutil import PortNotOpenError, SerialBase, SerialException

from tokaido.emulators.ends._inprocess import InProcessEnd, UnpluggedError, find_in_process
from tokaido.hal import NS_PER_S

if TYPE_CHECKING:
    from typing_extensions import Buffer


class Serial(SerialBase):  # type: ignore[misc]
    """A port whose settings are all accepted, and whose modem lines are those of a device that is plugged in."""

    is_open: bool
    _port: str | None
    _timeout: float | None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._end: InProcessEnd | None = None
        self._connection = 0
        self._cancelled = False
        super().__init__(*args, **kwargs)

    def open(self) -> None:
        """Open the port.

        Raises:
            SerialException: There is no such device, or the port is open.
        """
        if self.is_open:
            raise SerialException("Port is already open.")
        if self._port is None:
            raise SerialException("Port must be configured before it can be used.")
        url = self._port
        end = find_in_process("emu://" + unquote(url.partition("://")[2].partition("?")[0].rstrip("/")))
        if end is None:
            raise SerialException(2, f"could not open port {url}: no such emulated device")
        try:
            self._connection = end.connect()
        except UnpluggedError as error:
            raise SerialException(2, f"could not open port {url}: {error.strerror}") from error
        self._end = end
        self.is_open = True
        self._reset_input_buffer()

    def close(self) -> None:
        """Close the port. May be called again."""
        self.is_open = False
        end, self._end = self._end, None
        if end is not None:
            end.wake()

    def _port_end(self) -> InProcessEnd:
        end = self._end
        if end is None:
            raise PortNotOpenError
        return end

    def _reset_input_buffer(self) -> None:
        """Forget what waits, as opening a terminal does; a transport that wants it kept replaces this."""
        end = self._port_end()
        with end.lock:
            end.received.clear()

    # --- reading and writing ----------------------------------------------------------------------------------------

    @property
    def in_waiting(self) -> int:
        """How many bytes can be read at once."""
        end = self._port_end()
        try:
            with end.lock:
                return len(end.poll(self._connection))
        except UnpluggedError as error:
            raise OSError(5, "Input/output error") from error

    @property
    def out_waiting(self) -> int:
        """No byte ever waits to be sent."""
        self._port_end()
        return 0

    def read(self, size: int = 1) -> bytes:
        """Read up to `size` bytes, within the timeout."""
        end = self._port_end()
        self._cancelled = False
        timeout = self._timeout
        deadline_ns = None if timeout is None else end.monotonic_ns() + int(timeout * NS_PER_S)
        data = bytearray()
        while True:
            try:
                with end.lock:
                    received = end.poll(self._connection)
                    if received:
                        taken = size - len(data)
                        data += received[:taken]
                        del received[:taken]
            except UnpluggedError as error:
                raise SerialException(
                    "device reports readiness to read but returned no data (device disconnected?)"
                ) from error
            if len(data) >= size or self._cancelled or self._end is not end:
                return bytes(data)
            if deadline_ns is None:
                end.wait(1.0)
                continue
            left_ns = deadline_ns - end.monotonic_ns()
            if left_ns <= 0:
                return bytes(data)
            end.wait(left_ns / NS_PER_S)

    def write(self, data: Buffer, /) -> int:
        """Write everything; a device of ours takes it at once."""
        end = self._port_end()
        sent = bytes(data)
        try:
            end.write(sent, self._connection)
        except UnpluggedError as error:
            raise SerialException("write failed: [Errno 5] Input/output error") from error
        return len(sent)

    def flush(self) -> None:
        """Return at once: nothing waits."""
        self._port_end()

    def cancel_read(self) -> None:
        """End a read that another thread waits in."""
        self._cancelled = True
        self._port_end().wake()

    def cancel_write(self) -> None:
        """Do nothing: no write ever waits."""

    def reset_input_buffer(self) -> None:
        """Forget what waits to be read."""
        end = self._port_end()
        with end.lock:
            end.poll(self._connection).clear()

    def reset_output_buffer(self) -> None:
        """Do nothing but check that the port is open: nothing waits."""
        self._port_end()

    # --- settings and lines -----------------------------------------------------------------------------------------

    def _reconfigure_port(self, *_: object, **__: object) -> None:
        """Accept every setting."""

    def _update_break_state(self) -> None:
        self._port_end()

    def _update_rts_state(self) -> None:
        pass

    def _update_dtr_state(self) -> None:
        pass

    def set_low_latency_mode(self, _on: bool, /) -> None:
        """Accept it: there is no latency."""

    @property
    def cts(self) -> bool:
        """Clear to send: whether the device is plugged in."""
        return self._port_end().plugged

    @property
    def dsr(self) -> bool:
        """Data set ready: whether the device is plugged in."""
        return self._port_end().plugged

    @property
    def ri(self) -> bool:
        """Ring indicator: never."""
        self._port_end()
        return False

    @property
    def cd(self) -> bool:
        """Carrier detect: whether the device is plugged in."""
        return self._port_end().plugged
