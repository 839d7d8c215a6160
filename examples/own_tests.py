"""Test with pytest, emulated or real: python examples/own_tests.py [--tokaido-station STATION.toml]."""

import sys

import pytest

import tokaido.hal as hal


def test_a_receiver_that_is_left_safe_is_dark(receiver):
    receiver.apply_safe_state()
    assert receiver.shutter is hal.Shutter.CLOSED


def test_a_fibre_that_is_cut_raises_an_alarm(qkd_link, faults, tokaido_clock):
    faults.cut()
    tokaido_clock.wait(2)
    assert "LOS" in [alarm.code for alarm in qkd_link.receiver.alarms()]


if __name__ == "__main__":
    sys.exit(pytest.main(["-v", "--tokaido-vendor=nec", __file__, *sys.argv[1:]]))
