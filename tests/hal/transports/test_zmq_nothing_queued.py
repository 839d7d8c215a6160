"""What is sent to a ZeroMQ peer that went away is refused at once; nothing waits for the peer's return."""

from __future__ import annotations

import socket
import time
from typing import TYPE_CHECKING, Any

import pytest

from tokaido.hal import NotConnectedError, OutcomeUnknownError, Resource
from tokaido.hal.transports import ZmqTransport
from tokaido_testing.peers import RouterPeer
from tokaido_testing.rigs import Rig, message

if TYPE_CHECKING:
    from collections.abc import Callable


def test_a_command_to_a_peer_that_left_unnoticed_is_not_sent(
    make_rig: Callable[..., Rig], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The peer goes away after the look at the monitor and before the message: only the socket itself can tell."""
    box = make_rig("zmq")
    transport = box.transport
    assert isinstance(box.peer, RouterPeer)
    assert isinstance(transport, ZmqTransport)
    box.ask(1)
    left, look = [box.peer.unplug], ZmqTransport._make_ready

    def leave(self: ZmqTransport, deadline: Any) -> None:
        if not left:
            look(self, deadline)
            return
        left.pop()()
        time.sleep(0.2)  # until the socket has lost its connection

    monkeypatch.setattr(ZmqTransport, "_make_ready", leave)
    with pytest.raises(NotConnectedError, match="the peer takes no message") as caught:
        transport.exchange(message("V2?", repeatable=False), 1.0)
    assert not isinstance(caught.value, OutcomeUnknownError)
    box.peer.plug()
    assert box.ask(3, 1.0) == "3 BOX1"
    assert box.times_asked(2) == 0


def test_a_command_to_a_peer_that_proved_nothing_yet_is_not_queued(
    make_rig: Callable[..., Rig], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The socket itself holds nothing back for later, though the wait for the handshake were to end too early."""
    box = make_rig("zmq")
    monkeypatch.setattr(ZmqTransport, "_await_handshake", lambda self, deadline: None)
    with socket.create_server(("127.0.0.1", 0)) as mute:
        resource = Resource("zmq", f"tcp://127.0.0.1:{mute.getsockname()[1]}", box.transport.resource.options)
        with ZmqTransport(resource, timeout_s=0.3) as transport:
            with pytest.raises(NotConnectedError, match="the peer takes no message") as caught:
                transport.exchange(message("V2?", repeatable=False))
            assert not isinstance(caught.value, OutcomeUnknownError)
