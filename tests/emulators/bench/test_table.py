"""Instruments of the optical table on the bench: light follows the attenuator, and a power meter tells it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import pytest

import tokaido.hal as hal
from tokaido.emulators import Bench, bench_from_station
from tokaido.emulators.thorlabs import PowerMeterModel
from tokaido_testing.bench import ALIGNING_NS, BLOCK_BITS, PARAMETERS, STEP_NS
from tokaido_testing.ports import free_port

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

BLOCKED = "voa lets no quantum light through at voa.in"


class Line:
    """alice, a fibre, the attenuator, bob: all on their wires, in a time that is told to pass."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        tx = bench.device("alice", "toshiba.transmitter", serial_number="TKTX0001", warm=True)
        rx = bench.device("bob", "toshiba.receiver", serial_number="TKRX0001", warm=True)
        voa = bench.device("voa", "keysight.attenuator")
        pm = bench.device("pm", "thorlabs.pm100")
        bench.fibre("A", length_km=20, loss_db=4.0)
        for one, other in (("alice", "A.a"), ("A.b", "voa.in"), ("voa.out", "bob")):
            bench.join(one, other)
        bench.set_up("alice", "bob", PARAMETERS, block_bits=BLOCK_BITS)
        bench.preshared_key("alice", "bob", load=True)
        self.alice = hal.Transmitter.open("toshiba.transmitter", timeout=10, **tx.resources)
        self.bob = hal.Receiver.open("toshiba.receiver", timeout=10, **rx.resources)
        self.voa = hal.VariableAttenuator.open("keysight.attenuator", timeout=10, **voa.resources)
        self.pm = hal.PowerMeter.open("thorlabs.pm100", timeout=10, **pm.resources)

    def until(self, condition: Callable[[], bool], limit_s: float, step_ns: int = STEP_NS) -> None:
        for _ in range(round(limit_s * 1e9 / step_ns)):
            if condition():
                return
            self.bench.step(step_ns)
        assert condition()

    def pass_time(self, seconds: float) -> None:
        for _ in range(round(seconds * 1e9 / STEP_NS)):
            self.bench.step(STEP_NS)

    def stand_by(self) -> None:
        self.until(lambda: self.bob.state() is self.alice.state() is hal.UnitState.STANDBY, 60, ALIGNING_NS)

    def close(self) -> None:
        for device in (self.alice, self.bob, self.voa, self.pm):
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
    line.stand_by()
    loss, rate, power = line.bob.channel_loss, line.bob.detectors[0].count_rate, line.voa.output_power
    assert loss == pytest.approx(4.0 + 3 * 0.3 + 1.2, abs=0.3)
    assert power == pytest.approx(-1.0 - (loss - 0.3), abs=0.3)  # there is a connector behind it
    line.voa.attenuation = 3.0
    line.pass_time(0.3)
    assert line.bob.channel_loss == pytest.approx(loss + 3.0, abs=0.1)
    assert line.bob.detectors[0].count_rate == pytest.approx(rate / 2, rel=0.05)
    assert line.voa.output_power == pytest.approx(power - 3.0, abs=0.02)
    assert line.bob.state() is hal.UnitState.STANDBY


@pytest.mark.thorough
def test_keys_come_slower_through_an_attenuator_and_none_when_it_is_blocked(line: Line) -> None:
    line.stand_by()
    line.voa.attenuation = 2.0
    for unit in (line.alice, line.bob):
        unit.start()
    line.until(lambda: line.bob.state() is hal.UnitState.RUN, 20)
    line.pass_time(2)
    fast = line.bob.sifted_key_rate
    line.voa.attenuation = 5.0
    line.pass_time(3)
    assert line.bob.sifted_key_rate == pytest.approx(fast / 2, rel=0.1)
    assert line.bob.state() is hal.UnitState.RUN  # less light does not interrupt
    line.voa.apply_safe_state()
    line.pass_time(1)
    assert line.bench.trace("alice").reason == BLOCKED
    assert "LOS" in [alarm.code for alarm in line.bob.alarms()]


def test_a_power_meter_in_place_of_the_receiver_tells_the_light_of_both_bands(line: Line) -> None:
    line.stand_by()
    line.bench.unjoin("bob")
    line.bench.join("voa.out", "pm.in")
    line.pass_time(0.1)
    assert line.bench.trace("alice").end == "pm.in"
    assert line.pm.power == pytest.approx(-1.0 - 4.0 - 3 * 0.3 - 1.2, abs=0.01)
    line.voa.attenuation = 20.0
    line.pass_time(0.1)
    assert line.pm.power == pytest.approx(-27.1, abs=0.01)
    line.voa.blocked = True
    line.pass_time(0.1)
    with pytest.raises(hal.NoDataError, match="no level in dBm"):
        _ = line.pm.power


def test_a_power_meter_at_the_port_of_the_pulses_tells_their_mean_photon_number(line: Line) -> None:
    line.stand_by()
    line.bench.unjoin("alice")
    line.bench.join("alice.quantum", "pm.in", 0.0)
    line.pass_time(0.1)
    model = line.bench.devices["pm"].model
    assert isinstance(model, PowerMeterModel)
    model.dark_w = 0.0  # some ten pW are less than what this sensor tells in the dark
    photons_per_s = model.lit_w / 1.28e-19
    of = line.alice
    decoy, vacuum = of.decoy_probability, of.vacuum_probability
    mean = of.signal_mean_photon_number * (1 - decoy - vacuum)
    mean += of.decoy_mean_photon_number * decoy + of.vacuum_mean_photon_number * vacuum
    assert photons_per_s == pytest.approx(mean * 1e9, rel=0.01)
    assert line.pm.power == pytest.approx(10 * math.log10(model.lit_w * 1e3), abs=0.01)


def test_an_amplifier_makes_classical_light_stronger_and_takes_the_pulses(line: Line) -> None:
    box = line.bench.device("amp", "fiberlabs.amplifier")
    line.stand_by()
    line.bench.unjoin("bob")
    line.bench.join("voa.out", "amp.in")
    line.bench.join("amp.out", "pm.in")
    with hal.OpticalAmplifier.open("fiberlabs.amplifier", timeout=10, **box.resources) as amplifier:
        line.pass_time(0.1)
        entered = amplifier.input_power
        assert entered == pytest.approx(-1.0 - 4.0 - 3 * 0.3 - 1.2, abs=0.01)
        amplifier.target_power = 12.0
        amplifier.enabled = True
        line.pass_time(0.2)
        assert line.bench.trace("alice").reason == "amp lets no quantum light through at amp.in"
        assert line.bench.trace("alice", "clock").end == "pm.in"
        line.pm.auto_range = True
        with pytest.raises(hal.NoDataError):  # 16 mW are beyond what this sensor takes
            _ = line.pm.power
        amplifier.target_power = 5.0
        line.pass_time(0.2)
        assert line.pm.power == pytest.approx(5.0 - 0.3, abs=0.01)
        line.voa.attenuation = 3.0  # the amplifier makes up for it
        line.pass_time(0.2)
        assert line.pm.power == pytest.approx(5.0 - 0.3, abs=0.01)
        amplifier.apply_safe_state()
        line.pass_time(0.2)
        with pytest.raises(hal.NoDataError):
            _ = line.pm.power


def test_a_polarization_controller_passes_light_and_costs_its_loss(line: Line) -> None:
    before = line.bench.path("alice", "bob")
    box = line.bench.device("mpc", "thorlabs.mpc")
    line.bench.unjoin("bob")
    line.bench.join("voa.out", "mpc.in")
    line.bench.join("mpc.out", "bob")
    with hal.PolarizationController.open("thorlabs.mpc", timeout=10, **box.resources) as controller:
        assert len(controller.retarders) == 3
    after = line.bench.path("alice", "bob")
    assert before is not None
    assert after is not None
    assert after.loss_db == pytest.approx(before.loss_db + 0.3 + 0.3)


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
driver = "keysight.attenuator"
control = "visa:TCPIP::127.0.0.1::{keys[2]}::SOCKET"
emulator = {{ blocked = true }}
[devices.pm]
driver = "thorlabs.pm100"
control = "visa:TCPIP::127.0.0.1::{keys[3]}::SOCKET"
[bench]
fibres = {{ A = {{ length_km = 20, loss_db = 4.0 }} }}
joins = [["alice", "A.a"], ["A.b", "voa.in"], ["voa.out", "{end}"]]
"""


def station(tmp_path: Path, end: str = "bob") -> hal.Station:
    file = tmp_path / "lab.toml"
    text = STATION.format(folder=tmp_path, keys=[free_port() for _ in range(4)], end=end)
    file.write_text(text, encoding="utf-8")
    return hal.Station.from_file(file)


def test_a_station_file_puts_an_attenuator_into_the_light_path(tmp_path: Path) -> None:
    site = station(tmp_path)
    with bench_from_station(site) as bench:
        with site:
            voa = site.device("voa", hal.VariableAttenuator)
            assert bench.trace("alice").reason == BLOCKED
            voa.blocked = False
            before = bench.path("alice", "bob")
            voa.attenuation = 6.5
            after = bench.path("alice", "bob")
            assert site.device("pm", hal.PowerMeter).identity().model == "PM100D"
        assert before is not None
        assert after is not None
        assert after.loss_db == pytest.approx(before.loss_db + 6.5)
        assert after.marks == before.marks
        assert bench.trace("alice").reason == BLOCKED  # the safe state of its role, which a station brings about


def test_a_port_that_it_does_not_have_is_a_mistake_in_the_file(tmp_path: Path) -> None:
    with station(tmp_path, "pm.out") as site, pytest.raises(hal.ConfigurationError) as error:
        bench_from_station(site)
    assert "bench.joins, number 3: there is no port 'pm.out'" in str(error.value)
    assert "pm has pm.in" in str(error.value)
