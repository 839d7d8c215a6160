"""A device that hangs costs one deadline, whatever it is asked for, and is never an empty success."""

from __future__ import annotations

import math
import time

import pytest

import tokaido.hal as hal
from tokaido.emulators import launch
from tokaido_testing.patience import in_time

TIMEOUT_S = 0.4
DRIVERS = [entry.name for entry in hal.drivers()]


@pytest.mark.parametrize("driver", DRIVERS)
def test_a_hung_device_costs_one_deadline(driver: str) -> None:
    with (
        launch(driver, seed=1) as emulator,
        hal.Device.open(driver, timeout=TIMEOUT_S, control=emulator.resources["control"]) as device,
    ):
        assert device.snapshot()["errors"] == []
        emulator.faults.add("hang", direction="to_unit", port="control", seconds=math.inf)
        began_s = time.monotonic()
        record = device.snapshot()
        assert in_time(began_s, 2 * TIMEOUT_S)
        assert len(record["errors"]) == 1, record["errors"]
        assert "nothing more was asked" in record["errors"][0]
        began_s = time.monotonic()
        with pytest.raises(hal.TransportError):
            device.telemetry()
        assert in_time(began_s, 2 * TIMEOUT_S)


@pytest.mark.parametrize("wire_end", ["tcp", "hislip", "visa"])
def test_openings_that_failed_leave_no_reply_to_the_next(wire_end: str) -> None:
    """A connection takes along what is on its way; the in-process one kept it, and was out of step ever after."""
    with launch("keysight.attenuator", wire_end=wire_end, seed=1) as emulator:
        hang = emulator.faults.add("hang", direction="to_unit", port="control", seconds=math.inf)
        for _ in range(2):
            with pytest.raises(hal.TransportError):
                hal.Device.open("keysight.attenuator", timeout=0.2, control=emulator.resources["control"])
        hang.remove()
        for _ in range(3):
            with hal.Device.open("keysight.attenuator", control=emulator.resources["control"]) as device:
                assert device.identity().model == "N7761A"
