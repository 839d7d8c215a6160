"""`tokaido discover`: it opens nothing unless told to, and then says who answers or why nobody does."""

from __future__ import annotations

import json
import os
import stat
import time
from pathlib import Path

import pytest

import tokaido.hal as hal
from tokaido.console import _discover, main
from tokaido_testing.patience import in_time

from .conftest import Plug

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that stands for /dev/qkd, and no ports but those linked from it."""
    find = _discover.find_ports
    monkeypatch.setattr("serial.tools.list_ports.comports", list)
    monkeypatch.setattr(_discover, "find_ports", lambda: find((tmp_path,)))
    return tmp_path


def test_links_of_ours_are_found_and_nothing_is_opened(
    links: Path, plug: Plug, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    (links / "TKTX0001").symlink_to(plug("T12-TX").port)
    (links / "gone").symlink_to("/dev/no-such-port")
    opened: list[str] = []
    monkeypatch.setattr(hal.Device, "open", lambda *_: opened.append("device"))
    assert main(["discover", "--json"]) == 0
    (port,) = json.loads(capsys.readouterr().out)
    assert port["resource"] == f"serial:{links}/TKTX0001"
    assert "answer" not in port
    assert opened == []


def test_identify_says_who_answers_and_why_others_do_not(links: Path, plug: Plug, capsys: Capture) -> None:
    silent = plug("T12-TX")
    silent.answering = False
    for name, peer in (("a", plug("T12-TX")), ("b", plug("T12-RX")), ("c", silent)):
        (links / name).symlink_to(peer.port)
    start = time.monotonic()
    assert main(["discover", "--identify", "--json"]) == 0
    assert in_time(start, 2)
    answers = {Path(port["resource"]).name: port["answer"] for port in json.loads(capsys.readouterr().out)}
    assert answers["a"]["driver"] == "toshiba.transmitter"
    assert answers["b"]["driver"] == "toshiba.receiver"
    assert answers["b"]["serial_number"] == "TKRX0001"
    assert "toshiba.receiver: no reply" in answers["c"]["error"]


def test_plain_lines_name_the_port_and_the_answer(links: Path, plug: Plug, capsys: Capture) -> None:
    (links / "a").symlink_to(plug("T12-TX").port)
    assert main(["discover", "--identify"]) == 0
    assert capsys.readouterr().out == f"{links}/a\t-\ttoshiba.transmitter: TOSHIBA-STYLE T12-TX TKTX0001\n"


@pytest.mark.usefixtures("links")
def test_no_port_is_said_in_words(capsys: Capture) -> None:
    assert main(["discover"]) == 0
    assert capsys.readouterr().out == "no serial ports found\n"


def test_udev_is_asked_if_it_is_there_and_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake = tmp_path / "udevadm"
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    fake.write_text("#!/bin/sh\necho ID_TOKAIDO=1\necho ID_SERIAL_SHORT=TKTX0001\necho DEVNAME=/dev/ttyUSB0\n")
    fake.chmod(fake.stat().st_mode | stat.S_IXUSR)
    assert _discover.udev_properties("/dev/ttyUSB0") == {"ID_TOKAIDO": "1", "ID_SERIAL_SHORT": "TKTX0001"}
    fake.write_text("#!/bin/sh\nexec sleep 10\n")
    start = time.monotonic()
    assert _discover.udev_properties("/dev/ttyUSB0") == {}
    assert in_time(start, 3)
    monkeypatch.setenv("PATH", str(tmp_path / "empty"))
    assert _discover.udev_properties("/dev/ttyUSB0") == {}
