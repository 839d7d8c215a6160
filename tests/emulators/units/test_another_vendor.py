"""The room belongs to no vendor: a family is built here by subclassing alone, without the others, and makes keys.

Its units have three sub-channels, superconducting detectors, a faster clock, other steps and other messages.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any, ClassVar

import msgspec
import pytest

from tokaido.emulators import QkdLink
from tokaido.emulators.optics import Fibre, preset
from tokaido.emulators.units import (
    ALARMS,
    AlarmChange,
    AlarmKind,
    Body,
    ControlPort,
    Header,
    KeyFormat,
    ReceiverUnit,
    Refusal,
    State,
    TransmitterUnit,
    UnitModel,
    of_detector,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

CHANNELS = 3
DETECTORS = range(2 * CHANNELS)
FIBRE = Fibre(length_km=30, loss_db=8.0)
PARAMETERS = dataclasses.replace(
    preset("t12", settings="short-block", channel_loss_db=FIBRE.total_loss_db),
    clock_rate_hz=1.25e9,
    intensities=(0.35, 0.13, 0.001),
    probabilities=(0.20, 0.50, 0.30),
    key_basis_probability_transmitter=0.55,
    key_basis_probability_receiver=0.55,
)
BLOCK_BITS = 200_000.0


class PackedFormat(KeyFormat):
    """One id of 4 bytes, then MessagePack."""

    PROTOCOL = "ACME-1"

    def request_id(self, frames: Sequence[bytes]) -> bytes | None:
        return frames[0] if frames and len(frames[0]) == 4 else None

    def decode(self, frames: Sequence[bytes]) -> tuple[Header, list[bytes]]:
        try:
            return msgspec.msgpack.decode(frames[1], type=dict[str, Any]), list(frames[2:])
        except (IndexError, msgspec.DecodeError):
            raise Refusal("MALFORMED", "this is not a message") from None

    def encode(self, request_id: bytes | None, header: Header, payload: Sequence[bytes] = ()) -> list[bytes]:
        return [request_id or b"", msgspec.msgpack.encode(header), *payload]


class Panel:
    """Its control protocol: one word a line."""

    def __init__(self, unit: UnitModel) -> None:
        self._unit = unit
        self.said = b""

    def receive(self, data: bytes) -> None:
        word = data.decode().strip()
        try:
            if word == "GO":
                self._unit.orders.obey("start", called="GO")
            reading = self._unit.value("qber").value if word == "ERRORS" else "done"
            self.said += f"{reading}\n".encode()
        except Refusal as refusal:
            self.said += f"{refusal.name}: {refusal.text}\n".encode()

    def take(self) -> bytes:
        said, self.said = self.said, b""
        return said

    def tell_alarm(self, change: AlarmChange) -> None:
        self.said += f"{change.change} {change.kind.text}\n".encode()


class AcmeUnit(UnitModel):
    VENDOR = "ACME"
    FIRMWARE = "9"
    PULSES = "acme"
    KEY_FORMAT = PackedFormat()
    ALARMS: ClassVar[Mapping[str, AlarmKind]] = {
        **ALARMS,
        "TAMPER": dataclasses.replace(ALARMS["TAMPER"], text="somebody was here"),
    }
    ALIGNMENT: ClassVar[Mapping[str, float]] = {"BIAS": 1.0, "SYNC": 2.0, "DELAY": 3.0, "PHASE": 4.0}
    channels = CHANNELS

    def _build_control(self) -> ControlPort:
        return Panel(self)

    def telemetry(self) -> dict[str, float | str | None]:
        return {"temperature": float(self.value("chassis_temperature").value)}

    def _delivery(self) -> dict[str, float]:
        return {"block_bits": BLOCK_BITS, "key_basis_probability": 0.55}


class Alice(AcmeUnit, TransmitterUnit):
    MODEL = "A"
    SERIAL_NUMBER = "ACME-A"
    WARMUP_LIMIT_S = 50.0
    TEMPERATURE_LIMIT = 1.0
    RUNAWAY = 3.0
    CLOCK_RATE_HZ = 1.25e9
    LASER_POWER_DBM = 2.0
    LASER_POWER_LIMITS_DBM = (0.0, 4.0)
    LASER_POWER_LOSS_DB = 9.0
    LASER_BIAS_MA = 30.0
    MAXIMUM_ATTENUATION_DB = 50.0

    def _build_laser(self) -> Body:
        return Body(28.0, 5.0, settled_within=0.1)

    def _delivery(self) -> dict[str, float]:
        names = ("signal_mean_photon_number", "decoy_mean_photon_number", "vacuum_mean_photon_number")
        intensities = dict(zip(names, PARAMETERS.intensities, strict=True))
        rest = {"decoy_probability": 0.50, "vacuum_probability": 0.30, "attenuation": 20.0}
        return {**super()._delivery(), **intensities, **rest}


class Bob(AcmeUnit, ReceiverUnit):
    MODEL = "B"
    SERIAL_NUMBER = "ACME-B"
    TEMPERATURE_LIMIT = 0.5
    RUNAWAY = 2.0
    WORKING_BIAS = 21.0
    WORKING_EFFICIENCY = 0.205
    DARK_RATE = 120.0
    OPTICS = "nec-sspd"

    def __init__(self, *, warmup_limit_s: float = 90.0, **options: object) -> None:
        self.WARMUP_LIMIT_S = warmup_limit_s
        super().__init__(None, **options)

    def _build_detectors(self) -> tuple[Body, ...]:
        return tuple(Body(2.3, 4.0, settled_within=0.1, ambient=296.15) for _ in DETECTORS)

    def _build_interferometer(self) -> Body:
        return Body(35.0, 5.0, settled_within=0.1)

    def efficiency_at(self, bias: float) -> float:
        return self.WORKING_EFFICIENCY * bias / self.WORKING_BIAS if bias < 23 else 0.0

    def _delivery(self) -> dict[str, float]:
        of_each = {of_detector(i, what): 0.0 for i in DETECTORS for what in ("bias", "dead_time")}
        return {**super()._delivery(), **of_each}

    def step_done(self, step: str) -> None:
        super().step_done(step)
        if step == "DELAY":
            for i in DETECTORS:
                self.settings[of_detector(i, "dead_time")] = 20.0


def ask(unit: UnitModel, word: str) -> str:
    unit.receive("control", word.encode())
    return unit.take("control").decode()


def pass_time(unit: UnitModel, seconds: float) -> None:
    unit.advance(unit.now_ns + round(seconds * 1e9))


def read(unit: UnitModel, name: str) -> float:
    return float(unit.value(name).value)


def test_it_warms_up_cools_down_and_aligns_in_its_own_steps() -> None:
    bob = Bob()
    bob.orders.obey("power_on", called="ON")
    assert read(bob, "detectors[5].temperature") == pytest.approx(296.15, abs=0.1)
    pass_time(bob, 60)
    assert bob.state == "AUTH"
    assert read(bob, "detectors[5].temperature") == pytest.approx(2.3, abs=0.1)
    bob.orders.obey("power_off", called="OFF")
    pass_time(bob, 900)
    assert read(bob, "detectors[5].temperature") == pytest.approx(296.15, abs=1)
    bob.prepare("ALIGN")
    seen = []
    for _ in range(22):
        seen += [bob.step] if bob.step not in seen else []
        pass_time(bob, 0.5)
    assert seen == ["BIAS", "SYNC", "DELAY", "PHASE", ""]
    assert [read(bob, of_detector(i, "bias")) for i in DETECTORS] == [21.0] * 6
    assert read(bob, "detectors[0].dark_count_rate") == pytest.approx(120, abs=5)


def test_a_cooler_that_fails_is_told_by_the_limit_of_this_very_box() -> None:
    bob = Bob(warmup_limit_s=20.0)
    bob.add_fault("detector_warmup_failure")
    bob.orders.obey("power_on", called="ON")
    pass_time(bob, 21)
    assert bob.state == "WARMUP"
    pass_time(bob, 2)
    assert bob.state == "FAULT"


def test_its_control_port_speaks_its_own_words() -> None:
    alice = Alice()
    assert ask(alice, "GO") == "STATE: OFF: GO is allowed in STANDBY\n"
    alice.prepare("STANDBY")
    assert ask(alice, "GO") == "done\n"
    assert ask(alice, "ERRORS") == "NO_DATA: no block was finished yet\n"
    alice.add_fault("cover_opened")
    assert alice.take("control") == b"RAISED somebody was here\n"
    assert alice.state == State.SECURITY_HOLD


def test_its_key_channel_writes_its_own_messages() -> None:
    alice = Alice()
    alice.warm()

    def call(verb: str, *payload: bytes, **members: object) -> Header:
        header = msgspec.msgpack.encode({"verb": verb, "serial_number": "ACME-A", "host": "0" * 16, **members})
        alice.receive_message(b"peer", "key", [b"1234", header, *payload])
        ((peer, frames),) = alice.take_messages()
        assert (peer, frames[0], frames[2:]) == (b"peer", b"1234", [])
        return msgspec.msgpack.decode(frames[1], type=dict[str, Any])

    hello = call("hello", protocol="ACME-1")
    assert (hello["protocol"], hello["vendor"], hello["model"]) == ("ACME-1", "ACME", "A")
    assert call("hello", protocol="TQK1")["code"] == "RANGE"
    assert call("load_psk", bytes(4096), peer="ACME-B", path="north")["loaded"] == 4096
    assert call("draw", max=1, wait_ms=0)["blocks"] == []
    assert call("subscribe", interval_ms=100)["ok"]
    pass_time(alice, 0.1)
    ((_, (event_id, event)),) = alice.take_messages()
    assert event_id == b""
    assert msgspec.msgpack.decode(event, type=dict[str, Any])["values"].keys() == {"temperature"}
    for frames in ([b"1234"], [b"1234", b"\xc1"]):
        alice.receive_message(b"peer", "key", frames)
        assert msgspec.msgpack.decode(alice.take_messages()[0][1][1])["code"] == "MALFORMED"
    alice.receive_message(b"peer", "key", [b"12345", b""])
    assert alice.take_messages() == []


def started(alice: Alice, bob: Bob) -> QkdLink:
    """Return a link of two units that have aligned and were told to exchange keys."""
    link = QkdLink(alice, bob, fibre=FIBRE, parameters=PARAMETERS, seed=2, secrets="seeded")
    for unit in (alice, bob):
        unit.warm()
        unit.load_psk(bytes(range(256)) * 16)
    for _ in range(40):
        link.step(500_000_000)
    assert [str(unit.state) for unit in (alice, bob)] == ["STANDBY", "STANDBY"]
    return link


def pass_link_time(link: QkdLink, seconds: float) -> None:
    for _ in range(round(seconds * 10)):
        link.step(100_000_000)


@pytest.mark.parametrize("on", [(0, 1, 2), (1,)])
def test_it_makes_the_same_keys_at_both_ends(on: tuple[int, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Bob, "channels_on", on)
    alice, bob = Alice(seed=2, secrets="seeded"), Bob(seed=2, secrets="seeded")
    with started(alice, bob) as link:
        for i in (2, 3):
            bob.settings[of_detector(i, "bias")] = 21.0 / 2
        for unit in (alice, bob):
            unit.orders.obey("start", called="GO")
        for _ in range(15):
            pass_link_time(link, 0.1)
            if min(unit.store.waiting for unit in (alice, bob)):
                break
        drawn = [{info.name[1:]: key.digest(bytes(16)) for info, key in unit.store.oldest(64)} for unit in (alice, bob)]
        assert len(drawn[0]) >= 1
        assert drawn[0] == drawn[1]
        assert 0.02 < read(bob, "qber") < 0.07
        rates = [read(bob, of_detector(i, "count_rate")) for i in DETECTORS]
        assert [i for i in DETECTORS if rates[i] > 1e5] == [i for i in DETECTORS if i // 2 in on]
        if 0 in on:
            assert rates == pytest.approx([rates[0]] * 2 + [rates[0] / 2] * 2 + [rates[0]] * 2, rel=0.1)


def test_without_a_sub_channel_that_is_on_at_both_ends_there_is_no_session(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Alice, "channels_on", (0,))
    monkeypatch.setattr(Bob, "channels_on", (1, 2))
    alice, bob = Alice(seed=2, secrets="seeded"), Bob(seed=2, secrets="seeded")
    with started(alice, bob) as link:
        for unit in (alice, bob):
            unit.orders.obey("start", called="GO")
        pass_link_time(link, 1.5)
        sessions = [unit.blocks.session for unit in (alice, bob)]
        assert sessions == [None, None]
        monkeypatch.setattr(Alice, "channels_on", (0, 2))
        pass_link_time(link, 1.5)
        assert alice.session_id is not None
        assert alice.session_id == bob.session_id
