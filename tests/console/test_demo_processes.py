"""What a demonstration starts ends with it, also when it is killed and can end nothing itself."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from tokaido_testing.patience import patient

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
