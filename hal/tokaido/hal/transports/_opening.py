"""Which transport a resource names."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tokaido.hal._clock import SYSTEM_CLOCK, Clock
from tokaido.hal._errors import ConfigurationError

if TYPE_CHECKING:
    from tokaido.hal.transports._codec import Codec
    from tokaido.hal.transports._resources import Resource
    from tokaido.hal.transports._serial import SerialTransport
    from tokaido.hal.transports._visa import VisaTransport
    from tokaido.hal.transports._zmq import ZmqTransport


def open_transport(
    resource: Resource, codec: Codec | None = None, *, clock: Clock = SYSTEM_CLOCK, timeout_s: float = 1.0
) -> SerialTransport | VisaTransport | ZmqTransport:
    """Return the transport for `resource`, not opened yet. A stream needs a codec, messages need none.

    Raises:
        ConfigurationError: A serial or VISA resource has no codec, or the resource cannot be used.
    """
    if resource.kind == "zmq":
        from tokaido.hal.transports._zmq import ZmqTransport  # noqa: PLC0415 - loaded by those who use it

        return ZmqTransport(resource, clock=clock, timeout_s=timeout_s)
    if codec is None:
        raise ConfigurationError(f"{resource} carries a stream", remedy="Give the codec of the device's line protocol")
    if resource.kind == "visa":
        from tokaido.hal.transports._visa import VisaTransport  # noqa: PLC0415 - loaded by those who use it

        return VisaTransport(resource, codec, clock=clock, timeout_s=timeout_s)
    from tokaido.hal.transports._serial import SerialTransport  # noqa: PLC0415 - loaded by those who use it

    return SerialTransport(resource, codec, clock=clock, timeout_s=timeout_s)
