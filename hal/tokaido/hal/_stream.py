"""What every transport of text has: a codec, and a way through for what no declaration covers."""

from __future__ import annotations

from abc import ABC
from typing import TYPE_CHECKING

from tokaido.hal._clock import SYSTEM_CLOCK, Clock
from tokaido.hal._transport import Transport, logger

if TYPE_CHECKING:
    from tokaido.hal._codec import Codec
    from tokaido.hal._resources import Resource


class StreamTransport(Transport[bytes], ABC):
    """A transport that carries a vendor's lines of text."""

    def __init__(
        self, resource: Resource, name: str, codec: Codec, *, clock: Clock = SYSTEM_CLOCK, timeout_s: float = 1.0
    ) -> None:
        super().__init__(resource, name, clock=clock, timeout_s=timeout_s)
        self.codec = codec

    def query(self, text: str, timeout: float | None = None) -> str:
        """Ask `text` and return the reply as text. It is logged.

        Raises:
            ValueError: The codec cannot carry this text.
            TransportError: As `exchange`.
        """
        logger.info("%s %s: query %s", self.device, self.name, text)
        return self.exchange(self.codec.request(text, repeatable=True), timeout)

    def command(self, text: str, timeout: float | None = None) -> str:
        """Command `text`, once, and return the reply as text. It is logged.

        Raises:
            ValueError: The codec cannot carry this text.
            OutcomeUnknownError: The reply was lost.
            TransportError: As `exchange`.
        """
        logger.info("%s %s: command %s", self.device, self.name, text)
        return self.exchange(self.codec.request(text, repeatable=False), timeout)
