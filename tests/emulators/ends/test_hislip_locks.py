"""Locks among HiSLIP clients (IVI-6.1, 6.5), and the codec."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokaido.emulators.ends.hislip import Decoder, LockResult, Locks, Message, encode
from tokaido.emulators.ends.hislip._messages import PoorlyFormedError, TooLarge
from tokaido_testing.hislip import FIRST, Client
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


def test_shared_locks_are_for_those_with_the_key() -> None:
    locks = Locks()
    assert locks.request(1, "team", 0, 0) is LockResult.SUCCESS
    assert locks.request(2, "team", 0, 0) is LockResult.SUCCESS
    assert locks.request(3, "rest", 0, 0) is LockResult.FAILURE
    assert [locks.admits(client) for client in (1, 2, 3)] == [True, True, False]
    assert locks.request(1, "", 0, 0) is LockResult.SUCCESS  # exclusive, within the team
    assert (locks.admits(2), locks.exclusive, locks.holders) == (False, True, 2)
    assert locks.request(3, "", 0, 10) is None
    assert locks.request(3, "", 0, 10) is LockResult.ERROR
    assert locks.next_deadline_ns() == 10
    assert locks.release(1) is LockResult.SUCCESS
    assert locks.release(1) is LockResult.SHARED_RELEASED
    assert locks.settle(5) == []
    locks.forget(2)
    assert locks.settle(5) == [(3, LockResult.SUCCESS)]
    assert locks.release(2) is LockResult.ERROR


# --- the codec ------------------------------------------------------------------------------------------------------

MESSAGES = st.builds(
    Message, st.integers(0, 255), st.integers(0, 255), st.integers(0, 2**32 - 1), st.binary(max_size=40)
)


@given(st.lists(MESSAGES, max_size=5), st.integers(1, 60))
def test_messages_are_decoded_as_they_were_encoded(messages: list[Message], step: int) -> None:
    data = b"".join(map(encode, messages))
    decoder = Decoder(40)
    found = [m for i in range(0, len(data), step) for m in decoder.feed(data[i : i + step])]
    assert found == messages


@given(st.binary(max_size=200))
def test_no_bytes_make_the_decoder_raise_anything_but_its_own(data: bytes) -> None:
    try:
        for message in Decoder(100).feed(data):
            assert isinstance(message, Message | TooLarge)
    except PoorlyFormedError:
        pass
