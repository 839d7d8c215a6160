"""A ZeroMQ socket and the monitor that watches its connection: made together, and always closed in order.

A socket of libzmq that is closed while it is still watched reports its end to the monitor. If nobody reads there any
more, the report waits for ever, and with it libzmq's reaper, the one thread of a context that closes sockets: from
then on no closed socket gives its descriptors back. So monitoring ends before either socket is closed, also when both
are dropped (by the garbage collector in any order) or when Ctrl-C comes in between.
"""

from __future__ import annotations

import os
import struct
import weakref
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    import zmq

_EVENT: Final = struct.Struct("=HI")  # of a socket monitor: event, value (zmq_socket_monitor(3))


class WatchedSocket:
    """A socket of `context`, in `bare`, and what is reported of its one connection."""

    def __init__(self, context: zmq.Context[Any], bare: Any) -> None:
        import zmq  # noqa: PLC0415 - loaded by those who use it

        self.bare: Any = bare
        self.monitor: Any = context.socket(zmq.PAIR)
        self._process = os.getpid()
        self._let_go = weakref.finalize(self, _close, self._process, self.bare, self.monitor)

    def watch(self) -> None:
        """Begin to report how the connection fares."""
        from zmq import Event  # noqa: PLC0415 - as above

        events = Event.CONNECTED | Event.CLOSED | Event.DISCONNECTED | Event.HANDSHAKE_SUCCEEDED
        events |= Event.HANDSHAKE_FAILED_AUTH | Event.HANDSHAKE_FAILED_PROTOCOL | Event.HANDSHAKE_FAILED_NO_DETAIL
        address = f"inproc://tokaido-monitor-{os.urandom(8).hex()}"  # a descriptor's number comes back too soon
        self.bare.monitor(address, events)
        self.monitor.connect(address)

    def next_event(self) -> tuple[int, int]:
        """Return the event that the monitor has, and its value."""
        event, value = _EVENT.unpack_from(self.monitor.recv_multipart()[0])
        return event, value

    def close(self) -> None:
        """Close both sockets in order, unless another process made them. Raises nothing; may be called again."""
        if self._let_go.alive:
            _close(self._process, self.bare, self.monitor)  # `_let_go` does it again if an interrupt comes in between
            self._let_go.detach()


def _close(process: int, bare: Any, monitor: Any) -> None:
    if process != os.getpid():
        return  # a fork's copies are of no use, and the original belongs to its parent
    from zmq import ZMQError  # noqa: PLC0415 - as above

    try:
        if not bare.closed:
            with suppress(ZMQError):  # of a context that its owner ended
                bare.monitor(None, 0)
    finally:
        try:
            monitor.close(linger=0)
        finally:
            bare.close(linger=0)
