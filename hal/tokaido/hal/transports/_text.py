"""What carries a vendor's texts, whatever is between: a codec knows how they are said."""

from __future__ import annotations

from abc import ABC
from types import MappingProxyType
from typing import TYPE_CHECKING

from tokaido.hal.transports._transport import INFO, Transport, log

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tokaido.hal._calibrations import Calibration
    from tokaido.hal.transports._codec import Codec


class TextTransport(Transport[bytes], ABC):
    """A transport that a device of lines can be driven over: a stream of bytes, or a server that has one."""

    codec: Codec
    """Makes requests of texts, and takes what comes unasked."""
    calibrations: Mapping[str, Calibration] = MappingProxyType({})
    """By path, what corrects the device's values, as who has its port says. None is known at the port itself."""

    def query(self, text: str, timeout: float | None = None) -> str:
        """Ask `text` and return the reply as text. It is logged.

        Raises:
            ValueError: The codec cannot carry this text.
            TransportError: As `exchange`.
        """
        log(INFO, "%s %s: query %s", self.device, self.name, text)
        return self.exchange(self.codec.request(text, repeatable=True), timeout)

    def command(self, text: str, timeout: float | None = None) -> str:
        """Command `text`, once, and return the reply as text. It is logged.

        Raises:
            ValueError: The codec cannot carry this text.
            OutcomeUnknownError: The reply was lost.
            TransportError: As `exchange`.
        """
        log(INFO, "%s %s: command %s", self.device, self.name, text)
        return self.exchange(self.codec.request(text, repeatable=False), timeout)
