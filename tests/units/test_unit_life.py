"""A unit's life through its driver: power, waiting, alarms, watchdog, stream, draw, safe state."""

from __future__ import annotations

import asyncio
import itertools
import secrets
from contextlib import nullcontext
from pathlib import Path

import pytest

import tokaido.hal as hal
from tokaido.emulators import Emulator, launch
from tokaido.hal import UnitState
from tokaido.hal.transports import StreamTransport
from tokaido_testing.patience import patient
from tokaido_testing.unit_vendors import Vendor


def prepare(emulator: Emulator, state: str) -> None:
    """Bring the model into a state, with an imagined peer."""
    with emulator.lock:
        emulator.model.prepare(state)  # type: ignore[attr-defined]


def test_a_cold_unit_warms_up_and_waits_for_its_key(vendor: Vendor) -> None:
    with (
        launch(vendor.transmitter, speed=100) as emulator,
        hal.Transmitter.open(vendor.transmitter, **emulator.resources) as tx,
    ):
        assert tx.state() is UnitState.OFF
        with pytest.raises(hal.StateError, match="OFF"):
            tx.start()
        tx.power_on()
        assert tx.wait_for(UnitState.AUTH, timeout=10) is UnitState.AUTH
        assert not tx.preshared_key_loaded()
        tx.load_preshared_key(hal.KeyMaterial(secrets.token_bytes(4096)))
        assert tx.preshared_key_loaded()
        with pytest.raises(hal.DeviceTimeoutError, match="still in AUTH"):
            tx.wait_for(UnitState.RUN, timeout=0.3)
        tx.zeroize(tx.identity().serial_number)
        assert tx.wait_for(UnitState.OFF, timeout=5) is UnitState.OFF
        assert not tx.preshared_key_loaded()


def test_waiting_for_what_cannot_come_ends_at_once_and_says_why(emulator: Emulator, tx: hal.Transmitter) -> None:
    prepare(emulator, "STANDBY")
    emulator.add_fault("cover_opened")
    with pytest.raises(hal.StateError, match="TAMPER"):
        tx.wait_for(UnitState.RUN, timeout=30)
    with pytest.raises(hal.RefusedError):
        tx.acknowledge_security()
    emulator.remove_fault("cover_opened")
    tx.acknowledge_security()
    assert tx.state() is not UnitState.SECURITY_HOLD


def test_alarms_come_unasked_and_in_order(emulator: Emulator, tx: hal.Transmitter) -> None:
    assert tx.alarm_events() == ()
    emulator.add_fault("cover_opened")
    events = tx.alarm_events(timeout=2)
    assert [(event.raised, event.code, event.severity) for event in events] == [(True, "TAMPER", hal.Severity.CRITICAL)]
    active = {alarm.code: alarm for alarm in tx.alarms()}
    assert active["TAMPER"].latched


def test_a_host_that_falls_silent_lets_its_watchdog_bite_and_the_unit_goes_safe(vendor: Vendor) -> None:
    with (
        launch(vendor.transmitter, speed=20, warm=True) as emulator,
        hal.Transmitter.open(vendor.transmitter, **emulator.resources) as tx,
    ):
        prepare(emulator, "RUN")
        with pytest.raises(hal.RangeError):
            tx.set_watchdog(2)
        tx.set_watchdog(20)
        assert tx.emitting()
        hal.SYSTEM_CLOCK.wait(1.5)  # 30 emulated s
        assert not tx.emitting()
        assert tx.attenuation == 60
        assert tx.state() is UnitState.STANDBY
        assert "LEASE_EXPIRED" in {alarm.code for alarm in tx.alarms()}


def test_a_program_that_only_reads_keeps_no_dead_controller_s_watchdog_alive(vendor: Vendor) -> None:
    with launch(vendor.transmitter, speed=20, warm=True) as emulator:
        prepare(emulator, "RUN")
        with hal.Transmitter.open(vendor.transmitter, **emulator.resources) as controller:
            controller.set_watchdog(20)  # one second of ours
            name = controller.watchdog_token  # type: ignore[attr-defined]
        with hal.Transmitter.open(vendor.transmitter, **emulator.resources) as reader:
            holder = reader.watchdog_holder()  # type: ignore[attr-defined]
            assert holder in (name, "")  # the machine may have been slower than the watchdog
            with pytest.raises(hal.RefusedError) if holder else nullcontext():
                reader.set_watchdog(0)
            reader.wait_for(UnitState.STANDBY, timeout=patient(5))
            assert "LEASE_EXPIRED" in {alarm.code for alarm in reader.alarms()}


def test_a_controller_that_reads_keeps_its_watchdog(vendor: Vendor, monkeypatch: pytest.MonkeyPatch) -> None:
    with (
        launch(vendor.transmitter, warm=True) as emulator,
        hal.Transmitter.open(vendor.transmitter, **emulator.resources) as tx,
    ):
        assert tx.watchdog_holder() == ""  # type: ignore[attr-defined]
        tx.set_watchdog(60)
        hal.SYSTEM_CLOCK.wait(1)
        tx.state()  # too early to renew it
        assert tx.watchdog_remaining() <= 59  # type: ignore[attr-defined]
        monkeypatch.setattr("tokaido.hal._watchdog.RENEW_AFTER", 1 / 60)
        with pytest.raises(hal.DeviceError):  # an answer as well
            tx.output_power  # noqa: B018
        assert 59 < tx.watchdog_remaining() <= 60  # type: ignore[attr-defined]
        assert tx.watchdog_holder() == tx.watchdog_token  # type: ignore[attr-defined]
        tx.set_watchdog(0)
        assert tx.watchdog_holder() == ""  # type: ignore[attr-defined]


def test_the_telemetry_stream_counts_its_events(emulator: Emulator, tx: hal.Transmitter) -> None:
    prepare(emulator, "RUN")
    events = []
    for event in tx.telemetry_stream(0.1, timeout=2):
        events.append(event)
        if event.sequence == 2:
            emulator.add_fault("cover_opened")
        if event.alarm is not None:
            break
    assert [event.sequence for event in events] == list(range(1, len(events) + 1))
    assert all(event.lost == 0 for event in events)
    assert events[0].state is UnitState.RUN
    assert events[0].values["attenuation"] == 35
    assert tx.attenuation == 60  # the alarm made it safe
    alarm = events[-1].alarm
    assert alarm is not None
    assert alarm.code == "TAMPER"


def test_events_that_were_lost_are_counted(vendor: Vendor, emulator: Emulator, tx: hal.Transmitter) -> None:
    emulator.faults.add("drop", direction="from_unit", port="keys", match=vendor.third_event)
    events = list(itertools.islice(tx.telemetry_stream(0.1, timeout=2), 4))
    emulator.faults.clear()
    assert [event.sequence for event in events] == [1, 2, 4, 5]
    assert [event.lost for event in events] == [0, 0, 1, 0]


def test_one_host_draws_at_a_time(vendor: Vendor, emulator: Emulator, tx: hal.Transmitter) -> None:
    """One program has the control port to itself; the key channel is what two could share."""
    keys = hal.Resource.parse(emulator.resources["keys"])
    assert list(tx.key_blocks(0)) == []
    channel = type(tx._keys())  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]
    other = channel(keys, "other", vendor.serial_numbers[0], clock=hal.SYSTEM_CLOCK, timeout_s=1.0)
    with pytest.raises(hal.DeviceBusyError, match="another host"):
        list(other.key_blocks(0, None))
    assert list(tx.key_blocks(0)) == []
    other.close()


@pytest.mark.parametrize(("on_exit", "emits"), [("safe", False), ("keep", True)])
def test_a_station_leaves_its_devices_as_it_says(
    vendor: Vendor, emulator: Emulator, on_exit: str, emits: bool, tmp_path: Path
) -> None:
    prepare(emulator, "RUN")
    path = tmp_path / "lab.toml"
    path.write_text(
        f'[station]\non_exit = "{on_exit}"\n[devices.alice]\ndriver = "{vendor.transmitter}"\n'
        f'control = "{emulator.resources["control"]}"\n'
    )
    with hal.Station.from_file(path) as station:
        assert station.device("alice", hal.Transmitter).emitting()
    with hal.Transmitter.open(vendor.transmitter, **emulator.resources) as tx:
        assert tx.emitting() is emits


def test_a_station_that_cannot_make_its_devices_safe_says_so(vendor: Vendor, emulator: Emulator) -> None:
    station = hal.Station.from_text(
        f'[devices.alice]\ndriver = "{vendor.transmitter}"\ntimeout = {patient(0.3)}\n'
        f'control = "{emulator.resources["control"]}"\n'
    )
    station.device("alice", hal.Transmitter)
    emulator.unplug()
    with pytest.raises(hal.TokaidoError, match="alice"):
        station.close()
    emulator.replug()


def test_the_asyncio_face_reads_sets_and_commands(vendor: Vendor, emulator: Emulator) -> None:
    async def run() -> None:
        async with hal.aio.open(hal.Transmitter.open, vendor.transmitter, **emulator.resources) as tx:
            await tx.set(hal.Transmitter.attenuation, 12.5)
            assert await tx.get(hal.Transmitter.attenuation) == 12.5
            assert await tx.ask(hal.Transmitter.state) is UnitState.AUTH
            assert (await tx.telemetry())[hal.Transmitter.attenuation].value == 12.5
            with pytest.raises(hal.StateError):
                await tx.call(hal.Transmitter.start)

    asyncio.run(run())


def test_a_trace_shows_the_wire_from_the_first_byte(vendor: Vendor, emulator: Emulator) -> None:
    records: list[hal.TraceRecord] = []
    with hal.Transmitter.open(vendor.transmitter, trace=records.append, control=emulator.resources["control"]) as tx:
        assert isinstance(tx.transport, StreamTransport)
        assert tx.transport.query(vendor.attenuation) == "35"
    texts = [(record.direction, record.text) for record in records]
    assert "IDN?" in texts[0][1]
    assert ("<", True) in {(direction, vendor.attenuation_is_35 in text) for direction, text in texts}
