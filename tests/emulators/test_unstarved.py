"""The clock of suites on busy machines: it stands while the machine does not let a process run, and never goes back."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from tokaido.emulators._unstarved import UnstarvedClock, unstarved
from tokaido_testing.patience import patient
from tokaido_testing.toy_clock import ToyClock

STOPPED_S = 0.6
SLEEPER = """
import sys, time
from tokaido.emulators._unstarved import unstarved
with unstarved() as clock:
    wall, own = time.monotonic_ns(), clock.monotonic_ns()
    print("ready", flush=True)
    sys.stdin.readline()
    print((time.monotonic_ns() - wall) / 1e9, (clock.monotonic_ns() - own) / 1e9, flush=True)
"""


def test_a_process_that_is_stopped_loses_no_time() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", SLEEPER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin
        assert process.stdout
        assert process.stdout.readline() == "ready\n"
        os.kill(process.pid, signal.SIGSTOP)
        time.sleep(STOPPED_S)
        os.kill(process.pid, signal.SIGCONT)
        process.stdin.write("\n")
        process.stdin.flush()
        wall_s, own_s = (float(told) for told in process.stdout.readline().split())
    assert wall_s > STOPPED_S
    assert 0 < own_s < wall_s - 0.8 * STOPPED_S


@pytest.mark.parametrize(("waited_ns", "passed_ns"), [(0, 5_000_000), (4_000_000, 1_000_000), (9_000_000, 500_000)])
def test_what_the_slowest_thread_waits_for_a_processor_does_not_pass(waited_ns: int, passed_ns: int) -> None:
    machine, waits = ToyClock(), {"1": 70, "2": 0}
    clock = UnstarvedClock(machine, lambda: dict(waits))
    begun_ns = clock.monotonic_ns()
    waits.update({"1": 70 + waited_ns // 2, "2": waited_ns})
    machine.wait(0.005)
    clock.look()
    assert clock.monotonic_ns() - begun_ns == passed_ns


def test_it_goes_with_the_machine_while_that_is_idle() -> None:
    """The bound is that on the wall: an idle machine holds a process up now and then, and then the clock lags."""
    with unstarved() as clock:
        wall_ns, own_ns = time.monotonic_ns(), clock.monotonic_ns()
        clock.wait(0.2)
        wall_s, own_s = (time.monotonic_ns() - wall_ns) / 1e9, (clock.monotonic_ns() - own_ns) / 1e9
    assert 0.2 <= own_s <= wall_s + 0.001
    assert wall_s < patient(1.0)


def test_it_never_goes_back_whoever_asks() -> None:
    backwards: list[int] = []

    def ask() -> None:
        last_ns = 0
        for _ in range(20_000):
            now_ns = clock.monotonic_ns()
            backwards.extend([last_ns - now_ns] * (now_ns < last_ns))
            last_ns = now_ns

    with unstarved() as clock:
        threads = [threading.Thread(target=ask) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert backwards == []


def test_a_wait_ends_when_its_event_is_set() -> None:
    event = threading.Event()
    with unstarved() as clock:
        assert not clock.wait(0.01, event)
        event.set()
        assert clock.wait(60, event)


def test_contexts_of_a_process_share_a_clock_and_leave_no_thread() -> None:
    before = threading.active_count()
    with unstarved() as one:
        with unstarved() as other:
            assert other is one
            assert threading.active_count() == before + 1
        one.wait(0.01)
        assert threading.active_count() == before + 1
    assert threading.active_count() == before
