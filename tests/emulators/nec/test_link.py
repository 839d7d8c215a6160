"""Two NEC-style units over one fibre, stepped by hand: sub-channels, keys, and what the interferometer does to them."""

from __future__ import annotations

import hashlib
import math
from typing import TYPE_CHECKING

import pytest

from tokaido.emulators import QkdLink
from tokaido.emulators.nec import ReceiverModel, TransmitterModel
from tokaido.emulators.optics import Fibre, preset
from tokaido_testing.sealed import Instrument

if TYPE_CHECKING:
    from collections.abc import Callable

LOSS_DB = 20.0
STEP_NS = 100_000_000
ALIGNING_NS = 500_000_000


class Pair:
    """A transmitter and a receiver with the same pre-shared key, warm, and a fibre of 20 dB."""

    def __init__(self, *, block_bits: int = 300_000, seed: int = 1) -> None:
        self.tx = TransmitterModel(sub_channels=4, seed=seed, secrets="seeded")
        self.rx = ReceiverModel(sub_channels=4, seed=seed, secrets="seeded")
        self.instruments = Instrument(self.tx), Instrument(self.rx)
        self.link = QkdLink(
            self.tx,
            self.rx,
            fibre=Fibre(length_km=90.0, loss_db=LOSS_DB),
            parameters=preset("nec-sspd", settings="short-block", channel_loss_db=LOSS_DB),
            seed=seed,
            secrets="seeded",
        )
        for model in (self.tx, self.rx):
            model.warm()
            model.load_psk(bytes(range(256)) * 16)
        self.order(f"KEY:BLOC {block_bits}")

    def order(self, message: str) -> None:
        for instrument in self.instruments:
            instrument.data(message)

    def until(self, done: Callable[[], bool], seconds: float, step_ns: int = STEP_NS) -> None:
        for _ in range(round(seconds * 1e9 / step_ns)):
            if done():
                return
            self.link.step(step_ns)
        assert done(), (self.states, [instrument.active() for instrument in self.instruments])

    def pass_time(self, seconds: float, step_ns: int = STEP_NS) -> None:
        for _ in range(round(seconds * 1e9 / step_ns)):
            self.link.step(step_ns)

    @property
    def states(self) -> tuple[str, str]:
        first, second = (instrument.state() for instrument in self.instruments)
        return first, second

    def stand_by(self) -> None:
        self.until(lambda: self.states == ("STANDBY", "STANDBY"), 60, ALIGNING_NS)

    def run(self) -> Pair:
        self.stand_by()
        self.order("KEY:STAR")
        return self

    @property
    def waiting(self) -> int:
        return min(self.tx.store.waiting, self.rx.store.waiting)

    def digests(self, model: TransmitterModel | ReceiverModel) -> list[str]:
        return [hashlib.sha256(bytes(key.reveal())).hexdigest() for _, key in model.store.oldest(16)]


@pytest.fixture
def pair() -> Pair:
    return Pair()


def test_two_units_agree_on_keys_over_sub_channels_1_and_2_together(pair: Pair) -> None:
    pair.run().until(lambda: pair.waiting >= 2, 10)
    assert pair.tx.session_id == pair.rx.session_id
    first, second = (pair.digests(model)[:2] for model in (pair.tx, pair.rx))
    assert first == second
    assert len(set(first)) == 2
    info = pair.rx.store.oldest(1)[0][0]
    assert info.bits > 30_000
    assert (info.insecure, info.emulated) == (True, True)
    assert [instrument.active() for instrument in pair.instruments] == [set(), set()]
    rx = pair.instruments[1]
    counts = [float(rx.data(f"DET{i}:COUN?")) for i in range(1, 9)]
    assert min(counts[:4]) > 1e5
    assert max(counts[4:]) < 1000
    assert float(rx.data("CHAN1:COUN?")) == pytest.approx(float(rx.data("CHAN2:COUN?")), rel=0.05)
    assert 0.005 < float(rx.data("FETC:QBER?").split(",")[0]) < 0.04


def sifted_key_rate(pair: Pair) -> float:
    pair.run().until(lambda: pair.tx.session_id is not None, 5)
    pair.pass_time(1)
    return float(pair.instruments[1].data("FETC:RATE:SIFT?"))


def test_each_sub_channel_that_is_on_at_both_ends_adds_its_share_of_key() -> None:
    rates = []
    for ours, theirs in (("1", "1"), ("12", "12"), ("134", "2314"), ("12", "134")):
        pair = Pair(block_bits=20_000_000)
        for instrument, wanted in zip(pair.instruments, (ours, theirs), strict=True):
            for channel in "1234":
                instrument.data(f"CHAN{channel}:STAT {'ON' if channel in wanted else 'OFF'}")
        rates.append(sifted_key_rate(pair))
    single = rates[0]
    assert single > 4e5
    assert rates[1:] == pytest.approx([2 * single, 3 * single, single], rel=0.03)


def test_without_a_sub_channel_in_common_there_is_no_session(pair: Pair) -> None:
    pair.instruments[0].data("CHAN1:STAT OFF")
    pair.instruments[1].data("CHAN2:STAT OFF")
    pair.run().pass_time(3)
    assert pair.states == ("RUN", "RUN")
    assert [instrument.data("KEY:SESS?") for instrument in pair.instruments] == ['""', '""']
    pair.order("KEY:STOP")
    pair.instruments[1].data("CHAN2:STAT ON")
    pair.order("KEY:STAR")
    pair.until(lambda: pair.tx.session_id is not None and pair.rx.session_id is not None, 5)


def test_an_interferometer_off_its_temperature_costs_errors_until_it_is_aligned_again(pair: Pair) -> None:
    pair.stand_by()
    rx = pair.instruments[1]
    found = float(rx.data("SENS:INT:TEMP?"))
    rx.data(f"SENS:INT:TEMP {found + 0.12:.3f}")
    pair.pass_time(20, ALIGNING_NS)
    pair.order("KEY:STAR")
    pair.until(lambda: rx.ask("FETC:QBER?").code == 0, 10)
    assert float(rx.data("FETC:QBER?").split(",")[0]) == pytest.approx(0.05, abs=0.02)
    assert float(rx.data("FETC:PHAS?")) == pytest.approx(0.41, abs=0.2)
    assert float(rx.data("FETC:VIS?")) == pytest.approx(0.985 * math.cos(float(rx.data("FETC:PHAS?"))), abs=0.01)
    pair.order("KEY:STOP")
    rx.data("CAL:STAR")
    pair.stand_by()
    pair.order("KEY:STAR")
    before = rx.data("FETC:QBER?")
    pair.until(lambda: (rx.ask("FETC:QBER?").data or before) < before, 10)  # none until the first block
    assert float(rx.data("FETC:QBER?").split(",")[0]) < 0.03


def test_the_lease_of_a_program_that_is_gone_ends_the_session_at_both_ends() -> None:
    pair = Pair(block_bits=20_000_000)  # so long that none is distilled meanwhile,
    pair.link.add_bend(10.0)  # and few clicks
    pair.run().until(lambda: pair.tx.session_id is not None, 5)
    pair.instruments[0].data('UNIT:LEAS 5,"7F3A09C2"')
    pair.pass_time(6)
    assert pair.instruments[0].line("UNIT:STAT?;:SOUR:EMIS?") == "STANDBY,NONE;0\n"
    assert pair.rx.session_id is None
