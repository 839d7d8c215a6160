"""Messages between units take the time that light takes, and keys become no fewer by it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tokaido.emulators.bench import Bench
from tokaido.emulators.distillation import ReceiverDistiller, TransmitterDistiller
from tokaido.emulators.optics import Fibre
from tokaido.hal import ConfigurationError
from tokaido_testing.bench import Yard
from tokaido_testing.links import Rig
from tokaido_testing.pairs import Pair

if TYPE_CHECKING:
    from pytest_mock import MockerFixture

MS_NS = 1_000_000
ENDS = TransmitterDistiller, ReceiverDistiller


def long_link(length_km: float) -> Rig:
    """Return a link at 6 dB whose messages take the time of its fibre."""
    rig = Rig(fibre=Fibre(length_km=length_km, loss_db=6.0))
    rig.link.bench._channel._delay_s = None
    return rig


def heard_after_ms(length_km: float) -> int:
    """Return when the receiver of a link first heard its transmitter, in steps of 20 ms."""
    rig = long_link(length_km)
    for step in range(1, 200):
        rig.link.step(20 * MS_NS)
        if rig.rx.peer.reachable:
            return 20 * step
    raise AssertionError("it was never heard")


def test_a_message_arrives_when_light_would() -> None:
    at_once = heard_after_ms(1.0)
    assert at_once <= 120  # it speaks first after some ticks
    late = heard_after_ms(40_000.0)  # around the earth: 196 ms
    assert 180 <= late - at_once <= 220


def times_of_blocks(length_km: float) -> tuple[float, float]:
    """Return after how long a link at 6 dB gives its first key block, and the second one after that, in s."""
    rig = long_link(length_km).run()
    began_s = rig.link.emulated_s
    rig.until(lambda: min(rig.waiting) >= 1, 5)
    first_s = rig.link.emulated_s - began_s
    rig.until(lambda: min(rig.waiting) >= 3, 5, 20 * MS_NS)
    assert rig.digests(rig.tx) == rig.digests(rig.rx)
    assert [program.active() for program in rig.programs] == [set(), set()]
    return first_s, rig.link.emulated_s - began_s - first_s


def test_a_hundred_kilometres_cost_no_key() -> None:
    first_near_s, near_s = times_of_blocks(0.1)
    first_far_s, far_s = times_of_blocks(100.0)
    assert near_s < 1
    assert far_s == pytest.approx(near_s, abs=0.15)  # half a block; they begin within the first one's last step
    assert first_near_s <= first_far_s < first_near_s + 0.5  # some hundred round trips of 1 ms


def test_messages_on_their_way_are_lost_with_the_unit_that_is_cut_off() -> None:
    bench = Bench(seed=1, secrets="seeded", classical_delay_s=0.5)
    yard = Yard(bench=bench)
    yard.pass_time(0.3)
    for name in yard.units:
        bench.add_isolation(name)
    yard.pass_time(0.4)
    for name in yard.units:
        bench.remove_isolation(name)
    yard.pass_time(0.1)
    assert not any(unit.peer.reachable for unit in yard.units.values())  # earlier messages are gone
    yard.pass_time(0.8)
    assert all(unit.peer.reachable for unit in yard.units.values())


def test_no_message_overtakes_another_when_the_way_becomes_shorter() -> None:
    rig = long_link(40_000.0)
    said: list[bytes] = []
    heard: list[bytes] = []
    receive = rig.rx.peer.receive

    def tamper(side: str, message: bytes) -> list[bytes]:
        if side == "transmitter":
            said.append(message)
        return [message]

    def listen(message: bytes) -> None:
        heard.append(message)
        receive(message)

    rig.link.add_tamper(tamper)
    rig.rx.peer.receive = listen  # type: ignore[method-assign]
    rig.pass_time(0.5)
    bench = rig.link.bench
    bench.fibre("short", length_km=1.0, loss_db=6.0)
    for port in ("transmitter", "receiver"):
        bench.unjoin(port)
    bench.join("transmitter", "short.a")
    bench.join("short.b", "receiver")
    rig.pass_time(2)
    assert len(heard) > 5
    assert heard == said[: len(heard)]
    assert len(said) - len(heard) <= 1


def test_without_a_delay_every_message_arrives_within_its_step() -> None:
    for delay_s, arrives in ((0.0, True), (None, True), (0.5, False)):  # 20 km are a tenth of a millisecond
        yard = Yard(bench=Bench(seed=5, secrets="seeded", classical_delay_s=delay_s))
        yard.pass_time(0.4)
        assert all(unit.peer.reachable for unit in yard.units.values()) is arrives


@pytest.mark.parametrize("delay_s", [-1e-3, 11.0, float("nan")])
def test_a_delay_that_cannot_be_is_refused(delay_s: float) -> None:
    with pytest.raises(ConfigurationError, match="classical delay"):
        Bench(classical_delay_s=delay_s)


def test_an_end_to_which_nothing_came_is_asked_for_nothing(mocker: MockerFixture) -> None:
    pair = Pair("toshiba").run()
    came = [mocker.spy(end, name) for end in ENDS for name in ("add", "receive")]
    asked = [mocker.spy(end, "outgoing") for end in ENDS]
    pair.pass_time(0.3)
    calls = sum(spy.call_count for spy in came)
    assert calls > 100
    assert sum(spy.call_count for spy in asked) <= calls
