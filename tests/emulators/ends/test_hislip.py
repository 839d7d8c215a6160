"""The HiSLIP server against IVI-6.1, message type by message type and code by code, with plain sockets."""

from __future__ import annotations

import struct
import time
from typing import TYPE_CHECKING

import pytest

from tokaido_testing.hislip import FIRST, Channel, Client, Reply
from tokaido_testing.patience import in_time
from tokaido_testing.voa import hislip_port, launch_voa

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tokaido.emulators import InstrumentEmulator


@pytest.fixture
def voa() -> Iterator[InstrumentEmulator]:
    with launch_voa("hislip", hislip_profile="strict") as emulator:
        yield emulator


@pytest.fixture
def client(voa: InstrumentEmulator) -> Iterator[Client]:
    with Client(hislip_port(voa)) as opened:
        yield opened


@pytest.fixture
def lenient() -> Iterator[Client]:
    with launch_voa("hislip") as emulator, Client(hislip_port(emulator)) as opened:
        yield opened


# --- sessions -------------------------------------------------------------------------------------------------------


def test_initialization_gives_a_session_id_and_the_version_that_both_know(voa: InstrumentEmulator) -> None:
    for version, agreed in ((0x0100, 0x0100), (0x0200, 0x0200)):
        with Client(hislip_port(voa), version=version, sub_address=b"HISLIP0") as client:
            assert (client.greeting.type, client.greeting.control) == (1, 0)
            assert client.greeting.parameter >> 16 == agreed
            assert client.session > 0
            assert (client.async_greeting.type, client.async_greeting.control) == (18, 0)
            assert client.query(b"*IDN?") == b"TOKAIDO,VOA-1,000001,1.0\n"


def test_two_clients_have_sessions_of_their_own(voa: InstrumentEmulator) -> None:
    with Client(hislip_port(voa)) as one, Client(hislip_port(voa)) as two:
        assert one.session != two.session
        one.write(b"INP:NAM")  # never ended
        one.sync.send(6, 0, one.next_id, b"E ")
        assert two.query(b"SYST:VERS?") == b"1999.0\n"
        assert one.sync.silent()


@pytest.mark.parametrize(
    ("first", "code"),
    [((7, 0, FIRST, b"*IDN?"), 3), ((17, 0, 999, b""), 3), ((0, 0, 0x01000000, b"elsewhere"), 0), ((99, 0, 0, b""), 3)],
)
def test_a_session_that_begins_wrong_ends_with_a_fatal_error(
    voa: InstrumentEmulator, first: tuple[int, int, int, bytes], code: int
) -> None:
    channel = Channel(hislip_port(voa))
    channel.send(*first)
    error = channel.receive()
    assert (error.type, error.control) == (2, code)
    assert error.payload
    assert channel.ended()
    channel.close()


def test_data_before_the_asynchronous_channel_is_fatal(voa: InstrumentEmulator) -> None:
    channel = Channel(hislip_port(voa))
    channel.send(0, 0, 0x01007878, b"hislip0")
    channel.receive()
    channel.send(7, 0, FIRST, b"*IDN?")
    assert channel.receive()[:2] == (2, 2)
    assert channel.ended()
    channel.close()


def test_too_many_clients_are_refused(voa: InstrumentEmulator) -> None:
    clients = [Client(hislip_port(voa)) for _ in range(8)]
    channel = Channel(hislip_port(voa))
    channel.send(0, 0, 0x01007878, b"hislip0")
    assert channel.receive()[:2] == (2, 4)
    channel.close()
    clients.pop().close()
    time.sleep(0.05)
    with Client(hislip_port(voa)) as again:
        assert again.query(b"*OPC?") == b"1\n"
    for client in clients:
        client.close()


def test_a_clients_fatal_error_ends_its_session_and_its_error_does_not(client: Client) -> None:
    client.sync.send(3, 0, 0, b"never mind")
    assert client.query(b"*OPC?") == b"1\n"
    client.sync.send(2, 0, 0, b"enough")
    assert client.sync.ended()
    assert client.asynchronous.ended()


# --- errors that are not fatal --------------------------------------------------------------------------------------


@pytest.mark.parametrize(("kind", "code"), [(77, 1), (1, 1), (21, 1), (200, 3)])
def test_an_unknown_message_is_answered_with_an_error_on_its_channel(client: Client, kind: int, code: int) -> None:
    client.sync.send(kind, 0, 0, b"payload is skipped")
    assert client.sync.receive()[:2] == (3, code)
    assert client.query(b"*OPC?") == b"1\n"


def test_an_unknown_control_code_is_an_error(client: Client) -> None:
    client.sync.send(7, 6, FIRST, b"*IDN?")
    assert client.sync.receive()[:2] == (3, 2)
    for kind in (4, 10):
        client.asynchronous.send(kind, 9)
        assert client.asynchronous.receive()[:2] == (3, 2)


def test_a_message_that_is_too_large_is_skipped(client: Client) -> None:
    client.sync.send(7, 0, FIRST, bytes((1 << 20) + 1))
    assert client.sync.receive()[:2] == (3, 4)
    assert client.query(b"*OPC?") == b"1\n"


def test_a_clear_that_nobody_began_and_a_size_of_another_length_are_errors(client: Client) -> None:
    client.sync.send(8)
    assert client.sync.receive()[:2] == (3, 0)
    client.asynchronous.send(15, 0, 0, b"1234")
    assert client.asynchronous.receive()[:2] == (3, 0)


# --- data -----------------------------------------------------------------------------------------------------------


def test_replies_bear_the_id_of_their_question(client: Client) -> None:
    for _ in range(300):  # ids wrap around at 32 bits
        assert client.query(b"SYST:VERS?") == b"1999.0\n"


def test_a_message_may_come_in_pieces_and_a_reply_does(client: Client) -> None:
    client.asynchronous.send(15, 0, 0, struct.pack("!Q", 116))
    size = client.asynchronous.receive()
    assert (size.type, struct.unpack("!Q", size.payload)) == (16, (1 << 20,))
    client.write(b"DIAG:TR", end=False)
    client.write(b"AC? ", end=False)
    number = client.write(b"1000")
    pieces: list[Reply] = []
    while not pieces or pieces[-1].type == 6:
        pieces.append(client.sync.receive())
    assert {len(piece.payload) for piece in pieces[:-1]} == {100}
    assert {piece.parameter for piece in pieces} == {number}
    assert b"".join(piece.payload for piece in pieces) == b"x" * 1000 + b"\n"
    assert pieces[-1].type == 7


def test_a_reply_of_a_megabyte_arrives_whole(client: Client) -> None:
    assert client.query(b"DIAG:TRAC? 1000000") == b"x" * 1_000_000 + b"\n"


def test_a_busy_instrument_hinders_neither_status_nor_clear(client: Client) -> None:
    client.write(b"INP:ATT 5;*OPC?")
    assert client.status() & 0x10 == 0
    began_s = time.monotonic()
    while not client.status() & 0x10:
        assert in_time(began_s, 1.0)
        time.sleep(0.01)
    assert client.sync.receive().payload == b"1\n"


# --- status, service requests, trigger, remote ----------------------------------------------------------------------


def test_a_message_is_available_until_the_client_says_that_it_read_it(client: Client) -> None:
    assert client.status() & 0x10 == 0
    client.write(b"*IDN?")
    reply = client.sync.receive()
    assert reply.type == 7
    assert client.status() & 0x10
    client.read = True
    assert client.status() & 0x10 == 0
    assert client.query(b"*OPC?") == b"1\n"


def test_a_status_query_shows_events_and_errors(client: Client) -> None:
    assert client.query(b"*CLS;*ESE 32;FOO;*OPC?") == b"1\n"
    assert client.status() == 4 | 32


def test_service_is_requested_once_for_each_reason(client: Client) -> None:
    assert client.query(b"*CLS;*ESE 1;*SRE 32;*OPC?") == b"1\n"
    client.write(b"INP:ATT 5;*OPC")
    request = client.asynchronous.receive()
    assert (request.type, request.control) == (20, 32 | 64)
    assert client.status() == 32 | 64
    assert client.status() == 32  # the serial poll has ended the request
    assert client.asynchronous.silent()


def test_lenient_sends_nothing_unasked(lenient: Client) -> None:
    assert lenient.query(b"*CLS;*ESE 1;*SRE 32;*OPC?") == b"1\n"
    lenient.write(b"INP:ATT 5;*OPC")
    time.sleep(0.05)
    assert lenient.asynchronous.silent()
    assert lenient.status() == 32 | 64


def test_a_trigger_comes_in_its_turn(voa: InstrumentEmulator, client: Client) -> None:
    client.write(b"", kind=12)
    assert client.query(b"*OPC?") == b"1\n"
    assert voa.model.triggers == 1  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]


@pytest.mark.parametrize("request_code", range(7))
def test_remote_and_local_are_acknowledged(voa: InstrumentEmulator, client: Client, request_code: int) -> None:
    client.asynchronous.send(10, request_code, FIRST - 2)
    assert client.asynchronous.receive()[:2] == (11, 0)
    assert voa.end.remote == request_code  # type: ignore[union-attr]  # pyright: ignore[reportAttributeAccessIssue]


# --- interrupted ----------------------------------------------------------------------------------------------------


def test_a_reply_that_a_newer_question_overtook_is_thrown_away(client: Client) -> None:
    client.write(b"INP:ATT 5;*OPC?")
    number = client.write(b"SYST:VERS?")
    assert client.asynchronous.receive() == (14, 0, number, b"")
    assert client.sync.receive() == (13, 0, number, b"")
    assert client.sync.receive() == (7, 0, number, b"1999.0\n")


def test_lenient_lets_both_replies_come(lenient: Client) -> None:
    one, two = lenient.write(b"INP:ATT 5;*OPC?"), lenient.write(b"SYST:VERS?")
    assert lenient.sync.receive() == (7, 0, one, b"1\n")
    assert lenient.sync.receive() == (7, 0, two, b"1999.0\n")
    assert lenient.asynchronous.silent()


# --- device clear ---------------------------------------------------------------------------------------------------


def clear(client: Client, features: int = 0) -> int:
    client.asynchronous.send(19)
    assert client.asynchronous.receive()[:1] == (23,)
    client.sync.send(8, features)
    while (reply := client.sync.receive()).type != 9:
        pass
    client.next_id, client.read = FIRST, False
    return reply.control


def test_a_device_clear_throws_away_what_was_asked_and_begins_the_ids_anew(client: Client) -> None:
    client.write(b"INP:ATT 5;*OPC?")
    time.sleep(0.01)
    client.asynchronous.send(19)
    assert client.asynchronous.receive()[:2] == (23, 0)
    client.write(b"*IDN?")  # on its way when the clear began
    time.sleep(0.05)
    client.sync.send(8)
    assert client.sync.receive()[:2] == (9, 0)
    client.next_id = FIRST
    assert client.query(b"INP:ATT?") == b"5.00\n"
    assert client.sync.silent()


def test_the_reply_to_a_question_before_the_clear_is_not_taken_for_a_new_one(client: Client) -> None:
    client.write(b"INP:ATT 5;*OPC?")
    clear(client)
    time.sleep(0.03)
    assert client.query(b"*IDN?").startswith(b"TOKAIDO")


def test_a_device_clear_changes_to_overlapped_mode_and_back(client: Client) -> None:
    assert clear(client, 1) == 1
    client.write(b"*IDN?")
    client.write(b"SYST:VERS?")  # nothing is interrupted
    replies = [client.sync.receive() for _ in range(2)]
    assert [reply.parameter for reply in replies] == [FIRST, FIRST + 2]
    assert replies[1].payload == b"1999.0\n"
    client.asynchronous.send(21, 0, FIRST)
    assert client.asynchronous.receive().control & 0x10  # the last one was not read
    client.asynchronous.send(21, 0, FIRST + 2)
    assert not client.asynchronous.receive().control & 0x10
    assert clear(client, 0) == 0
    assert client.query(b"*OPC?") == b"1\n"
