"""The registry: our own entries need no search, other people's are found, and a name of ours stays ours."""

from __future__ import annotations

import importlib.metadata
import pickle
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

import tokaido.hal as hal
from tokaido_testing.packages import installed, write_metadata

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_mock import MockerFixture

FOREIGN = """
[project]
name = "acme-boxes"
version = "1.0"

[project.entry-points."tokaido.drivers"]
"acme.plain" = "tokaido.hal:Transmitter"
"acme.extra" = "tokaido.hal:Receiver [lamp]"
"acme.gone" = "acme_is_not_there:Driver"
"toshiba.transmitter" = "acme_is_not_there:Driver"

[project.entry-points."tokaido.transports"]
serial = "acme_is_not_there:KIND"
"""
OPEN = """
import sys
import tokaido.hal as hal
try:
    hal.Transmitter.open("toshiba.transmitter", control="serial:/nowhere?baudrate=9600")
except hal.TransportError:
    sys.exit("importlib.metadata" in sys.modules)
sys.exit(2)
"""


def test_to_open_a_driver_of_ours_needs_no_search_for_entry_points() -> None:
    assert subprocess.run([sys.executable, "-c", OPEN], check=False).returncode == 0


def test_what_somebody_else_brings_is_found_beside_ours() -> None:
    with installed(FOREIGN):
        found = {entry.name: entry for entry in hal.drivers()}
        assert list(found) == sorted(found)
        assert found["acme.plain"] == hal.DriverEntry("acme.plain", "tokaido.hal:Transmitter", "acme-boxes")
        assert found["acme.extra"].load() is hal.Receiver
        assert hal.load_driver("acme.plain", hal.Transmitter) is hal.Transmitter
        with pytest.raises(hal.ConfigurationError, match=r"registered as acme_is_not_there:Driver and cannot be imp"):
            hal.load_driver("acme.gone", hal.Device)
    assert "acme.plain" not in {entry.name for entry in hal.drivers()}


def test_what_was_found_is_not_searched_for_again_until_something_is_installed_or_removed(
    tmp_path: Path, mocker: MockerFixture
) -> None:
    search = mocker.spy(importlib.metadata, "entry_points")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(tmp_path)
        assert "acme.plain" not in {entry.name for entry in hal.drivers()}
        assert hal.drivers() == hal.drivers() == hal.installed("tokaido.drivers")
        assert search.call_count == 1
        write_metadata(FOREIGN, tmp_path)
        assert "acme.plain" in {entry.name for entry in hal.drivers()}
        shutil.rmtree(tmp_path / "acme_boxes-1.0.dist-info")
        assert "acme.plain" not in {entry.name for entry in hal.drivers()}


def test_a_name_of_ours_is_ours_whoever_else_takes_it() -> None:
    ours = next(entry for entry in hal.drivers() if entry.name == "toshiba.transmitter")
    with installed(FOREIGN):
        assert [entry for entry in hal.drivers() if entry.name == "toshiba.transmitter"] == [ours]
        assert hal.load_driver("toshiba.transmitter", hal.Transmitter) is ours.load()
        assert hal.Resource.parse("serial:/dev/ttyUSB0").kind == "serial"


def test_an_entry_is_a_plain_record() -> None:
    entry = hal.drivers()[0]
    assert pickle.loads(pickle.dumps(entry)) == entry
    assert len({entry, *hal.drivers()}) == len(hal.drivers())
