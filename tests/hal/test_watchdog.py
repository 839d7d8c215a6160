"""A watchdog that a driver set: renewed behind the exchanges that are made anyway, and by nobody else."""

from __future__ import annotations

import logging
from collections.abc import Callable

import pytest

import tokaido.hal as hal
from tokaido.hal.driver import WatchdogHolder
from tokaido_testing.toy_clock import ToyClock


class Unit:
    """Counts what it is ordered, and may answer badly."""

    def __init__(self) -> None:
        self.kept = 0
        self.fails: hal.TokaidoError | None = None

    def keep(self) -> None:
        self.kept += 1
        if self.fails is not None:
            raise self.fails

    def set(self) -> None:
        if self.fails is not None:
            raise self.fails


@pytest.fixture
def clock() -> ToyClock:
    return ToyClock()


@pytest.fixture
def unit() -> Unit:
    return Unit()


@pytest.fixture
def exchange(clock: ToyClock, unit: Unit) -> Callable[[float], int]:
    """Set 30 s; then let time pass, make an exchange, and tell how often it was renewed since the last one."""
    holder = WatchdogHolder(clock)
    holder.set(30, unit.set)

    def after(seconds: float) -> int:
        clock.wait(seconds)
        before = unit.kept
        holder.renew(unit.keep, "alice")
        return unit.kept - before

    after.holder = holder  # type: ignore[attr-defined]
    return after


def test_it_is_renewed_when_a_third_of_its_time_has_passed_and_not_before(exchange: Callable[[float], int]) -> None:
    assert [exchange(seconds) for seconds in (0, 9, 0.9, 0.2, 1, 8.9, 0.2)] == [0, 0, 0, 1, 0, 0, 1]


def test_a_lost_reply_is_tried_again_with_the_next_exchange(exchange: Callable[[float], int], unit: Unit) -> None:
    unit.fails = hal.DeviceTimeoutError("no reply")
    assert exchange(12) == 1
    unit.fails = None
    assert exchange(0.1) == 1
    assert exchange(0.1) == 0


def test_one_that_is_lost_is_told_once_and_left(
    exchange: Callable[[float], int], unit: Unit, caplog: pytest.LogCaptureFixture
) -> None:
    unit.fails = hal.RefusedError("00000001 holds the lease")
    with caplog.at_level(logging.WARNING, "tokaido.hal.watchdog"):
        assert [exchange(12) for _ in range(3)] == [1, 0, 0]
    assert [record.getMessage() for record in caplog.records] == [
        "alice: the watchdog is lost: 00000001 holds the lease"
    ]


def test_one_that_was_ended_is_renewed_no_more(exchange: Callable[[float], int], unit: Unit) -> None:
    exchange.holder.set(0, unit.set)  # type: ignore[attr-defined]
    assert exchange(100) == 0


def test_what_the_unit_refused_changes_nothing(exchange: Callable[[float], int], unit: Unit) -> None:
    unit.fails = hal.RefusedError("no")
    with pytest.raises(hal.RefusedError):
        exchange.holder.set(0, unit.set)  # type: ignore[attr-defined]
    unit.fails = None
    assert exchange(12) == 1


def test_one_whose_reply_was_lost_may_be_in_force_and_is_held(clock: ToyClock, unit: Unit) -> None:
    holder = WatchdogHolder(clock)
    unit.fails = hal.OutcomeUnknownError("no reply")
    with pytest.raises(hal.OutcomeUnknownError):
        holder.set(30, unit.set)
    unit.fails = None
    clock.wait(1)
    holder.renew(unit.keep, "alice")
    assert unit.kept == 1


def test_the_renewal_itself_renews_nothing(clock: ToyClock) -> None:
    """It is an exchange as well."""
    holder = WatchdogHolder(clock)
    holder.set(30, lambda: holder.renew(pytest.fail, "alice"))
    kept: list[int] = []

    def keep() -> None:
        kept.append(1)
        holder.renew(keep, "alice")

    clock.wait(11)
    holder.renew(keep, "alice")
    assert kept == [1]


def test_every_object_has_a_name_of_its_own() -> None:
    names = {WatchdogHolder(hal.SYSTEM_CLOCK).token for _ in range(50)}
    assert len(names) == 50
    assert all(len(name) == 8 and set(name) <= set("0123456789ABCDEF") for name in names)
