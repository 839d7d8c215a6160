"""Which transport a resource names."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, overload

from tokaido.hal._clock import SYSTEM_CLOCK, Clock
from tokaido.hal._errors import ConfigurationError
from tokaido.hal.transports._kinds import transport_kind

if TYPE_CHECKING:
    from tokaido.hal.transports._codec import Codec
    from tokaido.hal.transports._resources import Resource
    from tokaido.hal.transports._text import TextTransport
    from tokaido.hal.transports._transport import Transport


@overload
def open_transport(
    resource: Resource, codec: Codec, *, clock: Clock = SYSTEM_CLOCK, timeout_s: float = 1.0
) -> TextTransport: ...
@overload
def open_transport(
    resource: Resource, codec: None = None, *, clock: Clock = SYSTEM_CLOCK, timeout_s: float = 1.0
) -> Transport[Any]: ...
def open_transport(
    resource: Resource, codec: Codec | None = None, *, clock: Clock = SYSTEM_CLOCK, timeout_s: float = 1.0
) -> Transport[Any]:
    """Return the transport for `resource`, not opened yet. A stream needs a codec, messages take none.

    Raises:
        ConfigurationError: A stream has no codec, messages have one, or the resource cannot be used.
    """
    kind = transport_kind(resource.kind)
    if kind.stream is not None:
        if codec is None:
            raise ConfigurationError(
                f"{resource} carries a stream", remedy="Give the codec of the device's line protocol"
            )
        return kind.stream(resource, codec, clock=clock, timeout_s=timeout_s)
    if codec is not None or kind.messages is None:
        raise ConfigurationError(f"{resource} carries messages and no lines", remedy="Name a resource that does")
    return kind.messages(resource, clock=clock, timeout_s=timeout_s)
