"""One thread serves all wire ends of a process: what that costs, and that none of them holds up another."""

from __future__ import annotations

import os
import threading
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import tokaido.hal as hal
from tokaido.emulators import launch
from tokaido_testing.patience import patient

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tokaido.emulators import Emulator

UNITS = 40
MOST_DESCRIPTORS = 5


def descriptors() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


@pytest.fixture
def devices() -> Iterator[tuple[Emulator, Any]]:
    with launch("toshiba.transmitter", warm=True) as unit, launch("polatis.matrix", wire_end="tcp") as switch:
        yield unit, switch


def test_a_unit_has_no_thread_of_its_own_and_few_descriptors() -> None:
    with launch("toshiba.transmitter", warm=True), ExitStack() as running:
        threads, before = threading.active_count(), descriptors()
        for number in range(UNITS):
            vendor = "toshiba" if number % 2 else "nec"
            wire_end = None if number % 2 else "hislip"
            unit: Any = running.enter_context(
                launch(f"{vendor}.transmitter", serial_number=f"TKTX{number:04d}", warm=True, wire_end=wire_end)
            )
            assert unit.resources["keys"]
        assert threading.active_count() == threads
        assert descriptors() - before <= MOST_DESCRIPTORS * UNITS


def test_the_last_end_takes_the_thread_along() -> None:
    def loops() -> int:
        return sum(thread.name == "tokaido-ends" for thread in threading.enumerate())

    assert loops() == 0
    with launch("toshiba.transmitter"), launch("polatis.matrix", wire_end="tcp"):
        assert loops() == 1
    assert loops() == 0


def test_a_model_that_somebody_holds_holds_up_no_other(devices: tuple[Emulator, Any]) -> None:
    unit, switch = devices
    with (
        hal.Transmitter.open("toshiba.transmitter", control=unit.resources["control"]) as tx,
        hal.OpticalSwitch.open("polatis.matrix", **switch.resources, timeout=patient(1.0)) as west,
    ):
        with unit.lock:
            with pytest.raises(hal.DeviceTimeoutError):
                tx.transport.query("IDN?", timeout=0.1)  # type: ignore[attr-defined]
            for _ in range(20):
                west.connections()
        assert tx.identity().serial_number == unit.serial_number


def test_who_lets_go_of_a_model_is_answered_at_once(devices: tuple[Emulator, Any]) -> None:
    unit, _ = devices
    with hal.Transmitter.open("toshiba.transmitter", control=unit.resources["control"], timeout=patient(2.0)) as tx:
        tx.identity()
        took: list[float] = []
        for _ in range(10):
            with unit.lock:
                asking = threading.Thread(target=tx.identity)
                asking.start()
                time.sleep(0.03)  # by now the end has found it taken
                began = time.monotonic()
            asking.join()
            took.append(time.monotonic() - began)
        assert min(took) < 0.03  # not when it would have looked again by itself


def test_a_fault_in_one_end_is_told_and_is_no_other_s(
    devices: tuple[Emulator, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    unit, switch = devices
    told: list[Any] = []
    monkeypatch.setattr(threading, "excepthook", told.append)

    def fail() -> list[list[bytes]]:
        raise RuntimeError("a fault of ours")

    monkeypatch.setattr(unit.end, "_arrived", fail)
    with pytest.raises(hal.TransportError):
        hal.Transmitter.open("toshiba.transmitter", control=unit.resources["control"], timeout=0.2)
    deadline = time.monotonic() + patient(5)
    while not told and time.monotonic() < deadline:
        time.sleep(0.005)
    assert [str(one.exc_value) for one in told] == ["a fault of ours"]
    with hal.OpticalSwitch.open("polatis.matrix", **switch.resources) as west:
        west.connections()
    unit.close()


def test_a_fork_leaves_its_parent_s_ends_alone(devices: tuple[Emulator, Any]) -> None:
    unit, _ = devices
    child = os.fork()
    if child == 0:
        status = 1
        try:
            unit.end.close()
            with launch("dicon.selector") as own, hal.OpticalSwitch.open("dicon.selector", **own.resources) as switch:
                switch.size()
            status = 0
        finally:
            os._exit(status)
    deadline = time.monotonic() + patient(10)
    while (found := os.waitpid(child, os.WNOHANG))[0] == 0 and time.monotonic() < deadline:
        time.sleep(0.01)
    assert found == (child, 0)
    with hal.Transmitter.open("toshiba.transmitter", control=unit.resources["control"]) as tx:
        assert tx.identity().serial_number == unit.serial_number
