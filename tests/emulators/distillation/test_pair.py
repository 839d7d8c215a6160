from __future__ import annotations

import itertools
import os
from typing import TYPE_CHECKING

import msgspec
import numpy as np
import pytest

from tokaido.emulators.conformance._leaks import LeakScanner
from tokaido.emulators.distillation import (
    AbortedBlock,
    AbortReason,
    AcceptedBlock,
    DistillationSettings,
    ReceiverDistiller,
    TransmitterDistiller,
    _receiver,
)
from tokaido.emulators.distillation._amplification import verification_tag
from tokaido.emulators.distillation._messages import (
    Announcement,
    BlockPlan,
    BlockStart,
    FrameDone,
    ParityRequest,
    VerifyTag,
    decode,
)
from tokaido.emulators.optics import BasisCounts, ReceiverRecord, TransmitterRecord, key_length
from tokaido.hal import ConfigurationError, KeyMaterial, RangeError
from tokaido.hal.authentication import AuthenticationPool
from tokaido_testing.distillation import NONCE, PRE_SHARED, SMALL, distil, feed, pair, portions, raw_data, run_pair

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tokaido.emulators.distillation import BlockResult, DistillationStatistics
    from tokaido.emulators.distillation._messages import AnyMessage

LARGE = msgspec.structs.replace(SMALL, block_bits=250_000, frame_bits=125_000)


def key_basis(records: tuple[TransmitterRecord, ReceiverRecord], plan: BlockPlan) -> NDArray[np.intp]:
    """Return which detections of a block both ends kept in the key basis, in their order."""
    slots = records[0].slots
    of_block = (plan.first <= slots) & (slots < plan.first + plan.pulses)
    return np.flatnonzero((records[0].basis == 0) & (records[1].basis == 0) & of_block)


def reasons(results: list[BlockResult]) -> list[AbortReason]:
    return [result.reason for result in results if not isinstance(result, AcceptedBlock)]


@pytest.mark.parametrize(("qber", "size"), [(0.0, 60_000), (0.01, 60_000), (0.03, 60_000), (0.05, 250_000)])
def test_two_ends_agree_on_a_key_and_on_everything_beside_it(qber: float, size: int) -> None:
    settings = SMALL if size == SMALL.block_bits else LARGE
    outcome = distil(settings, raw_data(size, qber, settings=settings), seed=None)
    alice, bob = outcome.alice[0], outcome.bob[0]
    assert isinstance(alice, AcceptedBlock)
    assert isinstance(bob, AcceptedBlock)
    assert alice.key.digest(NONCE) == bob.key.digest(NONCE)
    assert alice.key.bits == alice.output_bits - settings.replenish_bits > 0
    assert alice.session == bob.session
    assert alice.leak_alice == alice.leak_bob == bob.leak_alice == bob.leak_bob
    assert alice.qber_key == bob.qber_key == pytest.approx(qber, abs=0.003)
    assert [alice.efficiency] == pytest.approx([bob.efficiency], rel=0, abs=0, nan_ok=not qber)
    assert alice.eps == bob.eps
    assert 0 < alice.eps.correctness < settings.eps_cor
    assert alice.eps.total < settings.eps_sec + settings.eps_cor + 1e-20
    assert (alice.facts.method, alice.facts.bound, alice.leak_mode) == ("lim2014", "chernoff", "one_way")
    assert alice.secure_against == "general attacks"
    assert not alice.facts.insecure


@pytest.mark.parametrize(
    ("settings", "qber_check"),
    [(SMALL, 0.02), (msgspec.structs.replace(SMALL, frame_bits=30_000, probabilities=(0.9, 0.05, 0.05)), 0.005)],
)
def test_at_eight_percent_the_errors_are_corrected_and_the_bound_leaves_no_key(
    settings: DistillationSettings, qber_check: float
) -> None:
    records = raw_data(settings.block_bits, 0.08, qber_check=qber_check, settings=settings)
    outcome = distil(settings, records)
    assert reasons(outcome.alice) == reasons(outcome.bob) == [AbortReason.NO_KEY]
    messages = [decode(data) for _, data in outcome.messages]
    start = next(message for message in messages if isinstance(message, BlockStart))
    n = sum(start.key_detections)
    plan = next(message for message in messages if isinstance(message, BlockPlan))
    keyed = key_basis(records, plan)
    assert keyed.size == n
    errors = np.count_nonzero(records[0].bit[keyed] != records[1].bit[keyed])
    assert errors == pytest.approx(0.08 * n, rel=0.05)
    assert sum(sum(message.errors) for message in messages if isinstance(message, FrameDone)) == errors


@pytest.mark.parametrize("tolerance", [0.0, 0.05])
def test_the_length_is_that_of_the_finite_key_bound_with_every_disclosed_bit(tolerance: float) -> None:
    settings = msgspec.structs.replace(SMALL, intensity_tolerance=tolerance)
    outcome = distil(settings, raw_data(60_000, 0.02))
    block = outcome.alice[0]
    assert isinstance(block, AcceptedBlock)
    start = next(m for _, data in outcome.messages if isinstance(m := decode(data), BlockStart))
    bits = key_length(
        BasisCounts(start.key_detections, (0, 0, 0)),
        BasisCounts(start.check_detections, start.check_errors),
        SMALL.intensities,
        SMALL.probabilities,
        leaked_bits=block.leak_alice,
        eps_sec=SMALL.eps_sec,
        eps_cor=SMALL.eps_cor,
        intensity_tolerance=tolerance,
    ).bits
    assert block.output_bits == bits - bits % 8


def test_leak_is_what_the_transmitter_put_on_the_wire() -> None:
    outcome = distil(SMALL, raw_data(60_000, 0.03))
    block = outcome.alice[0]
    assert isinstance(block, AcceptedBlock)
    on_the_wire = 0
    for _, data in outcome.messages:
        message = decode(data)
        if message.block == 0:
            on_the_wire += getattr(message, "count", 0) + 128 * isinstance(message, VerifyTag)
    assert block.leak_alice == on_the_wire
    assert block.efficiency <= 1.10


def test_many_blocks_and_frames_in_small_chunks_agree_and_authentication_lasts() -> None:
    settings = msgspec.structs.replace(SMALL, frame_bits=20_000)
    alice, bob = pair(settings, pre_shared=PRE_SHARED[:160])
    before = alice.statistics.auth_bits_remaining
    keys = feed(alice, bob, portions(raw_data(200_000, 0.01), 300)).accepted()
    assert keys[0] == keys[1]
    assert sorted(keys[0]) == [0, 1, 2]
    assert len(set(keys[0].values())) == 3
    assert alice.statistics.auth_bits_remaining == bob.statistics.auth_bits_remaining == before
    assert alice.statistics.eps_total == pytest.approx(3 * SMALL.eps_sec, rel=1e-6)


def test_the_transmitter_may_know_more_slots_than_were_detected() -> None:
    transmitter, receiver = raw_data(130_000, 0.01)
    clicked = np.random.default_rng(3).random(receiver.slots.size) < 0.6
    detected = ReceiverRecord(receiver.slots[clicked], receiver.basis[clicked], receiver.bit[clicked])
    first, second = distil(SMALL, (transmitter, detected)).accepted()
    assert first == second
    assert list(first) == [0]


def test_schedule_b_agrees_too_and_leaks_less() -> None:
    leaks = []
    for schedule in ("standard", "low_leak"):
        settings = msgspec.structs.replace(SMALL, schedule=schedule)
        outcome = distil(settings, raw_data(60_000, 0.03, settings=settings))
        first, second = outcome.accepted()
        assert first == second
        assert isinstance(outcome.alice[0], AcceptedBlock)
        leaks.append(outcome.alice[0].leak_alice)
    assert leaks[1] < leaks[0]


def test_above_eleven_percent_the_block_is_given_up() -> None:
    outcome = distil(SMALL, raw_data(60_000, 0.12, qber_check=0.01))
    assert reasons(outcome.alice) == reasons(outcome.bob) == [AbortReason.QBER_TOO_HIGH]
    default = DistillationSettings()
    assert SMALL.qber_abort == default.qber_abort == 0.11


def test_exactly_at_the_limit_the_block_is_not_given_up_and_with_one_error_more_it_is() -> None:
    transmitter, receiver = records = raw_data(62_000, 0.0)
    plain = distil(SMALL, records)
    clean = plain.bob[0]
    assert isinstance(clean, AcceptedBlock)
    keyed = key_basis(records, next(m for _, data in plain.messages if isinstance(m := decode(data), BlockPlan)))
    limit = msgspec.structs.replace(SMALL, qber_abort=1200 / clean.n)
    for errors, reason in ((1200, None), (1201, AbortReason.QBER_TOO_HIGH)):
        bit = receiver.bit.copy()
        bit[keyed[:errors]] ^= 1
        outcome = distil(limit, (transmitter, ReceiverRecord(receiver.slots, receiver.basis, bit)))
        for results in (outcome.alice, outcome.bob):
            assert [getattr(result, "reason", None) for result in results] == [reason]
        if reason is None:
            assert isinstance(accepted := outcome.bob[0], AcceptedBlock)
            assert (accepted.n, accepted.qber_key) == (clean.n, 1200 / clean.n)


def test_an_eavesdropper_who_touches_only_the_key_basis_is_caught_by_the_phase_error() -> None:
    outcome = distil(SMALL, raw_data(60_000, 0.01, qber_check=0.5))
    assert reasons(outcome.alice) == reasons(outcome.bob) == [AbortReason.NO_KEY]
    assert not any(isinstance(decode(data), ParityRequest) for _, data in outcome.messages)  # before any leak


def test_different_settings_end_the_session_and_name_the_field() -> None:
    other = msgspec.structs.replace(SMALL, schedule="low_leak", eps_sec=1e-7, intensity_tolerance=0.05)
    alice, bob = pair(SMALL, other)
    outcome = run_pair(alice, bob)
    for results, end in ((outcome.alice, alice), (outcome.bob, bob)):
        assert reasons(results) == [AbortReason.SETTINGS_MISMATCH]
        assert isinstance(results[0], AbortedBlock)
        assert "schedule" in results[0].text
        assert "eps_sec" in results[0].text
        assert "intensity_tolerance (" in results[0].text
        assert end.closed
    alice.add(raw_data(100)[0])
    assert alice.outgoing() == []


def test_different_pre_shared_keys_end_as_an_authentication_mismatch_at_both_ends() -> None:
    alice, bob = pair(receiver_pre_shared=bytes(4096))
    records = raw_data(60_000, 0.01)
    outcome = feed(alice, bob, records)
    assert reasons(outcome.alice) == reasons(outcome.bob) == [AbortReason.AUTH_MISMATCH]


def test_without_replenishment_the_session_ends_when_the_pads_do() -> None:
    settings = msgspec.structs.replace(SMALL, replenish_bits=0)
    alice, bob = pair(settings, pre_shared=PRE_SHARED[:96])
    records = raw_data(130_000, 0.01, settings=settings)
    outcome = feed(alice, bob, records)
    first, second = outcome.accepted()
    assert first == second
    assert list(first) == [0]
    assert reasons(outcome.alice) == reasons(outcome.bob) == [AbortReason.AUTH_KEY_EXHAUSTED]
    assert alice.closed
    assert bob.closed


def test_a_frame_that_still_differs_after_the_last_extra_pass_is_given_up() -> None:
    def garble(direction: int, data: bytes, message: AnyMessage) -> list[bytes]:
        if isinstance(message, VerifyTag):
            return [msgspec.msgpack.encode(msgspec.structs.replace(message, tag=bytes(16)))]
        return [data]

    settings = msgspec.structs.replace(SMALL, max_extra_passes=2)
    outcome = distil(settings, raw_data(60_000, 0.01, settings=settings), garble)
    assert reasons(outcome.alice) == reasons(outcome.bob) == [AbortReason.VERIFICATION_FAILED]
    tags = [m for _, data in outcome.messages if isinstance(m := decode(data), VerifyTag)]
    assert len({tag.hash_key for tag in tags}) == len(tags) == 3


def test_a_failed_verification_costs_its_tag_and_one_pass_and_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    records = raw_data(60_000, 0.02)
    plain = distil(SMALL, records)
    wrong = [bytes(16)]  # what the receiver takes for its own tag, once
    monkeypatch.setattr(_receiver, "verification_tag", lambda *of: wrong.pop() if wrong else verification_tag(*of))
    alice, bob = pair()
    outcome = feed(alice, bob, records)
    before, block = plain.alice[0], outcome.alice[0]
    assert isinstance(before, AcceptedBlock)
    assert isinstance(block, AcceptedBlock)
    assert outcome.accepted()[0] == outcome.accepted()[1]
    statistics: tuple[DistillationStatistics, DistillationStatistics] = alice.statistics, bob.statistics
    assert [one.verification_failures for one in statistics] == [1, 1]
    assert (before.repairs, block.repairs) == (0, 1)
    tags, passes = (
        [[message for _, data in run.messages if isinstance(message := decode(data), kind)] for run in (plain, outcome)]
        for kind in (VerifyTag, ParityRequest)
    )
    assert (len(tags[0]), len(tags[1])) == (1, 2)
    assert len(passes[1]) == len(passes[0]) + 1
    parities = [sum(getattr(decode(data), "count", 0) for _, data in run.messages) for run in (plain, outcome)]
    assert parities[1] > parities[0]  # those of the extra pass, which found nothing
    assert block.leak_alice - before.leak_alice == 128 + parities[1] - parities[0]
    assert block.eps.correctness == pytest.approx(2 * before.eps.correctness)


def test_seeded_secrets_at_one_end_mark_the_keys_of_both_insecure() -> None:
    source = np.random.default_rng(1)
    alice = TransmitterDistiller(
        SMALL, AuthenticationPool(KeyMaterial(PRE_SHARED), end="transmitter"), secret=source.bytes
    )
    bob = ReceiverDistiller(SMALL, AuthenticationPool(KeyMaterial(PRE_SHARED), end="receiver"), secret=os.urandom)
    records = raw_data(60_000, 0.01)
    outcome = feed(alice, bob, records)
    assert isinstance(outcome.alice[0], AcceptedBlock)
    assert outcome.alice[0].facts.insecure
    assert outcome.alice[0].key.insecure
    assert isinstance(outcome.bob[0], AcceptedBlock)
    assert outcome.bob[0].key.insecure


def test_an_owner_may_stop_and_the_other_end_hears_it() -> None:
    alice, bob = pair()
    stretches = portions(raw_data(60_000))
    feed(alice, bob, itertools.islice(stretches, 30))
    assert bob.statistics.fill > 0
    alice.abort(AbortReason.STOPPED, "the switch moved")
    outcome = run_pair(alice, bob)
    assert reasons(outcome.alice) == reasons(outcome.bob) == [AbortReason.STOPPED]
    assert alice.statistics.block == bob.statistics.block == 1
    assert bob.statistics.fill == 0
    bob.close()
    run_pair(alice, bob)
    assert alice.closed
    assert bob.closed


def test_ends_may_start_one_after_the_other_and_a_restarted_end_is_noticed() -> None:
    records = raw_data(62_000, 0.01)
    alice, late = pair()
    alice.outgoing()  # nobody listens yet
    assert (alice.awaiting_peer, late.awaiting_peer) == (True, True)
    first, second = feed(alice, late, records).accepted()
    assert first == second
    assert list(first) == [0]
    assert (alice.awaiting_peer, late.awaiting_peer) == (False, False)

    _, restarted = pair(seed=2)
    outcome = run_pair(alice, restarted)
    assert reasons(outcome.alice) == [AbortReason.PEER_MOVED_ON]
    assert alice.closed
    assert not restarted.closed
    again, _ = pair(seed=3)
    run_pair(again, restarted)
    assert again.session == restarted.session != ""


def test_a_receiver_that_was_not_answered_awaits_its_peer() -> None:
    alice, bob = pair()
    records = raw_data(60_000)
    answers = True

    def listen(direction: int, data: bytes, message: AnyMessage) -> list[bytes]:
        nonlocal answers
        answers = answers and not isinstance(message, Announcement)
        return [data] if answers else []

    feed(alice, bob, itertools.takewhile(lambda _: answers, portions(records)), listen)
    assert not answers
    assert bob.awaiting_peer
    assert not alice.awaiting_peer


def test_wrong_use_is_refused_at_once() -> None:
    with pytest.raises(ConfigurationError, match="its own authentication pool"):
        TransmitterDistiller(DistillationSettings(), AuthenticationPool(KeyMaterial(PRE_SHARED), end="receiver"))
    alice, bob = pair()
    transmitter, receiver = raw_data(100)
    bob.add(receiver)
    with pytest.raises(RangeError, match="ascend"):
        bob.add(receiver)
    with pytest.raises(RangeError, match="over"):
        alice.add(transmitter, int(transmitter.slots[-1]))
    with pytest.raises(RangeError, match="length"):
        alice.add(TransmitterRecord(transmitter.slots, transmitter.basis[1:], transmitter.bit, transmitter.intensity))


def test_no_representation_shows_key_bits() -> None:
    alice, bob = pair()
    records = raw_data(60_000, 0.01)
    outcome = feed(alice, bob, records)
    block = outcome.alice[0]
    assert isinstance(block, AcceptedBlock)
    secrets = [bytes(block.key.reveal()), PRE_SHARED]
    scanner = LeakScanner(secrets)
    assert all(scanner.found(repr(list(secret))) and scanner.found(secret.hex()) for secret in secrets)
    shown = [outcome.alice, outcome.bob, alice, bob, alice.statistics, bob.statistics]
    assert [type(one).__name__ for one in shown if scanner.found(f"{one!r} {one}")] == []
