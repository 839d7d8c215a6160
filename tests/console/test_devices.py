"""The commands about one device, against a unit on a pty that answers by a table."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import subprocess
import sys
from pathlib import Path

import pytest

from tokaido.console import main
from tokaido.console._devices import parse_device

from .conftest import Plug, TablePeer

Capture = pytest.CaptureFixture[str]


def tx(peer: TablePeer) -> str:
    return f"toshiba.transmitter@serial:{peer.port}"


def rx(peer: TablePeer) -> str:
    return f"toshiba.receiver@serial:{peer.port}"


# --- which device is meant --------------------------------------------------------------------------------------------


def test_a_device_is_named_by_driver_and_resources() -> None:
    entry = parse_device("toshiba.transmitter@serial:/dev/qkd/a,b=c?baudrate=9600,keys=zmq:inproc://x")
    assert entry.driver == "toshiba.transmitter"
    assert str(entry.resources["control"]) == "serial:/dev/qkd/a,b=c?baudrate=9600"
    assert str(entry.resources["keys"]) == "zmq:inproc://x"


def test_a_device_is_named_by_station_file_and_name(tmp_path: Path) -> None:
    station = tmp_path / "odd#name.toml"
    station.write_text('[devices.alice]\ndriver = "toshiba.transmitter"\ncontrol = "serial:/dev/a"\ntimeout = 3\n')
    entry = parse_device(f"{station}#alice")
    assert (entry.name, entry.driver, entry.timeout) == ("alice", "toshiba.transmitter", 3.0)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("nothing", "Write lab.toml#alice"),
        ("#alice", "Write lab.toml#alice"),
        ("missing.toml#alice", "cannot be read"),
        ("toshiba.transmitter@parallel:/dev/a", "serial:"),
        ("toshiba.transmitter@serial:/dev/a,control=serial:/dev/b", "given twice"),
        ("toshiba.nothing@serial:/dev/a", "toshiba.receiver, toshiba.transmitter"),
        ("toshiba.transmitter@zmq:inproc://x", "takes serial here, not zmq"),
        ("toshiba.transmitter@serial:/dev/a?baud=1", "no such option"),
    ],
)
def test_what_names_no_device_is_a_usage_error_with_a_remedy(text: str, says: str, capsys: Capture) -> None:
    assert main(["identify", text]) == 2
    shown = capsys.readouterr()
    assert says in shown.err
    assert shown.err.startswith("error: ")
    assert shown.out == ""


# --- identify, read ---------------------------------------------------------------------------------------------------


def test_identify_tells_who_is_there(plug: Plug, capsys: Capture) -> None:
    assert main(["identify", tx(plug("T12-TX")), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {
        "vendor": "TOSHIBA-STYLE",
        "model": "T12-TX",
        "serial_number": "TKTX0001",
        "firmware": "1.0.0",
        "state": "STANDBY",
    }


def test_another_box_than_expected_is_one_line_and_exit_1(plug: Plug, capsys: Capture) -> None:
    assert main(["identify", tx(plug("T12-RX"))]) == 1
    shown = capsys.readouterr()
    assert "expected TOSHIBA-STYLE T12-TX and found TOSHIBA-STYLE T12-RX TKRX0001" in shown.err
    assert shown.err.count("\n") == 1


def test_read_gives_every_value_with_quality_limits_and_parts(plug: Plug, capsys: Capture) -> None:
    assert main(["read", rx(plug("T12-RX")), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["states"]["state"] == "STANDBY"
    assert found["values"]["detectors[1].bias"]["value"] == 54
    assert found["values"]["shutter"]["value"] == "OPEN"
    assert found["values"]["qber"]["quality"] == "bad"
    assert found["values"]["qber_check"]["quality"] == "stale"
    assert found["values"]["chassis_temperature"]["limits"] == "outside operational limits"
    assert found["values"]["visibility"]["operational"] == [0.95, 1]


def test_read_prints_plain_lines_where_no_terminal_is(plug: Plug, capsys: Capture) -> None:
    assert main(["read", rx(plug("T12-RX")), "detectors[0].bias", "chassis_temperature", "state"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "state\tSTANDBY",
        "detectors[0].bias\t54 V\tgood",
        "chassis_temperature\t46.5 degC\tgood, outside limits",
    ]


def test_read_fails_if_a_value_that_was_named_is_not_there(plug: Plug, capsys: Capture) -> None:
    peer = plug("T12-TX")
    assert main(["read", tx(peer), "qber"]) == 1
    assert "bad: the unit gives none: NO_DATA" in capsys.readouterr().out
    assert main(["read", tx(peer), "laser_powr"]) == 2
    assert "Did you mean laser_power" in capsys.readouterr().err


def test_trace_shows_the_bytes_of_the_opening_too(plug: Plug, capsys: Capture) -> None:
    assert main(["read", tx(plug("T12-TX")), "state", "--trace"]) == 0
    lines = capsys.readouterr().err.splitlines()
    assert re.search(r" > .*#[0-9A-F]{6} IDN\?\*", lines[0])
    assert " < =" in lines[1]


# --- set --------------------------------------------------------------------------------------------------------------


def test_set_reads_back_and_leaves_the_unit_as_it_is(plug: Plug, tmp_path: Path, capsys: Capture) -> None:
    peer = plug("T12-TX")
    station = tmp_path / "lab.toml"
    station.write_text(
        '[station]\non_exit = "safe"\n[devices.alice]\ndriver = "toshiba.transmitter"\n'
        f'control = "serial:{peer.port}"\n'
    )
    assert main(["set", f"{station}#alice", "attenuation", "12.5"]) == 0
    assert capsys.readouterr().out == "attenuation 12.5 dB\n"
    assert peer.orders == ["VOA:ATT 12.5"]  # and no SAFE


def test_set_takes_parts_words_and_negative_numbers(plug: Plug, capsys: Capture) -> None:
    receiver, transmitter = plug("T12-RX"), plug("T12-TX")
    assert main(["set", rx(receiver), "detectors[1].bias", "53.5"]) == 0
    assert main(["set", rx(receiver), "shutter", "closed"]) == 0
    assert main(["set", tx(transmitter), "modulator_bias", "-2.5"]) == 0
    assert receiver.orders == ["DET1:BIAS 53.5", "SHT CLOSED"]
    assert transmitter.orders == ["IM:BIAS -2.5"]
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["attenuation", "99"], 1, "attenuation takes 0 to 60 dB"),
        (["attenuation", "much"], 2, "attenuation takes a number, not 'much'"),
        (["attenuation", "nan"], 2, "attenuation takes a number, not 'nan'"),
        (["block_bits", "1.5"], 2, "block_bits takes a whole number"),
        (["laser_power", "1"], 2, "laser_power is measured and cannot be set"),
        (["detectors[0].bias", "1"], 2, "has no value 'detectors[0].bias'"),
    ],
)
def test_what_cannot_be_set_is_refused_before_a_byte_is_sent(
    arguments: list[str], code: int, says: str, plug: Plug, capsys: Capture
) -> None:
    peer = plug("T12-TX")
    assert main(["set", tx(peer), *arguments]) == code
    assert says in capsys.readouterr().err
    assert peer.orders == []


# --- monitor, snapshot ------------------------------------------------------------------------------------------------


def test_monitor_prints_a_line_a_round(plug: Plug, capsys: Capture) -> None:
    command = ["monitor", tx(plug("T12-TX")), "state", "laser_power", "--interval", "0.05", "--count", "3"]
    assert main(command) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.partition(" ")[2] for line in lines] == ["state=STANDBY laser_power=-0.52 dBm"] * 3
    assert main([*command, "--json"]) == 0
    assert [json.loads(line)["values"]["laser_power"]["value"] for line in capsys.readouterr().out.splitlines()] == [
        -0.52
    ] * 3


def test_monitor_reports_a_device_that_falls_silent_and_goes_on(plug: Plug, capsys: Capture) -> None:
    peer = plug("T12-TX")
    peer.answers = iter([True, True, False])  # to see whether the names are right, then in each round
    assert main(["monitor", tx(peer), "laser_power", "--interval", "0.05", "--count", "3"]) == 0
    shown = capsys.readouterr()
    assert len(shown.out.splitlines()) == 2
    assert "no reply" in shown.err


def test_snapshot_is_written_whole_or_refused(plug: Plug, tmp_path: Path, capsys: Capture) -> None:
    peer = plug("T12-RX")
    assert main(["snapshot", rx(peer), "--output", str(tmp_path / "s.json")]) == 0
    assert json.loads((tmp_path / "s.json").read_text())["values"]["detectors[0].efficiency"]["value"] == 0.205
    assert main(["snapshot", rx(peer), "--output", str(tmp_path / "no" / "s.json")]) == 1
    assert "No such file" in capsys.readouterr().err


# --- drivers, keys ----------------------------------------------------------------------------------------------------


def test_drivers_are_listed(capsys: Capture) -> None:
    assert main(["drivers", "--json"]) == 0
    found = {driver["name"]: driver for driver in json.loads(capsys.readouterr().out)}
    assert found["toshiba.receiver"]["role"] == "Receiver"
    assert found["toshiba.transmitter"]["transports"] == ["serial", "zmq"]
    assert set(found["toshiba.transmitter"]) == {"name", "role", "transports", "wire_ends", "emulator", "protocol"}


def test_curve_keys_are_made_once_and_kept_from_others(tmp_path: Path, capsys: Capture) -> None:
    assert main(["curve-keys", "alice", "--directory", str(tmp_path)]) == 0
    secret = tmp_path / "alice.key_secret"
    assert secret.stat().st_mode & 0o777 == 0o600
    before = secret.read_text()
    assert before.splitlines()[-1].partition('"')[2].rstrip('"') not in capsys.readouterr().out
    assert main(["curve-keys", "alice", "--directory", str(tmp_path)]) == 2
    assert main(["curve-keys", "../alice", "--directory", str(tmp_path)]) == 2
    assert secret.read_text() == before


# --- what a person sees -----------------------------------------------------------------------------------------------


def on_a_terminal(arguments: list[str], columns: int, scratch: Path | None = None, first: str = "") -> str:
    """Run the command on a terminal of its own and return what it printed."""
    master, slave = pty.openpty()
    environment = {**os.environ, "COLUMNS": str(columns), "TERM": "xterm", "NO_COLOR": "1"}
    if scratch is not None:
        environment["TMPDIR"] = str(scratch)
    with subprocess.Popen(
        [sys.executable, "-c", f"{first}\nimport sys; from tokaido.console import main; sys.exit(main())", *arguments],
        stdin=slave,
        stdout=slave,
        stderr=slave,
        env=environment,
    ) as process:
        os.close(slave)
        shown = b""
        while process.poll() is None or select.select([master], [], [], 0)[0]:
            if select.select([master], [], [], 0.05)[0]:
                try:
                    shown += os.read(master, 65_536)
                except OSError:
                    break
    os.close(master)
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown.decode())


@pytest.mark.parametrize("columns", [40, 80, 120])
def test_the_table_fits_the_terminal(columns: int, plug: Plug) -> None:
    shown = on_a_terminal(["read", rx(plug("T12-RX"))], columns)
    lines = shown.replace("\r", "").splitlines()
    assert max(map(len, lines)) <= columns
    assert "54 V" in shown
    if columns >= 80:
        assert any("detectors[1].dark_count_rate" in line and "21000 1/s" in line for line in lines)


def test_the_command_is_quick_to_import() -> None:
    heavy = ["typer", "rich", "zmq", "numpy", "asyncio"]
    code = f"import sys, tokaido.console; print([name for name in {heavy} if name in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_an_output_that_nobody_reads_ends_quietly(plug: Plug) -> None:
    peer = plug("T12-TX")
    code = "import sys; from tokaido.console import main; sys.exit(main())"
    with subprocess.Popen(
        [sys.executable, "-c", code, "monitor", tx(peer), "--interval", "0.05", "--count", "40"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == ""
        assert process.wait() != 0


# --- where the output goes --------------------------------------------------------------------------------------------


def run_shell(redirection: str, *arguments: str, unbuffered: bool) -> subprocess.CompletedProcess[str]:
    code = "import sys; from tokaido.console import main; sys.exit(main())"
    return subprocess.run(
        ["sh", "-c", f'exec "$@" {redirection}', "sh", sys.executable, "-c", code, *arguments],
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "PYTHONUNBUFFERED": "1" if unbuffered else ""},
    )


@pytest.mark.parametrize("unbuffered", [True, False])
def test_an_output_that_takes_nothing_is_told_in_one_line(unbuffered: bool) -> None:
    ended = run_shell(">/dev/full", "drivers", unbuffered=unbuffered)
    assert ended.stderr == "error: the output cannot be written: No space left on device\n"
    assert ended.returncode == 1


def test_a_command_whose_output_is_closed_does_its_work(tmp_path: Path) -> None:
    ended = run_shell(">&-", "curve-keys", "alice", "--directory", str(tmp_path), unbuffered=False)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert (tmp_path / "alice.key_secret").exists()
    ended = run_shell(">&- 2>&-", "read", "nothing", unbuffered=False)
    assert ended.returncode == 2
