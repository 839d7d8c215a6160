"""Alarms of a whole station: over real pty and TCP ends with their plugs pulled, and look by look in virtual time."""

from __future__ import annotations

import asyncio
import datetime
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

import tokaido.hal as hal
from tokaido.emulators import Emulator, launch
from tokaido.hal.stations._alarm_looks import DeviceLooks
from tokaido_testing.patience import patient
from tokaido_testing.toy_clock import ToyClock

POLL_S = 0.05
RAISED, CLEARED = True, False


def table(name: str, driver: str, emulator: Any, timeout: float = 0.3) -> str:
    control = emulator.resources["control"]
    return f'[devices.{name}]\ndriver = "{driver}"\ncontrol = "{control}"\ntimeout = {timeout}\n'


def change(emulator: Emulator, *changes: str) -> None:
    """Raise ("+LOS") and clear ("-LOS") alarms, such as no watch of the idle model ends by itself."""
    emulator.add_fault("rate_drop")  # of no effect at rest; brings the model, which sleeps, up to the present
    emulator.remove_fault("rate_drop")
    with emulator.lock:
        for one in changes:
            if one[0] == "+":
                emulator.model.alarms.raise_(one[1:], emulator.model.now_ns)  # type: ignore[attr-defined]
            else:
                emulator.model.alarms.clear(one[1:])  # type: ignore[attr-defined]


class Heard:
    """Takes alarms in a thread, as they come."""

    def __init__(self, watch: hal.AlarmWatch) -> None:
        self.alarms: list[hal.StationAlarm] = []
        self._watch = watch
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self) -> None:
        self.alarms.extend(self._watch)

    def of(self, device: str) -> list[tuple[bool, str]]:
        return [(alarm.raised, alarm.code) for alarm in self.alarms if alarm.device == device]

    def until(self, device: str, raised: bool, code: str, count: int = 1) -> hal.StationAlarm:
        """Wait until a device told of that so many times, and return the last."""
        deadline = hal.Deadline(hal.SYSTEM_CLOCK, patient(8))
        while self.of(device).count((raised, code)) < count:
            assert not deadline.passed, self.alarms
            hal.SYSTEM_CLOCK.wait(0.01)
        return [one for one in self.alarms if (one.device, one.raised, one.code) == (device, raised, code)][-1]


@contextmanager
def watched(text: str) -> Iterator[tuple[hal.Station, Heard]]:
    with hal.Station.from_text(f'[station]\nname = "lab"\non_exit = "keep"\n{text}') as station:
        heard = Heard(station.alarms(poll=POLL_S))
        yield station, heard
    heard.thread.join(patient(5))
    assert not heard.thread.is_alive()


def test_every_device_tells_and_its_pulled_plug_is_told_and_made_up_for() -> None:
    with (
        launch("toshiba.transmitter", warm=True) as alice,
        launch("nec.receiver", warm=True) as bob,
        watched(table("alice", "toshiba.transmitter", alice) + table("bob", "nec.receiver", bob)) as (_, heard),
    ):
        for name, emulator in (("alice", alice), ("bob", bob)):
            change(emulator, "+EC_FAIL")
            first = heard.until(name, RAISED, "EC_FAIL")
            assert (first.station, first.severity) == ("lab", hal.Severity.MINOR)
            assert abs(first.utc_ns - hal.SYSTEM_CLOCK.utc_ns()) < 20e9
            emulator.unplug()
            silent = heard.until(name, RAISED, "NOT_ANSWERING")
            assert silent.severity is hal.Severity.MAJOR
            assert silent.text
            change(emulator, "-EC_FAIL", "+NO_KEY", "+QBER_HIGH", "-QBER_HIGH")
            hal.SYSTEM_CLOCK.wait(0.1)
            emulator.replug()
            heard.until(name, CLEARED, "NOT_ANSWERING")
            heard.until(name, CLEARED, "EC_FAIL")
            heard.until(name, RAISED, "NO_KEY")
            told = heard.of(name)
            assert told.count((RAISED, "NOT_ANSWERING")) == 1
            assert (RAISED, "CHANGES_LOST") in told or (RAISED, "QBER_HIGH") in told  # bob keeps a log


def test_a_device_that_hangs_holds_up_no_other() -> None:
    with (
        launch("toshiba.transmitter", warm=True) as alice,
        launch("toshiba.receiver", warm=True) as bob,
        watched(table("bob", "toshiba.receiver", bob, timeout=30) + table("alice", "toshiba.transmitter", alice)) as (
            _,
            heard,
        ),
    ):
        change(bob, "+EC_FAIL")
        heard.until("bob", RAISED, "EC_FAIL")
        with bob.lock:  # it answers nothing, and its deadline is far off
            for number in range(3):
                change(alice, "+EC_FAIL")
                heard.until("alice", RAISED, "EC_FAIL", number + 1)
                change(alice, "-EC_FAIL")
                heard.until("alice", CLEARED, "EC_FAIL", number + 1)


def test_a_switch_tells_only_that_it_does_not_answer() -> None:
    with launch("polatis.matrix") as osw, watched(table("osw", "polatis.matrix", osw)) as (_, heard):
        osw.unplug()
        heard.until("osw", RAISED, "NOT_ANSWERING")
        osw.replug()
        heard.until("osw", CLEARED, "NOT_ANSWERING")
        assert heard.of("osw") == [(RAISED, "NOT_ANSWERING"), (CLEARED, "NOT_ANSWERING")]


def test_an_amplifier_is_polled() -> None:
    with launch("fiberlabs.amplifier") as edfa, watched(table("edfa", "fiberlabs.amplifier", edfa)) as (_, heard):
        told = heard.until("edfa", RAISED, "INPUT_LOST")
        assert told.severity is hal.Severity.MAJOR
        assert told.text == "no light at the input"


def test_who_only_watches_brings_nothing_to_its_safe_state() -> None:
    with launch("toshiba.transmitter", warm=True) as alice:
        with alice.lock:
            alice.model.prepare("RUN")  # type: ignore[attr-defined]
        text = f'[station]\non_exit = "safe"\n{table("alice", "toshiba.transmitter", alice)}'
        with hal.Station.from_text(text) as station:
            change(alice, "+EC_FAIL")
            assert next(station.alarms(poll=POLL_S)).code == "EC_FAIL"
        with hal.Transmitter.open("toshiba.transmitter", control=alice.resources["control"]) as tx:
            assert tx.emitting()


def test_a_device_that_is_used_is_the_one_that_is_watched() -> None:
    with (
        launch("toshiba.transmitter", warm=True) as alice,
        watched(table("alice", "toshiba.transmitter", alice)) as (station, heard),
    ):
        change(alice, "+EC_FAIL")
        heard.until("alice", RAISED, "EC_FAIL")
        assert station.device("alice", hal.Transmitter).state() is hal.UnitState.AUTH  # its port is exclusive
        change(alice, "+NO_KEY")
        heard.until("alice", RAISED, "NO_KEY")


def test_looking_keeps_no_watchdog_alive_of_a_program_that_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    with (
        launch("toshiba.transmitter", warm=True) as alice,
        watched(table("alice", "toshiba.transmitter", alice)) as (station, heard),
    ):
        tx: Any = station.device("alice", hal.Transmitter)
        tx.set_watchdog(60)
        monkeypatch.setattr("tokaido.hal._watchdog.RENEW_AFTER", 0.0)  # with each exchange
        hal.SYSTEM_CLOCK.wait(0.5)
        change(alice, "+EC_FAIL")
        heard.until("alice", RAISED, "EC_FAIL")
        assert tx.watchdog_remaining() < 59.6
        assert tx.watchdog_remaining() > 59.6  # the first question of the program renewed it


def test_a_watch_ends_after_its_timeout_and_leaves_no_thread() -> None:
    with launch("toshiba.transmitter", warm=True) as alice:
        station = hal.Station.from_text(f'[station]\non_exit = "keep"\n{table("alice", "toshiba.transmitter", alice)}')
        with station, station.alarms(timeout=0.3, poll=POLL_S) as watch:
            assert list(watch) == []
            with pytest.raises(StopIteration):
                next(watch)
        names = [thread.name for thread in threading.enumerate()]
        assert "tokaido-alarms-alice" not in names
        with pytest.raises(hal.RangeError, match="poll"):
            station.alarms(poll=0)
        with pytest.raises(hal.RangeError, match="timeout"):
            station.alarms(timeout=-1)


def test_the_asyncio_face_ends_at_once_when_it_is_cancelled() -> None:
    with launch("toshiba.transmitter", warm=True) as alice:
        station = hal.Station.from_text(f'[station]\non_exit = "keep"\n{table("alice", "toshiba.transmitter", alice)}')

        async def run() -> str:
            heard: list[str] = []

            async def listen() -> None:
                async for alarm in hal.aio.alarms(station, poll=POLL_S):
                    heard.append(alarm.code)  # noqa: PERF401 - as they come, not in the end

            task = asyncio.create_task(listen())
            change(alice, "+EC_FAIL")
            deadline = hal.Deadline(hal.SYSTEM_CLOCK, patient(8))
            while not heard and not deadline.passed:
                await asyncio.sleep(0.01)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await asyncio.wait_for(task, patient(5))
            return heard[0]

        with station:
            assert asyncio.run(run()) == "EC_FAIL"


# --- look by look -----------------------------------------------------------------------------------------------------


class Unit:
    """As much of a unit as a look asks for."""

    def __init__(self) -> None:
        self.announced: list[hal.AlarmEvent] = []
        self.active: dict[str, hal.Severity] = {}
        self.age_s = 0.0
        self.alarm_events_lost = 0
        self.fails: Exception | None = None
        self.calibrations: dict[str, hal.Calibration] = {}

    def alarm_events(self) -> tuple[hal.AlarmEvent, ...]:
        told, self.announced = tuple(self.announced), []
        return told

    def alarms(self) -> tuple[hal.Alarm, ...]:
        if self.fails is not None:
            raise self.fails
        return tuple(hal.Alarm(code, of, latched=False, age_s=self.age_s) for code, of in self.active.items())

    def say(self, raised: bool, code: str) -> None:
        self.announced.append(hal.AlarmEvent(1, raised, code, hal.Severity.MINOR, "why"))


@pytest.fixture
def unit(monkeypatch: pytest.MonkeyPatch) -> Unit:
    monkeypatch.setattr("tokaido.hal.stations._alarm_looks.Unit", Unit)
    return Unit()


@pytest.fixture
def look(unit: Unit) -> Callable[[], list[tuple[bool, str]]]:
    looks = DeviceLooks("lab", "alice", lambda: unit, ToyClock())  # type: ignore[arg-type,return-value]
    return lambda: [(one.raised, one.code) for one in looks.look()]


def test_what_was_announced_and_stands_is_told_once(unit: Unit, look: Any) -> None:
    unit.say(RAISED, "LOS")
    unit.active["LOS"] = hal.Severity.MINOR
    assert look() == [(RAISED, "LOS")]
    assert look() == []
    unit.say(CLEARED, "LOS")
    unit.say(RAISED, "LOS")
    assert look() == [(CLEARED, "LOS"), (RAISED, "LOS")]


def test_an_announcement_that_comes_behind_the_comparison_is_not_told_again(unit: Unit, look: Any) -> None:
    unit.active["LOS"] = hal.Severity.MINOR
    assert look() == [(RAISED, "LOS")]
    unit.say(RAISED, "LOS")
    assert look() == []
    del unit.active["LOS"]
    assert look() == [(CLEARED, "LOS")]
    unit.say(CLEARED, "LOS")
    assert look() == []


def test_an_alarm_that_was_active_before_has_the_time_at_which_it_was_raised(unit: Unit) -> None:
    unit.active["LOS"], unit.age_s = hal.Severity.MINOR, 600.5
    clock = ToyClock(1000)
    (told,) = DeviceLooks("lab", "alice", lambda: unit, clock).look()  # type: ignore[arg-type,return-value]
    assert told.utc_ns == 399_500_000_000
    assert told.record()["utc"] == "1970-01-01T00:06:39.500Z"


def test_silence_is_told_once_and_so_is_its_end(unit: Unit, look: Any) -> None:
    unit.active["LOS"] = hal.Severity.MINOR
    assert look() == [(RAISED, "LOS")]
    unit.fails = ValueError("a driver of somebody else's")
    assert look() == [(RAISED, "NOT_ANSWERING")]
    unit.fails = hal.NotConnectedError("gone")
    assert look() == []
    unit.fails = None
    unit.active = {"NO_KEY": hal.Severity.WARNING}
    assert look() == [(CLEARED, "NOT_ANSWERING"), (CLEARED, "LOS"), (RAISED, "NO_KEY")]


def test_a_calibration_that_expires_is_a_warning_until_it_is_taken_anew(unit: Unit) -> None:
    clock = ToyClock(86_400 * 10 - 1)
    day = datetime.date(1970, 1, 10)
    unit.calibrations["laser_power"] = hal.Calibration("dBm", day, "bench", offset=0.5, valid_until=day)
    looks = DeviceLooks("lab", "alice", lambda: unit, clock)  # type: ignore[arg-type,return-value]
    assert looks.look() == []
    clock.wait(1)
    (told,) = looks.look()
    assert (told.code, told.severity, told.raised) == ("CALIBRATION_EXPIRED:laser_power", hal.Severity.WARNING, RAISED)
    assert "offset +0.5 dBm, 1970-01-10, bench, valid until 1970-01-10" in told.text
    assert looks.look() == []
    unit.calibrations.clear()
    (told,) = looks.look()
    assert (told.code, told.raised) == ("CALIBRATION_EXPIRED:laser_power", CLEARED)


def test_what_was_lost_is_counted(unit: Unit) -> None:
    looks = DeviceLooks("lab", "alice", lambda: unit, ToyClock())  # type: ignore[arg-type,return-value]
    assert looks.look() == []
    unit.alarm_events_lost = 3
    (told,) = looks.look()
    assert (told.code, told.severity) == ("CHANGES_LOST", hal.Severity.WARNING)
    assert told.text.startswith("3 changes")
    assert looks.look() == []


def test_a_hostile_text_is_one_line_of_bounded_length(unit: Unit) -> None:
    unit.active["A\r\nBcc: x"] = hal.Severity.MINOR
    unit.announced.append(hal.AlarmEvent(1, True, "LOS", hal.Severity.MINOR, "\x1b[2J" + "x" * 10_000))
    looks = DeviceLooks("lab", "alice", lambda: unit, ToyClock())  # type: ignore[arg-type,return-value]
    for told in looks.look():
        assert (told.code + told.text).isprintable()
        assert len(told.code) + len(told.text) < 600
