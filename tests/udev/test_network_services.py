"""Templates of systemd and the compose file for many nodes: every line is known, and what they name is there."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tokaido_testing.extras import needs

ROOT = Path(__file__).parents[2]
UDEV = ROOT / "udev"
TEMPLATES = ("tokaido-node@.service", "tokaido-span@.service", "tokaido-hub@.service")
COMPOSE = UDEV / "tokaido-network.compose.yml"


def test_all_of_them_are_in_the_wheel() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    shared = project["tool"]["hatch"]["build"]["targets"]["wheel"]["shared-data"]
    assert {Path(source).name for source in shared} >= {*TEMPLATES, COMPOSE.name}
    assert all((ROOT / source).is_file() for source in shared)


def test_the_node_of_many_is_the_node_of_one_but_for_names() -> None:
    one = (UDEV / "tokaido-node.service").read_text(encoding="ascii").splitlines()
    many = (UDEV / "tokaido-node@.service").read_text(encoding="ascii").splitlines()
    lines = [line for line in many if not line.startswith("#")]
    plain = [line.replace("/nodes/%i", "").replace("/%i", "").replace(" %i", "") for line in lines]
    assert plain == [line for line in one if not line.startswith("#")]
    assert sum("%i" in line for line in lines) == 6  # the positive control


@pytest.mark.parametrize("name", TEMPLATES)
def test_systemd_knows_every_line(tmp_path: Path, name: str) -> None:
    tool = shutil.which("systemd-analyze")
    if tool is None:
        if os.environ.get("CI") == "true":
            pytest.fail("the units cannot be tested: Debian's package systemd is missing")
        pytest.skip("Debian's package systemd is missing")
    text = (UDEV / name).read_text(encoding="ascii")
    startable = re.sub(r"^ExecStart=\S+", "ExecStart=/bin/true", text, flags=re.MULTILINE)
    unit = tmp_path / name.replace("@", "@maibara")
    for spoilt in (False, True):
        unit.write_text(startable.replace("UMask=", "UMaks=") if spoilt else startable, encoding="ascii")
        command = (tool, "verify", "--man=no", unit)
        done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
        assert ("UMaks" in done.stderr) is spoilt, done.stderr
        assert spoilt or (done.returncode, done.stderr.strip()) == (0, ""), done.stderr


class Service(msgspec.Struct, forbid_unknown_fields=True):
    """What a service of the compose specification may have, as far as this file uses it."""

    image: str
    command: list[str]
    volumes: list[str]
    networks: list[str]
    restart: str
    user: str
    read_only: bool
    cap_drop: list[str]
    security_opt: list[str]
    stop_grace_period: str
    ulimits: dict[str, int]
    stop_signal: str = ""
    tmpfs: list[str] = []


class Compose(msgspec.Struct):
    """The file."""

    services: dict[str, Service]
    networks: dict[str, dict[str, Any]]
    volumes: dict[str, dict[str, Any]]


def composed(text: str) -> Compose:
    found = msgspec.yaml.decode(text, type=dict[str, Any])
    assert {key for key in found if not key.startswith("x-")} == {"services", "networks", "volumes"}
    return msgspec.convert(found, Compose)


@needs("yaml", "PyYAML is not installed")
def test_the_compose_file_is_right_and_names_what_is_there() -> None:
    text = COMPOSE.read_text(encoding="ascii")
    found = composed(text)
    assert len(found.services) == 5
    used: set[str] = set()
    for name, service in found.services.items():
        assert set(service.networks) <= set(found.networks), name
        assert re.fullmatch(r"\d+s", service.stop_grace_period)
        assert service.restart in {"unless-stopped", "on-failure"}
        assert (service.read_only, service.cap_drop, service.ulimits["core"]) == (True, ["ALL"], 0)
        for volume in service.volumes:
            source, target, *mode = volume.split(":")
            assert target.startswith("/")
            assert mode in ([], ["ro"])
            used |= set() if source.startswith("./") else {source}
            assert not source.startswith("./") or mode == ["ro"], volume
    assert used == set(found.volumes)
    with pytest.raises(msgspec.ValidationError, match="unknown field `comand`"):
        composed(text.replace("command:", "comand:", 1))
