"""What a device server does for several programs: one port, shared readings, holds, roles, deadlines."""

from __future__ import annotations

import logging
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
import zmq

import tokaido.hal as hal
from tokaido.emulators import launch
from tokaido.hal.driver import LineDevice
from tokaido.hal.transports import load_curve_public, load_curve_secret
from tokaido.lab import settings
from tokaido_testing.patience import patient
from tokaido_testing.served import address, create_keys, server_of, station_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tokaido.emulators import Emulator
    from tokaido.lab.sharing import DeviceServer

ODD: list[dict[str, object]] = [
    {"device": "nobody"},
    {"text": ""},
    {"text": 5},
    {"text": "x" * 70_000},
    {"within_s": -1.0},
    {"within_s": 1e300},
    {"fencing_token": -1},
    {"more": 1},
]
INTERLOCK = """
[interlocks.dark]
switch = "west"
classical_inputs = [3]
single_photon_outputs = { 1 = "bob" }
"""


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("keys")
    create_keys(folder)
    return folder


@pytest.fixture
def unit() -> Iterator[Emulator]:
    with launch("toshiba.transmitter", serial_number="TKTX0001", warm=True) as box:
        yield box


@pytest.fixture
def server(unit: Emulator, keys: Path) -> Iterator[DeviceServer]:
    (keys / "leases.sqlite").unlink(missing_ok=True)
    with server_of(station_of({"alice": ("toshiba.transmitter", unit.resources["control"])}), keys) as serving:
        yield serving


@pytest.fixture
def at(server: DeviceServer, keys: Path) -> Iterator[Any]:
    opened: list[hal.RemoteStation] = []

    def connect(client: str) -> hal.RemoteStation:
        opened.append(hal.Station.connect(address(server, keys, client), timeout=patient(2)))
        return opened[-1]

    yield connect
    for station in opened:
        station.close()


def test_settings_are_saved_and_restored_over_a_server_and_the_device_is_free_again(at: Any) -> None:
    ann, vic = at("ann"), at("vic")
    with ann.visit("alice") as unit:
        unit.attenuation = 31
    assert ann.holders() == ()
    saved = settings.save(ann)
    with ann.visit("alice") as unit:
        unit.attenuation = 40
    assert [str(change) for change in saved.diff(vic)] == ["alice attenuation: 40 dB -> 31 dB"]
    with pytest.raises(settings.RestoreError, match="may only look"):
        saved.restore(vic)
    assert len(saved.restore(ann)) == 1
    assert ann.holders() == ()
    assert saved.diff(vic) == ()


def alice(station: hal.RemoteStation) -> hal.Transmitter:
    return station.device("alice", hal.Transmitter)


# --- readings ---------------------------------------------------------------------------------------------------------


def test_twenty_readers_cost_the_device_no_more_exchanges_than_one(server: DeviceServer, at: Any) -> None:
    readers = [alice(at("vic")) for _ in range(20)]
    first = readers[0].telemetry()
    hal.SYSTEM_CLOCK.wait(0.11)
    before = server.exchanges("alice")
    with ThreadPoolExecutor(20) as pool:
        everything = list(pool.map(lambda reader: reader.telemetry(), readers))
    asked = server.exchanges("alice") - before
    assert 1 <= asked <= 4  # one for each 0.1 s that it took
    for telemetry in everything:
        assert set(telemetry) == set(first)


def test_a_shared_reading_says_how_old_it_is(at: Any) -> None:
    one, other = alice(at("vic")), alice(at("vic"))
    first = one.telemetry()[hal.Transmitter.laser_temperature]
    hal.SYSTEM_CLOCK.wait(0.03)
    second = other.telemetry()[hal.Transmitter.laser_temperature]
    assert second.value == first.value
    assert second.age_s > 0.02
    assert second.utc_ns == pytest.approx(first.utc_ns, abs=15_000_000)  # the same measurement, by the same clock


def test_nobody_is_told_what_was_before_a_command(at: Any) -> None:
    operator, viewer = alice(at("ann")), alice(at("vic"))
    for wanted in (3.0, 4.0, 5.0, 6.0):
        assert viewer.attenuation != wanted
        operator.attenuation = wanted
        assert viewer.attenuation == wanted


def test_the_holder_s_questions_reach_the_device(server: DeviceServer, at: Any) -> None:
    station = at("ann")
    with station.held("alice", "look closely"):
        tx = alice(station)
        before = server.exchanges("alice")
        for _ in range(5):
            _ = tx.laser_temperature
        assert server.exchanges("alice") - before == 5


def test_alarms_reach_every_client(unit: Emulator, at: Any) -> None:
    one, other = alice(at("ann")), alice(at("vic"))
    for reader in (one, other):
        reader.identity()
    unit.add_fault("cover_opened")
    for reader in (one, other):
        codes: list[str] = []
        deadline = hal.Deadline(hal.SYSTEM_CLOCK, patient(5))
        while not codes and not deadline.passed:
            codes += [event.code for event in reader.alarm_events(timeout=0.2)]
        assert codes


def test_a_station_s_alarms_reach_a_client(unit: Emulator, at: Any) -> None:
    with at("vic").alarms(poll=0.05, timeout=patient(5)) as watch:
        unit.add_fault("cover_opened")
        told = next(alarm for alarm in watch if alarm.device == "alice")
    assert (told.code, told.severity, told.raised) == ("TAMPER", hal.Severity.CRITICAL, True)


# --- holding ----------------------------------------------------------------------------------------------------------


def test_who_commands_holds_and_others_are_told_who(at: Any) -> None:
    ann, ben = at("ann"), at("ben")
    alice(ann).attenuation = 7.0
    (held,) = ben.holders()
    assert (held.device, held.name) == ("alice", "ann")
    assert 0 < held.remaining_s <= 30
    with pytest.raises(hal.LeaseHeldError, match="ann") as refused:
        alice(ben).attenuation = 8.0
    assert refused.value.holder.startswith("ann ")
    assert 0 < refused.value.remaining_s <= 30
    assert alice(ben).attenuation == 7.0
    ann.release("alice")
    alice(ben).attenuation = 8.0


def test_a_takeover_needs_a_reason_and_ends_the_other_hold_for_good(at: Any, caplog: pytest.LogCaptureFixture) -> None:
    ann, ben = at("ann"), at("ben")
    first = ann.acquire("alice", "a long sweep", seconds=600)
    with pytest.raises(hal.RefusedError, match="needs a reason"):
        ben.acquire("alice", " ", take_over=True)
    with caplog.at_level(logging.WARNING, "tokaido.lab.sharing"):
        second = ben.acquire("alice", "the fibre burns", take_over=True)
    assert second > first
    assert "the fibre burns" in caplog.text
    with pytest.raises(hal.LeaseLostError, match="the fibre burns"):
        alice(ann).attenuation = 9.0
    with pytest.raises(hal.LeaseHeldError):  # and it does not come back by itself
        alice(ann).attenuation = 9.0
    alice(ben).attenuation = 10.0


def test_a_hold_ends_by_itself(at: Any) -> None:
    ann, ben = at("ann"), at("ben")
    ann.acquire("alice", "briefly", seconds=1.0)
    alice(ann).attenuation = 3.0
    deadline = hal.Deadline(hal.SYSTEM_CLOCK, patient(5))
    while ben.holders() and not deadline.passed:
        hal.SYSTEM_CLOCK.wait(0.05)
    alice(ben).attenuation = 4.0
    with pytest.raises((hal.LeaseHeldError, hal.LeaseLostError)):  # she may count a moment longer
        alice(ann).attenuation = 5.0


def test_who_holds_is_known_again_after_a_reply_was_lost(at: Any) -> None:
    ann = at("ann")
    first = ann.acquire("alice", "a long sweep", seconds=60)
    with pytest.raises(hal.DeviceTimeoutError):  # by the client: no server answers so soon
        ann.device("alice", LineDevice).transport.query("LAS:TEMP?", timeout=1e-5)
    alice(ann).attenuation = 21.0  # over a new connection
    assert ann.acquire("alice", "a longer sweep", seconds=60) > first
    (held,) = ann.holders()
    assert held.who.count("@") == 1


def test_holds_and_fencing_tokens_survive_a_restart(unit: Emulator, keys: Path) -> None:
    (keys / "leases.sqlite").unlink(missing_ok=True)
    station = station_of({"alice": ("toshiba.transmitter", unit.resources["control"])})
    with server_of(station, keys) as server, hal.Station.connect(address(server, keys)) as ann:
        first = ann.acquire("alice", "a long sweep", seconds=600)
        ann._open.clear()  # as a program that was killed: nothing is released
    with server_of(station, keys) as server, hal.Station.connect(address(server, keys, "ben")) as ben:
        (held,) = ben.holders()
        assert (held.name, held.why, held.fencing_token) == ("ann", "a long sweep", first)
        assert ben.acquire("alice", "ann is dead", take_over=True) > first


# --- roles ------------------------------------------------------------------------------------------------------------


def test_a_viewer_changes_nothing(at: Any, unit: Emulator) -> None:
    station = at("vic")
    tx = alice(station)
    for order in (tx.start, tx.power_off, tx.apply_safe_state, lambda: tx.set_watchdog(10)):
        with pytest.raises(hal.RefusedError, match="may only look"):
            order()
    with pytest.raises(hal.RefusedError, match="may only look"):
        station.acquire("alice", "please")
    with pytest.raises(hal.RefusedError, match="may only look"):  # said to be a question
        station.device("alice", LineDevice).transport.query("VOA:ATT 3")
    assert station.holders() == ()


def test_erasing_keys_takes_the_role_maintenance(at: Any) -> None:
    station = at("ann")
    with pytest.raises(hal.RefusedError, match="maintenance"):
        alice(station).zeroize("TKTX0001")
    with pytest.raises(hal.RefusedError, match="maintenance"):
        station.device("alice", LineDevice).transport.command("IDN?;sec zeroize,TKTX0001")
    station.release("alice")
    eve = alice(at("eve"))
    with pytest.raises(hal.DeviceError):
        eve.zeroize("TKTX9999")  # it reaches the unit, which refuses the wrong number


def test_a_client_that_is_not_listed_is_refused(server: DeviceServer, keys: Path, tmp_path: Path) -> None:
    hal.create_curve_keys(tmp_path, "mallory")
    where = f"zmq:{server.endpoint}?server_key_file={keys}/server.key&client_key_file={tmp_path}/mallory.key_secret"
    with pytest.raises(hal.AuthenticationError):
        hal.Station.connect(where)


def test_no_key_crosses_the_server(at: Any) -> None:
    with pytest.raises(hal.UnsupportedError, match="key channel"):
        list(alice(at("ann")).key_blocks(0.1))


# --- what was given up ------------------------------------------------------------------------------------------------


def test_a_command_that_was_given_up_before_it_began_is_never_carried_out(unit: Emulator, at: Any) -> None:
    ann = at("ann")
    ann.acquire("alice", "a test", seconds=60)
    tx = alice(ann)
    tx.attenuation = 3.0
    other = at("vic").device("alice", LineDevice)
    unit.faults.add("hang", direction="to_unit", port="control", seconds=1.0, count=1)
    slow = threading.Thread(target=lambda: _quietly(lambda: other.transport.query("LAS:TEMP?", timeout=0.9)))
    slow.start()
    hal.SYSTEM_CLOCK.wait(0.05)  # the device is busy with it
    with pytest.raises(hal.TransportError):
        ann.device("alice", LineDevice).transport.command("VOA:ATT 9", timeout=0.2)
    slow.join()
    hal.SYSTEM_CLOCK.wait(0.5)
    assert tx.attenuation == 3.0


def _quietly(call: Any) -> None:
    try:
        call()
    except hal.TokaidoError:
        return


def test_another_program_s_reading_renews_no_watchdog(unit: Emulator, at: Any) -> None:
    ann = at("ann")
    tx = alice(ann)
    tx.set_watchdog(5)
    logger = alice(at("vic"))
    with unit.lock:
        before = unit.model.now_ns
    for _ in range(10):
        logger.telemetry()
    remaining = logger.watchdog_remaining()  # type: ignore[attr-defined]
    with unit.lock:
        passed_s = (unit.model.now_ns - before) / 1e9
    assert remaining <= 5 - passed_s + 0.2
    logger.identity()
    hal.SYSTEM_CLOCK.wait(0.3)
    assert logger.watchdog_remaining() < remaining - 0.1  # type: ignore[attr-defined]


# --- interlocks -------------------------------------------------------------------------------------------------------


def test_interlocks_of_the_server_s_station_are_enforced(keys: Path) -> None:
    (keys / "leases.sqlite").unlink(missing_ok=True)
    with launch("toshiba.receiver", warm=True) as bob, launch("polatis.matrix") as west:
        devices = {
            "bob": ("toshiba.receiver", bob.resources["control"]),
            "west": ("polatis.matrix", west.resources["control"]),
        }
        with (
            server_of(station_of(devices, INTERLOCK), keys) as server,
            hal.Station.connect(address(server, keys)) as station,
        ):
            receiver = station.device("bob", hal.Receiver)
            receiver.shutter = hal.Shutter.OPEN
            with pytest.raises(hal.InterlockError):
                station.device("west", hal.OpticalSwitch).connect(3, 1)
            station.device("west", hal.OpticalSwitch).connect(2, 1)


# --- odd requests -----------------------------------------------------------------------------------------------------


def test_what_is_no_request_is_refused_and_the_server_goes_on(server: DeviceServer, keys: Path, at: Any) -> None:
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    pair = load_curve_secret(keys / "vic.key_secret")
    with context.socket(zmq.DEALER) as socket:
        socket.linger = 0
        socket.curve_serverkey = load_curve_public(keys / "server.key")
        socket.curve_publickey, socket.curve_secretkey = pair.public, pair.secret
        socket.connect(server.endpoint)
        exchange = {"do": "exchange", "device": "alice", "text": "IDN?", "query": True, "within_s": 1.0}
        bodies: list[object] = [{"do": "fly"}, {}, 7, None, {"do": "exchange"}, {"do": "hello", "who": "x" * 5000}]
        bodies += [exchange | odd for odd in ODD]
        bodies += [{"do": "lines", "device": "alice", "after": -1, "within_s": 0.0}]
        for body in bodies:
            socket.send(b"12345678" + msgspec.msgpack.encode(body))
            assert socket.poll(round(patient(2) * 1000)), body
            told = socket.recv()
            assert told[:8] == b"12345678"
            assert msgspec.msgpack.decode(told[8:])["ok"] is False, body
        for frames in ([b"short", b"x"], [b""], [b"12345678"], [b"12345678\xc1"], [b"1"] * 40):
            socket.send_multipart(frames)
    context.term()
    assert alice(at("vic")).identity().serial_number == "TKTX0001"


def test_a_device_that_is_not_there_is_told_as_at_the_port(unit: Emulator, at: Any) -> None:
    tx = alice(at("vic"))
    unit.close()
    hal.SYSTEM_CLOCK.wait(0.11)
    with pytest.raises(hal.TransportError) as failed:
        tx.identity()
    assert failed.value.device == "alice"
