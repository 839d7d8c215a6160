"""The systemd unit of a node: that systemd knows every line of it, and how little the node may do."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SERVICE = ROOT / "udev" / "tokaido-node.service"
SHIPPED = ("tokaido-node.service", "tokaido.sysusers.conf", "62-tokaido-node.rules", "tokaido.rules.yml")


def settings() -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for line in SERVICE.read_text(encoding="ascii").splitlines():
        if line and line[0] not in "#[":
            key, _, value = line.partition("=")
            found.setdefault(key, []).append(value)
    return found


@pytest.fixture
def analyze() -> str:
    """Skip where systemd-analyze is missing; in CI that is an error, since nobody would notice."""
    tool = shutil.which("systemd-analyze")
    if tool is None:
        if os.environ.get("CI") == "true":
            pytest.fail("the unit cannot be tested: Debian's package systemd is missing")
        pytest.skip("Debian's package systemd is missing")
    return tool


def run(*command: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)


def startable(tmp_path: Path, text: str) -> Path:
    """Return the unit with a program that exists here."""
    unit = tmp_path / SERVICE.name
    unit.write_text(re.sub(r"^ExecStart=\S+", "ExecStart=/bin/true", text, flags=re.MULTILINE), encoding="ascii")
    return unit


def test_the_files_of_a_node_are_in_the_wheel() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    shared = project["tool"]["hatch"]["build"]["targets"]["wheel"]["shared-data"]
    assert {Path(source).name for source in shared} >= set(SHIPPED)
    assert all((ROOT / source).is_file() for source in shared)


def test_systemd_knows_every_line(analyze: str, tmp_path: Path) -> None:
    text = SERVICE.read_text(encoding="ascii")
    done = run(analyze, "verify", "--man=no", startable(tmp_path, text))
    assert (done.returncode, done.stderr.strip()) == (0, ""), done.stderr
    done = run(analyze, "verify", "--man=no", startable(tmp_path, text.replace("PrivateTmp=yes", "PrivateTemp=yes")))
    assert "PrivateTemp" in done.stderr  # the positive control


def test_the_node_may_do_little(analyze: str, tmp_path: Path) -> None:
    text = SERVICE.read_text(encoding="ascii")
    ask = (analyze, "security", "--offline=true", "--threshold=20", "--no-pager")
    done = run(*ask, startable(tmp_path, text))
    assert done.returncode == 0, done.stdout[-300:]
    may_more = (
        text.replace("NoNewPrivileges=yes", "").replace("PrivateTmp=yes", "").replace("RestrictNamespaces=yes", "")
    )
    done = run(*ask, startable(tmp_path, may_more))
    assert done.returncode != 0


def test_no_key_is_dumped_and_the_node_is_watched() -> None:
    found = settings()
    assert found["Type"] == ["notify"]
    assert int(found["WatchdogSec"][0]) >= 10
    assert found["LimitCORE"] == ["0"]
    assert "Environment" not in found
    assert found["LoadCredential"][0].startswith("store.key:")
    assert "ProcSubset" not in found  # leases read the boot id
    assert int(found["TimeoutStopSec"][0]) > 10  # a node drains within 10 s


def test_its_user_is_the_one_that_is_made() -> None:
    lines = (ROOT / "udev" / "tokaido.sysusers.conf").read_text(encoding="ascii").splitlines()
    made = [line.split()[1] for line in lines if line.startswith("u ")]
    assert settings()["User"] == made
    assert "m tokaido dialout" in lines


def test_plugging_equipment_in_starts_the_node_and_unplugging_ends_nothing() -> None:
    lines = (ROOT / "udev" / "62-tokaido-node.rules").read_text(encoding="ascii").splitlines()
    rules = [line for line in lines if line and not line.startswith("#")]
    assert rules[0] == 'ACTION=="remove", GOTO="tokaido_node_end"'
    assert 'ENV{SYSTEMD_WANTS}+="tokaido-node.service"' in rules[1]
    assert 'ENV{ID_TOKAIDO}=="1"' in rules[1]
    assert "BindsTo" not in settings()
