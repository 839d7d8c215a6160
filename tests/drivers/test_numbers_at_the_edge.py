"""Numbers where they enter, over all declared values of all drivers: a number goes in, anything else stays out."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from enum import Enum
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

import tokaido.hal as hal
from tokaido.emulators import launch
from tokaido.hal.driver import Measured, Setting, StreamTransport, Valued
from tokaido_testing.patience import patient

DRIVERS = tuple(entry.name for entry in hal.drivers() if entry.distribution == "tokaido")
OPTIONS: dict[str, dict[str, Any]] = {"polatis.matrix": {"product": "OST-8x8-LU1", "inputs": 8, "outputs": 8}}

FLOATS: tuple[Callable[[float], Any], ...] = (float, np.float64, np.longdouble)
NARROW: tuple[Callable[[float], Any], ...] = (np.float32, np.float16)
INTS: tuple[Callable[[int], Any], ...] = (int, np.int64, np.int32, np.uint64)
NO_NUMBERS = (True, np.bool_(True), "12", "1_2", None, 1j, np.array([1.0]), [1], object(), b"1")
NOT_FINITE = (float("nan"), float("inf"), np.float64("nan"), np.float32("-inf"), 10**400)


@contextmanager
def opened(driver: str) -> Iterator[tuple[hal.Device, list[str]]]:
    """A driver on its emulator, and what goes over its control port to the device."""
    sent: list[str] = []
    options = OPTIONS.get(driver, {})

    def note(record: hal.TraceRecord) -> None:
        if record.direction == ">":
            sent.append(record.text)

    with (
        launch(driver, **options) as box,
        hal.Device.open(driver, timeout=patient(1.0), trace=note, **box.resources) as device,
    ):
        yield device, sent


def settings(device: hal.Device) -> Iterator[tuple[str, Valued, Setting[Any]]]:
    for path in device.value_paths():
        owner, value = device.find(path)
        if isinstance(value, Setting):
            yield path, owner, value


def refused(owner: Valued, value: Setting[Any], to: Any, kind: type[hal.TokaidoError]) -> None:
    with pytest.raises(kind, match=value.name):
        setattr(owner, value.name, to)


@pytest.mark.parametrize("driver", DRIVERS)
def test_every_setting_of_every_driver_takes_every_kind_of_number_and_nothing_else(driver: str) -> None:
    with opened(driver) as (device, sent):
        for path, owner, value in settings(device):
            now = owner.read(value)
            del sent[:]
            if value.kind in (int, float):
                for wrong in NO_NUMBERS:
                    refused(owner, value, wrong, hal.ValueTypeError)
                for wrong in NOT_FINITE:
                    refused(owner, value, wrong, hal.RangeError)
            if value.kind is int:
                for fraction in (now + 0.5, np.float64(now + 0.5), Fraction(1, 3)):
                    refused(owner, value, fraction, hal.ValueTypeError)
            if value.kind is bool:
                for wrong in (0, 1, 1.0, "1", np.int64(1), None):
                    refused(owner, value, wrong, hal.ValueTypeError)
            if issubclass(value.kind, Enum):
                for wrong in (now.value, 1, None, True):
                    refused(owner, value, wrong, hal.ValueTypeError)
            assert sent == [], path
            given = {bool: (bool, np.bool_), int: (*INTS, float), float: (*FLOATS, *NARROW)}.get(value.kind, ())
            for kind in given:
                wanted = value.kind(str(kind(now))) if kind in NARROW else now
                lowest, highest = value.range or (-math.inf, math.inf)
                if isinstance(wanted, (int, float)) and not lowest <= wanted <= highest:
                    continue
                owner.write(value, wanted)
                as_usual = sent[-1]
                del sent[:]
                setattr(owner, value.name, kind(wanted))
                assert without_its_own(sent[-1]) == without_its_own(as_usual), (path, kind)
                got = owner.read(value)
                assert type(got) is value.kind, (path, kind)
            owner.write(value, now)


def without_its_own(line: str) -> str:
    """A line that was sent, without the number and the seal that every one of them has of its own."""
    if "\\xa2do" in line:  # TRN1, whose id and check come first
        return line.partition("\\xa2do")[2]
    return line.partition(";")[2] if line.startswith("SEAL?") else line.rpartition("*")[0].partition(" ")[2] or line


def test_a_sweep_by_linspace_arrives_whole() -> None:
    with opened("toshiba.transmitter") as (device, sent):
        transmitter = device
        assert isinstance(transmitter, hal.Transmitter)
        for asked in np.linspace(0.0, 60.0, 13):
            transmitter.attenuation = asked
            assert transmitter.attenuation == float(asked)
        for asked in np.linspace(0.1, 0.6, 6, dtype=np.float32):
            transmitter.decoy_probability = min(asked, 0.3)
        for asked in np.linspace(100_000, 2_000_000, 5):
            transmitter.block_bits = asked
            assert transmitter.block_bits == int(asked)
        for whole in np.arange(1, 4, dtype=np.int8):
            transmitter.attenuation = whole  # type: ignore[assignment]  # pyright: ignore[reportAttributeAccessIssue]
            assert transmitter.attenuation == int(whole)
        assert not [line for line in sent if "np." in line]


# --- arguments of commands --------------------------------------------------------------------------------------------

NO_PORTS = (3.5, np.float64(3.5), True, np.bool_(True), "3", None, float("nan"), 1j)


@pytest.mark.parametrize("wrong", NO_PORTS, ids=repr)
@pytest.mark.parametrize("driver", ["polatis.matrix", "dicon.selector", "thorlabs.osw"])
def test_a_port_that_is_no_whole_number_is_refused_before_a_byte_is_sent(driver: str, wrong: Any) -> None:
    with opened(driver) as (switch, sent):
        assert isinstance(switch, hal.OpticalSwitch)
        del sent[:]
        asked: list[Callable[[], object]] = [
            lambda: switch.connect(1, wrong),
            lambda: switch.connect(wrong, 1),
            lambda: switch.disconnect(wrong),
            lambda: switch.replace({1: wrong}),
            lambda: switch.replace({wrong: 1}),
            lambda: switch.reroute(connect={1: wrong}),
            lambda: switch.reroute(disconnect=[wrong]),
        ]
        if hal.SwitchCapability.PORT_STATES in switch.capabilities:
            asked.append(lambda: switch.set_port_enabled(hal.SwitchPort(hal.Side.OUTPUT, wrong), True))
        for ask in asked:
            with pytest.raises((hal.ValueTypeError, hal.RangeError)):
                ask()
        assert sent == []


def test_a_port_of_numpy_is_a_port() -> None:
    with opened("polatis.matrix") as (switch, sent):
        assert isinstance(switch, hal.OpticalSwitch)
        switch.connect(np.int64(1), np.uint8(3))  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
        switch.replace({np.int32(2): np.float64(4)})  # type: ignore[dict-item]  # pyright: ignore[reportArgumentType]
        assert switch.connections() == {2: 4}
        switch.set_port_enabled(hal.SwitchPort(hal.Side.OUTPUT, np.int64(4)), False)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
        switch.reroute(disconnect=np.array([2]))
        assert switch.connections() == {}
        assert not [line for line in sent if "np." in line or "." in line.partition("@")[2]]


NO_SECONDS = (True, "1", "1_0", None, 1j, np.array([1.0, 2.0]))


@pytest.mark.parametrize("wrong", NO_SECONDS, ids=repr)
@pytest.mark.parametrize("driver", ["toshiba.receiver", "nec.receiver"])
def test_a_time_or_token_that_is_no_number_is_refused_before_a_byte_is_sent(driver: str, wrong: Any) -> None:
    with opened(driver) as (unit, sent):
        assert isinstance(unit, hal.Unit)
        del sent[:]
        asked: list[Callable[[], object]] = [
            lambda: unit.set_watchdog(wrong),
            lambda: next(unit.key_blocks(wrong)),
            lambda: next(unit.telemetry_stream(wrong, 1)),
            lambda: next(unit.telemetry_stream(1, wrong)),
            lambda: unit.alarm_events(wrong),
            lambda: unit.wait_for(hal.UnitState.RUN, timeout=wrong),
            lambda: unit.wait_for(hal.UnitState.RUN, timeout=1, poll=wrong),
        ]
        if wrong is not None:
            asked += [
                lambda: next(unit.key_blocks(1, limit=wrong)),
                lambda: unit.select_link("", "", fencing_token=wrong),
                lambda: unit.transport.open(wrong),
                lambda: unit.transport.listen(wrong),
            ]
        for ask in asked:
            with pytest.raises(hal.ValueTypeError):
                ask()
        for fraction in (1.5, np.float64(1.5)):
            with pytest.raises(hal.ValueTypeError):
                unit.select_link("", "", fencing_token=fraction)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
            with pytest.raises(hal.ValueTypeError):
                next(unit.key_blocks(1, limit=fraction))  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
        assert sent == []


@pytest.mark.parametrize("driver", ["toshiba.receiver", "nec.receiver"])
def test_a_time_or_token_of_numpy_goes_out_as_a_plain_number(driver: str) -> None:
    with opened(driver) as (unit, sent):
        assert isinstance(unit, hal.Unit)
        unit.set_watchdog(np.float32(30.5))  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
        unit.set_watchdog(np.int64(0))  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
        assert unit.select_link("", "", fencing_token=np.int64(7)).fencing_token == 7  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
        assert unit.alarm_events(np.float64(0.01)) is not None
        assert list(unit.key_blocks(np.float32(0.01), limit=np.int8(1))) == []  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
        assert not [line for line in sent if "np." in line]


@pytest.mark.parametrize("wrong", [True, "1", None, 1j], ids=repr)
def test_a_timeout_that_is_no_number_opens_nothing(wrong: Any) -> None:
    with pytest.raises(hal.ValueTypeError, match="timeout"):
        hal.Device.open("toshiba.transmitter", control="serial:/dev/null", timeout=wrong)


# --- what devices say -------------------------------------------------------------------------------------------------

NO_TEXTS = (
    "1_2",
    "1_000",
    "\u0661\u0662",
    "\u00b2",
    "1 2",
    "0x10",
    "1e",
    "--1",
    "1,2",
    "\u00a012",
    "12\x0b",
    "1_0.5",
    "",
)


@pytest.mark.parametrize("driver", DRIVERS)
def test_no_declared_value_is_read_from_what_python_alone_takes_for_a_number(driver: str) -> None:
    with opened(driver) as (device, _):
        declared: list[Measured[Any]] = [device.find(path)[1] for path in device.value_paths()]
        asked = [query for query in device.queries().values() if query.kind in (int, float, bool)]
        for text in NO_TEXTS:
            for value in declared:
                if value.kind in (int, float, bool):
                    with pytest.raises(hal.ProtocolError):
                        value.decode(text)
            for query in asked:
                if query.field is None or "," not in text:
                    with pytest.raises(hal.ProtocolError):
                        query.decode(text if query.field is None else ",".join([text] * (query.field + 1)))


WIRES = {
    "toshiba.transmitter": ("VOA:ATT {}", "VOA:ATT?"),
    "nec.transmitter": ("SOUR:ATT {}", "SOUR:ATT?"),
    "polatis.matrix": ("*ESE {}", "*ESE?"),
    "dicon.selector": ("I1 {}", "I1?"),
    "thorlabs.osw": ("S {}", "S?"),
}


@pytest.mark.parametrize("text", ["1_2", "0x2", "1 2", "1_0.5", "nan", "inf", "2e", "--2"])
@pytest.mark.parametrize("driver", WIRES)
def test_an_emulated_box_takes_no_number_that_python_alone_takes(driver: str, text: str) -> None:
    order, question = WIRES[driver]
    with opened(driver) as (device, _):
        assert isinstance(device.transport, StreamTransport)
        before = device.transport.query(question)
        with suppress(hal.DeviceError):
            device.transport.command(order.format(text))
        assert device.transport.query(question) == before
