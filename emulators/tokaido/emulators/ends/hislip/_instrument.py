"""What a HiSLIP server needs of the instrument behind it."""

from __future__ import annotations

from typing import Literal, NamedTuple, Protocol

from tokaido.emulators.ends.hislip._messages import RemoteLocal

Profile = Literal["strict", "lenient"]


class ProgramMessage(NamedTuple):
    """What a client sent up to an END or a newline."""

    session: int
    generation: int
    """How often the client had cleared the device."""
    message_id: int
    data: bytes
    """What it sent; nothing if it was a trigger."""
    at_end: bool = True
    """Whether nothing followed in the same message of HiSLIP."""


class Instrument(Protocol):
    """What a HiSLIP server needs of an instrument. No method may block."""

    def opened(self, session: int, /) -> None:
        """Take note that a client has come."""
        ...

    def closed(self, session: int, /) -> None:
        """Take note that a client is gone; its messages that were received are carried out all the same."""
        ...

    def receive(self, message: ProgramMessage, /) -> None:
        """Take a message; a reply to it goes to `HislipServer.respond`, now or later."""
        ...

    def trigger(self, message: ProgramMessage, /) -> None:
        """Do what a group execute trigger does; there may be a reply to it."""
        ...

    def busy(self, session: int, /) -> bool:
        """Return whether a message of this client is still being carried out: the next one then waits."""
        ...

    def status_byte(self, session: int, /, *, message_available: bool) -> int:
        """Return the status byte for a serial poll of this client."""
        ...

    def clear(self, session: int, /) -> None:
        """Forget input and output of this client, and of no other (IVI-6.1, 6.12; IEEE 488.2, 5.8)."""
        ...

    def interrupted(self, session: int, /) -> None:
        """Take note that a message came before the reply to the one before was read (IEEE 488.2, 6.3.2.3)."""
        ...

    def misplaced_trigger(self, session: int, /) -> None:
        """Take note that a trigger came within a message, and neither is carried out (SCPI-99 volume 2, -105)."""
        ...

    def remote_local(self, session: int, request: RemoteLocal, /) -> None:
        """Change who is in command, the remote side or the front panel."""
        ...
