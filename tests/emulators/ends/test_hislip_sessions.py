"""Sessions of a HiSLIP server, errors and bounds, clause by clause of IVI-6.1 (numbers as in revision 2.0)."""

from __future__ import annotations

import struct
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

from tokaido_testing.hislip import FIRST, HEADER, Channel, Client, Rig, packed
from tokaido_testing.patience import in_time

if TYPE_CHECKING:
    pass

INITIALIZE = (0, 0, 0x01007878, b"hislip0")


@pytest.mark.parametrize(
    ("version", "agreed"), [(0x0100, 0x0100), (0x0101, 0x0101), (0x0200, 0x0200), (0x0305, 0x0200)]
)
def test_the_lower_of_both_versions_is_agreed(rig: Rig, version: int, agreed: int) -> None:  # 2.1, 6.1
    with rig.client(version=version) as client:
        assert client.greeting.parameter >> 16 == agreed
        assert client.query(b"name?") == b"NAME?\n"


def test_no_port_is_taken_for_granted() -> None:  # 2.2
    with Rig() as one, Rig() as two:
        assert one.server.port != two.server.port
        chosen = one.server.port
    with Rig(port=chosen) as again, again.client() as client:
        assert again.server.port == chosen
        assert client.query(b"name?") == b"NAME?\n"


def test_what_has_no_meaning_is_sent_as_zero(client: Client) -> None:  # 2.3
    client.asynchronous.send(10, 1, FIRST - 2)
    assert client.asynchronous.receive() == (11, 0, 0, b"")
    client.asynchronous.send(21, 0, FIRST - 2)
    assert client.asynchronous.receive() == (22, 0, 0, b"")
    client.asynchronous.send(19)
    assert client.asynchronous.receive() == (23, 0, 0, b"")
    client.sync.send(8)
    assert client.sync.receive() == (9, 0, 0, b"")


@pytest.mark.parametrize("version", [0x0100, 0x0200])
def test_descriptors_are_asked_for_from_version_2_on(rig: Rig, version: int) -> None:  # 2.5, 5
    with rig.client(version=version) as client:
        for channel in (client.sync, client.asynchronous):
            channel.send(26)
            answer = channel.receive()
            assert answer[:2] == ((27, 0) if version == 0x0200 else (3, 1))
            assert answer.payload == b"" or answer.type == 3


def test_secure_connections_are_not_offered(rig: Rig) -> None:  # 4, 6.15, 6.16
    with rig.client(version=0x0200) as client:
        assert client.greeting.control == 0
        assert client.async_greeting.control == 0
        for kind in (29, 32):
            client.asynchronous.send(kind, 0, FIRST - 2, bytes(4))
            assert client.asynchronous.receive()[:2] == (3, 1)
        for kind in (28, 31, 34, 36, 37):
            client.sync.send(kind)
            assert client.sync.receive()[:2] == (3, 1)


def test_a_sub_address_may_be_left_out_and_has_a_bound(rig: Rig) -> None:  # 6.1
    with rig.client(sub_address=b"") as client:
        assert client.query(b"name?") == b"NAME?\n"
    for wrong in (b"elsewhere" * 20, b"hislip0" + b"x" * 250, b"x" * 100_000):
        channel = Channel(rig.server.port)
        channel.send(0, 0, 0x01007878, wrong)
        error = channel.receive()
        assert error.type == 2
        assert 0 < len(error.payload) <= 256  # 2.7: clients have room for that
        channel.close()


def test_clients_initialize_side_by_side(rig: Rig) -> None:  # 6.1
    first, second = Channel(rig.server.port), Channel(rig.server.port)
    first.send(*INITIALIZE)
    second.send(*INITIALIZE)
    numbers = [channel.receive().parameter & 0xFFFF for channel in (first, second)]
    others = []
    for number in reversed(numbers):
        others.append(Channel(rig.server.port))
        others[-1].send(17, 0, number)
        assert others[-1].receive().type == 18
    for channel in (first, second):
        channel.send(7, 0, FIRST, b"name?\n")
        assert channel.receive() == (7, 0, FIRST, b"NAME?\n")
    for channel in (first, second, *others):
        channel.close()


def test_a_client_may_leave_after_the_first_response(rig: Rig) -> None:  # 6.1
    for _ in range(20):
        channel = Channel(rig.server.port)
        channel.send(*INITIALIZE)
        assert channel.receive().type == 1
        channel.close()
    rig.until(lambda: not rig.server.sessions)
    assert rig.instrument.faults == []


def test_an_asynchronous_channel_is_not_taken_twice(rig: Rig, client: Client) -> None:  # 6.1
    thief = Channel(rig.server.port)
    thief.send(17, 0, client.session)
    assert thief.receive()[:2] == (2, 3)
    assert thief.ended()
    thief.close()
    assert client.query(b"name?") == b"NAME?\n"
    assert client.asynchronous.silent()


def test_half_open_clients_keep_nobody_out(rig: Rig) -> None:  # 6.1
    with ExitStack() as open_channels:
        for count in range(60):
            channel = Channel(rig.server.port)
            open_channels.callback(channel.close)
            if count % 2:
                channel.send(*INITIALIZE)
        with rig.client() as client:
            assert client.query(b"name?") == b"NAME?\n"
        assert rig.do(lambda: len(rig.server.sessions)) < 40  # type: ignore[operator]  # pyright: ignore[reportOperatorIssue]


@pytest.mark.parametrize("greeted", [False, True])
def test_a_client_that_does_not_finish_initializing_is_dropped_in_time(greeted: bool) -> None:  # 6.1, 6.2
    with Rig(initialization_s=0.05) as rig, rig.client() as finished:
        began = time.monotonic()
        channel = Channel(rig.server.port)
        if greeted:
            channel.send(*INITIALIZE)
            assert channel.receive().type == 1
        assert channel.receive()[:2] == (2, 3)
        assert channel.ended()
        assert in_time(began, 1)
        channel.close()
        assert finished.query(b"name?") == b"NAME?\n"


CAUSES = {
    "poorly formed header": (b"GET / HTTP/1.1\r\n\r\n", 1),
    "initialized before": (packed(*INITIALIZE), 3),
    "initialized before, asynchronously": (packed(17, 0, 1), 3),
}


@pytest.mark.parametrize("cause", CAUSES)
@pytest.mark.parametrize("side", ["sync", "asynchronous"])
def test_a_fatal_error_is_sent_on_both_channels(client: Client, cause: str, side: str) -> None:  # 6.2
    data, code = CAUSES[cause]
    (client.sync if side == "sync" else client.asynchronous).socket.sendall(data)
    for channel in (client.sync, client.asynchronous):
        error = channel.receive()
        assert error[:3] == (2, code, 0)
        assert error.payload.isascii()
        assert channel.ended()


@pytest.mark.parametrize("side", ["sync", "asynchronous"])
def test_a_clients_fatal_error_ends_both_channels_and_its_locks(rig: Rig, side: str) -> None:  # 6.2
    with rig.client() as client, rig.client() as other:
        client.asynchronous.send(4, 1, 0)
        assert client.asynchronous.receive()[:2] == (5, 1)
        (client.sync if side == "sync" else client.asynchronous).send(2, 0, 0, b"enough")
        assert client.sync.ended()
        assert client.asynchronous.ended()
        assert other.query(b"name?") == b"NAME?\n"


@pytest.mark.parametrize("side", ["sync", "asynchronous"])
def test_an_error_goes_to_the_channel_of_its_cause(client: Client, side: str) -> None:  # 6.3, 6.9
    channel, other = (client.sync, client.asynchronous)[:: 1 if side == "sync" else -1]
    foreign = 21 if side == "sync" else 7
    for kind, code in ((foreign, 1), (1, 1), (39, 1), (127, 1), (128, 3), (255, 3)):
        channel.send(kind, 0, 0, b"payload")
        assert channel.receive()[:3] == (3, code, 0)
    channel.send(200, 5, 6, bytes(5000))  # a vendor's message may be long
    assert channel.receive()[:2] == (3, 3)
    channel.send(3, 0, 0, b"an error is not answered")
    assert channel.silent()
    assert other.silent()
    assert client.query(b"name?") == b"NAME?\n"


@pytest.mark.parametrize("side", ["sync", "asynchronous"])
def test_a_length_is_not_believed(rig: Rig, client: Client, side: str) -> None:  # 2.7
    channel, kind = (client.sync, 7) if side == "sync" else (client.asynchronous, 4)
    channel.socket.sendall(HEADER.pack(b"HS", kind, 0, FIRST, 1 << 62))
    began = time.monotonic()
    assert channel.receive()[:2] == (3, 4)
    assert in_time(began, 1)
    channel.socket.sendall(bytes(3_000_000))
    with rig.client() as other:
        assert other.query(b"name?") == b"NAME?\n"


def test_a_lock_string_has_a_bound(client: Client) -> None:  # 2.7
    client.asynchronous.send(4, 1, 0, b"k" * 257)
    assert client.asynchronous.receive()[:2] == (3, 4)
    client.asynchronous.send(4, 1, 0, b"k" * 256)
    assert client.asynchronous.receive()[:2] == (5, 1)


def test_a_message_of_many_pieces_has_a_bound(rig: Rig, client: Client) -> None:  # 2.7
    for _ in range(6):
        client.write(bytes(1 << 20), end=False)
    client.write(b"name?")
    assert client.sync.receive()[:2] == (3, 4)
    assert client.query(b"name?") == b"NAME?\n"
    assert [message.data.strip() for message in rig.instrument.received] == [b"name?"]


def test_a_client_that_does_not_read_is_not_read_either(rig: Rig, client: Client) -> None:  # 2.6.1, 2.7
    client.asynchronous.send(19)
    client.asynchronous.receive()
    client.sync.send(8, 1)  # overlapped: nothing is interrupted
    assert client.sync.receive()[:2] == (9, 1)
    question = packed(7, 0, FIRST, b"q" * 200_000 + b"?\n")
    sent = pending = 0
    client.sync.socket.settimeout(0.1)
    try:
        while sent < 500:
            pending += client.sync.socket.send(question[pending:])
            if pending == len(question):
                sent, pending = sent + 1, 0
    except TimeoutError:
        pass
    assert sent < 500  # it was held back, and nothing that it sent is lost
    client.sync.socket.settimeout(5)
    for _ in range(sent):
        assert len(client.sync.receive().payload) == 200_002
    client.sync.socket.sendall(question[pending:])
    assert len(client.sync.receive().payload) == 200_002


def test_each_connection_has_a_message_size_of_its_own(rig: Rig) -> None:  # 6.10
    with rig.client() as one, rig.client() as two:
        for client, size in ((one, 116), (two, 1016)):
            client.asynchronous.send(15, 0, 0, struct.pack("!Q", size))
            assert client.asynchronous.receive() == (16, 0, 0, struct.pack("!Q", 1 << 20))
        for client, room in ((one, 100), (two, 1000)):
            number = client.write(b"q" * 2500 + b"?")
            lengths = []
            while True:
                reply = client.sync.receive()
                assert reply.parameter == number
                lengths.append(len(reply.payload))
                if reply.type == 7:
                    break
            assert set(lengths[:-1]) == {room}
            assert sum(lengths) == 2502


def test_a_message_size_without_room_for_a_payload_is_an_error(client: Client) -> None:  # 6.10
    for payload in (struct.pack("!Q", 16), struct.pack("!Q", 0), b"1234", b""):
        client.asynchronous.send(15, 0, 0, payload)
        assert client.asynchronous.receive()[:2] == (3, 0)
    assert client.query(b"name?") == b"NAME?\n"
