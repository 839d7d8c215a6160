"""Carrying bytes over a VISA session: nothing lost unseen, no deadline passed, nothing foreign raised."""

from __future__ import annotations

import math
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from tokaido.hal._errors import DeviceTimeoutError, UnsupportedError
from tokaido.hal.transports._ports import CHUNK
from tokaido.hal.transports._visa_errors import carried, moved

if TYPE_CHECKING:
    from collections.abc import Callable

    from tokaido.hal.transports._hislip import Limit

LONGEST_TIMEOUT_MS = 0xFFFF_FFFE
"""Longest finite timeout that VISA knows (VPP-4.3, VI_TMO_INFINITE less one)."""


class SessionPort:
    """A session of any VISA library, used through `viRead` and `viWrite` alone.

    A read that times out loses the bytes that it had. So a stream (SOCKET, ASRL) is awaited with reads of one
    byte; a device that sends messages (INSTR) is read once an exchange, until the deadline, and never when it owes
    nothing, which it would take for an error.
    """

    def __init__(
        self,
        library: Any,
        session: Any,
        terminator: bytes,
        limit: Limit,
        close: Callable[[], None],
        *,
        streaming: bool,
        is_line: bool = False,
    ) -> None:
        from pyvisa.constants import ResourceAttribute, StatusCode  # noqa: PLC0415 - loaded by those who use it

        self._library = library
        self._session = session
        self._terminator = terminator
        self._limit = limit
        self._close = close
        self.streaming = streaming
        self.is_line = is_line
        self.is_framed = not streaming
        self._ahead = b""
        self._owing = self._torn = False
        self._timeout, self._more = ResourceAttribute.timeout_value, StatusCode.success_max_count_read
        self._timeout_ms = -1
        self._quiet = ExitStack()
        self._quiet.enter_context(library.ignore_warning(session, *StatusCode))
        if streaming:
            self._set(ResourceAttribute.termchar, terminator[-1])
            self._set(ResourceAttribute.termchar_enabled, True)

    def ready(self, seconds: float) -> bool:
        """Wait up to `seconds` and return whether something can be read."""
        if self._ahead:
            return True
        if self.streaming:
            self._ahead = self._read(1, seconds)[0]
        elif not self._owing:
            if seconds > 0:
                self._limit.clock.wait(seconds)
        elif self._torn:
            raise DeviceTimeoutError("no whole reply", remedy="Check that the device is on and not busy")
        else:
            self._ahead, ended = self._read(CHUNK, seconds)
            self._owing = not ended
            self._torn = not self._ahead and seconds > 0
            if ended and not self._ahead.endswith(self._terminator):
                self._ahead += self._terminator
        return bool(self._ahead)

    def read(self) -> bytes:
        """Return what waits and, of a stream, the rest of its line."""
        data, self._ahead = self._ahead, b""
        if self.streaming and data and not data.endswith(self._terminator[-1:]):
            rest, _ = self._read(CHUNK, self._limit.remaining_s)
            if not rest:
                raise DeviceTimeoutError("the rest of a line did not come", remedy="Check the line; call again")
            data += rest
        return data

    def write(self, data: bytes | memoryview) -> int:
        """Write before the deadline, and return how many bytes were taken."""
        self._owing, self._torn = True, False
        self._wait_at_most(self._limit.remaining_s)
        return int(moved(self._library.write, self._session, bytes(data))[0])

    def writable(self, seconds: float) -> None:
        """Return at once: `write` waits itself."""

    def status_byte(self) -> int:
        """Return the status byte (VPP-4.3, viReadSTB)."""
        self._wait_at_most(self._limit.remaining_s)
        return int(carried(self._library.read_stb, self._session)[0])

    def clear(self) -> None:
        """Empty the device's buffers (IEEE 488.2, 5.8), if it sends messages and the library can.

        A message-based device keeps an unread reply while no session is open. Its settings stay as they are.
        """
        if not self.streaming:
            self._wait_at_most(self._limit.remaining_s)
            try:
                carried(self._library.clear, self._session)
            except UnsupportedError:
                return

    def abandon(self) -> bool:
        """Do nothing: what a vendor's library has sent is beyond reach."""
        return False

    def close(self) -> None:
        """Close the session."""
        self._quiet.close()
        self._close()

    def _read(self, size: int, seconds: float) -> tuple[bytes, bool]:
        """Return what one read brought before `seconds` passed, perhaps nothing, and whether the message ended."""
        self._wait_at_most(seconds)
        try:
            data, status = moved(self._library.read, self._session, size)
        except DeviceTimeoutError:
            return b"", False
        return bytes(data), status != self._more

    def _wait_at_most(self, seconds: float) -> None:
        wait_ms = min(math.ceil(seconds * 1000), LONGEST_TIMEOUT_MS)
        if wait_ms != self._timeout_ms:
            self._set(self._timeout, wait_ms)
            self._timeout_ms = wait_ms

    def _set(self, attribute: Any, value: Any) -> None:
        carried(self._library.set_attribute, self._session, attribute, value)
