"""The command line itself: version, completion, mistyped words, and errors that programs read."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
import typer

from tokaido.console import main
from tokaido.console._app import app

from .conftest import Plug

Capture = pytest.CaptureFixture[str]
COMMAND = "import sys; from tokaido.console import main; sys.exit(main())"
STATION = '[devices.alice]\ndriver = "toshiba.transmitter"\ncontrol = "serial:/dev/a"\n'


def run(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", COMMAND, *words],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**os.environ, **environment},
    )


ROOT: Any = typer.main.get_command(app)


def commands(group: Any = ROOT, words: tuple[str, ...] = ()) -> dict[tuple[str, ...], Any]:
    """All commands, by their words."""
    found: dict[tuple[str, ...], Any] = {}
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            found |= commands(command, (*words, name))
        else:
            found[*words, name] = command
    return found


def test_the_version_is_that_of_the_distribution(capsys: Capture) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"tokaido {version('tokaido')}\n"


@pytest.mark.parametrize("words", commands(), ids=" ".join)
def test_every_command_has_json(words: tuple[str, ...]) -> None:
    assert "--json" in [option for parameter in commands()[words].params for option in parameter.opts]


# --- completion -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_shell_gets_its_completion(shell: str) -> None:
    done = run("--show-completion", shell, _TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION="1")
    assert f"complete_{shell}" in done.stdout


def test_completion_is_installed_for_the_user(tmp_path: Path) -> None:
    done = run("--install-completion", "bash", _TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION="1", HOME=str(tmp_path))
    assert done.returncode == 0
    assert "tokaido" in (tmp_path / ".bashrc").read_text()


@pytest.mark.parametrize(
    ("line", "offers"),
    [
        ("tokaido sett", ["settings"]),
        ("tokaido settings re", ["restore"]),
        ("tokaido read LAB#", ["LAB#alice"]),
        ("tokaido link move LAB#x", []),
        ("tokaido read broken.toml#", []),
        ("tokaido read toshiba.t", ["toshiba.transmitter@"]),
        ("tokaido settings save LA", ["LAB"]),
        ("tokaido read LA", ["LAB#"]),
    ],
)
def test_devices_drivers_and_stations_are_completed(
    line: str, offers: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("lab.toml").write_text(STATION)
    Path("broken.toml").write_text("[")
    line = line.replace("LAB", "lab.toml").replace("LA", "la")
    count = str(len(line.split()) - 1)
    for name, value in {"_TOKAIDO_COMPLETE": "complete_bash", "COMP_WORDS": line, "COMP_CWORD": count}.items():
        monkeypatch.setenv(name, value)
    main([])
    shown = capsys.readouterr()
    assert shown.out.split() == [offer.replace("LAB", "lab.toml") for offer in offers]
    assert shown.err == ""


# --- mistyped words ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["mointor", "x"], "Did you mean 'monitor'?"),
        (["settings", "resotre"], "Did you mean 'restore'?"),
        (["identify", "toshiba.transmiter@serial:/dev/a"], "Did you mean toshiba.transmitter? Installed are"),
        (["identify", "lab.toml#alcie"], "Did you mean alice? It has alice"),
        (["link", "status", "lab.toml#feild"], "Did you mean field? It has field"),
        (["read", "UNIT", "atenuation"], "Did you mean attenuation"),
    ],
)
def test_a_mistyped_word_is_answered_with_the_nearest(
    words: list[str], says: str, plug: Plug, tmp_path: Path, capsys: Capture
) -> None:
    lab = tmp_path / "lab.toml"
    lab.write_text(
        STATION + '[devices.bob]\ndriver = "toshiba.receiver"\ncontrol = "serial:/dev/b"\n'
        '[devices.osw]\ndriver = "thorlabs.osw"\ncontrol = "serial:/dev/c"\n'
        '[links.field]\ntransmitter = "alice"\nreceiver = "bob"\nlease_file = "l"\n'
        "[links.field.paths.A]\nosw = [[1, 1]]\n"
    )
    unit = f"toshiba.transmitter@serial:{plug('T12-TX').port}"
    words = [unit if word == "UNIT" else word.replace("lab.toml", str(lab)) for word in words]
    assert main(words) == 2
    assert says in " ".join(capsys.readouterr().err.split())


# --- errors for programs ----------------------------------------------------------------------------------------------


def test_an_error_of_ours_is_an_object_on_stderr(tmp_path: Path, capsys: Capture) -> None:
    station = tmp_path / "lab.toml"
    station.write_text(STATION.replace("control", "contrl"))
    assert main(["read", f"{station}#alice", "--json"]) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    error = json.loads(shown.err)["error"]
    assert error["type"] == "ConfigurationError"
    assert error["exit_code"] == 2
    assert len(error["mistakes"]) == 2
    assert "line 3" in error["message"]


def test_a_device_that_does_not_answer_is_named_in_it(plug: Plug, capsys: Capture) -> None:
    peer = plug("T12-TX")
    peer.answering = False
    assert main(["read", f"toshiba.transmitter@serial:{peer.port}", "--json"]) == 1
    error = json.loads(capsys.readouterr().err)["error"]
    assert (error["type"], error["device"], error["exit_code"]) == ("DeviceTimeoutError", "toshiba.transmitter", 1)
    assert error["elapsed_s"] > 0


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["mointor", "--json"], "Did you mean 'monitor'?"),
        (["read", "--json"], "Missing"),
        (["demo", "--json", "--seconds", "soon"], "soon"),
        (["read", "x", "--json", "--nonsense"], "No such option"),
    ],
)
def test_a_command_line_that_cannot_be_understood_is_an_object_too(
    words: list[str], says: str, capsys: Capture
) -> None:
    assert main(words) == 2
    error = json.loads(capsys.readouterr().err)["error"]
    assert says in error["message"]
    assert error["exit_code"] == 2


def test_a_restore_that_failed_in_the_middle_says_in_json_how_far_it_went(
    plug: Plug, tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    peer = plug("T12-TX")
    unit, file = f"toshiba.transmitter@serial:{peer.port}", str(tmp_path / "saved.toml")
    assert main(["settings", "save", unit, "-o", file]) == 0
    peer.table |= {"VOA:ATT": "12.5", "MU:SIG": "0.6"}
    capsys.readouterr()
    plain = peer._answer

    def answer(line: str) -> None:
        peer.answering = "MU:SIG 0.5" not in line
        plain(line)

    monkeypatch.setattr(peer, "_answer", answer)
    assert main(["settings", "restore", unit, file, "--yes", "--json"]) == 1
    error = json.loads(capsys.readouterr().err)["error"]
    assert [change["path"] for change in error["done"]] == ["attenuation"]
    assert error["failed"]["path"] == "signal_mean_photon_number"
    assert error["type"] == "RestoreError"


def test_what_ends_well_with_json_has_no_error_and_the_same_exit_code(plug: Plug, capsys: Capture) -> None:
    unit = f"toshiba.transmitter@serial:{plug('T12-TX').port}"
    assert main(["read", unit, "qber", "--json"]) == 1  # a value that was named and is bad
    assert main(["read", unit, "--json"]) == 0
    assert capsys.readouterr().err == ""
