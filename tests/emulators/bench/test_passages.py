"""Devices with optical ports of their own: how light passes them, and what is remembered of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tokaido.emulators import Bench, DeviceModel
from tokaido.emulators.polatis import MatrixSwitchModel
from tokaido.emulators.toshiba import ReceiverModel, TransmitterModel

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tokaido.emulators.bench import Band

STEP_NS = 100_000_000


class Box(DeviceModel):
    """Three ports, and ways between them that a test sets, each for one band."""

    serial_number = "B1"
    optical_ports: Sequence[str] = ("one", "two", "three")

    def __init__(self, **ways: str) -> None:
        self.ways = ways
        self.loss_db = 2.0
        self.lit: dict[str, float] = {}

    def through(self, port: str, band: Band) -> tuple[str, float] | None:
        left = self.ways.get(f"{port}_{band}", self.ways.get(port))
        return None if left is None else (left, self.loss_db)

    def note_light(self, powers_dbm: Mapping[str, float]) -> None:
        self.lit = dict(powers_dbm)

    @property
    def now_ns(self) -> int:
        return 0

    def advance(self, to_ns: int) -> None: ...
    def receive(self, port: str, data: bytes) -> None: ...
    def take(self, port: str) -> bytes:
        return b""

    def add_fault(self, fault: str) -> None: ...


class Dark(Box):
    """No light meets it."""

    optical_ports = ()


def bench_with(box: Box) -> Bench:
    bench = Bench(seed=1, secrets="seeded")
    bench.add("alice", TransmitterModel("TKTX0001", seed=1, secrets="seeded"))
    bench.add("bob", ReceiverModel("TKRX0001", seed=1, secrets="seeded"))
    bench.add("box", box)
    bench.join("alice", "box.one", 0.5)
    bench.join("box.two", "bob", 0.25)
    return bench


def test_light_goes_where_the_model_says_and_pays_what_it_says() -> None:
    box = Box(one="two")
    bench = bench_with(box)
    path = bench.path("alice", "bob")
    assert path is not None
    assert [(hop.element, hop.left, hop.loss_db) for hop in path.hops] == [
        ("join", "box.one", 0.5),
        ("box", "box.two", 2.0),
        ("join", "bob", 0.25),
    ]
    assert path.id == "direct"
    box.ways = {"one": "three"}
    assert bench.trace("alice").reason == "box.three is not joined"
    box.ways = {}
    assert bench.trace("alice").reason == "box lets no quantum light through at box.one"


def test_a_filter_lets_one_band_through() -> None:
    bench = bench_with(Box(one_clock="two"))
    assert bench.trace("alice", "clock").unit == "bob"
    assert bench.trace("alice", "quantum").reason == "box lets no quantum light through at box.one"


def test_a_way_for_one_direction_alone_is_an_isolator() -> None:
    bench = bench_with(Box(one="two"))
    assert bench.trace("bob").reason == "box lets no quantum light through at box.two"


@pytest.mark.parametrize("meanwhile", [{}, {"one": "three"}])
def test_an_interruption_that_was_taken_back_between_two_looks_is_remembered(meanwhile: dict[str, str]) -> None:
    box = Box(one="two")
    bench = bench_with(box)
    before = bench.trace("alice")
    box.ways = meanwhile
    bench.trace("alice")
    box.ways = {"one": "two"}
    after = bench.trace("alice")
    assert after.marks != before.marks
    assert (after.diversions != before.diversions) is bool(meanwhile)  # darkness does not count as another way


def test_another_loss_is_no_interruption() -> None:
    box = Box(one="two")
    bench = bench_with(box)
    before = bench.trace("alice")
    box.loss_db = 9.0
    after = bench.trace("alice")
    assert after.loss_db == before.loss_db + 7.0
    assert (after.marks, after.diversions) == (before.marks, before.diversions)


def test_it_is_told_which_light_enters_and_when_none_does() -> None:
    box = Box(one="two")
    bench = bench_with(box)
    for unit in (bench._transmitters["alice"].model, bench._receivers["bob"].model):
        unit.warm()
    bench.preshared_key("alice", "bob", load=True)
    bench.step(STEP_NS)
    assert box.lit == {}
    for _ in range(50):
        bench.step(STEP_NS)
    assert box.lit == {"one": pytest.approx(-1.5, abs=1e-6)}  # the pulses add some ten pW
    bench.unjoin("alice")
    bench.step(STEP_NS)
    assert box.lit == {}


def test_a_device_without_optical_ports_stands_in_the_dark() -> None:
    bench = Bench()
    bench.add("box", Dark())
    assert "box" not in bench.elements


def test_the_monitors_of_a_switch_show_the_light_of_the_bench() -> None:
    switch = MatrixSwitchModel("S1", inputs=4, outputs=4)
    bench = Bench(seed=1, secrets="seeded")
    bench.add("alice", TransmitterModel("TKTX0001", seed=1, secrets="seeded"))
    bench.add("bob", ReceiverModel("TKRX0001", seed=1, secrets="seeded"))
    bench.add("west", switch)
    bench.join("alice", "west.in1", 0.5)
    bench.join("west.out2", "bob", 0.25)
    bench._transmitters["alice"].model.warm()
    bench._receivers["bob"].model.warm()
    bench.preshared_key("alice", "bob", load=True)

    def shown() -> list[float]:
        return [switch.optics.power_dbm("out", number, switch.now_ns) for number in (1, 2, 3)]

    for _ in range(50):
        bench.step(STEP_NS)
    assert shown() == [-60.0] * 3
    switch.optics.make({1: 2}, switch.now_ns)
    for _ in range(20):
        bench.step(STEP_NS)
    lit_dbm = pytest.approx(-1.5 - switch.optics.loss_db(1, 2), abs=1e-6)
    assert shown() == [-60.0, lit_dbm, -60.0]
    switch.optics.make({1: 3}, switch.now_ns)
    for _ in range(20):
        bench.step(STEP_NS)
    assert shown() == [-60.0, -60.0, pytest.approx(-1.5 - switch.optics.loss_db(1, 3), abs=1e-6)]
    bench.unjoin("alice")
    bench.step(STEP_NS)
    assert shown() == [-60.0] * 3
