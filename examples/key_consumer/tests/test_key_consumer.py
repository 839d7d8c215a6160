"""Ten tests of the program, on emulated equipment, or on yours: pytest --tokaido-station lab.toml."""

import contextlib

import pytest
from key_consumer import FailOver, KeyConsumer, OutOfKeysError

import tokaido.hal as hal


def test_a_new_consumer_has_nothing(receiver):
    assert KeyConsumer(receiver).stock_bytes == 0


def test_it_refuses_to_give_what_it_has_not(receiver):
    with pytest.raises(OutOfKeysError):
        KeyConsumer(receiver).take(32)


def test_it_fills_its_stock(running_qkd_link):
    consumer = KeyConsumer(running_qkd_link.receiver)
    came = consumer.refill()
    assert came == consumer.stock_bytes > 1024


def test_it_draws_nothing_while_the_stock_lasts(running_qkd_link):
    consumer = KeyConsumer(running_qkd_link.receiver)
    consumer.refill()
    assert consumer.refill() == 0


def test_both_ends_get_the_same_key(running_qkd_link):
    bob, alice = KeyConsumer(running_qkd_link.receiver), next(running_qkd_link.transmitter.key_blocks(60, limit=1))
    bob.refill()
    with alice:
        mine, _ = alice.key.split(32)
    assert bob.take(32).digest(bytes(16)) == mine.digest(bytes(16))


def test_no_byte_is_given_twice(running_qkd_link):
    consumer = KeyConsumer(running_qkd_link.receiver)
    before = consumer.refill()
    consumer.take(32)
    consumer.take(32)
    assert consumer.stock_bytes == before - 64


def test_a_reply_that_is_lost_costs_no_key(running_qkd_link, faults):
    consumer = KeyConsumer(running_qkd_link.receiver)
    faults.add("receiver", "drop", port="keys", count=1)
    with contextlib.suppress(hal.DeviceTimeoutError):
        consumer.refill(timeout=1)
    consumer.refill()
    assert consumer.stock_bytes > 1024


def test_a_cut_fibre_moves_the_link(qkd_link, optical_switch, faults, tokaido_clock):
    guard = FailOver(qkd_link.receiver, qkd_link.use, ("A", "B"))
    assert guard.look() == "nothing"
    faults.cut("A")
    tokaido_clock.wait(2)
    assert guard.look() == "moved"
    qkd_link.wait_for(hal.UnitState.STANDBY)
    assert guard.path == "B"
    assert optical_switch.connections() == {1: 2, 4: 3}


def test_two_cut_fibres_stop_it(qkd_link, optical_switch, faults, tokaido_clock):
    guard = FailOver(qkd_link.receiver, qkd_link.use, ("A", "B"))
    faults.cut("A")
    faults.cut("B")
    tokaido_clock.wait(2)
    assert guard.look() == "moved"
    tokaido_clock.wait(10)
    assert guard.look() == "stopped"


def test_an_eavesdropper_stops_it(running_qkd_link, faults):
    guard = FailOver(running_qkd_link.receiver, lambda path: None, ("A",))
    faults.attack("intercept_resend", fraction=0.8)
    for _ in range(60):
        running_qkd_link.world.clock.wait(1)
        if guard.look() == "stopped":
            return
    pytest.fail("nobody noticed the eavesdropper")
