"""One word for a QKD link, as ETSI GS QKD 015 has it: what each pair of states comes to."""

from __future__ import annotations

import itertools
from types import SimpleNamespace
from typing import Any

import pytest

import tokaido.hal as hal
from tokaido.hal import LinkStatus, UnitState

S = UnitState


@pytest.mark.parametrize(
    ("transmitter", "receiver", "with_keys", "without"),
    [
        (S.RUN, S.RUN, LinkStatus.ACTIVE, LinkStatus.ACTIVE),
        (S.TRACK, S.DEGRADED, LinkStatus.ACTIVE, LinkStatus.ACTIVE),
        (S.RUN, S.REALIGN, LinkStatus.PASSIVE, LinkStatus.PENDING),
        (S.STANDBY, S.STANDBY, LinkStatus.PASSIVE, LinkStatus.PENDING),
        (S.AUTH, S.WARMUP, LinkStatus.PASSIVE, LinkStatus.PENDING),
        (S.RUN, S.OFF, LinkStatus.PASSIVE, LinkStatus.OFF),
        (S.STANDBY, S.SECURITY_HOLD, LinkStatus.PASSIVE, LinkStatus.OFF),
        (S.FAULT, S.STANDBY, LinkStatus.PASSIVE, LinkStatus.OFF),
        (S.OFF, S.OFF, LinkStatus.PASSIVE, LinkStatus.OFF),
    ],
)
def test_states_of_the_units_come_to_one_status(
    transmitter: UnitState, receiver: UnitState, with_keys: LinkStatus, without: LinkStatus
) -> None:
    assert LinkStatus.of(transmitter, receiver, keys_left=True) is with_keys
    assert LinkStatus.of(transmitter, receiver, keys_left=False) is without


def test_it_does_not_matter_which_end_is_which() -> None:
    for one, other in itertools.product(UnitState, UnitState):
        for keys_left in (False, True):
            status = LinkStatus.of(one, other, keys_left=keys_left)
            assert status is LinkStatus.of(other, one, keys_left=keys_left)
            assert (status is LinkStatus.ACTIVE) == ({one, other} <= hal.RUNNING)


def test_a_link_asks_both_of_its_units() -> None:
    transmitter: Any = SimpleNamespace(name="a", state=lambda: UnitState.RUN)
    receiver: Any = SimpleNamespace(name="b", state=lambda: UnitState.ALIGN)
    link = hal.Link(hal.LinkEntry("field", "a", "b"), transmitter, receiver, {})
    assert link.status(keys_left=False) is LinkStatus.PENDING
    assert link.status(keys_left=True) is LinkStatus.PASSIVE
