"""The table of locks of HiSLIP (IVI-6.1, 2.6, 6.5 and table 22; numbers as in revision 2.0)."""

from __future__ import annotations

import pytest

from tokaido.emulators.ends.hislip import LockResult, Locks

# Table 22: who asks for what in which state, what comes of it, and the state afterwards. Client 1 has the exclusive
# lock where there is one, clients 1 and 2 have the shared one where there is one; 3 has the right key, 4 a wrong one.
UNLOCKED, EXCLUSIVE, SHARED, BOTH = (False, 0), (True, 1), (False, 2), (True, 2)
S, F, R, E = LockResult.SUCCESS, None, LockResult.SHARED_RELEASED, LockResult.ERROR
TABLE_22 = [
    (UNLOCKED, 3, "shared", S, (False, 1)),
    (UNLOCKED, 3, "exclusive", S, EXCLUSIVE),
    (UNLOCKED, 3, "release", E, UNLOCKED),
    (EXCLUSIVE, 1, "shared", E, EXCLUSIVE),
    (EXCLUSIVE, 3, "shared", F, EXCLUSIVE),
    (EXCLUSIVE, 3, "exclusive", F, EXCLUSIVE),
    (EXCLUSIVE, 1, "exclusive", E, EXCLUSIVE),
    (EXCLUSIVE, 1, "release", S, UNLOCKED),
    (EXCLUSIVE, 3, "release", E, EXCLUSIVE),
    (SHARED, 1, "shared", E, SHARED),
    (SHARED, 3, "shared", S, (False, 3)),
    (SHARED, 4, "shared", F, SHARED),
    (SHARED, 1, "exclusive", S, BOTH),
    (SHARED, 3, "exclusive", F, SHARED),
    (SHARED, 1, "release", R, (False, 1)),
    (SHARED, 3, "release", E, SHARED),
    (BOTH, 1, "shared", E, BOTH),
    (BOTH, 2, "shared", E, BOTH),
    (BOTH, 3, "shared", S, (True, 3)),
    (BOTH, 4, "shared", F, BOTH),
    (BOTH, 2, "exclusive", F, BOTH),
    (BOTH, 3, "exclusive", F, BOTH),
    (BOTH, 1, "exclusive", E, BOTH),
    (BOTH, 1, "release", S, SHARED),
    (BOTH, 2, "release", R, (True, 1)),
    (BOTH, 3, "release", E, BOTH),
]


@pytest.mark.parametrize(("state", "who", "what", "result", "after"), TABLE_22)
def test_each_row_of_the_table_of_locks(
    state: tuple[bool, int], who: int, what: str, result: LockResult | None, after: tuple[bool, int]
) -> None:  # 2.6, 6.5, table 22
    locks = Locks()
    if state in (SHARED, BOTH):
        for client in (1, 2):
            assert locks.request(client, "team", 0, 0) is S
    if state in (EXCLUSIVE, BOTH):
        assert locks.request(1, "", 0, 0) is S
    assert (locks.exclusive, locks.holders) == state
    if what == "release":
        assert locks.release(who) is result
    else:
        key = {"exclusive": "", "shared": "rest" if who == 4 else "team"}[what]
        assert locks.request(who, key, 0, 10) is result  # None: it waits, and fails when the time is over
        if result is None:
            assert locks.settle(10) == [(who, LockResult.FAILURE)]
    assert (locks.exclusive, locks.holders) == after


def test_the_last_holder_of_a_shared_lock_leaves_it_open() -> None:  # table 22
    locks = Locks()
    assert locks.request(1, "team", 0, 0) is S
    assert locks.release(1) is R
    assert locks.request(2, "rest", 0, 0) is S


def test_locks_admit_those_who_hold_them() -> None:  # 2.6
    locks = Locks()
    assert [locks.admits(client) for client in (1, 2, 3)] == [True, True, True]
    for client in (1, 2):
        locks.request(client, "team", 0, 0)
    assert [locks.admits(client) for client in (1, 2, 3)] == [True, True, False]
    locks.request(1, "", 0, 0)
    assert [locks.admits(client) for client in (1, 2, 3)] == [True, False, False]


def test_who_waits_is_served_in_turn_and_asks_once() -> None:  # 6.5
    locks = Locks()
    assert locks.request(1, "", 0, 0) is LockResult.SUCCESS
    assert locks.request(3, "", 0, 10) is None
    assert locks.request(2, "", 0, 20) is None
    assert locks.request(3, "", 0, 10) is LockResult.ERROR
    assert locks.next_deadline_ns() == 10
    locks.forget(1)
    assert locks.settle(5) == [(3, LockResult.SUCCESS)]
    locks.forget(3)
    assert locks.settle(5) == [(2, LockResult.SUCCESS)]
