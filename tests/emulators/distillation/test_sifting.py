"""A block is a number of pulses, said before the first is sent; nothing of it is told before the last is over."""

from __future__ import annotations

import dataclasses
import itertools
from typing import TYPE_CHECKING

import msgspec
import numpy as np
import pytest

from tokaido.emulators.distillation import AbortedBlock, AbortReason, AcceptedBlock
from tokaido.emulators.optics import ReceiverRecord, TransmitterRecord
from tokaido_testing.distillation import SMALL, Outcome, distil, messages, pair, portions, raw_data, run_pair

TOO_LARGE = AbortReason.TOO_LARGE
FACTOR = 4
"""How much bigger or smaller a block may be than the one before."""

if TYPE_CHECKING:
    from tokaido.emulators.distillation import BlockResult
    from tokaido_testing.distillation import Portion

SETTINGS = msgspec.structs.replace(SMALL, block_bits=20_000, frame_bits=20_000)
RECORDS = raw_data(100_000, 0.005, settings=SETTINGS)
Records = tuple[TransmitterRecord, ReceiverRecord]


def heard(outcome: Outcome) -> list[messages.AnyMessage]:
    return [messages.decode(data) for _, data in outcome.messages]


def plans(outcome: Outcome) -> dict[int, messages.BlockPlan]:
    return {message.block: message for message in heard(outcome) if isinstance(message, messages.BlockPlan)}


def ends(results: list[BlockResult]) -> list[tuple[int, AbortReason | None]]:
    return [(result.number, getattr(result, "reason", None)) for result in results]


def kept(records: Records, clicked: np.ndarray) -> Records:
    """Return what is left where only some detections come."""
    transmitter, receiver = records
    return (
        TransmitterRecord(*(getattr(transmitter, f.name)[clicked] for f in dataclasses.fields(transmitter))),
        ReceiverRecord(*(getattr(receiver, f.name)[clicked] for f in dataclasses.fields(receiver))),
    )


def test_all_that_is_told_of_a_block_is_told_after_its_last_pulse_and_its_length_before_its_first() -> None:
    outcome = distil(SETTINGS, RECORDS)
    planned = plans(outcome)
    told = 0
    for (_, data), over in zip(outcome.messages, outcome.sent_at, strict=True):
        message = messages.decode(data)
        if isinstance(message, messages.BlockPlan):
            assert over <= message.first
        elif isinstance(message, messages.Announcement | messages.SiftResult | messages.BlockStart):
            plan = planned[message.block]
            assert over >= plan.first + plan.pulses
            told += 1
    blocks = [block for block in outcome.bob if isinstance(block, AcceptedBlock)]
    assert told >= 3 * len(blocks) >= 12
    for block in blocks:
        assert (block.first_slot, block.pulses) == (planned[block.number].first, planned[block.number].pulses)
        assert block.n == pytest.approx(SETTINGS.block_bits, rel=0.15)
    for one, other in itertools.pairwise(planned.values()):
        assert one.first + one.pulses == other.first  # no pulse between two blocks is lost


def test_the_length_of_a_block_tells_nothing_of_bases_of_the_block_before() -> None:
    transmitter, receiver = RECORDS
    first = plans(distil(SETTINGS, RECORDS))
    basis = np.where(receiver.slots >= first[0].first, 0, receiver.basis).astype(np.uint8)
    other = plans(distil(SETTINGS, (transmitter, ReceiverRecord(receiver.slots, basis, receiver.bit))))
    said = [[(plan.first, plan.pulses) for plan in (run[0], run[1])] for run in (first, other)]
    assert said[0] == said[1]


def forged_after_plan(make: object) -> Outcome:
    """Run with a message of the receiver that somebody puts behind the plan of block 0."""

    def forge(way: int, data: bytes, message: messages.AnyMessage) -> list[bytes]:
        if isinstance(message, messages.BlockPlan) and message.block == 0:
            return [data, messages.encode(make(message))]  # type: ignore[operator]
        return [data]

    return distil(SETTINGS, RECORDS, forge)


def header(plan: messages.BlockPlan, sequence: int, block: int = 0) -> tuple[int, bytes, int, messages.Direction, int]:
    return plan.version, plan.session, block, plan.direction, sequence


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda p: messages.Announcement(*header(p, 1), b"\1\0", b"", b"\0", b""), AbortReason.ANNOUNCED_EARLY),
        (lambda p: messages.BlockPlan(*header(p, 0), p.first, p.pulses), AbortReason.OUT_OF_ORDER),
        (lambda p: messages.BlockPlan(*header(p, 0, 5000), p.first + p.pulses, p.pulses), AbortReason.OUT_OF_ORDER),
        (lambda p: messages.BlockPlan(*header(p, 7), p.first, p.pulses), AbortReason.OUT_OF_ORDER),
    ],
)
def test_what_comes_before_its_time_is_refused_and_later_blocks_are_fine(make: object, reason: AbortReason) -> None:
    outcome = forged_after_plan(make)
    assert (0, reason) in ends(outcome.alice)
    assert sum(isinstance(result, AcceptedBlock) for result in outcome.alice) >= 2
    assert outcome.accepted()[0] == outcome.accepted()[1]


def test_slots_of_two_blocks_and_slots_that_were_sent_are_refused() -> None:
    cases = {"first": lambda plan: plan.first - 1000}, {"first": lambda plan: 5}
    for change, reason in zip(cases, (AbortReason.OUT_OF_ORDER, AbortReason.PLANNED_LATE), strict=True):

        def alter(way: int, data: bytes, message: messages.AnyMessage, change: object = change) -> list[bytes]:
            if isinstance(message, messages.BlockPlan) and message.block == 1:
                other = {name: value(message) for name, value in change.items()}  # type: ignore[attr-defined]
                return [messages.encode(msgspec.structs.replace(message, **other))]
            return [data]

        outcome = distil(SETTINGS, RECORDS, alter)
        assert (1, reason) in ends(outcome.alice)
        assert [number for number, why in ends(outcome.alice) if why is None][:2] == [0, 2]


def test_slots_beyond_the_end_of_a_block_are_refused() -> None:
    def alter(way: int, data: bytes, message: messages.AnyMessage) -> list[bytes]:
        if isinstance(message, messages.Announcement) and message.block == 0:
            beyond = (1 << 40).to_bytes(8, "little")
            return [
                messages.encode(
                    msgspec.structs.replace(
                        message, distances=b"\xff\xff" + message.distances[2:], wide_distances=beyond
                    )
                )
            ]
        return [data]

    outcome = distil(SETTINGS, RECORDS, alter)
    assert ends(outcome.alice)[0] == (0, AbortReason.COUNTS_MISMATCH)


def test_a_block_of_too_few_detections_gives_no_key_and_says_why_and_the_next_has_more_pulses() -> None:
    first = plans(distil(SETTINGS, RECORDS))[0]
    dim = np.random.default_rng(1).random(RECORDS[0].slots.size) < np.where(RECORDS[0].slots < first.first, 1, 0.04)
    outcome = distil(SETTINGS, kept(RECORDS, dim))
    [block] = [result for result in outcome.bob if result.number == 0]
    assert isinstance(block, AbortedBlock)
    assert block.reason is AbortReason.TOO_SMALL
    assert "sifted bits came where about 20000 were aimed at" in block.text
    planned = plans(outcome)
    assert max(planned) >= 1
    for one, other in itertools.pairwise(planned.values()):
        assert one.pulses / FACTOR - 1 <= other.pulses <= FACTOR * one.pulses


def test_a_block_of_too_many_detections_is_dropped_and_not_cut() -> None:
    first = plans(distil(SETTINGS, RECORDS))[0]
    few = np.random.default_rng(1).random(RECORDS[0].slots.size) < np.where(RECORDS[0].slots < first.first, 0.05, 1)
    outcome = distil(msgspec.structs.replace(SETTINGS, block_bits=2000), kept(RECORDS, few))
    large = [result for result in outcome.bob if isinstance(result, AbortedBlock) and result.reason is TOO_LARGE]
    assert "too many for a block of about 2000 bit" in large[0].text
    announced = {message.block for message in heard(outcome) if isinstance(message, messages.Announcement)}
    assert large[0].number not in announced
    assert all(block.n <= FACTOR * 2000 for block in outcome.bob if isinstance(block, AcceptedBlock))


def test_light_that_was_away_costs_the_block_that_is_being_sent_and_no_other() -> None:
    alice, bob = pair(SETTINGS)
    away = False

    def stretches() -> list[Portion]:
        return list(portions(RECORDS))

    outcome = run_pair(alice, bob)
    for sent, got, until in stretches():
        if not away and bob.statistics.block == 1 and 0.3 < bob.statistics.fill < 0.9:
            away = True
            bob.interrupt("light was away")
        alice.add(sent, until)
        bob.add(got, until)
        more = run_pair(alice, bob)
        outcome.alice += more.alice
        outcome.bob += more.bob
    for results in (outcome.alice, outcome.bob):
        assert ends(results)[:3] == [(0, None), (1, AbortReason.STOPPED), (2, None)]


def test_a_receiver_learns_from_a_plan_that_came_late_how_early_it_must_be() -> None:
    alice, bob = pair(SETTINGS)
    flying: list[tuple[int, int, bytes]] = []
    results: list[BlockResult] = []
    for now, (sent, got, until) in enumerate(portions(raw_data(200_000, 0.005, settings=SETTINGS), 300)):
        alice.add(sent, until)
        bob.add(got, until)
        due, flying = [f for f in flying if f[0] <= now], [f for f in flying if f[0] > now]
        for _, way, data in due:  # a message takes five stretches
            (bob, alice)[way].receive(data)
        for way, end in enumerate((alice, bob)):
            flying += [(now + 5, way, data) for data in end.outgoing()]
        results += bob.results()
    reasons = [getattr(result, "reason", None) for result in results]
    assert reasons[0] is AbortReason.PLANNED_LATE
    assert reasons.count(AbortReason.PLANNED_LATE) <= 3
    assert alice.statistics.block == 1  # whose correction takes longer than this test
    assert alice.statistics.sifted_bits == pytest.approx(SETTINGS.block_bits, rel=0.15)
