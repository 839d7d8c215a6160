"""A whole station in a user's tests: emulated as its file says, and nothing of it outside the test."""

from __future__ import annotations

from pathlib import Path

import pytest

from tokaido_testing.user_tests import run

pytest_plugins = ["pytester"]

EXAMPLES = Path(__file__).parents[3] / "examples"
LAB = """
[station]
name = "lab"
on_exit = "safe"

[devices.east]
driver = "toshiba.transmitter"
serial_number = "TKTX0042"
control = "serial:/dev/qkd/TKTX0042?baudrate=115200"
keys = "zmq:tcp://192.0.2.7:5560?server_key_file=keys/east.key&client_key_file=keys/host.key_secret"
emulator = { warm = true }

[devices.west]
driver = "toshiba.receiver"
control = "serial:/dev/qkd/TKRX0001?baudrate=115200"
keys = "zmq:tcp://192.0.2.7:5561?server_key_file=keys/west.key&client_key_file=keys/host.key_secret"
emulator = { warm = true }

[devices.osw]
driver = "polatis.matrix"
control = "visa:TCPIP::192.0.2.9::5025::SOCKET"
emulator = { inputs = 4, outputs = 4 }

[links.field]
transmitter = "east"
receiver = "west"
lease_file = "keys/lab.sqlite"
emulator = { load_preshared_key = true }

[links.field.paths]
A = { osw = [[1, 1]] }
B = { osw = [[1, 2]] }

[bench]
seed = 5
speed = 7
joins = [["east", "osw.in1"], ["osw.out1", "A.a"], ["A.b", "M.front1"], ["M.back1", "west"], ["osw.out2", "B.a"]]
fibres = { A = { length_km = 25, loss_db = 7.5 }, B = { length_km = 31, loss_db = 9.3 } }
panels = { M = { positions = 2 } }
"""
TWO = LAB.replace("\nB = { osw = [[1, 2]] }", "")
USES = """
        import os
        @pytest.mark.tokaido_station_file("lab.toml")
        def test_station(tokaido_station, tokaido_clock, faults):
            west = tokaido_station.device("west", hal.Receiver)
            assert tokaido_station.device("east", hal.Transmitter).identity().serial_number == "TKTX0042"
            link = tokaido_station.link("field")
            link.move("A")
            assert tokaido_station.device("osw", hal.OpticalSwitch).connections() == {1: 1}
            west.wait_for(hal.UnitState.STANDBY, timeout=600)
            assert tokaido_clock.monotonic_ns() > 1e9
            faults.cut("A")
            tokaido_clock.wait(2)
            assert "LOS" in [alarm.code for alarm in west.alarms()]
"""


def test_it_stands_as_its_file_says_at_places_of_its_own(pytester: pytest.Pytester) -> None:
    pytester.makefile(".toml", lab=TWO)
    run(pytester, USES).assert_outcomes(passed=1)
    assert not (pytester.path / "keys").exists()


def test_links_and_devices_are_those_of_the_station(pytester: pytest.Pytester) -> None:
    pytester.makefile(".toml", lab=TWO)
    result = run(
        pytester,
        """
        def test_link(qkd_link, optical_switch, receiver, tokaido_station, faults):
            assert qkd_link.receiver is receiver is tokaido_station.device("west", hal.Receiver)
            assert optical_switch is tokaido_station.device("osw", hal.OpticalSwitch)
            with pytest.raises(hal.ConfigurationError, match="no station describes"):
                qkd_link.use("B")
            faults.add("west", "drop", count=1)
            with pytest.raises(hal.DeviceTimeoutError):
                receiver.state()
        def test_it_shows_its_wires(tokaido_station):
            tokaido_station.device("west", hal.Receiver)
            assert False
        """,
        "--tokaido-seed=9",
        ini="tokaido_station_file = lab.toml\n",
    )
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(["*--tokaido-seed 9 repeats it*", "*0.000000 west > *IDN?*"])


def test_what_a_failed_move_kept_open_is_no_second_failure(pytester: pytest.Pytester) -> None:
    pytester.makefile(".toml", lab=TWO)
    result = run(
        pytester,
        """
        @pytest.mark.tokaido_station_file("lab.toml")
        def test_move(tokaido_station, faults):
            link = tokaido_station.link("field")
            faults.cut("A")
            link.move("A")
        """,
    )
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*MoveError*"])


def test_what_is_wrong_with_it_is_told(pytester: pytest.Pytester) -> None:
    plain = TWO[: TWO.index("[bench]")].replace("emulator = { inputs = 4, outputs = 4 }", "")
    pytester.makefile(
        ".toml",
        lab=plain.replace("emulator = { load_preshared_key = true }\n\n[links.field.paths]\nA = { osw = [[1, 1]] }", "")
        + "emulator = { length_km = 25, loss_db = 7.5 }\n",
    )
    result = run(
        pytester,
        """
        def test_none(tokaido_station):
            pass
        @pytest.mark.tokaido_station_file("lab.toml")
        def test_real_one_in_it(tokaido_station):
            pass
        @pytest.mark.tokaido_station_file("no.toml")
        def test_absent(tokaido_station):
            pass
        @pytest.mark.tokaido_station_file("lab.toml")
        def test_late(tokaido_bench, tokaido_station):
            pass
        """,
    )
    result.assert_outcomes(errors=4)
    result.stdout.fnmatch_lines(
        ["*needs a station file: mark the test*", "*osw would be the real device*", "*no.toml*", "*other devices*"]
    )


def test_a_real_station_takes_its_place(pytester: pytest.Pytester) -> None:
    from tokaido.emulators import launch

    pytester.makefile(".toml", lab=TWO)
    with launch("dicon.selector") as device:
        pytester.makefile(
            ".toml", real=f'[devices.osw]\ndriver = "dicon.selector"\ncontrol = "{device.resources["control"]}"\n'
        )
        run(
            pytester,
            """
        @pytest.mark.tokaido_station_file("lab.toml")
        def test_it(tokaido_station, optical_switch, tokaido_clock):
            assert list(tokaido_station.devices) == ["osw"]
            assert optical_switch.identity().vendor == "DiCon"
            assert tokaido_clock is hal.SYSTEM_CLOCK
        """,
            "--tokaido-station=real.toml",
        ).assert_outcomes(passed=1)


def test_the_example_of_two_sites_moves_on_real_wires(pytester: pytest.Pytester) -> None:
    """Several switches are ordered at the same time, each from a thread of its own."""
    pytester.makefile(".toml", lab=(EXAMPLES / "two_paths.toml").read_text(encoding="utf-8"))
    run(
        pytester,
        """
        @pytest.mark.tokaido_wire_end("pty")
        @pytest.mark.tokaido_in_thread(speed=50)
        def test_move(qkd_link, tokaido_station, tokaido_world):
            assert {device.wire_end for device in tokaido_world.bench.devices.values()} == {"pty"}
            link = tokaido_station.link("field")
            assert link.move("B").fencing_token == 1
            assert link.path() == "B"
            assert qkd_link.receiver.link().path == "B"
            places = [entry.resources["control"].address for entry in tokaido_station.devices.values()]
            assert all(str(tokaido_world.directory) in place for place in places)
        """,
        ini="tokaido_station_file = lab.toml\n",
    ).assert_outcomes(passed=1)
