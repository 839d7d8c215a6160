"""A link from parts on the bench: laser, attenuator, fibre, detectors, tagger, against closed formulas."""

from __future__ import annotations

import math
from contextlib import ExitStack
from typing import TYPE_CHECKING

import numpy as np
import pytest

import tokaido.hal as hal
from tokaido.emulators import Bench, SteppedClock, bench_from_station
from tokaido.emulators.bench import Beam
from tokaido.emulators.idquantique import DetectorModel
from tokaido.emulators.sfifteen import TaggerModel

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PHOTON_J = 1.2816e-19
"""A photon of 1550 nm."""
RATE_HZ = 1e6
EFFICIENCY = 0.2
DARK_RATE = 300.0
DEAD_TIME_S = 40e-6
LASER_W = 1e-10
VOA_DB = 1.2
JOINS_DB = 3 * 0.3
FIBRE_DB = 4.0
FIBRE_PS = round(20 * 1.468 / 299_792.458 * 1e12)


class Table:
    """A laser, the attenuator, a fibre, a detector, and a tagger on its clicks: all on their wires, in virtual time."""

    def __init__(self, stack: ExitStack, *, pulse_rate_hz: float) -> None:
        self.clock = clock = SteppedClock()
        self.bench = bench = stack.enter_context(Bench(clock=clock, seed=7, speed=1.0))
        self.laser = bench.laser("laser", power_dbm=-70.0, pulse_rate_hz=pulse_rate_hz)
        voa = bench.device("voa", "keysight.attenuator")
        spd = bench.device(
            "spd", "idquantique.detector", efficiency=EFFICIENCY, dark_count_rate=DARK_RATE, afterpulse_probability=0.0
        )
        tdc = bench.device("tdc", "sfifteen.tagger")
        bench.fibre("A", length_km=20, loss_db=FIBRE_DB)
        for one, other in (("laser.out", "voa.in"), ("voa.out", "A.a"), ("A.b", "spd.in")):
            bench.join(one, other)
        bench.cable("spd", "tdc", channel=1)
        bench.cable("laser", "tdc", channel=4)
        bench.start()
        opened = stack.enter_context
        self.voa = opened(hal.VariableAttenuator.open("keysight.attenuator", clock=clock, **voa.resources))
        self.spd = opened(hal.SinglePhotonDetector.open("idquantique.detector", clock=clock, **spd.resources))
        self.tdc = opened(hal.TimeTagger.open("sfifteen.tagger", clock=clock, **tdc.resources))

    def attenuate(self, attenuation_db: float) -> float:
        """Set the attenuator, and return the photons per second that come to the detector by the losses known."""
        self.voa.attenuation = attenuation_db
        self.clock.wait(0.2)
        return LASER_W / PHOTON_J * 10 ** (-(attenuation_db + VOA_DB + JOINS_DB + FIBRE_DB) / 10)


@pytest.fixture
def pulsed() -> Iterator[Table]:
    with ExitStack() as stack:
        yield Table(stack, pulse_rate_hz=RATE_HZ)


@pytest.fixture
def steady() -> Iterator[Table]:
    with ExitStack() as stack:
        yield Table(stack, pulse_rate_hz=0.0)


@pytest.mark.parametrize("attenuation", [25.0, 40.0])
def test_pulses_click_as_the_formula_says(pulsed: Table, attenuation: float) -> None:
    mu = pulsed.attenuate(attenuation) / RATE_HZ
    click = 1 - math.exp(-(EFFICIENCY * mu + DARK_RATE / RATE_HZ))
    rate = RATE_HZ * click / (1 + click * (DEAD_TIME_S * RATE_HZ - 1))
    assert pulsed.tdc.count(2.0)[0] == pytest.approx(2 * rate, abs=5 * math.sqrt(2 * rate))
    assert pulsed.spd.count_rate == pytest.approx(rate, abs=5 * math.sqrt(rate))


@pytest.mark.parametrize("attenuation", [25.0, 40.0])
def test_steady_light_clicks_as_the_formula_says(steady: Table, attenuation: float) -> None:
    wished = EFFICIENCY * steady.attenuate(attenuation) + DARK_RATE
    rate = wished / (1 + wished * DEAD_TIME_S)
    assert steady.tdc.count(2.0)[0] == pytest.approx(2 * rate, abs=5 * math.sqrt(2 * rate))
    assert steady.spd.count_rate == pytest.approx(rate, abs=5 * math.sqrt(rate))


def test_a_click_comes_as_late_as_light_through_the_fibre(pulsed: Table) -> None:
    pulsed.attenuate(35.0)
    tags = pulsed.tdc.tags(0.1)
    assert not tags.overflowed
    assert tags.rate(4) == pytest.approx(RATE_HZ, rel=1e-4)
    late_ps = FIBRE_PS % 1_000_000
    delays = tags.histogram(4, 1, bin_width_ps=10_000, bins=100)
    assert int(np.argmax(delays)) == late_ps // 10_000
    assert delays.max() > 0.9 * delays.sum() > 500
    assert tags.coincidences(1, 4, window_ps=20_000, delay_ps=-late_ps) > 0.9 * delays.sum()
    assert tags.coincidences(1, 4, window_ps=20_000, delay_ps=500_000 - late_ps) < 0.1 * delays.sum()


def test_light_that_is_blocked_cut_or_off_leaves_dark_counts(pulsed: Table) -> None:
    def counted() -> int:
        pulsed.clock.wait(0.2)
        return pulsed.tdc.count(1.0)[0]

    dark = pytest.approx(DARK_RATE, abs=6 * math.sqrt(DARK_RATE))
    pulsed.attenuate(30.0)
    assert counted() > 10 * DARK_RATE
    pulsed.voa.blocked = True
    assert counted() == dark
    pulsed.voa.blocked = False
    pulsed.bench.fibres["A"].add_cut()
    assert counted() == dark
    pulsed.bench.fibres["A"].remove_cut()
    pulsed.laser.emitting = False
    assert counted() == dark
    pulsed.laser.emitting = True
    assert counted() > 10 * DARK_RATE
    pulsed.spd.enabled = False
    assert counted() == 0


def test_two_detectors_coincide_by_chance_alone() -> None:
    clock, seconds = SteppedClock(), 3.0
    with Bench(clock=clock, seed=3, speed=1.0) as bench:
        tdc = bench.device("tdc", "sfifteen.tagger", jitter_ps=0.0)
        for number in (1, 2):
            spd, laser = f"spd{number}", f"laser{number}"
            bench.laser(laser, power_dbm=-91.0, pulse_rate_hz=RATE_HZ)
            bench.device(
                spd, "idquantique.detector", serial_number=spd, dark_count_rate=0.0, afterpulse_probability=0.0
            )
            bench.join(f"{laser}.out", f"{spd}.in", 0.0)
            bench.cable(spd, "tdc", channel=number)
        bench.start()
        with hal.TimeTagger.open("sfifteen.tagger", clock=clock, **tdc.resources) as tagger:
            clock.wait(0.1)
            tags = tagger.tags(seconds)
    mu = 10 ** (-9.1) * 1e-3 / PHOTON_J / RATE_HZ
    click = 1 - math.exp(-EFFICIENCY * mu)
    single = click / (1 + click * (DEAD_TIME_S * RATE_HZ - 1))
    singles, both = seconds * RATE_HZ * single, seconds * RATE_HZ * single**2
    for channel in (1, 2):
        assert tags.of(channel).size == pytest.approx(singles, abs=5 * math.sqrt(singles))
    assert tags.coincidences(1, 2, window_ps=10_000) == pytest.approx(both, abs=5 * math.sqrt(both))


def test_a_power_meter_reads_the_laser() -> None:
    clock = SteppedClock()
    with Bench(clock=clock, seed=3, speed=1.0) as bench:
        laser = bench.laser("laser", power_dbm=-20.0)
        pm = bench.device("pm", "thorlabs.pm100")
        bench.join("laser.out", "pm.in", 0.5)
        bench.start()
        with hal.PowerMeter.open("thorlabs.pm100", clock=clock, **pm.resources) as meter:
            for power_dbm in (-20.0, -30.0):
                laser.power_dbm = power_dbm
                clock.wait(0.2)
                assert meter.power == pytest.approx(power_dbm - 0.5, abs=0.05)


def test_a_cable_that_leads_nowhere_is_refused() -> None:
    with Bench(seed=3) as bench:
        bench.laser("laser", power_dbm=-20.0, pulse_rate_hz=1e6)
        for name, driver in (
            ("voa", "keysight.attenuator"),
            ("spd", "idquantique.detector"),
            ("twin", "idquantique.detector"),
            ("tdc", "sfifteen.tagger"),
        ):
            bench.device(name, driver)
        for source, to, channel, said in (
            ("spd", "voa", 1, "voa has no inputs"),
            ("voa", "tdc", 1, "voa gives no electrical pulses"),
            ("bob", "tdc", 1, "there is no device 'bob' on its wires"),
            ("spd", "tdc", 5, "channel 5"),
        ):
            with pytest.raises(hal.ConfigurationError, match=said):
                bench.cable(source, to, channel=channel)
        bench.cable("spd", "tdc", channel=1)
        with pytest.raises(hal.ConfigurationError, match="channel 1 is taken"):
            bench.cable("laser", "tdc", channel=1)
        with pytest.raises(hal.ConfigurationError, match="twin and spd both have the serial number 2000001"):
            bench.cable("twin", "tdc", channel=2)


@pytest.mark.parametrize(("power_dbm", "pulse_rate_hz"), [(40.0, 0.0), (0.0, -1.0), (0.0, 1e11)])
def test_a_laser_out_of_range_is_refused(power_dbm: float, pulse_rate_hz: float) -> None:
    with Bench(seed=3) as bench, pytest.raises(hal.ConfigurationError, match="laser: a laser has"):
        bench.laser("laser", power_dbm=power_dbm, pulse_rate_hz=pulse_rate_hz)


def test_light_does_not_enter_a_laser() -> None:
    with Bench(seed=3) as bench:
        for name in ("one", "other"):
            bench.laser(name, power_dbm=0.0)
        bench.join("one.out", "other.out")
        path = bench.trace("one.out")
        assert not path.arrives
        assert path.reason == "other is a laser"


def test_light_of_two_pulse_rates_counts_as_steady() -> None:
    model = DetectorModel(seed=1, afterpulse_probability=0.0, dark_count_rate=0.0)
    model.note_beams({"in": (Beam(PHOTON_J * 1e4, 1e6), Beam(PHOTON_J * 1e4, 2e6))})
    model.take_pulses(wanted=True)
    model.advance(10_000_000_000)
    expected = 10 * 4000 / (1 + 4000 * DEAD_TIME_S)
    assert model.take_pulses(wanted=True).size == pytest.approx(expected, abs=5 * math.sqrt(expected))


def test_a_tagger_that_is_not_asked_keeps_nothing_of_a_detector() -> None:
    tagger, detector = TaggerModel(), DetectorModel(seed=1)
    tagger.plug_in(1, lambda wanted: detector.take_pulses(wanted=wanted))
    tagger.receive("control", b"time 100;counts?\n")
    for second in (1, 2, 3):
        detector.advance(second * 1_000_000_000)
        tagger.advance(second * 1_000_000_000)
    assert detector.take_pulses(wanted=False).size == 0


STATION = """
[devices.spd]
driver = "idquantique.detector"
control = "serial:{folder}/spd"
[devices.spd.emulator]
efficiency = 0.2
dark_count_rate = 0.0
afterpulse_probability = 0.0
[devices.tdc]
driver = "sfifteen.tagger"
control = "serial:{folder}/tdc"
[bench]
seed = 4
lasers = {{ laser = {{ power_dbm = -100.0, pulse_rate_hz = 1e6 }} }}
joins = [["laser.out", "spd.in", 0.0]]
cables = [["spd", "tdc", 1], ["laser", "tdc", {channel}]]
"""


def station(folder: Path, channel: object = 2) -> hal.Station:
    file = folder / "lab.toml"
    file.write_text(STATION.format(folder=folder, channel=channel), encoding="utf-8")
    return hal.Station.from_file(file)


def test_a_station_file_describes_laser_and_cables(tmp_path: Path) -> None:
    clock = SteppedClock()
    with bench_from_station(station(tmp_path), at_resources=False, clock=clock) as bench:
        bench.start()
        resources = bench.devices["tdc"].resources
        with hal.TimeTagger.open("sfifteen.tagger", clock=clock, **resources) as tagger:
            clock.wait(0.2)
            counts = tagger.count(2.0)
    click = 1 - math.exp(-0.2 * 1e-13 / PHOTON_J / RATE_HZ)
    expected = 2 * RATE_HZ * click / (1 + 39 * click)
    assert counts[0] == pytest.approx(expected, abs=5 * math.sqrt(expected))
    assert counts[1] == pytest.approx(2 * RATE_HZ, abs=1)


@pytest.mark.parametrize(
    ("channel", "said"),
    [
        ('"two"', r"bench\.cables, number 2: must be such as"),
        (5, r"bench\.cables, number 2: channel 5 is taken, or not"),
    ],
)
def test_a_cable_that_leads_nowhere_is_a_mistake_in_the_file(tmp_path: Path, channel: object, said: str) -> None:
    with pytest.raises(hal.ConfigurationError, match=said):
        bench_from_station(station(tmp_path, channel), at_resources=False)
