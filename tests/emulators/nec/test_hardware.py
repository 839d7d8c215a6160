"""The hardware behind the panel: lasers, cryostat, interferometer, detectors, sub-channels (page, sections 3 and 4)."""

from __future__ import annotations

import math

import pytest

from tokaido.emulators.nec import ReceiverModel, TransmitterModel
from tokaido.emulators.nec._cryostat import COOL_DOWN_S, Cryostat
from tokaido.emulators.optics import preset
from tokaido_testing.sealed import Instrument

Kind = type[TransmitterModel] | type[ReceiverModel]


def in_state(kind: Kind, state: str, **options: object) -> Instrument:
    model = kind(**options)  # type: ignore[arg-type]
    model.prepare(state)
    return Instrument(model)


def receiver(instrument: Instrument) -> ReceiverModel:
    assert isinstance(instrument.model, ReceiverModel)
    return instrument.model


# --- warming up -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("model", "typical_s", "within_s"),
    [
        (TransmitterModel(), 30, 3),
        (ReceiverModel(detectors="avalanche"), 60, 5),
        (ReceiverModel(), 18, 4),  # the interferometer; nanowires are cold
    ],
)
def test_what_is_powered_on_comes_up_by_itself(
    model: TransmitterModel | ReceiverModel, typical_s: float, within_s: float
) -> None:
    instrument = Instrument(model)
    instrument.data("UNIT:POW ON")
    instrument.pass_time(1.9)
    assert instrument.state() == "SELFTEST"
    instrument.pass_time(0.2)
    assert instrument.state() == "WARMUP"
    seconds = 0.1
    while instrument.state() == "WARMUP":
        instrument.pass_time(0.5)
        seconds += 0.5
    assert instrument.state() == "AUTH"
    assert seconds == pytest.approx(typical_s, abs=within_s)
    assert instrument.active() == set()


def test_a_cryostat_takes_6_h_from_room_temperature() -> None:
    cryostat = Cryostat()
    assert abs(cryostat.deviation) <= cryostat.settled_within
    cryostat.temperature = cryostat.ambient
    cryostat.advance(COOL_DOWN_S - 60, regulated=False)
    assert cryostat.deviation > 1
    cryostat.advance(60, regulated=False)
    assert abs(cryostat.deviation) == pytest.approx(0.1, abs=1e-6)
    assert COOL_DOWN_S == 6 * 3600


def test_how_the_time_of_a_cryostat_is_cut_makes_no_difference() -> None:
    coarse, fine = Cryostat(), Cryostat()
    for cryostat in (coarse, fine):
        cryostat.temperature = 6.0
    coarse.advance(300, regulated=True)
    for _ in range(3000):
        fine.advance(0.1, regulated=False)
    assert fine.temperature == pytest.approx(coarse.temperature, abs=1e-9)
    assert 2.2 < fine.temperature < 2.3


def test_nanowires_stay_cold_through_power_off_and_photodiodes_do_not() -> None:
    wires, diodes = in_state(ReceiverModel, "STANDBY"), in_state(ReceiverModel, "STANDBY", detectors="avalanche")
    for instrument in (wires, diodes):
        instrument.data("UNIT:POW OFF")
        instrument.pass_time(600)
    assert float(wires.data("DET1:TEMP?")) == pytest.approx(2.2, abs=0.05)
    assert float(diodes.data("DET1:TEMP?")) > 20
    assert float(wires.data("FETC:TEMP:INT?")) < 24


def test_a_warm_cryostat_is_waited_for_in_warmup_and_its_alarm_comes_after_12_h() -> None:
    model = ReceiverModel()
    instrument = Instrument(model)
    model.add_fault("detector_warmup_failure")
    instrument.data("UNIT:POW ON")
    instrument.pass_time(60)
    assert instrument.data("UNIT:STAT?") == "WARMUP,NONE"
    assert float(instrument.data("DET7:TEMP?")) > 3
    assert model.WARMUP_LIMIT_S == 12 * 3600
    model._since_ns = model.now_ns - (12 * 3600 - 1) * 10**9
    assert instrument.active() == set()
    instrument.pass_time(2)
    assert instrument.active() == {"DET_TEMP"}
    assert instrument.state() == "FAULT"


def test_detector_temperature_alarms_come_beyond_the_limits_of_the_page() -> None:
    for detectors, limit in (("nanowire", 0.3), ("avalanche", 2.0)):
        instrument = in_state(ReceiverModel, "STANDBY", detectors=detectors)
        body = receiver(instrument).detectors[0]
        body.temperature = body.set_point + 0.95 * limit
        instrument.pass_time(0.05)
        assert instrument.active() == set()
        body.temperature = body.set_point + 1.1 * limit
        instrument.pass_time(0.05)
        assert instrument.active() == {"DET_TEMP"}


# --- lasers ---------------------------------------------------------------------------------------------------------


def test_only_the_lasers_of_sub_channels_that_are_on_emit_and_the_monitor_sees_their_sum() -> None:
    tx = in_state(TransmitterModel, "STANDBY")
    powers = [tx.ask(f"CHAN{c}:POW?") for c in range(1, 9)]
    assert [reply.code for reply in powers] == [0, 0] + [-230] * 6
    milliwatts = sum(10 ** (float(reply.data or "nan") / 10) for reply in powers[:2])
    assert float(tx.data("FETC:POW?")) == pytest.approx(10 * math.log10(milliwatts), abs=0.02)
    assert [tx.data(f"CHAN{c}:CURR?") == "0.00" for c in (2, 3)] == [False, True]
    before = float(tx.data("FETC:POW:ATT?"))
    tx.data("CHAN2:STAT OFF")
    assert float(tx.data("FETC:POW:ATT?")) == pytest.approx(before - 3.01, abs=0.25)
    assert tx.ask("CHAN2:POW?").code == -230
    tx.data("CHAN1:STAT OFF")
    assert [tx.ask(f"FETC:POW{what}?").code for what in ("", ":ATT")] == [-230, -230]
    assert tx.data("SOUR:EMIS?") == "1"
    tx.pass_time(1)
    assert tx.active() == set()


def test_the_mean_power_behind_the_attenuator_is_that_of_the_photon_numbers() -> None:
    tx = in_state(TransmitterModel, "STANDBY", sub_channels=1)
    mean = 0.5 * 0.5 + 0.4 * 0.2 + 0.1 * 0.001
    expected = 10 * math.log10(mean * 1.2816e-19 * 1.25e9 * 1e3)
    assert float(tx.data("FETC:POW:ATT?")) == pytest.approx(expected, abs=0.15)


def test_one_weak_laser_among_eight_is_noticed() -> None:
    tx = in_state(TransmitterModel, "AUTH")
    for c in range(1, 9):
        tx.data(f"CHAN{c}:STAT ON")
    tx.data("CHAN1:STAT OFF")
    tx.model.prepare("RUN")  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]
    tx.pass_time(1)
    assert tx.active() == set()
    tx.model.add_fault("laser_power_loss")
    assert float(tx.data("CHAN2:POW?")) < -11
    assert float(tx.data("FETC:POW?")) > 6
    tx.pass_time(0.1)
    assert tx.active() == {"LASER_POWER"}


# --- alignment and the interferometer -------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [TransmitterModel, ReceiverModel])
def test_an_alignment_goes_through_its_steps_in_30_s(kind: Kind) -> None:
    instrument = in_state(kind, "ALIGN")
    seen: list[str] = []
    seconds = 0.0
    while (state := instrument.data("UNIT:STAT?")) != "STANDBY,NONE":
        seen += [state] if state not in seen else []
        instrument.pass_time(0.5)
        seconds += 0.5
    assert seen == [f"ALIGN,{step}" for step in ("BIAS", "SYNC", "DELAY", "PHASE")]
    assert seconds == pytest.approx(30, abs=1)


def test_the_phase_waits_for_the_temperature_of_the_interferometer() -> None:
    rx = in_state(ReceiverModel, "STANDBY")
    rx.data("SENS:INT:TEMP 40")
    rx.pass_time(60)
    assert float(rx.data("FETC:TEMP:INT?")) == pytest.approx(40, abs=0.05)
    rx.data("CAL:STAR")
    rx.pass_time(31)
    assert rx.data("UNIT:STAT?") == "REALIGN,PHASE"
    rx.pass_time(15)
    assert rx.state() == "STANDBY"
    set_point = float(rx.data("SENS:INT:TEMP?"))
    assert set_point == pytest.approx(30, abs=0.1)
    assert float(rx.data("FETC:TEMP:INT?")) == pytest.approx(set_point, abs=0.03)
    assert abs(receiver(rx).phase_offset_rad) < 0.02


def test_the_phase_moves_by_3_4_rad_a_degree_and_the_visibility_follows() -> None:
    rx = in_state(ReceiverModel, "STANDBY")
    rx.pass_time(20)
    phase, visibility = float(rx.data("FETC:PHAS?")), float(rx.data("FETC:VIS?"))
    found = float(rx.data("SENS:INT:TEMP?"))
    rx.data(f"SENS:INT:TEMP {found + 0.2:.3f}")
    assert float(rx.data("FETC:PHAS?")) == pytest.approx(phase, abs=0.03)  # it takes its time
    rx.pass_time(30)
    assert receiver(rx).phase_offset_rad == pytest.approx(0.68, abs=0.002)
    assert float(rx.data("FETC:PHAS?")) == pytest.approx(phase + 0.68, abs=0.03)
    assert float(rx.data("FETC:VIS?")) == pytest.approx(visibility * math.cos(phase + 0.68), abs=0.02)
    rx.data(f"SENS:INT:TEMP {found + 1.0:.3f}")
    rx.pass_time(40)
    assert -math.pi <= float(rx.data("FETC:PHAS?")) <= math.pi
    rx.data("CAL:STAR")
    rx.pass_time(45)
    assert abs(float(rx.data("FETC:PHAS?"))) < 0.1
    assert float(rx.data("FETC:VIS?")) > 0.97


def test_a_set_point_is_rounded_to_a_thousandth() -> None:
    rx = in_state(ReceiverModel, "STANDBY")
    assert rx.data("SENS:INT:TEMP 30.12345;:SENS:INT:TEMP?") == "30.123"


def test_an_alignment_finds_another_set_point_each_time_and_a_seed_decides_which() -> None:
    def found(seed: int) -> list[str]:
        rx = in_state(ReceiverModel, "STANDBY", seed=seed)
        points = []
        for _ in range(3):
            points.append(rx.data("SENS:INT:TEMP?"))
            rx.data("CAL:STAR")
            rx.pass_time(45)
        return points

    assert len(set(found(1))) == 3
    assert found(1) == found(1) != found(2)


def test_how_time_is_cut_makes_no_difference() -> None:
    answers = []
    for step in (0.05, 0.35, 7.0):
        rx = in_state(ReceiverModel, "REALIGN")
        for _ in range(round(70 / step)):
            rx.pass_time(step)
        answers.append(rx.data("FETC:ALL?"))
    assert answers[0] == answers[1] == answers[2]


# --- detectors ------------------------------------------------------------------------------------------------------


def efficiencies(instrument: Instrument, biases: list[float]) -> list[float]:
    return [float(instrument.data(f"DET1:BIAS {bias};:DET1:EFF?")) for bias in biases]


def test_a_nanowire_rises_saturates_and_latches() -> None:
    rx = in_state(ReceiverModel, "STANDBY")
    assert float(rx.data("DET1:BIAS?;EFF?").split(";")[1]) == pytest.approx(0.5, abs=0.002)
    rising = efficiencies(rx, [0, 8, 11, 13, 15, 18])
    assert rising == sorted(rising)
    assert rising[0] == 0
    assert rising[3] == pytest.approx(0.25, abs=0.01)
    assert efficiencies(rx, [21.9])[0] == pytest.approx(rising[-1], rel=0.03)
    assert efficiencies(rx, [22.1, 40]) == [0, 0]
    assert rx.data("DET1:COUN?") == "0"


def test_a_photodiode_counts_above_breakdown_only() -> None:
    rx = in_state(ReceiverModel, "STANDBY", detectors="avalanche")
    assert rx.data("DET1:BIAS?") == "62"
    below, least, working, more = efficiencies(rx, [54, 55, 62, 65])
    assert below == 0
    assert 0 < least < working < more
    assert working == pytest.approx(0.15, abs=0.002)


@pytest.mark.parametrize(("detectors", "name"), [("nanowire", "nec-sspd"), ("avalanche", "nec-apd")])
def test_detectors_are_those_of_their_preset(detectors: str, name: str) -> None:
    rx = in_state(ReceiverModel, "STANDBY", detectors=detectors)
    optics = preset(name, channel_loss_db=0.0)
    model = receiver(rx)
    assert (name, optics.detector_efficiency) == (model.OPTICS, model.WORKING_EFFICIENCY)
    assert optics.dark_count_probability * optics.clock_rate_hz == pytest.approx(receiver(rx).DARK_RATE)
    assert float(rx.data("DET1:DEAD?")) == pytest.approx(optics.dead_time_s * 1e9)
    assert float(rx.data("DET1:DARK?").split(",")[0]) == pytest.approx(receiver(rx).DARK_RATE, rel=0.05)


def test_dark_counts_have_an_age_and_are_unknown_before_the_first_alignment() -> None:
    rx = in_state(ReceiverModel, "AUTH")
    assert rx.ask("DET1:DARK?").code == -230
    rx.model.prepare("ALIGN")  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]
    rx.pass_time(14)
    rate, age = rx.data("DET1:DARK?").split(",")
    assert float(rate) == pytest.approx(100, rel=0.1)
    assert float(age) == pytest.approx(10, abs=0.2)


def test_gates_that_are_moved_by_hand_are_off_those_of_the_alignment() -> None:
    rx = in_state(ReceiverModel, "STANDBY", detectors="avalanche", sub_channels=2)
    assert [receiver(rx).delay_offset_ps(c) for c in (0, 1)] == [0, 0]
    rx.data(f"DET3:DEL {float(rx.data('DET3:DEL?')) + 100:g}")
    assert [receiver(rx).delay_offset_ps(c) for c in (0, 1)] == [0, 50]
    rx.data("CAL:STAR")
    rx.pass_time(32)
    assert receiver(rx).delay_offset_ps(1) == 0


@pytest.mark.parametrize("state", ["OFF", "WARMUP", "AUTH", "STANDBY", "RUN", "FAULT", "SECURITY_HOLD"])
def test_the_safe_state(state: str) -> None:
    tx, rx = in_state(TransmitterModel, state), in_state(ReceiverModel, state)
    for instrument in (tx, rx):
        instrument.data("UNIT:SAFE")
    assert tx.data("SOUR:EMIS?;ATT?") == "0;60"
    assert rx.data("INP:SHUT?") == "CLOSED"
    assert [rx.data(f"DET{i}:BIAS?") for i in (1, 16)] == ["0", "0"]


# --- sub-channels at the receiver -----------------------------------------------------------------------------------


def test_visibility_is_the_mean_over_the_sub_channels_that_are_on() -> None:
    rx = in_state(ReceiverModel, "STANDBY", sub_channels=4)
    seen = [float(rx.data(f"CHAN{c}:VIS?")) for c in (1, 2)]
    assert float(rx.data("FETC:VIS?")) == pytest.approx(sum(seen) / 2, abs=1e-4)
    assert rx.ask("CHAN3:VIS?").code == -230
    assert float(rx.data("CHAN1:COUN?")) == pytest.approx(
        float(rx.data("DET1:COUN?")) + float(rx.data("DET2:COUN?")), abs=2
    )
    rx.data("CHAN1:STAT OFF;:CHAN2:STAT OFF")
    assert rx.ask("FETC:VIS?").code == -230


def test_without_light_there_is_nothing_to_see() -> None:
    rx = in_state(ReceiverModel, "STANDBY")
    rx.model.add_fault("light_lost")
    for question in ("FETC:PHAS?", "FETC:VIS?", "FETC:CLOC:POW?", "FETC:LOSS?", "CHAN1:VIS?"):
        assert rx.ask(question).code == -230
    assert rx.data("SENS:CLOC:LOCK?") == "0"
    assert 0 < float(rx.data("DET1:COUN?")) < 200
