"""Locks among HiSLIP clients, clause by clause of IVI-6.1 (numbers as in revision 2.0)."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from tokaido_testing.hislip import FIRST, Client, Rig, packed
from tokaido_testing.patience import in_time
from tokaido_testing.voa import hislip_port, launch_voa

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tokaido.emulators import InstrumentEmulator


@pytest.fixture
def voa() -> Iterator[InstrumentEmulator]:
    with launch_voa("hislip", hislip_profile="strict") as emulator:
        yield emulator


# --- locks ----------------------------------------------------------------------------------------------------------


def lock(client: Client, timeout_ms: int = 0, key: bytes = b"") -> None:
    client.asynchronous.send(4, 1, timeout_ms, key)


def unlock(client: Client, after: int = FIRST - 2) -> None:
    client.asynchronous.send(4, 0, after)


def test_an_exclusive_lock_holds_the_others_back_and_loses_nothing(voa: InstrumentEmulator) -> None:
    with Client(hislip_port(voa)) as one, Client(hislip_port(voa)) as two:
        lock(one)
        assert one.asynchronous.receive()[:2] == (5, 1)
        two.asynchronous.send(24)
        assert two.asynchronous.receive()[:3] == (25, 1, 1)
        lock(one)
        assert one.asynchronous.receive()[:2] == (5, 3)  # it has it
        lock(two)
        assert two.asynchronous.receive()[:2] == (5, 0)
        number = two.write(b"*OPC?")
        assert two.sync.silent()
        assert one.query(b"*OPC?") == b"1\n"
        unlock(one, FIRST)
        assert one.asynchronous.receive()[:2] == (5, 1)
        assert two.sync.receive() == (7, 0, number, b"1\n")
        unlock(one, FIRST)
        assert one.asynchronous.receive()[:2] == (5, 3)


def test_who_waits_for_a_lock_gets_it_when_it_is_free_or_is_told_in_time(voa: InstrumentEmulator) -> None:
    with Client(hislip_port(voa)) as one, Client(hislip_port(voa)) as two:
        lock(one)
        one.asynchronous.receive()
        began = time.monotonic()
        lock(two, 80)
        assert two.asynchronous.receive()[:2] == (5, 0)
        assert time.monotonic() - began > 0.07
        assert in_time(began, 0.5)
        lock(two, 5000)
        assert two.asynchronous.silent()
        one.close()
        assert two.asynchronous.receive()[:2] == (5, 1)


def test_a_lock_is_released_once_what_was_sent_before_has_come(voa: InstrumentEmulator) -> None:
    with Client(hislip_port(voa)) as client:
        lock(client, key=b"team")
        client.asynchronous.receive()
        unlock(client, FIRST)  # the message is still on its way
        assert client.asynchronous.silent()
        client.write(b"*CLS")
        assert client.asynchronous.receive()[:2] == (5, 2)


# --- what a client without the lock may do (2.6.1) ------------------------------------------------------------------


@pytest.fixture
def owner(rig: Rig) -> Iterator[Client]:
    with rig.client() as opened:
        yield opened


@pytest.fixture
def guest(rig: Rig) -> Iterator[Client]:
    with rig.client() as opened:
        yield opened


def take(client: Client) -> None:
    lock(client)
    assert client.asynchronous.receive()[:2] == (5, 1)


def give_back(client: Client) -> None:
    unlock(client)
    assert client.asynchronous.receive()[:2] == (5, 1)


def test_messages_stay_in_the_input_buffer(rig: Rig, owner: Client, guest: Client) -> None:  # 2.6.1
    take(owner)
    guest.write(b"one?")
    guest.sync.send(200)  # a vendor's
    guest.sync.send(3, 0, 0, b"an error")
    guest.write(b"", kind=12)
    assert guest.sync.silent()
    assert rig.instrument.received == []
    give_back(owner)
    kinds = [guest.sync.receive().type for _ in range(3)]
    assert kinds == [13, 3, 7]  # the trigger had interrupted the response; the vendor's message was not known
    assert guest.asynchronous.receive().type == 14
    take(owner)
    guest.sync.send(2, 0, 0, b"a fatal error")
    assert guest.sync.silent()
    give_back(owner)
    assert guest.sync.ended()
    assert guest.asynchronous.ended()


def test_the_input_buffer_has_a_bound(rig: Rig, owner: Client, guest: Client) -> None:  # 2.6.1
    take(owner)
    order = packed(7, 0, FIRST, b"order;" * 100_000)
    sent = 0
    guest.sync.socket.settimeout(0.1)
    with suppress(TimeoutError):
        while sent < 60_000_000:
            sent += guest.sync.socket.send(order[sent % len(order) :])
    assert sent < 60_000_000
    assert rig.do(lambda: rig.server.sessions[guest.session].waiting_bytes) < 4_000_000  # type: ignore[operator]  # pyright: ignore[reportOperatorIssue]
    assert owner.query(b"name?") == b"NAME?\n"
    guest.asynchronous.send(19)
    assert guest.asynchronous.receive().type == 23  # a clear makes room


def test_transactions_beside_the_data_are_completed(owner: Client, guest: Client) -> None:  # 2.6.1, 6.6
    take(owner)
    guest.asynchronous.send(21, 0, FIRST - 2)
    assert guest.asynchronous.receive().type == 22
    guest.asynchronous.send(15, 0, 0, bytes(6) + b"\x10\x00")
    assert guest.asynchronous.receive().type == 16
    guest.asynchronous.send(24)
    assert guest.asynchronous.receive() == (25, 1, 1, b"")
    guest.asynchronous.send(200)
    assert guest.asynchronous.receive()[:2] == (3, 3)


def test_a_panel_request_is_confirmed_at_once_and_done_afterwards(rig: Rig, owner: Client, guest: Client) -> None:
    take(owner)  # 2.6.1, 6.7
    for code in (5, 6):
        guest.asynchronous.send(10, code, FIRST - 2)
        assert guest.asynchronous.receive()[:2] == (11, 0)
    assert rig.instrument.panel_requests == []
    assert not rig.server.panel.local_lockout
    give_back(owner)
    rig.until(lambda: rig.instrument.panel_requests == [5, 6])
    assert rig.server.panel.local_lockout


def test_a_response_to_what_was_begun_before_the_lock_is_sent(rig: Rig, owner: Client, guest: Client) -> None:
    rig.instrument.held = True  # 2.6.1
    number = guest.write(b"one?")
    rig.until(lambda: rig.instrument.waiting)
    take(owner)
    rig.do(rig.instrument.go_on)
    assert guest.sync.receive() == (7, 0, number, b"ONE?\n")


def test_service_is_requested_of_a_client_without_the_lock(voa: InstrumentEmulator) -> None:  # 2.6.1
    with Client(hislip_port(voa)) as owner, Client(hislip_port(voa)) as guest:
        take(owner)
        owner.write(b"*CLS;*SRE 4;FOO")
        assert guest.asynchronous.receive()[:2] == (20, 4 | 64)


def test_no_lock_comes_with_a_connection_or_hinders_one(rig: Rig, owner: Client) -> None:  # 6.1
    owner.asynchronous.send(24)
    assert owner.asynchronous.receive()[:3] == (25, 0, 0)
    take(owner)
    with rig.client() as guest:
        guest.asynchronous.send(24)
        assert guest.asynchronous.receive()[:3] == (25, 1, 1)


# --- release (6.5.1, table 22) --------------------------------------------------------------------------------------


def test_a_release_waits_until_its_message_was_carried_out(rig: Rig, owner: Client, guest: Client) -> None:  # 6.5.1
    take(owner)
    rig.instrument.held = True
    number = owner.write(b"order")
    rig.until(lambda: rig.instrument.waiting)
    unlock(owner, number)
    assert owner.asynchronous.silent()
    guest.write(b"two?")
    rig.do(rig.instrument.go_on)
    assert owner.asynchronous.receive()[:2] == (5, 1)
    assert guest.sync.receive().payload == b"TWO?\n"
    assert [message.data.strip() for message in rig.instrument.received] == [b"order", b"two?"]


def test_a_lock_request_before_a_pending_release_is_answered_is_an_error(owner: Client) -> None:  # 6.5.1
    take(owner)
    unlock(owner, FIRST)  # the message is still on its way
    lock(owner)
    assert owner.asynchronous.receive()[:2] == (3, 0)
    owner.write(b"order")
    assert owner.asynchronous.receive()[:2] == (5, 1)
    unlock(owner, FIRST + 100)  # nothing to release: that is known at once
    assert owner.asynchronous.receive()[:2] == (5, 3)


@pytest.mark.parametrize("side", ["sync", "asynchronous"])
@pytest.mark.parametrize("key", [b"", b"team"])
def test_a_closed_connection_releases_its_locks(owner: Client, guest: Client, side: str, key: bytes) -> None:  # 2.6
    lock(owner, key=key)
    assert owner.asynchronous.receive()[:2] == (5, 1)
    lock(guest, 5000, b"rest")
    assert guest.asynchronous.silent()
    (owner.sync if side == "sync" else owner.asynchronous).close()
    assert guest.asynchronous.receive()[:2] == (5, 1)


def test_an_unknown_code_of_a_lock_is_an_error(owner: Client) -> None:  # 6.3
    owner.asynchronous.send(4, 2)
    assert owner.asynchronous.receive()[:2] == (3, 2)
