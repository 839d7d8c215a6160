"""The bytes of a stream as they come and go, for what carries them on: no question, no frame, no reply."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from tokaido.hal._clock import SYSTEM_CLOCK, Clock, Deadline
from tokaido.hal._errors import ClosedError, ConfigurationError, DeviceTimeoutError, TokaidoError
from tokaido.hal.transports._codec import LineCodec
from tokaido.hal.transports._kinds import transport_kind
from tokaido.hal.transports._stream import StreamTransport

if TYPE_CHECKING:
    from types import TracebackType

    from tokaido.hal.transports._ports import Port
    from tokaido.hal.transports._resources import Resource


class RawStream:
    """What a stream's resource leads to, taken for one owner as a transport takes it, for one thread at a time.

    Nothing here knows a question from a reply, so nothing is repeated, and nobody is told of a late reply. Use a
    transport to talk with a device; use this to stand between a device and something that does.

    Args:
        resource: A resource of a kind that carries a stream. Where a message has an END of its own (most of VISA),
            every write is one.
        clock: Where time comes from.
        timeout_s: Deadline of opening and of a write, in s.

    Raises:
        ConfigurationError: The resource carries messages.
    """

    def __init__(self, resource: Resource, *, clock: Clock = SYSTEM_CLOCK, timeout_s: float = 1.0) -> None:
        kind = transport_kind(resource.kind)
        if kind.stream is None:
            raise ConfigurationError(f"{resource} carries messages and no stream", remedy="Name a resource that does")
        transport = kind.stream(resource, LineCodec(), clock=clock, timeout_s=timeout_s)
        if not isinstance(transport, StreamTransport):
            raise ConfigurationError(f"{resource} carries texts and no bytes", remedy="Name the device's own port")
        self._transport = transport
        self._clock = clock
        self.name = self._transport.name
        """What errors call it."""

    def open(self) -> None:
        """Open it.

        Raises:
            TransportError: It cannot be reached, or another process has it.
            ConfigurationError: A setting of the resource is wrong.
        """
        transport = self._transport
        deadline = Deadline(self._clock, transport.timeout_s)
        try:
            transport._connect(deadline)
        except transport.foreign as error:
            raise self._ours(error) from error

    def read(self, seconds: float) -> bytes:
        """Return what has come, or comes within `seconds`; perhaps nothing.

        Raises:
            NotConnectedError: The device is gone.
        """
        transport = self._transport
        transport._deadline = Deadline(self._clock, seconds)
        try:
            port = self._port
            return port.read() if port.ready(seconds) else b""
        except DeviceTimeoutError:
            return b""
        except transport.foreign as error:
            raise self._ours(error) from error

    def write(self, data: bytes) -> None:
        """Write all of `data`.

        Raises:
            DeviceTimeoutError: The device takes no bytes.
            NotConnectedError: The device is gone.
        """
        transport = self._transport
        deadline = transport._deadline = Deadline(self._clock, transport.timeout_s)
        left = memoryview(data)
        try:
            while left:
                left = left[self._port.write(left) :]
                if left and deadline.passed:
                    raise DeviceTimeoutError(
                        f"{self.name}: the device takes no bytes", remedy="Check its power and the flow control"
                    )
                if left:
                    self._port.writable(min(deadline.remaining_s, 0.1))
        except transport.foreign as error:
            raise self._ours(error) from error

    def close(self) -> None:
        """Give it back. May be called again."""
        self._transport.close()
        self._transport._disconnect()

    @property
    def _port(self) -> Port:
        if self._transport._port is None:
            raise ClosedError(f"{self.name}: it is not open")
        return self._transport._port

    def _ours(self, error: Exception) -> TokaidoError:
        return error if isinstance(error, TokaidoError) else self._transport.translate(error)

    def __enter__(self) -> Self:
        self.open()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
