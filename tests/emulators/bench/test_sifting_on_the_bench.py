"""On the bench nothing is told of a block before its last pulse was sent, whatever its steps are."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import pytest

from tokaido_testing.bench import Yard
from tokaido_testing.distillation import messages

if TYPE_CHECKING:
    from collections.abc import Iterable

STEP_NS = 5_000_000


class Listener:
    """Hears every message between alice and bob, and counts the pulses that were sent when it was on its way."""

    def __init__(self, yard: Yard) -> None:
        self.sent = 0
        self.before = 0
        self.token = yard.transmitters["alice"].blocks.session
        self.plans: dict[int, messages.BlockPlan] = {}
        self.told = 0
        yard.bench.on_exposure = self.count
        yard.bench.add_tamper(self.hear)

    def count(self, token: str, _path: str, pulses: int) -> None:
        if self.token is not None and token == self.token.token:
            self.sent += pulses

    def hear(self, sender: str, data: bytes) -> Iterable[bytes]:
        if data[:1] == b"D" and sender in {"alice", "bob"}:
            message = messages.decode(data[17:])
            if isinstance(message, messages.BlockPlan):
                assert message.first >= self.before  # the pulses of this step are exposed before its messages
                self.plans[message.block] = message
            elif isinstance(message, messages.Announcement | messages.SiftResult | messages.BlockStart):
                plan = self.plans[message.block]
                assert plan.first + plan.pulses <= self.sent
                self.told += 1
        return [data]


@pytest.mark.parametrize("step_ns", [STEP_NS, 150_000_000])
def test_no_base_and_no_intensity_is_told_before_the_last_pulse_of_its_block(step_ns: int) -> None:
    yard = Yard().run("alice", "bob")
    listener = Listener(yard)
    while len(listener.plans) < 4:
        listener.before = listener.sent
        yard.bench.step(step_ns)
    assert listener.told > 5
    assert all(one.first + one.pulses == other.first for one, other in pairwise(listener.plans.values()))
    waiting = yard.units["alice"].store.waiting
    assert waiting >= 2
    for info, _ in yard.units["alice"].store.oldest(64):
        assert info.number in listener.plans
