"""`tokaido record` and `tokaido replay`, as a person types them."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tokaido.console import main
from tokaido.emulators import launch
from tokaido.emulators.transcripts import Transcript

Capture = pytest.CaptureFixture[str]


def test_a_device_is_recorded_by_its_driver_and_read_from_the_file(tmp_path: Path, capsys: Capture) -> None:
    file = tmp_path / "unit.toml"
    with launch("nec.receiver", seed=1) as emulator:
        assert main(["record", f"nec.receiver@{emulator.resources['control']}", "-o", str(file)]) == 0
    assert f"records in {file}" in capsys.readouterr().out
    assert main(["read", f"nec.receiver@replay:{file}", "state"]) == 0
    assert capsys.readouterr().out == "state\tOFF\n"


def test_a_file_that_is_there_is_left_alone(tmp_path: Path, capsys: Capture) -> None:
    file = tmp_path / "unit.toml"
    file.write_text("mine", encoding="ascii")
    with launch("dicon.selector", seed=1) as emulator:
        assert main(["record", f"dicon.selector@{emulator.resources['control']}", "-o", str(file)]) == 2
    assert "exists" in capsys.readouterr().err
    assert file.read_text(encoding="ascii") == "mine"


def test_a_device_on_the_network_is_not_opened_to_everybody(tmp_path: Path, capsys: Capture) -> None:
    file = tmp_path / "switch.toml"
    with launch("polatis.matrix", seed=1) as emulator:
        device = f"polatis.matrix@{emulator.resources['control']}"
        assert main(["record", device, "-o", str(file), "--serve"]) == 2
    assert "not on a serial line" in capsys.readouterr().err
    assert not file.exists()


CODE = "import sys; from tokaido.console import main; sys.exit(main())"


def begun(*arguments: str) -> subprocess.Popen[str]:
    process = subprocess.Popen([sys.executable, "-c", CODE, *arguments], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    while (line := process.stdout.readline()) != "Ctrl-C ends it\n":
        assert line
    return process


def ended(process: subprocess.Popen[str]) -> str:
    process.send_signal(signal.SIGTERM)
    said, _ = process.communicate(timeout=20)
    assert process.returncode == 0
    return said


def test_a_recorder_stands_in_the_way_and_its_file_is_served_to_another_program(
    tmp_path: Path, capsys: Capture
) -> None:
    file, link = tmp_path / "switch.toml", tmp_path / "port"
    with launch("dicon.selector", seed=1) as emulator:
        device = f"dicon.selector@{emulator.resources['control']}"
        with begun("record", device, "-o", str(file), "--link", str(link)) as process:
            assert main(["connect", f"dicon.selector@serial:{link}", "1", "3"]) == 0
            assert "records in" in ended(process)
    assert not link.exists()
    assert len(Transcript.from_file(file).records) >= 8
    with begun("replay", str(file), "--link", str(link)) as process:
        assert main(["connect", f"dicon.selector@serial:{link}", "1", "3"]) == 0
        assert main(["disconnect", f"dicon.selector@serial:{link}", "--all"]) == 1
        assert r"not in the transcript: b'PK\r'" in ended(process)
