"""A reading tells when its value was measured, and the limits themselves are good values."""

from __future__ import annotations

import math

import pytest

from tokaido.hal import LimitStatus, Quality, Reading
from tokaido_testing.toy_clock import ToyClock
from tokaido_testing.toys import Toy

INSIDE, OPERATIONAL, ABSOLUTE = (
    LimitStatus.INSIDE,
    LimitStatus.OUTSIDE_OPERATIONAL,
    LimitStatus.OUTSIDE_ABSOLUTE,
)


@pytest.mark.parametrize(("told", "age_ns"), [("-0.5", 0), ("-0.5@30", 30_000_000_000), ("-0.5@0.25", 250_000_000)])
def test_a_reading_is_as_old_as_the_device_says(told: str, age_ns: int) -> None:
    toy = Toy({"POW": told})
    toy._clock = ToyClock(start_s=1_000_000)
    reading = toy.telemetry()[Toy.power]
    assert reading.utc_ns == 1_000_000 * 10**9 - age_ns
    assert reading.age_s == age_ns / 1e9
    assert reading.quality is (Quality.STALE if age_ns > 10e9 else Quality.GOOD)


def test_exactly_as_old_as_it_may_be_is_not_stale() -> None:
    assert Toy({"POW": "-0.5@10"}).telemetry()[Toy.power].quality is Quality.GOOD
    assert Toy({"POW": "-0.5@10.001"}).telemetry()[Toy.power].quality is Quality.STALE


def reading(value: float, *, operational: bool = True, absolute: bool = True) -> Reading[float]:
    return Reading(
        value=value,
        unit="dBm",
        utc_ns=0,
        age_s=0.0,
        quality=Quality.GOOD,
        operational=(-3, 1) if operational else None,
        absolute=(-6, 3) if absolute else None,
    )


@pytest.mark.parametrize(
    ("value", "status"),
    [
        (-3.0, INSIDE),
        (1.0, INSIDE),
        (math.nextafter(-3.0, -9), OPERATIONAL),
        (math.nextafter(1.0, 9), OPERATIONAL),
        (-6.0, OPERATIONAL),
        (3.0, OPERATIONAL),
        (math.nextafter(-6.0, -9), ABSOLUTE),
        (math.nextafter(3.0, 9), ABSOLUTE),
    ],
)
def test_a_value_at_a_limit_is_within_it(value: float, status: LimitStatus) -> None:
    assert reading(value).limit_status is status
    assert Toy({"POW": repr(value)}).telemetry()[Toy.power].limit_status is status


@pytest.mark.parametrize("edge", [-3.0, 1.0])
def test_operational_limits_alone_hold_their_edges_too(edge: float) -> None:
    assert reading(edge, absolute=False).limit_status is INSIDE


@pytest.mark.parametrize("edge", [-6.0, 3.0])
def test_absolute_limits_alone_hold_their_edges_too(edge: float) -> None:
    assert reading(edge, operational=False).limit_status is INSIDE
