"""Devices that speak SCPI over one control port: what their drivers need not say again."""

from __future__ import annotations

from abc import ABC
from contextlib import suppress
from typing import TYPE_CHECKING

from tokaido.hal._errors import DeviceError, OutcomeUnknownError, TransportError
from tokaido.hal._line_device import LineDevice
from tokaido.hal.transports._scpi import ScpiCodec, drain_errors

if TYPE_CHECKING:
    from tokaido.hal._device import Identity
    from tokaido.hal.transports._codec import Codec


class ScpiDevice(LineDevice, ABC):
    """A line device whose commands are confirmed and whose errors wait in a queue, as SCPI-99 has it.

    An error in the queue is never blamed on another command: a driver's `_learn` calls `_forget_errors` once it knows
    who is there, and what a refusal or a lost reply leaves in the queue is read away before the next command.
    """

    def identity(self) -> Identity:
        """Ask `*IDN?` who it is: vendor, model, serial number and firmware, or as `identity_fields` says."""
        return self._read("*IDN?", self._named)

    def _codec(self) -> Codec:
        return ScpiCodec()

    def _forget_errors(self) -> None:
        """Read away the errors that somebody else left in the queue, and say in the log which ones."""
        for code, text in drain_errors(self._control):
            import logging  # noqa: PLC0415 - for a queue that is not empty

            logging.getLogger("tokaido.hal.scpi").info(
                "%s: an error of somebody else's was in the queue: %d, %r", self.name, code, text
            )

    _unsure = False
    """Whether the error queue may hold what a command left whose reply was lost."""

    def _command(self, text: str) -> str:
        if self._unsure:  # an error of a command whose reply was lost would be taken for this one's
            drain_errors(self._control)
            self._unsure = False
        try:
            return super()._command(text)
        except OutcomeUnknownError:
            self._unsure = True
            raise
        except DeviceError:
            with suppress(TransportError, DeviceError):  # what the refusal left is not the next command's
                drain_errors(self._control)
            raise
