"""What a protocol puts around each request so that its reply is told from all others; a replay renews it."""

from __future__ import annotations

from typing import Protocol


class Envelope(Protocol):
    """The envelope of one device's protocol, as a class without arguments makes it."""

    def hear(self, line: bytes) -> None:
        """Learn from a line of the device, which comes before any other call, what a seal is made of."""
        ...

    def opened(self, sent: bytes) -> tuple[bytes, str]:
        """Return what a line of the host says, and the mark of this one request; no mark if it has no envelope."""
        ...

    def closed(self, reply: bytes, mark: str, now: str) -> bytes:
        """Return a line of the device as the reply to the request marked `now`, if it was that to `mark`.

        Any other line stays as it is, and a seal that was broken stays broken.
        """
        ...
