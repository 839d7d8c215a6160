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
