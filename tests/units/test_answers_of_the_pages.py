"""What both protocol pages answer in one way, at the emulated units of both families and at their drivers."""

from __future__ import annotations

import json
import secrets
from itertools import count
from pathlib import Path
from typing import Any

import msgspec
import pytest

import tokaido.hal as hal
from tokaido.drivers import nec as nec_drivers
from tokaido.drivers import toshiba as toshiba_drivers
from tokaido.emulators import launch, nec, toshiba
from tokaido.emulators.units import UnitModel
from tokaido.hal.transports import load_curve_public
from tokaido_testing.console import KeyClient, Program, seal
from tokaido_testing.patience import patient
from tokaido_testing.sealed import Instrument
from tokaido_testing.sealed import request as sealed_request
from tokaido_testing.sealed import seal as nec_seal
from tokaido_testing.unit_vendors import Vendor

MODELS = {"toshiba": toshiba.TransmitterModel, "nec": nec.TransmitterModel}
FAMILIES = pytest.mark.parametrize("family", list(MODELS))


class Host:
    """A connection to the key channel of a device model in process, in the words of either family."""

    def __init__(self, family: str, unit: UnitModel, peer: bytes = b"one") -> None:
        self._family = family
        self.unit = unit
        self.peer = peer
        self._numbers = count(1)
        self._host = secrets.token_hex(8)

    def send(self, verb: str, *payload: bytes, **members: object) -> int:
        number = next(self._numbers)
        header = {"verb": verb, "serial_number": self.unit.serial_number, "host": self._host, **members}
        frames = (
            [number.to_bytes(8, "big"), json.dumps(header).encode()]
            if self._family == "toshiba"
            else [msgspec.msgpack.encode({"n": number, **header})]
        )
        self.unit.receive_message(self.peer, "client", [*frames, *payload])
        return number

    def take(self) -> list[tuple[int, dict[str, Any]]]:
        """Return number (0 for an event) and header of what came on this connection; the rest is lost."""
        found: list[tuple[int, dict[str, Any]]] = []
        for peer, frames in self.unit.take_messages():
            if peer != self.peer:
                continue
            if self._family == "toshiba":
                found.append((int.from_bytes(frames[0], "big"), json.loads(frames[1])))
            else:
                header = msgspec.msgpack.decode(frames[0])
                found.append((header["n"], header))
        return found

    def ask(self, verb: str, *payload: bytes, **members: object) -> dict[str, Any]:
        number = self.send(verb, *payload, **members)
        return dict(self.take())[number]


def pass_time(unit: UnitModel, seconds: float) -> None:
    unit.advance(unit.now_ns + round(seconds * 1e9))


# --- the control port -------------------------------------------------------------------------------------------------


def test_a_badly_sealed_question_for_the_identity_is_answered_under_the_serial_number() -> None:
    """It may have been another command, so the program that sent that one must be able to believe the refusal."""
    (line,) = Program(toshiba.TransmitterModel()).line("#00A1F0 IDN?*00000000")
    assert line == seal("TKTX0001", "=00A1F0 ERR 10 CHECKSUM the seal does not match")
    reply = Instrument(nec.TransmitterModel()).line("SEAL? #H00A1F0,#H00000000;*IDN?")
    said = '110,"Seal does not match"'
    assert reply == f"#H00A1F0,#H{nec_seal('TKNT0001', '00A1F0', said)},{said}\n"


def test_only_the_question_for_the_identity_alone_goes_without_a_serial_number() -> None:
    program = Program(toshiba.TransmitterModel())
    assert program.line(seal("", "#000001 IDN? 1")) == [
        seal("TKTX0001", "=000001 ERR 10 CHECKSUM the seal does not match")
    ]
    assert program.line(seal("TKTX0001", "#000002 IDN? 1")) == [
        seal("TKTX0001", "=000002 ERR 21 ARGUMENT IDN? takes nothing")
    ]
    instrument = Instrument(nec.TransmitterModel())
    assert '110,"' in instrument.line(sealed_request("", "000001", "*IDN?;UNIT:STAT?"))


@pytest.mark.parametrize("number", ["1e6", "1000000.0", "1E6", "1000000."])
def test_a_whole_number_has_neither_point_nor_exponent(number: str) -> None:
    program, instrument = Program(toshiba.TransmitterModel()), Instrument(nec.TransmitterModel())
    for command in (f"BLK {number}", f"LNK -,-,{number}"):
        assert program.ask(command).startswith("ERR 21 ARGUMENT"), command
    for command in (f"KEY:BLOC {number}", f'LINK:SEL "","",{number}', f"STAT:ALAR:LOG? {number}"):
        assert instrument.ask(command).code == -104, command
    assert program.data("BLK +300000") == "300000"
    instrument.data("KEY:BLOC 300000")
    assert instrument.data("KEY:BLOC?") == "300000"


def test_what_is_counted_since_the_unit_came_up_outlives_its_being_switched_off() -> None:
    unit = toshiba.TransmitterModel()
    program = Program(unit)
    unit.prepare("RUN")
    unit.add_fault("cover_opened")
    unit.faults.remove("cover_opened")
    before, uptime_s = program.data("ALM?").partition(";")[0], float(program.data("UPT?"))
    program.data("LSE 30,7F3A09C2")
    program.data("PWR OFF")
    program.data("PWR ON")
    pass_time(unit, 3)
    assert int(program.data("ALM?").partition(";")[0], 16) >= int(before, 16) > 0
    assert float(program.data("UPT?")) >= uptime_s + 3
    assert program.data("LSE?") == "30,27,7F3A09C2"
    other = nec.TransmitterModel()
    instrument = Instrument(other)
    other.prepare("RUN")
    other.add_fault("cover_opened")
    number = int(instrument.data("STAT:ALAR?").split(",")[0])
    instrument.data("UNIT:POW OFF")
    instrument.data("UNIT:POW ON")
    assert int(instrument.data("STAT:ALAR?").split(",")[0]) >= number > 0


# --- the key channel --------------------------------------------------------------------------------------------------


@FAMILIES
def test_a_draw_that_waits_holds_up_no_other_request(family: str) -> None:
    host = Host(family, MODELS[family]())
    waiting = host.send("draw", max=1, wait_ms=30_000)
    assert host.take() == []
    assert host.ask("status")["ok"] is True
    second = host.send("draw", max=1, wait_ms=1000)
    pass_time(host.unit, 1.05)
    assert [number for number, _ in host.take()] == [second]
    pass_time(host.unit, 30)
    assert [number for number, _ in host.take()] == [waiting]


@FAMILIES
def test_a_draw_is_answered_when_its_time_is_over_in_the_host_s_time(family: str) -> None:
    """Also by a unit whose own time stands still, as that of a bench that works hard does."""
    host = Host(family, MODELS[family]())
    host.unit.note_host_time(0)
    number = host.send("draw", max=1, wait_ms=2000)
    host.unit.note_host_time(1_999_000_000)
    assert host.take() == []
    host.unit.note_host_time(2_000_000_000)
    ((answered, reply),) = host.take()
    assert (answered, reply["ok"], reply["blocks"]) == (number, True, [])


@FAMILIES
def test_a_subscription_is_that_of_its_connection(family: str) -> None:
    unit = MODELS[family]()
    one, other = Host(family, unit, b"one"), Host(family, unit, b"other")
    assert one.ask("subscribe", interval_ms=100)["lease_s"] == 30
    assert other.ask("unsubscribe")["ok"] is True
    pass_time(unit, 0.35)
    messages = unit.take_messages()
    assert {peer for peer, _ in messages} == {b"one"}
    assert len(messages) == 3
    one.ask("unsubscribe")
    pass_time(unit, 0.35)
    assert unit.take_messages() == []


@FAMILIES
@pytest.mark.parametrize("link", [("", ""), ("", "-"), ("-", "")])
def test_an_empty_text_names_no_link_in_a_message(family: str, link: tuple[str, str]) -> None:
    unit = MODELS[family]()
    unit.warm()
    host = Host(family, unit)
    peer, path = link
    assert host.ask("load_psk", bytes(4096), peer=peer, path=path)["code"] == "RANGE"
    assert host.ask("load_psk", secrets.token_bytes(4096), peer="-", path="-")["ok"] is True


@FAMILIES
def test_an_integer_of_a_message_has_no_point(family: str) -> None:
    assert Host(family, MODELS[family]()).ask("draw", max=1.0, wait_ms=0)["code"] == "MALFORMED"


def test_a_host_whose_key_is_revoked_is_out_at_once_and_another_stays(vendor: Vendor, tmp_path: Path) -> None:
    if vendor.name != "toshiba":
        pytest.skip("the plain client speaks its words; the wire end is the same")
    files = hal.create_curve_keys(tmp_path, "guest")
    with launch(vendor.transmitter) as unit:
        with KeyClient(unit, secret=files.secret) as guest:
            assert guest.ask("status", 0.3) is None
        unit.keys.add_client(load_curve_public(files.public))
        with KeyClient(unit, secret=files.secret) as guest, KeyClient(unit) as owner:
            for client in (guest, owner):
                reply = client.ask("status", patient(2.0))
                assert reply is not None
                assert reply["ok"]
            unit.keys.revoke_client(load_curve_public(files.public))
            assert guest.ask("status", 0.5) is None
            replies = (owner.ask("status", patient(1.0)) for _ in range(5))  # which connects again
            assert any(reply is not None and reply["ok"] for reply in replies)


@FAMILIES
def test_a_subscription_ends_with_its_connection(family: str) -> None:
    driver: Any = {"toshiba": "toshiba.transmitter", "nec": "nec.transmitter"}[family]
    with launch(driver) as unit:
        opened = hal.Transmitter.open(driver, **unit.resources)
        with opened as tx:
            assert next(iter(tx.telemetry_stream(0.1, patient(2.0)))).sequence == 1
        with hal.Transmitter.open(driver, **unit.resources) as tx:
            assert next(iter(tx.telemetry_stream(0.1, patient(2.0)))).sequence == 1


# --- what may be added: the drivers go on -----------------------------------------------------------------------------

DRIVERS: dict[str, Any] = {
    "toshiba": toshiba_drivers.Transmitter({"control": hal.Resource.parse("serial:/dev/none")}),
    "nec": nec_drivers.Transmitter({"control": hal.Resource.parse("visa:TCPIP::127.0.0.1::1::SOCKET")}),
}


@FAMILIES
def test_an_alarm_that_nobody_has_heard_of_is_an_alarm(family: str) -> None:
    text = {"toshiba": "000001;AURORA,MINOR,1.0,0", "nec": "1,AURORA,MINOR,1.0,0"}[family]
    assert [alarm.code for alarm in DRIVERS[family]._active_alarms(text)] == ["AURORA"]


@FAMILIES
def test_an_error_that_nobody_has_heard_of_is_a_device_error(family: str) -> None:
    codec = DRIVERS[family]._codec()
    codec.serial_number = "TKTX0001"
    request = codec.request({"toshiba": "LAS:POW?", "nec": "CHAN1:POW?"}[family], repeatable=True)
    if family == "toshiba":
        number = request.payload.decode().partition("#")[2][:6]
        reply = seal("TKTX0001", f"={number} ERR 77 AURORA it glows")
    else:
        number = request.payload.decode().partition("#H")[2][:6]
        said = '177,"it glows"'
        reply = f"#H{number},#H{nec_seal('TKTX0001', number, said)},{said}"
    with pytest.raises(hal.DeviceError, match="it glows"):
        request.accept(reply.encode())


@FAMILIES
def test_a_reading_that_nobody_has_heard_of_spoils_no_other(family: str, monkeypatch: pytest.MonkeyPatch) -> None:
    text = {"toshiba": "AURORA=7 LAS:POW=-0.52", "nec": "AURORA,7,0,FETC:POW,-0.52,0"}[family]
    monkeypatch.setattr(DRIVERS[family], "_read", lambda _, decode: decode(text))
    (known,) = (answer.text for name, answer in DRIVERS[family]._ask_all().items() if name.endswith(":POW"))
    assert known == "-0.52"


@FAMILIES
def test_a_kind_of_event_that_nobody_has_heard_of_is_passed_over(family: str, monkeypatch: pytest.MonkeyPatch) -> None:
    driver: Any = {"toshiba": "toshiba.transmitter", "nec": "nec.transmitter"}[family]
    plain = UnitModel.take_messages

    def with_aurora(self: UnitModel) -> Any:
        messages = plain(self)
        for i, (_, frames) in enumerate(messages):
            if b"telemetry" in frames[-1] and not sent:
                sent.append(i)
                frames[-1] = frames[-1].replace(b"telemetry", b"northern!")
        return messages

    sent: list[int] = []
    monkeypatch.setattr(UnitModel, "take_messages", with_aurora)
    with launch(driver) as unit, hal.Transmitter.open(driver, **unit.resources) as tx:
        first = next(iter(tx.telemetry_stream(0.1, patient(3.0))))
    assert sent
    assert (first.sequence, first.lost, first.alarm) == (2, 0, None)
    assert first.readings
