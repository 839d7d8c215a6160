"""Orders in words: now, at their time, and out of a station file."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator
from pathlib import Path

import pytest

import tokaido.hal as hal
from tokaido.emulators import Bench, bench_from_station
from tokaido.emulators.optics import InterceptResend, TimeShift

MS = 1_000_000


@pytest.fixture
def bench() -> Iterator[Bench]:
    """A switch and a fibre; time passes by hand."""
    with Bench(seed=1) as bench:
        bench.device("west", "dicon.selector")
        bench.fibre("A", length_km=10, loss_db=2)
        yield bench


def test_each_order_does_what_it_says_and_mend_undoes_it(bench: Bench) -> None:
    fibre, west = bench.fibres["A"], bench.devices["west"]
    eavesdroppers: list[object] = []
    bench.order("cut", "A")
    bench.order("bend", "A", "3")
    bench.order("light", "A", "1e-4", "bright=true")
    bench.order("misalign", "A", "0.01")
    bench.order("attack", "A", "intercept_resend", "fraction=0.2", "basis=x")
    assert (fibre.broken, fibre.bend_loss_db, fibre.background, fibre.bright, fibre.misalignment) == (
        True,
        3.0,
        1e-4,
        True,
        0.01,
    )
    eavesdroppers.append(fibre.eavesdropper)
    bench.order("attack", "A", "time_shift", "efficiencies=0.5/1", "alternating=true")
    eavesdroppers.append(fibre.eavesdropper)
    assert eavesdroppers == [
        InterceptResend(fraction=0.2, basis="x"),
        TimeShift(efficiencies=(0.5, 1.0), alternating=True),
    ]
    bench.order("mend", "A")
    assert (fibre.broken, fibre.loss_db, fibre.background, fibre.bright, fibre.misalignment, fibre.eavesdropper) == (
        False,
        2.0,
        0.0,
        False,
        0.0,
        None,
    )
    bench.order("fault", "west", "hang", "seconds=inf", "direction=to_unit", "count=1")
    bench.order("fault", "west", "drop", "probability=0.5", "match=I1")
    bench.order("fault", "west", "stuck")
    assert len(west.faults) == 2
    (hang,) = west.faults.strike("control", "to_unit", b"ID?\r")
    assert (hang.kind, hang.seconds, hang.count) == ("hang", math.inf, 1)
    bench.order("mend", "west", "drop")
    bench.order("mend", "west", "stuck")
    assert west.faults.strike("control", "from_unit", b"I1?\r") == []
    bench.order("unplug", "west")
    bench.order("replug", "west")
    with hal.OpticalSwitch.open("dicon.selector", **west.resources) as switch:
        switch.connect(1, 2)  # which a stuck one refuses


def test_a_unit_without_mains_is_off_and_gone_and_warms_up_when_it_is_back() -> None:
    with Bench(seed=1) as bench:
        alice = bench.device("alice", "toshiba.transmitter", warm=True)
        with hal.Transmitter.open("toshiba.transmitter", timeout=1, **alice.resources) as unit:
            warm = unit.laser_temperature
            bench.order("darken", "alice")
            with pytest.raises(hal.TransportError):
                unit.state()
        bench.step(600_000 * MS)
        bench.order("power", "alice")
        with hal.Transmitter.open("toshiba.transmitter", timeout=10, **alice.resources) as unit:
            assert unit.state() is hal.UnitState.OFF
            assert abs(unit.laser_temperature - warm) > 1
            unit.power_on()
            bench.step(20_000 * MS)
            assert unit.state() is hal.UnitState.WARMUP


WRONG = {
    "": "is not an order; orders are: cut FIBRE",
    "explode A": "is not an order",
    "cut B": "there is no fibre 'B'; there are: A",
    "cut west": "there is no fibre 'west'",
    "bend A -1": "a loss in dB is 0 to 100, not -1",
    "bend A nan": "nan",
    "light A 0.1 bright=yes": "bright: 'yes' is not true or false",
    "attack A nobody": "Choose one of: intercept_resend",
    "attack A intercept_resend": "fraction",
    "attack A intercept_resend fraction=2": "fraction",
    "attack A trojan_horse fraction=1": "'fraction=1' is not an option here; options are: none",
    "fault west laser_seeding": "west has no fault 'laser_seeding'. Choose one of: stuck",
    "fault west stuck count=1": "is not a fault of a wire, and takes no options",
    "fault west drop count=1_0": "count",
    "fault A drop": "there is no device 'A'",
    "mend nobody": "there is no device or fibre 'nobody'; there are: west, A",
}


@pytest.mark.parametrize(("words", "told"), WRONG.items())
def test_a_wrong_order_says_why_and_does_nothing(bench: Bench, words: str, told: str) -> None:
    with pytest.raises(hal.ConfigurationError) as caught:
        bench.order(*words.split())
    assert told in str(caught.value)
    assert bench.fibres["A"].loss_db == 2
    assert len(bench.devices["west"].faults) == 0


@pytest.mark.parametrize("step_ms", [1, 7, 100])
def test_an_order_comes_at_its_time_however_time_is_stepped(bench: Bench, step_ms: int) -> None:
    told: list[tuple[float, str]] = []
    bench.on_order = lambda at_s, order: told.append((at_s, order))
    bench.at(0.0305, "mend", "A")
    bench.at(0.0105, "cut", "A")
    bench.at(0.0105, "bend", "A", "1")
    while bench.emulated_s < 0.1:
        bench.step(step_ms * MS)
    assert told == [(0.0105, "cut A"), (0.0105, "bend A 1"), (0.0305, "mend A")]


def test_an_order_that_fails_at_its_time_is_told_and_time_goes_on(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    bench.at(0.001, "cut", "B")
    bench.at(0.002, "cut", "A")
    with caplog.at_level(logging.INFO, "tokaido.emulators.bench"):
        bench.step(5 * MS)
    assert "0.001 s: cut B: there is no fibre 'B'" in caplog.text
    assert bench.fibres["A"].broken


def test_no_order_is_taken_for_the_past(bench: Bench) -> None:
    bench.step(5 * MS)
    with pytest.raises(hal.ConfigurationError, match=r"0\.001 s have passed"):
        bench.at(0.001, "cut", "A")


STATION = """
[devices.west]
driver = "dicon.selector"
control = "serial:{folder}/west"
[bench.fibres.A]
length_km = 10
loss_db = 2
"""


def station(folder: Path, events: str) -> hal.Station:
    path = folder / "station.toml"
    path.write_text(STATION.format(folder=folder) + events, encoding="utf-8")
    return hal.Station.from_file(path)


def test_a_station_file_has_orders_at_their_time(tmp_path: Path) -> None:
    events = """
[[bench.events]]
at_s = 1
cut = "A"
[[bench.events]]
at_s = 2
mend = "A"
[[bench.events]]
at_s = 2
attack = "A"
kind = "time_shift"
efficiencies = [0.5, 1]
[[bench.events]]
at_s = 3.5
fault = "west"
kind = "drop"
direction = "to_unit"
probability = 0.5
[[bench.events]]
at_s = 4
light = "A"
chance = 1e-4
bright = true
"""
    told: list[tuple[float, str]] = []
    with bench_from_station(station(tmp_path, events)) as bench:
        bench.on_order = lambda at_s, order: told.append((at_s, order))
        bench.step(5000 * MS)
        assert bench.fibres["A"].eavesdropper == TimeShift(efficiencies=(0.5, 1.0))
    assert told == [
        (1.0, "cut A"),
        (2.0, "mend A"),
        (2.0, "attack A time_shift efficiencies=0.5/1"),
        (3.5, "fault west drop direction=to_unit probability=0.5"),
        (4.0, "light A 0.0001 bright=true"),
    ]


def test_every_mistake_in_the_events_is_told_at_once(tmp_path: Path) -> None:
    events = """
[[bench.events]]
cut = "A"
[[bench.events]]
at_s = 1
cut = "A"
mend = "A"
[[bench.events]]
at_s = 1
cut = "B"
[[bench.events]]
at_s = 1
bend = "A"
[[bench.events]]
at_s = 1
fault = "west"
kind = "laser_seeding"
[[bench.events]]
at_s = 1
attack = "A"
kind = "intercept_resend"
fraction = 7
"""
    with pytest.raises(hal.ConfigurationError) as caught:
        bench_from_station(station(tmp_path, events))
    for number, told in enumerate(
        [
            "at_s must be",
            "does one thing",
            "no fibre 'B'",
            "bend needs loss_db",
            "no fault 'laser_seeding'",
            "fraction",
        ],
        1,
    ):
        assert any(
            mistake.startswith(f"bench.events, number {number}: ") and told in mistake
            for mistake in caught.value.mistakes
        ), caught.value.mistakes
