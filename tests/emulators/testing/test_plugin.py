"""The pytest plugin, in test files of a user: fixtures, faults, seeds, and nothing left behind."""

from __future__ import annotations

import pytest

from tokaido_testing.user_tests import run

pytest_plugins = ["pytester"]


def test_devices_stand_by_themselves(pytester: pytest.Pytester) -> None:
    run(
        pytester,
        """
        def test_both_units(transmitter: hal.Transmitter, receiver: hal.Receiver):
            assert transmitter.state() is hal.UnitState.OFF
            assert receiver.identity().model
        @pytest.mark.tokaido_vendor("nec")
        def test_vendor(transmitter):
            assert transmitter.identity().vendor == "NEC-STYLE"
        @pytest.mark.tokaido_switch("dicon.selector", channels=5)
        def test_switch(optical_switch):
            optical_switch.connect(1, 5)
            assert optical_switch.connections() == {1: 5}
        """,
    ).assert_outcomes(passed=3)


def test_a_link_moves_by_its_switch_and_the_light_goes_with_it(pytester: pytest.Pytester) -> None:
    run(
        pytester,
        """
        def test_failover(qkd_link, optical_switch, faults):
            assert qkd_link.receiver.state() is hal.UnitState.STANDBY
            faults.cut("A")
            qkd_link.world.clock.wait(2)
            assert "LOS" in [alarm.code for alarm in qkd_link.receiver.alarms()]
            qkd_link.use("B")
            qkd_link.wait_for(hal.UnitState.STANDBY)
            assert optical_switch.connections() == {1: 2, 4: 3}
        """,
    ).assert_outcomes(passed=1)


@pytest.mark.parametrize("vendor", ["toshiba", "nec"])
def test_a_running_link_gives_the_same_key_at_both_ends(pytester: pytest.Pytester, vendor: str) -> None:
    run(
        pytester,
        """
        def test_keys(running_qkd_link):
            one, other = running_qkd_link.draw()
            nonce = bytes(16)
            assert one.info.insecure
            assert one.key.digest(nonce) == other.key.digest(nonce)
        """,
        f"--tokaido-vendor={vendor}",
    ).assert_outcomes(passed=1)


def test_faults_are_there_by_marker_and_by_fixture(pytester: pytest.Pytester) -> None:
    run(
        pytester,
        """
        @pytest.mark.tokaido_switch("dicon.selector")
        @pytest.mark.tokaido_fault("optical_switch", "stuck")
        def test_marker(optical_switch, faults):
            with pytest.raises(hal.DeviceError):
                optical_switch.connect(1, 5)
            faults.remove("optical_switch", "stuck")
            optical_switch.connect(1, 5)
        def test_wire(receiver, faults, tokaido_clock):
            faults.add("receiver", "drop", count=1)
            with pytest.raises(hal.DeviceTimeoutError):
                receiver.state()
            assert receiver.state() is hal.UnitState.OFF
            assert tokaido_clock.monotonic_ns() > 2e9  # which nobody waited for
        def test_wrong(receiver, faults):
            with pytest.raises(hal.ConfigurationError, match="Choose one of"):
                faults.add("receiver", "nonsense")
        """,
    ).assert_outcomes(passed=3)


def test_a_failure_shows_seed_and_wires_and_the_seed_repeats_them(pytester: pytest.Pytester) -> None:
    text = """
        def test_it(transmitter):
            transmitter.identity()
            transmitter.telemetry()
            assert False
        """
    first = run(pytester, text, "--tokaido-seed=4711")
    first.assert_outcomes(failed=1)
    first.stdout.fnmatch_lines(["*--tokaido-seed 4711 repeats it*", "*alice > *IDN?*", "*alice < *TOSHIBA-STYLE*"])
    any_seed = run(pytester, text).stdout.str()
    assert "--tokaido-seed 4711" not in any_seed
    assert "repeats it" in any_seed


def test_what_a_test_leaves_behind_fails_it(pytester: pytest.Pytester) -> None:
    result = run(
        pytester,
        """
        import os, threading
        kept = []
        def test_thread(transmitter):
            threading.Thread(target=threading.Event().wait, name="stray", daemon=True).start()
        def test_descriptor(transmitter):
            kept.append(os.open("/dev/null", os.O_RDONLY))
        def test_file(tokaido_world):
            (tokaido_world.directory / "left.txt").write_text("x")
        """,
        apart=True,
    )
    result.assert_outcomes(passed=3, errors=3)
    result.stdout.fnmatch_lines(["*left behind: thread stray*", "*left behind: descriptor*/dev/null*", "*left.txt*"])


def test_a_real_station_takes_the_place_of_emulators_and_skips_with_reasons(pytester: pytest.Pytester) -> None:
    from tokaido.emulators import launch

    text = """
        def test_real(optical_switch):
            optical_switch.connect(1, 3)
            assert optical_switch.connections() == {1: 3}
        def test_no_such_device(receiver):
            pass
        def test_fault(optical_switch, faults):
            faults.add("optical_switch", "drop")
        @pytest.mark.tokaido_emulated("it breaks the glass")
        def test_emulated(optical_switch):
            pass
        """
    with launch("dicon.selector") as device:
        pytester.makefile(
            ".toml", lab=f'[devices.osw]\ndriver = "dicon.selector"\ncontrol = "{device.resources["control"]}"\n'
        )
        result = run(pytester, text, "--tokaido-station=lab.toml", "-rs")
    result.assert_outcomes(passed=1, skipped=3)
    result.stdout.fnmatch_lines_random(
        ["*it has no receiver*", "*'fault optical_switch drop' is for an emulator*", "*it breaks the glass*"]
    )


def test_a_run_that_uses_nothing_of_it_imports_nothing_of_it(pytester: pytest.Pytester) -> None:
    run(
        pytester,
        """
        import sys
        def test_it():
            heavy = ("numpy", "zmq", "serial", "pyvisa", "tokaido")
            found = [name for name in sys.modules if name.startswith(heavy)]
            assert found == []
        """,
        apart=True,
    ).assert_outcomes(passed=1)


@pytest.mark.parametrize("chosen", ["", "not link"])
def test_what_the_tests_that_run_need_is_imported_before_the_first_of_them(
    pytester: pytest.Pytester, chosen: str
) -> None:
    needed = ("tokaido.emulators.bench", "tokaido.emulators.nec", "tokaido.drivers.nec")
    run(
        pytester,
        f"""
        import sys
        def found():
            return [name in sys.modules for name in {needed}]
        collected = found()
        def test_before():
            assert collected == [False] * 3
            assert found() == [{not chosen}] * 3
        def test_link(qkd_link):
            assert qkd_link.receiver.state() is hal.UnitState.STANDBY
        """,
        "--tokaido-vendor=nec",
        f"-k {chosen}" if chosen else "-q",
        apart=True,
    ).assert_outcomes(passed=1 if chosen else 2, deselected=1 if chosen else 0)


def test_time_passes_in_a_thread_where_a_test_asks_for_it(pytester: pytest.Pytester) -> None:
    run(
        pytester,
        """
        import threading
        @pytest.mark.tokaido_in_thread(speed=50)
        def test_it(qkd_link, tokaido_clock):
            assert tokaido_clock is hal.SYSTEM_CLOCK
            found = []
            reader = threading.Thread(target=lambda: found.append(qkd_link.receiver.state()))
            reader.start()
            reader.join()
            assert found == [hal.UnitState.STANDBY]
        """,
    ).assert_outcomes(passed=1)


def test_a_link_of_a_real_station_is_taken_as_it_is(pytester: pytest.Pytester) -> None:
    import tokaido.hal as hal
    from tokaido.emulators import QkdLink
    from tokaido.emulators.optics import FIELD_FIBRE

    with QkdLink.launch("toshiba", fibre=FIELD_FIBRE, warm=True, load_preshared_key=True, speed=50) as link:
        lines = []
        for name, driver, unit in (("a", "transmitter", link.transmitter), ("b", "receiver", link.receiver)):
            lines.append(f'[devices.{name}]\ndriver = "toshiba.{driver}"\n')
            lines += [f'{port} = "{resource}"\n' for port, resource in unit.resources.items()]
        lines += [f'[links.{name}]\ntransmitter = "a"\nreceiver = "b"\n' for name in ("one", "two")]
        with hal.Receiver.open("toshiba.receiver", **link.receiver.resources) as receiver:
            receiver.wait_for(hal.UnitState.STANDBY, timeout=30)
        pytester.makefile(".toml", lab="".join(lines))
        text = """
        def test_it(qkd_link):
            qkd_link.wait_for(hal.UnitState.STANDBY, timeout=10)
        def test_fault(qkd_link, faults):
            faults.cut("A")
        """
        named = run(pytester, text, "--tokaido-station=lab.toml", "--tokaido-link=one", "-rs")
        named.assert_outcomes(passed=1, skipped=1)
        unnamed = run(pytester, text, "--tokaido-station=lab.toml", "-rs")
    unnamed.assert_outcomes(skipped=2)
    unnamed.stdout.fnmatch_lines(["*the station has 2 links and none is named*"])
