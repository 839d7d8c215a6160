from __future__ import annotations

import os
from typing import TYPE_CHECKING

import msgspec
import numpy as np
import pytest

from tokaido.emulators.distillation import (
    AbortedBlock,
    AbortReason,
    AcceptedBlock,
    DistillationSettings,
    ReceiverDistiller,
    TransmitterDistiller,
)
from tokaido.emulators.distillation._messages import BlockStart, ParityRequest, VerifyTag, decode
from tokaido.emulators.optics import BasisCounts, ReceiverRecord, TransmitterRecord, key_length
from tokaido.hal import ConfigurationError, KeyMaterial, RangeError
from tokaido.hal.authentication import AuthenticationPool
from tokaido_testing.distillation import NONCE, PRE_SHARED, SMALL, distil, pair, raw_data, run_pair

if TYPE_CHECKING:
    from tokaido.emulators.distillation import BlockResult, DistillationStatistics
    from tokaido.emulators.distillation._messages import AnyMessage

LARGE = msgspec.structs.replace(SMALL, block_bits=250_000, frame_bits=125_000)


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
    assert alice.efficiency == bob.efficiency or not qber
    assert alice.eps == bob.eps
    assert 0 < alice.eps.correctness < settings.eps_cor
    assert alice.eps.total < settings.eps_sec + settings.eps_cor + 1e-20
    assert (alice.method, alice.bound, alice.leak_mode) == ("lim2014", "chernoff", "one_way")
    assert alice.secure_against == "general attacks"
    assert not alice.insecure


def test_at_eight_percent_the_errors_are_corrected_and_the_bound_leaves_no_key() -> None:
    outcome = distil(SMALL, raw_data(60_000, 0.08, qber_check=0.02))
    assert reasons(outcome.alice) == reasons(outcome.bob) == [AbortReason.NO_KEY]
    easy = msgspec.structs.replace(LARGE, probabilities=(0.9, 0.05, 0.05))
    at_eight = distil(easy, raw_data(250_000, 0.08, qber_check=0.005, settings=easy))
    first, second = at_eight.accepted()
    assert first == second
    assert list(first) == [0] or reasons(at_eight.alice) == [AbortReason.NO_KEY]


def test_the_length_is_that_of_the_finite_key_bound_with_every_disclosed_bit() -> None:
    outcome = distil(SMALL, raw_data(60_000, 0.02))
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
    transmitter, receiver = raw_data(200_000, 0.01)
    alice, bob = pair(settings, pre_shared=PRE_SHARED[:160])
    before = alice.statistics.auth_bits_remaining
    keys: tuple[dict[int, str], dict[int, str]] = ({}, {})
    for start in range(0, transmitter.slots.size, 30_000):
        cut = slice(start, start + 30_000)
        bob.add(ReceiverRecord(receiver.slots[cut], receiver.basis[cut], receiver.bit[cut]))
        first = run_pair(alice, bob)  # announced before the transmitter has its share
        alice.add(
            TransmitterRecord(
                transmitter.slots[cut], transmitter.basis[cut], transmitter.bit[cut], transmitter.intensity[cut]
            )
        )
        second = run_pair(alice, bob)
        for outcome in (first, second):
            for known, new in zip(keys, outcome.accepted(), strict=True):
                known.update(new)
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


def test_above_eleven_percent_the_block_is_given_up_and_exactly_there_it_is_not() -> None:
    settings = msgspec.structs.replace(SMALL, block_bits=2000, frame_bits=2000, qber_abort=0.02)
    outcome = distil(SMALL, raw_data(60_000, 0.12, qber_check=0.01))
    assert reasons(outcome.alice) == reasons(outcome.bob) == [AbortReason.QBER_TOO_HIGH]

    transmitter, receiver = raw_data(62_000, 0.0)
    keyed = np.flatnonzero((transmitter.basis == 0) & (receiver.basis == 0))
    for errors, expected in ((1203, True), (1205, False)):
        bit = receiver.bit.copy()
        bit[keyed[:errors]] ^= 1
        at_edge = msgspec.structs.replace(SMALL, qber_abort=0.02)
        result = distil(at_edge, (transmitter, ReceiverRecord(receiver.slots, receiver.basis, bit))).bob[0]
        n = result.n if isinstance(result, AcceptedBlock) else 0
        assert isinstance(result, AcceptedBlock) is expected
        assert not n or errors <= 0.02 * n
    assert settings.qber_abort < 0.11


def test_an_eavesdropper_who_touches_only_the_key_basis_is_caught_by_the_phase_error() -> None:
    outcome = distil(SMALL, raw_data(60_000, 0.01, qber_check=0.5))
    assert reasons(outcome.alice) == reasons(outcome.bob) == [AbortReason.NO_KEY]
    assert not any(isinstance(decode(data), ParityRequest) for _, data in outcome.messages)  # before any leak


def test_different_settings_end_the_session_and_name_the_field() -> None:
    other = msgspec.structs.replace(SMALL, schedule="low_leak", eps_sec=1e-7)
    alice, bob = pair(SMALL, other)
    outcome = run_pair(alice, bob)
    for results, end in ((outcome.alice, alice), (outcome.bob, bob)):
        assert reasons(results) == [AbortReason.SETTINGS_MISMATCH]
        assert isinstance(results[0], AbortedBlock)
        assert "schedule" in results[0].text
        assert "eps_sec" in results[0].text
        assert end.closed
    alice.add(raw_data(100)[0])
    assert alice.outgoing() == []


def test_different_pre_shared_keys_end_as_an_authentication_mismatch_at_both_ends() -> None:
    alice, bob = pair(receiver_pre_shared=bytes(4096))
    records = raw_data(60_000, 0.01)
    alice.add(records[0])
    bob.add(records[1])
    outcome = run_pair(alice, bob)
    assert reasons(outcome.alice) == reasons(outcome.bob) == [AbortReason.AUTH_MISMATCH]


def test_without_replenishment_the_session_ends_when_the_pads_do() -> None:
    settings = msgspec.structs.replace(SMALL, replenish_bits=0)
    alice, bob = pair(settings, pre_shared=PRE_SHARED[:96])
    records = raw_data(130_000, 0.01, settings=settings)
    alice.add(records[0])
    bob.add(records[1])
    outcome = run_pair(alice, bob)
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


def test_a_failed_verification_costs_its_tag_and_one_pass_and_is_counted() -> None:
    failures = 0

    def garble_once(direction: int, data: bytes, message: AnyMessage) -> list[bytes]:
        nonlocal failures
        if isinstance(message, VerifyTag) and not failures:
            failures = 1
        return [data]

    alice, bob = pair(msgspec.structs.replace(SMALL, block_bits=30_000, frame_bits=100))
    records = raw_data(31_000, 0.02)
    alice.add(records[0])
    bob.add(records[1])
    run_pair(alice, bob, garble_once)
    statistics: tuple[DistillationStatistics, DistillationStatistics] = alice.statistics, bob.statistics
    assert statistics[0].verification_failures == statistics[1].verification_failures > 0


def test_seeded_secrets_at_one_end_mark_the_keys_of_both_insecure() -> None:
    source = np.random.default_rng(1)
    alice = TransmitterDistiller(
        SMALL, AuthenticationPool(KeyMaterial(PRE_SHARED), end="transmitter"), secret=source.bytes
    )
    bob = ReceiverDistiller(SMALL, AuthenticationPool(KeyMaterial(PRE_SHARED), end="receiver"), secret=os.urandom)
    records = raw_data(60_000, 0.01)
    alice.add(records[0])
    bob.add(records[1])
    outcome = run_pair(alice, bob)
    assert isinstance(outcome.alice[0], AcceptedBlock)
    assert outcome.alice[0].insecure
    assert outcome.alice[0].key.insecure
    assert isinstance(outcome.bob[0], AcceptedBlock)
    assert outcome.bob[0].key.insecure


def test_an_owner_may_stop_and_the_other_end_hears_it() -> None:
    alice, bob = pair()
    records = raw_data(1000)
    alice.add(records[0])
    bob.add(records[1])
    run_pair(alice, bob)
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
    alice.add(records[0])
    late.add(records[1])
    first, second = run_pair(alice, late).accepted()
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
    bob.add(raw_data(1000)[1])
    run_pair(alice, bob)  # the transmitter has no raw data yet
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
    with pytest.raises(RangeError, match="length"):
        alice.add(TransmitterRecord(transmitter.slots, transmitter.basis[1:], transmitter.bit, transmitter.intensity))


def test_no_representation_shows_key_bits() -> None:
    outcome = distil(SMALL, raw_data(60_000, 0.01))
    block = outcome.alice[0]
    assert isinstance(block, AcceptedBlock)
    shown = bytes(block.key.reveal()[:8])
    text = repr(outcome.alice) + repr(outcome.bob)
    assert shown.hex() not in text
    assert repr(shown)[2:-1] not in text
