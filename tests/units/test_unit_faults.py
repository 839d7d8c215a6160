"""The driver against a unit on a bad wire: the right value or a TokaidoError, nothing twice, and soon well again.

Every question has an answer of its own, so an answer to another question is seen as a wrong value.
"""

from __future__ import annotations

import itertools
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import cast

import pytest

import tokaido.hal as hal
from tokaido.emulators import Emulator, launch
from tokaido.emulators._fault_kinds import Direction
from tokaido.emulators.conformance._rig import side_by_side
from tokaido.emulators.conformance._suite import only_asks
from tokaido_testing.patience import in_time, patient
from tokaido_testing.unit_vendors import Vendor, wait_for_port

OVERRUN_S = 0.6  # of a shared machine; a call must keep its deadline
TIMEOUT_S = 0.4
HELD = 1.5
"""How long a fault holds things back, in deadlines of the driver."""

WAYS: dict[str, tuple[Direction, ...]] = {
    **dict.fromkeys(
        ("latency", "drop", "duplicate", "garble", "truncate", "split", "unplug", "hang", "endless"),
        ("to_unit", "from_unit"),
    ),
    **dict.fromkeys(("wrong_id", "alarm"), ("to_unit",)),
}
"""Kinds of fault at the control port, and on which ways they happen. The key channel's are the conformance suite's."""
LASTS_S = {"split": 0.05, "unplug": 0.6}
"""The same in s, where it does not go by the deadline."""


@contextmanager
def opened(vendor: Vendor, records: list[hal.TraceRecord] | None = None) -> Iterator[tuple[Emulator, hal.Transmitter]]:
    """Give a warm transmitter and its driver."""
    trace = None if records is None else records.append
    with (
        launch(vendor.transmitter, serial_number=vendor.serial_numbers[0], seed=3, warm=True) as emulator,
        hal.Transmitter.open(vendor.transmitter, timeout=patient(TIMEOUT_S), trace=trace, **emulator.resources) as tx,
    ):
        yield emulator, tx


def timed(device: hal.Device, call: Callable[[], object]) -> object:
    """Return what the call gives or the TokaidoError it raises; it must not outlast the device's deadline."""
    start = time.monotonic()
    result: object
    try:
        result = call()
    except hal.TokaidoError as error:
        result = error
    assert in_time(start, device.transport.timeout_s + OVERRUN_S)
    return result


def check(vendor: Vendor, name: str, result: object) -> bool:
    """Whether a reading came; a wrong one fails the test."""
    if isinstance(result, hal.TokaidoError):
        return False
    assert result == vendor.truth[name], f"a wrong value for {name}"
    return True


def recovers(ask: Callable[[], bool]) -> None:
    """After the fault has ended the second call at the latest succeeds, and so does every later one."""
    assert ask() or ask()
    assert ask()


@pytest.mark.parametrize("kind", WAYS)
def test_the_control_port_gives_the_right_value_or_an_error(vendor: Vendor, kind: str) -> None:
    side_by_side({way: partial(ask_under_a_fault, vendor, kind, way) for way in WAYS[kind]})


def ask_under_a_fault(vendor: Vendor, kind: str, direction: Direction) -> None:
    names = itertools.cycle(vendor.truth)

    def ask() -> bool:
        name = next(names)
        return check(vendor, name, timed(tx, lambda: getattr(tx, name)))

    with opened(vendor) as (emulator, tx):
        assert all(ask() for _ in range(3))
        seconds = LASTS_S.get(kind, HELD * tx.transport.timeout_s)
        fault = emulator.faults.add(kind, direction=direction, port="control", seconds=seconds, size=60_000)
        for _ in range(3):
            ask()
        assert fault.fired
        emulator.faults.clear()
        if kind == "unplug":
            wait_for_port(emulator)
        recovers(ask)


@pytest.mark.parametrize("kind", WAYS)
def test_no_command_is_carried_out_twice(vendor: Vendor, kind: str) -> None:
    side_by_side({way: partial(order_under_a_fault, vendor, kind, way) for way in WAYS[kind]})


def order_under_a_fault(vendor: Vendor, kind: str, direction: Direction) -> None:
    records: list[hal.TraceRecord] = []
    with opened(vendor, records) as (emulator, tx):
        done = spy_on_orders(emulator)
        sent: list[float] = []
        for number in range(4):
            value = 10 + number + 0.25
            sent.append(value)
            if number == 1:
                seconds = LASTS_S.get(kind, HELD * tx.transport.timeout_s)
                emulator.faults.add(kind, direction=direction, port="control", seconds=seconds, count=2, size=60_000)
            result = timed(tx, lambda value=value: setattr(tx, "attenuation", value))  # type: ignore[misc]
            if result is None:
                assert done["attenuation", value] == 1
            else:
                known = isinstance(result, hal.TransportError) and not isinstance(result, hal.OutcomeUnknownError)
                assert not known or done["attenuation", value] == 0, f"{type(result).__name__} after it was carried out"
        emulator.faults.clear()
        wait_for_port(emulator)
        timed(tx, lambda: tx.attenuation)
        assert tx.attenuation in (*sent, 35.0, *((60.0,) if kind == "alarm" else ()))
        assert all(count <= 1 for count in done.values()), done
        written = [record.text for record in records if record.direction == ">"]
        for value in sent:
            assert sum(vendor.attenuate.format(value) in text for text in written) <= 1, value


def spy_on_orders(emulator: Emulator) -> Counter[tuple[str, object]]:
    """Return the count of what is carried out from now on: settings by name and value, orders by name."""
    done: Counter[tuple[str, object]] = Counter()
    orders = emulator.model.orders  # type: ignore[attr-defined]
    put, obey, select_link = orders.set, orders.obey, orders.select_link

    def puts(name: str, value: object, *, called: str) -> None:
        put(name, value, called=called)
        done[name, value] += 1

    def obeys(name: str, **options: object) -> None:
        obey(name, **options)
        done[name, None] += 1

    def selects(link: object, fencing_token: int | None, *, called: str) -> None:
        select_link(link, fencing_token, called=called)
        done["link", link] += 1

    orders.set, orders.obey, orders.select_link = puts, obeys, selects
    return done


def test_two_threads_on_one_device_never_get_each_others_values(vendor: Vendor, tx: hal.Transmitter) -> None:
    wrong: list[str] = []
    tx.transport.timeout_s = 10.0  # each waits for its turn

    def hammer(offset: int) -> None:
        names = list(vendor.truth)
        for i in range(150):
            name = names[(i + offset) % len(names)]
            if getattr(tx, name) != vendor.truth[name]:
                wrong.append(name)

    threads = [threading.Thread(target=hammer, args=(3 * i,)) for i in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_another_box_on_the_same_port_is_refused_until_the_first_is_back(
    vendor: Vendor, emulator: Emulator, tx: hal.Transmitter
) -> None:
    right = vendor.truth["decoy_probability"]
    assert tx.decoy_probability == right
    fault = emulator.faults.add("wrong_id", direction="to_unit", port="control")
    results = [timed(tx, lambda: tx.decoy_probability) for _ in range(3)]
    assert all(isinstance(result, hal.TokaidoError) for result in results)
    assert isinstance(results[-1], hal.WrongDeviceError)
    assert vendor.serial_numbers[0] in str(results[-1])
    fault.remove()
    timed(tx, lambda: tx.decoy_probability)
    assert tx.decoy_probability == right


def test_a_receiver_is_no_transmitter(vendor: Vendor) -> None:
    with (
        launch(vendor.receiver, serial_number=vendor.serial_numbers[1]) as unit,
        pytest.raises(hal.WrongDeviceError, match=vendor.receiver_model),
        hal.Transmitter.open(vendor.transmitter, control=unit.resources["control"]),
    ):
        pass


def test_the_key_channel_of_another_unit_is_refused(vendor: Vendor, emulator: Emulator) -> None:
    other_serial = f"{vendor.serial_numbers[0][:-1]}2"
    with (
        cast("Emulator", launch(vendor.transmitter, serial_number=other_serial)) as other,
        hal.Transmitter.open(
            vendor.transmitter, control=emulator.resources["control"], keys=other.resources["keys"]
        ) as tx,
        pytest.raises(hal.WrongDeviceError, match=other_serial),
    ):
        list(tx.key_blocks(0))


def test_a_wrong_curve_key_is_an_authentication_error(vendor: Vendor, emulator: Emulator) -> None:
    with cast("Emulator", launch(vendor.transmitter, serial_number=f"{vendor.serial_numbers[0][:-1]}2")) as other:
        wrong_client = emulator.resources["keys"].partition("&")[0] + "&" + other.resources["keys"].partition("&")[2]
        with (
            hal.Transmitter.open(vendor.transmitter, control=emulator.resources["control"], keys=wrong_client) as tx,
            pytest.raises(hal.AuthenticationError),
        ):
            list(tx.key_blocks(0))


def test_opening_and_closing_changes_nothing_in_the_unit(vendor: Vendor, emulator: Emulator) -> None:
    before = snapshot_of_settings(emulator)
    done = spy_on_orders(emulator)
    records: list[hal.TraceRecord] = []
    with hal.Transmitter.open(vendor.transmitter, trace=records.append, **emulator.resources):
        pass
    written = [record.text for record in records if record.direction == ">"]
    assert written
    assert all(only_asks(text) for text in written)
    assert not done
    assert snapshot_of_settings(emulator) == before


def test_a_lost_unit_is_told_with_device_transport_command_time_and_remedy(
    vendor: Vendor, emulator: Emulator, tx: hal.Transmitter
) -> None:
    emulator.faults.add("hang", port="control", seconds=5)
    with pytest.raises(hal.DeviceTimeoutError) as caught:
        _ = tx.laser_temperature
    emulator.faults.clear()
    text, elapsed_s = str(caught.value), caught.value.elapsed_s
    assert elapsed_s is not None
    assert tx.transport.timeout_s <= elapsed_s < 5
    where = emulator.resources["control"].partition("?")[0]
    for part in (vendor.transmitter, where, vendor.laser_temperature, f"after {elapsed_s:.3f} s"):
        assert part in text
    assert caught.value.remedy


def snapshot_of_settings(emulator: Emulator) -> dict[str, object]:
    """All that can be set in the unit."""
    with emulator.lock:
        return dict(emulator.model.settings)  # type: ignore[attr-defined]
