"""What a driver makes up: unlike any other program's in real use, and repeated by a seeded source in a test."""

from __future__ import annotations

import random
from typing import Any

import pytest

import tokaido.hal as hal
from tokaido.emulators import SteppedClock, launch

UNITS = [
    (driver, role)
    for vendor in ("toshiba", "nec")
    for driver, role in ((f"{vendor}.transmitter", hal.Transmitter), (f"{vendor}.receiver", hal.Receiver))
]


def said(driver: str, role: Any, times: int = 1, **options: Any) -> list[str]:
    """Return what `times` programs say to a unit, one after the other: on the wire, and what it calls them."""
    clock, records = SteppedClock(), list[str]()
    with launch(driver, clock=clock, seed=1, secrets="seeded") as unit:
        for _ in range(times):
            with role.open(
                driver, clock=clock, trace=lambda record: records.append(str(record)), **options, **unit.resources
            ) as device:
                device.set_watchdog(30)
                assert list(device.key_blocks(0)) == []
                channel = device._channel
                records.append(channel._host + getattr(channel, "_prefix", b"").hex())
                device.set_watchdog(0)
            clock.wait(120)  # the unit keeps what it offered for its host
    return records


@pytest.mark.parametrize(("driver", "role"), UNITS, ids=[name for name, _ in UNITS])
def test_a_seeded_source_repeats_every_byte_and_the_system_s_does_not(driver: str, role: Any) -> None:
    seeded = [said(driver, role, nonces=random.Random(7).randbytes) for _ in range(2)]
    assert seeded[0] == seeded[1]
    assert said(driver, role, nonces=random.Random(8).randbytes) != seeded[0]
    real = [said(driver, role) for _ in range(2)]
    assert set(real[0]).isdisjoint(line for line in real[1] if ">" in line)


def test_the_next_program_of_one_source_says_other_things() -> None:
    records = said("toshiba.receiver", hal.Receiver, times=2, nonces=random.Random(7).randbytes)
    sent = [line for line in records if ">" in line or "zmq" not in line]
    assert len(sent) == len(set(sent))


def test_a_driver_that_takes_no_source_is_opened_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    found = hal.load_driver("dicon.selector", hal.OpticalSwitch)

    class Old(found):  # type: ignore[misc, valid-type]
        def __init__(self, resources: Any, *, name: str, serial_number: str, timeout_s: float, clock: Any) -> None:
            super().__init__(resources, name=name, serial_number=serial_number, timeout_s=timeout_s, clock=clock)

    monkeypatch.setattr("tokaido.hal._registry.load_driver", lambda *_: Old)
    clock = SteppedClock()
    with (
        launch("dicon.selector", clock=clock) as box,
        hal.OpticalSwitch.open(
            "dicon.selector", clock=clock, nonces=random.Random(1).randbytes, **box.resources
        ) as switch,
    ):
        assert isinstance(switch, Old)
