"""The command `log`: a station in real time, its ends, and what it refuses."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from tokaido.console import main
from tokaido.emulators import launch
from tokaido_testing.patience import patient

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def station(tmp_path: Path) -> Iterator[Path]:
    """A station file with an attenuator that is there, and one that is not."""
    with launch("keysight.attenuator", wire_end="tcp") as box:
        file = tmp_path / "lab.toml"
        file.write_text(
            f'[devices.voa]\ndriver = "keysight.attenuator"\ncontrol = "{box.resources["control"]}"\n'
            '[devices.gone]\ndriver = "keysight.attenuator"\ncontrol = "visa:TCPIP::127.0.0.1::1::SOCKET"\n',
            encoding="utf-8",
        )
        yield file


def test_it_logs_what_is_there_and_says_what_is_not(
    station: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "log.txt"
    arguments = ["log", str(station), "-o", str(output), "--format", "jsonl", "--interval", "0.05", "--count", "2"]
    assert main(arguments) == 0
    shown = capsys.readouterr()
    assert shown.out.splitlines()[0].startswith("logging ")
    assert shown.out.splitlines()[-1] == f"{output}: 9 rows, 2 polls, 1 gaps"
    assert "gone does not answer: " in shown.err
    lines = [json.loads(line) for line in output.read_text(encoding="utf-8").splitlines()]
    assert {line["device"] for line in lines if line["quality"] == "good"} == {"voa"}


def test_exit_codes_say_what_was_wrong(station: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log = ["log", str(station)]
    assert main([*log, "gone", "-o", str(tmp_path / "a.csv"), "--count", "1"]) == 1
    assert main([*log, "voo", "-o", str(tmp_path / "a.csv")]) == 2
    assert "names no device" in capsys.readouterr().err
    assert main([*log, "-o", str(station)]) == 2
    assert "does not say which format" in capsys.readouterr().err
    assert main([*log, "-o", str(station), "--format", "csv"]) == 2
    assert "it is not a log" in capsys.readouterr().err
    assert main([*log, "-o", str(tmp_path / "a.csv"), "--rotate-mb", "0"]) == 2
    for every in ("7h", "2d", "0h", "1", "1.5h", "-1h"):
        capsys.readouterr()
        assert main([*log, "-o", str(tmp_path / "b.csv"), "--rotate-every", every]) == 2
        assert "is not a time that divides a day" in " ".join(capsys.readouterr().err.split())
    assert not (tmp_path / "b.csv").exists()


@pytest.mark.parametrize("every", ["15min", "1h", "1d"])
def test_a_log_of_another_period_is_set_aside(station: Path, tmp_path: Path, every: str) -> None:
    output = tmp_path / "log.csv"
    header = "utc,device,value,reading,unit,quality,age_s\n"
    output.write_text(header + "2026-01-01T05:20:00.000Z,voa,x,1,,good,0\n", encoding="utf-8")
    arguments = ["log", str(station), "voa", "-o", str(output), "--count", "1", "--rotate-every", every]
    assert main(arguments) == 0
    period = {"15min": "2026-01-01T0515Z", "1h": "2026-01-01T0500Z", "1d": "2026-01-01"}[every]
    assert sorted(one.name for one in tmp_path.glob("log*")) == [f"log.{period}.csv", "log.csv"]
    assert len(output.read_text(encoding="utf-8").splitlines()) == 5


def test_parquet_without_pyarrow_says_what_to_install(
    station: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    assert main(["log", str(station), "voa", "-o", str(tmp_path / "a.parquet"), "--count", "1"]) == 1
    assert "pip install 'tokaido[parquet]'" in capsys.readouterr().err
    assert not list(tmp_path.glob("a.parquet*"))


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_a_log_that_is_ended_is_whole(station: Path, tmp_path: Path, end: signal.Signals) -> None:
    output = tmp_path / "log.csv"
    code = "import sys; from tokaido.console import main; sys.exit(main())"
    command = [sys.executable, "-c", code, "log", str(station), "voa", "-o", str(output)]
    with subprocess.Popen(
        [*command, "--interval", "0.02", "--rotate-mb", "0.001"], stdout=subprocess.PIPE, text=True
    ) as program:
        try:
            while not (tmp_path / "log.0002.csv").exists() and program.poll() is None:
                time.sleep(0.01)
            os.kill(program.pid, end)
            out, _ = program.communicate(timeout=patient(20))
        finally:
            program.kill()
    if end is signal.SIGKILL:
        assert program.returncode == -signal.SIGKILL
    else:
        assert program.returncode == 0
        assert out.splitlines()[-1].startswith(f"{output}: ")
    for part in tmp_path.glob("log*.csv"):
        assert part.read_bytes().endswith(b"\n")
        with part.open(encoding="utf-8", newline="") as file:
            rows = list(csv.reader(file))
        assert rows[0][0] == "utc"
        assert {len(row) for row in rows} == {7}
