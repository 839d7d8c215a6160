"""Status, service requests and the front panel over HiSLIP, clause by clause of IVI-6.1 (numbers of revision 2.0)."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from tokaido_testing.hislip import FIRST, Client, Rig
from tokaido_testing.voa import hislip_port, launch_voa

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tokaido.emulators import InstrumentEmulator

MAV = 0x10


@pytest.fixture
def voa() -> Iterator[InstrumentEmulator]:
    with launch_voa("hislip", hislip_profile="strict") as emulator:
        yield emulator


# --- message available (6.14.1 to 6.14.3) ---------------------------------------------------------------------------


def test_the_first_piece_of_a_response_makes_a_message_available(rig: Rig, client: Client) -> None:  # 6.14.1
    rig.instrument.held = True
    client.write(b"one?")
    rig.until(lambda: rig.instrument.waiting)
    assert client.status() == 0
    rig.do(lambda: rig.server.respond(rig.instrument.waiting[0], b"ON", end=False))
    assert client.sync.receive().type == 6
    assert client.status() == MAV


@pytest.mark.parametrize("carrier", ["Data", "DataEND", "Trigger", "AsyncStatusQuery"])
def test_each_message_with_the_delivery_flag_ends_the_availability(client: Client, carrier: str) -> None:  # 6.14.1
    client.query(b"one?")
    client.read = False
    assert client.status() == MAV
    client.read = True
    if carrier == "Data":
        client.write(b"half an or", end=False)
    elif carrier == "DataEND":
        client.write(b"order")
    elif carrier == "Trigger":
        client.write(b"order")
        client.write(b"", kind=12)
        assert client.sync.receive().type == 7
        return
    assert client.status() == 0


def test_a_status_query_that_overtook_a_message_finds_nothing(client: Client) -> None:  # 6.14.3
    client.query(b"one?")
    client.asynchronous.send(21, 0, FIRST + 2)  # the next message is still on its way
    assert client.asynchronous.receive().control == 0
    client.asynchronous.send(21, 0, FIRST)
    assert client.asynchronous.receive().control == MAV


def test_an_unknown_code_of_a_status_query_is_an_error(client: Client) -> None:  # 6.3
    client.asynchronous.send(21, 2, FIRST - 2)
    assert client.asynchronous.receive()[:2] == (3, 2)


def test_availability_in_overlapped_mode_compares_ids() -> None:  # 3.2.2, 6.14.2
    with Rig(overlapped=True) as rig, rig.client() as client:
        client.asynchronous.send(21, 0, FIRST - 2)
        assert client.asynchronous.receive().control == 0
        for _ in range(2):
            client.write(b"one?")
            assert client.sync.receive().type == 7
        for delivered, available in ((FIRST - 2, MAV), (FIRST, MAV), (FIRST + 2, 0)):
            client.asynchronous.send(21, 0, delivered)
            assert client.asynchronous.receive().control == available


def test_the_message_of_one_client_is_not_available_to_another(voa: InstrumentEmulator) -> None:  # 6.14.1
    with Client(hislip_port(voa)) as one, Client(hislip_port(voa)) as two:
        one.write(b"*IDN?;INP:ATT 5;*OPC?")  # half of its response waits within the instrument
        assert two.status() == 0
        assert one.sync.receive().type == 7
        assert two.status() == 0
        assert one.status() == MAV


# --- service requests (6.13) ----------------------------------------------------------------------------------------


def test_service_is_requested_again_only_after_a_status_query(voa: InstrumentEmulator) -> None:  # 6.13
    with Client(hislip_port(voa)) as client:
        client.query(b"*CLS;*ESE 255;*SRE 36;*OPC?")
        client.write(b"FOO")  # error queue and event status, at once
        request = client.asynchronous.receive()
        assert request == (20, 4 | 32 | 64, 0, b"")
        assert client.query(b"*CLS;*OPC?") == b"1\n"
        client.write(b"FOO")
        assert client.asynchronous.silent()
        assert client.status() == 4 | 32 | 64
        assert client.query(b"*CLS;*OPC?") == b"1\n"
        client.write(b"FOO")
        assert client.asynchronous.receive()[:2] == (20, 4 | 32 | 64)


def test_each_client_is_asked_for_service_and_asks_for_itself(voa: InstrumentEmulator) -> None:  # 6.13
    with Client(hislip_port(voa)) as one, Client(hislip_port(voa)) as two:
        one.query(b"*CLS;*SRE 4;*OPC?")
        one.write(b"FOO")
        for client in (one, two):
            assert client.asynchronous.receive()[:2] == (20, 4 | 64)
        assert [one.status(), one.status()] == [4 | 64, 4]
        assert [two.status(), two.status()] == [4 | 64, 4]


def test_each_message_that_becomes_available_is_a_reason_once(voa: InstrumentEmulator) -> None:  # 6.14.1
    with Client(hislip_port(voa)) as client, Client(hislip_port(voa)) as other:
        client.query(b"*CLS;*OPC?")
        client.write(b"*SRE 16")
        client.read = False
        for _ in range(3):
            client.query(b"*IDN?")
            assert client.asynchronous.receive()[:2] == (20, MAV | 64)
            client.read = False
            assert client.status() == MAV | 64
            assert client.status() == MAV
            client.read = True
        assert client.asynchronous.silent()
        assert other.asynchronous.silent()


# --- remote and local (6.7) -----------------------------------------------------------------------------------------


def is_remote(rig: Rig) -> bool:
    return rig.server.panel.remote


def panel(rig: Rig) -> tuple[bool, bool, bool]:
    state = rig.server.panel
    return state.remote_enable, state.local_lockout, state.remote


TABLE_25 = {
    0: (False, False, False),
    1: (True, None, None),
    2: (False, False, False),
    3: (True, None, True),
    4: (True, True, None),
    5: (True, True, True),
    6: (None, None, False),
}


def test_the_panel_begins_local_and_is_enabled(rig: Rig, client: Client) -> None:  # 6.7
    assert panel(rig) == (True, False, False)
    client.asynchronous.send(10, 7, FIRST - 2)
    assert client.asynchronous.receive()[:2] == (3, 2)
    assert panel(rig) == (True, False, False)


@pytest.mark.parametrize("code", TABLE_25)
def test_each_request_does_what_the_table_says(rig: Rig, client: Client, code: int) -> None:  # 6.7, table 25
    for before in (0, 5, 1, 4, 3):
        client.asynchronous.send(10, before, FIRST - 2)
        client.asynchronous.receive()
        old = panel(rig)
        client.asynchronous.send(10, code, FIRST - 2)
        assert client.asynchronous.receive() == (11, 0, 0, b"")
        wanted = TABLE_25[code]
        assert panel(rig) == tuple(was if new is None else new for was, new in zip(old, wanted, strict=True))


@pytest.mark.parametrize("what", ["Data", "DataEND", "Trigger", "AsyncStatusQuery", "AsyncDeviceClear", "AsyncLock"])
@pytest.mark.parametrize("enabled", [True, False])
def test_what_arrives_takes_the_panel_to_remote(rig: Rig, client: Client, what: str, enabled: bool) -> None:  # 6.7
    client.asynchronous.send(10, 6 if enabled else 0, FIRST - 2)
    client.asynchronous.receive()
    assert not is_remote(rig)
    if what in ("Data", "DataEND", "Trigger"):
        client.write(b"" if what == "Trigger" else b"order", kind={"Data": 6, "DataEND": 7, "Trigger": 12}[what])
        rig.until(lambda: rig.server.sessions[client.session].last_id == FIRST)
    else:
        client.asynchronous.send({"AsyncStatusQuery": 21, "AsyncDeviceClear": 19, "AsyncLock": 4}[what], 0, FIRST - 2)
        client.asynchronous.receive()
    assert is_remote(rig) == enabled


def test_the_local_key_works_unless_it_is_locked_out(rig: Rig, client: Client) -> None:  # 6.7
    for code, remote in ((3, False), (5, True)):
        client.asynchronous.send(10, code, FIRST - 2)
        client.asynchronous.receive()
        rig.do(rig.server.panel.press_local)
        assert is_remote(rig) == remote


def test_a_request_waits_for_the_message_that_it_names(rig: Rig, client: Client) -> None:  # 6.7
    client.asynchronous.send(10, 6, FIRST)  # the message is still on its way
    assert client.asynchronous.silent()
    rig.instrument.held = True
    client.write(b"order")
    rig.until(lambda: rig.instrument.waiting)
    assert client.asynchronous.silent()  # it is being carried out
    assert is_remote(rig)
    rig.do(rig.instrument.go_on)
    assert client.asynchronous.receive()[:2] == (11, 0)
    assert not is_remote(rig)
    assert rig.instrument.panel_requests == [6]


def test_a_second_request_while_one_waits_is_an_error(client: Client) -> None:  # 6.7
    client.asynchronous.send(10, 6, FIRST)
    client.asynchronous.send(10, 6, FIRST)
    assert client.asynchronous.receive()[:2] == (3, 0)
    client.write(b"order")
    assert client.asynchronous.receive()[:2] == (11, 0)


def test_lenient_takes_the_ids_of_pyvisa_py() -> None:  # it counts ahead, and from 0
    with Rig(profile="lenient") as rig, rig.client() as client:
        client.asynchronous.send(10, 6, 0)
        assert client.asynchronous.receive()[:2] == (11, 0)
        client.asynchronous.send(4, 1, 0)
        assert client.asynchronous.receive()[:2] == (5, 1)
        client.asynchronous.send(4, 0, 0)
        assert client.asynchronous.receive()[:2] == (5, 1)
        client.query(b"one?")
        client.asynchronous.send(21, 0, FIRST + 2)
        assert client.asynchronous.receive().control == MAV
        time.sleep(0.02)
        assert client.asynchronous.silent()
