"""A role, a driver, an emulator and a contract from another package: held to its contract, and put into a fibre."""

from __future__ import annotations

import datetime
from typing import TYPE_CHECKING

import pytest

import tokaido.hal as hal
from acme_filter.driver import Filter
from acme_filter.role import TunableFilter
from tokaido.emulators import bench_from_station, launch
from tokaido.emulators.conformance import suite
from tokaido.hal.driver import Answer
from tokaido_testing.packages import PACKAGES, installed
from tokaido_testing.patience import slowness
from tokaido_testing.ports import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PYPROJECT = (PACKAGES / "acme_filter" / "pyproject.toml").read_text(encoding="utf-8")

BLOCKED = "tf lets no quantum light through at tf.in"


@pytest.fixture(autouse=True)
def acme() -> Iterator[None]:
    """Have the package installed, for the length of a test."""
    with installed(PYPROJECT):
        yield


with installed(PYPROJECT):
    TestFilter = suite("acme.tf1", wire_ends=("tcp", "emu"), slowness=slowness)


def test_its_contract_is_its_own() -> None:
    assert [base.__name__ for base in TestFilter.__mro__[1:3]] == ["FilterContract", "Contract"]


def test_a_driver_of_a_foreign_role_is_opened_as_that_role_alone() -> None:
    assert "acme.tf1" in [entry.name for entry in hal.drivers()]
    with pytest.raises(hal.ConfigurationError, match="Open it as TunableFilter"):
        hal.OpticalSwitch.open("acme.tf1", control="serial:/dev/none")


@pytest.mark.parametrize("lost", [hal.DeviceTimeoutError("no reply"), "1;0"])
def test_what_was_set_and_could_not_be_read_back_is_of_unknown_outcome(
    lost: hal.TokaidoError | str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def ask(self: Filter, command: str) -> Answer:
        if isinstance(lost, hal.TokaidoError):
            raise lost
        return Answer(lost)

    with launch("acme.tf1", wire_end="emu") as box, TunableFilter.open("acme.tf1", **box.resources) as tf:
        monkeypatch.setattr(Filter, "_ask", ask)
        with pytest.raises(hal.OutcomeUnknownError, match="read the value, then decide"):
            tf.centre = 1540.0
        monkeypatch.undo()
        assert tf.centre == 1540.0


def test_its_values_are_calibrated_without_a_line_in_the_driver(monkeypatch: pytest.MonkeyPatch) -> None:
    learn = Filter._learn

    def learn_more(self: Filter, found: hal.Identity) -> None:
        learn(self, found)
        assert self.centre == 1550  # in the box's own scale still

    monkeypatch.setattr(Filter, "_learn", learn_more)
    shifted = hal.Calibration("nm", datetime.date(2026, 1, 2), "wavelength meter", offset=-0.3)
    with launch("acme.tf1", wire_end="emu") as box:
        control = box.resources["control"]
        with TunableFilter.open("acme.tf1", control=control, calibrations={"centre": shifted}) as tf:
            assert tf.centre == 1549.7
            tf.centre = 1540
            assert tf.centre == pytest.approx(1540)
            assert tf.telemetry()["centre"].raw == pytest.approx(1540.3)
            with pytest.raises(hal.RangeError, match=r"takes 1529\.7 to 1564\.7 nm"):
                tf.centre = 1565


STATION = """
[devices.alice]
driver = "toshiba.transmitter"
serial_number = "TKTX0001"
control = "serial:{folder}/alice?baudrate=115200"
keys = "zmq:tcp://127.0.0.1:{keys[0]}?server_key_file={folder}/alice.key&client_key_file={folder}/host.key_secret"
[devices.bob]
driver = "toshiba.receiver"
serial_number = "TKRX0001"
control = "serial:{folder}/bob?baudrate=115200"
keys = "zmq:tcp://127.0.0.1:{keys[1]}?server_key_file={folder}/bob.key&client_key_file={folder}/host.key_secret"
[devices.tf]
driver = "acme.tf1"
control = "visa:TCPIP::127.0.0.1::{keys[2]}::SOCKET"
emulator = {{ blocked = true }}
[devices.west]
driver = "polatis.matrix"
control = "visa:TCPIP::127.0.0.1::{keys[3]}::SOCKET"
emulator = {{ inputs = 4, outputs = 4 }}
[links.field]
transmitter = "alice"
receiver = "bob"
paths = {{ A = {{ west = [[1, 1]] }} }}
[bench]
fibres = {{ A = {{ length_km = 20, loss_db = 4.0 }} }}
joins = [["alice", "west.in1"], ["west.out1", "A.a"], ["A.b", "tf.in"], ["tf.{out}", "bob"]]
"""


def station(tmp_path: Path, out: str = "out") -> hal.Station:
    file = tmp_path / "lab.toml"
    text = STATION.format(folder=tmp_path, keys=[free_port() for _ in range(4)], out=out)
    file.write_text(text, encoding="utf-8")
    return hal.Station.from_file(file)


def test_a_station_file_puts_it_into_the_light_path(tmp_path: Path) -> None:
    site = station(tmp_path)
    with bench_from_station(site) as bench:
        with site:
            tf = site.device("tf", TunableFilter)
            site.device("west", hal.OpticalSwitch).connect(1, 1)
            assert bench.trace("alice").reason == BLOCKED
            tf.blocked = False
            before = bench.path("alice", "bob")
            tf.centre = 1551.5
            after = bench.path("alice", "bob")
        assert before is not None
        assert after is not None
        assert [hop.element for hop in after.hops if hop.element != "join"] == ["west", "A", "tf"]
        assert after.loss_db == pytest.approx(before.loss_db + 3 * 1.5**2)
        assert after.marks == before.marks
        assert bench.trace("alice").reason == BLOCKED  # the safe state of its role, which a station brings about


def test_a_port_that_it_does_not_have_is_a_mistake_in_the_file(tmp_path: Path) -> None:
    with station(tmp_path, out="back") as site, pytest.raises(hal.ConfigurationError) as error:
        bench_from_station(site)
    assert "bench.joins, number 4: there is no port 'tf.back'" in str(error.value)
    assert "tf has tf.in, tf.out" in str(error.value)
