"""A clock on which waiting is what makes time pass: one thread, no wire end with another, and runs that repeat."""

from __future__ import annotations

import threading

import pytest

import tokaido.hal as hal
from tokaido.emulators import Bench, SteppedClock, launch


def test_time_passes_while_somebody_waits_and_no_longer_than_that() -> None:
    clock, event, turns = SteppedClock(), threading.Event(), list[int]()
    detach = clock.attach(turns.append)
    assert not clock.wait(0.25)
    assert clock.monotonic_ns() == turns[-1] == 250_000_000
    event.set()
    assert clock.wait(10, event)
    assert clock.monotonic_ns() == 250_000_000
    detach()
    begin_ns = clock.utc_ns()
    clock.wait(1)
    assert len(turns) == 3
    assert clock.utc_ns() - begin_ns == hal.NS_PER_S


def test_another_thread_is_told_to_take_another_clock() -> None:
    clock, told = SteppedClock(), list[str]()

    def wait() -> None:
        with pytest.raises(hal.ConfigurationError) as caught:
            clock.wait(1)
        told.append(str(caught.value))

    thread = threading.Thread(target=wait, name="logger")
    thread.start()
    thread.join()
    assert "for one thread, and logger lives by it" in told[0]
    assert clock.monotonic_ns() == 0


def test_a_wire_end_with_a_thread_is_refused() -> None:
    with pytest.raises(hal.ConfigurationError, match="takes a thread, and a stepped clock has one"):
        launch("toshiba.transmitter", wire_end="pty", clock=SteppedClock())


def test_devices_of_one_serial_number_do_not_meet() -> None:
    clock = SteppedClock()
    with launch("toshiba.receiver", clock=clock) as one, launch("toshiba.receiver", clock=clock) as other:
        assert one.serial_number == other.serial_number
        assert len({*one.resources.values(), *other.resources.values()}) == 4
        for unit in (one, other):
            with hal.Receiver.open("toshiba.receiver", clock=clock, **unit.resources) as receiver:
                assert list(receiver.key_blocks(0)) == []


def test_a_device_that_does_not_answer_times_out_in_no_time() -> None:
    clock = SteppedClock()
    with (
        launch("toshiba.receiver", clock=clock, seed=1) as unit,
        hal.Receiver.open("toshiba.receiver", clock=clock, timeout=60, **unit.resources) as receiver,
    ):
        unit.faults.add("drop", count=1)
        with pytest.raises(hal.DeviceTimeoutError):
            receiver.state()
        assert clock.monotonic_ns() >= 60 * hal.NS_PER_S
        assert receiver.state() is hal.UnitState.OFF


@pytest.mark.parametrize("vendor", ["toshiba", "nec"])
def test_the_same_seed_gives_the_same_readings(vendor: str) -> None:
    def readings() -> list[tuple[str, object]]:
        clock = SteppedClock()
        with Bench(seed=5, speed=1, clock=clock) as bench:
            unit = bench.device("bob", f"{vendor}.receiver")
            bench.start()
            with hal.Receiver.open(f"{vendor}.receiver", clock=clock, **unit.resources) as receiver:
                receiver.power_on()
                clock.wait(30)
                return [(path, reading.value) for path, reading in sorted(receiver.telemetry().items())]

    assert readings() == readings()


def test_a_key_channel_within_the_process_is_not_moved_and_says_so() -> None:
    clock = SteppedClock()
    with (
        launch("toshiba.receiver", clock=clock, seed=1) as unit,
        hal.Receiver.open("toshiba.receiver", clock=clock, **unit.resources) as receiver,
    ):
        before = dict(unit.resources)
        with pytest.raises(hal.ConfigurationError, match="where a stepped clock has them"):
            unit.move({"keys": "zmq:inproc://elsewhere"})
        with pytest.raises(hal.ConfigurationError, match="has no port 'key'"):
            unit.move({"key": "zmq:inproc://elsewhere"})
        assert unit.resources == before
        assert list(receiver.key_blocks(0)) == []
    with launch("dicon.selector", wire_end="pty") as box, pytest.raises(hal.ConfigurationError, match="no port 'keys'"):
        box.move({"keys": "zmq:tcp://127.0.0.1:5560"})


def test_a_device_can_take_the_place_of_one_that_was_just_closed() -> None:
    """ZeroMQ closes a socket a little later, in a thread of its own; the name is free at once all the same."""
    for _ in range(200):
        with launch("toshiba.receiver", clock=SteppedClock(), seed=1) as unit:
            unit.messages.unplug()
            unit.messages.replug()
