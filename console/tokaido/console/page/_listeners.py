"""Pages that listen to events, each with a queue that must not grow."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any, Final

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterator

MOST: Final = 16
"""Pages that may listen at once."""
WAITING: Final = 64
"""Events that may wait for one of them."""


def event(name: str, data: Any) -> bytes:
    """Return an event as it is sent."""
    return b"event: %s\ndata: %s\n\n" % (name.encode(), msgspec.json.encode(data))


class Listeners:
    """All pages that listen now."""

    def __init__(self) -> None:
        self._queues: dict[asyncio.Queue[bytes], asyncio.Transport | None] = {}
        self.dropped = 0
        """How many were disconnected since they read too slowly."""

    def __len__(self) -> int:
        return len(self._queues)

    @contextlib.contextmanager
    def one_more(self, transport: asyncio.Transport | None) -> Iterator[asyncio.Queue[bytes]]:
        """Give what a new listener is to be sent.

        Args:
            transport: Its connection, which is aborted if it reads too slowly.
        """
        queue: asyncio.Queue[bytes] = asyncio.Queue(WAITING)
        self._queues[queue] = transport
        try:
            yield queue
        finally:
            self._queues.pop(queue, None)

    def tell(self, name: str, data: Any) -> None:
        """Have all of them told of an event."""
        if not self._queues:
            return
        message = event(name, data)
        for queue, transport in list(self._queues.items()):
            try:
                queue.put_nowait(message)
            except asyncio.QueueFull:
                self.dropped += 1
                del self._queues[queue]
                if transport is not None:
                    transport.abort()
