"""The suite sees what it is there to see: each of these breaks a driver, and the test that must notice it does."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from typing import Any

import pytest

import tokaido.hal as hal
from tokaido.emulators import KINDS
from tokaido.emulators.conformance import FAULTS, WireFault, suite
from tokaido.emulators.conformance._rig import Rig
from tokaido.emulators.toshiba import TransmitterModel
from tokaido.hal.driver import LineDevice
from tokaido_testing.patience import slowness


class NoLock:
    """Lets everybody in."""

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:
        return True

    def release(self) -> None:
        pass

    def __enter__(self) -> None:
        pass

    def __exit__(self, *_: object) -> None:
        pass


def put_to(driver: str, test: str, fault: WireFault | None = None, *, real: bool = False, **options: Any) -> None:
    """Run one test or check of a driver's suite on its in-process end."""
    end = "visa" if driver in ("polatis.matrix", "nec.receiver") else "emu"
    made = suite(driver, wire_ends=[end], virtual_time=True, slowness=slowness, options=options)
    with Rig(made.plan, end, real=real) as rig:
        check = getattr(made(), test)
        check(rig) if fault is None else check(rig, fault)


def test_the_matrix_has_every_kind_of_fault_both_ways() -> None:
    assert {fault.kind for fault in FAULTS} | {"disconnect"} == set(KINDS)
    both = [fault.kind for fault in FAULTS if fault.direction == "from_unit"]
    assert set(KINDS) - set(both) == {"disconnect", "wrong_id", "alarm", "echo"}


def test_a_driver_that_goes_on_after_a_failure_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """No taint: the late reply answers the next question."""
    late = WireFault("latency", "from_unit")
    put_to("polatis.matrix", "check_values", late)

    def make_ready(self: Any, deadline: Any) -> None:
        if not self._trusted and self._port is None:
            self._reopen(deadline)
        self._trusted = True

    monkeypatch.setattr(hal.Transport, "_make_ready", make_ready)
    monkeypatch.setattr("tokaido.hal.transports._step.Step.in_step", lambda _: True)
    with pytest.raises(AssertionError):
        put_to("polatis.matrix", "check_values", late)


def test_a_line_that_believes_to_be_in_step_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """It takes as long as a device that answers again is given to be heard."""
    monkeypatch.setattr("tokaido.hal.transports._step.Step.in_step", lambda _: True)
    monkeypatch.setattr("tokaido.hal.transports._step.Step.passes", lambda *_: False)

    def more_than_once() -> None:
        for _ in range(25):  # most find it: else late replies happen to come before the next question
            put_to("fiberlabs.amplifier", "check_stall", real=True)

    with pytest.raises(AssertionError, match=r"in truth|is not heard"):
        more_than_once()


def test_a_driver_that_takes_any_box_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    put_to("dicon.selector", "test_another_box_at_the_same_place_is_refused")
    monkeypatch.setattr(LineDevice, "_greet", lambda self: None)
    with pytest.raises(AssertionError):
        put_to("dicon.selector", "test_another_box_at_the_same_place_is_refused")


def test_a_driver_without_a_lock_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the threads get then is each other's, or nothing."""
    made = suite("polatis.matrix", wire_ends=["visa"], slowness=slowness)
    with Rig(made.plan, "visa") as rig:
        monkeypatch.setattr(rig.device.transport, "_lock", NoLock())
        with pytest.raises((AssertionError, RuntimeError, AttributeError, LookupError, TypeError, ValueError)):
            made().test_threads_do_not_get_each_others_answers(rig)


def test_a_driver_that_sends_a_command_twice_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    command = LineDevice._command

    def twice(self: LineDevice, text: str) -> str:
        command(self, text)
        return command(self, text)

    monkeypatch.setattr(LineDevice, "_command", twice)
    for driver in ("polatis.matrix", "dicon.selector", "thorlabs.osw"):
        with pytest.raises(AssertionError, match="twice"):
            put_to(driver, "test_what_was_set_is_in_force")


def test_a_driver_that_does_not_read_back_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    stuck = WireFault("alarm", "to_unit")
    put_to("thorlabs.osw", "check_orders", stuck)
    monkeypatch.setattr(hal.OpticalSwitch, "_verify", lambda *_: None)
    with pytest.raises(AssertionError, match="in truth"):
        put_to("thorlabs.osw", "check_orders", stuck)


def test_a_driver_that_sends_what_is_out_of_range_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hal.OpticalSwitch, "_check_ports", lambda *_: None)
    with pytest.raises((pytest.fail.Exception, LookupError, hal.TokaidoError, AssertionError)):
        put_to("dicon.selector", "test_what_is_out_of_range_is_never_sent")


def test_a_driver_that_changes_something_when_it_opens_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    connect = LineDevice._connect

    def resetting(self: LineDevice, timeout: float | None = None) -> None:
        connect(self, timeout)
        self._command("*RST")

    monkeypatch.setattr(LineDevice, "_connect", resetting)
    with pytest.raises(AssertionError):
        put_to("polatis.matrix", "test_opening_asks_and_changes_nothing")


def test_a_driver_that_lets_a_foreign_exception_out_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    def identity(self: Any) -> object:
        raise KeyError("a mistake")

    made = suite("dicon.selector", wire_ends=["emu"])
    with Rig(made.plan, "emu") as rig:
        monkeypatch.setattr(type(rig.device), "identity", identity)
        with pytest.raises(KeyError):
            made().check_values(rig, FAULTS[0])
    assert made.summary.foreign == 1


def test_garbled_text_is_counted_apart_and_only_for_protocols_without_a_checksum() -> None:
    for driver, excused in (("dicon.selector", True), ("toshiba.transmitter", False)):
        made = suite(driver, wire_ends=["emu"])
        with Rig(made.plan, "emu") as rig:
            garbled = WireFault("garble", "from_unit")
            if excused:
                rig.compare("a value", 1, False, garbled, truth=2)
            else:
                with pytest.raises(AssertionError, match="in truth"):
                    rig.compare("a value", 1, False, garbled, truth=2)
            with pytest.raises(AssertionError, match="in truth"):
                rig.compare("a value", 1, False, WireFault("drop", "from_unit"), truth=2)
        assert (made.summary.undetectable, made.summary.wrong) == ((1, 1) if excused else (0, 2))


@pytest.mark.parametrize(
    "options",
    [
        {"driver": "acme.unknown"},
        {"driver": "dicon.selector", "wire_ends": []},
        {"driver": "dicon.selector", "emulator": "acme.unknown"},
    ],
)
def test_what_cannot_be_run_is_a_configuration_error(options: Mapping[str, Any]) -> None:
    with pytest.raises(hal.ConfigurationError):
        suite(**options)


def test_without_pytest_it_says_what_to_install() -> None:
    program = "import sys; sys.modules['pytest'] = None\nimport tokaido.emulators.conformance"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=30)
    assert done.returncode == 1
    assert "pip install pytest" in done.stderr


def test_a_unit_whose_watchdog_any_reader_renews_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    test = "test_a_program_that_only_reads_renews_nobody_s_watchdog"
    put_to("toshiba.transmitter", test)
    carry_out = TransmitterModel.carry_out

    def renewing(self: TransmitterModel, name: str, argument: str | None, *, person: bool) -> str:
        if self.watchdog.holder:
            self.keep_watchdog(self.watchdog.holder)
        return carry_out(self, name, argument, person=person)

    monkeypatch.setattr(TransmitterModel, "carry_out", renewing)
    with pytest.raises(AssertionError, match="it was renewed"):
        put_to("toshiba.transmitter", test)


def test_a_receiver_that_opens_whatever_its_interlock_says_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    test = "test_an_interlock_keeps_a_receiver_shut_before_anything_is_sent"
    put_to("nec.receiver", test)
    monkeypatch.setattr("tokaido.drivers.nec.Receiver.align", lambda receiver: receiver._command("CAL:STAR"))
    with pytest.raises((pytest.fail.Exception, hal.StateError)):
        put_to("nec.receiver", test)
