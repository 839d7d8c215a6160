"""Serial ports, and whatever else pyserial opens."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tokaido.hal._clock import SYSTEM_CLOCK, Clock, Deadline
from tokaido.hal.transports._ports import Port, open_port
from tokaido.hal.transports._stream import StreamTransport

if TYPE_CHECKING:
    from tokaido.hal.transports._codec import Codec
    from tokaido.hal.transports._resources import Resource


class SerialTransport(StreamTransport):
    """A stream over a serial port, or over what a pyserial URL names. The port is taken for one owner only."""

    def __init__(
        self, resource: Resource, codec: Codec, *, clock: Clock = SYSTEM_CLOCK, timeout_s: float = 1.0
    ) -> None:
        super().__init__(resource, f"serial:{resource.address}", codec, clock=clock, timeout_s=timeout_s)

    def _dial(self, deadline: Deadline) -> Port:
        return open_port(self.resource, deadline)
