"""How a `with` block leaves a device: as it is, or in its safe state, however the block ends."""

from __future__ import annotations

import asyncio
import logging
import time
from contextlib import ExitStack
from typing import Any

import pytest

import tokaido.hal as hal
from tokaido.emulators import Bench, Emulator
from tokaido_testing.patience import patient
from tokaido_testing.unit_vendors import Vendor


def emits(vendor: Vendor, emulator: Emulator) -> bool:
    """Ask a unit that nobody holds whether light leaves it."""
    with hal.Transmitter.open(vendor.transmitter, **emulator.resources) as tx:
        return tx.emitting()


def run(emulator: Emulator) -> None:
    """Let the unit send light, to an imagined peer."""
    with emulator.lock:
        emulator.model.prepare("RUN")  # type: ignore[attr-defined]


@pytest.mark.parametrize(("options", "after"), [({}, True), ({"on_exit": "keep"}, True), ({"on_exit": "safe"}, False)])
def test_a_block_leaves_a_device_as_it_was_opened_to(
    vendor: Vendor, emulator: Emulator, options: dict[str, Any], after: bool
) -> None:
    run(emulator)
    with hal.Device.open(vendor.transmitter, **emulator.resources, **options):
        pass
    assert emits(vendor, emulator) is after


@pytest.mark.parametrize("ending", [RuntimeError, KeyboardInterrupt, SystemExit])
def test_a_block_that_raises_leaves_it_safe_and_its_error_alone_is_seen(
    vendor: Vendor, emulator: Emulator, ending: type[BaseException]
) -> None:
    run(emulator)

    def experiment() -> None:
        with hal.Transmitter.open(vendor.transmitter, **emulator.resources, on_exit="safe") as tx:
            assert tx.emitting()
            raise ending

    with pytest.raises(ending):
        experiment()
    assert not emits(vendor, emulator)


def test_the_safe_state_is_applied_once(vendor: Vendor, emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    applied: list[str] = []
    with hal.Transmitter.open(vendor.transmitter, **emulator.resources, on_exit="safe") as tx:
        monkeypatch.setattr(type(tx), "apply_safe_state", lambda self: applied.append(self.name))
        tx.attenuation = 20
        assert applied == []
    assert applied == [vendor.transmitter]
    tx.close()
    assert applied == [vendor.transmitter]


def test_to_close_without_a_block_changes_nothing(vendor: Vendor, emulator: Emulator) -> None:
    run(emulator)
    hal.Transmitter.open(vendor.transmitter, **emulator.resources, on_exit="safe").close()
    assert emits(vendor, emulator)


def test_a_failure_is_logged_and_raised_by_a_block_that_went_well(
    vendor: Vendor, emulator: Emulator, caplog: pytest.LogCaptureFixture
) -> None:
    with (
        pytest.raises(hal.TransportError) as raised,
        hal.Transmitter.open(
            vendor.transmitter, name="alice", timeout=patient(0.3), on_exit="safe", **emulator.resources
        ) as tx,
    ):
        emulator.unplug()
    emulator.replug()
    assert any("alice is not known to be in its safe state" in note for note in raised.value.__notes__)
    (record,) = [r for r in caplog.records if r.name == "tokaido.hal.device"]
    assert (record.levelno, record.getMessage().startswith("alice is not known")) == (logging.WARNING, True)
    with pytest.raises(hal.ClosedError):
        tx.state()


def test_a_failure_is_logged_and_hides_no_error_of_the_block(
    vendor: Vendor, emulator: Emulator, caplog: pytest.LogCaptureFixture
) -> None:
    def experiment() -> None:
        with hal.Transmitter.open(vendor.transmitter, timeout=patient(0.3), on_exit="safe", **emulator.resources):
            emulator.unplug()
            raise ValueError("the experiment")

    with pytest.raises(ValueError, match="the experiment"):
        experiment()
    emulator.replug()
    assert [record.levelno for record in caplog.records if record.name == "tokaido.hal.device"] == [logging.WARNING]


def test_another_word_is_refused_before_anything_is_opened(vendor: Vendor) -> None:
    with pytest.raises(hal.ConfigurationError, match='"safe" or "keep", not \'off\''):
        hal.Transmitter.open(vendor.transmitter, on_exit="off", control="serial:/dev/nowhere")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize(("on_exit", "after"), [("keep", True), ("safe", False)])
def test_the_asyncio_face_leaves_it_so_too(vendor: Vendor, emulator: Emulator, on_exit: Any, after: bool) -> None:
    run(emulator)

    async def work() -> None:
        async with hal.aio.open(hal.Device.open, vendor.transmitter, **emulator.resources, on_exit=on_exit):
            raise RuntimeError("the experiment")

    with pytest.raises(RuntimeError, match="the experiment"):
        asyncio.run(work())
    assert emits(vendor, emulator) is after


@pytest.mark.parametrize("first", ["the devices", "the bench"])
def test_devices_and_bench_may_be_closed_in_either_order(first: str) -> None:
    """Of a bench that is gone nobody knows whether its devices are safe: that is told within the deadline."""
    bench, block = Bench(), ExitStack()
    emulator = bench.device("voa", "keysight.attenuator")
    control = emulator.resources["control"]
    voa = block.enter_context(
        hal.VariableAttenuator.open("keysight.attenuator", control=control, timeout=patient(0.3), on_exit="safe")
    )
    voa.blocked = False
    start = time.monotonic()
    if first == "the devices":
        block.close()
        with hal.VariableAttenuator.open("keysight.attenuator", control=control) as again:
            assert again.blocked
        bench.close()
    else:
        bench.close()
        with pytest.raises(hal.TransportError):
            block.close()
    assert time.monotonic() - start < 5


@pytest.mark.parametrize("first", ["the station", "the bench"])
def test_station_and_bench_may_be_closed_in_either_order(first: str) -> None:
    bench = Bench()
    emulator = bench.device("voa", "keysight.attenuator")
    control = emulator.resources["control"]
    station = hal.Station.from_text(
        f'[devices.voa]\ndriver = "keysight.attenuator"\ntimeout = 0.3\ncontrol = "{control}"\n'
    )
    station.device("voa", hal.VariableAttenuator).blocked = False
    start = time.monotonic()
    if first == "the station":
        station.close()
        with hal.VariableAttenuator.open("keysight.attenuator", control=control) as again:
            assert again.blocked
        bench.close()
    else:
        bench.close()
        with pytest.raises(hal.TokaidoError, match="voa"):
            station.close()
    assert time.monotonic() - start < 5
