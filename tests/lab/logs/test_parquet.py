"""Logs in Parquet: real files, written in virtual time, and what is left of a program that is killed."""

from __future__ import annotations

import csv
import os
import re
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import pytest

import tokaido.hal as hal
import tokaido.lab as lab
from tokaido.emulators import launch
from tokaido_testing.patience import patient

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tokaido.emulators import Bench

REASON = "pyarrow brings 170 MB and is not in `make setup`; `make qcodes` runs these tests"
parquet: Any = pytest.importorskip("pyarrow.parquet", reason=REASON)
table = pytest.mark.tokaido_station_file("../sweeps/table.toml")
virtual = pytest.mark.tokaido_station_file("attenuator.toml")
COLUMNS = ["utc", "device", "value", "reading", "text", "unit", "quality", "age_s"]


@pytest.fixture
def log(tokaido_station: hal.Station, tokaido_clock: hal.Clock, tmp_path: Path) -> Callable[..., lab.LogSummary]:
    """Log `voa` to a file of a name."""

    def call(name: str = "lab.parquet", **options: Any) -> lab.LogSummary:
        chosen: dict[str, Any] = {"values": ["voa.attenuation"], "count": 3, "clock": tokaido_clock, **options}
        return lab.log_telemetry(tokaido_station, tmp_path / name, **chosen)

    return call


def rows_of(file: Path) -> list[dict[str, Any]]:
    table = parquet.read_table(file)
    assert table.column_names == COLUMNS
    return list(table.to_pylist())


def names(folder: Path) -> list[str]:
    return sorted(one.name for one in folder.iterdir())


def killed(log: Callable[..., Any], name: str = "lab.parquet", **options: Any) -> None:
    """Leave what a log leaves that is killed when it has written its rows."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", no_room)
        with pytest.raises(hal.TokaidoError, match="cannot be made of its journal"):
            log(name, **options)


def no_room(_: object) -> None:
    raise OSError(28, "No space left on device")


@table
def test_it_has_the_rows_of_a_log_of_text(
    log: Callable[..., lab.LogSummary], tokaido_bench: Bench, tokaido_station: hal.Station, tmp_path: Path
) -> None:
    tokaido_station.device("osw", hal.OpticalSwitch).connect(1, 2)
    tokaido_bench.at(7.5, "unplug", "voa")
    tokaido_bench.at(12.5, "replug", "voa")
    summary = log(values=["voa", "alice", "osw", "pm"], interval=5.0, count=4)
    rows = rows_of(tmp_path / "lab.parquet")
    assert names(tmp_path) == ["lab.parquet"]
    assert len(rows) == summary.rows
    assert summary.gaps == 1
    by_value = {(row["device"], row["value"]): row for row in rows}
    assert (by_value["voa", "attenuation"]["reading"], by_value["voa", "attenuation"]["unit"]) == (0.0, "dB")
    assert by_value["voa", "blocked"]["reading"] == 0.0  # a flag
    assert (by_value["osw", "connections"]["reading"], by_value["osw", "connections"]["text"]) == (None, "1:2")
    bad = by_value["alice", "qber"]
    assert (bad["reading"], bad["text"], bad["quality"]) == (None, "", "bad")
    gone, back = (row for row in rows if row["value"] == "")
    assert (gone["quality"], gone["reading"], back["quality"]) == ("gone", None, "back")
    assert "voa" in gone["text"]
    assert back["reading"] == pytest.approx(5.0, abs=1.0)
    assert {row["utc"].isoformat()[:10] for row in rows} == {"2026-01-01"}


@table
def test_readings_are_those_of_csv_to_the_last_bit(log: Callable[..., lab.LogSummary], tmp_path: Path) -> None:
    killed(log, "other.parquet", values=["alice"], count=1)  # the journal is text, of the very readings
    with (tmp_path / "other.parquet.journal").open(encoding="utf-8", newline="") as text:
        expected = list(csv.reader(text))[1:]
    log("other.parquet", values=["voa.attenuation"], count=1)
    rows = rows_of(tmp_path / "other.parquet")[:-1]
    assert len(rows) == len(expected) > 20
    for row, fields in zip(rows, expected, strict=True):
        at = dict(zip(COLUMNS, fields, strict=True))
        assert row["reading"] == (float(at["reading"]) if at["reading"] else None)
        assert row["utc"].isoformat(timespec="milliseconds").replace("+00:00", "Z") == at["utc"]
        assert [row[name] for name in COLUMNS[1:3] + COLUMNS[4:7]] == fields[1:3] + fields[4:7]


@virtual
def test_the_next_run_goes_on_with_the_file_and_with_what_a_killed_one_left(
    log: Callable[..., lab.LogSummary], tmp_path: Path
) -> None:
    log()
    log()
    assert len(rows_of(tmp_path / "lab.parquet")) == 6
    killed(log)
    assert names(tmp_path) == ["lab.parquet", "lab.parquet.journal"]
    assert len(rows_of(tmp_path / "lab.parquet")) == 6  # the rows of the killed one are in its journal
    journal = tmp_path / "lab.parquet.journal"
    journal.write_bytes(journal.read_bytes() + b"2026-01-01T00:00:00.0")  # a power cut
    log()
    rows = rows_of(tmp_path / "lab.parquet")
    assert len(rows) == 12
    assert [row["utc"] for row in rows] == sorted(row["utc"] for row in rows)
    assert names(tmp_path) == ["lab.parquet"]


@virtual
def test_one_killed_between_the_file_and_its_journal_leaves_no_row_twice(
    log: Callable[..., lab.LogSummary], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log()
    killed(log)
    journal = tmp_path / "lab.parquet.journal"
    whole = journal.read_bytes()
    log(count=1)
    journal.write_bytes(whole)  # as if the last run had not come to delete it: the same number, and fewer rows
    log(count=1)
    assert len(rows_of(tmp_path / "lab.parquet")) == 3 + 3 + 1 + 1


@virtual
def test_a_failure_keeps_the_journal_and_says_where_the_rows_are(
    log: Callable[..., lab.LogSummary], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log()
    before = (tmp_path / "lab.parquet").read_bytes()
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", no_room)
        with pytest.raises(hal.TokaidoError, match="cannot be made of its journal: No space left") as error:
            log()
    assert "lab.parquet.journal" in str(error.value)
    assert (tmp_path / "lab.parquet").read_bytes() == before
    assert names(tmp_path) == ["lab.parquet", "lab.parquet.journal"]
    log()
    assert len(rows_of(tmp_path / "lab.parquet")) == 9


@virtual
def test_it_rotates_by_time_and_by_size(
    log: Callable[..., lab.LogSummary], tokaido_clock: hal.Clock, tmp_path: Path
) -> None:
    every: dict[str, Any] = {"rotate_every": 60, "interval": 10}
    done = log(count=8, **every)  # 00:00 to 01:10
    assert [one.name for one in done.rotated] == ["lab.2026-01-01T0000Z.parquet"]
    assert [len(rows_of(tmp_path / name)) for name in names(tmp_path)] == [6, 2]
    tokaido_clock.wait(10.0)
    log(count=1, **every)  # in the minute of the file, so it goes on
    assert len(rows_of(tmp_path / "lab.parquet")) == 3
    tokaido_clock.wait(120.0)
    killed(log, count=1, **every)
    assert names(tmp_path) == [f"lab.2026-01-01T000{at}Z.parquet" for at in range(2)] + ["lab.parquet.journal"]
    tokaido_clock.wait(120.0)
    done = log(count=1, **every)  # what the killed one left is of another minute
    assert [one.name for one in done.rotated] == ["lab.2026-01-01T0003Z.parquet"]
    assert [len(rows_of(tmp_path / name)) for name in names(tmp_path)] == [6, 3, 1, 1]
    sized = log("small.parquet", count=60, rotate_bytes=1000)
    parts = [*sized.rotated, tmp_path / "small.parquet"]
    assert [one.name for one in parts[:2]] == ["small.0001.parquet", "small.0002.parquet"]
    assert sum(len(rows_of(part)) for part in parts) == 60
    assert not list(tmp_path.glob("*.journal"))


@virtual
def test_a_killed_run_leaves_full_journals_and_the_next_makes_their_files(
    log: Callable[..., lab.LogSummary], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr("concurrent.futures.ThreadPoolExecutor.submit", lambda *_: None)
        killed(log, count=60, rotate_bytes=1000)
    left = [name for name in names(tmp_path) if re.fullmatch(r"lab\.\d{4}\.parquet\.journal", name)]
    assert len(left) > 2
    log(count=1)
    made = [name for name in names(tmp_path) if name != "lab.parquet"]
    assert made == [name.removesuffix(".journal") for name in left]
    assert sum(len(rows_of(tmp_path / name)) for name in names(tmp_path)) == 61


@virtual
def test_what_is_no_log_is_left_alone(log: Callable[..., lab.LogSummary], tmp_path: Path) -> None:
    (tmp_path / "a.parquet").write_text("notes", encoding="utf-8")
    parquet.write_table(parquet.read_table(made(log, tmp_path)).drop(["text"]), tmp_path / "b.parquet")
    (tmp_path / "c.parquet.journal").write_text("notes\n", encoding="utf-8")
    for name in ("a.parquet", "b.parquet", "c.parquet"):
        before = {one.name: one.read_bytes() for one in tmp_path.iterdir()}
        with pytest.raises(hal.ConfigurationError, match="is there already, and it is not a log"):
            log(name)
        assert {one.name: one.read_bytes() for one in tmp_path.iterdir()} == before


def made(log: Callable[..., lab.LogSummary], folder: Path) -> Path:
    log("made.parquet")
    return folder / "made.parquet"


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGKILL])
def test_a_program_that_is_ended_loses_no_row(tmp_path: Path, end: signal.Signals) -> None:
    output, journal = tmp_path / "log.parquet", tmp_path / "log.parquet.journal"
    code = "import sys; from tokaido.console import main; sys.exit(main())"
    with launch("keysight.attenuator", wire_end="tcp") as box:
        station = tmp_path / "lab.toml"
        station.write_text(
            f'[devices.voa]\ndriver = "keysight.attenuator"\ncontrol = "{box.resources["control"]}"\n', encoding="utf-8"
        )
        command = [sys.executable, "-c", code, "log", str(station), "-o", str(output), "--interval", "0.02"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as program:
            try:
                while (not journal.exists() or journal.stat().st_size < 3000) and program.poll() is None:
                    time.sleep(0.01)
                os.kill(program.pid, end)
                out, _ = program.communicate(timeout=patient(20))
            finally:
                program.kill()
        if end is signal.SIGTERM:
            assert program.returncode == 0
            assert f"{len(rows_of(output))} rows" in out
        else:
            assert not output.exists()
            left = journal.read_text(encoding="utf-8").splitlines()[1:]
            subprocess.run([*command, "--count", "1"], check=True, timeout=patient(20), stdout=subprocess.DEVNULL)
            assert len(rows_of(output)) == len(left) + 4
    assert not journal.exists()


@virtual
def test_a_damaged_file_is_told_and_left_as_it_is(log: Callable[..., lab.LogSummary], tmp_path: Path) -> None:
    log()
    file = tmp_path / "lab.parquet"
    data = bytearray(file.read_bytes())
    data[4:60] = bytes(56)  # the first column, and not the end of the file with its columns
    file.write_bytes(data)
    with pytest.raises(hal.TokaidoError, match="cannot be read") as error:
        log()
    assert "Move it away" in str(error.value)
    assert file.read_bytes() == data
    assert names(tmp_path) == ["lab.parquet"]
