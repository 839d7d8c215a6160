"""Data, responses and interruptions over HiSLIP, clause by clause of IVI-6.1 (numbers as in revision 2.0)."""

from __future__ import annotations

import socket
import struct
from typing import TYPE_CHECKING

import pytest

from tokaido_testing.hislip import FIRST, Client, Rig, packed
from tokaido_testing.voa import hislip_port, launch_voa

if TYPE_CHECKING:
    pass

ANY_ID = 0xFFFF_FFFF


def heard(rig: Rig) -> list[bytes]:
    """Return what the instrument was told, without the ends of lines."""
    return [message.data.strip() for message in rig.instrument.received]


# --- where a message ends (1.3, 3.1.1, 6.4) -------------------------------------------------------------------------


def test_an_end_or_a_newline_ends_a_message(rig: Rig, client: Client) -> None:  # 1.3: eom
    one = client.write(b"one?")
    assert client.sync.receive() == (7, 0, one, b"ONE?\n")
    client.read = True
    two = client.write(b"two?\n", end=False)  # a newline without END is an eom too
    assert client.sync.receive() == (7, 0, two, b"TWO?\n")
    client.read = True
    client.write(b"thr", end=False)
    assert client.sync.silent()
    three = client.write(b"ee?", end=False)
    assert client.sync.silent()
    end = client.write(b"")
    assert client.sync.receive() == (7, 0, end, b"THREE?\n")
    assert three != end
    assert heard(rig) == [b"one?", b"two?", b"three?"]


def test_several_messages_in_one_are_carried_out_in_turn(rig: Rig, client: Client) -> None:  # 1.3, 3.1.1
    client.write(b"one\ntwo\r\n\nthree?\n")
    assert client.sync.receive().payload == b"THREE?\n"
    assert heard(rig) == [b"one", b"two", b"three?"]


def test_a_response_bears_the_id_of_the_message_with_the_end(client: Client) -> None:  # 3.1.1, 6.4
    client.asynchronous.send(15, 0, 0, struct.pack("!Q", 26))
    client.asynchronous.receive()
    client.write(b"a long ", end=False)
    number = client.write(b"question?")
    pieces = [client.sync.receive() for _ in range(2)]
    assert pieces == [(6, 0, number, b"A LONG QUE"), (7, 0, number, b"STION?\n")]


def test_data_whose_end_was_within_a_message_bear_no_id(rig: Rig, client: Client) -> None:  # 3.1.1
    rig.instrument.held = True
    client.write(b"one?\ntwo?\n")
    rig.until(lambda: rig.instrument.waiting)
    rig.do(lambda: rig.server.respond(rig.instrument.waiting[0], b"ON", end=False))
    assert client.sync.receive() == (6, 0, ANY_ID, b"ON")
    rig.do(rig.instrument.go_on)
    assert client.sync.receive()[:3] == (13, 0, FIRST)  # the rest of the same message came before it was read
    assert client.sync.receive() == (7, 0, FIRST, b"TWO?\n")


@pytest.mark.parametrize(("kind", "code"), [(6, 2), (7, 2), (12, 2)])
def test_an_unknown_delivery_flag_is_an_error(client: Client, kind: int, code: int) -> None:  # 6.3, 6.4, 6.8
    client.sync.send(kind, 2, client.next_id, b"")
    assert client.sync.receive()[:2] == (3, code)


def test_a_message_that_lost_a_piece_is_not_carried_out(rig: Rig, client: Client) -> None:  # 6.3
    client.write(b"OUTP ", end=False)
    client.sync.send(6, 4, client.next_id, b"OFF;")
    client.next_id += 2
    assert client.sync.receive()[:2] == (3, 2)
    client.write(b"ON")
    client.write(b"OUTP ", end=False)
    client.write(bytes((1 << 20) + 1), end=False)
    assert client.sync.receive()[:2] == (3, 4)
    client.write(b"ON")
    assert client.query(b"name?") == b"NAME?\n"
    assert heard(rig) == [b"name?"]


def test_what_a_client_sent_before_it_left_is_carried_out(rig: Rig) -> None:  # nothing in the text speaks against it
    rig.instrument.held = True
    with rig.client() as client:
        for word in (b"one", b"two", b"three"):
            client.write(word)
    rig.until(lambda: heard(rig) == [b"one", b"two", b"three"])


def test_what_a_client_sent_before_a_reset_is_not_carried_out(rig: Rig) -> None:  # an order that was given up
    rig.instrument.held = True
    client = rig.client()
    for word in (b"one", b"two"):
        number = client.write(word)
    rig.until(lambda: rig.server.sessions[client.session].last_id == number)
    for channel in (client.sync, client.asynchronous):
        channel.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()
    rig.until(lambda: not rig.server.sessions)
    rig.do(rig.instrument.go_on)
    assert heard(rig) == [b"one"]


# --- interrupted (3.1.1, 6.11, A) -----------------------------------------------------------------------------------


def test_a_response_that_a_newer_message_overtook_is_interrupted(rig: Rig, client: Client) -> None:  # 3.1.1-1, 6.11
    rig.instrument.held = True
    client.write(b"one?")
    rig.until(lambda: rig.instrument.waiting)
    two = client.write(b"two?")
    three = client.write(b"three?")
    rig.until(lambda: rig.server.sessions[client.session].last_id == three)
    rig.do(rig.instrument.go_on)
    for number in (two, three):  # the message that interrupted is the next one
        assert client.asynchronous.receive() == (14, 0, number, b"")
        assert client.sync.receive() == (13, 0, number, b"")
    assert client.sync.receive() == (7, 0, three, b"THREE?\n")
    assert rig.instrument.faults == ["interrupted"] * 2
    assert heard(rig) == [b"one?", b"two?", b"three?"]


def test_two_questions_at_once_interrupt_the_first(rig: Rig, client: Client) -> None:  # 3.1.1-1, A.2
    client.sync.socket.sendall(packed(7, 0, FIRST, b"one?\n") + packed(7, 0, FIRST + 2, b"two?\n"))
    assert client.sync.receive() == (13, 0, FIRST + 2, b"")
    assert client.asynchronous.receive() == (14, 0, FIRST + 2, b"")
    assert client.sync.receive() == (7, 0, FIRST + 2, b"TWO?\n")
    assert rig.instrument.faults == ["interrupted"]


def test_an_order_before_a_question_interrupts_nothing(rig: Rig, client: Client) -> None:  # 3.1.1-1
    client.sync.socket.sendall(packed(7, 0, FIRST, b"order\n") + packed(7, 0, FIRST + 2, b"two?\n"))
    assert client.sync.receive() == (7, 0, FIRST + 2, b"TWO?\n")
    assert rig.instrument.faults == []


def test_a_response_that_was_sent_in_part_is_interrupted_too(rig: Rig, client: Client) -> None:  # 3.1.1-1, A.2
    rig.instrument.held = True
    one = client.write(b"one?")
    rig.until(lambda: rig.instrument.waiting)
    rig.do(lambda: rig.server.respond(rig.instrument.waiting[0], b"ON", end=False))
    assert client.sync.receive() == (6, 0, one, b"ON")
    two = client.write(b"two?")
    rig.until(lambda: rig.server.sessions[client.session].last_id == two)
    rig.do(rig.instrument.go_on)
    assert client.sync.receive() == (13, 0, two, b"")
    assert client.sync.receive() == (7, 0, two, b"TWO?\n")


def test_a_response_sent_before_the_next_message_is_an_error_within_alone(rig: Rig, client: Client) -> None:  # 3.1.1-2
    one = client.write(b"one?")
    assert client.sync.receive() == (7, 0, one, b"ONE?\n")
    two = client.write(b"two?")  # says that the first response was not delivered
    assert client.sync.receive() == (7, 0, two, b"TWO?\n")
    assert client.asynchronous.silent()
    assert rig.instrument.faults == ["interrupted"]
    client.read = True
    assert client.query(b"three?") == b"THREE?\n"
    assert rig.instrument.faults == ["interrupted"]


def test_one_message_in_pieces_is_one_error_at_most(rig: Rig, client: Client) -> None:  # 3.1.1-2
    client.query(b"one?")
    client.read = False
    client.write(b"tw", end=False)
    client.write(b"o", end=False)
    number = client.write(b"?")
    assert client.sync.receive() == (7, 0, number, b"TWO?\n")
    assert rig.instrument.faults == ["interrupted"]


def test_a_delivery_that_nobody_expects_is_an_error_within(rig: Rig, client: Client) -> None:  # 3.1.1-2
    client.query(b"one?")
    client.write(b"order")
    client.read = True  # for the second time
    assert client.query(b"two?") == b"TWO?\n"
    assert rig.instrument.faults == ["interrupted"]
    assert client.asynchronous.silent()


def test_a_status_query_may_say_that_a_response_was_delivered(rig: Rig, client: Client) -> None:  # 3.1.1-2
    client.query(b"one?")
    client.status()  # takes the flag with it
    assert not client.read
    assert client.query(b"two?") == b"TWO?\n"
    assert rig.instrument.faults == []


def test_an_interruption_is_in_the_error_queue_of_the_instrument() -> None:  # 3.1.1
    with launch_voa("hislip", hislip_profile="strict") as voa, Client(hislip_port(voa)) as client:
        client.query(b"*IDN?")
        client.read = False
        assert client.query(b"SYST:ERR?") == b'-410,"Query INTERRUPTED"\n'
        client.write(b"INP:ATT 5;*OPC?")
        number = client.write(b"SYST:ERR?")
        assert client.sync.receive() == (13, 0, number, b"")
        assert client.sync.receive() == (7, 0, number, b'-410,"Query INTERRUPTED"\n')


# --- trigger (6.8) --------------------------------------------------------------------------------------------------


def test_a_trigger_is_a_message_of_its_own(rig: Rig, client: Client) -> None:  # 1.3, 6.8
    client.write(b"order")
    number = client.write(b"", kind=12)
    assert client.sync.receive() == (7, 0, number, b"triggered\n")
    assert heard(rig) == [b"order", b""]


def test_a_trigger_within_a_message_is_an_error_of_the_instrument(rig: Rig, client: Client) -> None:  # 6.8, 488.2
    client.write(b"half an or", end=False)
    client.write(b"", kind=12)
    assert client.query(b"name?") == b"NAME?\n"
    assert rig.instrument.faults == ["misplaced trigger"]
    assert heard(rig) == [b"name?"]
    with launch_voa("hislip", hislip_profile="strict") as voa, Client(hislip_port(voa)) as other:
        other.write(b"*CLS;", end=False)
        other.write(b"", kind=12)
        assert other.query(b"SYST:ERR?") == b'-105,"GET not allowed"\n'


# --- overlapped mode (3.2) ------------------------------------------------------------------------------------------


def test_overlapped_mode_interrupts_nothing_and_counts_its_messages() -> None:  # 3.2, 3.2.1
    with Rig(overlapped=True) as rig, rig.client() as client:
        assert client.greeting.control == 1
        client.asynchronous.send(15, 0, 0, struct.pack("!Q", 20))
        client.asynchronous.receive()
        client.sync.socket.sendall(packed(7, 0, FIRST, b"one?\n") + packed(7, 0, FIRST + 2, b"two?\n"))
        replies = [client.sync.receive() for _ in range(4)]
        assert [reply.parameter for reply in replies] == [FIRST + 2 * count for count in range(4)]
        assert [reply.type for reply in replies] == [6, 7, 6, 7]
        assert b"".join(reply.payload for reply in replies) == b"ONE?\nTWO?\n"
        assert rig.instrument.faults == []


def test_ids_wrap_around(client: Client) -> None:  # 3.1.2, 3.2.1
    for _ in range(300):
        assert client.query(b"name?") == b"NAME?\n"
    assert client.next_id == (FIRST + 600) % (1 << 32)


# --- the lenient profile (ours) -------------------------------------------------------------------------------------


def test_the_lenient_profile_sends_both_responses_and_nothing_unasked() -> None:
    with Rig(profile="lenient") as rig, rig.client() as client:
        client.sync.socket.sendall(packed(7, 0, FIRST, b"one?\n") + packed(7, 0, FIRST + 2, b"two?\n"))
        assert client.sync.receive() == (7, 0, FIRST, b"ONE?\n")
        assert client.sync.receive() == (7, 0, FIRST + 2, b"TWO?\n")
        assert client.asynchronous.silent()
        assert rig.instrument.faults == []
