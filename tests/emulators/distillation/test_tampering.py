"""An adversary on the classical channel: never two different keys, never a key without both accepts."""

from __future__ import annotations

import random
import typing
from typing import TYPE_CHECKING

import msgspec
import pytest

from tokaido.emulators.distillation import (
    AbortedBlock,
    AbortReason,
    AcceptedBlock,
    QuarantinedBlock,
    ReceiverDistiller,
    TransmitterDistiller,
)
from tokaido.emulators.distillation._messages import Abort, Accept, AnyMessage, BlockStart, TranscriptTag
from tokaido_testing.distillation import SMALL, Outcome, distil, feed, pair, portions, raw_data

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tokaido_testing.distillation import Portion

SETTINGS = msgspec.structs.replace(SMALL, block_bits=30_000, frame_bits=15_000)
RECORDS = raw_data(100_000, 0.005, settings=SETTINGS)
TYPES: tuple[type[AnyMessage], ...] = tuple(kind for kind in typing.get_args(AnyMessage) if kind is not Abort)
FAULTS = (
    "drop",
    "flip early",
    "flip in the middle",
    "flip late",
    "duplicate",
    "swap",
    "replay later",
    "reflect",
    "cut",
)


class Adversary:
    """Meddles once, with the `nth` message of one type."""

    def __init__(self, kind: type[AnyMessage], fault: str, nth: int = 0) -> None:
        self.kind, self.fault, self.left = kind, fault, nth
        self.done = False
        self.held: list[tuple[int, bytes]] = []
        self.random = random.Random(f"{kind.__name__}{fault}")

    def __call__(self, direction: int, data: bytes, message: AnyMessage) -> list[bytes]:
        if self.done:
            released = [held for way, held in self.held if way == direction]
            self.held = [(way, held) for way, held in self.held if way != direction]
            return [data, *released]
        if not isinstance(message, self.kind):
            return [data]
        if self.left:
            self.left -= 1
            return [data]
        self.done = True
        match self.fault:
            case "drop":
                return []
            case "duplicate":
                return [data, data]
            case "swap":
                self.held.append((direction, data))
                return []
            case "replay later":
                self.held.append((direction, data))
                return [data]
            case "reflect":
                self.held.append((1 - direction, data))
                return [data]
            case "cut":
                return [data[:-1]]
            case _:
                place = {"flip early": 20, "flip in the middle": len(data) // 2, "flip late": len(data) - 1}[self.fault]
                altered = bytearray(data)
                altered[min(place, len(data) - 1)] ^= 1 << self.random.randrange(8)
                return [bytes(altered)]


def run(
    tamper: Callable[[int, bytes, AnyMessage], list[bytes]],
) -> tuple[Outcome, TransmitterDistiller, ReceiverDistiller]:
    alice, bob = pair(SETTINGS)
    outcome = feed(alice, bob, stretches(alice, bob), tamper)
    return outcome, alice, bob


def stretches(alice: TransmitterDistiller, bob: ReceiverDistiller) -> Iterator[Portion]:
    """Let slots pass; the owner of the clock gives up a block that stalls for some stretches."""
    waited = 0
    for portion in portions(RECORDS, 100):
        yield portion
        waited = waited + 1 if bob.awaiting_peer or alice.awaiting_peer else 0
        if waited == 3:
            for end in (bob, alice):
                if end.awaiting_peer:
                    end.abort(AbortReason.TIMED_OUT, "no message for 5 s")


def check(outcome: Outcome) -> None:
    first, second = outcome.accepted()
    for number in first.keys() & second.keys():
        assert first[number] == second[number]
    assert first.keys() <= second.keys()  # the receiver's accept comes last
    quarantined = {r.number for r in outcome.alice if isinstance(r, QuarantinedBlock)}
    assert second.keys() - first.keys() <= quarantined


def test_left_alone_three_blocks_are_accepted() -> None:
    outcome, _, _ = run(lambda direction, data, message: [data])
    check(outcome)
    assert sorted(outcome.accepted()[0])[:3] == [0, 1, 2]


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        pytest.param(
            fault,
            kind,
            id=f"{fault}-{kind.__name__}",
            marks=() if (row - column) % len(FAULTS) in (0, 5) else pytest.mark.thorough,
        )
        for row, fault in enumerate(FAULTS)
        for column, kind in enumerate(TYPES)
    ],
)  # the short form has two faults of each kind: those of the matrix beside are struck in shorter blocks
def test_no_fault_makes_two_keys_or_a_one_sided_one_and_the_next_block_is_fine(
    kind: type[AnyMessage], fault: str
) -> None:
    adversary = Adversary(kind, fault)
    outcome, alice, bob = run(adversary)
    assert adversary.done
    check(outcome)
    if not alice.closed and not bob.closed:
        assert outcome.accepted()[0], [r for r in outcome.alice + outcome.bob if not isinstance(r, AcceptedBlock)]


def test_a_later_message_of_each_kind_can_be_altered_without_harm() -> None:
    for kind in TYPES[1:]:
        outcome, _, _ = run(Adversary(kind, "flip in the middle", nth=1))
        check(outcome)


def reasons(outcome: Outcome, number: int = 0) -> list[AbortReason]:
    return [
        r.reason
        for results in (outcome.alice, outcome.bob)
        for r in results
        if not isinstance(r, AcceptedBlock) and r.number == number
    ]


@pytest.mark.parametrize("direction", [0, 1])
@pytest.mark.parametrize("kind", [TranscriptTag, Accept])
def test_an_altered_tag_is_an_authentication_mismatch_at_both_ends(
    kind: type[TranscriptTag | Accept], direction: int
) -> None:
    done = False

    def alter(way: int, data: bytes, message: AnyMessage) -> list[bytes]:
        nonlocal done
        if isinstance(message, kind) and way == direction and not done:
            done = True
            wrong = bytes([message.tag[0] ^ 1]) + message.tag[1:]
            return [msgspec.msgpack.encode(msgspec.structs.replace(message, tag=wrong))]
        return [data]

    outcome, _, _ = run(alter)
    check(outcome)
    assert reasons(outcome) == [AbortReason.AUTH_MISMATCH, AbortReason.AUTH_MISMATCH]
    first, second = outcome.accepted()
    assert 0 not in first
    last_word = kind is Accept and direction == 1
    assert (0 in second) is last_word
    if last_word:  # released before the transmitter could object: both ends say so
        assert [r.released for r in outcome.bob if isinstance(r, QuarantinedBlock)] == [True]
    assert len(first) >= 2  # and the blocks after it are fine, on pads that both ends hold


def test_when_the_last_accept_is_lost_the_transmitter_quarantines_and_later_blocks_still_authenticate() -> None:
    done = False

    def drop(way: int, data: bytes, message: AnyMessage) -> list[bytes]:
        nonlocal done
        if isinstance(message, Accept) and way == 1 and not done:
            done = True
            return []
        return [data]

    outcome, alice, bob = run(drop)
    check(outcome)
    [quarantined] = [r for r in outcome.alice if isinstance(r, QuarantinedBlock)]
    assert (quarantined.number, quarantined.released) == (0, False)
    assert quarantined.bits > 0
    first, second = outcome.accepted()
    assert sorted(second)[:3] == [0, 1, 2]
    assert sorted(first)[:2] == [1, 2]
    # The segment that only the receiver fed from block 0 is gone, so the pools are equal again but for lost pads.
    assert alice._authenticator.pool.segments == bob._authenticator.pool.segments


def test_a_wrong_leak_count_or_wrong_counts_or_a_wrong_length_are_found() -> None:
    cases: list[tuple[str, dict[str, object], AbortReason]] = [
        ("Amplify", {"leak": 1}, AbortReason.LEAK_MISMATCH),
        ("Amplify", {"output_bits": 8000}, AbortReason.LENGTH_MISMATCH),
        ("FrameDone", {"leak": 1}, AbortReason.LEAK_MISMATCH),
        ("ParityAnswer", {"frame": 7}, AbortReason.OUT_OF_ORDER),
        ("VerifyRequest", {"frame": 1}, AbortReason.OUT_OF_ORDER),
        ("BlockStart", {"check_errors": (1, 1, 1)}, AbortReason.COUNTS_MISMATCH),
        ("FrameDone", {"errors": (0, 0, 30_000)}, AbortReason.COUNTS_MISMATCH),
        ("ParityAnswer", {"count": 3}, AbortReason.MALFORMED_MESSAGE),
        ("BisectRequest", {"positions": b"\xff\xff\xff\xff"}, AbortReason.MALFORMED_MESSAGE),
        ("ParityRequest", {"number": 3}, AbortReason.OUT_OF_ORDER),
        ("Announcement", {"distances": bytes(2)}, AbortReason.MALFORMED_MESSAGE),
        ("BlockPlan", {"first": 3}, AbortReason.PLANNED_LATE),
        ("BlockPlan", {"pulses": 10**9}, AbortReason.ANNOUNCED_EARLY),
        ("BlockPlan", {"pulses": 10}, AbortReason.COUNTS_MISMATCH),
        ("BlockStart", {"seed": bytes(32)}, AbortReason.VERIFICATION_FAILED),
    ]
    for name, changes, reason in cases:

        def alter(
            way: int, data: bytes, message: AnyMessage, name: str = name, changes: dict[str, object] = changes
        ) -> list[bytes]:
            if type(message).__name__ == name and message.block == 0:
                return [msgspec.msgpack.encode(msgspec.structs.replace(message, **changes))]
            return [data]

        outcome, _, _ = run(alter)
        check(outcome)
        assert reason in reasons(outcome), (name, changes, reasons(outcome))


@pytest.mark.parametrize("copies", [0, 2])
def test_a_gap_or_a_repetition_is_found_by_its_sequence_number(copies: int) -> None:
    def pipelined(way: int, data: bytes, message: AnyMessage) -> list[bytes]:
        # BlockStart and the first ParityRequest go out together, so the fault shows at once.
        if not isinstance(message, BlockStart) or message.block:
            return [data]
        return [data] * copies

    outcome, _, _ = run(pipelined)
    check(outcome)
    [alice] = [r for r in outcome.alice if isinstance(r, AbortedBlock) and r.number == 0]
    assert alice.reason is AbortReason.OUT_OF_ORDER
    assert "came instead of" in alice.text


def test_messages_of_another_session_are_ignored() -> None:
    old = [data for way, data in distil(SETTINGS, RECORDS, seed=2).messages if way == 1]
    outcome, _, _ = run(lambda way, data, message: [data] if way == 0 else [*old[5:40], data])
    check(outcome)
    assert sorted(outcome.accepted()[0])[:3] == [0, 1, 2]


def test_forged_aborts_stop_blocks_and_do_nothing_worse() -> None:
    rng = random.Random(4)

    def forge(way: int, data: bytes, message: AnyMessage) -> list[bytes]:
        if message.session and rng.random() < 0.01:
            header = (message.version, message.session, message.block, message.direction, 0)
            return [msgspec.msgpack.encode(Abort(*header, AbortReason.STOPPED, "\x1b[31m forged"))]
        return [data]

    outcome, _, _ = run(forge)
    check(outcome)
    assert all("\x1b" not in r.text for r in outcome.alice + outcome.bob if not isinstance(r, AcceptedBlock))
