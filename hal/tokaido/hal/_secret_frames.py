"""Messages that carry keys: frames that can be wiped, and are."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, cast

from tokaido.hal.transports._zmq import ZmqTransport

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

    from tokaido.hal._keys import KeyMaterial


class SecretZmqTransport(ZmqTransport):
    """A transport whose frames may hold keys: they are in buffers of ours, and ZeroMQ's own are wiped at once."""

    def _taken(self, frame: Any) -> bytes:
        with frame.buffer as view:
            taken = bytearray(view)
            view[:] = bytes(len(view))
        return cast("bytes", taken)  # to a codec it is as good as bytes


def wipe(frames: Sequence[bytes]) -> None:
    """Overwrite the frames of a message that arrived."""
    for frame in cast("Sequence[object]", frames):
        if isinstance(frame, bytearray):
            frame[:] = bytes(len(frame))


@contextmanager
def wiped_on_error(key: KeyMaterial) -> Generator[None]:
    """Overwrite a key that nobody gets, because of an error within the context."""
    try:
        yield
    except BaseException:
        key.wipe()
        raise
