"""The supervisor of one end of a link, in virtual time, against a unit that fails in every way."""

from __future__ import annotations

from itertools import pairwise
from random import Random
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tokaido.hal import RUNNING, Alarm, KeyMaterial, Severity, UnitState
from tokaido.node.core import Clear, Raise, Tick
from tokaido.node.store import SqliteStore
from tokaido.node.supervision import (
    Align,
    BlockDrawn,
    ClearFault,
    Done,
    Draw,
    Failed,
    Hold,
    LinkEnd,
    Maintenance,
    Outcome,
    Phase,
    PowerOn,
    Reopen,
    Resume,
    SelectLink,
    Start,
    Stop,
    SupervisionSettings,
    Supervisor,
    SupervisorAction,
    SupervisorEvent,
    UnitOrder,
    UnitRead,
    Unreachable,
)
from tokaido_testing.toy_clock import ToyClock
from tokaido_testing.toy_unit import CAUSES, ToyUnit

if TYPE_CHECKING:
    from pathlib import Path

    from tokaido.hal import KeyBlock
    from tokaido.node.core import Fetch

SETTINGS = SupervisionSettings()
TAMPER = Alarm("TAMPER", Severity.CRITICAL, True, 1.0)
LOS = Alarm("LOS", Severity.MAJOR, False, 1.0)


def supervisor(of: SupervisionSettings = SETTINGS) -> Supervisor:
    return Supervisor("field", "alice", of, random=Random(1).random)


def read(state: UnitState, *alarms: Alarm, **more: object) -> UnitRead:
    return UnitRead(state, alarms, **more)  # type: ignore[arg-type]


def orders(actions: list[SupervisorAction]) -> list[SupervisorAction]:
    return [one for one in actions if not isinstance(one, (Draw, Raise, Clear))]


def raised(actions: list[SupervisorAction]) -> list[str]:
    return [one.code for one in actions if isinstance(one, Raise)]


def cleared(actions: list[SupervisorAction]) -> list[str]:
    return [one.code for one in actions if isinstance(one, Clear)]


def after(one: Supervisor, *events: tuple[float, SupervisorEvent]) -> list[SupervisorAction]:
    """Hand in events, and return what the last one led to."""
    actions: list[SupervisorAction] = []
    for now_s, event in events:
        actions = one.handle(event, now_s)
    return actions


def run(unit: ToyUnit, one: Supervisor, from_s: float, for_s: float, step_s: float = 1.0) -> list[SupervisorAction]:
    told: list[SupervisorAction] = []
    for number in range(round(for_s / step_s)):
        now_s = from_s + number * step_s
        told += unit.turn(one, now_s)
        if one.wake_s <= now_s + step_s:
            told += [action for action in one.handle(Tick(), now_s + step_s) if _reopens(unit, action)]
    return told


def _reopens(unit: ToyUnit, action: SupervisorAction) -> bool:
    if isinstance(action, Reopen):
        unit.reachable_again = True
    return True


# --- single steps -----------------------------------------------------------------------------------------------------


def test_a_unit_is_led_from_off_to_running_and_its_blocks_are_drawn() -> None:
    unit, one = ToyUnit(Random(1)), supervisor()
    told = run(unit, one, 0, 300)
    assert [type(order) for order in orders(told)] == [SelectLink, PowerOn, Start]
    assert unit.state in RUNNING
    assert unit.blocks > 5
    assert told.count(Draw(True)) == 1
    status = one.status(300)
    assert (status.phase, status.failures, status.attempts_within_an_hour) == (Phase.RUNNING, 0, 3)


def test_a_security_hold_is_left_to_people_and_nothing_is_drawn_meanwhile() -> None:
    one = supervisor()
    actions = after(one, (0, read(UnitState.RUN)), (1, read(UnitState.SECURITY_HOLD, TAMPER)))
    assert raised(actions) == ["TAMPER", "SECURITY_HOLD"]
    assert Draw(False) in actions
    assert all(one.latched for one in actions if isinstance(one, Raise))
    for now_s in range(2, 100_000, 100):
        assert orders(one.handle(read(UnitState.SECURITY_HOLD, TAMPER), now_s)) == []
    assert one.status(1e5).phase is Phase.NEEDS_A_PERSON
    actions = one.handle(read(UnitState.AUTH), 100_001)
    assert cleared(actions) == ["TAMPER", "SECURITY_HOLD"]
    assert Draw(True) in actions


def test_one_order_at_a_time_and_a_lost_answer_is_not_waited_for_for_ever() -> None:
    one = supervisor()
    assert orders(after(one, (0, read(UnitState.OFF)))) == [PowerOn()]
    for now_s in range(1, 120):
        assert orders(one.handle(read(UnitState.OFF), now_s)) == []
    assert orders(one.handle(read(UnitState.OFF), 121)) == []  # it failed: a pause
    assert orders(one.handle(read(UnitState.OFF), 130)) == [PowerOn()]


def test_an_order_without_effect_is_a_failure() -> None:
    one = supervisor()
    after(one, (0, read(UnitState.STANDBY)), (0.1, Done(Start())))
    assert orders(one.handle(read(UnitState.STANDBY), 5)) == []
    assert one.status(5).failures == 0
    one.handle(read(UnitState.STANDBY), 10)
    assert one.status(10).failures == 1


def test_pauses_grow_until_the_supervisor_gives_up_and_a_person_is_called() -> None:
    one = supervisor()
    times: list[float] = []
    codes: list[str] = []
    for now_s in range(30_000):
        for action in one.handle(read(UnitState.OFF), now_s):
            if isinstance(action, PowerOn):
                times.append(now_s)
                codes += raised(one.handle(Failed(action, Outcome.REFUSED, "no"), now_s))
    pauses = [b - a for a, b in pairwise(times)]
    assert len(times) > 10
    assert codes.count("GIVEN_UP") == len(times) - SETTINGS.give_up_after + 1  # its text counts on
    for number, pause_s in enumerate(pauses[: SETTINGS.give_up_after - 1]):
        shortest = min(SETTINGS.back_off_s * 2**number, SETTINGS.longest_back_off_s)
        assert shortest <= pause_s <= 1.2 * shortest + 1
    assert min(pauses[SETTINGS.give_up_after - 1 :]) >= SETTINGS.probe_s
    assert one.status(30_000).phase is Phase.NEEDS_A_PERSON
    actions = one.handle(Resume(), 30_000)
    assert cleared(actions) == ["GIVEN_UP"]
    assert orders(one.handle(read(UnitState.OFF), 30_001)) == [PowerOn()]


def test_the_reserve_of_authentication_key_is_for_people_to_spend() -> None:
    one, low = supervisor(), SETTINGS.reserve_bits + 1023
    actions = one.handle(read(UnitState.OFF, authentication_bits=SETTINGS.low_bits - 1), 0)
    assert raised(actions) == ["AUTH_KEY_LOW"]  # in time: there is enough for some more restarts
    assert orders(actions) == [PowerOn()]
    one = supervisor()
    actions = one.handle(read(UnitState.OFF, authentication_bits=low), 0)
    assert raised(actions) == ["AUTH_KEY_LOW", "AUTH_KEY_RESERVE"]
    for now_s in range(1, 100_000, 50):
        assert orders(one.handle(read(UnitState.OFF, authentication_bits=low), now_s)) == []
    assert "use-reserve" in one.status(1e5).why
    one.handle(Resume(use_reserve=True), 1e5)
    assert orders(one.handle(read(UnitState.OFF, authentication_bits=low), 100_001)) == [PowerOn()]
    one.handle(Done(PowerOn()), 100_001)
    assert orders(one.handle(read(UnitState.STANDBY, authentication_bits=low), 100_002)) == []  # once


def test_a_unit_that_a_person_stopped_is_left_alone_for_a_while() -> None:
    one = supervisor()
    actions = after(one, (0, read(UnitState.RUN)), (1, read(UnitState.STANDBY)))
    assert raised(actions) == ["STOPPED_BY_HAND"]
    for now_s in range(2, round(SETTINGS.hands_off_s)):
        assert orders(one.handle(read(UnitState.STANDBY), now_s)) == []
    assert one.status(100).phase is Phase.MAINTENANCE
    actions = one.handle(read(UnitState.STANDBY), SETTINGS.hands_off_s + 2)
    assert orders(actions) == [Start()]
    assert cleared(actions) == ["STOPPED_BY_HAND"]


def test_a_unit_that_lost_its_power_is_no_unit_that_a_person_stopped() -> None:
    one = supervisor()
    after(one, (0, read(UnitState.RUN, uptime_s=5000.0)), (1, read(UnitState.OFF, uptime_s=0.5)))
    assert orders(one.handle(read(UnitState.OFF, uptime_s=8.0), 8)) == [PowerOn()]


def test_a_unit_in_maintenance_gets_no_order_and_its_blocks_are_drawn() -> None:
    one = supervisor()
    actions = after(one, (0, read(UnitState.RUN)), (1, Maintenance(True, "ann")))
    assert raised(actions) == ["MAINTENANCE"]
    for now_s in range(2, 5000, 10):
        actions = one.handle(read(UnitState.STANDBY), now_s)
        assert orders(actions) == []
        assert Draw(False) not in actions
    assert "ann" in one.status(5000).why
    actions = one.handle(Maintenance(False), 5000)
    assert cleared(actions) == ["MAINTENANCE"]
    assert orders(one.handle(read(UnitState.STANDBY), 5001)) == [Start()]


def test_a_unit_that_a_move_holds_gets_no_order_and_is_started_when_it_is_given_back() -> None:
    one = supervisor()
    after(one, (0, read(UnitState.RUN)), (1, Hold("moving to B")))
    assert (one.status(1).phase, one.status(1).why) == (Phase.MOVING, "moving to B")
    for now_s, state in ((2, UnitState.RUN), (3, UnitState.STANDBY), (4, UnitState.AUTH), (500, UnitState.STANDBY)):
        actions = one.handle(read(state, wanted=("RX", "B"), selected=("RX", "A")), now_s)
        assert (orders(actions), raised(actions)) == ([], [])
        assert Draw(False) not in actions
    after(one, (501, Hold("")))
    assert orders(one.handle(read(UnitState.STANDBY), 502)) == [Start()]


def test_what_a_move_did_to_a_unit_is_no_failure_of_it() -> None:
    one = supervisor()
    after(one, (0, read(UnitState.STANDBY)))
    after(one, (1, Failed(Start(), Outcome.TAKEN, "node otemachi holds the lease")), (1, Hold("moving to B")))
    actions = after(one, (2, Hold("")), (3, read(UnitState.STANDBY)))
    assert orders(actions) == [Start()]
    assert one.attempts.failures == 0


def test_an_end_that_somebody_else_leased_is_in_maintenance_and_no_attempt_is_counted() -> None:
    one = supervisor()
    actions = after(one, (0, read(UnitState.STANDBY)), (0, Failed(Start(), Outcome.TAKEN, "bob holds the lease")))
    assert raised(actions) == ["MAINTENANCE"]
    assert one.status(1).attempts_within_an_hour == one.status(1).failures == 0
    assert orders(one.handle(read(UnitState.STANDBY), 20)) == []
    assert orders(one.handle(read(UnitState.STANDBY), 31)) == [Start()]


def test_a_missing_peer_costs_no_attempts_and_its_return_starts_the_unit_at_once() -> None:
    one = supervisor()
    after(one, (0, read(UnitState.STANDBY, LOS)), (0, Failed(Start(), Outcome.REFUSED, "no light")))
    given = [now_s for now_s in range(1, 20_000) if orders(one.handle(read(UnitState.STANDBY, LOS), now_s))]
    assert given == [3600, 7200, 10_800, 14_400, 18_000]
    one = supervisor()
    after(one, (0, read(UnitState.STANDBY)), (0, Failed(Start(), Outcome.REFUSED, "no")))
    for now_s in range(1, 3000):
        assert orders(one.handle(read(UnitState.STANDBY, LOS), now_s)) == []
    assert orders(one.handle(read(UnitState.STANDBY), 3001)) == [Start()]


def test_a_unit_that_runs_and_gives_no_block_is_aligned_again() -> None:
    one = supervisor()
    after(one, (0, read(UnitState.RUN)), (1, read(UnitState.RUN)))
    assert orders(one.handle(read(UnitState.RUN), 1 + SETTINGS.no_key_s - 1)) == []
    actions = one.handle(read(UnitState.RUN), 1 + SETTINGS.no_key_s)
    assert orders(actions) == [Stop()]
    assert raised(actions) == ["NO_BLOCKS"]
    after(one, (602, Done(Stop())), (603, read(UnitState.STANDBY)))
    assert orders(one.handle(read(UnitState.STANDBY), 610)) == [Align()]
    after(one, (611, Done(Align())), (612, read(UnitState.REALIGN)))
    assert orders(one.handle(read(UnitState.STANDBY), 660)) == [Start()]
    after(one, (661, Done(Start())), (662, read(UnitState.RUN)))
    assert cleared(one.handle(BlockDrawn(), 670)) == ["NO_BLOCKS"]


def test_a_full_key_store_of_the_unit_is_no_reason_to_align() -> None:
    one, full = supervisor(), Alarm("KEYSTORE_FULL", Severity.MAJOR, False, 1.0)
    for now_s in range(5000):
        assert orders(one.handle(read(UnitState.RUN, full), now_s)) == []


def test_a_silent_device_is_tried_at_growing_pauses_and_told_once() -> None:
    one, times, codes = supervisor(), [], []
    codes += raised(one.handle(Unreachable("gone"), 0))
    for now_s in range(1, 500):
        if now_s >= one.wake_s:
            assert Reopen() in one.handle(Tick(), now_s)
            times.append(now_s)
            codes += raised(one.handle(Unreachable("gone"), now_s))
    assert times[:6] == [1, 3, 7, 15, 31, 61]
    assert codes == ["NOT_ANSWERING"]
    assert one.status(500).phase is Phase.SILENT
    assert cleared(one.handle(read(UnitState.RUN), 500)) == ["NOT_ANSWERING"]


def test_a_unit_without_its_key_waits_for_a_person() -> None:
    one = supervisor()
    actions = one.handle(read(UnitState.OFF, preshared_key=False), 0)
    assert (orders(actions), raised(actions)) == ([], ["PRESHARED_KEY_MISSING"])
    assert orders(one.handle(read(UnitState.OFF), 1)) == [PowerOn()]


def test_a_set_up_that_takes_too_long_is_told() -> None:
    one = supervisor()
    codes = [code for now_s in range(0, 4000, 10) for code in raised(one.handle(read(UnitState.ALIGN), now_s))]
    assert codes == ["SETUP_SLOW"]
    assert cleared(one.handle(read(UnitState.STANDBY), 4001)) == ["SETUP_SLOW"]


def test_attempts_of_an_earlier_life_count() -> None:
    before = [1000.0 + number for number in range(SETTINGS.attempts_per_hour)]
    one = Supervisor("field", "alice", SETTINGS, random=Random(1).random, attempts=before)
    assert orders(one.handle(read(UnitState.OFF), 1100)) == []
    assert one.status(1100).until_s == 4600
    assert orders(one.handle(read(UnitState.OFF), 4600)) == [PowerOn()]
    assert one.attempts.times[-1] == 4600


def test_a_node_that_is_restarted_again_and_again_makes_no_more_attempts_than_allowed(
    tmp_path: Path,
) -> None:
    clock, unit = ToyClock(0.0), ToyUnit(Random(1), causes={"grumpy"})
    for life in range(120):
        store = SqliteStore.open(tmp_path / "store", KeyMaterial(bytes(32)), create=True, clock=clock)
        now_s = clock.monotonic_ns() / 1e9
        before = [now_s - ago_s for ago_s in store.records.attempts().get("alice", ())]
        one = Supervisor("field", "alice", SETTINGS, random=Random(life).random, attempts=before)
        while (now_s := clock.monotonic_ns() / 1e9) < (life + 1) * 60.0:
            unit.turn(one, now_s)
            store.records.set_attempts("alice", [now_s - at_s for at_s in one.attempts.times])
            clock.wait(10.0)
        store.close()
    assert len(unit.orders) >= 12
    check_orders(unit, SETTINGS)


def test_a_node_that_starts_nothing_watches_and_draws() -> None:
    one = supervisor(SupervisionSettings(start=False))
    actions = one.handle(read(UnitState.STANDBY), 0)
    assert (orders(actions), Draw(True) in actions) == ([], True)
    assert one.status(0).phase is Phase.WATCHING


class Nowhere:
    """What a link end needs of its node."""

    def __init__(self) -> None:
        self.alarms: list[str] = []

    def block_offered(self, end: LinkEnd, draw: int, block: KeyBlock) -> None: ...
    def not_fetched(self, end: LinkEnd, action: Fetch, why: str) -> None: ...
    def attempt(self, end: LinkEnd, order: UnitOrder) -> None: ...
    def alarm(self, action: Raise | Clear) -> None:
        self.alarms.append(action.code if isinstance(action, Raise) else f"no {action.code}")


def test_a_thread_that_hangs_is_told_although_it_tells_nothing() -> None:
    node, clock = Nowhere(), [0.0]
    end = LinkEnd(supervisor(), node, lambda: clock[0])
    end.hear(read(UnitState.RUN))
    told: list[tuple[float, str]] = []
    for now_s in range(400):
        clock[0] = float(now_s)
        end.look()
        told += [(now_s, code) for code in node.alarms]
        node.alarms.clear()
    assert told == [(242.0, "NOT_ANSWERING")]  # the second time that it is missed
    end.hear(read(UnitState.RUN))
    assert node.alarms == ["no NOT_ANSWERING"]
    slow = LinkEnd(supervisor(SupervisionSettings(longest_reopen_s=1000.0)), node, lambda: clock[0])
    assert slow.mute_s == 2000.0


# --- a week, and every cause ------------------------------------------------------------------------------------------


def check_orders(unit: ToyUnit, of: SupervisionSettings) -> None:
    """Never more attempts than allowed, none out of the reserve."""
    times = [now_s for now_s, order, _ in unit.orders if not isinstance(order, Stop)]
    for first, later in zip(times, times[of.attempts_per_hour :], strict=False):
        assert later - first >= 3600
    assert all(bits >= of.reserve_bits + 1024 for _, order, bits in unit.orders if not isinstance(order, Stop))


def live(unit: ToyUnit, one: Supervisor, random: Random, hours: int, step_s: float) -> float:
    """Let causes come and go for some hours, and people acknowledge within the hour; return when it is over."""
    for hour in range(hours):
        begin = hour * 3600.0
        if random.random() < 0.5:
            unit.causes = set()
        elif random.random() < 0.5:
            unit.causes.add(random.choice(CAUSES))
        if random.random() < 0.1:
            unit.cut_power(begin)
        if random.random() < 0.1 and unit.state in RUNNING:
            unit.enter(UnitState.STANDBY, begin)  # by hand
        if "security" not in unit.causes:
            unit.acknowledge(begin)
        run(unit, one, begin, 3600, step_s)
    return hours * 3600.0


@pytest.mark.parametrize("seed", range(3))
def test_a_week_of_every_failure_never_costs_more_than_is_allowed_and_ends_in_keys(seed: int) -> None:
    random = Random(seed)
    of = SupervisionSettings(poll_s=10.0)
    unit, one = ToyUnit(Random(seed)), supervisor(of)
    end_s = live(unit, one, random, 7 * 24, 10.0)
    assert {type(order) for _, order, _ in unit.orders} == {PowerOn, Start, Align, Stop, SelectLink, ClearFault}
    come_back(unit, one, of, end_s)


def come_back(unit: ToyUnit, one: Supervisor, of: SupervisionSettings, end_s: float) -> None:
    check_orders(unit, of)
    unit.causes = set()
    unit.acknowledge(end_s)
    unit.bits = max(unit.bits, of.reserve_bits + 8192)  # where only the reserve is left, a person loads a key
    before = unit.blocks
    run(unit, one, end_s, 1.2 * of.probe_s + 3600 + of.no_key_s + 600, 10.0)
    assert unit.state in RUNNING
    assert unit.blocks > before + 10
    check_orders(unit, of)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**32), hours=st.integers(1, 12), bits=st.integers(16384, 32512))
def test_it_always_comes_back(seed: int, hours: int, bits: int) -> None:
    of = SupervisionSettings(poll_s=20.0)
    unit, one = ToyUnit(Random(seed), bits=bits), supervisor(of)
    come_back(unit, one, of, live(unit, one, Random(seed), hours, 20.0))
