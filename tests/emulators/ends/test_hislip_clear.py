"""Device clear over HiSLIP, clause by clause of IVI-6.1 (numbers as in revision 2.0)."""

from __future__ import annotations

import time
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

from tokaido_testing.hislip import FIRST, Client, Reply, Rig
from tokaido_testing.patience import in_time
from tokaido_testing.voa import hislip_port, launch_voa

if TYPE_CHECKING:
    from tokaido.emulators.ends.hislip import Profile


def begin(client: Client) -> Reply:
    client.asynchronous.send(19)
    return client.asynchronous.receive()


def complete(client: Client, features: int = 0) -> Reply:
    client.sync.send(8, features)
    while (reply := client.sync.receive()).type != 9:
        assert reply.type in (6, 7)
    client.next_id, client.read = FIRST, False
    return reply


def two_clients(opened: ExitStack, profile: Profile) -> tuple[Client, Client]:
    port = hislip_port(opened.enter_context(launch_voa("hislip", hislip_profile=profile)))
    return opened.enter_context(Client(port)), opened.enter_context(Client(port))


# --- whom it concerns (2.6.1) ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("profile", ["strict", "lenient"])
def test_a_clear_leaves_the_exchange_of_another_client_alone(profile: Profile) -> None:  # 2.6.1, 6.12
    with ExitStack() as opened:
        one, two = two_clients(opened, profile)
        for _ in range(3):
            number = one.write(b"*CLS;INP:ATT 5;*OPC;*OPC?;*ESR?")
            begin(two)
            complete(two)
            assert one.sync.receive() == (7, 0, number, b"1;1\n")
            one.read = True


def test_a_clear_leaves_what_another_client_is_waiting_for_alone() -> None:  # 2.6.1, 6.12
    with ExitStack() as opened:
        one, two = two_clients(opened, "strict")
        two.write(b"INP:ATT 7;*OPC?")
        number = one.write(b"*IDN?")  # waits for its turn
        begin(two)
        complete(two)
        assert one.sync.receive()[:3] == (7, 0, number)
        assert two.query(b"INP:ATT?") == b"7.00\n"


def test_a_client_without_the_lock_may_clear_and_harms_nobody() -> None:  # 2.6.1
    with ExitStack() as opened:
        one, two = two_clients(opened, "strict")
        one.asynchronous.send(4, 1, 0)
        assert one.asynchronous.receive()[:2] == (5, 1)
        two.write(b"*IDN?")  # waits for the lock
        number = one.write(b"INP:ATT 5;*OPC?")
        assert begin(two)[:2] == (23, 0)
        assert complete(two)[:2] == (9, 0)
        assert one.sync.receive() == (7, 0, number, b"1\n")
        one.close()
        assert two.query(b"INP:ATT?") == b"5.00\n"  # and what it had asked before was forgotten


def test_a_clear_abandons_the_clients_own_operation(rig: Rig, client: Client) -> None:  # 6.12
    rig.instrument.held = True
    for question in (b"one?", b"two?", b"three?"):
        client.write(question)
    rig.until(lambda: rig.server.sessions[client.session].last_id == FIRST + 4)
    begin(client)
    complete(client)
    rig.do(rig.instrument.go_on)
    assert client.query(b"four?") == b"FOUR?\n"
    assert rig.instrument.cleared == [client.session]
    assert [message.data.strip() for message in rig.instrument.received] == [b"one?", b"four?"]


# --- how it goes (6.12) ---------------------------------------------------------------------------------------------


def test_all_is_ignored_until_the_clear_is_complete(rig: Rig, client: Client) -> None:  # 6.12
    begin(client)
    for kind in (6, 7, 12, 1, 3, 26, 99, 200):
        client.sync.send(kind, 8, FIRST, b"whatever?")
    client.sync.send(7, 0, FIRST, bytes((1 << 20) + 1))
    assert complete(client) == (9, 0, 0, b"")
    assert client.query(b"name?") == b"NAME?\n"
    assert [message.data.strip() for message in rig.instrument.received] == [b"name?"]
    assert client.asynchronous.silent()


def test_a_poorly_formed_header_is_fatal_during_a_clear_too(client: Client) -> None:  # 6.12
    begin(client)
    client.sync.socket.sendall(b"no message at all")
    for channel in (client.sync, client.asynchronous):
        assert channel.receive()[:2] == (2, 1)
        assert channel.ended()


def test_a_clear_that_is_not_completed_in_time_is_fatal() -> None:  # 6.12
    with Rig(clear_s=0.05) as rig, rig.client() as client, rig.client() as other:
        client.asynchronous.send(4, 1, 0)
        assert client.asynchronous.receive()[:2] == (5, 1)
        began = time.monotonic()
        begin(client)
        for channel in (client.sync, client.asynchronous):
            assert channel.receive()[:2] == (2, 0)
            assert channel.ended()
        assert in_time(began, 1)
        assert other.query(b"name?") == b"NAME?\n"


def test_an_acknowledgement_comes_before_the_client_goes_on(client: Client) -> None:  # 6.12
    client.sync.send(8)  # nobody began
    assert client.sync.receive()[:2] == (3, 0)
    assert begin(client)[:2] == (23, 0)
    assert client.sync.silent()
    assert begin(client)[:2] == (23, 0)  # once more does no harm
    assert complete(client)[:2] == (9, 0)
    assert client.query(b"name?") == b"NAME?\n"


def test_a_clear_abandons_responses_that_were_not_sent(rig: Rig, client: Client) -> None:  # 6.12
    rig.instrument.held = True
    client.write(b"one?")
    rig.until(lambda: rig.instrument.waiting)
    rig.do(lambda: rig.server.respond(rig.instrument.waiting[0], bytes(14_000_000)))
    begin(client)
    client.sync.send(8)
    came = 0
    while (reply := client.sync.receive()).type != 9:  # the messages that were begun are whole
        assert reply.type == 6
        came += len(reply.payload)
    assert came < 14_000_000
    client.next_id = FIRST
    rig.do(rig.instrument.go_on)
    assert client.query(b"name?") == b"NAME?\n"


@pytest.mark.parametrize("read", [False, True])
def test_ids_and_the_delivery_flag_begin_again(rig: Rig, client: Client, read: bool) -> None:  # 3.1.2, 6.12
    client.write(b"one?")
    assert client.sync.receive().type == 7
    begin(client)
    complete(client)
    assert client.status() & 0x10 == 0  # figure 1
    client.read = read  # whether the last response before the clear was read, the text leaves open
    assert client.write(b"two?") == FIRST
    assert client.sync.receive() == (7, 0, FIRST, b"TWO?\n")
    assert rig.instrument.faults == []


def test_half_a_message_is_forgotten(rig: Rig, client: Client) -> None:  # 6.12
    client.write(b"half an or", end=False)
    begin(client)
    complete(client)
    assert client.query(b"name?") == b"NAME?\n"
    assert [message.data.strip() for message in rig.instrument.received] == [b"name?"]


# --- what it does to transactions of the asynchronous channel (6.5.1, 6.12) -----------------------------------------


def test_a_request_for_a_lock_ends_at_once(rig: Rig, client: Client) -> None:  # 6.12
    with rig.client() as other:
        other.asynchronous.send(4, 1, 0)
        assert other.asynchronous.receive()[:2] == (5, 1)
        client.asynchronous.send(4, 1, 60_000)
        client.asynchronous.send(19)
        assert client.asynchronous.receive()[:2] == (5, 0)
        assert client.asynchronous.receive()[:2] == (23, 0)
        complete(client)
        other.close()
        assert client.query(b"name?") == b"NAME?\n"
        client.asynchronous.send(24)
        assert client.asynchronous.receive()[:3] == (25, 0, 0)  # it did not get the lock afterwards


def test_a_pending_release_is_carried_out_without_a_word(rig: Rig, client: Client) -> None:  # 6.5.1
    client.asynchronous.send(4, 1, 0)
    assert client.asynchronous.receive()[:2] == (5, 1)
    client.asynchronous.send(4, 0, FIRST)  # after a message that is still on its way
    assert client.asynchronous.silent()
    assert begin(client)[:2] == (23, 0)
    complete(client)
    client.asynchronous.send(24)
    assert client.asynchronous.receive()[:3] == (25, 0, 0)
    assert client.asynchronous.silent()
    with rig.client() as other:
        assert other.query(b"name?") == b"NAME?\n"


def test_a_panel_request_that_waits_is_done_at_once(rig: Rig, client: Client) -> None:  # 6.7, 6.12
    client.asynchronous.send(10, 5, FIRST)  # after a message that is still on its way
    assert client.asynchronous.silent()
    client.asynchronous.send(19)
    assert [client.asynchronous.receive().type for _ in range(2)] == [11, 23]
    assert rig.instrument.panel_requests == [5]


def test_a_lock_outlives_a_clear(client: Client) -> None:  # 6.12 names no lock
    client.asynchronous.send(4, 1, 0)
    assert client.asynchronous.receive()[:2] == (5, 1)
    begin(client)
    complete(client)
    client.asynchronous.send(24)
    assert client.asynchronous.receive()[:3] == (25, 1, 1)


# --- features (6.12.1) ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("preferred", [False, True])
def test_features_are_proposed_requested_and_set(preferred: bool) -> None:  # 6.12.1
    with Rig(overlapped=preferred) as rig, rig.client() as client:
        assert client.greeting.control == preferred
        for requested in (0, 1, 0xFF, 0xFE):
            assert begin(client)[:2] == (23, preferred)
            assert complete(client, requested)[:2] == (9, requested & 1)  # it knows no other feature
        with rig.client() as other:  # a feature is set for one connection
            assert other.greeting.control == preferred
