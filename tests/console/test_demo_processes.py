"""What a demonstration starts ends with it, also when it is killed and can end nothing itself."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import tokaido.hal as hal
from tokaido.console._demo_processes import RETURNED, Started
from tokaido_testing.demo_programs import stay, tell
from tokaido_testing.patience import patient

_NUMBA = [] if os.environ.get("TOKAIDO_FAST") == "0" else ["numba"]
STARTER = """
import sys, time
import tokaido.hal as hal
from tokaido.console._demo_processes import Started
with Started("the emulator", "emulate", sys.argv[1], "--json") as started:
    started.wait_for("emulated", hal.Deadline(hal.SYSTEM_CLOCK, 60))
    print(started.pid, flush=True)
    time.sleep(120)
"""
STATION = """
[devices.switch]
driver = "polatis.matrix"
control = "serial:{console}"
emulator = {{ inputs = 4, outputs = 4 }}
"""


def _runs(program: Path) -> bool:
    try:
        return "\nState:\tZ" not in (program / "status").read_text()
    except OSError:  # it is gone
        return False


def test_a_program_ends_when_its_starter_is_killed(tmp_path: Path) -> None:
    station = tmp_path / "switch.toml"
    station.write_text(STATION.format(console=tmp_path / "switch"))
    with subprocess.Popen([sys.executable, "-c", STARTER, station], stdout=subprocess.PIPE, text=True) as starter:
        assert starter.stdout
        program = Path("/proc") / starter.stdout.readline().strip()
        assert program.exists()
        os.kill(starter.pid, signal.SIGKILL)
        starter.wait(10)
    begun_s = time.monotonic()
    while _runs(program):
        assert time.monotonic() - begun_s < patient(10)
        time.sleep(0.02)
    assert not (tmp_path / "switch").exists()  # it ended in order


def test_what_programs_need_is_imported_before_they_begin_and_each_is_one_of_its_own() -> None:
    deadline = hal.Deadline(hal.SYSTEM_CLOCK, patient(60))
    told = []
    for number in range(2):
        with Started(
            "a program", "one", "--json", program=tell, environment={"TOKAIDO_TOLD_NUMBER": str(number)}
        ) as started:
            told.append(started.wait_for("began", deadline))
            with pytest.raises(hal.TokaidoError, match="a program ended with 3"):
                started.check(ended=True)
    first, second = told
    assert first["modules"] == ["aiohttp", *_NUMBA, "numpy", "tokaido.emulators.bench._bench", "zmq"]
    assert first["words"] == ["tokaido", "one", "--json"]
    assert (first["environment"], second["environment"]) == ({"TOKAIDO_TOLD_NUMBER": "0"}, {"TOKAIDO_TOLD_NUMBER": "1"})
    assert first["session"]
    assert first["drawn"] != second["drawn"]
    assert not [name for name in (*RETURNED, "TOKAIDO_TOLD_NUMBER") if name in os.environ]


def test_a_program_that_is_killed_says_so_and_what_it_said() -> None:
    deadline = hal.Deadline(hal.SYSTEM_CLOCK, patient(60))
    with Started("a program", program=stay) as started:
        started.wait_for("began", deadline)
        started.check()
        begun_s = time.monotonic()
        while not started._said:
            assert time.monotonic() - begun_s < patient(10)
            time.sleep(0.02)
        started.kill()
        with pytest.raises(hal.TokaidoError, match="a program ended with -9: it is told to stay"):
            started.check()


def test_no_thread_of_python_runs_in_what_programs_are_forked_from() -> None:
    code = "import tokaido.console._demo_imports, threading; print(threading.active_count())"
    assert subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout == "1\n"
