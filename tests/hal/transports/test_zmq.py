from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

import pytest
import zmq

from tokaido.hal import (
    AuthenticationError,
    ConfigurationError,
    NotConnectedError,
    ProtocolError,
    Resource,
    TraceRecord,
    TransportError,
    create_curve_keys,
    trace,
)
from tokaido.hal.transports import ZmqTransport, _zmq, open_transport
from tokaido_testing.patience import in_time, patient
from tokaido_testing.peers import RouterPeer, TcpProxy
from tokaido_testing.rigs import Rig, message

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture
def box(make_rig: Callable[..., Rig]) -> Rig:
    return make_rig("zmq")


def through(port: int, box: Rig) -> ZmqTransport:
    """Return another transport to the box, by another port."""
    return ZmqTransport(
        Resource("zmq", f"tcp://127.0.0.1:{port}", box.transport.resource.options), timeout_s=patient(0.3)
    )


def test_a_wrong_server_key_is_an_authentication_error_at_once(box: Rig, tmp_path: Path) -> None:
    box.transport.resource.options["server_key_file"] = str(create_curve_keys(tmp_path, "other").public)
    start = time.monotonic()
    with pytest.raises(AuthenticationError, match=r"server_key_file.*Fetch its public key"):
        box.ask(1, 5.0)
    assert in_time(start, 1)


def test_a_client_whose_key_the_peer_does_not_know_is_refused_at_once(box: Rig, tmp_path: Path) -> None:
    box.transport.resource.options["client_key_file"] = str(create_curve_keys(tmp_path, "other").secret)
    start = time.monotonic()
    with pytest.raises(AuthenticationError, match="refuses our key"):
        box.ask(1, 5.0)
    assert in_time(start, 1)


def test_a_peer_without_curve_is_refused(box: Rig) -> None:
    context: zmq.Context[Any] = zmq.Context()
    plain = context.socket(zmq.ROUTER)
    port = plain.bind_to_random_port("tcp://127.0.0.1")
    with through(port, box) as transport, pytest.raises(AuthenticationError):
        transport.open()
    plain.close(linger=0)
    context.term()


def test_without_keys_nothing_is_even_tried() -> None:
    with pytest.raises(ConfigurationError, match="client_key_file: is missing"):
        ZmqTransport(Resource("zmq", "tcp://127.0.0.1:5560", {"server_key_file": "a.key"}))


def test_a_missing_key_file_is_a_configuration_error(box: Rig) -> None:
    box.transport.resource.options["client_key_file"] = "/nowhere/me.key_secret"
    with pytest.raises(ConfigurationError, match=r"/nowhere/me.key_secret cannot be read.*zmq:tcp"):
        box.ask(1)


@pytest.mark.parametrize("fault", ["garble", "duplicate", "drop", "cut", "reset"])
def test_a_wire_that_garbles_costs_at_most_one_call(box: Rig, fault: str) -> None:
    assert isinstance(box.peer, RouterPeer)
    with TcpProxy(box.peer.port) as proxy, through(proxy.port, box) as transport:
        assert transport.exchange(message("V1?")) == "1 BOX1"
        proxy.fault(fault)
        kinds: list[type[TransportError]] = []
        for number in (2, 3, 4, 5):
            start = time.monotonic()
            try:
                assert transport.exchange(message(f"V{number}?")) == f"{number} BOX1"
            except TransportError as error:
                kinds.append(type(error))
            assert in_time(start, 0.7)
        assert len(kinds) <= 1
        assert AuthenticationError not in kinds


def test_a_disconnection_ends_the_wait_at_once(box: Rig) -> None:
    assert isinstance(box.peer, RouterPeer)
    with TcpProxy(box.peer.port) as proxy, through(proxy.port, box) as transport:
        transport.open()
        proxy.fault("reset")
        start = time.monotonic()
        with pytest.raises(NotConnectedError, match="disconnected"):
            transport.exchange(message("V1?"), 5.0)
        assert in_time(start, 1)


def test_a_peer_that_accepts_and_says_nothing_ends_at_the_deadline(box: Rig) -> None:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as mute, through(mute.getsockname()[1], box) as transport:
        start = time.monotonic()
        with pytest.raises(NotConnectedError, match="did not finish the handshake"):
            transport.open(0.2)
        assert time.monotonic() - start >= 0.2
        assert in_time(start, 0.6)


def test_too_many_parts_are_a_protocol_error_and_too_large_a_frame_ends_the_connection(
    box: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_zmq, "MAX_FRAME_BYTES", 1 << 16)
    box.ask(1)
    box.peer.fault("endless")
    with pytest.raises(ProtocolError, match="more than 64 parts"):
        box.ask(2, 1.0)
    box.peer.fault("oversized")
    with pytest.raises(NotConnectedError):
        box.ask(3, 1.0)
    assert box.ask(4) == "4 BOX1"


def test_messages_that_came_unasked_are_dropped(box: Rig) -> None:
    box.ask(1)
    box.peer.fault("duplicate")
    box.ask(2)
    box.transport.listen(0.2)
    assert box.ask(3) == "3 BOX1"
    box.transport.listen()
    assert box.wrong == []


def test_a_transport_moves_between_threads(box: Rig) -> None:
    def ask(number: int) -> None:
        box.ask(number, 1.0)

    for number in range(20):
        thread = threading.Thread(target=ask, args=(number,))
        thread.start()
        thread.join()
    box.ask(20)
    assert box.right == 21
    assert box.transport.generation == 1


def test_a_trace_shows_sizes_only(box: Rig) -> None:
    records: list[TraceRecord] = []
    box.ask(1)
    with trace(box.transport, records.append):
        box.ask(2)
    assert [f"{record.direction} {record.text}" for record in records] == ["> <3 bytes>", "< <3 bytes> <6 bytes>"]


def test_within_a_process_no_keys_are_needed() -> None:
    router: Any = zmq.Context.instance().socket(zmq.ROUTER)
    router.bind("inproc://box")
    with open_transport(Resource.parse("zmq:inproc://box"), timeout_s=patient(0.5)) as transport:
        assert isinstance(transport, ZmqTransport)

        def answer() -> None:
            client, question = router.recv_multipart()
            router.send_multipart([client, question, b"hello"])

        thread = threading.Thread(target=answer)
        thread.start()
        assert transport.exchange(message("V1?")) == "hello"
        thread.join()
    router.close(linger=0)
