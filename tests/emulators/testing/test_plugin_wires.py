"""Wire ends in a user's tests, by parameter, marker and option: which time they have, and what does not fit."""

from __future__ import annotations

import pytest

from tokaido_testing.user_tests import run

pytest_plugins = ["pytester"]


def test_a_wire_end_is_chosen_by_parameter_marker_or_option(pytester: pytest.Pytester) -> None:
    run(
        pytester,
        """
        from tokaido.emulators import SteppedClock
        def end(tokaido_world):
            device, = tokaido_world.bench.devices.values()
            return device.wire_end
        @pytest.mark.parametrize("tokaido_wire_end", ["pty", "tcp", "hislip", "asrl", "emu", "visa"], indirect=True)
        def test_parameter(optical_switch, tokaido_world, tokaido_wire_end, tokaido_clock):
            optical_switch.connect(1, 2)
            assert optical_switch.connections() == {1: 2}
            assert end(tokaido_world) == tokaido_wire_end
            assert isinstance(tokaido_clock, SteppedClock) == (tokaido_wire_end in ("emu", "visa"))
        @pytest.mark.tokaido_wire_end("hislip")
        @pytest.mark.tokaido_vendor("nec")
        def test_marker(receiver, tokaido_world, tokaido_clock):
            assert receiver.state() is hal.UnitState.OFF
            assert end(tokaido_world) == "hislip"
            assert tokaido_clock is hal.SYSTEM_CLOCK
        def test_option(transmitter, tokaido_world):
            assert transmitter.state() is hal.UnitState.OFF
            assert end(tokaido_world) == "pty"
        @pytest.mark.parametrize("tokaido_vendor", ["toshiba", "nec"], indirect=True)
        @pytest.mark.tokaido_wire_end("")
        @pytest.mark.tokaido_vendor("nobody")
        def test_family(receiver, tokaido_vendor):
            assert tokaido_vendor.upper() in receiver.identity().vendor
        """,
        "--tokaido-wire-end=pty",
    ).assert_outcomes(passed=10)


def test_a_link_on_real_wires_runs_in_scaled_time_with_each_device_on_the_end_that_it_has(
    pytester: pytest.Pytester,
) -> None:
    run(
        pytester,
        """
        @pytest.mark.tokaido_wire_end("hislip")
        @pytest.mark.tokaido_in_thread(speed=100)
        def test_it(qkd_link, optical_switch, tokaido_world):
            ends = {name: device.wire_end for name, device in tokaido_world.bench.devices.items()}
            assert ends == {"alice": "pty", "bob": "pty", "switch": "hislip"}
            assert qkd_link.receiver.state() is hal.UnitState.STANDBY
            assert list(qkd_link.receiver.key_blocks(0)) == []
        """,
    ).assert_outcomes(passed=1)


def test_a_wire_end_that_no_device_has_is_an_error_that_says_which_there_are(pytester: pytest.Pytester) -> None:
    result = run(
        pytester,
        """
        @pytest.mark.tokaido_wire_end("tcp")
        def test_has_none(transmitter):
            pass
        @pytest.mark.tokaido_wire_end("gpib")
        def test_is_none(transmitter):
            pass
        """,
    )
    result.assert_outcomes(errors=2)
    result.stdout.fnmatch_lines(
        ["*no device of this test has the wire end 'tcp'. alice has pty, emu*", "*there is no wire end 'gpib'. Choose*"]
    )
