"""Test with pytest, emulated or real: python examples/own_tests.py [--tokaido-station STATION.toml]."""

import sys

import pytest

import tokaido.hal as hal

NONCE = bytes(16)


def test_both_ends_draw_the_same_key(running_qkd_link):
    mine, theirs = running_qkd_link.draw()
    assert mine.key.digest(NONCE) == theirs.key.digest(NONCE)


def test_a_fibre_that_is_cut_raises_an_alarm(qkd_link, faults, tokaido_clock):
    faults.cut()
    tokaido_clock.wait(2)
    assert "LOS" in [alarm.code for alarm in qkd_link.receiver.alarms()]
    assert qkd_link.receiver.state() is not hal.UnitState.RUN


if __name__ == "__main__":
    sys.exit(pytest.main(["-v", "--tokaido-vendor=nec", __file__, *sys.argv[1:]]))
