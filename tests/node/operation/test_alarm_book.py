"""The alarms of a node: hold-off, latches, acknowledgement, and what outlives a restart."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tokaido.emulators.units import ALARMS
from tokaido.hal import ConfigurationError, RefusedError, Severity
from tokaido.node.core import AlarmCode, Clear, Raise
from tokaido.node.operation import AlarmBook, AlarmChange, Change, keep, to_do
from tokaido.node.store import SqliteStore, new_wrapping_key, wrapping_key_from_file
from tokaido.node.supervision import SupervisionAlarm
from tokaido_testing.toy_clock import ToyClock

if TYPE_CHECKING:
    from pathlib import Path

LOW = Raise("STOCK_LOW", Severity.WARNING, "koganei", "few keys are ready")
TAMPER = Raise("TAMPER", Severity.CRITICAL, "alice", "the cover was opened", latched=True)


class Told(list[AlarmChange]):
    def kinds(self) -> list[tuple[Change, str]]:
        return [(one.change, one.alarm.code) for one in self]


def book() -> tuple[AlarmBook, Told, ToyClock]:
    told, clock = Told(), ToyClock()
    return AlarmBook(told.append, clock=clock), told, clock


def wait(one: AlarmBook, clock: ToyClock, seconds: float) -> None:
    clock.wait(seconds)
    one.tick()


def test_an_alarm_is_told_when_its_cause_has_lasted_and_cleared_when_it_has_been_gone() -> None:
    one, told, clock = book()
    one.take(LOW)
    assert (one.standing(), told) == ((), [])
    assert one.wake_s == clock.monotonic_ns() / 1e9 + 2
    wait(one, clock, 2.1)
    assert told.kinds() == [(Change.RAISED, "STOCK_LOW")]
    assert one.standing()[0].raised_s == 1000
    one.take(Clear("STOCK_LOW", "koganei"))
    assert len(one.standing()) == 1
    wait(one, clock, 2.1)
    assert one.standing() == ()
    assert told.kinds()[1:] == [(Change.CLEARED, "STOCK_LOW")]


def test_a_clock_that_is_set_changes_neither_age_nor_order_of_alarms() -> None:
    one, _, clock = book()
    one.take(LOW)
    wait(one, clock, 2.1)
    clock.ahead_s = -36_000.0
    one.raise_("NEIGHBOUR_SILENT", Severity.WARNING, "koganei", "nothing was heard")
    wait(one, clock, 2.1)
    assert [alarm.code for alarm in one.standing()] == ["STOCK_LOW", "NEIGHBOUR_SILENT"]
    assert [alarm.began_s for alarm in one.standing()] == [1000.0, pytest.approx(1002.1)]
    assert one.standing()[1].raised_s == pytest.approx(1002.1 - 36_000)


def test_what_flutters_is_one_alarm_and_what_was_short_is_none() -> None:
    one, told, clock = book()
    one.take(LOW)
    wait(one, clock, 1)
    one.take(Clear("STOCK_LOW", "koganei"))
    wait(one, clock, 5)
    assert told == []
    one.take(LOW)
    wait(one, clock, 3)
    for _ in range(5):
        one.take(Clear("STOCK_LOW", "koganei"))
        wait(one, clock, 1)
        one.take(LOW)
        wait(one, clock, 1)
    assert told.kinds() == [(Change.RAISED, "STOCK_LOW")]
    assert one.standing()[0].times == 6


def test_a_critical_alarm_is_told_at_once_and_a_new_text_is_told() -> None:
    one, told, _ = book()
    one.take(TAMPER)
    one.take(TAMPER)
    one.take(Raise("TAMPER", Severity.CRITICAL, "alice", "and again", latched=True))
    assert told.kinds() == [(Change.RAISED, "TAMPER"), (Change.ALTERED, "TAMPER")]


def test_a_latched_alarm_stays_until_a_person_acknowledged_it_and_its_cause_is_gone() -> None:
    one, told, clock = book()
    one.take(TAMPER)
    one.take(Clear("TAMPER", "alice"))
    wait(one, clock, 1000)
    assert [(alarm.code, alarm.cleared_s is None) for alarm in one.standing()] == [("TAMPER", False)]
    one.acknowledge("TAMPER", "alice", by="ann", note="cleaning")
    assert one.standing() == ()
    assert told[-1].alarm.note == "cleaning"

    one.take(TAMPER)
    one.acknowledge("TAMPER", "alice", by="ann")
    one.acknowledge("TAMPER", "alice", by="bob")  # the first one stays
    assert one.standing()[0].acknowledged_by == "ann"
    one.take(Clear("TAMPER", "alice"))
    assert one.standing() == ()
    one.take(TAMPER)
    assert one.standing()[0].acknowledged_by == ""  # another one


def test_an_acknowledgement_needs_an_alarm_and_a_person() -> None:
    one, _, _ = book()
    with pytest.raises(ConfigurationError, match="There are: none"):
        one.acknowledge("TAMPER", "alice", by="ann")
    one.take(TAMPER)
    with pytest.raises(ConfigurationError, match="TAMPER of alice"):
        one.acknowledge("TAMPER", "bob", by="ann")
    with pytest.raises(RefusedError, match="somebody"):
        one.acknowledge("TAMPER", "alice", by="")


def test_the_worst_alarm_comes_first_and_one_that_is_acknowledged_after_its_like() -> None:
    one, _, clock = book()
    one.take(LOW)
    one.take(TAMPER)
    one.take(Raise("RNG_FAIL", Severity.CRITICAL, "bob", "it fails"))
    wait(one, clock, 3)
    one.acknowledge("TAMPER", "alice", by="ann")
    assert [alarm.code for alarm in one.standing()] == ["RNG_FAIL", "TAMPER", "STOCK_LOW"]


def test_more_alarms_than_can_be_kept_are_an_alarm() -> None:
    one, _, clock = book()
    for number in range(11_000):
        one.take(Raise("X", Severity.CRITICAL, str(number), "x"))
    wait(one, clock, 3)
    assert len(one.standing()) == 10_001
    assert {alarm.code for alarm in one.standing()} == {"X", "ALARMS_DROPPED"}
    for number in range(1000):
        one.take(Clear("X", str(number)))
    for _ in range(2):
        wait(one, clock, 3)
    assert {alarm.code for alarm in one.standing()} == {"X"}


def test_a_restart_forgets_what_may_have_ended_and_no_latched_alarm(tmp_path: Path) -> None:
    new_wrapping_key(tmp_path / "key")
    clock = ToyClock()
    with wrapping_key_from_file(tmp_path / "key") as key:
        store = SqliteStore.open(tmp_path / "store", key, create=True, clock=clock)
    try:
        one = AlarmBook(lambda change: keep(change, store.records), clock=clock)
        one.take(TAMPER)
        one.take(LOW)
        one.take(Raise("QBER_ABORT", Severity.CRITICAL, "alice", "a", latched=True))
        wait(one, clock, 3)
        one.acknowledge("QBER_ABORT", "alice", by="ann", note="seen")
        rows = store.records.alarms()
        assert {row.code for row in rows} == {"TAMPER", "STOCK_LOW", "QBER_ABORT"}

        clock.wait(100)
        two = AlarmBook(lambda change: keep(change, store.records), clock=clock)
        two.restore(rows)
        assert [(alarm.code, alarm.cleared_s is None) for alarm in two.standing()] == [("TAMPER", False)]
        assert [row.code for row in store.records.alarms()] == ["TAMPER"]
        two.acknowledge("TAMPER", "alice", by="ann")
        assert store.records.alarms() == ()
        [told] = [row for row in store.records.alarms(standing=False) if row.code == "QBER_ABORT"]
        assert (told.acknowledged_by, told.note) == ("ann", "seen")
    finally:
        store.close()


def test_every_alarm_says_what_a_person_does() -> None:
    unknown = to_do("NOBODY_KNOWS_IT")
    codes = {alarm.value[0] for alarm in AlarmCode} | {alarm.code for alarm in SupervisionAlarm} | set(ALARMS)
    assert len(codes) > 40
    assert [code for code in sorted(codes) if to_do(code) == unknown] == []
    assert all(len(to_do(code)) < 160 for code in codes)
