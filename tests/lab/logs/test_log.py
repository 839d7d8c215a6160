"""Logs of telemetry: of an emulated station in virtual time, and of devices on wires in real time."""

from __future__ import annotations

import csv
import fcntl
import json
import os
import re
import threading
from collections import Counter
from contextlib import ExitStack
from datetime import datetime
from typing import TYPE_CHECKING, Any

import pytest

import tokaido.hal as hal
import tokaido.lab as lab
from tokaido.emulators import Bench, SteppedClock, launch
from tokaido.lab.logs import COLUMNS
from tokaido.lab.logs._rows import CsvRows, JournalRows, JsonRows, Rows
from tokaido_testing.served import address, create_keys, server_of, station_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tokaido.emulators import Emulator

virtual = pytest.mark.tokaido_station_file("../sweeps/table.toml")
attenuator = pytest.mark.tokaido_station_file("attenuator.toml")
VALUES = ["voa", "pm.wavelength"]


def rows_of(file: Path) -> list[dict[str, str]]:
    with file.open(encoding="utf-8", newline="") as text:
        return list(csv.DictReader(text))


# --- in virtual time --------------------------------------------------------------------------------------------------


@virtual
def test_every_value_of_every_device_is_a_row(
    tokaido_station: hal.Station, tokaido_clock: hal.Clock, tmp_path: Path
) -> None:
    file = tmp_path / "lab.csv"
    tokaido_station.device("osw", hal.OpticalSwitch).connect(1, 2)
    summary = lab.log_telemetry(tokaido_station, file, interval=10.0, count=3, clock=tokaido_clock)
    assert file.read_text(encoding="utf-8").startswith("utc,device,value,reading,unit,quality,age_s\n")
    rows = rows_of(file)
    assert len(rows) == summary.rows
    assert summary.polls == 3 * 5
    expected = {(name, path) for name in tokaido_station.devices for path in paths(tokaido_station, name)}
    expected |= {("osw", "connections"), *(("osw", f"port_powers[out {port}]") for port in range(1, 5))}
    found = Counter((row["device"], row["value"]) for row in rows)
    assert expected == set(found)
    assert set(found.values()) == {3}
    told = {(row["device"], row["value"]): row for row in rows}
    assert told["osw", "connections"]["reading"] == "1:2"
    assert (told["voa", "attenuation"]["unit"], told["voa", "attenuation"]["quality"]) == ("dB", "good")
    assert told["voa", "blocked"]["reading"] == "0"
    assert (told["alice", "qber"]["reading"], told["alice", "qber"]["quality"]) == ("", "bad")
    laser = [float(row["reading"]) for row in rows if row["value"] == "laser_temperature"]
    assert laser == pytest.approx([25.0] * 3, abs=5)
    times = [row["utc"] for row in rows if (row["device"], row["value"]) == ("voa", "attenuation")]
    assert times[0].startswith("2026-01-01T00:00:00.")
    assert times[2].startswith("2026-01-01T00:00:20.")


def paths(station: hal.Station, name: str) -> list[str]:
    return station.device(name, hal.Device).value_paths()


@virtual
def test_chosen_values_as_json_lines(tokaido_station: hal.Station, tokaido_clock: hal.Clock, tmp_path: Path) -> None:
    file = tmp_path / "lab.jsonl"
    values = ["voa.attenuation", "voa.blocked", "alice.state", "alice.qber", "osw.connections"]
    lab.log_telemetry(tokaido_station, file, values=values, duration=2.0, clock=tokaido_clock)
    lines = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    assert [tuple(line) for line in lines] == [COLUMNS] * 10
    readings = {f"{line['device']}.{line['value']}": line["reading"] for line in lines}
    assert readings == {
        "voa.attenuation": 0.0,
        "voa.blocked": False,
        "alice.state": "AUTH",
        "alice.qber": None,
        "osw.connections": "none",
    }


@virtual
def test_a_device_that_goes_is_said_and_comes_back(
    tokaido_station: hal.Station, tokaido_clock: hal.Clock, tokaido_bench: Bench, tmp_path: Path
) -> None:
    told: list[str] = []
    file = tmp_path / "lab.csv"
    tokaido_station.device("voa", hal.VariableAttenuator)
    tokaido_bench.at(2.5, "unplug", "voa")
    tokaido_bench.at(5.5, "replug", "voa")
    summary = lab.log_telemetry(tokaido_station, file, values=VALUES, count=10, clock=tokaido_clock, on_gap=told.append)
    rows = rows_of(file)
    counts = Counter((row["device"], row["value"], row["quality"]) for row in rows)
    assert counts["pm", "wavelength", "good"] == 10
    assert counts["voa", "attenuation", "good"] == 7
    gap = [row for row in rows if row["value"] == ""]
    assert [(row["device"], row["quality"], row["unit"]) for row in gap] == [("voa", "gone", ""), ("voa", "back", "s")]
    assert "voa" in gap[0]["reading"]
    assert gap[0]["utc"].startswith("2026-01-01T00:00:03.")
    assert float(gap[1]["reading"]) == pytest.approx(3.0, abs=0.5)
    assert told[0].startswith("voa does not answer: ")
    assert told[1].startswith("voa answers again, after 3.")
    assert (summary.gaps, summary.polls) == (1, 17)


@virtual
def test_what_does_not_exist_is_refused_before_a_file_is_made(
    tokaido_station: hal.Station, tokaido_clock: hal.Clock, tmp_path: Path
) -> None:
    file = tmp_path / "lab.csv"
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"values": ["voo.attenuation"]}, "names no device"),
        ({"values": "voa"}, "in a list"),
        ({"interval": 0.001}, "interval must lie"),
        ({"count": 0}, "count must be"),
        ({"duration": -1}, "duration must lie"),
        ({"rotate_bytes": 10}, "rotate_bytes must be"),
        *(({"rotate_every": every}, "rotate_every must be whole minutes") for every in (30, 90, 25_200, 172_800)),
        ({"format": "xml"}, "no format 'xml'"),
        ({"file": tmp_path / "lab.txt"}, "does not say which format"),
    ]
    for options, why in wrong:
        with pytest.raises(ValueError, match=why) as error:
            lab.log_telemetry(**{"station": tokaido_station, "file": file, "clock": tokaido_clock, **options})
        assert isinstance(error.value, hal.TokaidoError)
    assert list(tmp_path.glob("lab*")) == []
    with pytest.raises(hal.ConfigurationError, match="Did you mean attenuation"):
        lab.log_telemetry(tokaido_station, file, values=["voa.atenuation"], clock=tokaido_clock)


@virtual
def test_a_log_goes_on_and_nothing_else_is_appended_to(
    tokaido_station: hal.Station, tokaido_clock: hal.Clock, tmp_path: Path
) -> None:
    def log(name: str, **options: Any) -> None:
        options = {"values": ["voa.attenuation"], "count": 1, "clock": tokaido_clock, **options}
        lab.log_telemetry(tokaido_station, tmp_path / name, **options)

    for name in ("a.csv", "b.jsonl"):
        log(name)
        whole = (tmp_path / name).read_bytes()
        (tmp_path / name).write_bytes(whole + whole.splitlines()[-1][:30])  # a power cut
        log(name)
        text = (tmp_path / name).read_text(encoding="utf-8")
        assert text.startswith(whole.decode())
        assert text.removeprefix(whole.decode()).count("2026-") == text.count("attenuation") - 1 == 1
        assert text.count("utc,device") == (name == "a.csv")
    for name, text in (
        ("c.csv", "utc,device,value,reading,unit,quality\n1,2,3,4,5,6\n"),
        ("d.csv", "utc,device"),
        ("e.jsonl", '{"utc": 1}\n'),
        ("f.jsonl", "notes\n"),
        ("g.jsonl", (tmp_path / "a.csv").read_text(encoding="utf-8")),
    ):
        (tmp_path / name).write_text(text, encoding="utf-8")
        with pytest.raises(hal.ConfigurationError, match="is there already, and it is not a log"):
            log(name)
        assert (tmp_path / name).read_text(encoding="utf-8") == text
    os.mkfifo(tmp_path / "h.csv")
    with pytest.raises(hal.ConfigurationError, match="is not a file"):
        log("h.csv")
    with pytest.raises(hal.TokaidoError, match="cannot be opened"):
        log("nowhere/a.csv")


@virtual
def test_a_full_file_makes_room_for_the_next_and_none_is_lost(
    tokaido_station: hal.Station, tokaido_clock: hal.Clock, tmp_path: Path
) -> None:
    (tmp_path / "lab.0006.csv").write_text("another one", encoding="utf-8")
    file = tmp_path / "lab.csv"
    summary = lab.log_telemetry(tokaido_station, file, values=["voa"], count=30, rotate_bytes=2000, clock=tokaido_clock)
    assert [one.name for one in summary.rotated[:2]] == ["lab.0007.csv", "lab.0008.csv"]
    parts = [*summary.rotated, file]
    assert all(part.stat().st_size <= 2000 for part in parts)
    assert [len(rows_of(part)) % 4 for part in parts] == [0] * len(parts)
    assert sum(len(rows_of(part)) for part in parts) == summary.rows == 30 * 4
    assert (tmp_path / "lab.0006.csv").read_text(encoding="utf-8") == "another one"


@attenuator
@pytest.mark.parametrize("name", ["lab.csv", "lab.jsonl"])
def test_a_file_holds_one_period_of_utc_and_is_named_by_it(
    tokaido_station: hal.Station, tokaido_clock: hal.Clock, tmp_path: Path, name: str
) -> None:
    def log(count: int) -> list[str]:
        options: dict[str, Any] = {"interval": 10, "count": count, "rotate_every": 60, "clock": tokaido_clock}
        done = lab.log_telemetry(tokaido_station, tmp_path / name, values=["voa.attenuation"], **options)
        return [one.name for one in done.rotated]

    suffix = name.removeprefix("lab")
    tokaido_clock.wait(25.0)  # so the first file has less than a minute
    assert log(8) == [f"lab.2026-01-01T0000Z{suffix}"]  # 00:25 to 01:35
    tokaido_clock.wait(10.0)
    assert log(1) == []  # in the same minute it goes on
    tokaido_clock.wait(180.0)
    assert log(1) == [f"lab.2026-01-01T0001Z{suffix}"]  # after minutes in which nothing was logged, too
    parts = sorted(tmp_path.iterdir())
    assert [one.name for one in parts] == [f"lab.2026-01-01T000{at}Z{suffix}" for at in range(2)] + [name]
    minutes = [re.findall(r"2026-01-01T00:(\d\d):", part.read_text(encoding="utf-8")) for part in parts]
    assert minutes == [["00"] * 4, ["01"] * 5, ["04"]]


def test_days_and_sizes_rotate_together(tmp_path: Path) -> None:
    (tmp_path / "lab.2026-01-01.0001.csv").write_text("another one", encoding="utf-8")
    file, clock = tmp_path / "lab.csv", SteppedClock(utc_ns=at_ns("2026-01-01T23:30:00Z"))
    with Bench(seed=1, clock=clock) as bench:
        control = bench.device("voa", "keysight.attenuator").resources["control"]
        bench.start()
        text = f"[devices.voa]\ndriver = 'keysight.attenuator'\ncontrol = '{control}'\n"
        options: dict[str, Any] = {"interval": 60, "count": 60, "rotate_every": 86400, "rotate_bytes": 1000}
        with hal.Station.from_text(text, clock=clock) as station:
            done = lab.log_telemetry(station, file, values=["voa.attenuation"], clock=clock, **options)
    names = ["01-01.0002", "01-01.0003", "01-02.0001"]
    assert [one.name for one in done.rotated] == [f"lab.2026-{name}.csv" for name in names]
    days = [{row["utc"][:10] for row in rows_of(part)} for part in done.rotated]
    assert days == [{part.name[4:14]} for part in done.rotated]
    assert sum(len(rows_of(part)) for part in [*done.rotated, file]) == 60


def at_ns(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp()) * hal.NS_PER_S


# --- in real time -----------------------------------------------------------------------------------------------------


class Wired:
    """Three attenuators on sockets, each of its own, and the station that has them."""

    def __init__(self, stack: ExitStack) -> None:
        self.boxes: dict[str, Emulator] = {
            name: stack.enter_context(launch("keysight.attenuator", wire_end="tcp")) for name in ("one", "two", "three")
        }
        devices = "".join(
            f'[devices.{name}]\ndriver = "keysight.attenuator"\ntimeout = 0.3\ncontrol = "{box.resources["control"]}"\n'
            for name, box in self.boxes.items()
        )
        self.text = f'[station]\nname = "wired"\non_exit = "keep"\n{devices}'
        self.station = stack.enter_context(hal.Station.from_text(self.text))


@pytest.fixture
def wired() -> Iterator[Wired]:
    with ExitStack() as stack:
        yield Wired(stack)


def test_a_device_that_hangs_costs_the_others_no_row(wired: Wired, tmp_path: Path) -> None:
    file, stop, told = tmp_path / "lab.csv", threading.Event(), []

    def note(what: str) -> None:
        told.append(what)
        if "does not answer" in what:
            fault.remove()
        else:
            stop.set()

    wired.station.device("two", hal.Device)
    fault = wired.boxes["two"].faults.add("hang", seconds=60)
    summary = lab.log_telemetry(wired.station, file, interval=0.05, duration=20, on_gap=note, stop=stop)
    assert [what.split(":")[0].split(",")[0] for what in told] == ["two does not answer", "two answers again"]
    rows = rows_of(file)
    gone = next(number for number, row in enumerate(rows) if row["quality"] == "gone")
    before = [row for row in rows[:gone] if (row["device"], row["value"]) == ("one", "attenuation")]
    assert len(before) >= 3  # of some six in the 0.3 s that the other one may take
    back = next(row for row in rows if row["quality"] == "back")
    assert (back["device"], back["unit"]) == ("two", "s")
    assert 0.2 < float(back["reading"]) < 10
    assert summary.gaps == 1
    assert any(row["device"] == "two" and row["value"] == "attenuation" for row in rows)


def test_a_device_that_is_not_there_yet_is_no_reason_to_wait(wired: Wired, tmp_path: Path) -> None:
    text = wired.text.replace(wired.boxes["two"].resources["control"], "visa:TCPIP::127.0.0.1::1::SOCKET")
    with hal.Station.from_text(text) as station:
        summary = lab.log_telemetry(station, tmp_path / "lab.csv", interval=0.05, count=3)
    counts = Counter((row["device"], row["value"]) for row in rows_of(tmp_path / "lab.csv"))
    assert counts["one", "attenuation"] == counts["three", "attenuation"] == 3
    assert counts["two", ""] == 1
    assert (summary.gaps, summary.polls) == (1, 6)


def test_rows_are_in_the_file_at_once_and_one_program_writes(wired: Wired, tmp_path: Path) -> None:
    file, stop = tmp_path / "lab.csv", threading.Event()
    found: list[list[dict[str, str]]] = []
    refused: list[str] = []

    def look(_: str) -> None:
        found.append(rows_of(file))
        with hal.Station.from_text(wired.text) as other:
            try:
                lab.log_telemetry(other, file, count=1)
            except hal.TokaidoError as error:
                refused.append(str(error))
        stop.set()

    text = wired.text.replace(wired.boxes["two"].resources["control"], "visa:TCPIP::127.0.0.1::1::SOCKET")
    with hal.Station.from_text(text) as station:
        lab.log_telemetry(station, file, interval=0.05, values=["two"], on_gap=look, stop=stop)
    assert [row["quality"] for row in found[0]] == ["gone"]
    assert "another program logs to" in refused[0]


def test_a_misspelt_value_ends_it_and_a_full_disk_is_told(
    wired: Wired, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(hal.ConfigurationError, match="Did you mean"):
        lab.log_telemetry(wired.station, tmp_path / "lab.csv", values=["one", "two.atenuation"], duration=20)
    write = os.write

    def full(descriptor: int, data: Any) -> int:
        if bytes(data[:4]) == b"utc,":
            return write(descriptor, data)
        if len(data) > 20:
            return write(descriptor, data[:20])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    file = tmp_path / "full.csv"
    with pytest.raises(hal.TokaidoError, match=r"full\.csv cannot be written: No space left"):
        lab.log_telemetry(wired.station, file, values=["one.attenuation"], duration=20)
    assert file.read_text(encoding="utf-8") == ",".join(COLUMNS) + "\n"  # no half row


def test_ctrl_c_ends_it_cleanly(wired: Wired, tmp_path: Path) -> None:
    def interrupt(_: str) -> None:
        import _thread

        _thread.interrupt_main()

    text = wired.text.replace(wired.boxes["two"].resources["control"], "visa:TCPIP::127.0.0.1::1::SOCKET")
    with hal.Station.from_text(text) as station:
        summary = lab.log_telemetry(station, tmp_path / "lab.csv", interval=0.05, on_gap=interrupt)
    assert summary.rows == len(rows_of(tmp_path / "lab.csv"))
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("log of")]


def test_devices_of_a_server_are_logged_by_one_who_may_only_look(wired: Wired, tmp_path: Path) -> None:
    create_keys(tmp_path)
    devices = {name: ("keysight.attenuator", box.resources["control"]) for name, box in wired.boxes.items()}
    with (
        station_of(devices) as at_the_ports,
        server_of(at_the_ports, tmp_path) as server,
        hal.Station.connect(address(server, tmp_path, "vic")) as station,
    ):
        summary = lab.log_telemetry(station, tmp_path / "lab.csv", interval=0.05, count=4)
    counts = Counter((row["device"], row["quality"]) for row in rows_of(tmp_path / "lab.csv"))
    assert counts == {(name, "good"): 4 * 4 for name in wired.boxes}
    assert summary.gaps == 0


@attenuator
def test_a_file_that_another_program_sets_aside_meanwhile_is_not_taken(
    tokaido_station: hal.Station, tokaido_clock: hal.Clock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, flock = tmp_path / "lab.csv", fcntl.flock

    def later(descriptor: int, how: int) -> None:
        file.rename(tmp_path / "lab.0001.csv")  # between opening and locking
        flock(descriptor, how)

    monkeypatch.setattr(fcntl, "flock", later)
    with pytest.raises(hal.TokaidoError, match="another program logs to"):
        lab.log_telemetry(tokaido_station, file, values=["voa"], count=1, clock=tokaido_clock)


def test_a_journal_parts_numbers_from_words_without_loss() -> None:
    values = [1.1, 2**53, 2**53 + 1, True, None, 'a "b", c\nd']
    text = JournalRows("voa").of([("x", hal.Reading(one, "", 0, 0.0, hal.Quality.GOOD)) for one in values])
    found = [row[3:5] for row in csv.reader(text.splitlines())]
    expected = [["1.1", ""], [str(2**53), ""], ["", str(2**53 + 1)], ["1", ""], ["", ""], ["", 'a "b", c d']]
    assert found == expected


@pytest.mark.parametrize("kind", [CsvRows, JsonRows])
def test_csv_quotes_what_needs_it_and_json_takes_any_text(kind: type[Rows], tmp_path: Path) -> None:
    reading = hal.Reading('a "b", c\nd', "m,m", 1_767_225_600_123_456_789, 75.25, hal.Quality.STALE)
    text = kind.header + kind("the, lab").of([("x", reading)])
    file = tmp_path / "x"
    file.write_text(text, encoding="utf-8")
    row = rows_of(file)[0] if kind is CsvRows else json.loads(text)
    expected = ["2026-01-01T00:00:00.123Z", "the, lab", "x", 'a "b", c\nd', "m,m", "stale", "75.25"]
    assert [str(field) for field in row.values()] == expected
    assert tuple(row) == COLUMNS
