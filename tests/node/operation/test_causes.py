"""One cause and what follows from it: which alarm stands under which, who is called, and what is left when it ends."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import msgspec
import pytest

from tokaido.hal import SYSTEM_CLOCK, Deadline, ProgramHook, Severity
from tokaido.node.core import Clear, Raise
from tokaido.node.operation import (
    CONSEQUENCES,
    AlarmBook,
    AlarmChange,
    Callout,
    Change,
    Events,
    Places,
    StoreLine,
    causes_of,
    survey,
    to_do,
)
from tokaido.node.operation.metrics import openmetrics
from tokaido_testing.toy_clock import ToyClock

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tokaido.node.operation import NodeStatus

PLACES = Places(
    links={"alice": "east", "bob": "west"},
    neighbours={"east": "otsu", "west": "nagoya"},
    ways={"kobe": "otsu", "tokyo": "nagoya"},
)
LOS = Raise("LOS", Severity.MAJOR, "bob", "no clock light")
OF_THE_CUT = (
    Raise("SYNC_LOSS", Severity.MAJOR, "bob", "the clock is not locked"),
    Raise("QBER_HIGH", Severity.MINOR, "bob", "the error rate is high"),
    Raise("NO_KEY", Severity.WARNING, "bob", "too few"),
    Raise("NO_BLOCKS", Severity.MAJOR, "west", "no block came"),
    Raise("STOCK_LOW", Severity.WARNING, "nagoya", "3 keys are ready"),
    Raise("STOCK_LOW", Severity.WARNING, "tokyo", "2 keys are ready"),
    Raise("RELAY_FAILED", Severity.MAJOR, "tokyo", "relays fail"),
)
OTHERS = (
    Raise("QBER_HIGH", Severity.MINOR, "alice", "the error rate is high"),
    Raise("STOCK_LOW", Severity.WARNING, "otsu", "3 keys are ready"),
    Raise("STOCK_LOW", Severity.WARNING, "kobe", "3 keys are ready"),
    Raise("NEIGHBOUR_SILENT", Severity.MAJOR, "nagoya", "nothing was heard"),
    Raise("QBER_ABORT", Severity.CRITICAL, "bob", "the error rate leaves no key", latched=True),
    Raise("NOT_ANSWERING", Severity.MAJOR, "switch", "no reply"),
)
OWN = {(one.code, one.of) for one in OTHERS}


class Desk:
    """A book of alarms in time that a test lets pass, and what was told."""

    def __init__(self) -> None:
        self.clock = ToyClock()
        self.told: list[AlarmChange] = []
        self.also: Callable[[AlarmChange], object] = lambda _: None
        self.events = Events("run", clock=self.clock)
        self.book = AlarmBook(self._tell, clock=self.clock, relate=lambda alarms: causes_of(alarms, PLACES))

    def _tell(self, change: AlarmChange) -> None:
        self.told.append(change)
        self.also(change)
        self.events.changed(change)

    def take(self, *actions: Raise | Clear, wait_s: float = 3.0) -> None:
        for action in actions:
            self.book.take(action)
        self.clock.wait(wait_s)
        self.book.tick()

    def causes(self) -> dict[tuple[str, str], tuple[str, str] | None]:
        return {alarm.name: alarm.cause for alarm in self.book.standing()}

    def status(self) -> NodeStatus:
        age_s = self.clock.monotonic_ns() / 1e9
        return survey(
            node="maibara",
            utc_s=self.clock.utc_ns() / 1e9,
            age_s=age_s,
            up_s=age_s,
            keys=None,
            store=StoreLine(open=True),
            ends=(),
            applications={},
            alarms=self.book.standing(),
        )


@pytest.mark.parametrize("order", [1, -1], ids=["cause first", "cause last"])
def test_a_cut_fibre_is_one_loss_of_signal_with_all_that_follows_under_it(order: int) -> None:
    desk = Desk()
    desk.take(*(LOS, *OF_THE_CUT)[::order])
    assert desk.causes() == {("LOS", "bob"): None} | {(one.code, one.of): ("LOS", "bob") for one in OF_THE_CUT}
    assert desk.book.standing()[0].code == "LOS"


def test_only_what_hangs_together_stands_together_and_no_security_alarm_under_another() -> None:
    desk = Desk()
    desk.take(LOS, *OF_THE_CUT[:4], *OTHERS)
    causes = desk.causes()
    assert {name for name, cause in causes.items() if cause is None} == OWN - {
        ("STOCK_LOW", "otsu"),
        ("STOCK_LOW", "kobe"),
    } | {("LOS", "bob")}
    assert causes["STOCK_LOW", "otsu"] == causes["STOCK_LOW", "kobe"] == ("QBER_HIGH", "alice")  # the other link


def test_consequences_that_stay_when_the_cause_ends_are_causes_of_their_own() -> None:
    desk = Desk()
    desk.take(LOS, *OF_THE_CUT)
    desk.take(Clear("SYNC_LOSS", "bob"), Clear("QBER_HIGH", "bob"), Clear("LOS", "bob"), wait_s=1.0)
    assert desk.causes()["NO_KEY", "bob"] == ("LOS", "bob")  # the hold-off lasts
    told = len(desk.told)
    desk.take(wait_s=1.5)
    assert desk.causes() == {
        ("NO_KEY", "bob"): None,
        ("NO_BLOCKS", "west"): ("NO_KEY", "bob"),
        ("RELAY_FAILED", "tokyo"): ("NO_KEY", "bob"),
        ("STOCK_LOW", "nagoya"): ("NO_KEY", "bob"),
        ("STOCK_LOW", "tokyo"): ("NO_KEY", "bob"),
    }
    altered = [one.alarm.name for one in desk.told[told:] if one.change is Change.ALTERED]
    assert sorted(altered) == sorted(desk.causes())  # each is told once
    desk.take(Clear("NO_KEY", "bob"), Clear("NO_BLOCKS", "west"), Clear("RELAY_FAILED", "tokyo"))
    assert desk.causes() == {("STOCK_LOW", "nagoya"): None, ("STOCK_LOW", "tokyo"): None}


def test_an_alarm_that_is_older_than_the_cause_has_another_one() -> None:
    desk = Desk()
    desk.take(OF_THE_CUT[4], wait_s=29.0)
    desk.take(LOS)
    assert desk.causes()["STOCK_LOW", "nagoya"] == ("LOS", "bob")
    desk = Desk()
    desk.take(OF_THE_CUT[4], wait_s=31.0)
    desk.take(LOS, OF_THE_CUT[5])
    assert desk.causes()["STOCK_LOW", "nagoya"] is None
    assert desk.causes()["STOCK_LOW", "tokyo"] == ("LOS", "bob")


def test_one_that_turns_critical_is_a_consequence_no_more() -> None:
    desk = Desk()
    desk.take(LOS, OF_THE_CUT[3])
    assert desk.causes()["NO_BLOCKS", "west"] == ("LOS", "bob")
    desk.take(Raise("NO_BLOCKS", Severity.CRITICAL, "west", "it is worse"))
    assert desk.causes()["NO_BLOCKS", "west"] is None


def test_work_at_a_link_is_the_cause_of_all_that_it_does_to_it() -> None:
    desk = Desk()
    desk.take(Raise("MAINTENANCE", Severity.WARNING, "west", "ann took the unit"))
    desk.take(LOS, *OF_THE_CUT)
    assert {cause for name, cause in desk.causes().items() if name[0] != "MAINTENANCE"} == {("MAINTENANCE", "west")}


def test_no_alarm_follows_from_itself_and_all_are_known() -> None:
    def after(code: str, seen: tuple[str, ...]) -> None:
        assert code not in seen, seen
        for one in CONSEQUENCES.get(code, ()):
            after(one, (*seen, code))

    for code, consequences in CONSEQUENCES.items():
        after(code, ())
        for one in {code, *consequences}:
            assert to_do(one) != to_do("NOBODY_KNOWS_IT"), one


def test_the_status_tells_the_cause_and_what_follows() -> None:
    desk = Desk()
    desk.take(LOS, *OF_THE_CUT)
    status = desk.status()
    assert status.alarms[0].code == "LOS"
    assert {(one.cause, one.cause_of) for one in status.alarms[1:]} == {("LOS", "bob")}
    desk = Desk()
    minor = Raise("QBER_HIGH", Severity.MINOR, "bob", "the error rate is high")
    desk.take(minor, OF_THE_CUT[3])
    desk.take(Raise("NEIGHBOUR_SILENT", Severity.MAJOR, "otsu", "nothing was heard"))
    status = desk.status()  # a minor cause of a major consequence is what a person begins with
    assert [one.code for one in status.alarms] == ["QBER_HIGH", "NO_BLOCKS", "NEIGHBOUR_SILENT"]
    text = openmetrics(status).decode()
    assert re.search(r'tokaido_alarm{acknowledged="no",cause="QBER_HIGH of bob",code="NO_BLOCKS",of="west"', text)
    assert re.search(r'tokaido_alarm{acknowledged="no",cause="",code="QBER_HIGH",of="bob"', text)


def test_events_tell_the_cause() -> None:
    desk = Desk()
    desk.take(LOS, OF_THE_CUT[3])
    events, _ = desk.events.since(0, 100)
    assert [(one.kind, one.code, one.cause, one.cause_of) for one in events] == [
        ("raised", "LOS", msgspec.UNSET, msgspec.UNSET),
        ("raised", "NO_BLOCKS", "LOS", "bob"),
    ]


def test_people_are_called_for_causes_and_for_what_stays_behind(tmp_path: Path) -> None:
    desk = Desk()
    callout = Callout("maibara", [ProgramHook(["/bin/sh", "-c", f"cat >> {tmp_path / 'told'}"])], clock=desk.clock)
    desk.also = callout.changed
    desk.take(LOS, *OF_THE_CUT)
    desk.take(Clear("LOS", "bob"), *(Clear(one.code, one.of) for one in OF_THE_CUT[:2]))
    for _ in range(5):
        desk.take(wait_s=11.0)
        callout.tick()
    desk.take(*(Clear(one.code, one.of) for one in OF_THE_CUT[2:-1]))  # within a minute: nobody is called for them
    for _ in range(5):
        desk.take(wait_s=13.0)
        callout.tick()
    desk.take(Clear("RELAY_FAILED", "tokyo"))
    callout.end()
    deadline = Deadline(SYSTEM_CLOCK, 20)
    while True:
        text = (tmp_path / "told").read_text(encoding="utf-8") if (tmp_path / "told").exists() else ""
        if text.count("\n") >= 4:
            break
        assert not deadline.passed, text
        SYSTEM_CLOCK.wait(0.02)
    assert [(one["code"], one["device"], one["raised"]) for one in map(json.loads, text.splitlines())] == [
        ("LOS", "bob", True),
        ("LOS", "bob", False),
        ("RELAY_FAILED", "tokyo", True),
        ("RELAY_FAILED", "tokyo", False),
    ]
