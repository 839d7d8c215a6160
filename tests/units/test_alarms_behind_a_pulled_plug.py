"""What a unit's driver tells of alarms that changed while its cable was out, for every vendor."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

import pytest

import tokaido.hal as hal
from tokaido.emulators import Emulator, launch
from tokaido_testing.patience import patient
from tokaido_testing.unit_vendors import Vendor, wait_for_port


@pytest.fixture
def tx(vendor: Vendor, emulator: Emulator) -> Iterator[hal.Transmitter]:
    with hal.Transmitter.open(vendor.transmitter, timeout=2, **emulator.resources) as tx:
        yield tx


def change(emulator: Emulator, *changes: str) -> None:
    """Raise ("+LOS") and clear ("-LOS") alarms, such as no watch of the idle model ends by itself."""
    model = emulator.model
    emulator.add_fault("rate_drop")  # of no effect at rest; brings the model, which sleeps, up to the present
    emulator.remove_fault("rate_drop")
    with emulator.lock:
        for one in changes:
            if one[0] == "+":
                model.alarms.raise_(one[1:], model.now_ns)  # type: ignore[attr-defined]
            else:
                model.alarms.clear(one[1:])  # type: ignore[attr-defined]


def behind_a_pulled_plug(emulator: Emulator, *changes: str) -> None:
    emulator.unplug()
    change(emulator, *changes)
    hal.SYSTEM_CLOCK.wait(0.1)  # what is said now nobody hears
    emulator.replug()
    wait_for_port(emulator)


def events_of(unit: hal.Unit) -> tuple[hal.AlarmEvent, ...]:
    with suppress(hal.NotConnectedError):
        return unit.alarm_events(timeout=patient(0.1))
    return unit.alarm_events(timeout=patient(0.1))  # the first one found the plug out


def told(unit: hal.Unit) -> list[str]:
    return [f"{'+' if event.raised else '-'}{event.code}" for event in events_of(unit)]


def test_an_alarm_that_was_raised_meanwhile_is_told(emulator: Emulator, tx: hal.Transmitter) -> None:
    assert tx.alarm_events() == ()
    behind_a_pulled_plug(emulator, "+EC_FAIL")
    (event,) = events_of(tx)
    assert (event.raised, event.code, event.severity) == (True, "EC_FAIL", hal.Severity.MINOR)
    assert told(tx) == []


def test_an_alarm_that_was_cleared_meanwhile_is_told(emulator: Emulator, tx: hal.Transmitter) -> None:
    change(emulator, "+EC_FAIL")
    tx.identity()  # hears the line
    assert told(tx) == ["+EC_FAIL"]
    behind_a_pulled_plug(emulator, "-EC_FAIL")
    assert told(tx) == ["-EC_FAIL"]


def test_an_alarm_that_stood_before_the_opening_and_ends_meanwhile_is_told(vendor: Vendor, emulator: Emulator) -> None:
    change(emulator, "+EC_FAIL")
    with hal.Transmitter.open(vendor.transmitter, timeout=2, **emulator.resources):
        hal.SYSTEM_CLOCK.wait(0.2)  # another program reads what was announced
    with hal.Transmitter.open(vendor.transmitter, timeout=2, **emulator.resources) as tx:
        assert told(tx) == []
        behind_a_pulled_plug(emulator, "-EC_FAIL", "+NO_KEY")
        assert told(tx) == ["-EC_FAIL", "+NO_KEY"]


def test_nothing_that_came_and_went_meanwhile_goes_untold(emulator: Emulator, tx: hal.Transmitter) -> None:
    assert told(tx) == []
    behind_a_pulled_plug(emulator, "+NO_KEY", "-NO_KEY", "+QBER_HIGH", "-QBER_HIGH")
    events = events_of(tx)
    assert len(events) + tx.alarm_events_lost == 4


def test_what_waited_to_be_taken_survives_the_gap(emulator: Emulator, tx: hal.Transmitter) -> None:
    assert told(tx) == []
    change(emulator, "+NO_KEY")
    tx.identity()
    behind_a_pulled_plug(emulator, "+QBER_HIGH", "-NO_KEY")
    events = [*told(tx), *told(tx)]
    assert events[0] == "+NO_KEY"
    assert sorted(events) == ["+NO_KEY", "+QBER_HIGH", "-NO_KEY"]
    assert told(tx) == []


def test_a_unit_that_came_up_again_meanwhile_is_found_out(vendor: Vendor) -> None:
    """Its count went past the number that was known, so that the number alone does not tell."""
    serial_number, _ = vendor.serial_numbers
    with launch(vendor.transmitter, serial_number=serial_number, seed=1) as first:
        with first.lock:
            first.model.advance(first.model.now_ns + 50_000_000_000)
        control = first.resources["control"]
        tx = hal.Transmitter.open(vendor.transmitter, timeout=2, control=control)
        assert told(tx) == []
        hal.SYSTEM_CLOCK.wait(0.3)
        change(first, "+EC_FAIL")
        assert told(tx) == ["+EC_FAIL"]
    with (
        tx,
        launch(vendor.transmitter, serial_number=serial_number, resources={"control": control}, seed=1) as again,
    ):
        change(again, "+NO_KEY", "-NO_KEY", "+QBER_HIGH")
        events = [*told(tx), *told(tx)]
    assert "-EC_FAIL" in events
    assert events.index("-EC_FAIL") < events.index("+QBER_HIGH")
    assert len(events) + tx.alarm_events_lost >= 4


def test_an_alarm_that_went_and_came_again_meanwhile_is_told(emulator: Emulator, tx: hal.Transmitter) -> None:
    change(emulator, "+NO_KEY")
    tx.identity()
    assert told(tx) == ["+NO_KEY"]
    emulator.unplug()
    hal.SYSTEM_CLOCK.wait(0.9)
    change(emulator, "-NO_KEY", "+NO_KEY")
    hal.SYSTEM_CLOCK.wait(0.1)
    emulator.replug()
    wait_for_port(emulator)
    assert told(tx) == ["-NO_KEY", "+NO_KEY"]


def test_a_log_that_overran_is_told_by_what_is_active(emulator: Emulator, tx: hal.Transmitter) -> None:
    change(emulator, "+QBER_HIGH")
    tx.identity()
    assert told(tx) == ["+QBER_HIGH"]
    behind_a_pulled_plug(emulator, "-QBER_HIGH", "+EC_FAIL", *(["+NO_KEY", "-NO_KEY"] * 50))
    events = events_of(tx)
    codes = [(event.raised, event.code) for event in events]
    assert (False, "QBER_HIGH") in codes
    assert (True, "EC_FAIL") in codes
    announced = [event for event in events if event.sequence]
    assert len(announced) + tx.alarm_events_lost == 102
    assert told(tx) == []
