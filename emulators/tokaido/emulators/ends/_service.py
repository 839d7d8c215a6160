"""Service requests and serial polls: RQS, which a status byte alone does not know (IEEE 488.2, 11.3)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from tokaido.emulators._model import DeviceModel

RQS: Final = 0x40
MAV: Final = 0x10


class ServiceRequest:
    """Requests service whenever an enabled bit of the status byte rises, until a serial poll. Call it under the lock.

    Args:
        model: Whose status byte.
    """

    def __init__(self, model: DeviceModel) -> None:
        self._model = model
        self._reasons = 0
        self._requesting = False

    def new_request(self, *, message_available: bool = False) -> int | None:
        """Return the status byte if there is a new reason to request service, else None."""
        status = self._status(message_available=message_available)
        reasons = status & self._model.service_request_enable & ~RQS
        new = reasons & ~self._reasons
        self._reasons = reasons
        if not new:
            return None
        self._requesting = True
        return status | RQS

    def poll(self, *, message_available: bool) -> int:
        """Return the status byte with RQS in bit 6, and end the request (IEEE 488.2, 11.3.2.1)."""
        self.new_request(message_available=message_available)
        status = self._status(message_available=message_available) & ~RQS
        if self._requesting:
            self._requesting = False
            status |= RQS
        return status

    def _status(self, *, message_available: bool) -> int:
        return self._model.status_byte(message_available=message_available)


class ClientServiceRequest(ServiceRequest):
    """Requests service of one among several clients: for what happens from now on, and for messages of its own."""

    def __init__(self, model: DeviceModel) -> None:
        super().__init__(model)
        self._reasons = self._status(message_available=False) & model.service_request_enable & ~RQS

    @property
    def changed(self) -> bool:
        """Whether the reasons are others than at the last look, but for messages of its own."""
        reasons = self._status(message_available=False) & self._model.service_request_enable & ~RQS
        return reasons != self._reasons & ~MAV

    def _status(self, *, message_available: bool) -> int:
        status = super()._status(message_available=message_available)
        return status | MAV if message_available else status & ~MAV  # a reply that waits within may be for another
