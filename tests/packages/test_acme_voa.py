"""A role, a driver, an emulator and a contract from another package: held to its contract, and put into a fibre."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

import tokaido.hal as hal
from acme_voa.driver import Attenuator
from acme_voa.role import VariableAttenuator
from tokaido.emulators import Bench, bench_from_station, launch
from tokaido.emulators.conformance import suite
from tokaido.hal.driver import Answer
from tokaido_testing.bench import BLOCK_BITS, PARAMETERS, STEP_NS
from tokaido_testing.packages import PACKAGES, installed
from tokaido_testing.patience import slowness
from tokaido_testing.ports import free_port

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

PYPROJECT = (PACKAGES / "acme_voa" / "pyproject.toml").read_text(encoding="utf-8")

BLOCKED = "voa lets no quantum light through at voa.in"


@pytest.fixture(autouse=True)
def acme() -> Iterator[None]:
    """Have the package installed, for the length of a test."""
    with installed(PYPROJECT):
        yield


with installed(PYPROJECT):
    TestAttenuator = suite("acme.voa", wire_ends=("tcp", "emu"), slowness=slowness)


def test_its_contract_is_its_own() -> None:
    assert [base.__name__ for base in TestAttenuator.__mro__[1:3]] == ["AttenuatorContract", "Contract"]


def test_a_driver_of_a_foreign_role_is_opened_as_that_role_alone() -> None:
    assert "acme.voa" in [entry.name for entry in hal.drivers()]
    with pytest.raises(hal.ConfigurationError, match="Open it as VariableAttenuator"):
        hal.OpticalSwitch.open("acme.voa", control="serial:/dev/none")


@pytest.mark.parametrize("lost", [hal.DeviceTimeoutError("no reply"), "1;0"])
def test_what_was_set_and_could_not_be_read_back_is_of_unknown_outcome(
    lost: hal.TokaidoError | str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def ask(self: Attenuator, command: str) -> Answer:
        if isinstance(lost, hal.TokaidoError):
            raise lost
        return Answer(lost)

    with launch("acme.voa", wire_end="emu") as box, VariableAttenuator.open("acme.voa", **box.resources) as voa:
        monkeypatch.setattr(Attenuator, "_ask", ask)
        with pytest.raises(hal.OutcomeUnknownError, match="read the value, then decide"):
            voa.attenuation = 4.0
        monkeypatch.undo()
        assert voa.attenuation == 4.0


class Line:
    """alice, a fibre, the attenuator, bob: all on their wires, in a time that is told to pass."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        tx = bench.device("alice", "toshiba.transmitter", serial_number="TKTX0001", warm=True)
        rx = bench.device("bob", "toshiba.receiver", serial_number="TKRX0001", warm=True)
        voa = bench.device("voa", "acme.voa")
        bench.fibre("A", length_km=20, loss_db=4.0)
        for one, other in (("alice", "A.a"), ("A.b", "voa.in"), ("voa.out", "bob")):
            bench.join(one, other)
        bench.set_up("alice", "bob", PARAMETERS, block_bits=BLOCK_BITS)
        bench.preshared_key("alice", "bob", load=True)
        self.alice = hal.Transmitter.open("toshiba.transmitter", timeout=10, **tx.resources)
        self.bob = hal.Receiver.open("toshiba.receiver", timeout=10, **rx.resources)
        self.voa = VariableAttenuator.open("acme.voa", timeout=10, **voa.resources)

    def until(self, condition: Callable[[], bool], limit_s: float) -> None:
        for _ in range(round(limit_s * 1e9 / STEP_NS)):
            if condition():
                return
            self.bench.step(STEP_NS)
        assert condition()

    def pass_time(self, seconds: float) -> None:
        for _ in range(round(seconds * 1e9 / STEP_NS)):
            self.bench.step(STEP_NS)

    def close(self) -> None:
        for device in (self.alice, self.bob, self.voa):
            device.close()


@pytest.fixture
def line(tmp_path: Path) -> Iterator[Line]:
    with Bench(seed=7, directory=tmp_path) as bench:
        line = Line(bench)
        try:
            yield line
        finally:
            line.close()


def test_what_the_receiver_measures_follows_the_attenuator(line: Line) -> None:
    line.until(lambda: line.bob.state() is hal.UnitState.STANDBY, 60)
    loss, rate, power = line.bob.channel_loss, line.bob.detectors[0].count_rate, line.voa.output_power
    assert loss == pytest.approx(4.0 + 3 * 0.3 + 0.8, abs=0.3)
    assert power == pytest.approx(-1.0 - (loss - 0.3), abs=0.3)  # there is a connector behind it
    line.voa.attenuation = 3.0
    line.pass_time(0.3)
    assert line.bob.channel_loss == pytest.approx(loss + 3.0, abs=0.1)
    assert line.bob.detectors[0].count_rate == pytest.approx(rate / 2, rel=0.05)
    assert line.voa.output_power == pytest.approx(power - 3.0, abs=0.02)
    assert line.bob.state() is hal.UnitState.STANDBY


def test_keys_come_slower_through_an_attenuator_and_none_when_it_is_blocked(line: Line) -> None:
    line.until(lambda: line.bob.state() is line.alice.state() is hal.UnitState.STANDBY, 60)
    for unit in (line.alice, line.bob):
        unit.start()
    line.until(lambda: line.bob.state() is hal.UnitState.RUN, 20)
    line.pass_time(2)
    fast = line.bob.sifted_key_rate
    line.voa.attenuation = 3.0
    line.pass_time(5)
    assert line.bob.sifted_key_rate == pytest.approx(fast / 2, rel=0.1)
    assert line.bob.state() is hal.UnitState.RUN  # less light does not interrupt
    line.voa.apply_safe_state()
    line.pass_time(1)
    assert line.bench.trace("alice").reason == BLOCKED
    assert "LOS" in [alarm.code for alarm in line.bob.alarms()]


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
[devices.voa]
driver = "acme.voa"
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
joins = [["alice", "west.in1"], ["west.out1", "A.a"], ["A.b", "voa.in"], ["voa.{out}", "bob"]]
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
            voa = site.device("voa", VariableAttenuator)
            site.device("west", hal.OpticalSwitch).connect(1, 1)
            assert bench.trace("alice").reason == BLOCKED
            voa.blocked = False
            before = bench.path("alice", "bob")
            voa.attenuation = 6.5
            after = bench.path("alice", "bob")
        assert before is not None
        assert after is not None
        assert [hop.element for hop in after.hops if hop.element != "join"] == ["west", "A", "voa"]
        assert after.loss_db == pytest.approx(before.loss_db + 6.5)
        assert after.marks == before.marks
        assert bench.trace("alice").reason == BLOCKED  # the safe state of its role, which a station brings about


def test_a_port_that_it_does_not_have_is_a_mistake_in_the_file(tmp_path: Path) -> None:
    with station(tmp_path, out="back") as site, pytest.raises(hal.ConfigurationError) as error:
        bench_from_station(site)
    assert "bench.joins, number 4: there is no port 'voa.back'" in str(error.value)
    assert "voa has voa.in, voa.out" in str(error.value)
