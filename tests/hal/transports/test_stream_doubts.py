"""A question that was given up stays owed: on a line without ids nothing is handed out before the line is in step."""

from __future__ import annotations

import random

import pytest

from tokaido.hal import DeviceTimeoutError, TokaidoError, WrongDeviceError
from tokaido_testing.slow_box import NS, SlowBox, SlowBoxTransport

TIMEOUT_S = 0.2


@pytest.fixture
def box() -> SlowBox:
    return SlowBox()


def opened(box: SlowBox, timeout_s: float = TIMEOUT_S, *, greeting: bool = True) -> SlowBoxTransport:
    made = SlowBoxTransport(box, timeout_s, greeting=greeting)
    made.open()
    return made


def miss(transport: SlowBoxTransport, text: str, delay_s: float) -> None:
    """Ask something whose reply comes so late that nobody waits for it any more."""
    transport.box.stall(delay_s)
    with pytest.raises(DeviceTimeoutError):
        transport.query(text)


def right_and_wrong(transport: SlowBoxTransport, calls: int, first: int = 100) -> tuple[int, int]:
    """Ask one thing after the other and count the answers."""
    right = wrong = 0
    for number in range(first, first + calls):
        try:
            got = transport.query(f"V{number}?")
        except TokaidoError:
            continue
        right, wrong = right + (got == str(number)), wrong + (got != str(number))
    return right, wrong


@pytest.mark.parametrize("greeting", [True, False])
def test_a_line_that_was_one_reply_late_is_not_one_reply_behind(box: SlowBox, greeting: bool) -> None:
    transport = opened(box, 0.1, greeting=greeting)
    miss(transport, "V0?", 0.45)
    box.latency_s = lambda: 0.09
    right, wrong = right_and_wrong(transport, 15)
    assert wrong == 0
    assert right >= 5


@pytest.mark.parametrize("stall_s", [0.25, 0.41, 3.0, 60.0, 3600.0])
@pytest.mark.parametrize("latency", [0.001, 0.3, 0.55, 0.95])
def test_no_stall_is_too_long_and_the_line_is_soon_in_step_again(box: SlowBox, stall_s: float, latency: float) -> None:
    transport = opened(box)
    box.latency_s = lambda: latency * TIMEOUT_S
    miss(transport, "V0?", stall_s)
    while box.clock.monotonic_ns() < box.free_ns:
        assert right_and_wrong(transport, 1)[1] == 0
        box.clock.wait(stall_s / 40)
    markers = box.asked.count("IDN?") - 1
    back_ns = box.clock.monotonic_ns()
    while right_and_wrong(transport, 1) != (1, 0):
        assert (box.clock.monotonic_ns() - back_ns) / NS < (markers + 6) * latency * TIMEOUT_S + 4 * TIMEOUT_S
    assert right_and_wrong(transport, 10) == (10, 0)
    assert markers <= 7 + stall_s / 5


@pytest.mark.parametrize("lost", ["question", "reply"])
@pytest.mark.parametrize("markers", [0, 1, 2])
def test_a_reply_that_never_comes_is_not_waited_for_for_ever(box: SlowBox, lost: str, markers: int) -> None:
    transport = opened(box)
    texts = {"V0?", "IDN?"} if markers else {"V0?"}

    def passes(text: str) -> bool:
        return text not in texts

    setattr(box, "hears" if lost == "question" else "says", passes)
    with pytest.raises(DeviceTimeoutError):
        transport.query("V0?")
    for _ in range(markers):
        with pytest.raises(DeviceTimeoutError, match=r"earlier question \(V0\?\) is still owed"):
            transport.query("V1?")
    texts.clear()
    right, wrong = right_and_wrong(transport, 4)
    assert wrong == 0
    assert right >= 4 - markers


def test_without_a_handshake_a_line_waits_for_what_it_is_owed_and_says_what_to_do(box: SlowBox) -> None:
    transport = opened(box, greeting=False)
    box.says = lambda text: text != "V0?"
    with pytest.raises(DeviceTimeoutError):
        transport.query("V0?")
    box.clock.wait(3600)
    with pytest.raises(DeviceTimeoutError, match="close the transport and open another one"):
        transport.query("V1?")
    assert box.asked == ["V0?"]
    transport.close()
    assert right_and_wrong(opened(box, greeting=False), 3) == (3, 0)


def test_a_command_that_was_not_sent_has_no_unknown_outcome(box: SlowBox) -> None:
    transport = opened(box)
    miss(transport, "V0?", 1.0)
    with pytest.raises(DeviceTimeoutError) as caught:
        transport.command("V1?")
    assert type(caught.value) is DeviceTimeoutError
    assert "V1?" not in box.asked


def test_another_box_is_noticed_while_a_reply_is_owed(box: SlowBox) -> None:
    transport = opened(box)
    box.says = lambda _text: False
    with pytest.raises(DeviceTimeoutError):
        transport.query("V0?")
    box.says = lambda _text: True
    box.serial_number = "BOX2"
    errors = []
    for _ in range(4):
        with pytest.raises(TokaidoError) as caught:
            transport.query("V1?")
        errors.append(type(caught.value))
    assert errors[-1] is WrongDeviceError
    assert "V1?" not in box.asked
    box.serial_number = "BOX1"
    assert right_and_wrong(transport, 4)[0] >= 2


@pytest.mark.parametrize("seed", range(150))
def test_late_and_lost_replies_in_any_order_give_no_wrong_value_and_the_line_recovers(box: SlowBox, seed: int) -> None:
    dice = random.Random(seed)
    transport = opened(box, dice.choice([0.05, 0.2, 1.0]))
    steady = dice.choice([0.01, 0.1, 0.3, 0.6, 0.95]) * transport.timeout_s
    losing = dice.choice([0.0, 0.1, 0.4])
    box.hears = box.says = lambda _text: dice.random() >= losing
    box.latency_s = lambda: dice.uniform(0, steady) if dice.random() > 0.2 else dice.uniform(0, 5) * steady
    for number in range(60):
        if dice.random() < 0.05:
            box.stall(dice.expovariate(1 / transport.timeout_s))
        assert right_and_wrong(transport, 1, 1000 * number)[1] == 0
        box.clock.wait(dice.choice([0, 0, 0.01, 0.3]))
    box.hears = box.says = lambda _text: True
    box.latency_s = lambda: steady
    start_ns = max(box.clock.monotonic_ns(), box.free_ns)
    while (found := right_and_wrong(transport, 1, 100_000)) != (1, 0):
        assert found == (0, 0)
        assert (box.clock.monotonic_ns() - start_ns) / NS < 5 + 12 * steady + 4 * transport.timeout_s
    assert right_and_wrong(transport, 10, 200_000) == (10, 0)
