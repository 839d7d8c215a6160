"""Time on the bench, on a wall clock that a test holds in its hand."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tokaido.emulators.bench import Bench
from tokaido.emulators.bench._pace import AHEAD_NS, BUSY_S, CREEP_NS, IDLE_S, MAX_STEP_NS, Pace, Passed
from tokaido.emulators.toshiba import ReceiverModel, TransmitterModel
from tokaido.hal import ConfigurationError, TokaidoError

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable


class HandClock:
    """A clock that goes on when somebody waits, and tells each wait."""

    def __init__(self, waits: int) -> None:
        self.now_ns = 1_000_000_000
        self.waits: list[float] = []
        self.on_wait: Callable[[], None] = lambda: None
        self._left = waits

    def monotonic_ns(self) -> int:
        return self.now_ns

    def utc_ns(self) -> int:
        return self.now_ns

    def wait(self, seconds: float, event: threading.Event | None = None) -> bool:
        self.waits.append(seconds)
        for _ in range(10):
            self.now_ns += round(seconds * 1e8)
            self.on_wait()
        self._left -= 1
        if self._left == 0:
            assert event is not None
            event.set()
        return False


class Steps:
    """Takes steps and does nothing in them."""

    def __init__(self, *, busy: bool = False, behind: bool = False) -> None:
        self.taken: list[int] = []
        self.busy = busy
        self.behind = behind

    def __call__(self, step_ns: int, pump_s: float | None) -> Passed:
        self.taken.append(step_ns)
        return Passed(sum(self.taken), AHEAD_NS + 1 if self.behind else 0, busy=self.busy)


def run(steps: Steps, *, speed: float, waits: int = 20) -> tuple[HandClock, list[int]]:
    clock = HandClock(waits)
    pace = Pace(steps, clock=clock, speed=speed, name="test")
    told: list[int] = []
    clock.on_wait = lambda: told.append(pace.emulated_ns)
    pace._run()
    return clock, told


def test_emulated_time_goes_on_between_two_steps_and_never_back() -> None:
    clock, told = run(Steps(busy=True), speed=10)
    assert told == sorted(told)
    assert len(set(told)) == len(told) == 200
    assert told[-1] == 10 * (clock.now_ns - 1_000_000_000)


def test_an_idle_bench_looks_around_seldom_and_a_busy_one_often() -> None:
    assert set(run(Steps(busy=False), speed=1)[0].waits[1:]) == {IDLE_S}
    assert set(run(Steps(busy=True), speed=1)[0].waits[1:]) == {BUSY_S}


def test_the_wanted_speed_is_kept_without_steps_that_are_too_long() -> None:
    steps = Steps()
    clock, _ = run(steps, speed=100)
    assert max(steps.taken) <= MAX_STEP_NS
    assert sum(steps.taken) == 100 * (clock.now_ns - round(clock.waits[-1] * 1e9) - 1_000_000_000)


def test_time_creeps_while_distillation_is_behind_and_is_told_so() -> None:
    steps = Steps(busy=True, behind=True)
    _, told = run(steps, speed=10)
    assert max(steps.taken[1:]) == CREEP_NS
    assert told == sorted(told)
    assert told[-1] <= sum(steps.taken) + CREEP_NS


def test_time_that_changes_its_speed_never_goes_back() -> None:
    steps = Steps(busy=True)
    clock = HandClock(20)
    pace = Pace(steps, clock=clock, speed=100, name="test")
    told: list[int] = []

    def look() -> None:
        told.append(pace.emulated_ns)
        pace.speed_wanted = 100 if len(told) < 95 else 1

    clock.on_wait = look
    pace._run()
    assert told == sorted(told)
    assert (min(steps.taken[1:9]), max(steps.taken[11:])) == (180_000_000, 5_000_000)


def test_what_stops_time_is_kept_for_who_closes_the_bench() -> None:
    def fail(step_ns: int, pump_s: float | None) -> Passed:
        raise RuntimeError("no way on")

    pace = Pace(fail, clock=HandClock(5), speed=10, name="test")
    with pytest.raises(RuntimeError, match="no way on"):
        pace._run()
    bench = Bench()
    bench._pace.failure = pace.failure
    with pytest.raises(TokaidoError, match="time stopped on the bench: no way on"):
        bench.close()
    bench.close()


def test_another_speed_holds_for_switches_on_wires_too() -> None:
    with Bench(speed=1) as bench:
        west = bench.device("west", "polatis.matrix", wire_end="visa")
        bench.run_at(50)
        (shared,) = bench._others
        assert shared.model is west.model
        assert shared._speed == bench._pace.speed_wanted == 50
        with pytest.raises(ConfigurationError, match="speed is 0 to 1000"):
            bench.run_at(-1)


def test_a_bench_that_is_stepped_tells_the_time_of_its_last_step() -> None:
    bench = Bench()
    bench.add("alice", TransmitterModel())
    bench.step(30_000_000)
    assert bench.emulated_s == 0.03
    assert bench.wall_s == bench.speed == 0


def test_mistakes_are_told() -> None:
    with pytest.raises(ConfigurationError, match="speed is 0 to 1000"):
        Bench(speed=0)
    bench = Bench()
    bench.add("alice", TransmitterModel("SAME"))
    with pytest.raises(ConfigurationError, match="bob and alice both have the serial number SAME"):
        bench.add("bob", ReceiverModel("SAME"))
    with pytest.raises(ConfigurationError, match=r"there is no receiver 'bob'.*Put a receiver on the bench first"):
        bench.path("alice", "bob")
    with pytest.raises(ConfigurationError, match="there is no unit 'bob'"):
        bench.add_isolation("bob")
    used = ReceiverModel()
    used.advance(1_000)
    with pytest.raises(ConfigurationError, match="its time has passed"):
        bench.add("bob", used)
    with pytest.raises(ConfigurationError, match="a step is 1 ns at least"):
        bench.step(0)
    with pytest.raises(ConfigurationError, match="fibre A: a fibre needs its loss once"):
        bench.fibre("A", length_km=10)
    with bench:
        bench.start()
        with pytest.raises(ConfigurationError, match="time passes by itself"):
            bench.step(1)
        with pytest.raises(ConfigurationError, match="before it is started"):
            bench.add("bob", ReceiverModel())
